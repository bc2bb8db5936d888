"""`make lab`: JupyterLab opens in a browser that reaches nothing else, runs a notebook, and its panel answers."""

from __future__ import annotations

import json
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

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook
from notebook_pages import READY, cut_off, errors, picture, run_all
from places import ROOT
from waits import until

SHOW = "from lth_companion.widgets import train_here\n\ntrain_here.TrainHere(train_here.digits(), rounds=3)"
BUSY = "import time\n\ntime.sleep(3_600)"
# The kernel's status says idle while it sleeps: a subshell answers the page's messages. The cell's own mark does not.
IS_BUSY = "[...document.querySelectorAll('.jp-InputPrompt')].some(e => e.textContent.trim() === '[*]:')"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment for `make lab` that sees this one's packages: nothing is installed into this one."""
    folder = tmp_path_factory.mktemp("lab") / "venv"
    venv.create(folder, with_pip=False)
    (site,) = (folder / "lib").glob("python*/site-packages")
    (site / "book.pth").write_text(f"{ROOT}\n{sysconfig.get_paths()['purelib']}\n")
    (folder / ".ready").touch()
    subprocess.run(["make", "--silent", f"VENV={folder}", f"{folder}/.lab"], cwd=ROOT, check=True)
    return folder


@contextmanager
def lab(environment: Path, home: Path, notebooks: Path | None = None) -> Iterator[str]:
    """The address that `make lab` says, in a home without settings; `notebooks`: another folder than ours."""
    (home / ".jupyter").mkdir(parents=True)
    settings: dict[str, Any] = {"ServerApp": {"open_browser": False}, "LabApp": {"expose_app_in_browser": True}}
    settings["ServerApp"] |= {"root_dir": str(notebooks)} if notebooks else {}
    (home / ".jupyter" / "jupyter_lab_config.json").write_text(json.dumps(settings))
    command = ["make", "--silent", "lab", f"VENV={environment}"]
    if notebooks:
        command = [str(environment / "bin" / "jupyter"), "lab", "--allow-root"]
    own = {"HOME": str(home), "JUPYTER_PATH": str(Path(sys.prefix) / "share" / "jupyter")}
    process = subprocess.Popen(
        command, cwd=ROOT, env={**os.environ, **own}, start_new_session=True, text=True,
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
    with lab(environment, tmp_path / "home") as address, cut_off(browser, address) as (page, outside):
        page.goto(address)
        page.locator(".jp-DirListing-item").first.wait_for()
        listed = set(page.locator(".jp-DirListing-itemName").all_inner_texts())
        assert {path.name for path in (ROOT / "notebooks").glob("*.ipynb")} <= listed
        page.locator(".jp-DirListing-item", has_text="v1_2_xor.ipynb").dblclick()
        cells = run_all(page, "v1_2_xor.ipynb")
        assert all(cell["execution_count"] for cell in cells) and not errors(cells)
        page.locator(".lth-widget input[type=range]").first.scroll_into_view_if_needed()
        picture(page, "lab")
        assert page.locator(".jp-OutputArea figure").count() and not outside


@pytest.mark.browser
@pytest.mark.slow
def test_a_ticket_trains_in_the_page_while_the_kernel_is_busy(environment: Path, browser: Any, tmp_path: Path) -> None:
    """Train your own: its worker belongs to the page. The kernel sleeps for an hour in the next cell."""
    made = new_notebook(cells=[new_code_cell(SHOW), new_code_cell(BUSY)])
    made.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    (tmp_path / "notebooks").mkdir()
    nbformat.write(made, tmp_path / "notebooks" / "panel.ipynb")
    opened = lab(environment, tmp_path / "home", tmp_path / "notebooks")
    with opened as address, cut_off(browser, address) as (page, _):
        page.goto(address)
        page.locator(".jp-DirListing-item", has_text="panel.ipynb").dblclick()
        until(page, READY, "panel.ipynb")
        page.evaluate("void window.jupyterapp.commands.execute('notebook:run-all-cells')")
        page.get_by_role("button", name="Train").click()
        until(page, "document.querySelector('.lth-widget progress').value > 0.3")
        assert page.evaluate(IS_BUSY)
        seek = page.locator(".lth-widget input[type=range]").last
        seek.press("Home")
        assert "unpruned" in seek.get_attribute("aria-valuetext")
        picture(page, "panel")
