"""What the fault tests tried, as they tell it themselves: one line a fault in _build/faults.jsonl.

python tests/help/record.py    writes the last whole run's lines into the table of book/faults.md
"""

from __future__ import annotations

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "_build" / "faults.jsonl"
PAGE = ROOT / "book" / "faults.md"
START, END = "<!-- faults: written by tests/help/record.py -->\n", "<!-- end of faults -->\n"
GROUPS = ("Stopped", "Several at once", "Disk", "Data", "Device and numbers", "Hostile input", "Any input", "Damage")


def tried(group: str, fault: str, times: int, happened: str) -> None:
    """Note that a fault was tried so often and what came of it."""
    assert group in GROUPS
    FILE.parent.mkdir(exist_ok=True)
    with FILE.open("a") as f:
        f.write(json.dumps({"group": group, "fault": fault, "times": times, "happened": happened}) + "\n")


def table() -> str:
    """The noted faults as Markdown, each once (its last run), by group."""
    noted: dict[tuple[str, str], dict] = {}
    for line in FILE.read_text().splitlines():
        row = json.loads(line)
        noted[row["group"], row["fault"]] = row
    rows = sorted(noted.values(), key=lambda r: (GROUPS.index(r["group"]), r["fault"]))
    head = ["| Kind | Fault | Tried | What happened |", "|---|---|---:|---|"]
    lines = []
    for r in rows:
        lines.append(f"| {r['group']} | {r['fault']} | {r['times']:,} | {r['happened']} |")
    return "\n".join(head + lines) + "\n"


if __name__ == "__main__":
    text = PAGE.read_text()
    before, rest = text.split(START)
    PAGE.write_text(before + START + "\n" + table() + "\n" + END + rest.split(END)[1])
