"""What Jupyter Book's pages still need: measured results on the landing page, no thebe, ARIA that axe-core accepts."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

PLACE = re.compile(r"<!-- lth: (\w+)\.(\w+) -->")  # a function of a module of lth_core that gives Markdown

# Theme and bibliography write roles that ARIA does not allow where they stand, or names that differ from what is shown.
# Versions of both are pinned; tests/test_book.py runs axe-core on every page.
REPAIRS = [
    (r' role="doc-(?:biblioentry|backlink)"', ""),
    (r'(<div)(?: role="list")?( class="[^"]*citation-list[^"]*")(?: role="list")?', r"\1\2"),
    (r'(<button[^>]*search-button[^>]*?) aria-label="Search"', r"\1"),
    (r'(<button[^>]*?) aria-label="Search"([^>]*search-button)', r"\1\2"),
    (r'(<button[^>]*theme-switch-button[^>]*?) aria-label="Color mode"', r"\1"),
    (r'(<a href="[^"]*_sources/[^"]*\.ipynb") target="_blank"', r"\1 download"),  # a file to keep, not a tab of JSON
    (r"<(?:script|link)[^>]*fontawesome\.js[^>]*>(?:</script>)?", ""),  # 1.5 MB; the icon font shows the same icons
    (r"<th>\s*</th>", "<td></td>"),  # the corner of a data frame heads nothing
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (
        r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand)',
        r'<div class="sidebar-primary-item" role="region" aria-label="Book title">\1',
    ),
]


def fill_in(app, docname, source):
    """Put measured results into the pages, as Markdown from the library. What it cannot give stops the build."""
    source[0] = PLACE.sub(lambda m: getattr(importlib.import_module(f"lth_core.{m[1]}"), m[2])(), source[0])


def without_thebe(app, pagename, templatename, context, doctree):
    """Live code needs a server; stock pages declare thebe's constants twice, which is an error in the browser."""

    def keep(asset) -> bool:
        body = (getattr(asset, "attributes", None) or {}).get("body") or ""
        return "thebe" not in f"{getattr(asset, 'filename', asset)} {body}".lower()

    for kind in ("script_files", "css_files"):
        context[kind] = [asset for asset in context.get(kind, []) if keep(asset)]


def finish(app, exception):
    if exception or app.builder.name != "html":
        return
    out = Path(app.outdir)
    for pattern in ("*.map", "fontawesome.js*"):
        for path in out.rglob(pattern):
            path.unlink()
    for path in out.rglob("*.html"):
        before = text = path.read_text("utf-8")
        for pattern, replacement in REPAIRS:
            text = re.sub(pattern, replacement, text)
        if text != before:
            path.write_text(text, "utf-8")


def setup(app):
    app.connect("source-read", fill_in)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
