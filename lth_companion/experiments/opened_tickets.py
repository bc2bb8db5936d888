"""Inside a ticket: which initial weights survive, how far weights move, what each unit is connected to.

Plain functions on the arrays of one layer, weights and masks `(out, in)`; `opened` reads whole tickets.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lth_core import results
from lth_core.draws import generator
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.spec import Spec

UNIFORM = 5 / 9  # Sarle's coefficient of a uniform distribution: above it, two peaks are suspected


@dataclass(frozen=True)
class Opened:
    """A ticket with all that its row decides: initial weights before any mask (drawn anew, bit for bit), and masks."""

    spec: Spec
    initial: Parameters
    masks: Masks

    @property
    def names(self) -> list[str]:
        """Its weights' names, input to output."""
        return [layer.weight for layer in layers(self.spec.arch, self.spec.dataset)]

    def survivors(self, name: str) -> NDArray[np.float32]:
        """Initial values of the weights that a layer keeps."""
        return self.initial[name][self.masks[name]]


def scattered(ticket: Opened) -> Masks:
    """As many connections of each layer at random positions: what the ticket's masks are compared with."""
    made: Masks = {}
    for name, mask in ticket.masks.items():
        rng = generator(ticket.spec.seed, ticket.spec.trial, "scattered", ticket.spec.round, name)
        made[name] = rng.permutation(mask.ravel()).reshape(mask.shape)
    return made


def opened(specs: Iterable[Spec], source: results.Source) -> list[Opened]:
    """Tickets of these rows (arm "ticket", or round 0), from published or stored masks."""
    return [Opened(s, initial(s), results.masks(s, source)) for s in specs]


# --- Distributions of values -----------------------------------------------------------------------------------------


def sarle(values: NDArray) -> float:
    """Sarle's bimodality coefficient with its small-sample correction: (skewness² + 1) / kurtosis. 1/3 for a normal
    distribution, 5/9 for a uniform one, 1 for two points."""
    x = np.asarray(values, float).ravel()
    n = x.size
    if n < 4 or x.std() == 0:
        return float("nan")
    z = (x - x.mean()) / x.std()
    skew = (z**3).mean() * np.sqrt(n * (n - 1)) / (n - 2)
    excess = (n - 1) / ((n - 2) * (n - 3)) * ((n + 1) * ((z**4).mean() - 3) + 6)
    return float((skew**2 + 1) / (excess + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))))


def centre(values: NDArray, mask: NDArray[np.bool_]) -> float:
    """Survival of values within a quarter of a standard deviation of 0, over that at 1 to 1.5 of them: 1 where pruning
    does not look at their size, 0 where the middle of the histogram is empty."""
    w, m = np.abs(values).ravel(), mask.ravel()
    sd = values.std()
    outer = (w > sd) & (w < 1.5 * sd)
    return float(m[w < sd / 4].mean() / max(m[outer].mean(), 1e-9))


def dip(values: NDArray, sd: float) -> float:
    """Density of the values near 0 over that at their peaks: how many lie within a quarter of `sd` (the layer's, before
    pruning) of 0, over the most in any such pair of windows farther out. 1 for one peak at 0, 0 for an empty centre."""
    counts = np.histogram(np.abs(values) / sd, bins=np.arange(0, 4.25, 0.25))[0]
    return float(counts[0] / counts.max())


def distance(values: NDArray, mask: NDArray[np.bool_], order: NDArray[np.intp] | None = None) -> float:
    """Kolmogorov-Smirnov distance between the survivors' values and all of the layer's. `order`: of the layer's values
    from low to high, flat, where it is known."""
    order = np.argsort(values, axis=None) if order is None else order
    kept = np.cumsum(mask.ravel()[order]) / max(int(mask.sum()), 1)
    return float(np.abs(kept - np.arange(1, order.size + 1) / order.size).max())


def positive(values: NDArray) -> float:
    """Share of values above 0."""
    return float((values > 0).mean())


# --- Movement --------------------------------------------------------------------------------------------------------


def moved(before: NDArray, after: NDArray) -> NDArray:
    """How far each weight went: |after - before|."""
    return np.abs(after - before)


def outward(before: NDArray, after: NDArray) -> NDArray:
    """How far each weight went away from 0: |after| - |before|, negative towards 0."""
    return np.abs(after) - np.abs(before)


def lead(values: NDArray, mask: NDArray[np.bool_]) -> float:
    """Cohen's d: mean of `values` inside the mask less outside it, over the pooled standard deviation."""
    a, b = values[mask].astype(float), values[~mask].astype(float)
    pooled = np.sqrt(((a.size - 1) * a.var(ddof=1) + (b.size - 1) * b.var(ddof=1)) / (a.size + b.size - 2))
    return float((a.mean() - b.mean()) / pooled)


def excess(values: NDArray, mask: NDArray[np.bool_]) -> float:
    """Share of the largest `values`, as many as the mask keeps, that lie inside it, less what chance would give."""
    threshold = np.partition(values, -int(mask.sum()), axis=None)[-int(mask.sum())]
    top = values >= threshold
    return float(mask[top].mean() - mask.mean())


# --- Connections -----------------------------------------------------------------------------------------------------


def incoming(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of its incoming connections that each unit of the layer keeps, `(out,)`."""
    return np.asarray(mask.mean(axis=1), float)


def outgoing(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of their outgoing connections that the units before the layer keep, `(in,)`."""
    return np.asarray(mask.mean(axis=0), float)


def reached(masks: Masks, names: Sequence[str]) -> Masks:
    """Masks without the connections from which no path leads to an output (v1 section 5, footnote 7)."""
    trimmed = {n: m.copy() for n, m in masks.items()}
    for n, after in reversed(list(pairwise(names))):
        trimmed[n] &= np.asarray(trimmed[after].any(0))[:, None]
    return trimmed


def variation(c: NDArray) -> float:
    """Coefficient of variation: how unevenly connections are spread over units."""
    return float(c.std() / c.mean())


def beyond(c: NDArray, n: int) -> float:
    """Coefficient of variation of shares `c` beyond what chance gives: units with `n` possible connections each, kept
    at random, differ by (1 - p) / (p n) in its square. Negative where units are more alike than that."""
    p = c.mean()
    squared = variation(c) ** 2 - (1 - p) / (p * n)
    return float(np.sign(squared) * np.sqrt(abs(squared)))


def pixels(mask: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Share of outgoing connections that each pixel of a square image keeps, `(side, side)`."""
    share = outgoing(mask)
    side = int(np.sqrt(share.size))
    return share.reshape(side, side)
