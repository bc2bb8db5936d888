"""The ledger's tests over many levels: bounds, ranges, shares, scatter. See `judge` for what a `Result` means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core.draws import generator
from lth_core.judge.comparisons import close, excludes, over_trials
from lth_core.judge.result import Arguments, Result, claim_test, given_number
from lth_core.levels import (
    NEAR,
    Lacking,
    Side,
    average,
    better_low,
    curve,
    depth_of,
    extreme,
    mean,
    position,
    select,
    unit,
    within_levels,
)


@claim_test(unit="×", interval="excludes")
def scatter(table: pd.DataFrame, *, column: str, of: str, to: str, levels: Sequence[float | str]) -> Result:
    """How many times wider the networks of arm `of` scatter than those of `to`: ratio of standard deviations over
    all networks of a level, median over levels."""
    chosen = select(table, arm=[of, to])
    depths = np.sort(chosen.loc[chosen["round"] > 0, "depth"].unique())
    depths = depths[within_levels(depths, levels)]
    trials = np.sort(chosen["trial"].unique())
    there = {k: g[column].to_numpy(float) for k, g in chosen.groupby(["arm", "depth", "trial"])}

    def wide(picks: NDArray) -> float:
        groups = [
            [there.get((arm, d, trials[int(p)]), np.array([])) for p in picks] for arm in (of, to) for d in depths
        ]
        sds = np.array([np.nanstd(np.concatenate(g)) for g in groups]).reshape(2, -1)
        usable = sds[1] > 0
        return float(np.median(sds[0][usable] / sds[1][usable])) if usable.any() else float("nan")

    if len(trials) < 3:
        raise Lacking("scatter needs at least three trials")
    spreads = np.array(
        [wide(p) for p in generator("scatter", len(trials)).integers(0, len(trials), (200, len(trials)))]
    )
    effect = wide(np.arange(len(trials)))
    low, high = np.nanquantile(spreads, [0.025, 0.975])
    return Result(effect, float(low), float(high), len(trials), low > 1, low > 1)


def _bound_unit(arguments: Arguments) -> str:
    own = "nats" if "loss" in arguments["column"] else "%"
    return {"less": "% earlier", "points": "points", "value": own}[arguments.get("form", "points")]


@claim_test(unit=_bound_unit, prints=given_number)
def throughout(
    table: pd.DataFrame, *, column: str, levels: Sequence[float | str], number: float, within: float,
    form: str = "points", limit: str = "atleast", **side: Any,
) -> Result:  # fmt: skip
    """A bound at every level: the worst of `column` itself ("value", percent), of its difference from the unpruned
    network ("points", absolute with limit "atmost") or of percent "less" than it. In direction: on average."""
    c = curve(table, column, **side)
    d = c.columns.to_numpy(float)
    keep = within_levels(d, levels) & ((d > 0) | (form == "value"))
    if not keep.any():
        raise Lacking(f"no level between {levels[0]} and {levels[1]} is measured")

    def each(v: NDArray) -> NDArray:
        if form == "value":
            return unit(column) * v[keep]
        if form == "less":
            return 100 * (1 - v[keep] / v[0])
        gaps = unit(column) * (v[keep] - v[0])
        return np.abs(gaps) if limit == "atmost" else gaps

    effect, low, high, n = over_trials([c], lambda v: extreme(each(v), limit == "atmost"))
    middle = over_trials([c], lambda v: average(each(v)))[0]
    gone = int(np.isnan(each(mean(c.to_numpy(float)))).sum())
    note = f"worst level; {middle:.2f} on average" + (f"; {gone} levels have no value" if gone else "")
    met = close(effect, number, within, limit) and not gone
    return Result(effect, low, high, n, met, close(middle, number, within, limit), note)


@claim_test(unit="% remaining", seeks=True)
def reach(table: pd.DataFrame, *, column: str, between: Sequence[float], within: float, **side: Any) -> Result:
    """The widest range of percent remaining (all weights) without a gap in which networks beat the unpruned one. The
    effect is its sparse end; both ends must be where they are printed, [sparse, dense] in percent."""
    c = curve(table, column, **side)
    d = c.columns.to_numpy(float)
    percent = select(table, arm=side.get("arm", "ticket")).groupby("depth")["percent"].mean().reindex(d).to_numpy()
    sign = -1 if better_low(column) else 1

    def ends(v: NDArray) -> tuple[float, float]:
        lead, best = sign * (v - v[0]) > 0, (float("nan"), float("nan"))
        start, widest = None, 0
        for i, good in enumerate([*lead[1:], False], 1):
            if good and start is None:
                start = i
            elif not good and start is not None:
                if i - start > widest:
                    widest, best = i - start, (float(percent[i - 1]), float(percent[start]))
                start = None
        return best

    effect, low, high, n = over_trials([c], lambda v: ends(v)[0])
    dense = over_trials([c], lambda v: ends(v)[1])[0]
    met = abs(effect - between[0]) <= within and abs(dense - between[1]) <= within
    return Result(effect, low, high, n, met, bool(np.isfinite(effect)), f"from {dense:.1f} to {effect:.1f} percent")


@claim_test(unit="rounds", interval="excludes", seeks=True)
def plateau(table: pd.DataFrame, *, column: str, of: Side, to: Side, slack: float = 0.1) -> Result:
    """By how many rounds the flat bottom (within `slack` of the best) of `of` is wider than that of `to`."""
    curves = [curve(table, column, **s) for s in (of, to)]
    depths = [c.columns.to_numpy(float) for c in curves]

    def width(v: NDArray, d: NDArray) -> float:
        flat = d[v <= extreme(v, False) * (1 + slack)]
        return float(flat.max() - flat.min()) if len(flat) else float("nan")

    effect, low, high, n = over_trials(curves, lambda a, b: width(a, depths[0]) - width(b, depths[1]))
    sure = excludes(low, high) > 0
    return Result(effect, low, high, n, sure, sure)


@claim_test(unit="% remaining", seeks=True)
def exists(
    table: pd.DataFrame, *, time: str, accuracy: str, below: float | str = 0, slack: float = 0.0, **side: Any
) -> Result:
    """A winning ticket: some level, sparser than `below`, at which networks are no slower and no less accurate (up to
    `slack` points) than the unpruned one. Agrees where both intervals say so, in direction where both means do; the
    effect is the sparsest such level in percent of hidden weights."""
    t, a = (curve(table, column, **side) for column in (time, accuracy))
    d = t.columns.to_numpy(float)
    if d.max() <= depth_of(below):
        raise Lacking(f"nothing below level {below} is measured")
    sure, seen = [], []
    for i in range(1, len(d)):
        if d[i] <= depth_of(below) - NEAR:
            continue
        sooner = over_trials([t], lambda v, i=i: v[0] - v[i])
        gain = over_trials([a], lambda v, i=i: unit(accuracy) * (v[i] - v[0]) + slack)
        if sooner[1] >= 0 and gain[1] >= 0:
            sure.append(d[i])
        if sooner[0] >= 0 and gain[0] >= 0:
            seen.append(d[i])
    levels = sure or seen
    effect = 100 * 0.8 ** max(levels) if levels else float("nan")
    note = f"{len(sure)} levels with intervals, {len(seen)} on means, of {int((d > depth_of(below) - NEAR).sum())}"
    return Result(effect, effect, effect, len(t), bool(sure), bool(seen), note)


@claim_test(unit="%", prints=given_number)
def share(table: pd.DataFrame, *, column: str, number: float, limit: str = "atleast", **side: Any) -> Result:
    """Percent of networks for which a yes-or-no column is true, at a level (`at`) or over `levels`."""
    levels = side.pop("levels", None)
    at = side.pop("at", None)
    c = curve(table, column, **side)
    d = c.columns.to_numpy(float)
    keep = within_levels(d, levels) if levels else np.arange(len(d)) == position(d, at if at is not None else 0)
    effect, low, high, n = over_trials([c], lambda v: 100 * average(v[keep]))
    return Result(effect, low, high, n, close(effect, number, 1e-9, limit), close(effect, number, 20, limit))


@claim_test(unit="×", interval="excludes", seeks=True)
def faster_than(table: pd.DataFrame, *, column: str, of: Side, to: Side) -> Result:
    """Whether pruning speeds one network up more than another: unpruned over best, `of` divided by `to`."""
    curves = [curve(table, column, **s) for s in (of, to)]

    def gain(v: NDArray) -> float:
        return float(v[0] / extreme(v[1:], False))

    effect, low, high, n = over_trials(curves, lambda a, b: gain(a) / gain(b))
    sure = excludes(low, high, 1.0) > 0
    return Result(effect, low, high, n, sure, sure)


@claim_test(unit="points", interval="excludes", seeks=True)
def dip(table: pd.DataFrame, *, column: str, **side: Any) -> Result:
    """Worse with a little pruning, later as good as unpruned or better: the dip before the best level, in points."""
    c = curve(table, column, **side)
    whole = mean(c.to_numpy(float))
    best = 1 + int(np.nanargmax(whole[1:]))
    lowest = 1 + int(np.nanargmin(whole[1 : best + 1]))
    down = over_trials([c], lambda v: unit(column) * (v[0] - v[lowest]))
    up = over_trials([c], lambda v: unit(column) * (v[best] - v[0]))
    dips = excludes(down[1], down[2]) > 0 and up[0] >= 0
    return Result(*down, dips, dips)


@claim_test(unit="networks a level", prints=given_number)
def copies(table: pd.DataFrame, *, arm: str, number: int) -> Result:
    """Networks of a control arm at each level, counted among those measured; fewer than stated say nothing."""
    levels = table[table["arm"] == arm].groupby("depth").size()
    if levels.empty or levels.min() < number:
        raise Lacking(f"{levels.min() if len(levels) else 0} of {number} copies a level are measured")
    most = float(levels.max())
    return Result(most, float("nan"), float("nan"), int(most), most == number, most == number, "networks a level")
