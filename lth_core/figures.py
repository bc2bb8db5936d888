"""The papers' panels for iterative and one-shot pruning, drawn from tidy tables (see `study.Study.table`)."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import escape
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lth_core import analyse, plot
from lth_core.models import weight_count
from lth_core.protocols import ONCE
from lth_core.spec import Spec
from lth_core.study import Study

NAMES = {
    "unpruned": "unpruned network", "ticket": "winning ticket", "reinit": "reinitialised", "shuffle": "shuffled",
    "random_sparsity": "random sparse network", "reinit_from_ticket": "redrawn from the ticket",
    "noise": "ticket plus noise", "prune_at_init": "pruned before training", "continued": "training continued",
}  # fmt: skip
DATA = {"mnist": "MNIST", "cifar10": "CIFAR-10"}  # the papers' own
AXES = {
    "stop_iteration": "early-stopping iteration", "stop_test": "test accuracy at early stopping",
    "stop_val": "validation accuracy at early stopping", "stop_train": "training accuracy at early stopping",
    "end_test": "test accuracy at the end", "end_train": "training accuracy at the end",
    "convergence_iteration": "convergence iteration", "convergence_test": "test accuracy at convergence",
    "converged": "share of networks that converge",
}  # fmt: skip
FIELDS = {
    "lr": "learning rate", "init_sd": "initial standard deviation", "prune_fc": "pruned per round",
    "arch": "hidden units",
}  # fmt: skip
X = {
    "density": "percent of weights remaining", "hidden": "percent of hidden weights left",
    "weights": "weights remaining",
}  # fmt: skip
SHADES: list[Any] = ["-", (0, (6, 2)), (0, (2, 1.5)), (0, (1, 1))]  # dashes of an arm's first, second, ... line
Pick = Callable[[pd.DataFrame], pd.DataFrame]


def iterative(table: pd.DataFrame, rate: float = 0.2) -> pd.DataFrame:
    """Networks of iterative pruning at `rate` per round, the unpruned ones with them."""
    return table[(table["round"] == 0) | np.isclose(table["prune_fc"], rate)]


def one_shot(table: pd.DataFrame) -> pd.DataFrame:
    """Networks pruned once, the unpruned ones with them."""
    return table[table["round"] <= 1]


def of_arm(table: pd.DataFrame, arm: str, **fields: object) -> pd.DataFrame:
    """One arm with the unpruned networks as its first point."""
    for name, value in fields.items():
        table = table[(table["round"] == 0) | (table[name] == value)]
    return table[(table["round"] == 0) | (table["arm"] == arm)]


def against_density(
    ax: Axes, table: pd.DataFrame, column: str, arms: dict[str, str] | list[str], *, reference: bool = True, **look: Any
) -> None:
    """Mean over trials against percent of weights remaining, one line an arm.

    Bars span the trials' smallest and largest value, as in the papers; the band is the mean's 95% bootstrap interval.
    """
    unpruned = table.loc[table["round"] == 0, column].mean()
    for arm in arms:
        name = arms[arm] if isinstance(arms, dict) else NAMES[arm]
        part = analyse.spread(of_arm(table, arm), column, ["density"]).sort_values("density", ascending=False)
        x = 100 * part["density"]
        plot.line(ax, x, part["mean"], part["low"], part["high"], arm=arm, band=True, label=name, **look)
        ax.vlines(x, part["min"], part["max"], color=plot.COLORS[arm], linewidth=1.1, alpha=0.7)
    if reference:
        ax.axhline(
            unpruned, color=plot.INK, linewidth=1, linestyle=(0, plot.ARMS["unpruned"][3]), label=NAMES["unpruned"]
        )
    ax.set_ylabel(AXES[column])
    plot.percent_axis(ax, sorted({round(100 * d, 3) for d in table["density"]}))


def zoom(ax: Axes, table: pd.DataFrame, column: str, below: float = 0.02) -> None:
    """The paper's view of accuracies: the top, down to `below` under the unpruned mean. Of other columns, all."""
    if not column.endswith(("test", "val", "train")):
        return
    reference = table.loc[table["round"] == 0, column].mean()
    top = table.groupby(["density", "arm"])[column].mean().max()
    if np.isfinite(reference) and np.isfinite(top):
        ax.set_ylim(reference - below, top + below / 3)


def scale_note(study: Study, figure: str) -> str:
    """How big the shown experiment is against the paper's, in one sentence for a caption."""
    from lth_core import paper

    here, there = study.scale(figure), paper.FIGURES[figure].paper
    rows = study.rows(figure)
    parts = [DATA.get(here.dataset, here.dataset), *counts(rows), *([here.precision] * (here.precision != "fp32"))]
    same = (here.trials, here.iterations, here.rounds, here.dataset, here.precision) == (
        there.trials, there.iterations, there.rounds, there.dataset, there.precision,
    )  # fmt: skip
    whose = "the main experiment's" if figure.startswith("beyond") else "the paper's"
    ended = len(rows) - len(study.possible(figure))
    lost = f" {ended} networks could not be made: an earlier round of theirs diverged." if ended else ""
    whole = paper.rows(figure)
    if (some := redraws(rows)) != (every := redraws(whole)):
        lost += f" Controls: {some} of {whose} {every} redraws of each ticket."
    if same:
        some = "".join(f", {at}" for at in fewer_rounds(rows, whole))
        return f"Scale: {whose} ({', '.join(parts)}){some}.{lost}"
    deepest = max(s.round for s in rows)
    parts += [f"{deepest} rounds"] * (deepest > 1)  # one-shot pruning has no rounds
    return f"Scale: {', '.join(parts)}; {whose}: {', '.join(counts(whole))}.{lost}"


