"""What trained XOR networks answer, as a table, and how well each criterion ranks their units (v1 section 2)."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.experiments.xor_counts import CLUSTERS
from lth_companion.experiments.xor_nets import CLASSES, POINTS, Weights, logits, score
from lth_core.levels import rank_correlation


def outcome(weights: Weights) -> pd.DataFrame:
    """One row a network: trial, loss (mean cross-entropy), margin (of the worst point, in logits; below 0 = wrong),
    cluster (which of `CLUSTERS` is nearest)."""
    margins = np.where(CLASSES[:, None] == 1, 1, -1) * logits(weights)
    loss = np.logaddexp(0, -margins).mean(0)
    cluster = np.abs(loss[:, None] - CLUSTERS).argmin(1)
    trial = np.arange(len(loss))
    return pd.DataFrame({"trial": trial, "loss": loss, "margin": margins.min(0), "cluster": cluster})


def agreement(weights: Weights) -> dict[str, NDArray[np.float64]]:
    """How well each criterion ranks the units of trained networks by what they add to the output: rank correlation of
    scores with a unit's mean |contribution| on the four points, `(network,)` by criterion."""
    unit = weights[:-1].reshape(-1, 4, weights.shape[1]).astype(float)
    active = np.maximum(np.einsum("pd,hdn->phn", POINTS, unit[:, :2]) + unit[:, 2], 0)
    adds = np.abs(active * unit[:, 3]).mean(0)
    scores = {c: score(weights, c) for c in ("product", "input", "output")}
    each = range(weights.shape[1])
    return {c: np.array([rank_correlation(s[:, i], adds[:, i]) for i in each]) for c, s in scores.items()}
