"""A folder of hand-ins: all that somebody handed in has a row of its own, and nothing in it stops the rest."""

from __future__ import annotations

import copy
import csv
import json
import os
import random
import types
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth_companion.classroom import grade, handed_in, own_names, without_solutions
from lth_companion.classroom.sandbox import Ended, Limits
from lth_core.errors import StoreError, UsageError

BUGS = "4_find_the_bug"
KNOWN = handed_in.exercises()
SMALLEST = "the_smallest_magnitudes_go"


def laid(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(json.dumps(KNOWN[BUGS]), "utf-8")


@pytest.fixture
def right(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every cell of every notebook ends well, without being run."""
    monkeypatch.setattr(grade, "run", lambda notebook, limits: [Ended(c["id"]) for c in notebook["cells"]])


def rows(folder: Path, *more: str) -> dict[str, dict[str, str]]:
    assert grade.main([str(folder), "--out", str(folder / "grades.csv"), *more]) == 0
    table = list(csv.DictReader((folder / "grades.csv").read_text("utf-8-sig").splitlines()))
    found = {row["file"]: row for row in table}
    assert len(found) == len(table), "two students' rows cannot be told apart"
    return found


# --- What is handed in ------------------------------------------------------------------------------------------------


def test_two_students_with_one_file_name_have_a_row_each(right: None, tmp_path: Path) -> None:
    laid(tmp_path, "Ada 1/4.ipynb", "=Bob's " + '"2"' + "/4.ipynb", "line\nbreak/4.ipynb")
    found = rows(tmp_path)
    assert set(found) == {"Ada 1/4.ipynb", "'=Bob's \"2\"/4.ipynb", "line\\nbreak/4.ipynb"}
    assert all(row["points"] == "12" for row in found.values())


def test_a_name_in_no_coding_is_no_end_of_grading(right: None, tmp_path: Path) -> None:
    os.rename(*(laid(tmp_path, "x.ipynb") or [tmp_path / "x.ipynb"]), os.fsencode(tmp_path) + b"/M\xfcller.ipynb")
    assert set(rows(tmp_path)) == {"M\\udcfcller.ipynb"}


def test_nobody_s_hand_in_is_passed_over(right: None, tmp_path: Path) -> None:
    """Other endings, as browsers and other systems give them; archives; students without a notebook. Not: what a system
    or Jupyter put beside."""
    laid(tmp_path, "a/4.IPYNB", "b/4.ipynb.txt", "c/4.ipynb.json", "h/4.ipynb", "h/data/x.csv", "h/data/x.py")
    laid(tmp_path, "h/._4.ipynb", "h/.ipynb_checkpoints/4.ipynb", "__MACOSX/h/4.ipynb", "notes.txt")
    for name in ("d/4.zip", "e/answer.pdf", "f/4.ipynb"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(b"PK\3\4 and so on" if name.endswith("zip") else b"")
    (tmp_path / "g").mkdir()
    for name in ("i.py", "j.HTML", "k.json"):  # in place of a notebook, where students have no folder of their own
        (tmp_path / name).write_text("1")
    said = {name: row["remarks"] for name, row in rows(tmp_path).items()}
    assert [name for name in said if not said[name]] == ["a/4.IPYNB", "b/4.ipynb.txt", "c/4.ipynb.json", "h/4.ipynb"]
    refused = {name: text for name, text in said.items() if text}
    assert {"d/4.zip", "e", "f/4.ipynb", "g", "i.py", "j.HTML", "k.json"} == set(refused)
    assert all("notebook" in text for text in refused.values())  # each says of what it speaks: no row does otherwise
    assert "archive, no notebook: unpack it" in refused["d/4.zip"] and "empty" in refused["f/4.ipynb"]
    assert "no notebook (*.ipynb) in this folder" in refused["e"] == refused["g"]


def test_links_to_one_file_and_round_in_circles_end(right: None, tmp_path: Path) -> None:
    laid(tmp_path, "a/4.ipynb")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "4.ipynb").symlink_to(tmp_path / "a" / "4.ipynb")
    (tmp_path / "b" / "again").symlink_to(tmp_path)
    assert set(rows(tmp_path)) == {"a/4.ipynb", "b/4.ipynb"}


def test_what_cannot_be_graded_is_a_mistake_of_whoever_asks(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no notebook"):
        grade.files([tmp_path])
    with pytest.raises(UsageError, match="does not exist"):
        grade.files([tmp_path / "gone.ipynb"])


@pytest.mark.parametrize("limit", ["--seconds", "--total", "--memory", "--jobs"])
def test_a_limit_that_nothing_fits_is_refused(limit: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    laid(tmp_path, "a.ipynb")
    assert grade.main([str(tmp_path), limit, "0"]) == 2
    assert capsys.readouterr().err == f"lth_core: {limit} 0 must be at least 1.\n"


def test_large_files_are_told_to_be_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(handed_in, "MOST", 1_000_000)
    laid(tmp_path, "a.ipynb")
    assert handed_in.read(tmp_path / "a.ipynb") == KNOWN[BUGS]
    (tmp_path / "b.ipynb").write_text(" " * 1_000_000 + "{}")
    with pytest.raises(UsageError, match="notebook has more than 1 MB: clear its outputs"):
        handed_in.read(tmp_path / "b.ipynb")


# --- The table --------------------------------------------------------------------------------------------------------


def test_a_table_that_cannot_be_written_is_told_before_anything_is_graded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(grade, "run", lambda *_: pytest.fail("graded"))
    laid(tmp_path, "a.ipynb")
    (tmp_path / "taken").mkdir()
    for out in ("taken", "a.ipynb/grades.csv"):
        assert grade.main([str(tmp_path / "a.ipynb"), "--out", str(tmp_path / out)]) == 1
        assert "cannot be written" in capsys.readouterr().err


@pytest.mark.parametrize("error", [StoreError("no notebook can be run here: why"), KeyboardInterrupt()])
def test_what_was_graded_before_an_end_is_kept(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    began: list[Any] = []

    def run(notebook: Any, limits: Limits) -> list[Ended]:
        began.append(notebook)
        if len(began) == 2:
            raise error
        return [Ended(c["id"]) for c in notebook["cells"]]

    monkeypatch.setattr(grade, "run", run)
    laid(tmp_path, "1.ipynb", "2.ipynb", "3.ipynb")
    command = [str(tmp_path), "--out", str(tmp_path / "grades.csv")]
    if isinstance(error, StoreError):
        assert grade.main(command) == 1
    else:
        with pytest.raises(KeyboardInterrupt):
            grade.main(command)
    (row,) = csv.DictReader((tmp_path / "grades.csv").read_text("utf-8-sig").splitlines())
    assert (row["file"], row["points"]) == ("1.ipynb", "12")


# --- Which cell is the answer -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cells", "chosen"),
    [
        (["{stub}", "def {name}(made): return 1"], 1),
        (["def {name}(made): return 1", "{stub}"], 0),
        (["def {name}(made): return 1", "print('a try')"], 0),
        (["def {name}(made): return 1", "def {name}(made): return 2", "1 +"], 1),
        (["{stub}", "{name} = lambda made: 1"], 1),
        (["import os; {name}: object = os"], 0),
        (["1 +", "{stub}"], 0),
    ],
)
def test_copies_of_a_cell_have_its_number_and_one_is_the_answer(cells: list[str], chosen: int) -> None:
    """The last that defines what is asked; the others run where they stood, but for bare stubs."""
    made = copy.deepcopy(KNOWN[BUGS])
    at = next(i for i, c in enumerate(made["cells"]) if SMALLEST in handed_in.names(c) and c["cell_type"] == "code")
    stub = made["cells"].pop(at)
    texts = [text.replace("{stub}", handed_in.text(stub)).replace("{name}", SMALLEST) for text in cells]
    made["cells"][at:at] = [{**stub, "source": text} for text in texts]
    found = handed_in.assembled(KNOWN[BUGS], made)["cells"]
    assert next(handed_in.text(c) for c in found if c["id"] == stub["id"]) == texts[chosen]
    others = [t for i, t in enumerate(texts) if i != chosen and t != handed_in.text(stub)]
    assert [c["source"] for c in found if c["id"].startswith(handed_in.EXTRA)] == others


# --- The names that a check sees --------------------------------------------------------------------------------------


@pytest.fixture
def module(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """A package of one function, which `own_names` notes."""
    made = types.ModuleType("checked")
    made.__dict__.update(right=lambda: 1, number=3)
    monkeypatch.setitem(own_names.sys.modules, "checked", made)
    monkeypatch.setattr(own_names, "_noted", {})
    own_names.note(["checked", "checked.nothing", "random", "numpy"])
    yield made


def test_a_check_has_pythons_own_names_and_its_imports(module: types.ModuleType) -> None:
    names: dict[str, Any] = {"sum": 0, "len": None, "np": 5, "AssertionError": KeyError, "answer": lambda: [1, 2]}
    own_names.run("total = sum(np.abs(answer()))\nassert len(answer()) == 2, 'two'", "import numpy as np", names)
    assert names["total"] == 3 and names["sum"] == 0 and names["np"] == 5, "the student's own stay as they are"
    with pytest.raises(AssertionError, match="two"):
        own_names.run("late = 1\nassert len(answer()) == 1, 'two'", "", names)
    assert names["late"] == 1, "as a cell leaves what it defined before it stopped"


def test_what_a_check_defines_sees_what_the_answers_define(module: types.ModuleType) -> None:
    names: dict[str, Any] = {"answer": 2}
    own_names.run("def twice():\n    return [answer for _ in range(2)]\n\nassert twice() == [2, 2]", "", names)
    assert names["twice"]() == [2, 2]


def test_a_function_that_was_replaced_is_named(module: types.ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    own_names.run("", "", {})
    module.number = 4  # type: ignore[attr-defined] # state is no function
    own_names.run("", "", {})
    monkeypatch.setattr(random, "random", lambda: 0.5)
    monkeypatch.setattr(np, "abs", np.sum)
    with pytest.raises(
        own_names.Replaced, match=r"place of (random\.random, numpy\.abs|numpy\.abs, random\.random), wh"
    ):
        own_names.run("", "", {})
    monkeypatch.undo()


def test_a_module_that_was_loaded_again_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib

    from lth_companion.classroom import xor_lists

    kept = dict(vars(xor_lists))
    monkeypatch.setattr(own_names, "_noted", {})
    own_names.note([xor_lists.__name__])
    try:
        importlib.reload(xor_lists)
        assert own_names.replaced() == []
    finally:
        vars(xor_lists).update(kept)


def test_checks_are_guarded_and_nothing_else_changes() -> None:
    for exercise in KNOWN.values():
        made = handed_in.guarded(exercise)
        note, *rest = made["cells"]
        assert "own_names" in note["source"] and "lth_companion.classroom" in note["source"]
        for before, after in zip(exercise["cells"], rest, strict=True):
            guarded = "check" in without_solutions.tags(before)
            assert (after != before) == guarded and (not guarded or handed_in.text(before) in eval_source(after))


def eval_source(cell: dict[str, Any]) -> str:
    """The check's source that a guarded cell passes on."""
    import ast

    (call,) = [n for n in ast.walk(ast.parse(cell["source"])) if isinstance(n, ast.Call) and len(n.args) == 3]
    return str(ast.literal_eval(call.args[0]))


def answered(made: dict[str, Any]) -> list[str]:
    """What stands in the place of each answer."""
    cells = handed_in.assembled(KNOWN[BUGS], made)["cells"]
    return [handed_in.text(c) for c in cells if "exercise" in without_solutions.tags(c)]


def bare(change: Callable[[str], str] = str) -> dict[str, Any]:
    """The exercise by an editor that keeps no numbers, its answers changed."""
    made = copy.deepcopy(KNOWN[BUGS])
    for cell in made["cells"]:
        mine = "exercise" in without_solutions.tags(cell)
        cell |= {"id": None, "metadata": {}, "source": change(handed_in.text(cell)) if mine else handed_in.text(cell)}
    return made


@pytest.mark.parametrize(
    "text", ["%matplotlib inline\n{}", "%%time\n{}", "!ls\n{}", "{}\nlen?", "{}\n)(", "\ufeff{}", "{}\n  x = 1"]
)
def test_an_answer_is_found_whatever_else_its_cell_holds(text: str) -> None:
    """Commands of a notebook, mistakes, a mark of the coding: of what is no Python, and whose cell has no number."""
    found = answered(bare(text.format))
    before, after = text.split("{}")
    assert len(found) == 5 and all(one.startswith(before) and one.endswith(after) for one in found)
    assert all(one not in map(handed_in.text, KNOWN[BUGS]["cells"]) for one in found)


@pytest.mark.parametrize("numbers", [True, False])
def test_answers_that_were_joined_in_one_cell_are_all_found(numbers: bool) -> None:
    made = copy.deepcopy(KNOWN[BUGS]) if numbers else bare()
    tagged = KNOWN[BUGS]["cells"]
    at = [i for i, c in enumerate(tagged) if "exercise" in without_solutions.tags(c)]
    text = "\n\n".join(handed_in.text(tagged[i]).replace("...", "assert made") for i in at)
    made["cells"] = [{**c, "source": text} if i == at[0] else c for i, c in enumerate(made["cells"]) if i not in at[1:]]
    assert answered(made) == [text] * 5
    held = handed_in.assembled(KNOWN[BUGS], made)["cells"]
    assert not [c for c in held if c["id"].startswith(handed_in.EXTRA)]
