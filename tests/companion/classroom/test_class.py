"""`make class`: its environment is small, grades what students hand in, and an exercise is solved in a browser."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from notebook_pages import cut_off, picture
from places import ROOT
from waits import until

from lth_companion.classroom import handed_in, without_solutions

MOST = 400_000_000  # bytes of files


@pytest.fixture(scope="module")
def python() -> Path:
    """The Python of the environment that `make class` makes, once."""
    subprocess.run(["make", "--silent", "_build/class/.ready"], cwd=ROOT, check=True)
    return ROOT / "_build" / "class" / "bin" / "python"


@pytest.mark.slow
def test_it_is_small(python: Path) -> None:
    files = [p for p in python.parents[1].rglob("*") if not p.is_symlink() and p.is_file() and p.suffix != ".pyc"]
    assert sum(p.stat().st_size for p in files) <= MOST


@pytest.mark.slow
@pytest.mark.parametrize("name", ["1_xor_lottery", "4_find_the_bug"])
def test_it_solves_and_grades_the_exercises(python: Path, name: str, tmp_path: Path) -> None:
    source = json.loads((without_solutions.SOURCES / f"{name}.ipynb").read_text("utf-8"))
    made = without_solutions.filled_in(without_solutions.student(source), without_solutions.solutions(source))
    (tmp_path / "mine.ipynb").write_text(json.dumps(made), "utf-8")
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [python, "-m", "lth_core", "grade", "mine.ipynb"]
    ran = subprocess.run(command, cwd=tmp_path, env=own, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    (row,) = csv.DictReader((tmp_path / "grades.csv").read_text("utf-8").splitlines())
    assert row["points"] == row["of"] and not row["remarks"], row


@contextmanager
def classic(python: Path, folder: Path) -> Iterator[str]:
    """The address that Jupyter says when it is started in a folder as `make class` does."""
    (words,) = re.findall(r"/jupyter (nbclassic.*?) \$\(ROOT_TOO\)$", (ROOT / "Makefile").read_text(), re.M)
    command = [python.parent / "jupyter", *words.split(), "--allow-root", "--no-browser"]
    process = subprocess.Popen(
        command, cwd=folder, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout
        told = (re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/\S*token=\w+", line) for line in process.stdout)
        address = next(found for found in told if found)[0]
        threading.Thread(target=process.stdout.read, daemon=True).start()
        yield address
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


# The page's own notebook: answers are written into its cells, and all of them run.
ANSWER = """(answers) => {
  for (const cell of Jupyter.notebook.get_cells()) if (cell.id in answers) cell.set_text(answers[cell.id]);
  Jupyter.notebook.execute_all_cells();
}"""
CODE = "Jupyter.notebook.get_cells().filter((cell) => cell.cell_type === 'code')"
DONE = f"!Jupyter.notebook.kernel_busy && {CODE}.every((cell) => typeof cell.input_prompt_number === 'number')"
FAILED = f"{CODE}.flatMap((cell) => cell.output_area.outputs).filter((o) => o.output_type === 'error')"


@pytest.mark.browser
@pytest.mark.slow
def test_an_exercise_is_solved_in_it(python: Path, browser: Any, tmp_path: Path) -> None:
    """Opened, answered, run and kept in the page, which reaches nothing but this machine; then graded."""
    name = "4_find_the_bug"
    without_solutions.write(tmp_path)
    source = json.loads((without_solutions.SOURCES / f"{name}.ipynb").read_text("utf-8"))
    answers = {key: handed_in.text({"source": lines}) for key, lines in without_solutions.solutions(source).items()}
    with classic(python, tmp_path) as address, cut_off(browser, address) as (page, outside):
        page.goto(address)
        page.locator(".item_name", has_text=name).wait_for()
        assert set(page.locator(".item_name").all_inner_texts()) >= {f"{n}.ipynb" for n in handed_in.exercises()}
        page.goto(address.replace("/tree", f"/notebooks/{name}.ipynb", 1))
        page.locator("#notebook-container .cell").first.wait_for()
        page.locator(".kernel_idle_icon").wait_for()
        assert not page.get_by_text("migration plan").count(), "a banner about other versions than the class's"
        page.evaluate(ANSWER, answers)
        until(page, DONE)
        assert not page.evaluate(FAILED)
        page.locator(".code_cell").last.scroll_into_view_if_needed()
        picture(page, "class")
        page.evaluate("Jupyter.notebook.save_notebook()")
        assert not outside
    kept = handed_in.read(tmp_path / f"{name}.ipynb")
    found = handed_in.matched(handed_in.exercises()[name], kept)
    assert {found[i]: handed_in.text(kept["cells"][i]) for i in found if found[i] in answers} == answers
