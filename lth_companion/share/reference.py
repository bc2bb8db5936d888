"""Make the reference curves from the published networks: one small JSON file, and its picture for the README.

python -m lth_companion.share.reference    writes results/reference/lenet-mnist.json and .svg
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import vocabulary
from lth_companion.pages import landing
from lth_core import analyse
from lth_core.errors import StoreError
from lth_core.reference import FILE
from lth_core.results import manifest

FIGURE = "iclr-fig04"
DIGITS = {"stop_iteration": 1, "stop_test": 5, "end_test": 5}  # after the point
ARMS = ("ticket", "reinit")
LEARNING = (0, 3, 7, 12)  # rounds whose learning curves are kept


def make() -> dict[str, Any]:
    """The reference as it is written: `about`, `levels` (one an arm and round) and `learning` (test accuracy by
    iteration: mean, smallest and largest trial)."""
    study = Study(notebook=catalogue.FIGURES[FIGURE].notebook)
    table = vocabulary.iterative(study.table(FIGURE))
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
        for column, digits in DIGITS.items():
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
    drawn = landing.draw(pd.DataFrame(json.loads(made)["levels"]))
    manifest.commit(root, {str(FILE.relative_to(root)): made.encode(), str(picture.relative_to(root)): drawn})
    return [FILE, picture]


def main() -> int:
    try:
        print(*write(), sep="\n")
        return 0
    except (StoreError, OSError) as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
