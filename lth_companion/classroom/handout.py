"""The lesson's handout: one page of PDF, made of those slides that a line `<!-- handout -->` marks."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

from lth_core.untrusted_text import shown

MARK = "<!-- handout -->"
PAGE = (595, 842)  # A4 in points
MARGIN, TEXT, HEAD, LINE = 50, 10.5, 13.0, 1.42  # points; lines in multiples of the letters' size
RAISED = str.maketrans("0123456789n", "⁰¹²³⁴⁵⁶⁷⁸⁹ⁿ")
Word = tuple[str, str]  # with its weight: bold or normal


def marked(source: str, value: Callable[[str], str]) -> list[str]:
    """Markdown of the marked slides, without notes; `value` tells a claim's measured value."""
    slides = [part.partition("\nNote:")[0] for part in re.split(r"^---$", source, flags=re.M)]
    kept = [slide.replace(MARK, "").strip() for slide in slides if MARK in slide]
    return [re.sub(r"\{\{([\w.-]+)\}\}", lambda m: shown(value(m[1])), slide) for slide in kept]


def words(text: str) -> list[Word]:
    """A paragraph's words; what stands between two asterisks is bold, other marks go. A mark that follows bold words
    without a space stays with the last of them."""
    text = re.sub(r"<sup>(\w+)</sup>", lambda m: m[1].translate(RAISED), text)
    text = re.sub(r"\*\*([.,;:?!]+)", r"\1**", text)
    found = []
    for i, run in enumerate(text.split("**")):
        found += [(word, "bold" if i % 2 else "normal") for word in re.sub(r"[*_`]", "", run).split()]
    return found


def blocks(slide: str) -> Iterator[tuple[str, Any]]:
    """A slide's parts in order: ("head", words), ("text", words), ("item", (mark, words)), ("row", [words, ...])."""
    for part in re.split(r"\n\s*\n", slide):
        lines = part.strip().splitlines()
        if lines[0].startswith("#"):
            yield "head", words(lines[0].lstrip("# "))
        elif lines[0].startswith("|"):
            rows = [line.strip("|").split("|") for line in lines if not re.fullmatch(r"[|:\- ]+", line)]
            yield "row", [[(word, "bold") for word, _ in words(cell)] for cell in rows[0]]
            yield from (("row", [words(cell) for cell in row]) for row in rows[1:])
        elif re.match(r"(\d+\.|-) ", lines[0]):
            for line in re.split(r"\n(?=\d+\. |- )", part.strip()):
                mark, _, rest = line.partition(" ")
                yield "item", (mark.replace("-", "–"), words(rest))
        else:
            yield "text", words(part)


class Page:
    """A sheet that is written from top to bottom; ValueError once it is full."""

    def __init__(self) -> None:
        from matplotlib.figure import Figure

        self.figure = Figure(figsize=(PAGE[0] / 72, PAGE[1] / 72))
        self.y = float(PAGE[1] - MARGIN)

    def write(self, line: Sequence[Word], x: float, right: float, size: float = TEXT) -> float:
        """Write words from the current height down, between `x` and `right` (points from the left); where it ends."""
        y = self.y - size
        for i, row in enumerate(broken(line, right - x, size)):
            y, at = y - size * LINE * (i > 0), x
            if y < MARGIN:
                raise ValueError("the handout is longer than a page: mark fewer slides")
            for weight, run in groupby(row, key=lambda word: word[1]):
                text = " ".join(word for word, _ in run)
                self.figure.text(at / PAGE[0], y / PAGE[1], text, size=size, weight=weight, family="DejaVu Sans")
                at += width(f"{text} ", size, weight)
        return y - size * (LINE - 1)


def broken(line: Sequence[Word], room: float, size: float) -> list[list[Word]]:
    """Words in rows of no more than `room` points."""
    rows: list[list[Word]] = [[]]
    at = 0.0
    for word, weight in line:
        wide = width(f"{word} ", size, weight)
        if at + wide > room and rows[-1]:
            rows, at = [*rows, []], 0.0
        rows[-1].append((word, weight))
        at += wide
    return rows


def width(text: str, size: float, weight: str) -> float:
    """How far a text reaches, in points."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import TextToPath

    properties = FontProperties(family="DejaVu Sans", weight=weight, size=size)
    return TextToPath().get_text_width_height_descent(text, properties, ismath=False)[0]


def drawn(slides: Sequence[str], title: str, exercises: Sequence[str]) -> Any:
    """The page as a matplotlib figure."""
    page, left, right = Page(), MARGIN, PAGE[0] - MARGIN
    page.y = page.write([(w, "bold") for w in title.split()], left, right, 18) - 4
    listed = [f"## Exercises\n\n{chr(10).join(f'{i}. {one}' for i, one in enumerate(exercises, 1))}"]
    for slide in [*slides, *listed]:
        for kind, what in blocks(slide):
            if kind == "head":
                page.y -= 9
                page.y = page.write([(word, "bold") for word, _ in what], left, right, HEAD) - 1
            elif kind == "text":
                page.y = page.write(what, left, right) - 3
            elif kind == "item":
                page.write([(what[0], "normal")], left + 4, right)
                page.y = page.write(what[1], left + 22, right)
            else:
                step = (right - left) / len(what)
                page.y = min(
                    page.write(cell, left + i * step, left + (i + 1) * step - 8) for i, cell in enumerate(what)
                )
    return page.figure


def write(book: Path, sources: Path) -> Path:
    """Make `book`/_slides/teach/handout.pdf of `book`/teach/slides.md and the exercises' titles in `sources`."""
    from lth_companion.claims import verdicts

    source = (book / "teach" / "slides.md").read_text("utf-8")
    first = ["".join(json.loads(p.read_text("utf-8"))["cells"][0]["source"]) for p in sorted(sources.glob("*.ipynb"))]
    told = []
    for text in first:
        found = re.search(r"^# Exercise \d: ([^,\n]+)(?s:.*?)(\d+) minutes", text, re.M)
        if not found:
            raise ValueError(f"an exercise begins with its title and its minutes, not with {text[:60]!r}")
        told.append(f"{found[1][0].upper()}{found[1][1:]}: {found[2]} minutes")
    target = book / "_slides" / "teach" / "handout.pdf"
    target.parent.mkdir(parents=True, exist_ok=True)
    figure = drawn(marked(source, verdicts.value), source.splitlines()[0].lstrip("# "), told)
    figure.savefig(target, metadata={"CreationDate": None})
    return target
