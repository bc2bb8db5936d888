"""Exercises: the student's version is its source without solutions; its checks pass with them and fail on stubs."""

from __future__ import annotations

import ast
import copy
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lth_companion.classroom import exercises, without_solutions

SOURCES = sorted(without_solutions.SOURCES.glob("*.ipynb"))
each = pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
MINUTES = 5  # on a laptop's CPU


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [c for c in notebook["cells"] if c["cell_type"] == "code"]


def text(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def outcomes(notebook: dict[str, Any]) -> dict[str, str]:
    """Run every code cell as Jupyter does, on after errors too: id -> the error's name, or nothing."""
    space: dict[str, Any] = {}
    return {cell["id"]: ended(cell, space) for cell in code(notebook)}


def ended(cell: dict[str, Any], space: dict[str, Any]) -> str:
    """Run a cell: its error's name, or nothing."""
    try:
        exec(compile(text(cell), cell["id"], "exec"), space)
    except Exception as error:
        return type(error).__name__
    return ""


def checks(notebook: dict[str, Any]) -> list[str]:
    return [c["id"] for c in code(notebook) if "check" in without_solutions.tags(c)]


LONG = ("2_winning_ticket", "3_controls")  # every build of the book runs them too, with the checks
with_solutions = pytest.mark.parametrize(
    "path",
    [pytest.param(p, marks=pytest.mark.slow if p.stem in LONG else (), id=p.stem) for p in SOURCES],
)


@with_solutions
def test_checks_pass_with_the_solutions(path: Path) -> None:
    """The student's version with the solutions filled in."""
    source = read(path)
    made = without_solutions.student(source)
    began = time.perf_counter()
    full = outcomes(without_solutions.filled_in(made, without_solutions.solutions(source)))
    seconds = time.perf_counter() - began
    assert not any(full.values()), full
    assert seconds < 60 * MINUTES


@each
def test_checks_fail_without_them(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every check of the student's version fails on the stubs (trainings before them are left out)."""
    monkeypatch.setattr(exercises, "searched", lambda trials, rounds: [[exercises.whole()] * (rounds + 1)] * trials)
    made = without_solutions.student(read(path))
    empty = outcomes(made)
    assert checks(made) and all(empty[c] for c in checks(made)), "a check that passes on an empty stub checks nothing"


@each
def test_the_students_version_has_everything_but_the_solutions(path: Path) -> None:
    source = read(path)
    made, answers = without_solutions.student(source), without_solutions.solutions(source)
    asked = [c["id"] for c in source["cells"] if "exercise" in without_solutions.tags(c)]
    assert asked and set(answers) == set(asked), "each exercise has one solution"
    kept = [c["id"] for c in made["cells"]]
    assert kept == [c["id"] for c in source["cells"] if not without_solutions.tags(c) & without_solutions.TEACHERS]
    whole = json.dumps(made)
    for answer in answers.values():
        body = ast.parse("".join(answer)).body[-1]
        if isinstance(body, ast.FunctionDef):
            assert json.dumps(ast.unparse(body.body[-1]))[1:-1] not in whole, "a solution shows"
    assert "hide-" not in whole and "{download}" not in whole
    assert "<details><summary>Hint" in whole or "Hint" not in json.dumps(source), "hints are folded, and there"


@each
def test_a_wrong_answer_is_found(path: Path) -> None:
    """Each exercise of a plausible wrong kind: the checks are not there to be passed by anything.

    What stands before an exercise is run once, with right answers, and is as it was again after the wrong one."""
    source = read(path)
    answers = without_solutions.solutions(source)
    wrong = {
        next(i for i, a in answers.items() if begins in "".join(a)): answer
        for begins, answer in WRONG[path.stem].items()
    }
    assert set(wrong) == set(answers), "one is not tried"
    cells = code(without_solutions.filled_in(without_solutions.student(source), answers))
    last = max(i for i, cell in enumerate(cells) if cell["id"] in wrong)
    space: dict[str, Any] = {}
    for i, cell in enumerate(cells[: last + 1]):
        if cell["id"] in wrong:
            before = {name: copied(value) for name, value in space.items()}
            check = next(j for j, c in enumerate(cells) if j > i and "check" in without_solutions.tags(c))
            handed_in = [{**cell, "source": wrong[cell["id"]]}, *cells[i + 1 : check + 1]]
            assert [ended(c, space) for c in handed_in][-1] == "AssertionError", cell["id"]
            space.clear()
            space.update(before)
        if i < last:
            assert not ended(cell, space)


def copied(value: Any) -> Any:
    """Data of its own; functions and modules as they are."""
    return copy.deepcopy(value) if isinstance(value, np.ndarray | dict | list) and not callable(value) else value


WRONG = {
    "1_xor_lottery": {
        "def success_rate": "def success_rate(hidden):\n    return 0.5",
        "def at_least_one": "def at_least_one(p, tickets):\n    return min(1, p * tickets)",
        "def worth": "def worth(unit):\n    return sum(map(abs, unit[:3])) / 3 * abs(unit[3])",
    },
    "2_winning_ticket": {
        "def cut(": "def cut(trained, alive, rate):\n    return alive & (trained > np.quantile(trained[alive], rate))",
        "def rewind(": "def rewind(initial, mask):\n    initial[~mask] = 0\n    return initial",
        "def next_masks": "def next_masks(trained, masks):\n    return {n: abs(trained[n]) > 0.05 for n in masks}",
        "smallest = ": "smallest = max(density)",
    },
    "3_controls": {
        "def effect": "def effect(a, b):\n"
        "    return float(np.mean(a) - np.mean(b)), *bootstrap(np.array(a) - np.mean(b))",
        "conclusion = ": "conclusion = dict.fromkeys(effects, 'perhaps')",
        "def reinit(": "def reinit(mask, sd, rng):\n"
        "    return np.where(rng.permutation(mask), rng.normal(0, sd, mask.shape), 0).astype(np.float32)",
        "def shuffle(": "def shuffle(initial, mask, rng):\n"
        "    return np.where(mask, rng.permutation(initial.ravel()).reshape(mask.shape), 0), mask",
    },
    "4_find_the_bug": {
        **{
            f"def {name}": f"def {name}(made):\n    pass"
            for name in (
                "the_smallest_magnitudes_go",
                "tickets_start_at_initial_values",
                "pruned_weights_stay_zero",
                "the_control_changes_values_only",
            )
        },
        "def test_data_choose_nothing": "def test_data_choose_nothing(made):\n    pass",
    },
}


def test_each_bug_is_found_by_its_own_property() -> None:
    """Each broken implementation fails the test that the solution has for its mistake."""
    source = read(without_solutions.SOURCES / "4_find_the_bug.ipynb")
    space: dict[str, Any] = {}
    for cell in code(source)[:2]:
        exec(text(cell), space)
    for answer in without_solutions.solutions(source).values():
        exec("".join(answer), space)
    tests = [
        f
        for f in space.values()
        if callable(f) and getattr(f, "__code__", None) and f.__code__.co_varnames[:1] == ("made",)
    ]
    tests = [t for t in tests if t.__name__ != "as_many_weights_as_planned"]
    found = exercises.grade(tests)
    assert len(tests) == 5 and not found.broken and not any(found.failed["right"].values())
    owner = {
        "unmasked": "pruned_weights_stay_zero", "own_masks": "the_control_changes_values_only",
        "signed": "the_smallest_magnitudes_go", "test_leak": "test_data_choose_nothing",
        "not_rewound": "tickets_start_at_initial_values",
    }  # fmt: skip
    assert set(exercises.BROKEN.values()) == set(owner)
    for letter, mistake in exercises.BROKEN.items():
        assert found.failed[letter][owner[mistake]], mistake


def test_versions_are_written_and_old_ones_removed(tmp_path: Path) -> None:
    (tmp_path / "5_gone.ipynb").write_text("{}")
    written = without_solutions.write(tmp_path)
    assert [p.name for p in written] == [p.name for p in SOURCES] == sorted(p.name for p in tmp_path.iterdir())
    before = [p.stat().st_mtime_ns for p in written]
    without_solutions.write(tmp_path)
    assert [p.stat().st_mtime_ns for p in written] == before, "unchanged files stay: the book need not be built again"


@each
def test_sources_are_clean_and_run_on_data_that_come_along(path: Path) -> None:
    source = read(path)
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in code(source))
    ids = [c["id"] for c in source["cells"]]
    assert len(ids) == len(set(ids))
    whole = json.dumps(source)
    assert "mnist" not in whole.replace("MNIST", "") and "data_dir" not in whole and "http" not in whole


@each
def test_a_teacher_can_change_an_exercise(path: Path, tmp_path: Path) -> None:
    """papermill reads the students' version too, and its trials are set in the cell of the parameters alone."""
    from papermill.inspection import inspect_notebook

    (made,) = (p for p in without_solutions.write(tmp_path) if p.stem == path.stem)
    found = inspect_notebook(str(made))
    assert found and set(found) <= {"TRIALS", "ROUNDS", "SEED"} and all(said["help"] for said in found.values())
    rest = [text(c) for c in code(read(made)) if "parameters" not in without_solutions.tags(c)]
    assert not any("TRIALS = " in cell or "TRIALS, " in cell.partition(" = ")[0] for cell in rest)
