"""Handed-in exercises are graded whatever is in them: seventeen, most of them wrong, and how each cell ended."""

from __future__ import annotations

import codecs
import copy
import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from lth_companion.classroom import grade, handed_in, without_solutions
from lth_companion.classroom.sandbox import Ended, Limits

XOR, BUGS = "1_xor_lottery", "4_find_the_bug"
KNOWN = handed_in.exercises()
LIMITS = Limits(seconds=90, total=1_500, memory=4_000)  # a busy machine takes its time
IMPATIENT = replace(LIMITS, seconds=40)  # what never ends, ends at the limit


def solved(name: str = BUGS) -> dict[str, Any]:
    """The student's version with the right answers."""
    source = json.loads((without_solutions.SOURCES / f"{name}.ipynb").read_text("utf-8"))
    return without_solutions.filled_in(without_solutions.student(source), without_solutions.solutions(source))


def answer(made: dict[str, Any], which: str, source: str) -> dict[str, Any]:
    """The hand-in with another answer in place of the one that defines `which`."""
    made = copy.deepcopy(made)
    cell = next(c for c in made["cells"] if "exercise" in without_solutions.tags(c) and which in handed_in.names(c))
    cell["source"] = source
    return made


def check_ids(name: str = BUGS) -> list[str]:
    return [c["id"] for c in KNOWN[name]["cells"] if "check" in without_solutions.tags(c)]


def anonymous(made: dict[str, Any]) -> dict[str, Any]:
    """As an editor saves it that knows neither ids nor metadata, with its own format."""
    made = copy.deepcopy(made)
    for cell in made["cells"]:
        cell.pop("id")
        cell["metadata"] = {"colab": 1}
    return {**made, "nbformat_minor": 0, "metadata": {}}


def cheat(made: dict[str, Any]) -> dict[str, Any]:
    """Nothing answered, every check made to pass, the given cells emptied, one cell twice."""
    made = copy.deepcopy(KNOWN[BUGS])
    for cell in made["cells"]:
        if cell["cell_type"] == "code" and "exercise" not in without_solutions.tags(cell):
            cell["source"] = "print('all right')"
    return {**made, "cells": [*made["cells"], made["cells"][-1]]}


def without(made: dict[str, Any], *kinds: str) -> dict[str, Any]:
    """The hand-in without its cells of these kinds, by tag."""
    return {**made, "cells": [c for c in made["cells"] if not without_solutions.tags(c) & set(kinds)]}


def extra(made: dict[str, Any], source: str) -> dict[str, Any]:
    """The hand-in with a cell of the student's own behind the imports."""
    cell = {"cell_type": "code", "id": "mine", "metadata": {}, "source": source, "outputs": [], "execution_count": None}
    return {**made, "cells": [*made["cells"][:4], cell, *made["cells"][4:]]}


def twice(made: dict[str, Any], which: str) -> dict[str, Any]:
    """The hand-in with the stub that defines `which` kept below its answer, as a copy: with its number."""
    cells = copy.deepcopy(made["cells"])
    at = next(i for i, c in enumerate(cells) if "exercise" in without_solutions.tags(c) and which in handed_in.names(c))
    stub = next(c for c in KNOWN[BUGS]["cells"] if c["id"] == cells[at]["id"])
    return {**made, "cells": [*cells[: at + 1], {**stub, "id": "copied"}, *cells[at + 1 :]]}


