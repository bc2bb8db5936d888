"""What a test of a statement finds, and what the ledger must know of the test: `Result` and `claim_test`.

A test answers with one of three words, by the rules below and by no other (the ledger page has the table):
holds      a number: its whole interval lies within the tolerance; an order or an effect: the interval excludes none, on
           the stated side; "at least", "at most": the whole interval keeps the printed bound
fails      the interval lies wholly outside the tolerance, on the other side, beyond the bound
undecided  neither, or no interval: fewer than three trials
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np

from lth_core.judge.estimate import LEAST, LEVEL, NAN, Estimate, sign_flip
from lth_core.levels import Side, better_low

Test = Callable[..., "Result"]
Word = Literal["holds", "fails", "undecided"]
HOLDS, FAILS, UNDECIDED = "holds", "fails", "undecided"
TAIL = (1 - LEVEL) / 2  # one-sided error of an interval's end


@dataclass(frozen=True)
class Result:
    """What a test found: effect in the paper's unit, its 95% interval (NaN: none), the trials behind it, its word.

    `p_holds`, `p_fails`: the one-sided error with which it would be said to hold or to fail; NaN where no interval is
    asked for (counts) or none is a t interval (places). `trials`: paired values, where each trial has one."""

    effect: float
    low: float
    high: float
    n: int
    word: Word
    note: str = ""
    p_holds: float = NAN
    p_fails: float = NAN
    trials: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.word not in (HOLDS, FAILS, UNDECIDED):
            raise ValueError(f"word = {self.word!r} is no answer: give holds, fails or undecided.")

    @property
    def flip(self) -> float:
        """Exact two-sided sign-flip p of the paired trials, a second opinion; NaN where there are none."""
        return sign_flip(np.array(self.trials)) if len(self.trials) >= LEAST else NAN


def _answer(found: Estimate, holds: bool, fails: bool, p_holds: float, p_fails: float, note: str) -> Result:
    word: Word = "holds" if holds else "fails" if fails else "undecided"
    return Result(found.effect, found.low, found.high, found.n, word, note, p_holds, p_fails, found.trials)


def ordering(found: Estimate, none: float = 0.0, sign: int = 1, note: str = "") -> Result:
    """The effect is above `none` (below it with `sign` -1): the interval excludes none on that side."""
    holds, fails = (found.low > none, found.high < none) if sign > 0 else (found.high < none, found.low > none)
    return _answer(found, holds, fails, found.beyond(none, sign, False), found.beyond(none, -sign, False), note)


def bound(found: Estimate, number: float, limit: str, note: str = "") -> Result:
    """ "atleast" or "atmost" a printed number, which is one-sided and has no slack: the whole interval keeps it."""
    sign = 1 if limit == "atleast" else -1
    near = 1e-9 * max(1.0, abs(number))
    over, under = found.low >= number - near, found.high <= number + near
    holds, fails = (over, found.high < number - near) if sign > 0 else (under, found.low > number + near)
    return _answer(found, holds, fails, found.beyond(number, sign), found.beyond(number, -sign), note)


def between(found: Estimate, low: float, high: float, note: str = "") -> Result:
    """Within a tolerance: the whole interval lies in [low, high] (equivalence), or wholly outside."""
    near = 1e-9 * max(1.0, abs(low), abs(high))
    holds = found.low >= low - near and found.high <= high + near
    fails = found.low > high + near or found.high < low - near
    inside = float(np.max([found.beyond(low, 1), found.beyond(high, -1)]))
    outside = float(np.min([found.beyond(low, -1), found.beyond(high, 1)]))
    return _answer(found, holds, fails, inside, outside, note)


def met(found: Estimate, number: float, within: float = NAN, limit: str = "both", note: str = "") -> Result:
    """A printed number: within its tolerance, or kept as a bound."""
    if limit != "both":
        return bound(found, number, limit, note)
    if not np.isfinite(within):
        raise ValueError(f"number = {number} has no tolerance: give within, or a limit.")
    return between(found, number - within, number + within, note)


def counted(effect: float, holds: bool, n: int = 1, note: str = "") -> Result:
    """What is counted or computed: it is so or it is not."""
    return Result(effect, NAN, NAN, n, "holds" if holds else "fails", note)


def every(parts: Sequence[Result], note: str = "") -> Result:
    """All of several: holds where each does; fails where one does, with the error of having looked at all (Bonferroni).
    Told are the numbers of the part that decides: the one nearest to failing."""
    number = len(parts)
    likely = np.array([number * p.p_fails if np.isfinite(p.p_fails) else (p.word != FAILS) for p in parts], float)
    fails = [p for p, error in zip(parts, likely, strict=True) if p.word == FAILS and error <= TAIL]
    unsure = [p for p in parts if p.word != HOLDS]
    shown = min(fails or unsure or list(parts), key=lambda p: p.p_fails if np.isfinite(p.p_fails) else 0.5)
    word: Word = "fails" if fails else "undecided" if unsure else "holds"
    holds = [p.p_holds for p in parts if np.isfinite(p.p_holds)]
    against = [p.p_fails for p in parts if np.isfinite(p.p_fails)]
    sure = any(p.word == FAILS and not np.isfinite(p.p_fails) for p in parts)  # one that is counted, without an error
    return replace(
        shown, word=word, note=note or shown.note, p_holds=max(holds) if holds else NAN,
        p_fails=min(1.0, number * min(against)) if against and not sure else NAN,
    )  # fmt: skip


TOTALS: dict[str, Total] = {"networks": "networks", "tickets": "networks", "xor": "xor", "settings": "settings"}
Arguments = dict[str, Any]  # of a claim test, as `claims.yaml` writes them
Needs = Literal["networks", "tickets", "xor", "settings"]
Total = Literal["networks", "xor", "settings"]
F = TypeVar("F", bound=Callable[..., Result])


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the ledger must know of a claim test besides its results: see `claim_test`."""

    needs: Needs
    total: Total
    unit: str | Callable[[Arguments], str]
    seeks: bool
    prints: Callable[[Arguments], float] | None

    def unit_of(self, arguments: Arguments) -> str:
        """The unit of the test's effect with these arguments; empty for a bare number."""
        return self.unit if isinstance(self.unit, str) else self.unit(arguments)

    def seeks_level(self, arguments: Arguments) -> bool:
        """Whether the level that these arguments ask for is chosen by the data: the best one."""
        values = [x for value in arguments.values() for x in (value if isinstance(value, list) else [value])]
        return self.seeks or any((x.get("at") if isinstance(x, dict) else x) == "best" for x in values)

    def number(self, arguments: Arguments) -> float:
        """The printed number that the effect stands beside; NaN where none is printed."""
        return self.prints(arguments) if self.prints else float("nan")


