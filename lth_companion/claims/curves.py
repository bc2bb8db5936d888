"""The ledger's tests on whole curves: where pruned networks stop being as good as the unpruned one, hills and valleys.
What the answers mean: `lth_core.judge.result`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from lth_core.judge.comparisons import refuse_cut_off
from lth_core.judge.estimate import AS_IS, LESS, NAN, crossing, of_few_values, over_trials, placed
from lth_core.judge.result import Arguments, Result, between, bound, claim_test, every, lead_unit, ordering
from lth_core.levels import (
    Lacking,
    Side,
    better_low,
    curve,
    depth_of,
    learners,
    mean,
    position,
    rank_correlation,
    unit,
    within_levels,
)
from lth_core.networks import Columns, Curve

UNPRUNED: Side = {"at": 0}


def last_good(values: NDArray, depths: NDArray, column: str, margin: float = 0.0) -> float:
    """Depth up to which a mean curve is as good as the unpruned network, interpolated.

    Accuracies: the last crossing, so that noise about the unpruned level does not count. Times: the first crossing
    after the fastest level, since networks too sparse to learn may stop early. A curve that never gives out: the last
    depth."""
    if not np.isfinite(values[0]):
        return NAN
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


def against_unpruned(table: Columns, column: str, **side: Any) -> tuple[Curve, NDArray]:
    """A side's curve, which is compared with its unpruned network, and its depths."""
    refuse_cut_off(table, column, {**side, **UNPRUNED})
    c = curve(table, column, **side)
    if not np.isfinite(mean(c.values)[c.depths > 0]).any():
        raise Lacking(f"no pruned network has a value of {column}")
    return c, c.depths


def _printed_level(arguments: Arguments) -> float:
    """The level that is printed, in percent of hidden weights; of a range the geometric middle."""
    levels = arguments["at"] if isinstance(arguments["at"], list) else [arguments["at"]]
    percents = [float(x[:-1]) if isinstance(x, str) else 100 * 0.8**x for x in levels]
    return float(np.exp(np.log(percents).mean()))


@claim_test(unit="% remaining", prints=_printed_level)
def returns(
    table: Columns, *, column: str, at: float | str | Sequence[float | str], within: float = 2.0,
    margin: float = 0.0, limit: str = "both", **side: Any,
) -> Result:  # fmt: skip
    """How sparse networks get before they are no longer as good as the unpruned one (percent of hidden weights that
    remain, 0.8^rounds). `at`: the printed level, or both ends of a printed range; tolerance in rounds, none for
    "atleast" so sparse; `margin` as in the column."""
    c, depths = against_unpruned(table, column, **side)
    ends = [depth_of(x) for x in (at if isinstance(at, list) else [at])]  # type: ignore[arg-type]
    found = crossing([c], lambda v: last_good(v, depths, column, margin), ends=(0, depths.max()))
    censored = found.effect >= depths.max()
    if censored and max(ends) + (within if limit == "both" else 0) > depths.max():
        raise Lacking(f"still as good at the sparsest level measured ({depths.max():.0f} rounds)")
    rounds = bound(found, max(ends), limit) if limit != "both" else between(
        found, min(ends) - within, max(ends) + within
    )  # fmt: skip
    note = f"after {found.effect:.1f} rounds" + (", the sparsest measured" if censored else "")
    percent = [100 * 0.8**x for x in (found.effect, found.high, found.low)]
    return replace(rounds, effect=percent[0], low=percent[1], high=percent[2], note=note)


@claim_test(unit="rounds")
def deeper(
    table: Columns, *, column: str, of: Side, to: Side, margin: float = 0.0, than: Sequence[Side] = ()
) -> Result:
    """By how many rounds `of` stays as good as the unpruned network longer than `to`; or by how many more than the
    first of another pair (`than`) outlasts its second."""
    sides = [of, to, *than]
    read = [against_unpruned(table, column, **s) for s in sides]
    curves, depths = [c for c, _ in read], [d for _, d in read]

    def longer(*means: NDArray) -> float:
        last = [last_good(m, d, column, margin) for m, d in zip(means, depths, strict=True)]
        return last[0] - last[1] - (last[2] - last[3] if than else 0)

    found = crossing(curves, longer)
    shorter = 1 if found.effect > 0 else 0  # a longer one may still be good at its end
    ended(last_good(mean(curves[shorter].values), depths[shorter], column, margin), depths[shorter])
    return ordering(found, note="rounds")


def ended(last: float, depths: NDArray) -> None:
    """Refuse to compare with a curve whose end is not measured."""
    if last >= depths.max():
        raise Lacking(f"still as good at the sparsest level measured ({depths.max():.0f} rounds)")