SMALLEST, ZERO = "the_smallest_magnitudes_go", "pruned_weights_stay_zero"
LOOP = f"def {SMALLEST}(made):\n    while True:\n        pass"
CRASH = f"import os\n\ndef {ZERO}(made):\n    os._exit(1)"
NOTHING = f"def {ZERO}(made):\n    pass"
KEY = f"def {ZERO}(made):\n    assert not made.rounds[0].trained['fc9.weight'].any()"
STRICT = f"def {ZERO}(made):\n    assert made.rounds[0].trained['fc1.weight'].any() == 0"
FILES = f"import os, shutil\n\ndef {ZERO}(made):\n    open('mine.csv', 'w').write('1')\n    shutil.rmtree(os.getcwd())"
ENDLESS = f"def {ZERO}(made):\n    return {ZERO}(made)"
HUNGRY = f"def {ZERO}(made):\n    return bytearray(10**13)"
SUMMED = "def at_least_one(p, tickets):\n    return p * tickets"
WRONG: dict[str, tuple[Callable[[dict[str, Any]], Any], int, tuple[str, ...]]] = {
    # what was handed in: points of 12, what the remarks say
    "untouched": (lambda _: KNOWN[BUGS], 0, ("the_smallest_magnitudes_go (2 points lost): not answered.",)),
    "loops": (lambda m: answer(m, SMALLEST, LOOP), 8, ("longer than 40 s", "the whole (2 points lost)")),
    "crashes": (lambda m: answer(m, ZERO, CRASH), 8, (f"{ZERO} (2 points lost): the check stops, it ended Python",)),
    "no Python": (lambda m: answer(m, ZERO, f"def {ZERO}(made)\n    pass"), 8, ("does not run, SyntaxError",)),
    "own mistake": (lambda m: answer(m, ZERO, KEY), 8, (f"your test {ZERO} has a mistake itself: it stops with Key",)),
    "too strict": (lambda m: answer(m, ZERO, STRICT), 8, (f"the right implementation fails {ZERO}",)),
    "finds nothing": (lambda m: answer(m, ZERO, NOTHING), 8, ("implementations pass all your tests",)),
    "writes files": (lambda m: answer(m, ZERO, FILES), 8, ("has a mistake itself: it stops with FileNotFoundError",)),
    "asks": (lambda m: answer(m, ZERO, "input('name?')"), 8, ("does not run, StdinNotImplementedError",)),
    "cheats": (cheat, 0, ("not answered",)),
    "no end": (lambda m: answer(m, ZERO, ENDLESS), 8, ("has a mistake itself: it stops with RecursionError",)),
    "too much memory": (lambda m: answer(m, ZERO, HUNGRY), 8, ("has a mistake itself: it stops with MemoryError",)),
    "checks deleted": (lambda m: without(answer(m, ZERO, NOTHING), "check"), 8, ("implementations pass all your",)),
    "own names": (lambda m: extra(m, "from numpy import *\nsum = len = print = 0"), 12, ()),
    "stub kept below": (lambda m: twice(m, ZERO), 12, ()),
    "library changed": (lambda m: extra(m, "exercises.fault = lambda test, seed: ''"), 0, ("exercises.fault, which",)),
    "wrong number": (lambda _: answer(solved(XOR), "at_least_one", SUMMED), 5, ("both fail in a quarter",)),
}  # fmt: skip


def handed(tmp_path: Path, made: Any, name: str = "=Übung 4 (fertig).ipynb") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(made), "utf-8")
    return path


@pytest.mark.slow
@pytest.mark.parametrize("what", WRONG)
def test_a_wrong_hand_in_gets_its_points_and_a_sentence(what: str, tmp_path: Path) -> None:
    make, points, said = WRONG[what]
    found = grade.graded(handed(tmp_path, make(solved())), KNOWN, IMPATIENT if what == "loops" else LIMITS)
    of = {BUGS: 12, XOR: 6}[found.exercise]
    assert (found.points, found.of) == (points, of), found
    remarks = " ".join(found.remarks)
    assert all(text in remarks for text in said), remarks
    assert [p.name for p in tmp_path.iterdir()] == ["=Übung 4 (fertig).ipynb"]


@pytest.mark.slow
def test_a_right_one_gets_all_under_any_name_and_without_ids(tmp_path: Path) -> None:
    found = grade.graded(handed(tmp_path, anonymous(solved())), KNOWN, LIMITS)
    assert (found.points, found.of, found.remarks) == (12, 12, ())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{", "this is no notebook"),
        ("[]", "this is no notebook"),
        ('{"nbformat": 3, "worksheets": []}', "this is no notebook"),
        ('{"nbformat": 4, "cells": [{"source": "x"}]}', "this is no notebook"),
        ('{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": []}', "none of the exercises 1_xor_lottery"),
    ],
)  # fmt: skip
def test_what_is_no_exercise_is_told(content: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(content)
    found = grade.graded(tmp_path / "a.ipynb", KNOWN, LIMITS)
    assert (found.points, found.of) == (0, 0) and said in found.remarks[0]


@pytest.mark.parametrize("coding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le"])
def test_a_notebook_is_read_in_the_coding_that_an_editor_gave_it(coding: str, tmp_path: Path) -> None:
    (tmp_path / "a.ipynb").write_text(json.dumps(solved(), ensure_ascii=False), coding)
    assert handed_in.read(tmp_path / "a.ipynb") == solved()


def test_an_error_without_text_is_named_alone() -> None:
    """As `sys.exit()` ends a cell."""
    exercise = KNOWN[BUGS]
    notebook = handed_in.assembled(exercise, solved())
    (asked, *_) = [c["id"] for c in notebook["cells"] if "exercise" in without_solutions.tags(c)]
    stopped = {asked: Ended(asked, "SystemExit"), check_ids()[0]: Ended(check_ids()[0], "NameError", "x")}
    ended = [stopped.get(c["id"], Ended(c["id"])) for c in notebook["cells"]]
    _, _, (remark,) = grade.judged(notebook, exercise, ended, LIMITS)
    assert remark.endswith("the answer itself does not run, SystemExit.")


@pytest.mark.parametrize("name", KNOWN)
def test_answers_go_between_the_exercises_own_cells(name: str) -> None:
    """Whatever became of ids, order and checks."""
    right = solved(name)
    wanted = [(c["id"], handed_in.text(c)) for c in right["cells"] if c["cell_type"] == "code"]
    for made in (right, anonymous(right), {**right, "cells": right["cells"][::-1]}):
        assert handed_in.which(made, KNOWN) == name
        cells = handed_in.assembled(KNOWN[name], made)["cells"]
        assert [(c["id"], handed_in.text(c)) for c in cells] == wanted