def claim_test(
    *, unit: str | Callable[[Arguments], str], needs: Needs = "networks", total: Total | None = None,
    seeks: bool = False, prints: Callable[[Arguments], float] | None = None,
) -> Callable[[F], F]:  # fmt: skip
    """Declare a function to be a test that claims may name.

    needs     what it looks at, which is how it is called: a table of "networks", f(table, ...); the "tickets" of a
              source's rows, f(source, rows, ...); "xor" networks, or "settings" of this code, f(...)
    unit      of its effect, or a function of its arguments
    total     which of the three totals it counts in: trained "networks", "xor", or "settings", counts and sums
    seeks     whether it looks for its level in the data, whatever its arguments
    prints    the printed number that the effect stands beside, from its arguments; None: nothing is printed"""

    def declare(function: F) -> F:
        vars(function)["traits"] = Traits(
            needs=needs, total=total or TOTALS[needs], unit=unit, seeks=seeks, prints=prints
        )
        return function

    return declare


def traits_of(test: Test) -> Traits:
    """What a test declares; TypeError for a function that `claim_test` does not decorate."""
    if not isinstance(found := vars(test).get("traits"), Traits):
        raise TypeError(f"{test.__module__}.{test.__name__} declares no unit: decorate it with judge.claim_test.")
    return found


def tests_in(*modules: ModuleType) -> dict[str, Test]:
    """The claim tests that modules define, by name, in the order in which they stand there."""
    own = {n: f for m in modules for n, f in vars(m).items() if inspect.isfunction(f) and f.__module__ == m.__name__}
    return {n: f for n, f in own.items() if "traits" in vars(f)}


def side_of(test: Test, arguments: Arguments) -> Side:
    """The arguments that a test has no names for: the fields of the networks that it is about."""
    named = inspect.signature(test).parameters
    return {name: value for name, value in arguments.items() if name not in named}


def lead_unit(arguments: Arguments) -> str:
    """Of a lead in a column: percent for times and losses, points for accuracies."""
    column = arguments["column"]
    if column.endswith("gap"):
        return "points smaller"
    return "% earlier" if "iteration" in column else "% lower" if better_low(column) else "points"


def given_number(arguments: Arguments) -> float:
    """The argument `number`; NaN where it is left out, or 0: the paper then states that there is no effect."""
    return float(arguments.get("number") or "nan")
