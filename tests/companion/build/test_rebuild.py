"""A changed input makes anew exactly what depends on it, and a stale or damaged page or book is found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from killed_commands import at_work
from places import ROOT

from lth_companion.build import book
from lth_companion.build.serving import serve, show
from lth_companion.pages import status


def page(*lines: str) -> str:
    cells = [{"cell_type": "code", "source": "\n".join(lines)}, {"cell_type": "markdown", "source": "# Title"}]
    return json.dumps({"cells": cells, "metadata": {}})


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two pages, of which one imports `one`, which imports `low`; `other` is imported by none."""
    for folder in ("notebooks", "lth_core", "lth_companion", "results", "book"):
        (tmp_path / folder).mkdir()
    files = {
        "requirements.lock": "", "_config.yml": "", "results/cells.json": "{}", "lth_core/__init__.py": "",
        "lth_core/low.py": "", "lth_core/table.yaml": "", "lth_companion/__init__.py": "", "lth_companion/other.py": "",
        "lth_companion/one.py": "def f():\n    from lth_core import low\n",
        "notebooks/first.ipynb": page("from lth_companion import one"), "notebooks/second.ipynb": page("print(1)"),
        "book/intro.md": "# Intro",
    }  # fmt: skip
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(book, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(book, "vendor", lambda target: None)
    return tmp_path


@pytest.fixture
def executed(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Executes what has to be, without kernels, and tells what that was."""

    def execute(source: Path, target: Path, parameters: dict, inputs: str) -> tuple[float, str]:
        made = json.loads(source.read_text())
        made["metadata"]["lth"] = {"inputs": inputs, "sum": book.own_sum(made)}
        target.write_text(json.dumps(made))
        return 0.0, ""

    monkeypatch.setattr(book, "execute", execute)

    def run() -> set[str]:
        names: list[str] = []
        monkeypatch.setattr(book, "execute", lambda source, *more: names.append(source.stem) or execute(source, *more))
        assert book.execute_all(project, project / "book", {})
        return set(names)

    assert run() == {"first", "second"} and run() == set()
    return run


@pytest.mark.parametrize(
    ("name", "text", "again"),
    [
        ("lth_companion/other.py", "x = 1", set()),
        ("lth_companion/one.py", "from lth_core import low  # changed", {"first"}),
        ("lth_core/low.py", "x = 1", {"first"}),
        ("lth_core/__init__.py", "x = 1", {"first"}),
        ("lth_core/table.yaml", "x: 1", {"first"}),
        ("notebooks/second.ipynb", page("print(2)"), {"second"}),
        ("notebooks/second.ipynb", page("%magic"), {"second"}),
        ("results/cells.json", "[]", {"first", "second"}),
        ("requirements.lock", "numpy", {"first", "second"}),
        ("book/intro.md", "# Other", set()),
    ],
)
def test_a_change_executes_what_depends_on_it(
    project: Path, executed: Any, name: str, text: str, again: set[str]
) -> None:
    (project / name).write_text(text)
    assert executed() == again
    assert executed() == set()


@pytest.mark.parametrize("damage", ["cut", "forged", "gone"])
def test_a_damaged_page_is_executed_again(project: Path, executed: Any, damage: str) -> None:
    file = project / "book" / "first.ipynb"
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:-5])
    elif damage == "forged":
        file.write_text(file.read_text().replace("# Title", "# Another"))
    else:
        file.unlink()
    assert executed() == {"first"}


@pytest.fixture
def built(project: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Builds the pages with a stand-in for Jupyter Book; tells how often it was called. `ends` is its exit status."""
    calls: list[list[str]] = []

    def jupyter_book(command: list[str], **_: Any) -> subprocess.CompletedProcess:
        calls.append(command)
        html = Path(command[command.index("--path-output") + 1]) / "_build" / "html"
        html.mkdir(parents=True)
        (html / "index.html").write_text(f"build {len(calls)}")
        return subprocess.CompletedProcess(command, run.ends, "", "a page is broken")

    def run() -> int:
        before = len(calls)
        run.well = book.build_pages(project)
        return len(calls) - before

    run.ends, run.calls = 0, calls
    monkeypatch.setattr(book.subprocess, "run", jupyter_book)
    assert run() == 1 and run() == 0
    return run


@pytest.mark.parametrize(
    ("name", "calls"),
    [("book/intro.md", 1), ("_config.yml", 1), ("results/cells.json", 1), ("lth_core/low.py", 1), ("README.md", 0)],
)
def test_the_pages_are_built_again_if_what_they_show_changed(project: Path, built: Any, name: str, calls: int) -> None:
    (project / name).write_text("# Changed")
    assert built() == calls and built() == 0


@pytest.mark.parametrize("damage", ["cut", "lost", "more", "stamp"])
def test_damaged_pages_are_built_again(project: Path, built: Any, damage: str) -> None:
    html = project / "_build" / "html"
    if damage == "lost":
        (html / "index.html").unlink()
    else:
        name = {"cut": "index.html", "more": "page.html", "stamp": ".inputs"}[damage]
        (html / name).write_text("buil")
    assert built() == 1 and built() == 0


def test_a_build_without_a_change_looks_and_says_at_what(
    project: Path, executed: Any, built: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(book, "judge_once", lambda root: pytest.fail("nothing has to be judged"))
    monkeypatch.setattr(book, "execute", lambda *_: pytest.fail("nothing has to be executed"))
    before = len(built.calls)
    capsys.readouterr()
    assert book.build(project, force=False)
    said = f"_build/html/index.html is up to date: {book.looked_at(project)}\n"
    assert capsys.readouterr().out == said and len(built.calls) == before


def test_the_book_stays_until_the_new_one_is_whole(project: Path, built: Any) -> None:
    index = project / "_build" / "html" / "index.html"
    (project / "book" / "intro.md").write_text("# Broken")
    built.ends = 1
    assert built() == 1 and not built.well and index.read_text() == "build 1"
    built.ends = 0
    assert built() == 1 and built.well and index.read_text() == "build 3"
    assert not (project / "_build" / "beside").exists()


def test_a_book_that_was_about_to_be_replaced_goes_back(project: Path, built: Any) -> None:
    """Killed between the two renames: the old book lies beside; the next build begins by putting it back."""
    html, beside = project / "_build" / "html", project / "_build" / "beside"
    beside.mkdir()
    html.rename(beside / "old")
    assert built() == 0 and built.well and (html / "index.html").read_text() == "build 1" and not beside.exists()
    beside.mkdir()
    (beside / "half").write_text("left by a killed build")
    half = project / "_build" / f".executed.json.{os.uname().nodename}.{2**22 + 1}"  # more than any process has
    half.write_text("{")
    assert built() == 0 and not beside.exists() and not half.exists()


def test_half_executed_pages_are_swept(project: Path, executed: Any) -> None:
    (project / "book" / ".first.ipynb").write_text("half")
    assert executed() == set() and not (project / "book" / ".first.ipynb").exists()


@pytest.mark.parametrize("content", ["", "{", "[]", '{"first.ipynb": 3}', "[" * 100_000])
def test_damaged_times_are_forgotten(content: str, project: Path) -> None:
    file = project / status.TIMES
    file.parent.mkdir()
    file.write_text(content)
    assert "not here yet" in status.pages(project)
    status.record(project, "first.ipynb", 2.0, "2026-01-01")
    assert "2026-01-01" in status.pages(project)


def test_a_killed_worker_is_told_in_a_sentence(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """As where memory runs out: the system kills the process that executes a notebook."""

    def gone(*_: Any) -> Any:
        raise BrokenProcessPool("terminated abruptly")

    monkeypatch.setattr(book, "execute", gone)
    assert not book.execute_all(project, project / "book", {})
    said = capsys.readouterr().err
    assert "first.ipynb failed" in said and "was killed: run the same command again" in said


BEGETS = """
import os, subprocess, sys, time
from concurrent.futures import ProcessPoolExecutor
from lth_companion.build import child_processes

def work(n):
    os.write(1, b"at work\\n")  # in one piece, beside those of others
    time.sleep(600)

if __name__ == "__main__":
    from multiprocessing import set_start_method
    set_start_method(sys.argv[1])
    subprocess.Popen([sys.executable, "-P", "-c", "import os, sys, time; sys.path.insert(0, sys.argv[2]); "
                      "from child_processes import command; command(int(sys.argv[1])); os.write(1, b'at work\\\\n'); "
                      "time.sleep(600)", str(os.getpid()), os.path.dirname(child_processes.__file__), "MARK"])
    with ProcessPoolExecutor(2, initializer=child_processes.worker) as pool:
        list(pool.map(work, range(2)))
"""


@pytest.mark.parametrize("method", ["fork", "spawn", "forkserver"])
def test_processes_of_a_killed_build_end_with_it(method: str, tmp_path: Path) -> None:
    script = tmp_path / "begets.py"
    script.write_text(BEGETS.replace("MARK", str(tmp_path)))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    run = subprocess.Popen([sys.executable, str(script), method], stdout=subprocess.PIPE, text=True, env=environment)
    assert [run.stdout.readline() for _ in range(3)] == ["at work\n"] * 3  # type: ignore[union-attr]
    assert len(at_work(tmp_path)) >= 2
    run.kill()
    run.wait()
    for _ in range(100):
        if not (left := at_work(tmp_path)):
            return
        time.sleep(0.1)
    pytest.fail(f"still at work: {left}")


def test_what_decides_is_counted(project: Path) -> None:
    assert book.looked_at(project) == "looked at 2 notebooks, 6 files of code and 2 of measurements"


def test_a_book_is_served_before_it_is_there(tmp_path: Path) -> None:
    server = serve(tmp_path / "html", 0)
    address = f"http://127.0.0.1:{server.server_port}/index.html"
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(address, timeout=10)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "index.html").write_text("the book")
    (tmp_path / "new").rename(tmp_path / "html")
    assert urllib.request.urlopen(address, timeout=10).read() == b"the book"
    server.shutdown()


def test_the_old_book_is_served_while_the_new_one_is_built(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """At once, before the build has done anything."""
    read: list[str] = []

    def build() -> bool:
        address = capsys.readouterr().out.split()[0]
        read.append(urllib.request.urlopen(f"{address}/index.html", timeout=10).read().decode())
        raise KeyboardInterrupt

    (tmp_path / "index.html").write_text("the old book")
    assert not show(tmp_path, 0, build), "interrupted while it builds, it ends without a traceback"
    assert read == ["the old book"]


def test_a_port_in_use_is_said(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    taken = serve(tmp_path, 0)
    assert not show(tmp_path, taken.server_port, lambda: pytest.fail("nothing is built"))
    assert f"port {taken.server_port} cannot be used" in capsys.readouterr().err
    taken.shutdown()
    assert not show(tmp_path, 0, lambda: False), "no book, old or new"
