"""What the fault tests tried, as they tell it themselves: one line a fault in _build/faults.jsonl.

python tests/help/record.py    adds the last run's lines to faults.json, and writes the tables of book/faults.md from it

A line stays until its test tells it anew; lines of tests that are no more go.
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "_build" / "faults.jsonl"
KEPT = Path(__file__).with_name("faults.json")
PAGE = ROOT / "book" / "faults.md"
START, END = "<!-- faults: written by tests/help/record.py -->\n", "<!-- end of faults -->\n"
GROUPS = ("Stopped", "Several at once", "Disk", "Data", "Device and numbers", "Hostile input", "Any input", "Damage")
OUTCOMES = ("refused", "harmless", "silent", "traceback")
Row = dict[str, Any]


def tried(group: str, fault: str, times: int, happened: str = "", counts: Mapping[str, int] | None = None) -> None:
    """Note that a fault was tried so often and what came of it: in words, or how often what (`OUTCOMES`)."""
    assert group in GROUPS
    test = os.environ["PYTEST_CURRENT_TEST"].split(" ")[0].partition("[")[0]
    FILE.parent.mkdir(exist_ok=True)
    row = {"group": group, "fault": fault, "times": times, "happened": happened, "counts": counts, "test": test}
    with FILE.open("a") as f:
        f.write(json.dumps(row) + "\n")


@lru_cache
def tests_in(file: str) -> frozenset[str]:
    """Names of the test functions of a file, none where it is no more."""
    path = ROOT / file
    body = ast.parse(path.read_text("utf-8")).body if path.is_file() else []
    return frozenset(x.name for x in body if isinstance(x, ast.FunctionDef) and x.name.startswith("test_"))


def exists(test: str) -> bool:
    file, _, name = test.partition("::")
    return name in tests_in(file)


def kept() -> list[Row]:
    return json.loads(KEPT.read_text("utf-8")) if KEPT.exists() else []


def joined(before: list[Row], told: list[Row]) -> list[Row]:
    """The faults, each once. What a test told last replaces all that it told before, in this run or an earlier one."""
    again = {row["test"] for row in told}
    noted: dict[tuple[str, str], Row] = {}
    for row in [*(r for r in before if r["test"] not in again), *told]:
        key = row["group"], row["fault"]
        other = noted.get(key, row)  # a short and a long test try the same: the one that tried more is told
        if exists(row["test"]) and (other["test"] == row["test"] or other["times"] <= row["times"]):
            noted[key] = row
    return sorted(noted.values(), key=lambda r: (GROUPS.index(r["group"]), r["fault"]))


def tables(rows: list[Row]) -> str:
    """The noted faults as Markdown: those told in words, and those that are counts."""
    words = [f"| {r['group']} | {r['fault']} | {r['times']:,} | {r['happened']} |" for r in rows if not r["counts"]]
    counted = [r for r in rows if r["counts"]]
    totals = {o: sum(r["counts"].get(o, 0) for r in counted) for o in OUTCOMES}
    every = {"group": "All", "fault": "", "times": sum(r["times"] for r in counted), "counts": totals}
    counts = [
        f"| {r['group']} | {r['fault']} | {r['times']:,} | "
        + " | ".join(f"{r['counts'].get(o, 0):,}" for o in OUTCOMES) + " |"
        for r in [*counted, *([every] if counted else [])]
    ]  # fmt: skip
    heads = (
        ["| Kind | Fault | Tried | What happened |", "|---|---|---:|---|"],
        ["| Kind | Fault | Tried | Refused | Harmless | Silent | Traceback |", "|---|---|---:|---:|---:|---:|---:|"],
    )
    return "\n\n".join("\n".join([*head, *lines]) for head, lines in zip(heads, (words, counts), strict=True)) + "\n"


def on_the_page(text: str, rows: list[Row]) -> str:
    before, rest = text.split(START)
    return before + START + "\n" + tables(rows) + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    told = [json.loads(line) for line in FILE.read_text("utf-8").splitlines()] if FILE.exists() else []
    rows = joined(kept(), [row for row in told if "test" in row])
    KEPT.write_text(json.dumps(rows, indent=1) + "\n", "utf-8")
    PAGE.write_text(on_the_page(PAGE.read_text("utf-8"), rows), "utf-8")
