"""Lists of a convolution's living weights, in the order of the forward and of the backward walk."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional.vectors import IMAGES, TILE

CACHE = 24 * 1024  # bytes of a tile's packed pixels that should stay in the first cache (32 KB, 48 on newer machines)
SHORTEST = 6  # weights of an average list, below which blocks cost more than they save
STRIP = 320 * 1024  # bytes of packed rows that should stay in the second cache


@dataclass(frozen=True)
class Lists:
    """Where the living weights of a `(output, input, 3, 3)` array stand in both orders.

    - `begin`, `offset`: as in `forward.Convolution`
    - `place`: `(entry,)` position in the flat array of the entry, in backward order
    - `refresh`: `(entry,)` for each entry in forward order, its place in backward order
    """

    blocks: int
    begin: NDArray[np.int64]
    offset: NDArray[np.int32]
    back_blocks: int
    back_begin: NDArray[np.int64]
    back_offset: NDArray[np.int32]
    place: NDArray[np.int64]
    refresh: NDArray[np.int64]


def lists(kept: NDArray[np.bool_], side: int, stride: int) -> Lists:
    """The lists of the weights `kept` `(output, input, 3, 3)` of a convolution of maps `side` pixels wide."""
    outputs, inputs = kept.shape[:2]
    o, c, ky, kx = np.nonzero(kept)
    across = (kx * IMAGES) if stride == 1 else (kx % 2 * (side + 2) // 2 + kx // 2) * IMAGES
    offset = (ky * inputs + c) * (side + 2) * IMAGES + across
    blocks = _blocks(inputs, len(o) / outputs, stride + 3, min(TILE, side // stride) * stride + 3 - stride)
    of_block = c * blocks // inputs
    order = np.lexsort((offset, o, of_block))
    begin = _begin((of_block * outputs + o)[order], blocks * outputs)

    # stride 2: pixels of even position meet the middle of the kernel only, those of odd position its ends
    parity = np.zeros_like(o) if stride == 1 else (ky != 1) * 2 + (kx != 1)
    down, right = (2 - k if stride == 1 else np.where(k == 0, 2, 1) for k in (ky, kx))
    small = side // stride
    back_offset = (down * outputs + o) * (small + 2) * IMAGES + right * IMAGES
    parities = stride * stride
    back_blocks = _blocks(outputs, len(o) / (inputs * parities), 4, min(TILE, small) + 2)
    of_block = o * back_blocks // outputs
    at = (of_block * parities + parity) * inputs + c
    back_order = np.lexsort((back_offset, at))
    back_begin = _begin(at[back_order], back_blocks * parities * inputs)
    where = np.empty(len(o), np.int64)
    where[back_order] = np.arange(len(o))
    return Lists(
        blocks, begin, offset[order].astype(np.int32), back_blocks, back_begin,
        back_offset[back_order].astype(np.int32), np.flatnonzero(kept)[back_order], where[order],
    )  # fmt: skip


def _begin(sorted_keys: NDArray, count: int) -> NDArray[np.int64]:
    return np.searchsorted(sorted_keys, np.arange(count + 1)).astype(np.int64)


def _blocks(channels: int, average: float, rows: int, columns: int) -> int:
    """Number of blocks of channels: as many as the cache asks for, unless lists become too short."""
    asked = -(-channels * rows * columns * IMAGES * 4 // CACHE)
    return max(1, min(asked, int(average / SHORTEST), channels))


def strip(row_bytes: int, side: int, stride: int) -> int:
    """Rows of outputs to pack at once, an even number that divides `side`, if packed rows have `row_bytes` each."""
    rows = side
    while rows > 2 and rows % 4 == 0 and (rows * stride + 2) * row_bytes > STRIP:
        rows //= 2
    return rows
