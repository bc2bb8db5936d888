"""Text from strangers. A store, a ticket or `results/` may come from anyone, and what they say of themselves is shown.

On the way in each value is a number or one short plain line (`fault`); on the way out it is text and nothing else,
in HTML and in MyST Markdown alike (`shown`, `code`). Either of the two alone would do.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

MOST = 200  # characters of one text
MANY = 60  # fields of one table of provenance
PLAIN = re.compile(r"[A-Za-z0-9 ._+:,()/@-]*")  # enough for versions, dates and the names of processors and cards
NAME = re.compile(r"[a-z][a-z0-9_]{0,39}")
LARGE = 2**53  # whole numbers beyond it are no count of anything here

# What could begin or end something in HTML, Markdown or MyST (tags, references, emphasis, code, formulas, roles,
# substitutions, cells of tables), and what would make an address of plain words (MyST links "a.b", "http:" and "a@b").
MARKS = re.compile(r"""[&<>"'`*_{}\[\]|$~^#!\\=@]|\.(?=[^\W\d])|:(?=/)""")
BEGINNING = re.compile(r"(?:[-+]|\d{1,9}[.)])(?=[-+ ]|$)")  # of a list or a rule, where text begins a line

SPELLED = {"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;"}


def fault(name: str, value: Any, *, most: int = MOST) -> str:
    """What is wrong with a value that has to be a number, true, false, nothing or one plain line; "" if it is fine."""
    if isinstance(value, str):
        if len(value) > most:
            return f"{label(name)} has {len(value):,} characters, more than {most}"
        if not PLAIN.fullmatch(value):
            return f"{label(name)} holds more than letters, digits, spaces and . _ + : , ( ) / @ -"
    elif isinstance(value, float):
        if not math.isfinite(value):
            return f"{label(name)} is no finite number"
    elif isinstance(value, int):  # true and false are whole numbers too
        if abs(value) > LARGE:
            return f"{label(name)} is a number beyond 2**53"
    elif value is not None:
        return f"{label(name)} is neither a number nor one line of text"
    return ""


def faults(values: Mapping[str, Any], *, taken: Iterable[str] = ()) -> str:
    """What is wrong with a table of provenance: too many fields, names that are none or that others have, values."""
    if len(values) > MANY:
        return f"it has {len(values):,} fields, more than {MANY}"
    used = set(taken)
    for name, value in values.items():
        if not NAME.fullmatch(name):
            return f"{label(name)} is no name of a field"
        if name in used:
            return f"{name} is another field's name"
        if found := fault(name, value):
            return found
    return ""


def label(name: object) -> str:
    """A name that a sentence can hold, whatever it is."""
    text = str(name)
    return text if NAME.fullmatch(text) else repr(text[:40])


def tidied(text: str) -> str:
    """A machine's own word as `fault` accepts it: an odd name must not make our own cells unreadable."""
    return "".join(c if PLAIN.fullmatch(c) else " " for c in text)[:MOST].strip()


def shown(value: object) -> str:
    """Any value as text inside a line of HTML or Markdown: what it says is read there, and never obeyed.

    >>> shown("{{ 7*191 }} <b> 2.5")
    '&#123;&#123; 7&#42;191 &#125;&#125; &lt;b&gt; 2.5'
    """
    line = " ".join("".join(c if c.isprintable() else " " for c in str(value)).split())
    begins = BEGINNING.match(line)
    at = begins.end() if begins else 0
    first = f"{line[: at - 1]}&#{ord(line[at - 1])};" if at else ""
    return first + MARKS.sub(lambda mark: SPELLED.get(mark[0], f"&#{ord(mark[0])};"), line[at:])


def code(value: object) -> str:
    """A name of ours as code in Markdown; what is no plain text (there no character can be escaped) stays text."""
    text = str(value)
    return f"`{text}`" if text and text == text.strip() and PLAIN.fullmatch(text) else shown(text)
