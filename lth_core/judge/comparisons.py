"""Statements that compare networks by level: how much, how many times, which is ahead, which are alike.

Tables, sides and curves are those of `levels`. What each answer means is in `result`, how an interval is made in
`estimate`. A time that was cut off (validation loss still falling at the last evaluation) is compared with at no level
that is named or averaged; a level that is sought ("best") may rest on one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from operator import itemgetter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core.judge.estimate import AS_IS, LESS, MORE, NAN, TIMES, Estimate, Scale, at_each, over_trials
from lth_core.judge.result import (
    Arguments,
    Result,
    between,
    claim_test,
    counted,
    every,
    given_number,
    lead_unit,
    met,
    ordering,
)
from lth_core.levels import (
    Lacking,
    Side,
    along,
    average,
    better_low,
    curve,
    cut_off,
    extreme,
    position,
    unit,
    within_levels,
)
from lth_core.networks import Columns, Curve, networks

FORMS: dict[str, tuple[Scale, int]] = {"times": (TIMES, 1), "less": (LESS, -1), "more": (MORE, 1)}


def pair(table: Columns, column: str, sides: Sequence[Side]) -> tuple[list[Curve], list[Callable[..., Any]]]:
    """Curves of the sides, and for each the function that reads its level off a mean curve ("best": sought anew)."""
    curves = [curve(table, column, **s) for s in sides]
    reads: list[Callable[..., Any]] = []
    for c, s in zip(curves, sides, strict=True):
        if s.get("at") == "best":
            reads.append(lambda m, d=c.depths: extreme(m[d > 0], not better_low(column)))
        else:
            reads.append(itemgetter(position(c.depths, s["at"])))
    return curves, reads


def refuse_cut_off(table: Columns, column: str, *sides: Side) -> None:
    """Refuse sides of which a network's time was cut off at the level that they name."""
    for side in sides:
        if side.get("at") not in (None, "best") and (gone := cut_off(table, column, **side)) is not None:
            if (gone.values[:, position(gone.depths, side["at"])] > 0).any():
                raise Lacking(f"times at level {side['at']} are cut off: networks were still learning when they ended")


def fixed(*sides: Side) -> bool:
    """Whether no side seeks its level, so that each trial has a value of its own."""
    return all(s.get("at") != "best" for s in sides)


def _ratio_unit(arguments: Arguments) -> str:
    return {"times": "×", "less": "% earlier", "more": "% later"}[arguments.get("form", "times")]


@claim_test(unit=_ratio_unit, prints=given_number)
def ratio(
    table: Columns, *, column: str, of: Side, to: Side, number: float, within: float = NAN, form: str = "times",
    limit: str = "both",
) -> Result:  # fmt: skip
    """How many times `of` is `to`, or by how many percent it is "less" or "more", on trial means, on the logarithm."""
    refuse_cut_off(table, column, of, to)
    curves, (x, y) = pair(table, column, (of, to))
    scale, sign = FORMS[form]
    found = over_trials(curves, lambda a, b: sign * np.log(x(a) / y(b)), scale, paired=fixed(of, to))
    return met(found, number, within, limit)


@claim_test(unit="points", prints=given_number)
def difference(
    table: Columns, *, column: str, of: Side, to: Side, number: float, within: float = NAN, limit: str = "both",
) -> Result:  # fmt: skip
    """`of` minus `to`, in points."""
    curves, (x, y) = pair(table, column, (of, to))
    found = over_trials(curves, lambda a, b: unit(column) * (x(a) - y(b)), paired=fixed(of, to))
    return met(found, number, within, limit)


@claim_test(unit="%", prints=given_number)
def value(
    table: Columns, *, column: str, of: Side, number: float, within: float = NAN, limit: str = "both",
    levels: Sequence[float | str] | None = None,
) -> Result:  # fmt: skip
    """One mean against a printed one, at a level or averaged over `levels`."""
    if levels is None:
        refuse_cut_off(table, column, of)
        curves, (x,) = pair(table, column, (of,))
        return met(over_trials(curves, lambda a: unit(column) * x(a)), number, within, limit)
    c = curve(table, column, **of)
    keep = within_levels(c.depths, levels)
    return met(over_trials([c], lambda v: unit(column) * average(v[keep])), number, within, limit)


def lead(column: str) -> tuple[Callable[[Any, Any], Any], Scale]:
    """How far one side is ahead of another in a column, and the scale of it: percent sooner or lower on the logarithm,
    points."""
    if better_low(column) and not column.endswith("gap"):  # a gap may be 0 or below: it has no logarithm
        return lambda a, b: np.log(b / a), LESS
    sign = -1 if better_low(column) else 1
    return lambda a, b: sign * 100 * (a - b), AS_IS


