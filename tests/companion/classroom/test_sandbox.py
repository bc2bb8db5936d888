"""Whatever a cell does is noted as its own, and ends neither the grader nor the cells after it."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import pytest
from places import ROOT

from lth_companion.classroom import sandbox
from lth_companion.classroom.sandbox import Limits

LIMITS = Limits(seconds=90, total=1_500, memory=4_000)  # a busy machine takes its time


@pytest.mark.slow
def test_a_cell_that_cannot_be_sent_is_its_own_error() -> None:
    """Half a character, which no UTF-8 has: the cells after it run, and no time is blamed."""
    sources = {"a": "x = 1", "b": "x = 2  # \ud800", "c": "assert x == 1"}
    code = [dict(id=i, source=s, cell_type="code", metadata={}, outputs=[], execution_count=None)
            for i, s in sources.items()]  # fmt: skip
    ended = sandbox.run({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, LIMITS)
    assert [(e.cell, e.error) for e in ended] == [("a", ""), ("b", "UnicodeEncodeError"), ("c", "")]


# What a cell does -> how it is said to have ended. After each the next begins as if nothing had been.
CELLS = {
    "import os, shutil, sys, threading": "",
    "assert os.environ['TMPDIR'] == os.environ['HOME'] + '/work', 'not in the sandbox'": "",
    "open('much', 'wb').write(bytes(2 * 10**8))": "OSError",
    "shutil.rmtree(os.environ['HOME'], ignore_errors=True); open('mine', 'w')": "FileNotFoundError",
    "exit()": "SystemExit",
    "os.chdir('/'); os.environ.clear()": "",
    "print('x' * 10**8)": "",
    "sys.stdout.close()": "",
    "for number in range(3): os.close(number)": "",
    "threading.Thread(target=lambda: [None for _ in iter(int, 1)], daemon=True).start()": "",
    "os.kill(os.getppid(), 9)": sandbox.ENDED,
    "os.fork()": "",
    "import ctypes; ctypes.string_at(0)": sandbox.ENDED,
    "%%javascript\nalert(1)": "",
    "assert sys": "",
}  # fmt: skip


@pytest.mark.slow
def test_what_a_cell_does_is_its_own_and_what_comes_after_runs() -> None:
    """Nothing hangs, and a cell that ends the process above it, or removes all that it finds, spoils no other."""
    code = [dict(id=f"c{i}", source=source, cell_type="code", metadata={}, outputs=[], execution_count=None)
            for i, source in enumerate(CELLS)]  # fmt: skip
    ended = sandbox.run({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, LIMITS)
    assert dict(zip(CELLS, (e.error for e in ended), strict=True)) == CELLS, ended


@pytest.mark.slow
def test_what_a_cell_leaves_behind_ends_no_class() -> None:
    """A thread that ends whatever runs, also the cells that were not reached."""
    bomb = "import os, signal, threading\nthreading.Timer(1, os.kill, (os.getppid(), 9)).start()"
    code = [dict(id=i, source=s, cell_type="code", metadata={}, outputs=[], execution_count=None)
            for i, s in {"a": bomb, "b": "import time; time.sleep(60)", "c": "1"}.items()]  # fmt: skip
    ended = sandbox.run({"cells": code, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}, LIMITS)
    assert [e.cell for e in ended] == ["a", "b", "c"] and ended[1].error == sandbox.ENDED


TICKING = """
import time
while True:
    with open({!r}, "a") as file:
        file.write(".")
    time.sleep(0.1)
"""


@pytest.mark.slow
def test_a_grader_that_is_killed_leaves_nothing_that_runs(tmp_path: Path) -> None:
    ticks = tmp_path / "ticks"
    cell = dict(id="a", source=TICKING.format(str(ticks)), cell_type="code", metadata={}, outputs=[], execution_count=0)
    made = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    code = f"from lth_companion.classroom import sandbox; sandbox.run({made!r}, sandbox.Limits())"
    process = subprocess.Popen([sys.executable, "-c", code], cwd=ROOT)
    while not ticks.exists():
        assert process.poll() is None
        time.sleep(0.1)
    process.kill()
    process.wait()
    time.sleep(5)  # a kernel that has lost its parent without a namespace looks every second
    size = ticks.stat().st_size
    time.sleep(2)
    assert ticks.stat().st_size == size
