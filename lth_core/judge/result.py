"""What a test of a statement finds, and what the ledger must know of the test: `Result` and `claim_test`."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Literal, TypeVar

import numpy as np

from lth_core.levels import Side, better_low

Test = Callable[..., "Result"]


@dataclass(frozen=True)
class Result:
    """What a test found: effect in the paper's unit, its 95% interval, the trials behind it, and the two answers."""

    effect: float
    low: float
    high: float
    n: int
    agrees: bool
    direction: bool
    note: str = ""

    @property
    def undecided(self) -> bool:
        """One trial has no interval, so it decides nothing that asks for one (what needs no trials has none either)."""
        return self.n == 1 and bool(np.isnan(self.low)) and not (self.agrees or self.direction)

    @property
    def word(self) -> str:
        """What it says of the statement: "holds", "in direction" or "does not hold"."""
        return "holds" if self.agrees else "in direction" if self.direction else "does not hold"


Arguments = dict[str, Any]  # of a claim test, as `claims.yaml` writes them
Needs = Literal["networks", "tickets", "xor", "settings"]
Interval = Literal["", "excludes", "contains"]
F = TypeVar("F", bound=Callable[..., Result])


@dataclass(frozen=True, kw_only=True)
class Traits:
    """What the ledger must know of a claim test besides its results: see `claim_test`."""

    needs: Needs
    unit: str | Callable[[Arguments], str]
    interval: Interval
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
    *, unit: str | Callable[[Arguments], str], needs: Needs = "networks", interval: Interval = "", seeks: bool = False,
    prints: Callable[[Arguments], float] | None = None,
) -> Callable[[F], F]:  # fmt: skip
    """Declare a function to be a test that claims may name.

    needs     what it looks at, which is how it is called: a table of "networks", f(table, ...); the "tickets" of a
              source's rows, f(source, rows, ...); "xor" networks that it trains, or "settings" of this code, f(...)
    unit      of its effect, or a function of its arguments
    interval  "excludes": it agrees only where a 95% interval excludes no effect; "contains": where that of measured
              minus printed contains zero; "": it asks for neither
    seeks     whether it looks for its level in the data, whatever its arguments
    prints    the printed number that the effect stands beside, from its arguments; None: nothing is printed"""

    def declare(function: F) -> F:
        vars(function)["traits"] = Traits(needs=needs, unit=unit, interval=interval, seeks=seeks, prints=prints)
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
    return "% earlier" if "iteration" in column else "% lower" if better_low(column) else "points"


def given_number(arguments: Arguments) -> float:
    """The argument `number`; NaN where it is left out, or 0: the paper then states that there is no effect."""
    return float(arguments.get("number") or "nan")
