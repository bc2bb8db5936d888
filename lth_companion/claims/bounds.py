"""The ledger's tests over many levels: bounds, ranges, shares, scatter, and whether a winning ticket exists. What the
answers mean: `lth_core.judge.result`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_companion.claims.curves import UNPRUNED
from lth_core.judge.comparisons import refuse_cut_off
from lth_core.judge.estimate import AS_IS, LESS, NAN, TIMES, at_each, of_values, over_trials, placed
from lth_core.judge.result import Arguments, Result, bound, claim_test, counted, every, given_number, ordering
from lth_core.judge.result import between as inside
from lth_core.levels import (
    NEAR,
    Lacking,
    Side,
    at_depths,
    average,
    better_low,
    curve,
    depth_of,
    extreme,
    mean,
    position,
    unit,
    within_levels,
)
from lth_core.networks import Columns, Curve, networks


@claim_test(unit="×")
def scatter(table: Columns, *, column: str, of: str, to: str, levels: Sequence[float | str]) -> Result:
    """How many times wider the networks of arm `of` scatter than those of `to`: ratio of standard deviations over
    all networks of a level, median over levels."""
    chosen = networks(table).where(arm=[of, to])
    depths = np.unique(chosen["depth"][chosen["round"] > 0])
    depths = depths[within_levels(depths, levels)]
    chosen = chosen.take(np.isin(chosen["depth"], depths) & np.isfinite(chosen[column]))
    if without := [arm for arm in (of, to) if not (chosen["arm"] == arm).any()]:
        raise Lacking(f"no network of {' and '.join(without)} has a value of {column} there")
    trials, row = np.unique(chosen["trial"], return_inverse=True)
    place = row * len(depths) + np.searchsorted(depths, chosen["depth"])

    def sums(arm: str) -> Curve:
        """Of each trial and level of an arm how many networks, the column's sum, and its squares'."""
        own = chosen["arm"] == arm
        x, size = chosen[column][own], len(trials) * len(depths)
        totals = [np.bincount(place[own], w, size).reshape(len(trials), -1) for w in (np.ones(len(x)), x, x**2)]
        return Curve(np.hstack(totals), trials, np.tile(depths, 3))

    def spread(total: NDArray) -> NDArray:
        n, one, two = total.reshape(3, -1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.sqrt(np.maximum(two / n - (one / n) ** 2, 0))

    def wide(*means: NDArray) -> float:
        sds = [spread(m) for m in means]
        usable = (sds[0] > 0) & (sds[1] > 0)
        return float(np.log(np.median(sds[0][usable] / sds[1][usable]))) if usable.any() else NAN

    return ordering(over_trials([sums(of), sums(to)], wide, TIMES), 1.0)


def _bound_unit(arguments: Arguments) -> str:
    own = "nats" if "loss" in arguments["column"] else "%"
    return {"less": "% earlier", "points": "points", "value": own}[arguments.get("form", "points")]


@claim_test(unit=_bound_unit, prints=given_number)
def throughout(
    table: Columns, *, column: str, levels: Sequence[float | str], number: float, form: str = "points",
    limit: str = "atleast", **side: Any,
) -> Result:  # fmt: skip
    """A bound at every level: on `column` itself ("value", percent), on its difference from the unpruned network
    ("points", absolute with limit "atmost") or on percent "less" than it. Told is the worst level."""
    if form != "value":
        refuse_cut_off(table, column, {**side, **UNPRUNED})
    c = curve(table, column, **side)
    d = c.depths
    keep = within_levels(d, levels) & ((d > 0) | (form == "value"))
    if not keep.any():
        raise Lacking(f"no level between {levels[0]} and {levels[1]} is measured")

    def each(v: NDArray) -> NDArray:
        if form == "value":
            return unit(column) * v[keep]
        return np.log(v[0] / v[keep]) if form == "less" else unit(column) * (v[keep] - v[0])

    found = at_each([c], each, LESS if form == "less" else AS_IS)
    either = form == "points" and limit == "atmost"  # a distance, whichever the side
    parts = [inside(e, -number, number) if either else bound(e, number, limit) for e in found if np.isfinite(e.effect)]
    gone = len(found) - len(parts)
    if not parts:
        raise Lacking(f"no network has a value of {column} there")
    parts += [counted(NAN, False, parts[0].n)] if gone and limit == "atleast" else []  # they never get there
    right = sum(p.word == "holds" for p in parts)
    note = f"{right} of {len(found)} levels hold" + (f"; {gone} levels have no value" if gone else "")
    whole = every(parts)
    worst = max if limit == "atmost" else min
    shown = worst(parts[: len(found) - gone], key=lambda p: abs(p.effect) if either else p.effect)
    return replace(shown, word=whole.word, note=note, p_holds=whole.p_holds, p_fails=whole.p_fails)


@claim_test(unit="% remaining", seeks=True)
def reach(table: Columns, *, column: str, between: Sequence[float], within: float, **side: Any) -> Result:
    """The widest range of percent remaining (all weights) without a gap in which networks beat the unpruned one. The
    effect is its sparse end; both ends must be where they are printed, [sparse, dense] in percent."""
    refuse_cut_off(table, column, {**side, **UNPRUNED})
    c = curve(table, column, **side)
    d = c.depths
    percent = at_depths(networks(table).where(arm=side.get("arm", "ticket")), "percent", d)
    sign = -1 if better_low(column) else 1

    def ends(v: NDArray) -> tuple[float, float]:
        lead, best = sign * (v - v[0]) > 0, (NAN, NAN)
        start, widest = None, 0
        for i, good in enumerate([*lead[1:], False], 1):
            if good and start is None:
                start = i
            elif not good and start is not None:
                if i - start > widest:
                    widest, best = i - start, (float(percent[i - 1]), float(percent[start]))
                start = None
        return best

    found = [placed([c], lambda v, k=k: ends(v)[k]) for k in (0, 1)]
    if not np.isfinite(found[0].effect):
        return counted(NAN, False, len(c), "no level beats the unpruned network on the mean")
    parts = [inside(f, number - within, number + within) for f, number in zip(found, between, strict=True)]
    note = f"from {found[1].effect:.1f} to {found[0].effect:.1f} percent"
    return replace(parts[0], word=every(parts).word, note=note)


@claim_test(unit="rounds", seeks=True)
def plateau(table: Columns, *, column: str, of: Side, to: Side, slack: float = 0.1) -> Result:
    """By how many rounds the flat bottom (within `slack` of the best) of `of` is wider than that of `to`."""
    curves = [curve(table, column, **s) for s in (of, to)]
    depths = [c.depths for c in curves]

    def width(v: NDArray, d: NDArray) -> float:
        flat = d[v <= extreme(v, False) * (1 + slack)]
        return float(flat.max() - flat.min()) if len(flat) else NAN

    return ordering(placed(curves, lambda a, b: width(a, depths[0]) - width(b, depths[1])))


@claim_test(unit="% remaining", seeks=True)
def exists(
    table: Columns, *, time: str, accuracy: str, below: float | str = 0, slack: float = 0.0, each: bool = False,
    **side: Any,
) -> Result:  # fmt: skip
    """A winning ticket: a level, sparser than `below`, at which networks are no slower and no less accurate (up to
    `slack` points) than the unpruned one; `each`: in every single trial.

    The level is chosen without the trial in which it is then looked at, so that luck at the level which was chosen for
    it counts for nothing. The effect is the sparsest level so chosen, in percent of hidden weights."""
    refuse_cut_off(table, time, {**side, **UNPRUNED})
    t, a = (curve(table, column, **side) for column in (time, accuracy))
    d = t.depths
    if d.max() <= depth_of(below):
        raise Lacking(f"nothing below level {below} is measured")
    allowed = (d > max(depth_of(below) - NEAR, 0)) & (d > 0)
    times, accuracies = t.values, a.values
    chosen, sooner, gain = [], [], []
    for i in range(len(t)):
        with np.errstate(invalid="ignore"):
            soon, good = (mean(np.delete(x, i, 0)) if len(t) > 1 else x[0] for x in (times, accuracies))
            lead, more = np.log(soon[0] / soon), unit(accuracy) * (good - good[0])
        score = np.where(allowed & np.isfinite(lead + more), np.minimum(lead, 0) + np.minimum(more + slack, 0), -np.inf)
        if not np.isfinite(score.max()):
            raise Lacking("no pruned level has a value")
        level = int(np.flatnonzero(score == score.max())[np.argmax((lead + more)[score == score.max()])])
        chosen.append(d[level])
        sooner.append(float(np.log(times[i, 0] / times[i, level])))
        gain.append(unit(accuracy) * (accuracies[i, level] - accuracies[i, 0]))
    if not np.isfinite(sooner + gain).all():
        raise Lacking("a trial has no value where the others are best")
    parts = [
        bound(of_values(np.array(sooner), LESS), 0, "atleast"),
        bound(of_values(np.array(gain)), -slack, "atleast"),
    ]
    met = sum(s >= 0 and g >= -slack for s, g in zip(sooner, gain, strict=True))
    if each:
        parts.append(counted(NAN, met == len(t)))
    whole = every(parts)
    note = (
        f"at levels chosen without the trial: {100 * (1 - np.exp(-np.mean(sooner))):.0f}% sooner, "
        f"{np.mean(gain):+.2f} points; {met} of {len(t)} trials alone"
    )
    shown = 100 * 0.8 ** max(chosen)
    return Result(shown, NAN, NAN, len(t), whole.word, note, whole.p_holds, whole.p_fails)


@claim_test(unit="%", prints=given_number)
def share(table: Columns, *, column: str, number: float, limit: str = "atleast", **side: Any) -> Result:
    """Percent of the networks for which a yes-or-no column is true, at a level (`at`) or over `levels`: they are
    counted."""
    levels, at = side.pop("levels", None), side.pop("at", None)
    c = curve(table, column, **side)
    d = c.depths
    keep = within_levels(d, levels) if levels else np.arange(len(d)) == position(d, at if at is not None else 0)
    effect = 100 * average(mean(c.values)[keep])
    return counted(effect, effect >= number - 1e-9 if limit == "atleast" else effect <= number + 1e-9, len(c))


@claim_test(unit="×", seeks=True)
def faster_than(table: Columns, *, column: str, of: Side, to: Side) -> Result:
    """Whether pruning speeds one network up more than another: unpruned over best, `of` divided by `to`."""
    refuse_cut_off(table, column, {**of, **UNPRUNED}, {**to, **UNPRUNED})
    curves = [curve(table, column, **s) for s in (of, to)]

    def gain(v: NDArray) -> float:
        return float(np.log(v[0] / extreme(v[1:], False)))

    return ordering(over_trials(curves, lambda a, b: gain(a) - gain(b), TIMES), 1.0)


@claim_test(unit="points", seeks=True)
def dip(table: Columns, *, column: str, **side: Any) -> Result:
    """Worse with a little pruning, later as good as unpruned or better: the dip before the best level, in points."""
    c = curve(table, column, **side)
    if not np.isfinite(mean(c.values)[1:]).any():
        raise Lacking(f"no pruned network has a value of {column}")

    def down(v: NDArray) -> float:
        if not np.isfinite(v[1:]).any():  # no pruned value is left once a trial is left out
            return NAN
        best = 1 + int(np.nanargmax(v[1:]))
        return unit(column) * (v[0] - float(np.nanmin(v[1 : best + 1])))

    fall = ordering(over_trials([c], down))
    up = bound(over_trials([c], lambda v: unit(column) * (extreme(v[1:], True) - v[0])), 0, "atleast")
    whole = every([fall, up])
    return replace(fall, word=whole.word, p_holds=whole.p_holds, p_fails=whole.p_fails)


@claim_test(unit="networks a level", total="settings", prints=given_number)
def copies(table: Columns, *, arm: str, number: int) -> Result:
    """Networks of a control arm at each level, counted among those measured; fewer than stated say nothing."""
    own = np.asarray(table["arm"]) == arm
    counts = np.unique(np.asarray(table["depth"])[own], return_counts=True)[1]
    if counts.min(initial=number) < number or not len(counts):
        raise Lacking(f"{min(counts, default=0)} of {number} copies a level are measured")
    most = float(counts.max())
    return counted(most, most == number, int(most), "networks a level")
