"""The lesson's slides: one HTML file that needs nothing else, made from Markdown and the book's own executed pages.

A line `---` begins a slide. `<!-- figure: PAGE NAME -->` puts in a figure of an executed page, by the name under which
`plot.show` drew it; `{{CLAIM}}` a claim's measured value from the ledger; what follows a line `Note:` is for teachers.
Slides that `<!-- handout -->` marks are on the handout too (`handout`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import escape
from pathlib import Path

from lth_core.untrusted_text import shown

HERE = Path(__file__).parent
FIGURE = re.compile(r"<!-- figure: (\S+) (\S+) -->")


def figure(pages: Path, page: str, name: str) -> str:
    """A figure as the executed page `pages`/PAGE.ipynb shows it, without its makers; or the box that says that none is
    measured yet."""
    notebook = json.loads((pages / f"{page}.ipynb").read_text("utf-8"))
    shown = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            if "text/html" in data:
                shown["".join(data.get("text/plain", "")).strip("<>")] = "".join(data["text/html"])
    for known in (f"figure {name}", name):
        if known in shown:
            return re.sub(r"<details>.*?</details>", "", shown[known], flags=re.S)
    raise LookupError(f"the page {page} shows no figure {name!r}; it shows {', '.join(sorted(shown))}.")


def make(source: str, pages: Path, value: Callable[[str], str]) -> str:
    """The slides as a whole HTML page; `value` tells a claim's measured value."""
    from markdown_it import MarkdownIt

    text = re.sub(r"\{\{([\w.-]+)\}\}", lambda m: shown(value(m[1])), source)
    markdown = MarkdownIt("commonmark", {"html": True}).enable("table")
    made = []
    parts = re.split(r"^---$", text, flags=re.M)
    for number, part in enumerate(parts, 1):
        body, _, note = part.partition("\nNote:")
        headed = re.sub(r"<(/?)h2>", r"<\1h1>", markdown.render(body))  # seen alone, a slide is a page
        html = FIGURE.sub(lambda m: figure(pages, m[1], m[2]), headed)
        aside = f'<aside class="note">{markdown.render(note)}</aside>' if note.strip() else ""
        made.append(
            f'<section class="slide" id="s{number}" aria-label="Slide {number} of {len(parts)}" tabindex="-1">'
            f'<div class="body">{html}</div>{aside}</section>'
        )
    title = re.search(r"^# (.+)$", source, flags=re.M)
    page = (HERE / "slides.html").read_text("utf-8")
    for place, what in {
        "TITLE": escape(title[1] if title else "Slides"),
        "STYLE": (HERE / "slides.css").read_text("utf-8"),
        "SCRIPT": (HERE / "slides.js").read_text("utf-8"),
        "SLIDES": "\n".join(made),
    }.items():
        page = page.replace(f"<!-- {place} -->", what)
    return page


def write(book: Path) -> Path:
    """Make `book`/teach/slides.md into `book`/_slides/teach/slides.html, which Sphinx copies as it is."""
    from lth_companion.claims import verdicts

    made = make((book / "teach" / "slides.md").read_text("utf-8"), book, verdicts.value)
    target = book / "_slides" / "teach" / "slides.html"
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists() or target.read_text("utf-8") != made:  # else the book would be built again
        target.write_text(made, "utf-8")
    return target
