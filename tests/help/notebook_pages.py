"""Jupyter's own pages in a browser that is cut off from everything else: a notebook is opened and run as a person does.

Both JupyterLab and JupyterLite show the page its application where their setting `exposeAppInBrowser` is on: what a
notebook holds is read there, since a page shows no more cells than are in sight."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from places import ROOT
from waits import PATIENCE, until

READY = """(name) => {
  const panel = window.jupyterapp?.shell.currentWidget;
  return panel?.context?.path === name && panel.context.isReady && panel.content.widgets.length > 0
    && panel.sessionContext.isReady && panel.sessionContext.session?.kernel?.status === "idle";
}"""
CELLS = """() => window.jupyterapp.shell.currentWidget.content.model.sharedModel.cells
  .map((cell) => cell.toJSON()).filter((cell) => cell.cell_type === "code")"""


@contextmanager
def cut_off(browser: Any, address: str) -> Iterator[tuple[Any, list[str]]]:
    """A page that reaches the server at `address` alone, and the list of what it asked for elsewhere."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(PATIENCE * 1000)
    outside: list[str] = []
    here = "/".join(address.split("/")[:3])

    def gate(route: Any) -> None:
        if route.request.url.startswith(here):
            return route.continue_()
        outside.append(route.request.url)
        return route.abort()

    context.route("**/*", gate)
    yield context.new_page(), outside
    context.close()


def run_all(page: Any, name: str) -> list[dict[str, Any]]:
    """Run all cells of the notebook `name`, which the page is opening; its code cells as they then are."""
    until(page, READY, name)
    page.evaluate("window.jupyterapp.commands.execute('notebook:run-all-cells')")
    return page.evaluate(CELLS)


def printed(cell: dict[str, Any]) -> str:
    """What a cell printed and the text of its result."""
    texts = [o.get("text") or o.get("data", {}).get("text/plain", "") for o in cell["outputs"]]
    return "".join("".join(text) for text in texts)


def errors(cells: list[dict[str, Any]]) -> list[str]:
    """The errors in cells' outputs."""
    return [f"{o['ename']}: {o['evalue']}" for c in cells for o in c["outputs"] if o["output_type"] == "error"]


def picture(page: Any, name: str) -> None:
    """Keep what the page shows for a person to look at."""
    page.screenshot(path=ROOT / "_artefacts" / f"{name}.png")
