"""Reference curves: what another implementation should find on MNIST, as one small JSON file with tolerances.

python -m lth_core.reference              make results/reference/lenet-mnist.json and .svg from the published networks
python -m lth_core.reference TABLE.csv    compare another implementation's networks with it (exit 1 where they differ)

TABLE.csv has one row a network: arm ("ticket" or "reinit"), round (cuts of 20%), trial, and any of the columns
stop_iteration, stop_test, end_test (accuracies as fractions). Its mean over trials agrees when it is no further from
ours than `tolerance`: the distance between our smallest and largest trial.
"""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from lth_core import analyse, figures, manifest, paper, plot, results
from lth_core.cell import StoreError
from lth_core.spec import UsageError
from lth_core.study import Study

FIGURE = "iclr-fig04"
FILE = results.HERE / "reference" / "lenet-mnist.json"
COLUMNS = {"stop_iteration": 1, "stop_test": 5, "end_test": 5}  # digits after the point
ARMS = ("ticket", "reinit")
LEARNING = (0, 3, 7, 12)  # rounds whose learning curves are kept


def make() -> dict[str, Any]:
    """The reference as it is written: `about`, `levels` (one an arm and round) and `learning` (test accuracy by
    iteration: mean, smallest and largest trial)."""
    study = Study(notebook=paper.FIGURES[FIGURE].notebook)
    table = figures.iterative(study.table(FIGURE))
    table = table[table["arm"].isin(ARMS)]
    scale = study.scale(FIGURE)
    about = {
        "what": "LeNet-300-100 on MNIST, iterative magnitude pruning of 20% a round (output layer 10%) with rewinding",
        "paper": "Frankle & Carbin, ICLR 2019, section 2, Figure 4",
        "trials": scale.trials, "iterations": scale.iterations, "rounds": scale.rounds,
        "commits": sorted(set(table["commit"])), "license": "MIT",
        "tolerance": "largest minus smallest trial; a mean over trials agrees within it",
        "units": {"stop_iteration": "minibatches of 60", "stop_test": "fraction right", "end_test": "fraction right"},
    }  # fmt: skip
    return {"about": about, "levels": _levels(table), "learning": _learning(study, table)}


def _levels(table: pd.DataFrame) -> list[dict[str, Any]]:
    rows = []
    for (arm, number), group in table.groupby(["arm", "round"], sort=True):
        row: dict[str, Any] = {"arm": arm, "round": int(number), "density": round(float(group["density"].iat[0]), 6)}
        for column, digits in COLUMNS.items():
            x = group.groupby("trial")[column].mean()
            low, high = round(float(x.min()), digits), round(float(x.max()), digits)
            row[column] = {
                "mean": round(float(x.mean()), digits), "min": low, "max": high,
                "tolerance": round(high - low, digits), "n": len(x),
            }  # fmt: skip
        rows.append(row)
    return rows


def _learning(study: Study, table: pd.DataFrame) -> list[dict[str, Any]]:
    wanted = table[(table["arm"] == "ticket") & table["round"].isin(LEARNING)].set_index("key")["round"]
    curves = study.curves(FIGURE)
    curves = analyse.accuracies(curves[curves["key"].isin(wanted.index)], study.on)
    rows = []
    for number, group in curves.groupby(curves["key"].map(wanted)):
        by = group.groupby("iteration")["test"].agg(["mean", "min", "max"]).iloc[::5]
        rows.append(
            {"arm": "ticket", "round": int(number), "iteration": by.index.tolist(),
             **{c: [round(float(v), 5) for v in by[c]] for c in by}}
        )  # fmt: skip
    return rows


def text() -> str:
    """The reference as its file has it, one level a line so that a change is seen."""
    made = make()
    parts = [f'"about": {json.dumps(made["about"], indent=1)}']
    for name in ("levels", "learning"):
        parts.append(f'"{name}": [\n' + ",\n".join(json.dumps(row) for row in made[name]) + "\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


def write() -> list[Path]:
    """Publish the reference with its picture; returns both files."""
    made, picture = text(), FILE.with_suffix(".svg")
    root = FILE.parent.parent
    drawn = draw(pd.DataFrame(json.loads(made)["levels"]))
    manifest.commit(root, {str(FILE.relative_to(root)): made.encode(), str(picture.relative_to(root)): drawn})
    return [FILE, picture]


def draw(levels: pd.DataFrame) -> bytes:
    """The main result as one picture for the README, on white."""
    made = io.BytesIO()
    with plot.mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "lth"}):
        metadata = {"Date": None, "Creator": None}
        _picture(levels).savefig(made, format="svg", facecolor="white", metadata=metadata)
    return made.getvalue()


