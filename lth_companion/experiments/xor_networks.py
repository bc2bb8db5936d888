"""XOR networks as arrays: how they start, what they answer, and how their units are chosen (v1 section 2).

A network is 2-h-1: h ReLU units, one sigmoid output, biases everywhere. Many networks are one array
`(parameter, network)` of 4h + 1 rows: each unit's two input weights, bias and output weight; last, the output's bias.
Removing a unit and setting its four numbers to 0 are the same thing (such a unit never moves again), so a pruned
network is stored, and trained, with fewer rows. Nothing trains here: `xor` does.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.experiments.xor_counts import CLUSTERS, CRITERIA
from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.levels import rank_correlation

Weights = NDArray[np.float32]  # (parameter, network)
Units = NDArray[np.intp]  # (unit, network): which units of each network stay, in ascending order

POINTS = np.array([(0, 0), (0, 1), (1, 0), (1, 1)])
CLASSES = np.array([0, 1, 1, 0])


def initial(trials: int, hidden: int, seed: int = 0, purpose: str = "init", sd: float = 0.1) -> Weights:
    """Initial weights `(parameter, network)`: normal(0, sd) redrawn beyond 2 sd, biases 0 (v1 footnote 3).

    Network i is the same however many are asked for: it takes row i of each table of draws, and the n-th redraw
    of a value is always in the n-th table.
    """
    shape, attempt = (trials, 4 * hidden + 1), 0
    values = generator(seed, "xor", purpose, hidden, 0).standard_normal(shape)
    while (far := np.abs(values) > 2).any():
        attempt += 1
        values = np.where(far, generator(seed, "xor", purpose, hidden, attempt).standard_normal(shape), values)
    values[:, 2::4] = 0
    values[:, -1] = 0
    return np.ascontiguousarray(sd * values.T, np.float32)


def solution(n: float) -> Weights:
    """The paper's own two-unit solution (v1 footnote 2) as one network `(9, 1)`: exact for every n >= 1."""
    return np.array([[n, -n, 0, 1, -n, n, 0, 1, -n / 2]], np.float32).T


def logits(weights: Weights, points: NDArray = POINTS) -> NDArray[np.float64]:
    """Output before the sigmoid `(point, network)`, in float64."""
    unit = weights[:-1].reshape(-1, 4, weights.shape[1]).astype(float)
    inside = np.einsum("pd,hdn->phn", points, unit[:, :2]) + unit[:, 2]
    return np.einsum("phn,hn->pn", np.maximum(inside, 0), unit[:, 3]) + weights[-1]


def outcome(weights: Weights) -> pd.DataFrame:
    """One row a network: trial, loss (mean cross-entropy), margin (of the worst point, in logits; below 0 = wrong),
    cluster (which of `CLUSTERS` is nearest)."""
    margins = np.where(CLASSES[:, None] == 1, 1, -1) * logits(weights)
    loss = np.logaddexp(0, -margins).mean(0)
    cluster = np.abs(loss[:, None] - CLUSTERS).argmin(1)
    trial = np.arange(len(loss))
    return pd.DataFrame({"trial": trial, "loss": loss, "margin": margins.min(0), "cluster": cluster})


def score(weights: Weights, criterion: str, seed: int = 0) -> NDArray:
    """How much a unit is worth `(unit, network)`: mean |input weight|, |output weight|, their product (section 2.1;
    biases do not count), or a draw that depends on the network alone (our control)."""
    unit = weights[:-1].reshape(-1, 4, weights.shape[1])
    hidden, trials = len(unit), weights.shape[1]
    inputs, outputs = np.abs(unit[:, :2]).mean(1), np.abs(unit[:, 3])
    if criterion == "random":
        return generator(seed, "xor", "random pruning", hidden).random((trials, hidden)).T
    if criterion not in CRITERIA:
        raise UsageError(f"criterion = {criterion!r} does not exist; allowed: {', '.join(CRITERIA)}.")
    return {"input": inputs, "output": outputs, "product": inputs * outputs}[criterion]


def survivors(scores: NDArray, keep: int) -> Units:
    """The `keep` highest-scoring units of each network `(unit, network)`; equal scores fall in index order."""
    return np.sort(np.argsort(-scores, axis=0, kind="stable")[:keep], axis=0)


def subnet(weights: Weights, units: Units) -> Weights:
    """The networks reduced to `units`: with initial weights, that is the rewound ticket."""
    unit = weights[:-1].reshape(-1, 4, weights.shape[1])
    kept = np.take_along_axis(unit, units[:, None], axis=0)
    return np.concatenate([kept.reshape(-1, weights.shape[1]), weights[-1:]])


def agreement(weights: Weights) -> dict[str, NDArray[np.float64]]:
    """How well each criterion ranks the units of trained networks by what they add to the output: rank correlation of
    scores with a unit's mean |contribution| on the four points, `(network,)` by criterion."""
    unit = weights[:-1].reshape(-1, 4, weights.shape[1]).astype(float)
    active = np.maximum(np.einsum("pd,hdn->phn", POINTS, unit[:, :2]) + unit[:, 2], 0)
    adds = np.abs(active * unit[:, 3]).mean(0)
    scores = {c: score(weights, c) for c in ("product", "input", "output")}
    each = range(weights.shape[1])
    return {c: np.array([rank_correlation(s[:, i], adds[:, i]) for i in each]) for c, s in scores.items()}
