"""Compare another implementation with our reference curves: what LeNet should find on MNIST, with tolerances.

python -m lth_core.reference TABLE.csv    exit 1 where they differ

TABLE.csv has one row a network: arm ("ticket" or "reinit"), round (cuts of 20%), trial, and any of the columns
stop_iteration, stop_test, end_test (accuracies as fractions). Its mean over trials agrees when it is no further from
ours than `tolerance`: the distance between our smallest and largest trial. `lth_companion.share.reference` makes the
curves.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lth_core import results
from lth_core.arms import ARMS
from lth_core.atomic_files import refuse_others
from lth_core.errors import StoreError, UsageError, one_line
from lth_core.results import manifest
from lth_core.results.published import absent

FILE = results.HERE / "reference" / "lenet-mnist.json"
MOST = 100_000_000  # bytes of a table: a million networks
COLUMNS = ("stop_iteration", "stop_test", "end_test")


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
    levels = read()[0]
    for level in levels.to_dict("records"):
        theirs = table[(table["arm"] == level["arm"]) & (table["round"] == level["round"])]
        for column in columns:
            x, ours = theirs.groupby("trial")[column].mean().dropna(), level[column]
            if len(x):
                near = abs(float(x.mean()) - ours["mean"]) <= ours["tolerance"] + 1e-9
                rows.append({"arm": level["arm"], "round": level["round"], "column": column, "theirs": float(x.mean()),
                             "ours": ours["mean"], "tolerance": ours["tolerance"], "agrees": bool(near)})  # fmt: skip
    if not rows:
        raise UsageError(
            f"the table has no number at any level of the reference: arms {', '.join(levels['arm'].unique())}, "
            f"rounds {', '.join(map(str, sorted(levels['round'].unique())))}."
        )
    return pd.DataFrame(rows, columns=["arm", "round", "column", "theirs", "ours", "tolerance", "agrees"])


def read() -> tuple[pd.DataFrame, dict[str, Any]]:
    """The published reference: its levels, one row an arm and round, and what it says about itself."""
    root = FILE.parent.parent
    if not root.is_dir():
        raise absent()
    made = manifest.document(root, str(FILE.relative_to(root)))
    try:
        odd = _odd(made["about"], made["levels"])
    except (KeyError, TypeError, AttributeError):
        odd = "a level or a number lacks"
    if odd:
        raise StoreError(f"{FILE} is missing or no reference ({odd}): restore it from git.")
    return pd.DataFrame(made["levels"]), made["about"]


def _odd(about: dict[str, Any], levels: list[dict[str, Any]]) -> str:
    """What is wrong with a reference ("" if nothing is): pages show its numbers, and anyone may have made it."""
    if not all(type(about[name]) is int and about[name] > 0 for name in ("trials", "iterations")):
        return "trials or iterations are no counts"
    for level in levels:
        density = level["density"]
        if level["arm"] not in ARMS or type(level["round"]) is not int or not _finite(density) or not 0 < density <= 1:
            return "a level is of no arm, round or density"
        for column in COLUMNS:
            if not all(_finite(level[column][name]) for name in ("mean", "min", "max", "tolerance")):
                return f"{column} is no number"
    return "" if levels else "it has no levels"


def _finite(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


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


def table(file: str) -> pd.DataFrame:
    """A table to compare, out of a file; what is no table of text is a `UsageError`."""
    try:
        refuse_others(Path(file))
        if Path(file).stat().st_size > MOST:
            raise ValueError(f"it is larger than {MOST:,} bytes")
        return pd.read_csv(file)
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read ({error.strerror or error}): name a table of one row a network."
        ) from error
    except ValueError as error:  # empty, not text, or rows of different lengths
        said = one_line(" ".join(str(error).split()))
        raise UsageError(f"{file} cannot be read as CSV ({said}): give a text file with one row a network.") from error


def main(arguments: list[str]) -> int:
    try:
        if not arguments:
            raise UsageError("give a table to compare: python -m lth_core.reference TABLE.csv.")
        found = compare(table(arguments[0]))
    except (UsageError, StoreError, OSError) as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 1 if isinstance(error, StoreError) else 2
    for row in found.itertuples():
        print(f"{row.arm:<7} round {row.round:>2} {row.column:<15} {row.theirs:>10.5g} {row.ours:>10.5g} "
              f"+-{row.tolerance:<8.4g} {'agrees' if row.agrees else 'DIFFERS'}")  # fmt: skip
    return int(found.empty or not np.all(found["agrees"]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
