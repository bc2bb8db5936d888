"""What Jupyter Book's pages still need: measured results on the landing page, no thebe, ARIA that axe-core accepts, and
a policy under which browsers run the book's own scripts only."""

from __future__ import annotations

import base64
import hashlib
import importlib
import json
import re
import shutil
from html import escape
from pathlib import Path

from sphinx.util import logging

import lth_companion
from lth_companion import widgets
from lth_companion.pages import download, figure_index

LOG = logging.getLogger(__name__)
PLACE = re.compile(r"<!-- lth: ([\w.]+)\.(\w+) -->")  # a function of a module of lth_companion that gives Markdown

NOW = r'[^"]*(?:documentation_options|widget-host)\.js'
DATA = r'data-[\w-]+="[^"]*"'
# The theme's search while you type, which is switched off: a fifth of a megabyte on every page.
SEARCH = re.compile(r'\s*<script (?:defer )?src="[^"]*(?:searchtools|language_data|searchindex)\.js"></script>')

# Theme and bibliography write roles that ARIA does not allow where they stand, or names that differ from what is shown.
# Versions of both are pinned; tests/whole/test_site.py runs axe-core on every page.
REPAIRS = [
    (r' role="doc-(?:biblioentry|backlink)"', ""),
    (r'(<div)(?: role="list")?( class="[^"]*citation-list[^"]*")(?: role="list")?', r"\1\2"),
    (r'(<button[^>]*search-button[^>]*?) aria-label="Search"', r"\1"),
    (r'(<button[^>]*?) aria-label="Search"([^>]*search-button)', r"\1\2"),
    (r'(<button[^>]*theme-switch-button[^>]*?) aria-label="Color mode"', r"\1"),
    (r'(<a href="[^"]*_sources/[^"]*\.ipynb") target="_blank"', r"\1 download"),  # a file to keep, not a tab of JSON
    (r"<(?:script|link)[^>]*fontawesome\.js[^>]*>(?:</script>)?", ""),  # 1.5 MB; the icon font shows the same icons
    (r'<th(?: class="head")?>\s*(?:<p>\s*</p>)?\s*</th>', "<td></td>"),  # the corner of a data frame heads nothing
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    (r'<button onclick="(?:window\.print|toggleFullScreen)\(\)"', "<button"),  # book.js does their work
    # Scripts wait for the page, not the page for them: but what later ones in the page read, and our host of controls.
    (rf'<script((?: {DATA})*) src="((?!{NOW})[^"]*)"></script>', r'<script defer\1 src="\2"></script>'),
    (r'<script type="text/x-thebe-config">[^<]*</script>\s*<script>kernelName = [^<]*</script>', ""),
    (
        r'<div class="sidebar-primary-item">(\s*<a class="navbar-brand)',
        r'<div class="sidebar-primary-item" role="region" aria-label="Book title">\1',
    ),
]


# The second wall behind `lth_core.untrusted_text`: were text from a store to become HTML all the same, no script of it
# runs. "file:" lets pages work that are opened from a disk; "blob:" is how a page without a server loads a widget's
# module and its worker, which then has the page's policy; a worker from a file would have what the server sends, mostly
# none.
POLICY = (
    "default-src 'none'; script-src 'self' file: blob: {hashes}; style-src 'self' file: 'unsafe-inline'; "
    "img-src 'self' file: data:; font-src 'self' file: data:; connect-src 'self' file:; worker-src blob:; "
    "base-uri 'none'; form-action 'self' file:"
)
SCRIPT = re.compile(r"<script\b(?:([^<>]*)>(.*?)</script\s*>)?", re.S | re.I)  # what a browser may take for one
BY_FILE = re.compile(r"""(?:\s+(?:async|defer|data-[\w-]+)(?:="[\w-]*")?)*\s+src="(?!/)[\w./-]+(?:\?[\w=.-]+)?"\s*""")
PAGE_NAME = re.compile(r"DOCUMENTATION_OPTIONS\.pagename = '[\w/-]+';")
WIDGET = re.compile(r'\s+type="application/vnd\.jupyter\.widget-(?:state|view)\+json"\s*')


def inline(page: str) -> list[str]:
    """The inline scripts of a page."""
    found = SCRIPT.finditer(page)
    return [m[2] for m in found if m[1] is not None and not re.search(r"\b(?:src|type)=", m[1])]


