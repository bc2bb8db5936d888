"""From the answers of tests to a claim's verdict: the words, and the one rule by which they are given."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from lth_companion.claims.statements import Claim, Finding, Part
from lth_companion.claims.tests import unit_of
from lth_core.judge.result import FAILS, HOLDS, Result, every

REPRODUCED, CONTRADICTED, UNDECIDED = "reproduced", "contradicted", "undecided"
DEPENDS, UNMEASURED, CANNOT = "depends on the reading", "not measured", "cannot be judged"
VERDICTS = (REPRODUCED, CONTRADICTED, UNDECIDED, DEPENDS, UNMEASURED, CANNOT)
WORDS = {"holds": REPRODUCED, "fails": CONTRADICTED, "undecided": UNDECIDED}  # of a test that all others agree with
RANK = {REPRODUCED: 4, DEPENDS: 3, UNDECIDED: 2, CONTRADICTED: 1}  # the other two say nothing about the claim


@dataclass(frozen=True)
class Tried:
    """A claim's tests under one reading, as far as they could be made, by their place in the claim."""

    name: str  # of the reading
    parts: list[Part]
    found: dict[int, Result]
    lacking: dict[str, str]  # network (or "" where the claim is about one): why it cannot be judged
    short: str  # what the networks lack of the paper's scale

    @property
    def counts(self) -> list[int]:
        """The tests whose networks could all be judged: those that the verdict rests on."""
        return [i for i, part in enumerate(self.parts) if part.net not in self.lacking]

    @cached_property
    def whole(self) -> Result | None:
        """All tests in one answer."""
        return every([self.found[i] for i in self.counts]) if self.counts else None

    @property
    def verdict(self) -> str:
        """A statement about several networks of which some are not measured may be contradicted by the others, but not
        reproduced."""
        if self.whole is None:
            return UNMEASURED
        return UNDECIDED if self.lacking and self.whole.word != FAILS else WORDS[self.whole.word]

    @property
    def p(self) -> float:
        """Two-sided p of the answer; of an undecided one that of the answer it is nearer to. NaN where none asks for an
        interval, and where networks are lacking that could still turn it."""
        if self.whole is None or (self.lacking and self.whole.word != FAILS):
            return np.nan
        nearer = float(np.fmin(self.whole.p_holds, self.whole.p_fails))
        error = {HOLDS: self.whole.p_holds, FAILS: self.whole.p_fails}.get(self.whole.word, nearer)
        return float(np.minimum(1, 2 * error))


def error_of(tried: Sequence[Tried]) -> float:
    """Two-sided p of a claim's answer, all its tests and readings together; NaN where none asks for an interval."""
    return max((t.p for t in tried if np.isfinite(t.p)), default=np.nan)


def reasons(lacking: dict[str, str]) -> str:
    """Why networks cannot be judged: "Conv-4: level 12 is not measured; Conv-6: no network is published yet"."""
    nets: dict[str, list[str]] = {}
    for net, why in lacking.items():
        nets.setdefault(why, []).append(net)
    return "; ".join(f"{', '.join(filter(None, those))}: {why}".removeprefix(": ") for why, those in nets.items())


def decide(claim: Claim, tried: Sequence[Tried]) -> tuple[str, str]:
    """A claim's verdict, and the reason where there is none, or none that is decided."""
    if claim.cannot or claim.calibrates:
        return CANNOT, claim.cannot or claim.calibrates
    if claim.lacking:
        return UNMEASURED, claim.lacking
    first, words = tried[0], [t.verdict for t in tried]
    if len(set(words)) > 1:
        return DEPENDS, "; ".join(f"{t.name}: {word}" for t, word in zip(tried, words, strict=True))
    if first.verdict == UNMEASURED:
        told = f" ({len(first.found)} of {len(first.parts)} tests could be made)" if first.found else ""
        return UNMEASURED, reasons(first.lacking) + told
    if first.lacking:
        on = ", ".join(dict.fromkeys(first.parts[i].net for i in first.counts))
        return first.verdict, f"judged on {on} alone ({reasons(first.lacking)})"
    return first.verdict, undecided(first) if first.verdict == UNDECIDED else ""


def undecided(tried: Tried) -> str:
    """Why a claim whose tests could all be made is open."""
    few = [f.n for f in tried.found.values() if f.word == "undecided" and np.isnan(f.low) and np.isnan(f.p_holds)]
    if few and min(few) < 3:
        return f"{'one trial has' if min(few) == 1 else 'two trials have'} no interval"
    holds, parts = sum(f.word == HOLDS for f in tried.found.values()), len(tried.found)
    if parts == 1:
        return "the interval leaves both answers open"
    if not holds:
        return f"none of its {parts} parts is decided: their intervals leave both answers open"
    return f"{holds} of its {parts} parts hold{'s' * (holds == 1)}; for the rest the interval leaves both answers open"


def findings(tried: Tried) -> tuple[Finding, Finding | None]:
    """What the first test that could be made found and, where another decides, what that one did."""
    parts, found = tried.parts, tried.found
    if not found:
        return Finding(np.nan, np.nan, np.nan, 0, unit_of(parts[0]) if parts else ""), None
    told = {i: Finding(f.effect, f.low, f.high, f.n, unit_of(parts[i])) for i, f in found.items()}
    order = {FAILS: 0, "undecided": 1, HOLDS: 2}
    first = next(iter(found))
    decides = min(tried.counts, key=lambda i: order[found[i].word], default=first)
    return told[first], None if found[decides].word == found[first].word else told[decides]
