"""Pieces of a page: what Jupyter shows and the static book keeps, tables, and numbers as both write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

DASH = "–"  # in a table, for what is not measured
ALIGNED = ' style="font-variant-numeric: tabular-nums"'  # digits below each other


@dataclass(frozen=True, repr=False)
class Html:
    """A piece of a page, shown by Jupyter and kept in the static book."""

    text: str
    name: str

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.name}>"


def signed(text: str) -> str:
    """Minus signs as such; hyphens stay."""
    return re.sub(r"(?<![\w)])-(?=\d)", "−", text)


def number(x: float, digits: int = 1) -> str:
    """ "0.5", "−12.3"; a dash for what is not a finite number."""
    return signed(f"{x:.{digits}f}") if abs(x) < float("inf") else DASH  # NaN is not smaller than anything


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