def fewer_rounds(rows: list[Spec], whole: list[Spec]) -> list[str]:
    """Of which rounds a figure shows only some: "at 5 of 27 rounds", or by arm where these differ."""
    rounds: dict[str, tuple[int, int]] = {}
    for arm in dict.fromkeys(s.arm for s in rows if s.round):
        here, there = ({s.round for s in table if s.arm == arm} - {0} for table in (rows, whole))
        rounds[arm] = len(here), len(there)
    short = {arm: f"at {here} of {there} rounds" for arm, (here, there) in rounds.items() if here < there}
    if len(set(short.values())) == 1 and len(short) == len(rounds):
        return [*short.values()][:1]
    return [f"{NAMES[arm]} {at}" for arm, at in short.items()]


def redraws(rows: list[Spec]) -> str:
    """How often each control is drawn for a ticket: "1", or "2 to 3" where controls differ."""
    copies: dict[str, int] = {}
    for s in rows:
        if s.arm not in ONCE:
            copies[s.arm] = max(copies.get(s.arm, 0), s.replicate + 1)
    return " to ".join(f"{n}" for n in dict.fromkeys((min(copies.values()), max(copies.values())))) if copies else ""


def counts(rows: list[Spec]) -> list[str]:
    """Trials and iterations of networks: "1 to 2 trials", "20,000 to 30,000 iterations"."""
    trials: dict[str, set[int]] = {}
    for s in rows:
        trials.setdefault(s.arch, set()).add(s.trial)
    found = {"trial": {len(t) for t in trials.values()}, "iteration": {s.iterations for s in rows}}
    said = {name: " to ".join(f"{n:,}" for n in dict.fromkeys((min(v), max(v)))) for name, v in found.items()}
    return [f"{words} {name}{'s' * (words != '1')}" for name, words in said.items()]


def provenance(study: Study, table: pd.DataFrame) -> plot.Html:
    """Who made the networks of a figure, and the line that makes it again."""
    return plot.provenance(
        study.command,
        cells=f"{len(table)} networks, the first is {table['key'].iat[0]}",
        commit=", ".join(sorted(set(table["commit"]))),
        engine=", ".join(sorted(set(table["engine"]))),
        device=", ".join(sorted(set(table["device"]))),
        seconds=f"{table['seconds'].sum():,.0f} of training",
    )


def waiting(study: Study, figure: str, *, again: bool = False) -> plot.Html:
    """In place of a figure whose networks are not all measured yet: how many, and the line that measures them.

    `again`: another view of networks that the page has asked for already."""
    if again:
        return plot.Html(f"<p><em>Another view of {escape(figure)}, not measured yet.</em></p>", figure)
    from lth_core import costs

    lacking, rows = study.lacking(figure), study.possible(figure)
    iterations = sum(s.iterations for s in rows)
    command = f"python -m lth_core run {figure} --profile published && python -m lth_core publish {figure}"
    time = costs.estimate(s for s in rows if not study.source.has(s))
    text = (
        f"<p><strong>{escape(figure)} is not measured yet:</strong> {lacking:,} of {len(rows):,} networks are missing "
        f"({iterations:,} iterations in all). This line measures them:</p>"
        f'<div class="highlight"><pre style="white-space: pre-wrap">{escape(command)}</pre></div>'
        f"{f'<p>{escape(time)}</p>' if time else ''}"
    )
    return plot.Html(
        f'<div class="admonition note"><p class="admonition-title">Not measured yet</p>{text}</div>', figure
    )


def levelled(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The table with its possible x axes: percent of all weights, v1's percent of hidden weights, number of weights."""
    total = table["arch"].map(lambda a: weight_count(a, dataset))
    hidden = (100 * (1 - table["prune_fc"]) ** table["round"]).round(2)
    table = table.assign(hidden=hidden, weights=table["density"] * total, percent=100 * table["density"])
    if "convergence_iteration" in table:
        table = table.assign(converged=table["convergence_iteration"].notna().astype(float))
    return table


def natural(value: Any) -> tuple:
    """Sorting key: numbers inside names count as numbers (lenet-50-17 before lenet-100-34)."""
    return tuple(map(int, re.findall(r"\d+", value))) if isinstance(value, str) else (value,)


def namer(field: str) -> Callable[[Any], str]:
    """How values of a field are labelled."""
    return "{:.0%}".format if field.startswith("prune") else _shown


def _shown(value: Any) -> str:
    return value.removeprefix("lenet-") if isinstance(value, str) else f"{value:g}"
