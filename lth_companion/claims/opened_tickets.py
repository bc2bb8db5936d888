"""The ledger's tests that open tickets: which weights survive (masks), where training took them (trained weights of a
few networks), read off published chains. What the answers mean: `lth_core.judge.result`; the
statistics: `experiments.opened_tickets`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

import numpy as np
import scipy
from numpy.typing import NDArray

from lth_companion.experiments import opened_tickets as ex
from lth_core import models, results
from lth_core.judge.estimate import LEVEL, of_values
from lth_core.judge.result import Result, bound, claim_test, every, met, ordering
from lth_core.levels import Lacking, rank_correlation
from lth_core.models import Masks, Parameters
from lth_core.results import Source
from lth_core.spec import Spec

NAN = float("nan")
Read = Callable[[Masks, Parameters, Parameters], float]  # masks, initial weights, trained ones (none in `chains`)


@lru_cache(maxsize=32)
def _order(unpruned: Spec, layer: str) -> NDArray[np.intp]:
    """Where a layer's initial values stand from low to high: many rounds and claims ask for it."""
    return np.argsort(models.drawn(unpruned)[layer], axis=None)


@lru_cache(maxsize=64)
def _masks(source: Source, row: Spec) -> Masks:
    return results.masks(row, source)


@lru_cache(maxsize=32)
def _trained(source: Source, row: Spec) -> Parameters:
    return results.trained(row, source)


def opened(source: Source, rows: Sequence[Spec], round: int, **where: Any) -> list[Spec]:
    """Each trial's ticket at a round, or why there is none to open."""
    found = [r for r in rows if r.round == round and r.arm == "ticket" and r.search == "reset"]
    found = [r for r in found if all(getattr(r, k) == v for k, v in where.items())]
    if not found:
        raise Lacking(f"round {round} is not measured")
    if not all(source.has_masks(r) for r in found):
        raise Lacking("the masks of this chain are not published (`python -m lth_core publish --masks`)")
    return found


def chains(source: Source, rows: Sequence[Spec], round: int, read: Read, **where: Any) -> NDArray:
    """What `read` makes of each trial's ticket at a round: masks and initial weights."""
    found = opened(source, rows, round, **where)
    return np.array([read(_masks(source, r), models.drawn(r), {}) for r in found])


def connected(
    source: Source, rows: Sequence[Spec], round: int, read: Callable[[Masks], float], **where: Any
) -> NDArray:
    """The same of masks alone."""
    return np.array([read(_masks(source, r)) for r in opened(source, rows, round, **where)])


def paths(source: Source, rows: Sequence[Spec], round: int, read: Read, *, own: bool = False) -> NDArray:
    """The same with trained weights as third: of the unpruned network that the ticket comes from, or its `own`."""
    found = opened(source, rows, round)
    trained = [r if own else r.ticket(0) for r in found]
    if not all(source.has_trained(r) for r in trained):
        raise Lacking("the trained weights of this network are not published")
    pairs = zip(found, trained, strict=True)
    return np.array([read(_masks(source, r), models.drawn(r), _trained(source, t)) for r, t in pairs])


def positive(values: NDArray, note: str = "") -> Result:
    """The mean of the trials is above 0, and so is its interval."""
    return replace(ordering(of_values(values), note=note), trials=tuple(values))


@claim_test(needs="tickets", unit="")
def hollow(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int, below: float = 0.8) -> Result:
    """The initial values that survive have two peaks in all these layers: the shallowest of the layers' dips."""
    values = chains(source, rows, round, lambda m, w, _: max(ex.dip(w[n][m[n]], w[n].std()) for n in layers))
    return bound(of_values(values), below, "atmost", "density at 0 over its peak")


@claim_test(needs="tickets", unit="")
def hollow_trained(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int, below: float) -> Result:
    """The same of the values that the ticket's own weights have after training."""
    values = paths(
        source, rows, round, lambda m, w, t: max(ex.dip(t[n][m[n]], t[n][m[n]].std()) for n in layers), own=True
    )
    return bound(of_values(values), below, "atmost", "density at 0 over its peak")


@claim_test(needs="tickets", unit="")
def fuller(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int) -> Result:
    """The first layer's centre is fuller than the others': difference to the fullest of them."""
    values = chains(
        source, rows, round,
        lambda m, w, _: ex.centre(w[layers[0]], m[layers[0]]) - max(ex.centre(w[n], m[n]) for n in layers[1:]),
    )  # fmt: skip
    return positive(values, "difference of centre over flank")


