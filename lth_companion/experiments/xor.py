"""XOR networks by the thousand: their training and the tables behind v1 section 2, Figures 1 and 2.

Networks are arrays as `xor_nets` describes them. Figure 1 is a table with one row a network, Figure 2 one with a
row a ticket; `xor_counts` counts successes in either. What the ledger judges is published (`xor_published`).
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pandas as pd
from numba import njit
from numpy.typing import NDArray

from lth_companion.experiments.xor_counts import (  # fmt: skip
    CLUSTERS,
    CRITERIA,
    HIDDEN,
    NETWORK,
    PRINTED,
    PRINTED_GIVEN_PARENT,
    PRINTED_TRIALS,
    RANDOM,
    TIE,
    ZERO_LOSS,
    difference,
    gain,
    judge,
    rates,
    wilson,
)
from lth_companion.experiments.xor_nets import (
    CLASSES,
    POINTS,
    Units,
    Weights,
    initial,
    logits,
    score,
    solution,
    subnet,
    survivors,
)
from lth_companion.experiments.xor_outcomes import agreement, outcome
from lth_core.errors import UsageError

__all__ = [
    "CLASSES", "CLUSTERS", "CRITERIA", "HIDDEN", "POINTS", "PRINTED", "PRINTED_GIVEN_PARENT", "PRINTED_TRIALS", "TIE",
    "ZERO_LOSS", "Units", "Weights", "agreement", "check", "difference", "figure1", "figure2", "gain", "initial",
    "judge", "logits", "networks", "outcome", "rates", "score", "solution", "subnet", "survivors", "train", "wilson",
]  # fmt: skip

LANES = 64  # networks trained side by side in one block: four 512-bit or eight 256-bit registers
ZERO, ONE = np.float32(0), np.float32(1)


@njit(nogil=True, error_model="numpy", cache=True)
def _wrong(t):
    """1 / (1 + exp(t)), the probability given to the wrong class at margin t. Cephes' polynomial instead of the
    library's exp, which LLVM cannot run in SIMD lanes."""
    t = min(max(t, np.float32(-80)), np.float32(80))
    n = (t * np.float32(1.44269504) + np.float32(12582912)) - np.float32(12582912)  # t / ln 2, rounded
    r = (t - n * np.float32(0.693359375)) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4) * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    power = np.int32((np.int32(n) + np.int32(127)) << np.int32(23)).view(np.float32)  # 2^n
    return ONE / (ONE + (p * r * r + r + ONE) * power)


