"""What the papers say: each claim as data (`claims.yaml`), the names of its tests, and how findings are worded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import yaml

from lth_core.errors import StoreError

FILE = Path(__file__).resolve().parent / "claims.yaml"
OPPOSITE = {"% earlier": "% later", "% later": "% earlier", "% lower": "% higher"}


class Part(NamedTuple):
    """One test of a claim. `net`: the network it is about, where a claim is about several; `near`: the percent of
    weights at which the paper finds the best level, or both ends of a range."""

    test: str
    arguments: dict[str, Any]
    figure: str
    where: dict[str, Any]
    net: str
    near: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Claim:
    """One testable statement. `tests` must all hold; each is {function: arguments}, perhaps with its own figure."""

    id: str
    paper: str  # v1, iclr or blog
    section: str
    notebook: str  # the page that ends with this claim
    dataset: str
    importance: str  # headline, supporting or appendix
    kind: str
    statement: str
    says: str  # what is printed: plain words, or a quantity
    tolerance: str
    why: str  # reason for the tolerance
    printed: str = ""  # the paper's figure
    experiment: str = ""  # the figure's id, where the query goes to another
    figure: str = ""
    where: dict[str, Any] = field(default_factory=dict)
    also: list[str] = field(default_factory=list)
    tests: list[dict[str, Any]] = field(default_factory=list)
    note: str = ""
    marks: list[str] = field(default_factory=list)
    own_numbers: bool = False  # those in its tests are ours, not printed ones: panels draw none of them
    cannot: str = ""
    calibrates: str = ""  # a threshold of ours was fitted on it: shown, never judged
    without: str = ""  # a reading that was fitted on it, and so says nothing of it
    same_as: str = ""  # the claim that states the same fact: its tests judge both
    readings: dict[str, list[dict[str, Any]]] = field(default_factory=dict)  # tests by each way to read the sentence
    lacking: str = ""

    @property
    def parts(self) -> list[Part]:
        """Its tests, each with the figure and the fields it asks for."""
        return self._parts(self.tests)

    @property
    def wordings(self) -> list[tuple[str, list[Part]]]:
        """Its tests by each way to read its sentence: the first as `parts`."""
        if self.readings:
            return [(name, self._parts(tests)) for name, tests in self.readings.items()]
        return [("", self.parts)] if self.tests else []

    def _parts(self, tests: list[dict[str, Any]]) -> list[Part]:
        made = []
        for test in tests:
            (name,) = set(test) - {"figure", "where", "net", "near"}
            where = test.get("where", {} if "figure" in test else self.where)
            more = test.get("net", ""), tuple(test.get("near", ()))
            made.append(Part(name, test[name], test.get("figure", self.figure), where, *more))
        return made


@lru_cache
def load() -> tuple[Claim, ...]:
    """All claims, in the papers' order."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        entries = yaml.load(FILE.read_text("utf-8"), loader)
        made = [Claim(**{**{k: v for k, v in e.items() if k != "about"}, **e["about"]}) for e in entries]
        whole = {c.id: replace(c, tests=next(iter(c.readings.values()))) if c.readings else c for c in made}
        return tuple(_linked(c, whole[c.same_as]) if c.same_as else c for c in whole.values())
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise StoreError(f"{FILE} is no list of claims ({said}): restore it from git.") from error


def _linked(claim: Claim, other: Claim) -> Claim:
    """A claim that states another's fact, with the other's tests and where they look."""
    told = ("tests", "readings", "figure", "where", "also", "calibrates", "without", "experiment")
    return replace(claim, own_numbers=True, **{name: getattr(other, name) for name in told})  # the other's are drawn


def for_section(notebook: str) -> list[Claim]:
    """The claims that a notebook ends with."""
    return [c for c in load() if c.notebook == notebook]


def columns_of(arguments: dict[str, Any]) -> list[str]:
    named = [arguments[k] for k in ("column", "time", "accuracy") if k in arguments]
    return [*named, *arguments.get("columns", [])]


def describe(part: Part) -> str:
    """A test and its arguments in one line."""
    said = json.dumps(part.arguments, ensure_ascii=False).replace('"', "")[1:-1]
    rows = ", ".join(f"{k} = {v}" for k, v in part.where.items())
    return f"{part.test}({said})" + (f" on {part.figure}{f' where {rows}' if rows else ''}" if part.figure else "")


def amount(x: float) -> str:
    """Three significant digits, whole from 100 on."""
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def turned(effect: float, low: float, high: float, unit: str) -> tuple[float, float, float, str]:
    """An effect, its interval and its unit so that the effect is no negative lead: -8% earlier is 8% later."""
    return (-effect, -high, -low, OPPOSITE[unit]) if effect < 0 and unit in OPPOSITE else (effect, low, high, unit)


class Measured(Protocol):
    """What one test measured, or a row of the ledger with the same five fields."""

    @property
    def effect(self) -> float: ...
    @property
    def low(self) -> float: ...
    @property
    def high(self) -> float: ...
    @property
    def n(self) -> int: ...
    @property
    def unit(self) -> str: ...


@dataclass(frozen=True)
class Finding:
    """What one test measured: the effect in its unit, the 95% interval (NaN: none) and the trials behind it."""

    effect: float
    low: float
    high: float
    n: int
    unit: str


def said(found: Measured, *, short: bool = False) -> str:
    """An effect with its unit, interval and n, or in `short` with the interval's ends alone; empty where nothing was
    measured."""
    if not np.isfinite(found.effect):
        return ""
    effect, low, high, unit = turned(found.effect, found.low, found.high, found.unit)
    text = f"{amount(effect)}{'' if unit[:1] in ('%', '×') or not unit else ' '}{unit}"
    if not (np.isfinite(low) and high > low):
        return text
    ends = f"{amount(low)} to {amount(high)}"
    return f"{text} ({ends})" if short else f"{text} (95% interval {ends}, n = {found.n:,})"


def measured(row: Any, *, short: bool = False) -> str:
    """What a claim's first test found and, where another decides the verdict, what that one found."""
    found = [said(row, short=short), *([said(row.but, short=short)] if row.but else [])]
    return "; but ".join(dict.fromkeys(filter(None, found)))  # two tests may find the same