@claim_test(needs="tickets", unit="")
def emptier(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], rounds: Sequence[int]) -> Result:
    """The centres empty with pruning: fall of the fullest layer's centre from the first to the last round."""
    first, last = (
        chains(source, rows, r, lambda m, w, _: max(ex.centre(w[layer], m[layer]) for layer in layers))
        for r in (rounds[0], rounds[-1])
    )
    return positive(first - last, "fall of centre over flank")


@claim_test(needs="tickets", unit="")
def keeps(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int, within: float) -> Result:
    """The surviving initial values keep their distribution: the largest of the layers' Kolmogorov-Smirnov distances."""

    def farthest(row: Spec) -> float:
        w, m, unpruned = models.drawn(row), _masks(source, row), row.at_round(0)
        return max(ex.distance(w[n], m[n], _order(unpruned, n)) for n in layers)

    values = np.array([farthest(row) for row in opened(source, rows, round)])
    return bound(of_values(values), within, "atmost", "Kolmogorov-Smirnov distance")


@claim_test(needs="tickets", unit="points")
def favours(source: Source, rows: Sequence[Spec], *, signs: dict[str, int], round: int, each: bool = False) -> Result:
    """Percent of surviving initial weights above 0, less 50, times the stated sign, in every layer. `each`: every
    single trial has the sign that all trials together have, by an exact binomial test of its own weights."""
    found = opened(source, rows, round)
    kept = [[models.drawn(r)[n][_masks(source, r)[n]] for n in signs] for r in found]
    above = np.array([[int((w > 0).sum()) for w in trial] for trial in kept])
    sizes = np.array([[w.size for w in trial] for trial in kept])
    points = 100 * above / sizes - 50
    if not each:
        return every(
            [positive(s * v, f"least of {', '.join(signs)}") for s, v in zip(signs.values(), points.T, strict=True)]
        )
    turned = np.sign(points.mean(0))
    parts = [
        mirrored(float(s * p), int(k if s > 0 else n - k), int(n))
        for trial in zip(points, above, sizes, strict=True) for s, p, k, n in zip(turned, *trial, strict=True)
    ]  # fmt: skip
    right = sum(p.effect > 0 for p in parts)
    note = f"{right} of {len(parts)} layers of single trials have the sign of all trials together"
    return replace(every(parts), n=len(found), note=note)


def mirrored(points: float, above: int, size: int) -> Result:
    """Whether more than half of a layer's weights lie on a side: an exact binomial test."""
    p_holds, p_fails = (
        float(scipy.stats.binomtest(above, size, alternative=side).pvalue) for side in ("greater", "less")
    )
    low, high = (100 * x - 50 for x in scipy.stats.binomtest(above, size).proportion_ci(LEVEL))
    word = "holds" if low > 0 else "fails" if high < 0 else "undecided"
    return Result(points, low, high, 1, word, p_holds=p_holds, p_fails=p_fails)  # type: ignore[arg-type]


@claim_test(needs="tickets", unit="sd")
def moves_more(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int) -> Result:
    """Training the unpruned network moves the weights of its later ticket further than the rest: Cohen's d within each
    network, the least of the layers."""
    values = paths(source, rows, round, lambda m, w, t: min(ex.lead(ex.moved(w[n], t[n]), m[n]) for n in layers))
    return positive(values, "least of the layers")


@claim_test(needs="tickets", unit="points")
def grow_more(source: Source, rows: Sequence[Spec], *, layers: Sequence[str], round: int) -> Result:
    """Weights of the later ticket more often end with a larger magnitude than they began: points above the rest."""

    def least(m: Masks, w: Parameters, t: Parameters) -> float:
        grown = {n: ex.outward(w[n], t[n]) > 0 for n in layers}
        return min(100 * float(grown[n][m[n]].mean() - grown[n][~m[n]].mean()) for n in layers)

    values = paths(source, rows, round, least)
    return positive(values, "least of the layers")


@lru_cache(maxsize=256)
def remembered(source: Source, row: Spec, layer: str) -> float:
    """Rank correlation of the weights' magnitudes before and after training an unpruned network."""
    before, after = models.drawn(row)[layer], _trained(source, row)[layer]
    return rank_correlation(np.abs(before).ravel(), np.abs(after).ravel())


