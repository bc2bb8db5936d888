"""Parameters of notebooks: whatever papermill makes of a number is taken or refused by name, and so are names."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from papermill.parameterize import parameterize_notebook
from places import ROOT

from lth_companion.experiments import notebook_parameters
from lth_core.errors import UsageError

TAKEN = [
    (int, 3, 3), (int, 10.0, 10), (int, "10", 10), (int, "1e1", 10), (int, "10.0", 10), (int, " 7 ", 7),
    (int, str(2**60 + 1), 2**60 + 1), (float, 1, 1.0), (float, 0.5, 0.5), (float, "5e-1", 0.5), (float, "1e-3", 1e-3),
    (str, "1e-3", "1e-3"), (str, "", ""), (bool, True, True), (bool, "no", False), (bool, "True", True),
    (bool, 0, False),
]  # fmt: skip
REFUSED = [
    (int, 2.5, "a whole number"), (int, "2.5", "a whole number"), (int, "ten", "a whole number"),
    (int, True, "a whole number"), (int, None, "a whole number"), (int, [1], "a whole number"),
    (int, math.inf, "a whole number"), (int, "1e400", "a whole number"), (float, "nan", "a finite number"),
    (float, "a fifth", "a finite number"), (float, False, "a finite number"), (float, {}, "a finite number"),
    (str, 2026, "with -r"), (str, None, "with -r"), (bool, "perhaps", "true or false"), (bool, 2, "true or false"),
]  # fmt: skip


def notebook(kind: type, value: Any, more: str = "") -> dict[str, Any]:
    """The namespace of a notebook that declares `x: kind`, after papermill gave it a value and perhaps more names."""
    space: dict[str, Any] = {}
    exec(f"x: {kind.__name__} = {kind()!r}\nrate: float = 0.2", space)
    return {**space, "x": value, "In": ["", "x: int = 0", f"# Parameters\nx = {value!r}\n{more}", "take"]}


def test_annotations_that_are_made_when_asked_for_are_read():
    """A namespace as Python 3.14 leaves it, which is JupyterLite's: no `__annotations__`, a function in its place."""
    space = {"x": "1e1", "__annotate__": lambda form: {"x": int}, "In": ["", "x: int = 0", "# Parameters\nx = '1e1'"]}
    notebook_parameters.take(space)
    assert space["x"] == 10


@pytest.mark.parametrize(("kind", "value", "wanted"), TAKEN)
def test_a_value_that_stands_for_one_is_taken(kind: type, value: Any, wanted: Any) -> None:
    space = notebook(kind, value)
    notebook_parameters.take(space)
    assert space["x"] == wanted and type(space["x"]) is kind


@pytest.mark.parametrize(("kind", "value", "said"), REFUSED)
def test_another_is_refused_by_name(kind: type, value: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        notebook_parameters.take(notebook(kind, value))
    assert str(error.value).startswith(f"x = {value!r} is not ") and said in str(error.value)


@pytest.mark.parametrize(("name", "near"), [("rat", "rate"), ("Rate", "rate"), ("rates", "rate"), ("X", "x")])
def test_an_unknown_name_is_refused_with_the_nearest(name: str, near: str) -> None:
    with pytest.raises(
        UsageError, match=f"{name} is no parameter of this notebook; the nearest is {near}; it has rate"
    ):
        notebook_parameters.take(notebook(int, 3, f"{name} = 3"))


def test_names_of_later_cells_are_no_parameters() -> None:
    """A reader runs the cells again, in any order."""
    space = {**notebook(int, "3"), "found": 3, "table": 0.5}
    notebook_parameters.take(space)
    assert space["x"] == 3 and space["found"] == 3


def test_papermill_marks_its_cell_as_this_expects() -> None:
    import nbformat

    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x: int = 0", metadata={"tags": ["parameters"]})])
    made.metadata = nbformat.from_dict({"kernelspec": {"name": "python3", "language": "python"}, "papermill": {}})
    cell = parameterize_notebook(made, {"x": "1e1", "trial": 3}).cells[1]
    assert cell.metadata["tags"] == ["injected-parameters"]
    assert notebook_parameters.given(["x: int = 0", cell.source]) == ["x", "trial"]


def test_looking_at_them_imports_nothing_heavy() -> None:
    code = "import sys; from lth_companion.experiments import notebook_parameters; print(sorted(sys.modules))"
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert not {"torch", "numba", "pandas", "scipy", "matplotlib", "sklearn"} & set(eval(ran.stdout))


@pytest.mark.parametrize(
    ("flag", "given", "said"), [("-y", "rate: many", "rate = 'many'"), ("-p", "trial 3", "trials")]
)
def test_a_run_by_papermill_ends_there(flag: str, given: str, said: str, tmp_path: Path) -> None:
    words = [given] if flag == "-y" else given.split()
    page = ROOT / "notebooks" / "beyond_train_your_own.ipynb"
    command = [sys.executable, "-m", "papermill", str(page), str(tmp_path / "out.ipynb"), flag, *words]
    ran = subprocess.run([*command, "--no-progress-bar"], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 1 and f"UsageError: {said.split()[0] if flag == '-y' else 'trial is'}" in ran.stderr
    assert said in ran.stderr