def test_a_students_own_cells_stay_where_they_stood() -> None:
    made = solved()
    at = next(i for i, c in enumerate(made["cells"]) if c["id"] == "4-07")
    helper = {"cell_type": "code", "id": "new", "metadata": {}, "source": "def mine(): pass", "outputs": []}
    made["cells"].insert(at, helper)
    ids = [c["id"] for c in handed_in.assembled(KNOWN[BUGS], made)["cells"]]
    assert ids.index(f"extra-{at}") == ids.index("4-07") - 1


def test_points_and_sentences_follow_from_how_cells_ended() -> None:
    exercise = KNOWN[BUGS]
    notebook = handed_in.assembled(exercise, solved())
    ended = [Ended(c["id"]) for c in notebook["cells"]]
    assert grade.judged(notebook, exercise, ended, LIMITS) == (12, 12, [])
    first, *_, last = check_ids()
    changed = {first: Ended(first, "AssertionError", "too\nlate"), last: Ended(last, "NameError", "name 'x'")}
    points, _, remarks = grade.judged(notebook, exercise, [changed.get(e.cell, e) for e in ended], LIMITS)
    assert points == 8 and remarks == [
        f"{SMALLEST} (2 points lost): too\\nlate.",
        "the whole (2 points lost): the check stops, NameError: name 'x', perhaps for what failed before.",
    ]
    points, _, remarks = grade.judged(notebook, exercise, ended[:-1], LIMITS)
    assert points == 10 and remarks == ["the whole (2 points lost): never reached within 1500 s."]


def test_the_table_has_a_row_a_file_and_no_formula(tmp_path: Path) -> None:
    grade.write([grade.Grade("=1+1.ipynb", BUGS, 3, 12, ("One, two.", "Three."), 4.0)], tmp_path / "grades.csv")
    rows = list(csv.reader((tmp_path / "grades.csv").read_text("utf-8-sig").splitlines()))
    assert rows[1] == ["'=1+1.ipynb", BUGS, "3", "12", "4.0", "One, two. Three."]


def test_a_spreadsheet_shows_names_as_they_are(tmp_path: Path) -> None:
    """Excel takes a table without the mark of its coding for one in its country's."""
    grade.write([grade.Grade("Zoë Müller 李.ipynb", BUGS, 3, 12, ())], tmp_path / "grades.csv")
    written = (tmp_path / "grades.csv").read_bytes()
    assert written.startswith(codecs.BOM_UTF8 + b"file,") and written.count(codecs.BOM_UTF8) == 1


def test_an_earlier_table_is_replaced_only_by_one_that_says_the_same(tmp_path: Path) -> None:
    """Teachers write into it, and grade a second class in the same folder."""
    table, of = tmp_path / "grades.csv", [grade.Grade("a.ipynb", BUGS, 3, 12, ("One.",), 4.0)]
    assert grade.kept(of, table) is None
    grade.write(of, table)
    assert grade.kept([replace(of[0], seconds=9.0)], table) is None and table.exists()
    others = [b"file,exercise\n", b"\xff\xfe", b"", table.read_bytes().replace(b",3,", b",5,")]
    for earlier in others:
        table.write_bytes(earlier)
        aside = grade.kept(of, table)
        assert aside is not None and aside.read_bytes() == earlier and not table.exists()
    assert len(list(tmp_path.glob("grades-*.csv"))) == len(others)


def test_nor_one_where_semicolons_part_cells(tmp_path: Path) -> None:
    grade.write([grade.Grade("a;=1+1;.ipynb", BUGS, 3, 12, ("f: ;=cmd|x;.",))], tmp_path / "grades.csv")
    (_, row) = csv.reader((tmp_path / "grades.csv").read_text("utf-8-sig").splitlines(), delimiter=";")
    assert not any(cell.startswith(("=", "+", "-", "@")) for cell in row), row


@pytest.mark.parametrize("name", KNOWN)
def test_every_check_has_points_and_tells_what_is_wrong(name: str) -> None:
    import ast

    for cell in KNOWN[name]["cells"]:
        if "check" in without_solutions.tags(cell):
            own = cell["metadata"]["nbgrader"]
            assert own["points"] > 0 and own["grade"] and own["locked"] and own["grade_id"] == cell["id"]
            asserts = [s for s in ast.walk(ast.parse(handed_in.text(cell))) if isinstance(s, ast.Assert)]
            assert asserts and all(s.msg is not None for s in asserts), cell["id"]
        elif "exercise" in without_solutions.tags(cell):
            own = cell["metadata"]["nbgrader"]
            assert own["solution"] and not own["locked"] and not own["grade"]
