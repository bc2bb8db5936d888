"""A page with one widget, as the book would show it: the same host, the same content policy, no book around it."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pages import served
from places import ROOT

sys.path.append(str(ROOT / "book" / "_ext"))
PAGE = """<!DOCTYPE html>
<html lang="en"{mode}><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<link rel="icon" href="data:,">
<style>html {{ color-scheme: {scheme}; }} body {{ font: 16px system-ui; margin: 1rem auto; max-width: 46rem; padding: 0 1rem; }}</style></head>
<body><main><h1>{title}</h1>
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
<script type="application/vnd.jupyter.widget-view+json">{view}</script>
</main><script src="widget-host.js"></script></body></html>"""


def written(folder: Path, widget: Any, mode: str = "light") -> None:
    """`index.html` in `folder`, guarded by the book's policy, with the book's host for widgets beside it."""
    import lth_book

    state = {k: v for k, v in widget.get_state().items() if k != "layout"}
    models = {"one": {"model_name": "AnyModel", "model_module": "anywidget", "model_module_version": "1", "state": state}}
    page = PAGE.format(
        title=type(widget).__name__,
        mode=f' data-theme="{mode}"',
        scheme=mode,
        state=json.dumps({"version_major": 2, "version_minor": 0, "state": models}).replace("<", "\\u003c"),
        view=json.dumps({"model_id": "one"}),
    )
    guarded, strange = lth_book.guarded(page, set(), lth_book.own_modules())
    assert not strange, strange
    (folder / "index.html").write_text(guarded, "utf-8")
    (folder / "widget-host.js").write_text((ROOT / "book" / "_assets" / "widget-host.js").read_text("utf-8"), "utf-8")


@contextmanager
def shown(folder: Path, widget: Any, browser: Any, width: int = 1280, mode: str = "light", **more: Any) -> Iterator[Any]:
    """A browser page with the widget, cut off from everything else. What goes wrong on it fails at the end."""
    written(folder, widget, mode)
    wrong: list[str] = []
    with served(folder) as site:
        context = browser.new_context(viewport={"width": width, "height": 900 if width > 600 else 812}, **more)
        page = context.new_page()

        def gate(route: Any) -> None:
            if route.request.url.startswith((site, "blob:")):
                return route.continue_()
            wrong.append(f"asked for {route.request.url}")
            return route.abort()

        context.route("**/*", gate)
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.on("console", lambda line: wrong.append(line.text) if line.type in ("error", "warning") else None)
        page.goto(site)
        page.locator(".lth-widget").wait_for()
        yield page
        context.close()
    assert not wrong, wrong