def leads(
    table: Columns, column: str, of: Side, to: Side, levels: Sequence[float | str]
) -> tuple[list[Curve], NDArray]:
    """Both sides' curves at the levels of theirs between two, without those that would be read off a time of `to` that
    was cut off; and the depths."""
    curves = [curve(table, column, **s) for s in (of, to)]
    own = [c.depths for c, s in zip(curves, (of, to), strict=True) if s.get("at") is None]
    depths = own[0][(own[0] > 0) & (own[0] <= own[-1].max()) & within_levels(own[0], levels)]
    within_levels(own[-1], levels)
    refuse_cut_off(table, column, to)
    if to.get("at") is None and (gone := cut_off(table, column, **to)) is not None:
        lost = np.atleast_1d((gone.values > 0).any(0))
        left = np.clip(np.searchsorted(gone.depths, depths, "right") - 1, 0, None)  # between which two `along` reads
        right = np.clip(np.searchsorted(gone.depths, depths), None, len(lost) - 1)
        if len(depths) and len(depths := depths[~(lost[left] | lost[right])]) == 0:
            raise Lacking("all times that it is compared with are cut off: networks were still learning at the end")
    if len(depths) == 0:
        raise Lacking(f"no level between {levels[0]} and {levels[1]} is measured")
    return [along(c, depths, s.get("at")) for c, s in zip(curves, (of, to), strict=True)], depths


@claim_test(unit=lead_unit)
def ahead(
    table: Columns, *, column: str, of: Side, to: Side, levels: Sequence[float | str] | None = None,
    every: bool = False,
) -> Result:  # fmt: skip
    """`of` better than `to`: percent sooner for iterations, points for accuracies, averaged over `levels` where no
    level is named; `every`: at each of them."""
    gap, scale = lead(column)
    if levels is None:
        refuse_cut_off(table, column, to)
        curves, (x, y) = pair(table, column, (of, to))
        return ordering(over_trials(curves, lambda a, b: gap(x(a), y(b)), scale, paired=fixed(of, to)))
    both, depths = leads(table, column, of, to, levels)
    if every:
        return _at_every_level(both, depths, gap, scale)
    return ordering(over_trials(both, lambda a, b: average(gap(a, b)), scale, paired=True))


def _at_every_level(both: Sequence[Curve], depths: NDArray, gap: Callable[..., Any], scale: Scale) -> Result:
    found = at_each(both, gap, scale)
    gone = np.array([~np.isfinite(c.values).any(0) for c in both]).T
    parts = []
    for e, (ours, theirs) in zip(found, gone, strict=True):
        never = counted(NAN, not ours) if ours or theirs else None  # one of both gets there in no trial at all
        parts.append(never or ordering(e))
    right = sum(p.word == "holds" for p in parts)
    whole = every(parts, f"{right} of {len(parts)} levels hold, from {depths[0]:.1f} to {depths[-1]:.1f} rounds")
    shown = over_trials(both, lambda a, b: average(gap(a, b)), scale, paired=True)
    return Result(
        shown.effect, shown.low, shown.high, shown.n, whole.word, whole.note, whole.p_holds, whole.p_fails, shown.trials
    )


@claim_test(unit=lead_unit)
def same(table: Columns, *, column: str, of: Side, to: Side, levels: Sequence[float | str], within: float) -> Result:
    """Two arms alike: the mean difference over `levels` (points, or percent for iterations) is within the tolerance."""
    gap, scale = lead(column)
    both, _ = leads(table, column, of, to, levels)
    found = over_trials(both, lambda a, b: average(gap(a, b)), scale, paired=True)
    return between(found, -within, within)


def _smallest_lead(arguments: Arguments) -> str:
    return f"{lead_unit(arguments).split()[0]} as the smallest lead"


@claim_test(unit=_smallest_lead)
def ordered(table: Columns, *, column: str, sides: Sequence[Side], levels: Any = None) -> Result:
    """Several sides, best first: each is ahead of the next."""
    steps = [ahead(table, column=column, of=a, to=b, levels=levels) for a, b in pairwise(sides)]
    return every(steps, f"{sum(s.word == 'holds' for s in steps)} of {len(steps)} steps hold")


@claim_test(unit="% earlier")
def earliest(table: Columns, *, column: str, arm: str, at: float | str) -> Result:
    """The quickest network of an arm at a level beats the mean unpruned one: by what percent."""
    chosen = networks(table).where(arm=arm)
    depths = np.unique(chosen["depth"])
    at_level, unpruned = (chosen.take(chosen["depth"] == d) for d in (depths[position(depths, at)], 0.0))
    quickest, whole = (pd.Series(t[column]).groupby(t["trial"]) for t in (at_level, unpruned))
    both = pd.concat([quickest.min(), whole.mean()], axis=1, join="inner").dropna()
    if both.empty:
        raise Lacking(f"no trial has a value of {column} on both sides")
    fast, mean_of = both.to_numpy(float).T

    def log_lead(keep: NDArray) -> float:
        return float(np.log(mean_of[keep].mean() / extreme(fast[keep], False)))

    found = _left_out(log_lead, len(both))
    return ordering(found, note=f"the quickest of {len(at_level)} networks")


def _left_out(statistic: Callable[[NDArray], float], n: int) -> Estimate:
    """The jackknife of a statistic of the trials that are kept."""
    each = np.arange(float(n))
    return over_trials([Curve(np.eye(n), each, each)], lambda weights: statistic(weights > 0), LESS)
