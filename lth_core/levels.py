"""A table of networks asked by level: which rows belong to a condition, and a column of theirs by trial and depth.

A table has one row a network (`results.table`). `with_depth` adds `depth`: how far it is pruned, counted in rounds of
20 percent, so that one cut to 25 percent stands at 6.2, between rounds 6 and 7. A `side` of a comparison names an arm,
a depth (`at`: a round, a percentage of hidden weights such as "25%", or "best") and any fields of the spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core.networks import Columns, Curve, Networks, fits, networks

LOWER = ("iteration", "loss", "gap", "reach")  # columns in whose names these words stand are better when lower
NEAR = 0.12  # rounds: printed percentages are truncated, so a level is the nearest within this
Side = dict[str, Any]


class Lacking(LookupError):
    """The table does not hold what a test needs: the claim is not measured, with this reason."""


T = TypeVar("T", pd.DataFrame, Networks)


def with_depth(table: T) -> T:
    """The table with `depth` and the columns that are arithmetic on others."""
    rate = np.maximum(table["prune_fc"], table["prune_conv"])
    depth = (table["round"] * np.log1p(-rate) / np.log(0.8)).round(3) + 0.0
    more = {"depth": depth, "percent": 100 * table["density"]}
    if "iterations" in table and "stop_iteration" in table:
        more["cut_off"] = (table["stop_iteration"] >= table["iterations"]).astype(float)
    if "end_train" in table:
        more["end_gap"] = table["end_train"] - table["end_test"]
        more["late_gain"] = table["end_test"] - table["convergence_test"]
        more["converged"] = pd.notna(table["convergence_iteration"]).astype(float)
        learned = (table["stop_val"] > 0.2) & (table["stop_iteration"] > 0)  # of ten classes, chance is 0.1
        more["learned"] = learned.astype(float)
    return table.assign(**more)


def better_low(column: str) -> bool:
    return any(word in column for word in LOWER)


def unit(column: str) -> float:
    """Accuracies are fractions in tables and percentage points in papers."""
    return 1.0 if better_low(column) or column in ("converged", "learned") else 100.0


def select(table: T, **fields: Any) -> T:
    """The networks with these fields: see `fits`."""
    if isinstance(table, Networks):
        return table.where(**fields)
    kept = fits(table, **fields)
    return table if kept.all() else table[kept]


def curve(table: Columns, column: str, arm: str = "ticket", **fields: Any) -> Curve:
    """`column` by trial and depth; depth 0 is the unpruned network. Redraws of a trial are averaged."""
    own = networks(table).where(arm=arm, **{k: v for k, v in fields.items() if k != "at"})
    if not len(own) or (fields.get("at", 1) != 0 and not (own["round"] > 0).any()):
        named = {"arm": arm, **{k: v for k, v in fields.items() if k != "at"}}
        raise Lacking(f"no pruned networks ({', '.join(f'{k} {v}' for k, v in named.items())}) are measured")
    made = own.curve(column)
    if made.depths[0] == 0 and not np.isfinite(made.values[:, 0]).any():
        raise Lacking(f"the unpruned network has no {column} (it never gets there)")
    return made


def at_depths(table: Columns, column: str, depths: NDArray) -> NDArray[np.float64]:
    """The mean of a column over all networks of each level; NaN at depths of which there are none."""
    own = pd.Series(np.asarray(table[column])).groupby(np.asarray(table["depth"]))
    return own.mean().reindex(depths).to_numpy()


def cut_off(table: Columns, column: str, **side: Any) -> Curve | None:
    """Which times of a side, by trial and depth, were cut off (above 0): a stop at the last evaluation. None for
    columns that are no such time."""
    table = networks(table)
    return curve(table, "cut_off", **side) if column == "stop_iteration" and "cut_off" in table else None


def learners(table: Columns, made: Curve, column: str, **side: Any) -> Curve:
    """A curve of a side without what is no sign of speed or accuracy: trials whose unpruned network stays at chance,
    and times of networks that do (their validation loss is lowest before they begin)."""
    table = networks(table)
    if "learned" not in table:
        return made
    learned = curve(table, "learned", **side).values > 0.5
    kept = learned[:, 0] if made.depths[0] == 0 else np.ones(len(made), bool)
    if not kept.any():
        raise Lacking("no trial's unpruned network learns")
    values = np.where(learned, made.values, np.nan) if better_low(column) else made.values
    return Curve(values[kept], made.trials[kept], made.depths)


def depth_of(at: float | str) -> float:
    """A round, or the depth of a percentage of hidden weights."""
    return float(np.log(float(at[:-1]) / 100) / np.log(0.8)) if isinstance(at, str) else float(at)


def position(depths: NDArray, at: float | str) -> int:
    """Index of a level among those measured."""
    wanted = depth_of(at)
    if not len(depths):
        raise Lacking("no level is measured")
    found = int(np.abs(depths - wanted).argmin())
    if abs(depths[found] - wanted) > NEAR:
        near = f"{100 * 0.8 ** depths[found]:.3g}%" if isinstance(at, str) else f"round {depths[found]:.3g}"
        raise Lacking(f"level {at} is not measured (the nearest that is: {near})")
    return found


def within_levels(depths: NDArray, levels: Sequence[float | str]) -> NDArray[np.bool_]:
    """Which depths lie between two levels, both included; both ends must be measured up to one round."""
    first, last = depth_of(levels[0]), depth_of(levels[1])
    if depths.max() < last - 1.05:
        raise Lacking(f"level {levels[1]} is not measured (levels reach {depths.max():.1f} rounds)")
    return (depths > first - NEAR) & (depths < last + NEAR)


def along(c: Curve, depths: NDArray, at: float | str | None) -> Curve:
    """A curve read at `depths`: its own levels where it has them, with or without a value, else between its neighbours
    (one-shot levels lie between rounds). With `at`, its value at that one level everywhere."""
    if at is not None:
        return Curve(c.values[:, [position(c.depths, at)] * len(depths)], c.trials, depths)
    place = np.minimum(np.searchsorted(c.depths, depths), len(c.depths) - 1)
    own, read = c.depths[place] == depths, c.values[:, place]
    if not own.all():
        read[:, ~own] = [np.interp(depths[~own], c.depths, v, np.nan, np.nan) for v in c.values]
    return Curve(read, c.trials, depths)


def mean(values: NDArray, axis: int = 0) -> NDArray:
    """Mean over trials, of those that have a value (a network may never converge)."""
    there = np.isfinite(values)
    count = there.sum(axis)
    return np.where(count > 0, np.where(there, values, 0).sum(axis) / np.maximum(count, 1), np.nan)


def extreme(values: NDArray, high: bool) -> float:
    """The highest or lowest of the levels that have a value."""
    there = values[np.isfinite(values)]
    return float(there.max() if high else there.min()) if len(there) else float("nan")


def average(values: NDArray) -> float:
    """Mean of the levels that have a value."""
    there = values[np.isfinite(values)]
    return float(there.mean()) if len(there) else float("nan")


def rank_correlation(x: NDArray, y: NDArray) -> float:
    """Spearman's rho of the pairs that both have a value; 0 where one does not vary."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3:
        return float("nan")
    a, b = (ranks(v[both]) for v in (x, y))
    a, b = a - a.mean(), b - b.mean()
    size = np.sqrt((a @ a) * (b @ b))
    return float(a @ b / size) if size > 0 else 0.0


def ranks(values: NDArray) -> NDArray[np.float64]:
    """Ranks from 1, equal values at their mean rank. (`scipy.stats.rankdata` takes a millisecond for 20 numbers.)"""
    _, place, count = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(count) - (count - 1) / 2)[place]
