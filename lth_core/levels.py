"""A table of networks asked by level: which rows belong to a condition, and a column of theirs by trial and depth.

A table has one row a network (`results.table`). `with_depth` adds `depth`: how far it is pruned, counted in rounds of
20 percent, so that one cut to 25 percent stands at 6.2, between rounds 6 and 7. A `side` of a comparison names an arm,
a depth (`at`: a round, a percentage of hidden weights such as "25%", or "best") and any fields of the spec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, TypeAlias

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Fields that unpruned networks do not have: those belong to every condition on them (see `Spec.at_round`).
PRUNING = {
    "prune_conv", "prune_fc", "prune_out", "scope", "search", "criterion", "rewind", "rescale", "arm", "sigma",
    "replicate",
}  # fmt: skip
LOWER = ("iteration", "loss", "gap", "reach")  # columns in whose names these words stand are better when lower
NEAR = 0.12  # rounds: printed percentages are truncated, so a level is the nearest within this
Side = dict[str, Any]
Curve: TypeAlias = pd.DataFrame  # trial x depth


class Columns(Protocol):
    """Networks by the names of their fields: a table, or what a catalogue declares."""

    def __len__(self) -> int: ...

    def __getitem__(self, name: str, /) -> Any: ...


class Lacking(LookupError):
    """The table does not hold what a test needs: the claim is not measured, with this reason."""


def with_depth(table: pd.DataFrame) -> pd.DataFrame:
    """The table with `depth` and the columns that are arithmetic on others."""
    rate = table[["prune_fc", "prune_conv"]].max(axis=1)
    depth = (table["round"] * np.log1p(-rate) / np.log(0.8)).round(3) + 0.0
    more = {"depth": depth, "percent": 100 * table["density"]}
    if "iterations" in table and "stop_iteration" in table:
        more["cut_off"] = (table["stop_iteration"] >= table["iterations"]).astype(float)
    if "end_train" in table:
        more["end_gap"] = table["end_train"] - table["end_test"]
        more["late_gain"] = table["end_test"] - table["convergence_test"]
        more["converged"] = table["convergence_iteration"].notna().astype(float)
        learned = (table["stop_val"] > 0.2) & (table["stop_iteration"] > 0)  # of ten classes, chance is 0.1
        more["learned"] = learned.astype(float)
    return table.assign(**more)


def better_low(column: str) -> bool:
    return any(word in column for word in LOWER)


def unit(column: str) -> float:
    """Accuracies are fractions in tables and percentage points in papers."""
    return 1.0 if better_low(column) or column in ("converged", "learned") else 100.0


def fits(table: Columns, **fields: Any) -> NDArray[np.bool_]:
    """Which networks have these fields (a value or a list); unpruned ones belong to every condition on pruning."""
    kept = np.ones(len(table), bool)
    for name, wanted in fields.items():
        if name == "path":  # one cut from the unpruned network, or rounds of 20 percent; one cut of 20 percent is both
            once = np.asarray(table["round"]) <= 1
            kept &= once if wanted == "one-shot" else np.isin(np.asarray(table["prune_fc"]), [0.0, 0.2])
            continue
        several = wanted if isinstance(wanted, list) else [wanted]
        values = np.asarray(table[name])
        own = np.logical_or.reduce([values == one for one in several])
        kept &= own | (np.asarray(table["round"]) == 0) if name in PRUNING else own
    return kept


def select(table: pd.DataFrame, **fields: Any) -> pd.DataFrame:
    """The networks with these fields: see `fits`."""
    kept = fits(table, **fields)
    return table if kept.all() else table[kept]


def curve(table: pd.DataFrame, column: str, arm: str = "ticket", **fields: Any) -> Curve:
    """`column` by trial and depth; depth 0 is the unpruned network. Redraws of a trial are averaged."""
    chosen = fits(table, arm=arm, **{k: v for k, v in fields.items() if k != "at"})
    if not chosen.any() or (fields.get("at", 1) != 0 and not (table["round"].to_numpy()[chosen] > 0).any()):
        raise Lacking(f"no pruned networks of {dict(arm=arm, **fields)} are measured")
    trials, row = np.unique(table["trial"].to_numpy()[chosen], return_inverse=True)
    depths, level = np.unique(table["depth"].to_numpy()[chosen], return_inverse=True)
    values = table[column].to_numpy(float)[chosen]
    there = np.isfinite(values)
    total, count = np.zeros((2, len(trials), len(depths)))
    np.add.at(total, (row[there], level[there]), values[there])
    np.add.at(count, (row[there], level[there]), 1)
    means = np.divide(total, count, out=np.full_like(total, np.nan), where=count > 0)
    if depths[0] == 0 and not np.isfinite(means[:, 0]).any():
        raise Lacking(f"the unpruned network has no {column} (it never gets there)")
    return pd.DataFrame(means, index=trials, columns=depths)


def cut_off(table: pd.DataFrame, column: str, **side: Any) -> pd.DataFrame | None:
    """Which times of a side, by trial and depth, were cut off: a stop at the last evaluation. None for columns that are
    no such time."""
    if column != "stop_iteration" or "cut_off" not in table:
        return None
    return curve(table, "cut_off", **side) > 0


def learners(table: pd.DataFrame, made: Curve, column: str, **side: Any) -> Curve:
    """A curve without what is no sign of speed or accuracy: trials whose unpruned network stays at chance, and times of
    networks that do (their validation loss is lowest before they begin)."""
    if "learned" not in table:
        return made
    learned = curve(table, "learned", **side).reindex(index=made.index, columns=made.columns)
    made = made[learned[0.0] > 0.5] if 0.0 in learned else made
    if made.empty:
        raise Lacking("no trial's unpruned network learns")
    return made.where(learned.loc[made.index] > 0.5) if better_low(column) else made


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
        raise Lacking(f"level {at} is not measured (levels reach {depths.max():.1f} rounds)")
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
    own = c.columns.to_numpy(float)
    if at is not None:
        return c.iloc[:, [position(own, at)] * len(depths)].set_axis(depths, axis=1)

    def read(v: NDArray) -> list[float]:
        its, between = dict(zip(own, v, strict=True)), np.interp(depths, own, v, np.nan, np.nan)
        return [its.get(d, x) for d, x in zip(depths, between, strict=True)]

    return pd.DataFrame([read(v) for v in c.to_numpy(float)], index=c.index, columns=depths)


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
