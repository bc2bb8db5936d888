"""`make class`: its environment is small, grades what students hand in, and opens the exercises in a browser."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
from notebook_pages import cut_off, picture
from places import ROOT

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


@pytest.mark.browser
@pytest.mark.slow
def test_the_exercises_open_in_it(python: Path, browser: Any, tmp_path: Path) -> None:
    without_solutions.write(tmp_path)
    command = [python.parent / "jupyter", "nbclassic", "--allow-root", "--no-browser"]
    process = subprocess.Popen(
        command, cwd=tmp_path, start_new_session=True, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    try:
        assert process.stdout
        told = (re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/\S*token=\w+", line) for line in process.stdout)
        address = next(found for found in told if found)[0]
        threading.Thread(target=process.stdout.read, daemon=True).start()
        with cut_off(browser, address) as (page, outside):
            page.goto(address)
            page.locator(".item_name", has_text="4_find_the_bug").wait_for()
            assert set(page.locator(".item_name").all_inner_texts()) >= {f"{n}.ipynb" for n in handed_in.exercises()}
            page.goto(address.replace("/tree", "/notebooks/4_find_the_bug.ipynb", 1))
            page.locator("#notebook-container .cell").first.wait_for()
            page.locator(".kernel_idle_icon").wait_for()
            picture(page, "class")
            assert not outside
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()
