"""The answer key for teachers: each question's solution, its points, and what its check prints on the executed page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.classroom.without_solutions import SOURCES, solutions, tags


def text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def printed(page: Path) -> dict[str, str]:
    """Cell -> what it prints, of an executed page; empty where the page is not executed."""
    if not page.exists():
        return {}
    found = {}
    for cell in json.loads(page.read_text("utf-8"))["cells"]:
        outputs = [o for o in cell.get("outputs", []) if o["output_type"] == "stream" and o["name"] == "stdout"]
        found[cell["id"]] = "".join("".join(o["text"]) for o in outputs).strip()
    return found


def questions(source: dict[str, Any], said: dict[str, str]) -> list[str]:
    """Markdown of one exercise: its headings, solutions, points and expected results."""
    lines: list[str] = []
    answers, heading = solutions(source), ""
    for cell in source["cells"]:
        if cell["cell_type"] == "markdown":
            heading = next((line for line in text(cell).splitlines() if line.startswith("## ")), heading)
        elif tags(cell) & {"exercise", "check"}:
            lines += [f"#{heading}", ""] if heading else []
            heading = ""
        if "exercise" in tags(cell):
            lines += ["```python", "".join(answers[cell["id"]]), "```", ""]
        elif "check" in tags(cell):
            points = cell["metadata"]["points"]
            lines += [f"{points} {'point' if points == 1 else 'points'}.", ""]
            if said.get(cell["id"]):
                lines += ["```text", said[cell["id"]], "```", ""]
    return lines


def key(sources: Path = SOURCES, pages: Path = ROOT / "book" / "teach") -> str:
    """The answers of all exercises as Markdown."""
    lines: list[str] = []
    for path in sorted(sources.glob("*.ipynb")):
        source = json.loads(path.read_text("utf-8"))
        title = text(source["cells"][0]).splitlines()[0].removeprefix("# ")
        total = sum(c["metadata"].get("points", 0) for c in source["cells"])
        lines += [f"## {title}", "", f"{total} points. The page: [{title}]({path.stem}).", ""]
        lines += questions(source, printed(pages / path.name))
    return "\n".join(lines)