def carried() -> set[str]:
    """The scripts of the companion that pages carry in themselves: the ledger's, the slides'."""
    texts = [path.read_text("utf-8") for path in Path(lth_companion.__file__).parent.rglob("*.js")]
    return {*texts, *(f"\n{text}\n" for text in texts)}


def own_scripts(app) -> set[str]:
    """The inline scripts that the book may run: those of its search page, which tells of no store, MathJax's settings,
    and `carried`."""
    search = (Path(app.outdir) / "search.html").read_text("utf-8")
    return {*inline(search), f"window.MathJax = {json.dumps(app.config.mathjax3_config)}", *carried()}


def own_modules() -> set[str]:
    """The sources of our widgets: the page's host runs what a widget's state holds as source."""
    found = [getattr(w, "_esm", None) for w in vars(widgets).values() if isinstance(w, type)]
    return {str(source) for source in found if source is not None}


def is_own(attributes: str | None, body: str | None, scripts: set[str], modules: set[str]) -> bool:
    """Whether a script of a built page is one of the book's."""
    if attributes is None or body is None:
        return False
    if BY_FILE.fullmatch(attributes):
        return not body.strip()
    if WIDGET.fullmatch(attributes):
        try:
            states = json.loads(body).get("state", {}).values()
            return all(s["state"].get("_esm", "") in {"", *modules} for s in states)
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
    return body in scripts or bool(PAGE_NAME.fullmatch(body))


def guarded(page: str, scripts: set[str], modules: set[str]) -> tuple[str, list[str]]:
    """A page with its policy, which lists the sums of the page's own inline scripts, and the beginnings of scripts that
    are not the book's: they are left in the page as text."""
    strange: list[str] = []

    def keep(match: re.Match) -> str:
        if is_own(match[1], match[2], scripts, modules):
            return match[0]
        strange.append(match[0][:80])
        return escape(match[0])

    page = SCRIPT.sub(keep, page)
    sums = sorted({base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in inline(page)})
    policy = POLICY.format(hashes=" ".join(f"'sha256-{s}'" for s in sums))
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}" />'
    return re.sub(r'(<meta charset="utf-8"\s*/?>)', lambda m: f"{m[1]}\n    {tag}", page, count=1), strange


def fill_in(app, docname, source):
    """Put measured results into the pages, as Markdown from the library. What it cannot give stops the build."""
    source[0] = PLACE.sub(lambda m: getattr(importlib.import_module(f"lth_companion.{m[1]}"), m[2])(), source[0])


def name_figures(app):
    """The sidebar names each page's figures and says what of them is not measured (the rest of a title: _toc.yml)."""
    for name in app.config.external_site_map:
        page = app.config.external_site_map[name]
        if page.title and (figures := figure_index.sidebar(name)):
            page.title = f"{page.title} · {figures}"


def with_host(app, pagename, templatename, context, doctree):
    """Pages that are no notebook and have a control need our host for it, as myst-nb gives it to notebooks."""
    if 'type="application/vnd.jupyter.widget-view+json"' in (context.get("body") or ""):
        for name, settings in app.config.nb_ipywidgets_js.items():
            app.add_js_file(name, **settings)


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
    for pattern in ("*.map", "fontawesome.js*", "*webpack-macros.html"):  # the last are templates of the theme's
        for path in out.rglob(pattern):
            path.unlink()
    download.write_out(out / "_sources")
    shutil.rmtree(out / "_static" / "locales", ignore_errors=True)  # the theme's words in other languages
    scripts, modules = own_scripts(app), own_modules()
    for path in sorted(out.rglob("*.html")):
        before = text = path.read_text("utf-8")
        for pattern, replacement in REPAIRS:
            text = re.sub(pattern, replacement, text)
        if path.name != "search.html":
            text = SEARCH.sub("", text)
        if "<head>" in text:  # else a fragment that no reader opens
            text, strange = guarded(text, scripts, modules)
            for beginning in strange:
                LOG.warning("%s: a script that is none of the book's was left as text: %r", path.name, beginning)
        if text != before:
            path.write_text(text, "utf-8")


def setup(app):
    app.connect("builder-inited", name_figures)
    app.connect("source-read", fill_in)
    app.connect("html-page-context", with_host)
    app.connect("html-page-context", without_thebe, priority=900)
    app.connect("build-finished", finish)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
