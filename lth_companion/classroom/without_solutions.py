"""Exercises for students: one source notebook each, whose tags say what a student sees.

notebooks/teach/X.ipynb   the source: `exercise` cells are stubs, `solution` cells answer the stub before them, `check`
                          cells tell a student whether it works; `book` cells are for the book's page alone
book/teach/X.ipynb        the source executed: solutions folded, made with the book
book/teach/student/       without solutions: what students download and fill in

Cells of students carry the metadata by which nbgrader knows what is to be filled in, and what gives how many points.

python -m lth_core student FOLDER     write the students' versions into FOLDER
"""

from __future__ import annotations

import argparse
import copy
import json
import sys
from pathlib import Path
from typing import Any

from lth_companion import ROOT

SOURCES = ROOT / "notebooks" / "teach"
TEACHERS = {"solution", "book"}  # tags of cells that students do not get


def tags(cell: dict[str, Any]) -> set[str]:
    return set(cell["metadata"].get("tags", []))


def nbgrader(cell: dict[str, Any]) -> dict[str, Any]:
    """What nbgrader (its format 3) wants to know of a cell: nothing unless it is an exercise or a check."""
    own = {
        "exercise": dict(grade=False, locked=False, solution=True),
        "check": dict(grade=True, locked=True, solution=False),
    }
    for tag in tags(cell) & set(own):
        points = {"points": cell["metadata"]["points"]} if tag == "check" else {}
        return {"nbgrader": {**own[tag], **points, "grade_id": cell["id"], "schema_version": 3, "task": False}}
    return {}


def student(source: dict[str, Any]) -> dict[str, Any]:
    """The student's version of a source notebook (nbformat 4 as read from JSON): no solutions, nothing folded away."""
    made = copy.deepcopy(source)
    made["cells"] = [c for c in made["cells"] if not tags(c) & TEACHERS]
    for cell in made["cells"]:
        kept = [t for t in cell["metadata"].get("tags", []) if not t.startswith(("hide-", "remove-"))]
        cell["metadata"] = {**({"tags": kept} if kept else {}), **nbgrader(cell)}
    return made


def solutions(source: dict[str, Any]) -> dict[str, Any]:
    """Id of each exercise -> the source of the solution that follows it."""
    found, asked = {}, ""
    for cell in source["cells"]:
        if "exercise" in tags(cell):
            asked = cell["id"]
        elif "solution" in tags(cell) and cell["cell_type"] == "code":
            if not asked:
                raise ValueError(f"solution {cell['id']} answers no exercise")
            found[asked], asked = cell["source"], ""
    return found


def filled_in(made: dict[str, Any], answers: dict[str, Any]) -> dict[str, Any]:
    """A student's version with these answers in place of its stubs, as a student would hand it in."""
    made = copy.deepcopy(made)
    for cell in made["cells"]:
        cell["source"] = answers.get(cell["id"], cell["source"])
    return made


def write(target: Path, sources: Path = SOURCES, keep: bool = False) -> list[Path]:
    """Write every student's version to `target` and remove those of exercises that are no more; with `keep` only what
    is not there, since somebody may have worked in the rest."""
    target.mkdir(parents=True, exist_ok=True)
    written = []
    for path in sorted(sources.glob("*.ipynb")):
        made = json.dumps(student(json.loads(path.read_text("utf-8"))), indent=1, ensure_ascii=False) + "\n"
        copy_of = target / path.name
        changed = not copy_of.exists() or (not keep and copy_of.read_text("utf-8") != made)
        if changed:  # else the book would be built again
            copy_of.write_text(made, "utf-8")
        written.append(copy_of)
    for path in () if keep else set(target.glob("*.ipynb")) - set(written):
        path.unlink()
    return written


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lth_core student", description="Write the exercises without their solutions."
    )
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    parser.add_argument("--keep", action="store_true", help="leave files that are there as they are")
    options = parser.parse_args(arguments)
    for one in write(options.folder, keep=options.keep):
        print(one)
    return 0


if __name__ == "__main__":
    sys.exit(main())
