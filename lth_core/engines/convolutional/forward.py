"""Convolutions forward: rows of inputs are packed with their margins, then tile by tile each output walks its list.

Whatever makes the inputs out of what earlier layers left (normalisation, rectifier, shortcut) happens while packing.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional.vectors import (
    ADDED,
    IMAGES,
    KEPT,
    NARROW,
    NORMED,
    PROJECTED,
    RAW,
    TILE,
    WIDE,
    ask_to_read,
    ask_to_write,
    clear,
    folded,
    folded_product,
    inlined,
    move,
    number,
)
from lth_core.engines.sparse.simd import add, fma, kernel, load, positive, spread, store, zero


class Convolution(NamedTuple):
    """Geometry of a 3x3 convolution, and lists of its living weights in two orders.

    A block is a range of input channels (forward) or outputs (backward) whose pixels of a tile fit the first cache."""

    inputs: int  # channels
    outputs: int  # channels, those of a merged projection behind the others
    side: int  # of the input maps
    stride: int
    blocks: int  # forward
    begin: NDArray[np.int64]  # (block * outputs + output,): where a list begins
    offset: NDArray[np.int32]  # (entry,): from a tile's first packed pixel to the one that the weight takes
    w: NDArray[np.float32]  # (entry,)
    back_blocks: int
    back_begin: NDArray[np.int64]  # ((block * parities + parity) * inputs + input,)
    back_offset: NDArray[np.int32]
    back_w: NDArray[np.float32]
    strip: int  # rows of outputs that are packed at once
    back_strip: int


class Source(NamedTuple):
    """Where a convolution's inputs come from, each `[group][y][channel][x][image]`.

    - RAW: `z` itself; NORMED: relu(z scale + shift); KEPT: the same, and written to `h` as well
    - ADDED: relu(z scale + shift + other), and to `h`
    - PROJECTED: relu(z scale + shift + other other_scale + other_shift), and to `h`
    """

    kind: int
    z: NDArray[np.float32]
    z_channels: int  # of the array; the inputs are the first ones
    scale: NDArray[np.float32]  # (channel,)
    shift: NDArray[np.float32]
    other: NDArray[np.float32]
    other_channels: int
    other_first: int  # channel where the shortcut begins
    other_scale: NDArray[np.float32]  # (channel of the shortcut,)
    other_shift: NDArray[np.float32]
    h: NDArray[np.float32]


@inlined
def pack_row(source, channels, side, row, stride, scratch, to):
    """Row `row` (of all groups' rows) into `scratch` `[channel][x + 2][image]`, 0 at both ends.

    For stride 2, pixels of even and of odd position lie apart: those that a tile needs are neighbours again."""
    z = zero(16)
    pitch = (side + 2) * IMAGES
    if stride == 1:
        odd, even, step = to + IMAGES, to + 2 * IMAGES, 2 * IMAGES
    else:
        odd, even, step = to + pitch // 2, to + IMAGES, IMAGES
    for c in range(channels):
        store(z, scratch, to + c * pitch)
        store(z, scratch, to + c * pitch + pitch - IMAGES)
        begin = (row * source.z_channels + c) * side * IMAGES
        p, q = odd + c * pitch, even + c * pitch
        if source.kind == RAW:
            for i in range(side // 2):
                at = begin + 2 * i * IMAGES
                store(load(z, source.z, at), scratch, p + i * step)
                store(load(z, source.z, at + IMAGES), scratch, q + i * step)
            continue
        scale, shift = spread(z, source.scale[c]), spread(z, source.shift[c])
        if source.kind == NORMED:
            for i in range(side // 2):
                at = begin + 2 * i * IMAGES
                store(positive(fma(load(z, source.z, at), scale, shift)), scratch, p + i * step)
                store(positive(fma(load(z, source.z, at + IMAGES), scale, shift)), scratch, q + i * step)
            continue
        kept = (row * channels + c) * side * IMAGES
        if source.kind == KEPT:
            for i in range(side // 2):
                at = 2 * i * IMAGES
                a = positive(fma(load(z, source.z, begin + at), scale, shift))
                b = positive(fma(load(z, source.z, begin + at + IMAGES), scale, shift))
                store(a, scratch, p + i * step)
                store(b, scratch, q + i * step)
                store(a, source.h, kept + at)
                store(b, source.h, kept + at + IMAGES)
            continue
        beside = (row * source.other_channels + source.other_first + c) * side * IMAGES
        if source.kind != PROJECTED:
            for i in range(side // 2):
                at = 2 * i * IMAGES
                a = fma(load(z, source.z, begin + at), scale, shift)
                b = fma(load(z, source.z, begin + at + IMAGES), scale, shift)
                a = positive(add(a, load(z, source.other, beside + at)))
                b = positive(add(b, load(z, source.other, beside + at + IMAGES)))
                store(a, scratch, p + i * step)
                store(b, scratch, q + i * step)
                store(a, source.h, kept + at)
                store(b, source.h, kept + at + IMAGES)
        else:
            gain, more = spread(z, source.other_scale[c]), spread(z, source.other_shift[c])
            for i in range(side // 2):
                at = 2 * i * IMAGES
                a = fma(load(z, source.z, begin + at), scale, shift)
                b = fma(load(z, source.z, begin + at + IMAGES), scale, shift)
                a = positive(add(a, fma(load(z, source.other, beside + at), gain, more)))
                b = positive(add(b, fma(load(z, source.other, beside + at + IMAGES), gain, more)))
                store(a, scratch, p + i * step)
                store(b, scratch, q + i * step)
                store(a, source.h, kept + at)
                store(b, source.h, kept + at + IMAGES)


@inlined
def _tiles(like, width, conv, source, ahead, scratch, rows, z, at, lanes, count):
    """Outputs of `rows` packed rows, to `z` from `at` on; `lanes` `(output, 2, image)`: sums, also of squares.

    Meanwhile the caches are asked for what the next strip packs, from `ahead` on: memory is the slower of the two."""
    none = zero(16)
    side = conv.side // conv.stride
    line = side * IMAGES  # a channel's row of outputs
    down = conv.stride * conv.inputs * (conv.side + 2) * IMAGES  # from a row of outputs' inputs to the next's
    for y in range(0, rows, 2):
        for x in range(0, side, width):
            base = y * down + x * IMAGES
            for block in range(conv.blocks):
                for o in range(conv.outputs):
                    to = at + (y * conv.outputs + o) * line + x * IMAGES
                    below = to + conv.outputs * line
                    p, q = like, like
                    if block:
                        p, q = load(like, z, to), load(like, z, below)
                    else:
                        ask_to_read(like, source.z, ahead)
                        ask_to_read(like, source.z, ahead + width * IMAGES)
                        if source.kind >= ADDED:
                            ask_to_read(like, source.other, ahead)
                            ask_to_read(like, source.other, ahead + width * IMAGES)
                        ahead += 2 * width * IMAGES
                        ask_to_write(like, z, to + width * IMAGES)
                        ask_to_write(like, z, below + width * IMAGES)
                    i = block * conv.outputs + o
                    for t in range(number(conv.begin, i), number(conv.begin, i + 1)):
                        w, place = number(conv.w, t), base + np.int64(number(conv.offset, t))
                        p = fma(w, load(like, scratch, place), p)
                        q = fma(w, load(like, scratch, place + down), q)
                    store(p, z, to)
                    store(q, z, below)
                    if count and block == conv.blocks - 1:
                        s = folded(p, folded(q, load(none, lanes, 2 * o * IMAGES)))
                        store(s, lanes, 2 * o * IMAGES)
                        s = folded_product(p, p, folded_product(q, q, load(none, lanes, (2 * o + 1) * IMAGES)))
                        store(s, lanes, (2 * o + 1) * IMAGES)


@inlined
def _convolve(like, width, conv, source, images, scratch, z, lanes, sums, count):
    row = conv.inputs * (conv.side + 2) * IMAGES
    side = conv.side // conv.stride
    groups = (images + IMAGES - 1) // IMAGES
    for i in range(sums.size):
        sums[i] = 0
    for g in range(groups):
        clear(lanes, 0, 2 * conv.outputs * IMAGES)
        for first in range(0, side, conv.strip):
            rows = min(conv.strip, side - first)
            packed = (rows - 1) * conv.stride + 3
            shared = 3 - conv.stride  # rows that two strips share
            if first == 0:
                clear(scratch, 0, row)
                have = 1
            else:
                move(scratch, conv.strip * conv.stride * row, 0, shared * row)
                have = shared
            for r in range(have, packed):
                y = first * conv.stride + r - 1
                if y < conv.side:
                    pack_row(source, conv.inputs, conv.side, g * conv.side + y, conv.stride, scratch, r * row)
                else:
                    clear(scratch, r * row, row)
            at = (g * side + first) * conv.outputs * side * IMAGES
            ahead = (g * conv.side + (first + conv.strip) * conv.stride + 1) * source.z_channels * conv.side * IMAGES
            _tiles(like, width, conv, source, ahead, scratch, rows, z, at, lanes, count)
        if count:
            there = min(IMAGES, images - g * IMAGES)
            for i in range(2 * conv.outputs):
                for image in range(there):
                    sums[i] += np.float64(lanes[i * IMAGES + image])


@kernel
def convolve(conv, source, images, scratch, z, lanes, sums, count):
    """`z` `[group][y][output][x][image]` of the first `images` images; with `count`, `sums` `(output * 2,)` float64
    are the sums of its numbers and of their squares.

    Sums run in float32 for an image's pixels and in float64 from there on."""
    _convolve(zero(WIDE), TILE, conv, source, images, scratch, z, lanes, sums, count)


@kernel
def convolve_narrow(conv, source, images, scratch, z, lanes, sums, count):
    """The same for maps of outputs 2 pixels wide."""
    _convolve(zero(NARROW), 2, conv, source, images, scratch, z, lanes, sums, count)
