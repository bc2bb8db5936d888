"""The ledger's tests over several values of a field and over network sizes, and the list of all tests on networks. See
`judge` for what a `Result` means."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.claims import bounds, curves
from lth_companion.claims.curves import ended, last_good
from lth_core.judge import comparisons
from lth_core.judge.comparisons import excludes, over_trials
from lth_core.judge.result import Arguments, Result, Test, claim_test, given_number, tests_in
from lth_core.levels import Curve, Lacking, average, better_low, curve, mean, rank_correlation, select
from lth_core.models import weight_count


@claim_test(unit="%", prints=given_number)
def everywhere(
    table: pd.DataFrame, *, field: str, test: str, values: Sequence[Any] = (), least: float = 1.0, **args: Any
) -> Result:
    """Another test at each value of a field (those measured, where none are named). The effect is the percent of values
    at which it agrees in direction."""
    values = values or sorted(table[field].unique())
    found = [NETWORKS[test](select(table, **{field: v}), **args) for v in values]
    share, loose = (float(np.mean([getattr(f, word) for f in found])) for word in ("agrees", "direction"))
    n = min(f.n for f in found)
    note = f"{sum(f.direction for f in found)} of {len(found)} values"
    return Result(100 * loose, float("nan"), float("nan"), n, share >= least, loose >= min(least, 0.5), note)


@claim_test(unit="", interval="excludes")
def at_weights(
    table: pd.DataFrame, *, column: str, field: str, values: Sequence[Any], weights: Sequence[float], rising: bool,
) -> Result:  # fmt: skip
    """At equal numbers of weights, does `column` get better with the starting size? Rank correlation with the order of
    `values`, averaged over `weights`; `rising` False states that it does not (curves overlap)."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in values], strict=True)
    sign = -1 if better_low(column) else 1

    def trend(*means: NDArray) -> float:
        found = []
        for w in np.log(weights):
            at = [np.interp(-w, -np.log(s), m) for s, m in zip(sizes, means, strict=True)]
            found.append(rank_correlation(sign * np.array(at), np.arange(len(at), dtype=float)))
        return average(np.array(found))

    effect, low, high, n = over_trials(curves, trend)
    if rising:
        sure = excludes(low, high) > 0
        return Result(effect, low, high, n, sure and effect >= 0.5, sure)
    return Result(effect, low, high, n, abs(effect) < 0.5, bool(low <= 0 <= high))


def by_weights(table: pd.DataFrame, column: str, field: str, value: Any) -> tuple[Curve, NDArray]:
    """A curve of one network size, and the number of weights at each of its levels."""
    part = select(table, **{field: value})
    if part.empty:
        raise Lacking(f"{field} = {value} is not measured")
    c = curve(part, column)
    total = weight_count(part["arch"].iat[0], part["dataset"].iat[0])
    return c, part.groupby("depth")["density"].mean().reindex(c.columns).to_numpy() * total


def place(values: NDArray, weights: NDArray, depths: NDArray, column: str, what: str, margin: float) -> float:
    """Number of weights where a mean curve is "best" or where it is "last" as good as the unpruned network."""
    if not np.isfinite(values).any():
        return float("nan")
    if what == "best":
        return float(weights[np.nanargmin(values) if better_low(column) else np.nanargmax(values)])
    last = last_good(values, depths, column, margin)
    return float(np.exp(np.interp(last, depths, np.log(weights)))) if np.isfinite(last) else float("nan")


def _printed_range(arguments: Arguments) -> float:
    """The geometric middle of the printed numbers of weights."""
    return float(np.sqrt(np.prod(arguments["between"])))


@claim_test(unit="weights", prints=_printed_range)
def weights_where(
    table: pd.DataFrame, *, column: str, what: str, between: Sequence[float], field: str = "arch",
    values: Sequence[Any] = ("lenet-300-100",), factor: float = 1.5, margin: float = 0.0015,
) -> Result:  # fmt: skip
    """Number of weights at the best level or the last good one; for several sizes their geometric mean, and all of them
    must lie in the printed range, up to `factor`."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in values], strict=True)
    depths = [c.columns.to_numpy(float) for c in curves]

    def all_of(*means: NDArray) -> NDArray:
        return np.array([place(*x, column, what, margin) for x in zip(means, sizes, depths, strict=True)])

    if what == "last":
        for c, d in zip(curves, depths, strict=True):
            ended(last_good(mean(c.to_numpy(float)), d, column, margin), d)
    effect, low, high, n = over_trials(curves, lambda *m: float(np.exp(np.log(all_of(*m)).mean())))
    each = all_of(*[mean(c.to_numpy(float)) for c in curves])
    low_end, high_end = between[0] / factor, between[1] * factor
    met = bool(((each >= low_end) & (each <= high_end)).all())
    note = ", ".join(f"{x:,.0f}" for x in each)
    return Result(effect, low, high, n, met, low_end / 2 <= effect <= high_end * 2, f"weights: {note}")


@claim_test(unit="×", interval="excludes")
def grows(
    table: pd.DataFrame, *, column: str, what: str, values: Sequence[Any], field: str = "arch",
    margin: float = 0.0015, limit: float = np.inf,
) -> Result:  # fmt: skip
    """By what factor the number of weights at the best (or last good) level grows from the smallest to the largest
    network. Agrees when the interval excludes 1; with a `limit`, when it grows by at most this factor."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in values], strict=True)
    depths = [c.columns.to_numpy(float) for c in curves]

    def factor(*means: NDArray) -> float:
        ends = [place(means[i], sizes[i], depths[i], column, what, margin) for i in (0, -1)]
        return ends[1] / ends[0]

    if what == "last":
        for i in (0, -1):
            ended(last_good(mean(curves[i].to_numpy(float)), depths[i], column, margin), depths[i])
    effect, low, high, n = over_trials(curves, factor)
    if np.isfinite(limit):
        return Result(effect, low, high, n, 1 / limit <= effect <= limit, low <= limit)
    sure = excludes(low, high, 1.0) > 0
    return Result(effect, low, high, n, sure, sure)


# All tests on a table of networks, by name.
NETWORKS: dict[str, Test] = tests_in(comparisons, curves, bounds, sys.modules[__name__])
