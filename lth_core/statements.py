"""What the papers say: each claim as data (`claims.yaml`), the tests that judge it, and how findings are worded."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from lth_core.cell import StoreError
from lth_core.checks import ALONE
from lth_core.insides import MASKS
from lth_core.judge import better_low

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
    says: str  # the printed value
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
    cannot: str = ""
    lacking: str = ""

    @property
    def parts(self) -> list[Part]:
        """Its tests, each with the figure and the fields it asks for."""
        made = []
        for test in self.tests:
            (name,) = set(test) - {"figure", "where", "net", "near"}
            where = test.get("where", {} if "figure" in test else self.where)
            more = test.get("net", ""), tuple(test.get("near", ()))
            made.append(Part(name, test[name], test.get("figure", self.figure), where, *more))
        return made

    @property
    def counted(self) -> bool:
        """Whether this is about the papers' set-up (counts, settings), not about trained networks."""
        return bool(self.tests) and all(p.test in ALONE and not p.test.startswith("xor") for p in self.parts)


@lru_cache
def load() -> tuple[Claim, ...]:
    """All claims, in the papers' order."""
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    try:
        entries = yaml.load(FILE.read_text("utf-8"), loader)
        return tuple(Claim(**{**{k: v for k, v in e.items() if k != "about"}, **e["about"]}) for e in entries)
    except (yaml.YAMLError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        said = " ".join(str(error).split())[:200]
        raise StoreError(f"{FILE} is no list of claims ({said}): restore it from git.") from error


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


def unit_of(part: Part) -> str:
    """Unit of a test's effect."""
    name, arguments = part[:2]
    time = any("iteration" in c for c in columns_of(arguments))
    if name == "ratio":
        return {"times": "×", "less": "% earlier", "more": "% later"}[arguments.get("form", "times")]
    if name in ("ahead", "ordered", "same"):
        found = "% earlier" if time else "% lower" if better_low(columns_of(arguments)[0]) else "points"
        return f"{found.split()[0]} as the smallest lead" if name == "ordered" else found
    if name == "throughout":
        named = {"less": "% earlier", "points": "points"}.get(arguments.get("form", "points"))
        return named or ("nats" if "loss" in arguments["column"] else "%")
    if name == "turning":
        return "% earlier" if time else "points"
    if name in ("value", "share", "xor_rate", "everywhere"):
        return "%"
    if name in ("returns", "reach", "exists", "kept_percent"):
        return "% remaining"
    if name == "weights_of":
        return "%" if arguments.get("share") else "weights"
    units: dict[str, str] = {"difference": "points", "xor_gain": "points", "xor_rises": "points", "xor_gaps": "points"}
    units |= {"xor_parents": "points", "dip": "points", "deeper": "rounds", "perfect": "rounds", "plateau": "rounds"}
    units |= {"scatter": "×", "xor_ratio": "×", "faster_than": "×", "grows": "×", "weights_where": "weights"}
    units |= {"favours": "points", "grow_more": "points", "concentrated": "points", "moves_more": "sd"}
    units |= {"remembers": "rank correlation", "remembers_more": "rank correlation"}
    units |= {"monotone": "rank correlation", "together": "rank correlation", "earliest": "% earlier"}
    units |= {"copies": "networks a level"}
    return units.get(name, "")


def number_of(claim: Claim) -> float:
    """The printed number that the effect of the first test stands beside; NaN where there is none or nothing is
    measured (counts and settings)."""
    if not claim.tests or claim.counted:
        return float("nan")
    name, arguments = claim.parts[0][:2]
    if name == "returns":
        levels = arguments["at"] if isinstance(arguments["at"], list) else [arguments["at"]]
        percents = [float(x[:-1]) if isinstance(x, str) else 100 * 0.8**x for x in levels]
        return float(np.exp(np.log(percents).mean()))
    if name == "weights_where":
        return float(np.sqrt(np.prod(arguments["between"])))
    return float(arguments.get("number") or "nan") if name not in MASKS else float("nan")


def amount(x: float) -> str:
    """Three significant digits, whole from 100 on."""
    return f"{x:,.0f}" if abs(x) >= 100 else f"{x:.3g}"


def turned(effect: float, low: float, high: float, unit: str) -> tuple[float, float, float, str]:
    """An effect, its interval and its unit so that the effect is no negative lead: -8% earlier is 8% later."""
    return (-effect, -high, -low, OPPOSITE[unit]) if effect < 0 and unit in OPPOSITE else (effect, low, high, unit)


def said(found: Any, unit: str) -> str:
    """An effect with its unit, interval and n; empty where nothing was measured."""
    if not np.isfinite(found.effect):
        return ""
    effect, low, high, unit = turned(found.effect, found.low, found.high, unit)
    text = f"{amount(effect)}{'' if unit[:1] in ('%', '×') or not unit else ' '}{unit}"
    if np.isfinite(low) and high > low:
        text += f" (95% interval {amount(low)} to {amount(high)}, n = {found.n:,})"
    return text


def measured(row: Any) -> str:
    """What a claim's first test found and, where another decides the verdict, what that one found."""
    return "; but ".join(dict.fromkeys(filter(None, (said(row, row.unit), row.but))))  # two tests may find the same