@claim_test(unit="rounds")
def perfect(table: Columns, *, column: str, of: Side, to: Side, threshold: float = 99.9) -> Result:
    """By how many rounds `of` keeps `column` at the threshold (percent) longer than `to`, by the last levels that reach
    it: noise about the threshold before them does not count."""
    curves = [curve(table, column, **s) for s in (of, to)]

    def last(v: NDArray, d: NDArray) -> float:
        there = np.flatnonzero(100 * v >= threshold)
        return float(np.append(d, d[-1] + 1)[there[-1] + 1 if len(there) else 0])

    depths = [c.depths for c in curves]
    ended(last(mean(curves[1].values), depths[1]) - 1, depths[1])
    return ordering(crossing(curves, lambda a, b: last(a, depths[0]) - last(b, depths[1])))


def final(values: NDArray) -> float:
    """The sparsest level that has a value."""
    there = values[np.isfinite(values)]
    return float(there[-1]) if len(there) else NAN


@claim_test(unit=lead_unit, seeks=True)
def turning(table: Columns, *, column: str, at: float | str | None = None, within: float = 2.0, **side: Any) -> Result:
    """Better with pruning, then worse: a hill of accuracy, a valley of time. From the unpruned network to the best
    level and from there to the sparsest both slopes must hold, and the best level must be where it is printed. The
    effect is the gain at the best level."""
    refuse_cut_off(table, column, {**side, **UNPRUNED})
    c = learners(table, curve(table, column, **side), column, **side)
    d = c.depths
    sign = -1 if better_low(column) else 1
    if at is not None and d.max() < depth_of(at) + within + 1:
        raise Lacking(f"levels end at {d.max():.0f} rounds, before the turn could be seen")

    pruned = np.where(d > 0, 1.0, np.nan)

    def best(v: NDArray) -> int:
        return int(np.nanargmax(sign * v * pruned)) if np.isfinite(v * pruned).any() else 0

    def gain(v: NDArray, than: float) -> float:
        return float(np.log(than / v[best(v)])) if better_low(column) else unit(column) * (v[best(v)] - than)

    scale = LESS if better_low(column) else AS_IS
    rise = ordering(over_trials([c], lambda v: gain(v, v[0]), scale))
    fall = ordering(over_trials([c], lambda v: gain(v, final(v)), scale))
    parts = [rise, fall]
    place = d[best(mean(c.values))]
    note = f"best after {place:.1f} rounds ({100 * 0.8**place:.1f}% of hidden weights)"
    if at is not None:
        where = placed([c], lambda v: float(d[best(v)]))
        parts.append(between(where, depth_of(at) - within, depth_of(at) + within))
        note += f", 95% of resamples from {where.low:.1f} to {where.high:.1f}" if np.isfinite(where.low) else ""
    whole = every(parts)
    return replace(rise, word=whole.word, p_holds=whole.p_holds, p_fails=whole.p_fails, note=note)


@claim_test(unit="rank correlation")
def monotone(
    table: Columns, *, column: str, rising: bool, levels: Sequence[float | str], least: float = 0.9, **side: Any
) -> Result:
    """Ever higher (or lower) with pruning: rank correlation of the mean curve with depth, at least 0.9."""
    refuse_cut_off(table, column, {**side, **UNPRUNED})
    c = curve(table, column, **side)
    d = c.depths
    keep = within_levels(d, levels)
    if keep.sum() < 3:
        raise Lacking("fewer than three levels are measured")
    found = of_few_values([c], lambda v: rank_correlation(v[keep], d[keep]), (-1, 1))
    return bound(found, least, "atleast") if rising else bound(found, -least, "atmost")


@claim_test(unit="rank correlation")
def together(
    table: Columns, *, columns: Sequence[str], least: float = 0.5,
    levels: Sequence[float | str] | None = None, **side: Any,
) -> Result:  # fmt: skip
    """Two columns rise and fall together across levels: rank correlation of their mean curves, at least `least`."""
    curves = [curve(table, column, **side) for column in columns]
    depths = curves[0].depths
    keep = within_levels(depths, levels) if levels else np.ones(len(depths), bool)
    if keep.sum() < 3:
        raise Lacking("fewer than three levels are measured")
    found = of_few_values(curves, lambda a, b: rank_correlation(a[keep], b[keep]), (-1, 1))
    return bound(found, least, "atleast")


@claim_test(unit="Kendall's tau")
def same_order(
    table: Columns, *, columns: Sequence[str], sides: Sequence[Side], least: float = 0.8
) -> Result:  # fmt: skip
    """Two columns put several networks, each at its level, into the same order: Kendall's tau, at least `least`."""
    curves = [curve(table, column, **s) for column in columns for s in sides]
    places = [position(c.depths, s["at"]) for c, s in zip(curves, [*sides, *sides], strict=True)]

    def tau(*means: NDArray) -> float:
        read = np.array([m[i] for m, i in zip(means, places, strict=True)]).reshape(2, -1)
        return float(scipy.stats.kendalltau(*read).statistic) if np.isfinite(read).all() else NAN

    return bound(of_few_values(curves, tau, (-1, 1)), least, "atleast")
