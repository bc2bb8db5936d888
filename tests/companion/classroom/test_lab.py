"""`make lab`: JupyterLab opens in a browser that reaches nothing else, its kernel runs a notebook, its panel answers."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import sysconfig
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from jupyter import cut_off, ran, run_all, shown
from places import ROOT

PANEL = """{
 "cells": [
  {"cell_type": "code", "execution_count": null, "id": "panel", "metadata": {}, "outputs": [], "source": [
   "from lth_companion.widgets import train_your_own\\n", "panel = train_your_own.TrainYourOwn()\\n", "panel"]},
  {"cell_type": "code", "execution_count": null, "id": "busy", "metadata": {}, "outputs": [], "source": [
   "import time\\n", "end = time.monotonic() + 600\\n",
   "while not panel.bar.value and time.monotonic() < end:\\n", "    time.sleep(0.05)\\n",
   "print('it trained meanwhile' if panel.bar.value else 'it waited')"]}
 ],
 "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
 "nbformat": 4, "nbformat_minor": 5
}
"""


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment for `make lab` beside this one, whose packages it sees: nothing is installed into this one."""
    folder = tmp_path_factory.mktemp("lab") / "venv"
    venv.create(folder, with_pip=False)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "book.pth").write_text(f"{ROOT}\n{sysconfig.get_paths()['purelib']}\n")
    (folder / ".ready").touch()
    return folder


@contextmanager
def lab(environment: Path, folder: Path) -> Iterator[str]:
    """The address that `make lab` says; `folder` is a home without settings."""
    paths = {"HOME": str(folder), "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter"), "BROWSER": "true"}
    command = ["make", "--silent", "lab", f"VENV={environment}"]
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **paths}, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    said: list[str] = []
    try:
        assert process.stdout
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"http://(?:localhost|127\.0\.0\.1):\d+/lab\S*token=\w+", line):
                threading.Thread(target=process.stdout.read, daemon=True).start()
                yield found[0]
                return
        pytest.fail("".join(said[-20:]))
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        process.wait()


@pytest.mark.browser
@pytest.mark.slow
def test_the_notebooks_open_and_run_in_jupyterlab(environment: Path, browser: Any, tmp_path: Path) -> None:
    with lab(environment, tmp_path) as address, cut_off(browser, address) as (page, outside):
        page.goto(address)
        page.locator(".jp-DirListing-item").first.wait_for()
        listed = set(page.locator(".jp-DirListing-itemName").all_inner_texts())
        assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= listed
        page.locator(".jp-DirListing-item", has_text="v1_2_xor.ipynb").dblclick()
        assert run_all(page) == []
        assert page.locator(".lth-widget").count() and page.locator(".jp-OutputArea figure").count()
        shown(page, "lab")
        assert not outside


@pytest.mark.browser
@pytest.mark.slow
def test_the_panel_trains_while_a_cell_is_at_work(environment: Path, browser: Any, tmp_path: Path) -> None:
    """A cell waits for the training, which begins by a click: JupyterLab tells widgets past the cell that runs."""
    (tmp_path / "panel.ipynb").write_text(PANEL)
    with lab(environment, tmp_path) as address, cut_off(browser, address) as (page, _):
        page.goto(address)
