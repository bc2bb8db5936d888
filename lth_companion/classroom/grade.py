"""Grades of handed-in exercises: points, and a sentence for each check that failed.

python -m lth_core grade FILE...     notebooks or folders of notebooks; writes grades.csv and says what it found
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth_companion.classroom import handed_in
from lth_companion.classroom.handed_in import Notebook
from lth_companion.classroom.sandbox import ENDED, TOO_LONG, Ended, Limits, run
from lth_companion.classroom.without_solutions import tags
from lth_core.atomic_files import replaced
from lth_core.errors import StoreError, UsageError, one_line

LONGEST = 300  # characters of an error's text that a remark repeats


@dataclass(frozen=True)
class Grade:
    """What one file got. `remarks`: a sentence for each check that failed."""

    file: str
    exercise: str
    points: int
    of: int
    remarks: tuple[str, ...]
    seconds: float = 0.0


def graded(path: Path, known: Mapping[str, Notebook], limits: Limits) -> Grade:
    """The grade of one file, whatever is in it."""
    began = time.monotonic()
    try:
        made = handed_in.read(path)
        name = handed_in.which(made, known)
    except UsageError as error:
        return Grade(path.name, "", 0, 0, (str(error),))
    notebook = handed_in.assembled(known[name], made)
    points, of, remarks = judged(notebook, known[name], run(notebook, limits), limits)
    return Grade(path.name, name, points, of, tuple(remarks), round(time.monotonic() - began, 1))


def judged(
    notebook: Notebook, exercise: Notebook, ended: Sequence[Ended], limits: Limits
) -> tuple[int, int, list[str]]:
    """Points, possible points, and a sentence for each check that failed, from how the cells ended."""
    how = {one.cell: one for one in ended}
    stubs = {cell["id"]: handed_in.text(cell) for cell in exercise["cells"] if cell["cell_type"] == "code"}
    points, of, remarks = 0, 0, []
    answers: list[str] = []  # since the last check
    for cell in notebook["cells"]:
        if "exercise" in tags(cell):
            answers.append(cell["id"])
            continue
        if "check" not in tags(cell):
            continue
        worth = cell["metadata"]["nbgrader"]["points"]
        found = how.get(cell["id"])
        of += worth
        if found and not found.error:
            points += worth
        else:
            empty = [a for a in answers if handed_in.text(_by_id(notebook, a)).strip() == stubs[a].strip()]
            said = "not answered" if empty else _why([how.get(a) for a in answers], found, limits)
            asked = ", ".join(sorted(handed_in.names(_by_id(exercise, answers[0])))) if answers else "the whole"
            remarks.append(one_line(f"{asked} ({worth} points lost): {said}."))
        answers = []
    return points, of, remarks


def _by_id(notebook: Notebook, name: str) -> dict[str, Any]:
    return next(cell for cell in notebook["cells"] if cell["id"] == name)


def _why(answers: Sequence[Ended | None], check: Ended | None, limits: Limits) -> str:
    """Why a check failed, without a full stop."""
    for own in answers:
        if own is not None and own.error:
            return f"the answer itself does not run, {_error(own)}"
    if check is None:
        return f"never reached within {limits.total} s"
    if check.error == "AssertionError":
        return check.message[:LONGEST].rstrip(".") or "wrong"
    before = ", perhaps for what failed before" if check.error == "NameError" else ""
    return f"the check stops, {_error(check)}{before}"


def _error(ended: Ended) -> str:
    if ended.error in (TOO_LONG, ENDED) and ended.message.startswith("it "):
        return ended.message
    return f"{ended.error}: {ended.message[:LONGEST]}".rstrip(".: ")


def write(grades: Sequence[Grade], target: Path) -> None:
    """A table for a spreadsheet, one row a file. No cell begins as a formula does."""
    with replaced(target) as partial, open(partial, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(["file", "exercise", "points", "of", "seconds", "remarks"])
        for g in grades:
            name = one_line(g.file)
            safe = f"'{name}" if name[:1] in "=+-@" else name
            table.writerow([safe, g.exercise, g.points, g.of, g.seconds, " ".join(g.remarks)])


def files(given: Sequence[Path]) -> list[Path]:
    """Notebooks, and those of folders; UsageError where there are none, or one that was named is not there. What a
    folder has and nobody can read, such as a link to nothing, is graded as such: it is one student's."""
    if missing := [str(one) for one in given if not one.exists()]:
        raise UsageError(f"{missing[0]} does not exist.")
    found = [p for one in given for p in (sorted(one.rglob("*.ipynb")) if one.is_dir() else [one])]
    found = [p for p in found if ".ipynb_checkpoints" not in p.parts]
    if not found:
        raise UsageError(f"{', '.join(map(str, given))}: there is no notebook (*.ipynb) in it.")
    return found


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m lth_core grade", description="Grade handed-in exercises.")
    parser.add_argument("files", nargs="+", type=Path, metavar="FILE", help="notebooks, or folders of them")
    parser.add_argument("--out", type=Path, default=Path("grades.csv"), help="table to write (default: grades.csv)")
    parser.add_argument("--seconds", type=int, default=Limits.seconds, help="of one cell, at most")
    parser.add_argument("--total", type=int, default=Limits.total, help="seconds of one notebook, at most")
    parser.add_argument("--memory", type=int, default=Limits.memory, help="MB of a notebook's process, at most")
    parser.add_argument("--jobs", type=int, default=1, help="notebooks at once")
    options = parser.parse_args(arguments)
    limits = Limits(seconds=options.seconds, total=options.total, memory=options.memory)
    try:
        found, known = files(options.files), handed_in.exercises()
    except UsageError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 2
    grades: list[Grade] = []
    try:
        _grade_all(found, known, limits, options.jobs, grades)
    except StoreError as error:  # of this machine, not of what was handed in
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 1
    write(grades, options.out)
    print(options.out)
    return 0


def _grade_all(
    found: Sequence[Path], known: Mapping[str, Notebook], limits: Limits, jobs: int, grades: list[Grade]
) -> None:
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        for grade in pool.map(lambda path: graded(path, known, limits), found):
            grades.append(grade)
            remarks = "".join(f"\n  {one_line(remark)}" for remark in grade.remarks)
            points = f"{grade.points} of {grade.of} points, {grade.exercise or 'no exercise'}"
            print(f"{one_line(grade.file)}: {points}{remarks}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
