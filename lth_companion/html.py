"""Pieces of a page: what Jupyter shows and the static book keeps, tables, and numbers as both write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from html import escape
from typing import TYPE_CHECKING

from lth_core.plot import Html
from lth_core.untrusted_text import shown

if TYPE_CHECKING:
    import pandas as pd

DASH = "–"  # in a table, for what is not measured
ALIGNED = ' style="font-variant-numeric: tabular-nums"'  # digits below each other


def signed(text: str) -> str:
    """Minus signs as such; hyphens stay."""
    return re.sub(r"(?<![\w)])-(?=\d)", "−", text)


def number(x: float, digits: int = 1) -> str:
    """ "0.5", "−12.3"; a dash for what is not a finite number."""
    return signed(f"{x:.{digits}f}") if abs(x) < float("inf") else DASH  # NaN is not smaller than anything


def joined(names: Sequence[str]) -> str:
    """ "a, b and c" """
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def between(x: float, low: float, high: float, digits: int = 1) -> str:
    """ "38.1 (31.0 to 44.2)", without an interval where one trial gives none, or a dash where nothing was measured."""
    alone = number(x, digits)
    if DASH in (alone, number(low)):
        return alone
    return f"{alone} ({number(low, digits)} to {number(high, digits)})"


def table(head: Sequence[object], rows: Iterable[Iterable[object]], *, caption: str, aligned: bool = True) -> str:
    """A table whose first column heads its rows. `head`, `rows` and `caption` are HTML."""
    top = "".join(f'<th scope="col">{title}</th>' for title in head)
    body = "".join(
        f'<tr><th scope="row">{first}</th>{"".join(f"<td>{cell}</td>" for cell in rest)}</tr>' for first, *rest in rows
    )
    text = f"<caption>{caption}</caption><thead><tr>{top}</tr></thead><tbody>{body}</tbody>"
    return f'<table class="table"{ALIGNED if aligned else ""}>{text}</table>'


def folded(summary: str, whole: str) -> str:
    """A piece that opens when its summary is clicked. Both are HTML."""
    return f"<details><summary>{summary}</summary>{whole}</details>"


def in_markdown(*pieces: Html) -> str:
    """Pieces for a Markdown page: without empty lines, framed like a notebook's outputs: styled as these, and
    scrolling where a telephone is too narrow."""
    framed = (f'<div class="output text_html">{piece.text}</div>' for piece in pieces)
    text = f'<div class="cell_output">{"".join(framed)}</div>'
    return "\n".join(line for line in text.splitlines() if line.strip())


def provenance(command: str, **facts: object) -> Html:
    """Who made a figure (`facts`: cells, commit, device, engine, seconds, scale) and the line that makes it again."""
    listed = " · ".join(f"{shown(name.replace('_', ' '))}: {shown(fact)}" for name, fact in facts.items())
    line = f'<div class="highlight"><pre style="white-space: pre-wrap">{escape(command)}</pre></div>'
    title = "<summary>Which networks, and the command that makes this figure again</summary>"
    return Html(f"<details>{title}<p>{listed}</p>{line}</details>", "provenance")


def versus(compared: pd.DataFrame, *, caption: str) -> Html:
    """Paper against measurement: columns quantity, paper, measured, low, high (95% interval), n, matches. What is not
    measured is a dash.

    `paper` is a number or words, `matches` true, false or words (HTML). With a column `unit`, numbers carry it and keep
    three digits."""
    import pandas as pd  # imported late: the exercises draw where there is no pandas

    rows = []
    for r, unit in zip(
        compared.itertuples(), compared["unit"] if "unit" in compared else [None] * len(compared), strict=True
    ):
        measured, low, high = (_number(x, unit) for x in (r.measured, r.low, r.high))
        matches = r.matches if isinstance(r.matches, str) else "yes" if r.matches else "<strong>no</strong>"
        after = f"{'' if unit[0] in '%×' else ' '}{shown(unit)}" if unit else ""
        paper = shown(r.paper) if isinstance(r.paper, str) else f"{_number(r.paper, unit)}{after}"
        value = f"{measured}{after}" if pd.notna(r.measured) else DASH
        interval = f"{low} to {high}" if pd.notna(r.low) else DASH
        rows.append((shown(r.quantity), paper, value, interval, f"{r.n:,}", matches))
    head = ("quantity", "paper", "measured", "95% interval", "n", "matches")
    return Html(table(head, rows, caption=caption), "paper versus measured")


def _number(x: float, unit: str | None) -> str:
    """One decimal; beside a unit three significant digits, whole from 100 on."""
    text = f"{x:.1f}" if unit is None else f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"
    return signed(text) if unit is not None else text
