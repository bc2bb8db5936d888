"""Grades of handed-in exercises: points, and a sentence for each check that failed.

python -m lth_core grade FILE...     notebooks or folders of notebooks; writes grades.csv and says what it found
"""

from __future__ import annotations

import argparse
import csv
import errno
import os
import re
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lth_companion.classroom import handed_in
from lth_companion.classroom.handed_in import Notebook
from lth_companion.classroom.own_names import Replaced
from lth_companion.classroom.sandbox import ENDED, TOO_LONG, Ended, Limits, run
from lth_companion.classroom.without_solutions import tags
from lth_core.atomic_files import replaced, unwritable
from lth_core.errors import StoreError, UsageError, one_line

LONGEST = 300  # characters of an error's text that a remark repeats
PACKED = (".zip", ".tar", ".gz", ".tgz", ".7z", ".rar")
OTHERS = (".py", ".html", ".htm", ".pdf", ".json", ".doc", ".docx", ".odt")  # what is handed in for a notebook
HIDDEN = (".", "__MACOSX")  # how names of files begin that nobody handed in


@dataclass(frozen=True)
class Grade:
    """What one file got. `remarks`: a sentence for each check that failed."""

    file: str
    exercise: str
    points: int
    of: int
    remarks: tuple[str, ...]
    seconds: float = 0.0


def graded(path: Path, known: Mapping[str, Notebook], limits: Limits, shown: str = "") -> Grade:
    """The grade of one file, whatever is in it; `shown`: what the table calls it."""
    began, shown = time.monotonic(), shown or path.name
    try:
        made = handed_in.read(path)
        name = handed_in.which(made, known)
    except UsageError as error:
        return Grade(shown, "", 0, 0, (str(error),))
    notebook = handed_in.assembled(known[name], made)
    points, of, remarks = judged(notebook, known[name], run(handed_in.guarded(notebook), limits), limits)
    return Grade(shown, name, points, of, tuple(remarks), round(time.monotonic() - began, 1))


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
    if check.error in ("AssertionError", Replaced.__name__):
        return check.message[:LONGEST].rstrip(".") or "wrong"
    before = ", perhaps for what failed before" if check.error == "NameError" else ""
    return f"the check stops, {_error(check)}{before}"


def _error(ended: Ended) -> str:
    if ended.error in (TOO_LONG, ENDED) and ended.message.startswith("it "):
        return ended.message
    return f"{ended.error}: {ended.message[:LONGEST]}".rstrip(".: ")


def write(grades: Sequence[Grade], target: Path) -> None:
    """A table for a spreadsheet, one row a file, with the mark of UTF-8 without which Excel spoils names. No cell
    begins as a formula does, also where semicolons part cells."""
    with replaced(target) as partial, open(partial, "w", newline="", encoding="utf-8-sig") as file:
        table = csv.writer(file)
        table.writerow(["file", "exercise", "points", "of", "seconds", "remarks"])
        for g in grades:
            remarks = " ".join(g.remarks)
            table.writerow([no_formula(one_line(g.file)), g.exercise, g.points, g.of, g.seconds, no_formula(remarks)])


def kept(grades: Sequence[Grade], target: Path) -> Path | None:
    """Where an earlier table was moved that says something else, such as a teacher's own points or other students';
    None where there is none, or one that says the same but for seconds."""
    if not target.is_file():
        return None
    with tempfile.TemporaryDirectory() as folder:
        write(grades, new := Path(folder, "new.csv"))
        if _said(target) == _said(new):
            return None
    when = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(target.stat().st_mtime))
    names = (f"{target.stem}-{when}{again}{target.suffix}" for again in ("", *(f"-{n}" for n in range(2, 1000))))
    aside = next(path for name in names if not os.path.lexists(path := target.with_name(name)))
    os.rename(target, aside)
    return aside