def headline() -> str:
    """The same for the landing page, in the reader's colours (Markdown)."""
    levels, about = _read()
    means = {(r.arm, r.round): f"{100 * r.stop_test['mean']:.1f}%" for r in levels.itertuples()}
    shown = plot.show(
        _picture(levels),
        name="headline",
        alt="Test accuracy of LeNet-300-100 on MNIST against percent of weights remaining. At 21% of the weights "
        f"tickets reach {means['ticket', 7]}, the same connections with weights drawn again {means['reinit', 7]}; at "
        f"3.6% {means['ticket', 15]} and {means['reinit', 15]}. The whole network reaches {means['ticket', 0]}.",
        caption="<strong>The main result, measured here.</strong> LeNet-300-100 on MNIST, a fifth pruned in each "
        "round: test accuracy at the iteration of lowest validation loss, mean and range of "
        f"{about['trials']} trials of {about['iterations']:,} iterations.",
    )
    return f"\n{plot.in_markdown(shown)}\n"


def _read() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Levels and `about` of the published reference."""
    root = FILE.parent.parent
    made = manifest.document(root, str(FILE.relative_to(root)))
    if not isinstance(made, dict) or not {"levels", "about"} <= set(made):
        raise StoreError(f"{FILE} is missing or no reference: restore it from git.")
    return pd.DataFrame(made["levels"]), made["about"]


def _picture(levels: pd.DataFrame) -> Figure:
    """Accuracy against size, tickets and their control."""
    fig, ax = plot.canvas(width=7, height=3)
    whole = levels[levels["round"] == 0]["stop_test"].iat[0]["mean"]
    for arm, label in (("ticket", "winning tickets"), ("reinit", "the same connections, weights drawn again")):
        own = levels[((levels["arm"] == arm) | (levels["round"] == 0)) & (levels["density"] > 0.01)].sort_values(
            "round"
        )
        mean, low, high = ([100 * x[c] for x in own["stop_test"]] for c in ("mean", "min", "max"))
        plot.line(ax, 100 * own["density"], mean, low, high, arm=arm, label=label)
    ax.axhline(100 * whole, color=plot.INK, linewidth=1, linestyle=":", label="whole network")
    ax.set_ylim(100 * whole - 2.5, 100 * whole + 0.7)
    ax.set_ylabel("test accuracy, %")
    plot.percent_axis(ax, sorted(100 * levels.loc[levels["density"] > 0.01, "density"].unique()))
    ax.legend(loc="lower left")
    return fig


def compare(table: pd.DataFrame) -> pd.DataFrame:
    """Another implementation against the reference, one row an arm, round and column: theirs, ours, tolerance, agrees.

    `table`: one row a network, with arm, round, trial and any of `COLUMNS`: iterations, or accuracies as fractions.

    >>> compare(pd.DataFrame({"arm": ["ticket"], "round": [7], "trial": [0], "stop_test": [0.5]}))["agrees"].tolist()
    [False]
    """
    if missing := {"arm", "round", "trial"} - set(table):
        raise UsageError(
            f"the table lacks the columns {', '.join(sorted(missing))}: one row a network, with each of them."
        )
    columns = [c for c in COLUMNS if c in table]
    if not columns:
        raise UsageError(f"the table has none of the columns {', '.join(COLUMNS)}: give at least one.")
    table = table.assign(**{c: _numbers(table[c]) for c in columns})
    rows = []
    for level in _read()[0].to_dict("records"):
        theirs = table[(table["arm"] == level["arm"]) & (table["round"] == level["round"])]
        for column in columns:
            x, ours = theirs.groupby("trial")[column].mean().dropna(), level[column]
            if len(x):
                near = abs(float(x.mean()) - ours["mean"]) <= ours["tolerance"] + 1e-9
                rows.append({"arm": level["arm"], "round": level["round"], "column": column, "theirs": float(x.mean()),
                             "ours": ours["mean"], "tolerance": ours["tolerance"], "agrees": bool(near)})  # fmt: skip
    return pd.DataFrame(rows, columns=["arm", "round", "column", "theirs", "ours", "tolerance", "agrees"])


def _numbers(values: pd.Series) -> pd.Series:
    """A column as numbers; an empty place stays empty."""
    numbers = pd.to_numeric(values, errors="coerce")
    wrong = values[numbers.isna() & values.notna()]
    if len(wrong):
        raise UsageError(
            f"{values.name} = {wrong.iat[0]!r} is not a number: give accuracies as fractions, such as 0.97, and "
            "iterations without a unit."
        )
    return numbers


def _table(file: str) -> pd.DataFrame:
    try:
        return pd.read_csv(file)
    except ValueError as error:  # empty, not text, or rows of different lengths
        said = " ".join(str(error).split())
        raise UsageError(f"{file} cannot be read as CSV ({said}): give a text file with one row a network.") from error


def main(arguments: list[str]) -> int:
    try:
        if not arguments:
            print(*write(), sep="\n")
            return 0
        found = compare(_table(arguments[0]))
    except (UsageError, StoreError, OSError) as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 1 if isinstance(error, StoreError) else 2
    for row in found.itertuples():
        print(f"{row.arm:<7} round {row.round:>2} {row.column:<15} {row.theirs:>10.5g} {row.ours:>10.5g} "
              f"+-{row.tolerance:<8.4g} {'agrees' if row.agrees else 'DIFFERS'}")  # fmt: skip
    return int(found.empty or not np.all(found["agrees"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
