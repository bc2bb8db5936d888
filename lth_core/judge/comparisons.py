"""The tests behind the ledger: each looks at a table of networks and says whether what a paper states is there.

Tables, sides and curves are those of `levels`. Every interval is a 95% bootstrap over trials, the same trials drawn for
all curves of a test, replicates averaged first. Two words, one meaning in every test:
agrees     what is printed holds: the number within its tolerance, each ordering with an interval that excludes zero
direction  what it says holds without the number: an interval excludes no effect, on the paper's side
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core.analyse import bootstrap
from lth_core.judge.result import Arguments, Result, claim_test, given_number, lead_unit
from lth_core.levels import (
    Curve,
    Lacking,
    Side,
    along,
    average,
    better_low,
    curve,
    extreme,
    mean,
    position,
    select,
    unit,
    within_levels,
)


def over_trials(curves: Sequence[Curve], statistic: Callable[..., float]) -> tuple[float, float, float, int]:
    """`statistic` of the curves' trial means, its interval, and the trials.

    With few trials few resamples differ, so each different one is computed once. A resample without a value (its trials
    never converged) counts as the estimate; where more than one in twenty has none, there is no interval."""
    trials = curves[0].index
    for c in curves[1:]:
        trials = trials.intersection(c.index)
    values = [c.loc[trials].to_numpy(float) for c in curves]
    n = len(trials)
    if n == 0:
        raise Lacking("the two sides share no trial")

    def of(picks: NDArray) -> float:
        with np.errstate(divide="ignore", invalid="ignore"):  # a ratio to nothing has no value
            return float(statistic(*[mean(v[picks]) for v in values]))

    effect = of(np.arange(n))

    def each(samples: NDArray) -> NDArray:
        rows, where = distinct(samples.astype(np.int16).tobytes(), n)
        found = np.array([of(row) for row in rows])[where]
        return np.where(np.isnan(found), effect, found) if np.isnan(found).mean() <= 0.05 else found

    low, high = bootstrap(np.arange(n), each) if n > 1 else (float("nan"), float("nan"))
    return effect, low, high, n


@lru_cache(maxsize=16)
def distinct(samples: bytes, n: int) -> tuple[NDArray, NDArray]:
    """The different resamples of n trials, whatever their order, and which of them each resample is."""
    rows = np.sort(np.frombuffer(samples, np.int16).reshape(-1, n), axis=1)
    unique, where = np.unique(rows, axis=0, return_inverse=True)
    return unique, where.reshape(-1)


def close(effect: float, number: float, within: float, limit: str = "both") -> bool:
    """Whether a number is met: within the tolerance, or not beyond it on the wrong side ("atleast", "atmost")."""
    return (limit == "atleast" or effect <= number + within) and (limit == "atmost" or effect >= number - within)


def excludes(low: float, high: float, none: float = 0.0) -> int:
    """+1 or -1: the side of `none` on which the whole interval lies; 0 if it contains it."""
    return int(low > none) - int(high < none)


def pair(table: pd.DataFrame, column: str, sides: Sequence[Side]) -> tuple[list[Curve], list[Callable]]:
    """Curves of the sides, and for each the function that reads its level off a mean curve."""
    curves = [curve(table, column, **s) for s in sides]
    reads: list[Callable] = []
    for c, s in zip(curves, sides, strict=True):
        depths = c.columns.to_numpy(float)
        if s.get("at") == "best":
            reads.append(lambda m, d=depths: extreme(m[d > 0], not better_low(column)))
        else:
            reads.append(itemgetter(position(depths, s["at"])))
    return curves, reads


def _ratio_unit(arguments: Arguments) -> str:
    return {"times": "×", "less": "% earlier", "more": "% later"}[arguments.get("form", "times")]


@claim_test(unit=_ratio_unit, interval="excludes", prints=given_number)
def ratio(
    table: pd.DataFrame, *, column: str, of: Side, to: Side, number: float, within: float, form: str = "times",
    limit: str = "both", none: float | None = None,
) -> Result:  # fmt: skip
    """How many times `of` is `to`, or by how many percent it is "less" or "more", on trial means.

    `none` is what counts as no effect where a claim compares with another network's effect."""
    curves, (x, y) = pair(table, column, (of, to))
    forms = {"times": lambda r: r, "less": lambda r: 100 * (1 - r), "more": lambda r: 100 * (r - 1)}
    effect, low, high, n = over_trials(curves, lambda a, b: forms[form](x(a) / y(b)))
    alike = 1.0 if form == "times" else 0.0
    real = number == alike or excludes(low, high, alike if none is None else none) == np.sign(number - alike)
    hits = close(effect, number, within, limit)
    return Result(effect, low, high, n, hits and real, real if number != alike else bool(low <= alike <= high))