def memories(source: Source, rows: Sequence[Spec], layers: Sequence[str]) -> NDArray:
    """`remembered` of each trial's unpruned network and layer, `(trial, layer)`."""
    found = opened(source, rows, 0)
    if not all(source.has_trained(r) for r in found):
        raise Lacking("the trained weights of this network are not published")
    return np.array([[remembered(source, r, n) for n in layers] for r in found])


@claim_test(needs="tickets", unit="rank correlation")
def remembers(source: Source, rows: Sequence[Spec], *, layers: Sequence[str]) -> Result:
    """Weights that begin small stay small: the least of the layers' rank correlations, unpruned network."""
    return positive(memories(source, rows, layers).min(1), "least of the layers")


@claim_test(needs="tickets", unit="rank correlation")
def remembers_more(source: Source, rows: Sequence[Spec], *, of: Sequence[str], to: Sequence[str]) -> Result:
    """That correlation is higher in each of some layers than in each of the others: the smallest difference."""
    values = memories(source, rows, of).min(1) - memories(source, rows, to).max(1)
    return positive(values, "difference of rank correlations")


@claim_test(needs="tickets", unit="")
def units(
    source: Source, rows: Sequence[Spec], *, layer: str, round: int, statistic: str, number: float,
    within: float = 0.0, limit: str = "both", axis: int = 1,
) -> Result:  # fmt: skip
    """Connections per unit of a layer: "dead" (fraction without any), "cv" (standard deviation over mean), "hub" (most
    connected unit over mean), "edge" (input pixels: middle half of rows and columns over the rest), "peaks" (histogram
    of ten bins: the lowest valley between two that hold 5 percent of the units each, over the lower; 1 for one
    peak)."""
    order, per_unit = ["fc1.weight", "fc2.weight", "out.weight"], ex.incoming if axis else ex.outgoing

    def read(m: Masks) -> float:
        c = per_unit(ex.reached(m, order)[layer])
        if statistic == "dead":
            return float((c == 0).mean())
        if statistic == "edge":
            side = int(np.sqrt(c.size))
            inside = np.zeros((side, side), bool)
            inside[side // 4 : -(side // 4), side // 4 : -(side // 4)] = True
            return float(c[inside.ravel()].mean() / c[~inside.ravel()].mean())
        if statistic == "peaks":
            h = np.histogram(c, 10)[0]
            tall = [(i, j) for i in range(10) for j in range(i + 2, 10) if min(h[i], h[j]) >= 0.05 * c.size]
            return min([1.0, *(h[i + 1 : j].min() / min(h[i], h[j]) for i, j in tall)])
        return float(ex.variation(c) if statistic == "cv" else c.max() / c.mean())

    return met(of_values(connected(source, rows, round, read)), number, within, limit)


@claim_test(needs="tickets", unit="")
def uneven(source: Source, rows: Sequence[Spec], *, layer: str, above: str, round: int) -> Result:
    """Outgoing connections of a layer's units vary more than its incoming ones: difference of coefficients of
    variation, each beyond chance. `above` is the next layer's weight, whose columns are the outgoing connections."""

    def read(m: Masks) -> float:
        out, into = m[above], m[layer]
        return ex.beyond(ex.outgoing(out), out.shape[0]) - ex.beyond(ex.incoming(into), into.shape[1])

    return positive(connected(source, rows, round, read), "beyond chance")


@claim_test(needs="tickets", unit="")
def steeper(source: Source, rows: Sequence[Spec], *, of: str, to: str, round: int) -> Result:
    """Incoming connections vary more between the units of one layer than of another."""

    def read(m: Masks) -> float:
        return ex.variation(ex.incoming(m[of])) - ex.variation(ex.incoming(m[to]))

    return positive(connected(source, rows, round, read))


@claim_test(needs="tickets", unit="")
def more_uneven(
    source: Source, rows: Sequence[Spec], *, layer: str, axis: int, round: int, of: dict[str, Any], to: dict[str, Any]
) -> Result:
    """Connections of a layer vary more in one kind of network than in another, trial by trial."""
    per_unit = ex.incoming if axis else ex.outgoing
    a, b = (connected(source, rows, round, lambda m: ex.variation(per_unit(m[layer])), **kind) for kind in (of, to))
    n = min(len(a), len(b))
    return positive(a[:n] - b[:n])
