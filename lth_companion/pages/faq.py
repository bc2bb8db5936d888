"""Answers to frequent questions: Markdown with numbers that are read from `results/` when the book is built."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lth_companion.experiments import catalogue, timings
from lth_companion.experiments.study import Study
from lth_companion.pages import speed
from lth_core import analyse, models, prune
from lth_core.spec import Spec
from lth_core.untrusted_text import shown

TIMED_ROUNDS = (0, 3, 7, 15)  # rounds whose densities the benchmark times: 100%, 51%, 21%, 3.6%
NOT_YET = "*Not measured yet.* This line measures it: `python -m lth_core run {0} --profile published`."


def _by_density(rows: pd.DataFrame, benchmark: str, engine: str) -> pd.Series:
    """Median of a benchmark by density (a fraction), densest first."""
    own = rows[(rows["benchmark"] == benchmark) & (rows["engine"] == engine)]
    return own.set_index("density")["median"].sort_index(ascending=False)


def faster() -> str:
    """Speed of a masked network in a plain torch loop in its best setting, and of the compiled engines, which leave
    absent weights out."""
    made, rows = timings.bench()
    plain, fast = (_by_density(rows, "lenet steps", e) for e in ("plain loop", "sparse"))
    looks = _by_density(rows, "lenet evaluation", "sparse")
    lines = [
        "| weights left | masked, plain torch, best setting | sparse engine | images/s, sparse engine |",
        "|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {100 * d:.3g}% | {plain[d]:,.0f} steps/s | {fast[d]:,.0f} steps/s | {looks[d]:,.0f} |" for d in plain.index
    ]
    last = plain.index[-1]
    slow = f"{plain[last] / plain[1.0]:.2f} times the speed of the whole one in plain torch"
    said = (
        f"With {100 * last:.3g}% of the weights left, the masked network trains at {slow}: zeros are multiplied like "
        f"other numbers. The sparse engine trains it {fast[last] / fast[1.0]:.1f} times as fast as the whole and "
        f"classifies {looks[last] / looks[1.0]:.1f} times as many images a second."
    )
    who = {name: shown(made.get(name, "")) for name in ("device", "cores", "torch", "commit", "note")}
    by = "Measured on {device}, {cores} cores, torch {torch}, commit {commit}. {note}".format(**who)
    return "\n".join([said, "", *lines, "", by, "", speed.told()])


def smaller() -> str:
    """Bytes of LeNet-300-100: as it is, masked, and as rows of (value, place). Counted from the pruning plan."""
    spec, lines = Spec(), ["| weights left | stored with zeros | as values and places |", "|---:|---:|---:|"]
    biases = sum(layer.shape[0] for layer in models.layers(spec.arch, spec.dataset))
    total = models.weight_count(spec.arch, spec.dataset)
    rows = biases + len(models.layers(spec.arch, spec.dataset))  # where each unit's weights begin, and end
    for r in TIMED_ROUNDS:
        own = spec.at_round(r, prune_fc=0.2, prune_out=0.1)
        kept = sum(prune.plan(own).values())
        dense, sparse = 4 * (total + biases), 4 * (kept + biases) + 2 * kept + 4 * rows
        lines.append(f"| {100 * prune.density(own):.3g}% | {dense / 1e3:,.0f} kB | {sparse / 1e3:,.0f} kB |")
    return "\n".join(lines)


def compared(table: pd.DataFrame, column: str, a: dict[str, Any], b: dict[str, Any]) -> str:
    """`a` minus `b` in points with its interval, for a sentence."""
    found = analyse.paired(table, column, a, b)
    if not found["n"]:
        return "not measured"
    if found["n"] == 1:
        return f"{100 * found['effect']:+.2f} points (one trial)".replace("-", "−")
    text = f"{100 * found['effect']:+.2f} points (95% {100 * found['low']:+.2f} to {100 * found['high']:+.2f}, "
    return (text + f"n = {found['n']:.0f})").replace("-", "−")


def rewound() -> str:
    """Late rewinding against going back to the initial weights, at a few sizes."""
    study = Study(notebook=catalogue.FIGURES["beyond-rewind"].notebook)
    return (
        NOT_YET.format("beyond-rewind")
        if study.lacking("beyond-rewind")
        else told_rewound(study.table("beyond-rewind"))
    )


def told_rewound(table: pd.DataFrame) -> str:
    """Test accuracy at early stopping: tickets rewound to a later iteration minus those rewound to 0."""
    tickets = table[(table["arm"] == "ticket") & (table["round"] > 0)]
    late = sorted(set(tickets["rewind"]) - {0})
    rounds = sorted(set(tickets.loc[tickets["rewind"] == 0, "round"]))
    shown = [rounds[i] for i in np.unique(np.linspace(0, len(rounds) - 1, 5).round().astype(int))]
    lines = [
        f"| weights left | rewound to {' | rewound to '.join(f'{k:,}' for k in late)} |",
        "|---:|" + "---:|" * len(late),
    ]
    for r in shown:
        here = tickets[tickets["round"] == r]
        cells = [compared(here, "stop_test", {"rewind": k}, {"rewind": 0}) for k in late]
        lines.append(f"| {100 * here['density'].iat[0]:.3g}% | {' | '.join(cells)} |")
    return "Test accuracy at early stopping, later rewinding minus rewinding to 0:\n\n" + "\n".join(lines)


def disagreeing() -> str:
    """What each common mistake does to the accuracy of tickets, at the sparsest measured size."""
    study = Study(notebook=catalogue.FIGURES["beyond-mistakes"].notebook)
    if study.lacking("beyond-mistakes"):
        return NOT_YET.format("beyond-mistakes")
    return told_disagreeing(study.table("beyond-mistakes"))


def told_disagreeing(table: pd.DataFrame) -> str:
    """Test accuracy at early stopping of each mistake's tickets, minus that of the method's."""
    from lth_core.mistakes import MISTAKES

    tickets = table[(table["arm"] == "ticket") & (table["round"] > 0)]
    last = tickets[tickets["round"] == tickets["round"].max()]
    lines = [f"| mistake | test accuracy at {100 * last['density'].iat[0]:.3g}%, against the method |", "|---|---:|"]
    for name, steps in MISTAKES.items():
        if (last["search"] == name).any():
            lines.append(f"| {steps.label} | {compared(last, 'stop_test', {'search': name}, {'search': 'reset'})} |")
    return "\n".join(lines)