@claim_test(unit="points", interval="excludes", prints=given_number)
def difference(
    table: pd.DataFrame, *, column: str, of: Side, to: Side, number: float, within: float, limit: str = "both",
    none: float = 0.0,
) -> Result:  # fmt: skip
    """`of` minus `to`, in points; `none` as in `ratio`. A `number` of 0, or "atmost" a positive one, states that there
    is hardly any."""
    curves, (x, y) = pair(table, column, (of, to))
    effect, low, high, n = over_trials(curves, lambda a, b: unit(column) * (x(a) - y(b)))
    hits = close(effect, number, within, limit)
    if number == 0 or (limit == "atmost" and number > 0):
        return Result(effect, low, high, n, hits, bool(low <= 0 <= high))
    real = excludes(low, high, none) == np.sign(number)
    return Result(effect, low, high, n, hits and real, real)


@claim_test(unit="%", prints=given_number)
def value(table: pd.DataFrame, *, column: str, of: Side, number: float, within: float, limit: str = "both") -> Result:
    """One mean against a printed one. In direction: within three tolerances."""
    curves, (x,) = pair(table, column, (of,))
    effect, low, high, n = over_trials(curves, lambda a: unit(column) * x(a))
    return Result(effect, low, high, n, close(effect, number, within, limit), close(effect, number, 3 * within, limit))


@claim_test(unit=lead_unit, interval="excludes")
def ahead(
    table: pd.DataFrame, *, column: str, of: Side, to: Side, levels: Sequence[float | str] | None = None,
    every: bool = False,
) -> Result:  # fmt: skip
    """`of` better than `to`: percent sooner for iterations, points for accuracies, averaged over `levels` where no
    level is named; `every`: the means must be in this order at each level."""

    def gap(a: Any, b: Any) -> Any:
        with np.errstate(divide="ignore", invalid="ignore"):
            return 100 * (1 - a / b) if better_low(column) else unit(column) * (a - b)

    if levels is None:
        curves, (x, y) = pair(table, column, (of, to))
        effect, low, high, n = over_trials(curves, lambda a, b: gap(x(a), y(b)))
        right = effect > 0
    else:
        curves = [curve(table, column, **s) for s in (of, to)]
        own = [c.columns.to_numpy(float) for c, s in zip(curves, (of, to), strict=True) if s.get("at") is None]
        depths = own[0][(own[0] > 0) & (own[0] <= own[-1].max()) & within_levels(own[0], levels)]
        within_levels(own[-1], levels)
        if len(depths) == 0:
            raise Lacking(f"no level between {levels[0]} and {levels[1]} is measured")
        both = [along(c, depths, s.get("at")) for c, s in zip(curves, (of, to), strict=True)]
        effect, low, high, n = over_trials(both, lambda a, b: average(gap(a, b)))
        a, b = (mean(c.to_numpy(float)) for c in both)
        never = better_low(column) & np.isfinite(a) & np.isnan(b)  # the other does not get there at all
        right = bool(np.all((gap(a, b) > 0) | never))
    sure = excludes(low, high) > 0
    note = "" if levels is None or not every else f"right at {'every' if right else 'not every'} level"
    return Result(effect, low, high, n, sure and (right or not every), sure, note)


@claim_test(unit=lead_unit)
def same(
    table: pd.DataFrame, *, column: str, of: Side, to: Side, levels: Sequence[float | str], within: float = np.inf
) -> Result:
    """Two arms alike: the mean difference over `levels` (points, or percent for iterations) is within the tolerance;
    without a tolerance its interval must contain zero."""
    found = ahead(table, column=column, of=of, to=to, levels=levels)
    contains = bool(found.low <= 0 <= found.high)
    agrees = contains if np.isinf(within) else abs(found.effect) <= within
    return Result(found.effect, found.low, found.high, found.n, agrees, contains or agrees)


def _smallest_lead(arguments: Arguments) -> str:
    return f"{lead_unit(arguments).split()[0]} as the smallest lead"


@claim_test(unit=_smallest_lead, interval="excludes")
def ordered(table: pd.DataFrame, *, column: str, sides: Sequence[Side], levels: Any = None) -> Result:
    """Several sides, best first; the effect is the smallest lead of one over the next."""
    steps = [ahead(table, column=column, of=a, to=b, levels=levels) for a, b in pairwise(sides)]
    ends = ahead(table, column=column, of=sides[0], to=sides[-1], levels=levels)
    least = min(steps, key=lambda s: s.effect)
    return Result(least.effect, least.low, least.high, least.n, all(s.agrees for s in steps), ends.agrees)


@claim_test(unit="% earlier")
def earliest(table: pd.DataFrame, *, column: str, arm: str, at: float | str) -> Result:
    """The quickest network of an arm at a level beats the mean unpruned one: by what percent."""
    chosen = select(table, arm=arm)
    depths = np.sort(chosen["depth"].unique())
    level = depths[position(depths, at)]
    quickest, unpruned = (chosen.loc[chosen["depth"] == d, column] for d in (level, 0.0))
    effect = 100 * (1 - quickest.min() / unpruned.mean())
    return Result(float(effect), float("nan"), float("nan"), len(quickest), effect > 0, effect > 0, "no interval")
