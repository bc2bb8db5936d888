"""Every figure of both papers: where it stands in this book, and whether it is measured."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import Any

from lth_companion.experiments import catalogue
from lth_core import results
from lth_core.spec import Spec
from lth_core.store.cell import key_of

PAPERS = {"iclr": "ICLR 2019", "v1": "arXiv 2018 (v1)"}
LAST = {"iclr": 45, "v1": 16}  # the number of each paper's last figure
# Figures without trained rows of their own: page, anchor, what they show, status.
OTHERS = {
    ("iclr", 2): ("iclr_2_lenet", "", "The architectures that the paper tests, a table", "no measurement"),
    ("v1", 1): ("v1_2_xor", "v1-fig01", "XOR: how often networks of each size learn it", "measured"),
    ("v1", 2): ("v1_2_xor", "v1-fig02", "XOR: how often their tickets do", "measured"),
}
ADDRESS = {"iclr": "https://arxiv.org/pdf/1803.03635v5", "v1": "https://arxiv.org/pdf/1803.03635v1"}
# Pages of the ICLR paper's figures, from 1 on; of version 1 the text that we have does not tell them.
ICLR_PAGES = (
    2, 3, 4, 5, 6, 7, 7, 8, 15, 15, 15, 16, 17, 19, 20, 20, 20, 21, 21, 22, 22, 22, 23, 23, 24, 25, 25, 26, 27, 27, 28,
    30, 32, 34, 35, 37, 38, 41, 41, 41, 41, 42, 42, 42, 42,
)  # fmt: skip
MEASURED, PART, NOT = "measured", "part measured", "not measured"
SETTING = (
    "dataset", "arch", "optimizer", "lr", "dropout", "init", "init_sd", "scope", "search", "criterion", "arm", "sigma",
    "rescale",
)  # fmt: skip


def number(figure: str) -> tuple[str, int] | None:
    """Paper and number of a figure's id, such as ("iclr", 4) of "iclr-fig04c"; None for what no paper draws."""
    found = re.match(r"(iclr|v1)-fig(\d+)", figure)
    return (found[1], int(found[2])) if found else None


def in_paper(paper: str, n: int) -> tuple[str, str]:
    """Where a figure of a paper is printed: in words, and the address of that page."""
    if paper == "iclr":
        page = ICLR_PAGES[n - 1]
        return f"page {page} of the paper", f"{ADDRESS[paper]}#page={page}"
    return "the paper", ADDRESS[paper]


def named(docname: str, title: str) -> list[tuple[str, int]]:
    """The figures of a paper that a section's title names, on the page of this paper: "Figures 11 and 12: …"."""
    paper = docname.split("_")[0]
    found = re.match(r"Figures? (\d+)(?: (and|to) (\d+))?", title)
    if paper not in PAPERS or not found:
        return []
    first, last = int(found[1]), int(found[3] or found[1])
    numbers = (first, last) if found[2] == "and" and last > first else range(first, last + 1)
    return [(paper, n) for n in numbers if n <= LAST[paper]]


@cache
def _published() -> tuple[results.Published, frozenset[str]]:
    source = results.Published()
    return source, frozenset(source.cells["key"])


@cache
def _status(figure: str) -> str:
    source, have = _published()
    shown = catalogue.rows(figure, "published")
    if any(key_of(s) not in have for s in results.possible(shown, source)):
        return NOT
    return MEASURED if settings(shown) >= settings(catalogue.rows(figure)) else PART


def settings(rows: Iterable[Spec]) -> set[tuple[Any, ...]]:
    """The different networks and settings among rows, without what a scale decides: iterations, rounds, trials."""
    return {tuple(getattr(row, name) for name in SETTING) for row in rows}


def status(figures: Iterable[str]) -> str:
    """Whether figures are measured: their published networks are there, in all of the paper's settings or in some."""
    found = set(map(_status, figures))
    return found.pop() if len(found) == 1 else PART


def markdown() -> str:
    """The index, a heading a figure: so the search of the book finds each by its number."""
    lines: list[str] = []
    for paper, title in PAPERS.items():
        lines += [f"## {title}", ""]
        for n in range(1, LAST[paper] + 1):
            lines += [f"### {title.split()[0] if paper == 'iclr' else 'v1'} Figure {n}", ""]
            words, address = in_paper(paper, n)
            lines += [f"- {entry}" for entry in entries(paper, n)]
            lines += [f'- <a href="{address}">{words}</a>']
            lines.append("")
    return "\n".join(lines)


def entries(paper: str, n: int) -> list[str]:
    """What of this book shows a figure of a paper, a line each."""
    if (paper, n) in OTHERS:
        page, anchor, title, how = OTHERS[paper, n]
        return [f"{link(page, anchor, title)}: {how}"]
    own = [f for f in catalogue.FIGURES.values() if number(f.id) == (paper, n)]
    return [f"{link(f.notebook, f.id, f.title)}: {status([f.id])}" for f in own]


def link(page: str, anchor: str, title: str) -> str:
    return f'<a href="{page}.html{f"#{anchor}" if anchor else ""}">{title}</a>'


def sidebar(page: str) -> str:
    """What the sidebar says after a page's name: its figures, and what of them is not measured; "" without figures."""
    own = [f.id for f in catalogue.FIGURES.values() if f.notebook == page]
    told = {number(f) for f in own} | {k for k, (at, *_, how) in OTHERS.items() if at == page and how == MEASURED}
    shown = spans(sorted(n[1] for n in told if n))
    how = status(own) if own else MEASURED
    said = [f"{'Fig' if shown.isdigit() else 'Figs'} {shown}"] if shown else []
    return " · ".join([*said, *([how] if how != MEASURED else [])])


def spans(numbers: list[int]) -> str:
    """ "1, 3–5": runs of three and more joined."""
    runs: list[list[int]] = []
    for n in numbers:
        if runs and n == runs[-1][-1] + 1:
            runs[-1].append(n)
        else:
            runs.append([n])
    said = [f"{r[0]}–{r[-1]}" if len(r) > 2 else ", ".join(map(str, r)) for r in runs]
    return ", ".join(said)
