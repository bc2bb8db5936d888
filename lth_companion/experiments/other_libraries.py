"""What other libraries that offer lottery tickets were seen to do (`results/libraries.json`), as tables."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lth_core.results import manifest
from lth_core.results.manifest import Damaged
from lth_core.results.published import HERE
from lth_core.untrusted_text import faults

FILE = "libraries.json"
# A round: weights kept, all and by layer; of these, how many are the initial ones bit for bit; biases kept and back;
# steps that the optimizer remembers; the share that the library reports; pruned weights that training moved; right
# answers of 10,000 after it; seconds of the processor; right answers of the reinitialised control (lth_core alone).
ROUNDS = (
    "trial", "round", "kept", "fc1", "fc2", "out", "rewound", "biases", "biases_rewound", "steps", "reported", "grown",
    "correct", "seconds", "control",
)  # fmt: skip
SAVED = ("trial", "form", "says", "holds", "kept")  # a file: how masks are in it, the share it is named by, its weights
TEXTS = ("name", "versions", "when")
MAY_LACK = ("reported", "control", "says")
MOST = 10_000  # rows of one library


def libraries(root: str | Path | None = None) -> tuple[dict[str, Any], pd.DataFrame, pd.DataFrame]:
    """Who measured; rounds (`ROUNDS`) and saved files (`SAVED`), each row with its library's `TEXTS`. Empty where
    nothing is published."""
    folder = Path(root or HERE)
    found = manifest.document(folder, FILE)
    found = {"made": {}, "libraries": []} if found is None else found
    try:
        made, listed = dict(found["made"]), list(found["libraries"])
        odd = faults(made)
        tables: dict[str, list[dict[str, Any]]] = {"rounds": [], "saved": []}
        for library in listed:
            texts = {name: library[name] for name in TEXTS}
            odd = odd or faults(texts) or ("" if all(isinstance(t, str) for t in texts.values()) else "a text is none")
            for name, columns in (("rounds", ROUNDS), ("saved", SAVED)):
                values = {c: list(library[name][c]) for c in columns}
                if odd := odd or _columns(values):
                    break
                tables[name] += [
                    {**texts, **dict(zip(columns, row, strict=True))} for row in zip(*values.values(), strict=True)
                ]
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{folder / FILE} is no comparison of libraries: {manifest.remedy(FILE)}.") from error
    if odd:
        raise Damaged(f"{folder / FILE} cannot be shown ({odd}): {manifest.remedy(FILE)}.")
    rounds, saved = (pd.DataFrame(tables[n], columns=[*TEXTS, *c]) for n, c in (("rounds", ROUNDS), ("saved", SAVED)))
    return made, rounds, saved


def _columns(values: dict[str, list[Any]]) -> str:
    """What is wrong with columns of a library: their lengths, or a value that is no number where one must be."""
    if len({len(v) for v in values.values()}) != 1 or len(next(iter(values.values()))) > MOST:
        return "its columns differ in length or are too long"
    for name, column in values.items():
        for value in column:
            if found := faults({name: value}):
                return found
            if value is None and name in MAY_LACK:
                continue
            if name == "form" and not isinstance(value, str):
                return "form is no text"
            if name != "form" and (isinstance(value, bool) or not isinstance(value, int | float)):
                return f"{name} is no number"
    return ""