@njit(nogil=True, error_model="numpy", cache=True)
def _descend(w, iterations, step):
    """Full-batch gradient descent in place on one block of `LANES` networks.

    `w` is flat: (4h + 1) rows of parameters and 4 rows of scratch, LANES numbers each. Offsets that are known
    when compiling, and selects instead of branches, are what lets LLVM keep every lane loop in SIMD registers.
    """
    L = LANES
    h = (w.size // L - 5) // 4
    bias, e = w[4 * h * L : (4 * h + 1) * L], w[(4 * h + 1) * L :]
    for _ in range(iterations):
        for i in range(L):
            e[i] = e[L + i] = e[2 * L + i] = e[3 * L + i] = bias[i]
        for j in range(h):  # logits of the four points
            u = w[4 * j * L : (4 * j + 4) * L]
            for i in range(L):
                x, y, b, v = u[i], u[L + i], u[2 * L + i], u[3 * L + i]
                e[i] += v * max(b, ZERO)
                e[L + i] += v * max(b + y, ZERO)
                e[2 * L + i] += v * max(b + x, ZERO)
                e[3 * L + i] += v * max(b + x + y, ZERO)
        for i in range(L):  # step times the gradient with respect to each logit
            e0, e1 = step * _wrong(-e[i]), -step * _wrong(e[L + i])
            e2, e3 = -step * _wrong(e[2 * L + i]), step * _wrong(-e[3 * L + i])
            e[i], e[L + i], e[2 * L + i], e[3 * L + i] = e0, e1, e2, e3
            bias[i] -= e0 + e1 + e2 + e3
        for j in range(h):
            u = w[4 * j * L : (4 * j + 4) * L]
            for i in range(L):
                x, y, b, v = u[i], u[L + i], u[2 * L + i], u[3 * L + i]
                z1, z2, z3 = b + y, b + x, b + x + y
                e0, e1, e2, e3 = e[i], e[L + i], e[2 * L + i], e[3 * L + i]
                e0 = e0 if b > ZERO else ZERO
                e1 = e1 if z1 > ZERO else ZERO
                e2 = e2 if z2 > ZERO else ZERO
                e3 = e3 if z3 > ZERO else ZERO
                u[3 * L + i] = v - (e0 * b + e1 * z1 + e2 * z2 + e3 * z3)
                u[i] = x - v * (e2 + e3)
                u[L + i] = y - v * (e1 + e3)
                u[2 * L + i] = b - v * (e0 + e1 + e2 + e3)


def check(trials: int, lr: float, iterations: int) -> None:
    """Refuse values that mean nothing here."""
    for name, value, least in (("trials", trials, 2), ("iterations", iterations, 1)):
        if not isinstance(value, int) or value < least:
            raise UsageError(f"{name} = {value!r} is not allowed: give a whole number of at least {least}.")
    if not isinstance(lr, int | float) or not 0 < lr < np.inf:
        raise UsageError(f"lr = {lr!r} is not allowed: give a positive number, such as 1.0.")


def train(weights: Weights, iterations: int = 10_000, lr: float = 1.0, threads: int | None = None) -> Weights:
    """`weights` `(parameter, network)` after full-batch gradient descent on the mean cross-entropy of the four points.

    float32. A network's result does not depend on its neighbours. The paper states neither optimizer nor rate:
    plain descent with `lr` from 0.02 to 1 gives its Figure 1 (the notebook shows how little `lr` matters).
    """
    rows, n = weights.shape
    blocks = -(-n // LANES)
    size = blocks * (rows + 4) * LANES
    memory = np.zeros(4 * size + 64, np.uint8)  # blocks on 64-byte borders: a third faster
    start = -memory.ctypes.data % 64
    block = memory[start : start + 4 * size].view(np.float32).reshape(blocks, rows + 4, LANES)
    padded = np.pad(np.asarray(weights, np.float32), ((0, 0), (0, blocks * LANES - n)))
    block[:, :rows] = padded.reshape(rows, blocks, LANES).swapaxes(0, 1)
    with ThreadPoolExecutor(threads or min(os.cpu_count() or 1, 8)) as pool:
        list(pool.map(lambda b: _descend(b.reshape(-1), iterations, np.float32(lr / 4)), block))
    return block[:, :rows].swapaxes(0, 1).reshape(rows, -1)[:, :n].copy()


def figure1(trials: int = 1000, seed: int = 0, lr: float = 1.0, iterations: int = 10_000) -> pd.DataFrame:
    """v1 Figure 1: random networks of each size. One row a network: strategy ("random networks"), hidden, trial, loss,
    margin, right, zero."""
    tables = [outcome(train(initial(trials, h, seed), iterations, lr)).assign(hidden=h) for h in HIDDEN]
    return judge(pd.concat(tables, ignore_index=True).assign(strategy=RANDOM))


def figure2(
    trials: int = 1000, seed: int = 0, lr: float = 1.0, iterations: int = 10_000, controls: bool = True
) -> pd.DataFrame:  # fmt: skip
    """v1 Figure 2, with two controls unless they are left out. One row a ticket: strategy, hidden (units left), trial,
    loss, margin, the parent's loss and margin, right, zero (parent and ticket both succeed).

    Every strategy starts from the same ten-unit networks (those of Figure 1), so strategies pair by trial.
    "iterative random" prunes blindly and rewinds; "reinit" trains a ticket's size with weights drawn again.
    """
    start = initial(trials, HIDDEN[0], seed)
    trained = train(start, iterations, lr)
    parent, rows = outcome(trained), []

    def record(strategy: str, weights: Weights) -> None:
        rows.append(outcome(weights).assign(strategy=strategy, hidden=len(weights) // 4))

    ranking = score(trained, "product")  # one-shot: one ranking serves both sizes
    record("one-shot product", trained)
    for keep in (4, 2):
        record("one-shot product", train(subnet(start, survivors(ranking, keep)), iterations, lr))
    for criterion in CRITERIA if controls else CRITERIA[:-1]:
        ticket, after = start, trained
        record(f"iterative {criterion}", after)
        for keep in HIDDEN[1:]:
            ticket = subnet(ticket, survivors(score(after, criterion, seed), keep))
            after = train(ticket, iterations, lr)
            record(f"iterative {criterion}", after)
    for keep in HIDDEN[1:] if controls else ():
        record("reinit", train(initial(trials, keep, seed, "reinit"), iterations, lr))
    table = pd.concat(rows, ignore_index=True)
    return judge(table.merge(parent.add_prefix("parent_").rename(columns={"parent_trial": "trial"}), on="trial"))


def networks(trials: int = 1000, seed: int = 0, lr: float = 1.0, iterations: int = 10_000) -> pd.DataFrame:
    """All networks that the ledger judges, each trained once: those of Figure 1, the tickets of Figure 2, and two-unit
    tickets of smaller parents. One row a network: strategy, parent (its units; 0 of random networks), hidden, trial,
    loss, margin, and of random ten-unit networks what `agreement` says of each criterion (else NaN)."""
    rows, start, after = [], {}, {}

    def record(strategy: str, parent: int, weights: Weights, **more: NDArray) -> None:
        about = dict(strategy=strategy, parent=parent, hidden=len(weights) // 4)
        rows.append(outcome(weights)[["trial", "loss", "margin"]].assign(**about, **more))

    for h in HIDDEN:
        start[h] = initial(trials, h, seed)
        after[h] = train(start[h], iterations, lr)
        record(RANDOM, 0, after[h], **(agreement(after[h]) if h == HIDDEN[0] else {}))
    for h, sizes in ((10, (4, 2)), (8, (2,)), (6, (2,)), (4, (2,))):
        ranking = score(after[h], "product")
        for keep in sizes:
            record("one-shot product", h, train(subnet(start[h], survivors(ranking, keep)), iterations, lr))
    for criterion in CRITERIA[:-1]:
        ticket, trained = start[HIDDEN[0]], after[HIDDEN[0]]
        for keep in HIDDEN[1:]:
            ticket = subnet(ticket, survivors(score(trained, criterion, seed), keep))
            trained = train(ticket, iterations, lr)
            record(f"iterative {criterion}", HIDDEN[0], trained)
    return pd.concat(rows, ignore_index=True)[NETWORK]