def _said(table: Path) -> list[tuple[str, ...]] | bytes:
    """Cells of a table without the column of seconds; its bytes where they are no table."""
    data = table.read_bytes()
    try:
        rows = list(csv.reader(data.decode("utf-8-sig").splitlines()))
        seconds = rows[0].index("seconds")
    except (ValueError, IndexError, csv.Error):
        return data
    return [tuple(row[:seconds] + row[seconds + 1 :]) for row in rows]


def no_formula(text: str) -> str:
    """A text with a mark before what a spreadsheet would compute, where it begins or follows a semicolon."""
    return re.sub(r"(^|;)(?=\s*\"?[=+@-])", r"\1'", text)


def files(given: Sequence[Path]) -> list[Path]:
    """What was handed in: the files that are named, and of folders all that is or may hold a notebook. UsageError where
    there is none, or one that was named is not there. What nobody can read, such as a link to nothing or a student's
    folder without a notebook, is graded as such: it is one student's."""
    if missing := [str(one) for one in given if not one.exists()]:
        raise UsageError(f"{missing[0]} does not exist.")
    found = [p for one in given for p in (_within(one) if one.is_dir() else [one])]
    if not found:
        raise UsageError(f"{', '.join(map(str, given))}: there is no notebook (*.ipynb) in it.")
    return found


def _within(folder: Path) -> list[Path]:
    """Notebooks, archives, folders that cannot be read, students' folders that hold none of these, and what lies among
    those in place of a notebook."""
    unread: list[OSError] = []
    found: set[Path] = set()
    for where, folders, names in os.walk(folder, onerror=unread.append):
        folders[:] = [name for name in folders if not name.startswith(HIDDEN)]
        for name in (*names, *folders):
            if not name.startswith(HIDDEN) and (".ipynb" in name.lower() or name.lower().endswith(PACKED)):
                found.add(Path(where, name))
    found |= {Path(error.filename) for error in unread}
    there = [one for one in folder.iterdir() if not one.name.startswith(HIDDEN)]
    found |= {one for one in there if one.name.lower().endswith(OTHERS) and not one.is_dir()}
    own = {one for one in there if one.is_dir()}
    return sorted(found | {one for one in own if not any(p.is_relative_to(one) for p in found)})


def shown(found: Sequence[Path]) -> list[str]:
    """What the table calls files: their paths from the folder that they share. Two students' may have one name."""
    shared = os.path.commonpath([os.path.abspath(p.parent) for p in found])
    return [os.path.relpath(os.path.abspath(p), shared) for p in found]


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
        for name in ("seconds", "total", "memory", "jobs"):
            if (value := getattr(options, name)) < 1:
                raise UsageError(f"--{name} {value} must be at least 1.")
        found, known = files(options.files), handed_in.exercises()
    except UsageError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 2
    grades: list[Grade] = []
    try:
        refuse_unwritable(options.out)  # now, and not when all are graded
        try:
            _grade_all(found, known, limits, options.jobs, grades)
        finally:  # also what was graded before this machine failed, or somebody stopped it
            if grades:
                if earlier := kept(grades, options.out):
                    print(f"an earlier table says something else: it is now {earlier}")
                write(grades, options.out)
                print(options.out)
    except StoreError as error:  # of this machine, not of what was handed in
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 1
    return 0


def refuse_unwritable(target: Path) -> None:
    """StoreError if a table cannot be written."""
    try:
        if target.is_dir():
            raise OSError(errno.EISDIR, "it is a folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        raise unwritable(target, error) from None


def _grade_all(
    found: Sequence[Path], known: Mapping[str, Notebook], limits: Limits, jobs: int, grades: list[Grade]
) -> None:
    with ThreadPoolExecutor(max(1, jobs)) as pool:
        try:
            for grade in pool.map(
                lambda one: graded(one[0], known, limits, one[1]), zip(found, shown(found), strict=True)
            ):
                grades.append(grade)
                remarks = "".join(f"\n  {one_line(remark)}" for remark in grade.remarks)
                points = f"{grade.points} of {grade.of} points, {grade.exercise or 'no exercise'}"
                print(f"{one_line(grade.file)}: {points}{remarks}", flush=True)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


if __name__ == "__main__":
    sys.exit(main())
