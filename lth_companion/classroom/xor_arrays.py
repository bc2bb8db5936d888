"""XOR networks for exercise 1, trained in numpy alone: what `lth_companion.experiments.xor` compiles, in another order
of sums. Many networks are one array `(parameter, network)`, as `lth_companion.experiments.xor_nets` says."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lth_companion.experiments import xor_nets
from lth_companion.experiments.xor_counts import ZERO_LOSS, difference
from lth_companion.experiments.xor_nets import CLASSES, Units, Weights, initial, logits, subnet

__all__ = ["ZERO_LOSS", "difference", "initial", "loss", "subnet", "survivors", "train", "units"]

SIDE_BY_SIDE = 2_500  # units in one block: their numbers stay in the processor's cache


def train(weights: Weights, iterations: int = 10_000, lr: float = 1.0) -> Weights:
    """`weights` `(parameter, network)` after full-batch gradient descent on the mean cross-entropy of four points."""
    side = max(1, SIDE_BY_SIDE // (len(weights) // 4))
    blocks = np.split(np.asarray(weights, np.float32), range(side, weights.shape[1], side), axis=1)
    return np.concatenate([_descend(block, iterations, np.float32(lr / 4)) for block in blocks], axis=1)


def _descend(weights: Weights, iterations: int, step: np.float32) -> Weights:
    n = weights.shape[1]
    x, y, b, v = (part.copy() for part in weights[:-1].reshape(-1, 4, n).swapaxes(0, 1))  # (unit, network) each
    shift = weights[-1].copy()
    wanted = np.array(CLASSES, np.float32)[:, None]
    inside = np.empty((4, *x.shape), np.float32)  # of each point in the order of POINTS
    back, product = np.empty_like(inside), np.empty_like(inside)
    for _ in range(iterations):
        inside[0] = b
        np.add(b, y, out=inside[1])
        np.add(b, x, out=inside[2])
        np.add(inside[2], y, out=inside[3])
        np.maximum(inside, 0, out=inside)
        np.multiply(inside, v, out=product)
        logit = product.sum(1) + shift
        error = (1 / (1 + np.exp(-logit)) - wanted) * step  # step times the gradient with respect to each logit
        np.multiply(inside, error[:, None], out=product)
        np.multiply(inside > 0, error[:, None], out=back)
        back *= v
        v -= product.sum(0)
        both = back[1] + back[2] + back[3]
        x -= back[2] + back[3]
        y -= back[1] + back[3]
        b -= back[0] + both
        shift -= error.sum(0)
    return np.concatenate([np.stack([x, y, b, v], 1).reshape(-1, n), shift[None]])


def loss(weights: Weights) -> NDArray[np.float64]:
    """Mean cross-entropy of the four points, one number a network; below `ZERO_LOSS` all four are told apart."""
    margins = np.where(CLASSES[:, None] == 1, 1, -1) * logits(weights)
    return np.logaddexp(0, -margins).mean(0)


def units(weights: Weights) -> list[list[list[float]]]:
    """Of each network its units, four numbers each."""
    return weights[:-1].reshape(-1, 4, weights.shape[1]).transpose(2, 0, 1).tolist()


def survivors(scores: Sequence[Sequence[float]], keep: int) -> Units:
    """The `keep` highest-scoring units of each network; `scores`: of each network a number a unit."""
    return xor_nets.survivors(np.asarray(scores, float).T, keep)
