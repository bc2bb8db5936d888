"""The ledger's tests on whole curves: where pruned networks stop being as good as the unpruned one, hills and valleys.
See `judge` for what a `Result` means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core.judge.comparisons import excludes, over_trials
from lth_core.judge.result import Arguments, Result, claim_test, lead_unit
from lth_core.levels import (
    Lacking,
    Side,
    better_low,
    curve,
    depth_of,
    learners,
    mean,
    rank_correlation,
    unit,
    within_levels,
)


def last_good(values: NDArray, depths: NDArray, column: str, margin: float = 0.0) -> float:
    """Depth up to which a mean curve is as good as the unpruned network, interpolated.

    Accuracies: the last crossing, so that noise about the unpruned level does not count. Times: the first crossing
    after the fastest level, since networks too sparse to learn may stop early. A curve that never gives out: the last
    depth."""
    if not np.isfinite(values[0]):
        return float("nan")
    keep = np.isfinite(values)
    v, d = values[keep], depths[keep]
    lead = (v[0] - v if better_low(column) else v - v[0]) + margin  # at depth 0: the margin
    bad = np.flatnonzero(lead < 0)
    if better_low(column):
        bad = bad[bad > lead.argmax()]
        first = bad[0] if len(bad) else len(d)
    else:
        first = np.flatnonzero(lead >= 0)[-1] + 1
    if first >= len(d):
        return float(d[-1])
    a, b = lead[first - 1], lead[first]
    return float(d[first - 1] + (d[first] - d[first - 1]) * a / (a - b))


def _printed_level(arguments: Arguments) -> float:
    """The level that is printed, in percent of hidden weights; of a range the geometric middle."""
    levels = arguments["at"] if isinstance(arguments["at"], list) else [arguments["at"]]
    percents = [float(x[:-1]) if isinstance(x, str) else 100 * 0.8**x for x in levels]
    return float(np.exp(np.log(percents).mean()))


@claim_test(unit="% remaining", prints=_printed_level)
def returns(
    table: pd.DataFrame, *, column: str, at: float | str | Sequence[float | str], within: float = 2.0,
    margin: float = 0.0, limit: str = "both", **side: Any,
) -> Result:  # fmt: skip
    """How sparse networks get before they are no longer as good as the unpruned one (percent of hidden weights that
    remain, 0.8^rounds). `at`: the printed level, or both ends of a printed range; tolerance in rounds; `margin` as in
    the column. In direction: they match at some pruned level, but give out elsewhere."""
    c = curve(table, column, **side)
    depths = c.columns.to_numpy(float)
    ends = [depth_of(x) for x in (at if isinstance(at, list) else [at])]  # type: ignore[arg-type]
    effect, low, high, n = over_trials([c], lambda v: last_good(v, depths, column, margin))
    censored = effect >= depths.max()
    if censored and max(ends) > depths.max():
        raise Lacking(f"still as good at the sparsest level measured ({depths.max():.0f} rounds)")
    above, below = effect - max(ends), min(ends) - effect
    agrees = (limit == "atleast" or above <= within) and below <= within
    note = f"after {effect:.1f} rounds ({low:.1f} to {high:.1f})" + (", the sparsest measured" if censored else "")
    percent = [100 * 0.8**x for x in (effect, high, low)]
    return Result(percent[0], percent[1], percent[2], n, agrees, effect >= 1, note)


@claim_test(unit="rounds", interval="excludes")
def deeper(
    table: pd.DataFrame, *, column: str, of: Side, to: Side, margin: float = 0.0, at_least: float = 0.0
) -> Result:
    """By how many rounds `of` stays as good as the unpruned network longer than `to`."""
    curves = [curve(table, column, **s) for s in (of, to)]
    d, e = (c.columns.to_numpy(float) for c in curves)
    effect, low, high, n = over_trials(
        curves, lambda a, b: last_good(a, d, column, margin) - last_good(b, e, column, margin)
    )
    shorter, its_depths = (curves[1], e) if effect > 0 else (curves[0], d)  # a longer one may still be good at its end
    ended(last_good(mean(shorter.to_numpy(float)), its_depths, column, margin), its_depths)
    sure = excludes(low, high) > 0
    return Result(effect, low, high, n, sure and effect >= at_least, sure, "rounds")


def ended(last: float, depths: NDArray) -> None:
    """Refuse to compare with a curve whose end is not measured."""
    if last >= depths.max():
        raise Lacking(f"still as good at the sparsest level measured ({depths.max():.0f} rounds)")


@claim_test(unit="rounds", interval="excludes")
def perfect(table: pd.DataFrame, *, column: str, of: Side, to: Side, threshold: float = 99.9) -> Result:
    """By how many rounds `of` keeps `column` at the threshold (percent) longer than `to`, by the last levels that reach
    it: noise about the threshold before them does not count."""
    curves = [curve(table, column, **s) for s in (of, to)]

    def last(v: NDArray, d: NDArray) -> float:
        there = np.flatnonzero(100 * v >= threshold)
        return float(np.append(d, d[-1] + 1)[there[-1] + 1 if len(there) else 0])

    depths = [c.columns.to_numpy(float) for c in curves]
    ended(last(mean(curves[1].to_numpy(float)), depths[1]) - 1, depths[1])
    effect, low, high, n = over_trials(curves, lambda a, b: last(a, depths[0]) - last(b, depths[1]))
    sure = excludes(low, high) > 0
    return Result(effect, low, high, n, sure, sure)


def final(values: NDArray) -> float:
    """The sparsest level that has a value."""
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else float("nan")


@claim_test(unit=lead_unit, interval="excludes", seeks=True)
def turning(
    table: pd.DataFrame, *, column: str, at: float | str | None = None, within: float = 2.0, **side: Any
) -> Result:
    """Better with pruning, then worse: a hill of accuracy, a valley of time. Both slopes need intervals that exclude
    zero, and the turning point of the mean must be where it is printed. The effect is the gain at the best level."""
    c = learners(table, curve(table, column, **side), column, **side)
    d = c.columns.to_numpy(float)
    sign = -1 if better_low(column) else 1
    best = int(np.nanargmax(sign * mean(c.to_numpy(float))))
    if at is not None and d.max() < depth_of(at) + within + 1:
        raise Lacking(f"levels end at {d.max():.0f} rounds, before the turn could be seen")

    def better(v: NDArray, than: float) -> float:
        return sign * (v[best] - than) * (100 / v[0] if better_low(column) else unit(column))

    rise = over_trials([c], lambda v: better(v, v[0]))
    fall = over_trials([c], lambda v: better(v, final(v)))
    up, down = excludes(rise[1], rise[2]) > 0, excludes(fall[1], fall[2]) > 0
    place = at is None or abs(d[best] - depth_of(at)) <= within
    note = f"best after {d[best]:.1f} rounds ({100 * 0.8 ** d[best]:.1f}% of hidden weights)"
    return Result(*rise, up and down and place, up and down, note)


@claim_test(unit="rank correlation")
def monotone(table: pd.DataFrame, *, column: str, rising: bool, levels: Sequence[float | str], **side: Any) -> Result:
    """Ever higher (or lower) with pruning: rank correlation of the mean curve with depth, at least 0.9."""
    c = curve(table, column, **side)
    d = c.columns.to_numpy(float)
    keep = within_levels(d, levels)
    if keep.sum() < 3:
        raise Lacking("fewer than three levels are measured")
    effect, low, high, n = over_trials([c], lambda v: rank_correlation(v[keep], d[keep]))
    sign = 1 if rising else -1
    return Result(effect, low, high, n, sign * effect >= 0.9, excludes(low, high) == sign)


@claim_test(unit="rank correlation", interval="excludes")
def together(
    table: pd.DataFrame, *, columns: Sequence[str], least: float = 0.5,
    levels: Sequence[float | str] | None = None, **side: Any,
) -> Result:  # fmt: skip
    """Two columns rise and fall together across levels: rank correlation of their mean curves."""
    curves = [curve(table, column, **side) for column in columns]
    depths = curves[0].columns.to_numpy(float)
    keep = within_levels(depths, levels) if levels else np.ones(len(depths), bool)
    if keep.sum() < 3:
        raise Lacking("fewer than three levels are measured")
    effect, low, high, n = over_trials(curves, lambda a, b: rank_correlation(a[keep], b[keep]))
    return Result(effect, low, high, n, effect >= least, excludes(low, high) > 0)
