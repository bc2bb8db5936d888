"""The most multiply-adds in float32 that vectors of this machine can do: a loop of registers alone, and all cores."""

from __future__ import annotations

import numpy as np

from lth_core.engines.convolutional.vectors import WIDE
from lth_core.engines.sparse.simd import fma, kernel, load, store, zero

CHAINS, ROUNDS = 3, 100_000  # sums that do not wait for each other; loops of a call
FLOPS = 2 * 2 * CHAINS * WIDE * ROUNDS  # of a call


@kernel
def _multiply_add(x, rounds):
    a = b = c = load(zero(WIDE), x, 0)
    w, v = np.float32(1.0), load(zero(WIDE), x, WIDE)
    for _ in range(rounds):
        a, b, c = fma(w, v, a), fma(w, v, b), fma(w, v, c)
        a, b, c = fma(w, a, v), fma(w, b, v), fma(w, c, v)
    store(a, x, 0)
    store(b, x, WIDE)
    store(c, x, 2 * WIDE)


def work(call: int) -> float:
    """GFLOP of a call."""
    _multiply_add(np.zeros(3 * WIDE, np.float32), ROUNDS)
    return FLOPS / 1e9
