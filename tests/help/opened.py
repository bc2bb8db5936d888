"""A control in a browser without the book: as the static page shows it, or with a model of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from accessible import violations
from explored import alone
from pages import served
from waits import PATIENCE

MODEL = """({ state, code, css }) => {  // as Jupyter gives it one
  const listeners = {};
  const model = {
    get: (k) => state[k], on: (e, f) => (listeners[e] ??= []).push(f), off() {}, save_changes() {},
    set(k, v) { state[k] = v; (listeners[`change:${k}`] ?? []).forEach((f) => f()); },
  };
  document.head.appendChild(document.createElement("style")).textContent = css;
  const el = document.body.appendChild(document.createElement("main"));
  window.model = model;
  const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
  return import(url).then((m) => void m.default.render({ model, el }));
}"""


@contextmanager
def tab(browser: Any, width: int = 1280, height: int = 800) -> Iterator[Any]:
    """A browser page; what goes wrong on it fails when it closes."""
    context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 600)
    context.set_default_timeout(PATIENCE * 1000)
    page, wrong = context.new_page(), list[str]()
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on(
        "console", lambda line: wrong.append(line.text) if line.type == "error" and "404" not in line.text else None
    )
    yield page
    context.close()
    assert not wrong, wrong


@contextmanager
def opened(
    browser: Any, folder: Path, widget: Any, *, query: str = "", theme: str = "light", **size: int
) -> Iterator[Any]:
    """A page with the control under the book's policy, in `folder`."""
    with served(alone(folder, widget, theme=theme)) as site, tab(browser, **size) as page:
        page.goto(f"{site}/index.html{query}")
        page.locator(".lth-widget").wait_for()
        page.wait_for_timeout(50)  # charts are drawn when their width is known
        yield page


@contextmanager
def modelled(browser: Any, folder: Path, widget: Any) -> Iterator[Any]:
    """A bare page with the control, whose model is `window.model`."""
    folder.mkdir(exist_ok=True)
    (folder / "index.html").write_text("<!DOCTYPE html><title>One control</title>", "utf-8")
    state = {k: v for k, v in widget.get_state().items() if not k.startswith("_") and k != "layout"}
    with served(folder) as site, tab(browser) as page:
        page.goto(f"{site}/index.html")
        page.evaluate(MODEL, {"state": state, "code": widget._esm, "css": widget._css})
        yield page


def faultless(page: Any) -> None:
    """No fault that axe-core finds, and nothing wider than the page."""
    found = violations(page)
    assert not found, [(v["id"], v["nodes"][0]["html"]) for v in found]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
