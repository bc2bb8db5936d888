"""The ledger's tests over several values of a field and over network sizes, and the list of all tests on networks.
What the answers mean: `lth_core.judge.result`."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_companion.claims import bounds, curves
from lth_companion.claims.curves import UNPRUNED, ended, last_good
from lth_core.judge import comparisons
from lth_core.judge.comparisons import refuse_cut_off
from lth_core.judge.estimate import NAN, ROUNDING, TIMES, Estimate, crossing, of_few_values, placed
from lth_core.judge.result import (
    Arguments,
    Result,
    Test,
    bound,
    claim_test,
    every,
    given_number,
    ordering,
    tests_in,
)
from lth_core.judge.result import between as inside
from lth_core.levels import Lacking, at_depths, average, better_low, curve, mean, rank_correlation
from lth_core.models import weight_count
from lth_core.networks import Columns, Curve, networks


@claim_test(unit="%", prints=given_number)
def everywhere(
    table: Columns, *, field: str, test: str, values: Sequence[Any] = (), least: float = 1.0, **args: Any
) -> Result:
    """Another test at each value of a field (those measured, where none are named). A universal statement holds where
    each value does; with `least` below 1 ("nearly all", "generally") where so large a part does, and fails where too
    many fail. The effect is the percent of values at which it holds."""
    table = networks(table)
    values = values or list(np.unique(table[field][table["round"] > 0]))
    found = [NETWORKS[test](table.where(**{field: v}), **args) for v in values]
    holds, fails = (float(np.mean([f.word == word for f in found])) for word in ("holds", "fails"))
    n = min(f.n for f in found)
    note = f"holds at {sum(f.word == 'holds' for f in found)}, fails at {sum(f.word == 'fails' for f in found)} of "
    note += f"{len(found)} values"
    whole = every(found)
    told = replace(whole, effect=100 * holds, low=NAN, high=NAN, n=n, note=note, trials=())
    if least >= 1:
        return told
    word = "holds" if holds >= least else "fails" if fails > 1 - least + ROUNDING else "undecided"
    return replace(told, word=word, p_holds=NAN, p_fails=NAN)  # type: ignore[arg-type]


@claim_test(unit="rank correlation")
def at_weights(
    table: Columns, *, column: str, field: str, values: Sequence[Any], weights: Sequence[float], rising: bool,
    least: float = 0.5,
) -> Result:  # fmt: skip
    """At equal numbers of weights, does `column` get better with the starting size? Rank correlation with the order of
    `values`, averaged over `weights`: at least `least`, or with `rising` False (curves overlap) within it of 0."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in values], strict=True)
    sign = -1 if better_low(column) else 1

    def trend(*means: NDArray) -> float:
        found = []
        for w in np.log(weights):
            at = [np.interp(-w, -np.log(s), m) for s, m in zip(sizes, means, strict=True)]
            found.append(rank_correlation(sign * np.array(at), np.arange(len(at), dtype=float)))
        return average(np.array(found))

    found = of_few_values(curves, trend, (-1, 1))
    return bound(found, least, "atleast") if rising else inside(found, -least, least)


def by_weights(table: Columns, column: str, field: str, value: Any) -> tuple[Curve, NDArray]:
    """A curve of one network size, and the number of weights at each of its levels."""
    part = networks(table).where(**{field: value})
    if not len(part):
        raise Lacking(f"{field} = {value} is not measured")
    refuse_cut_off(part, column, UNPRUNED)
    c = curve(part, column)
    if not np.isfinite(mean(c.values)[c.depths > 0]).any():
        raise Lacking(f"no pruned network of {field} = {value} has a value of {column}")
    return c, at_depths(part, "density", c.depths) * weight_count(part["arch"][0], part["dataset"][0])


def place(values: NDArray, weights: NDArray, depths: NDArray, column: str, what: str, margin: float) -> float:
    """Number of weights where a mean curve is "best" or where it is "last" as good as the unpruned network."""
    if not np.isfinite(values).any():
        return NAN
    if what == "best":
        return float(weights[np.nanargmin(values) if better_low(column) else np.nanargmax(values)])
    last = last_good(values, depths, column, margin)
    return float(np.exp(np.interp(last, depths, np.log(weights)))) if np.isfinite(last) else NAN


def _printed_range(arguments: Arguments) -> float:
    """The geometric middle of the printed numbers of weights."""
    return float(np.sqrt(np.prod(arguments["between"])))


def _located(curves: Sequence[Curve], log_place: Callable[..., float], what: str) -> Estimate:
    """Where the "best" or the "last" good level is, or the ratio of two such places, from its logarithm."""
    if what != "best":
        return crossing(curves, log_place, TIMES)
    found = placed(curves, log_place)
    effect, low, high = (float(np.exp(x)) for x in (found.effect, found.low, found.high))
    return Estimate(effect, low, high, found.n)


@claim_test(unit="weights", prints=_printed_range)
def weights_where(
    table: Columns, *, column: str, what: str, between: Sequence[float], field: str = "arch",
    values: Sequence[Any] = ("lenet-300-100",), factor: float = 1.5, margin: float = 0.0015,
) -> Result:  # fmt: skip
    """Number of weights at the best level or the last good one, of each of several sizes: in the printed range, up to
    `factor`. The effect is their geometric mean."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in values], strict=True)
    depths = [c.depths for c in curves]
    found = []
    for c, s, d in zip(curves, sizes, depths, strict=True):
        if what == "last":
            ended(last_good(mean(c.values), d, column, margin), d)

        def where(v: NDArray, s: NDArray = s, d: NDArray = d) -> float:
            return float(np.log(place(v, s, d, column, what, margin)))

        found.append(_located([c], where, what))
    parts = [inside(e, between[0] / factor, between[1] * factor) for e in found]
    note = f"weights: {', '.join(f'{e.effect:,.0f}' for e in found)}"
    whole = every(parts, note)
    if len(parts) == 1:
        return whole
    return replace(
        whole, effect=float(np.exp(np.log([e.effect for e in found]).mean())), low=NAN, high=NAN, trials=()
    )  # fmt: skip


@claim_test(unit="×")
def grows(
    table: Columns, *, column: str, what: str, values: Sequence[Any], field: str = "arch",
    margin: float = 0.0015, limit: float = np.inf,
) -> Result:  # fmt: skip
    """By what factor the number of weights at the best (or last good) level grows from the smallest to the largest
    network: more than 1; with a `limit`, by no more than this factor either way."""
    curves, sizes = zip(*[by_weights(table, column, field, v) for v in (values[0], values[-1])], strict=True)
    depths = [c.depths for c in curves]

    def factor(*means: NDArray) -> float:
        first, last = (place(m, s, d, column, what, margin) for m, s, d in zip(means, sizes, depths, strict=True))
        return float(np.log(last / first))

    if what == "last":
        for c, d in zip(curves, depths, strict=True):
            ended(last_good(mean(c.values), d, column, margin), d)
    found = _located(curves, factor, what)
    return inside(found, 1 / limit, limit) if np.isfinite(limit) else ordering(found, 1.0)


# All tests on a table of networks, by name.
NETWORKS: dict[str, Test] = tests_in(comparisons, curves, bounds, sys.modules[__name__])
