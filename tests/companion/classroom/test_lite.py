"""`make lite`: the exercises in a browser that reaches nothing but the static folder."""

from __future__ import annotations

import ast
import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from notebook_pages import cut_off, errors, picture, printed, run_all
from pages import served
from places import ROOT

from lth_companion.classroom import handed_in, lite, without_solutions

FIRST = "1_xor_lottery"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `make lite PYODIDE=_build/pyodide` makes, with the solution of exercise 1 filled in, as a student would, and
    its application shown to the page."""
    if (
        shutil.which("npm") is None
        or subprocess.run(["npm", "view", "pyodide", "version"], capture_output=True).returncode
    ):
        pytest.skip("npm, by which Pyodide's core is fetched, is not here or reaches no registry.")  # in CI too
    subprocess.run(["make", "--silent", "lite", "PYODIDE=_build/pyodide"], cwd=ROOT, check=True)
    made = tmp_path_factory.mktemp("lite") / "lite"
    shutil.copytree(ROOT / "_build" / "lite", made)
    exercise = made / "files" / f"{FIRST}.ipynb"
    source = json.loads((without_solutions.SOURCES / exercise.name).read_text("utf-8"))
    solved = without_solutions.filled_in(json.loads(exercise.read_text("utf-8")), without_solutions.solutions(source))
    exercise.write_text(json.dumps(solved), "utf-8")
    for settings in (made / "jupyter-lite.json", made / "lab" / "jupyter-lite.json"):
        own = json.loads(settings.read_text("utf-8"))
        own["jupyter-config-data"]["exposeAppInBrowser"] = True
        settings.write_text(json.dumps(own), "utf-8")
    return made


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    with served(folder) as site:
        yield site


@pytest.mark.slow
def test_all_that_exercises_import_is_in_the_kernels_list(folder: Path) -> None:
    """Every package that the cells and our modules behind them import, and that the first cell installs."""
    lock = json.loads((folder / "static" / "pyodide" / "pyodide-lock.json").read_text("utf-8"))
    known = {name for package in lock["packages"].values() for name in package["imports"]}
    for notebook in handed_in.exercises().values():
        cells = [handed_in.text(c) for c in notebook["cells"] if c["cell_type"] == "code"]
        lines = [ast.unparse(s) for s in ast.parse("\n".join(cells)).body if isinstance(s, ast.Import | ast.ImportFrom)]
        code = "import sys\nbefore = set(sys.modules)\n" + "\n".join(lines)
        code += "\nfrom lth_core import data\n" if "numpy" in code else "\n"
        # what compiled modules put there themselves (`cython_runtime`) was imported from nowhere: it has no spec
        code += "new = [n for n in set(sys.modules) - before if getattr(sys.modules[n], '__spec__', None)]\n"
        code += "print(*{n.partition('.')[0] for n in new} - set(sys.stdlib_module_names))"
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
        used = {n for n in ran.stdout.split() if not n.startswith("_")} - {"lth_core", "lth_companion"}
        assert used <= known, used - known
    assert {n.replace("-", "_") for n in lite.NEEDED} <= {n.replace("-", "_") for n in lock["packages"]}


@pytest.mark.browser
@pytest.mark.slow
def test_the_first_exercise_runs_without_a_network(address: str, browser: Any) -> None:
    with cut_off(browser, address) as (page, outside):
        page.goto(f"{address}/lab/index.html")
        page.locator(".jp-DirListing-item").first.wait_for()
        listed = set(page.locator(".jp-DirListing-itemName").all_inner_texts())
        assert listed == {f"{name}.ipynb" for name in handed_in.exercises()}
        page.locator(".jp-DirListing-item", has_text=FIRST).dblclick()
        cells = run_all(page, f"{FIRST}.ipynb")
        picture(page, "lite")
        assert not errors(cells) and all(cell["execution_count"] for cell in cells)
        assert "two best units" in printed(cells[-1])
        assert not outside
