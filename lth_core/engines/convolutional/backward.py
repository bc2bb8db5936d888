"""Gradients of convolutions: one walk through the lists gives those of the inputs and of the weights.

Rows of the gradient of the outputs are packed with their margins, through batch normalisation on the way. For a tile
of input pixels, each living weight loads the gradients that it meets once: times the weight they add to the tile's
gradient, times the tile to the weight's own four sums.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional.vectors import (
    IMAGES,
    NARROW,
    NORMED,
    SUMS,
    TILE,
    WIDE,
    ask_to_read,
    ask_to_write,
    clear,
    folded,
    folded_product,
    fourfold,
    inlined,
    load_apart,
    move,
    number,
    store_apart,
    where_active,
)
from lth_core.engines.sparse.simd import add, fma, kernel, load, multiply, positive, spread, store, zero


class Outputs(NamedTuple):
    """Gradient `d` of what normalisation made of a convolution's outputs `z`: that of z is
    `d times + z over + plus`, channel by channel. A merged projection's outputs have theirs in `far`."""

    normed: bool  # else the gradient of z is d
    own: int  # channels with their gradient in `d`
    d: NDArray[np.float32]  # [group][y][channel of own][x][image]
    far: NDArray[np.float32]  # [group][y][channel of the projection][x][image]
    z: NDArray[np.float32]
    times: NDArray[np.float32]  # (channel,)
    over: NDArray[np.float32]
    plus: NDArray[np.float32]


class Inputs(NamedTuple):
    """A convolution's inputs, and where their gradient goes.

    - `x`: the inputs (RAW), or what relu(x scale + shift) makes them of (NORMED)
    - `identity`: `d` holds the gradient that a shortcut brings, and keeps the sum
    - `sums`: how many sums an input channel gets: of d; of d times the normed outputs that the inputs were made of,
      z mul + sub; of d times those of a projection, `other` mul + sub
    """

    wanted: bool  # else only the weights' gradient is made
    kind: int
    x: NDArray[np.float32]
    x_channels: int
    scale: NDArray[np.float32]
    shift: NDArray[np.float32]
    identity: bool
    sums: int
    z: NDArray[np.float32]
    z_channels: int
    mul: NDArray[np.float32]
    sub: NDArray[np.float32]
    other: NDArray[np.float32]
    other_channels: int
    other_first: int
    other_mul: NDArray[np.float32]
    other_sub: NDArray[np.float32]


@inlined
def _pack_row(outputs, channels, side, row, there, scratch, to):
    """A row of the gradient of z into `scratch` `[channel][x + 2][image]`; 0 for images that are not there."""
    z16 = zero(16)
    pitch = (side + 2) * IMAGES
    live = load(z16, there, 0)
    for o in range(channels):
        line = to + o * pitch
        store(z16, scratch, line)
        store(z16, scratch, line + pitch - IMAGES)
        line += IMAGES
        if o < outputs.own:
            d, begin = outputs.d, (row * outputs.own + o) * side * IMAGES
        else:
            d, begin = outputs.far, (row * (channels - outputs.own) + o - outputs.own) * side * IMAGES
        if outputs.normed:
            times = spread(z16, outputs.times[o])
            over, plus = spread(z16, outputs.over[o]), spread(z16, outputs.plus[o])
            at = (row * channels + o) * side * IMAGES
            for x in range(0, side * IMAGES, IMAGES):
                a = fma(load(z16, outputs.z, at + x), over, plus)
                store(multiply(live, fma(load(z16, d, begin + x), times, a)), scratch, line + x)
        else:
            for x in range(0, side * IMAGES, IMAGES):
                store(load(z16, d, begin + x), scratch, line + x)


@inlined
def _finish(like, inputs, c, c_sums, a, x, row_z, row_other, at, step, lanes):
    """The tile's gradient behind the rectifier, added to the sums of its channel; `at` within a channel's row."""
    none = zero(16)
    a = where_active(x, a)
    if inputs.sums > 0:
        store(folded(a, load(none, lanes, c_sums)), lanes, c_sums)
    if inputs.sums > 1:
        mul, sub = spread(like, inputs.mul[c]), spread(like, inputs.sub[c])
        normed = fma(load_apart(like, inputs.z, row_z + at, step), mul, sub)
        store(folded_product(a, normed, load(none, lanes, c_sums + IMAGES)), lanes, c_sums + IMAGES)
    if inputs.sums > 2:
        mul, sub = spread(like, inputs.other_mul[c]), spread(like, inputs.other_sub[c])
        normed = fma(load_apart(like, inputs.other, row_other + at, step), mul, sub)
        store(folded_product(a, normed, load(none, lanes, c_sums + 2 * IMAGES)), lanes, c_sums + 2 * IMAGES)
    return a


@inlined
def _tiles(like, width, conv, outputs, first, inputs, scratch, rows, row0, d, weight_lanes, lanes):
    """Gradients of the inputs that `rows` packed rows reach; `row0`: first row of inputs among all groups'.

    Meanwhile the caches are asked for what the next strip packs, from row `first` of outputs on, and the next tile."""
    none, four = zero(16), zero(SUMS)
    side, stride = conv.side // conv.stride, conv.stride
    parities = stride * stride
    down = conv.outputs * (side + 2) * IMAGES
    line = conv.side * IMAGES  # a channel's row of inputs
    step = stride * IMAGES
    ahead = first * side * IMAGES
    ahead_d, ahead_z = ahead * outputs.own, ahead * conv.outputs
    for y in range(0, rows, 2):
        for x in range(0, side, width):
            base = y * down + x * IMAGES
            for block in range(conv.back_blocks):
                last = block == conv.back_blocks - 1
                for parity in range(parities):
                    upper = row0 + stride * y + parity // stride
                    lower = upper + stride
                    at = (stride * x + parity % stride) * IMAGES
                    for c in range(conv.inputs):
                        p = load_apart(like, inputs.x, (upper * inputs.x_channels + c) * line + at, step)
                        q = load_apart(like, inputs.x, (lower * inputs.x_channels + c) * line + at, step)
                        if inputs.kind == NORMED:
                            scale, shift = spread(like, inputs.scale[c]), spread(like, inputs.shift[c])
                            p, q = positive(fma(p, scale, shift)), positive(fma(q, scale, shift))
                        beside = (stride * (x + width) + parity % stride * width) * IMAGES
                        if block == 0:
                            ask_to_read(like, outputs.d, ahead_d)
                            ahead_d += width * IMAGES
                            if outputs.own == conv.outputs:
                                ask_to_read(like, outputs.d, ahead_d)
                                ahead_d += width * IMAGES
                            if outputs.normed:
                                ask_to_read(like, outputs.z, ahead_z)
                                ask_to_read(like, outputs.z, ahead_z + width * IMAGES)
                                ahead_z += 2 * width * IMAGES
                            ask_to_read(like, inputs.x, (upper * inputs.x_channels + c) * line + beside)
                            ask_to_read(like, inputs.x, (lower * inputs.x_channels + c) * line + beside)
                        i = (block * parities + parity) * conv.inputs + c
                        begin, end = number(conv.back_begin, i), number(conv.back_begin, i + 1)
                        if not inputs.wanted:
                            for t in range(begin, end):
                                place = base + np.int64(number(conv.back_offset, t))
                                s = folded_product(p, load(like, scratch, place), none)
                                s = folded_product(q, load(like, scratch, place + down), s)
                                store(add(fourfold(s), load(four, weight_lanes, t * SUMS)), weight_lanes, t * SUMS)
                            continue
                        to, below = (upper * conv.inputs + c) * line + at, (lower * conv.inputs + c) * line + at
                        if block == 0:
                            ask_to_write(like, d, (upper * conv.inputs + c) * line + beside)
                            ask_to_write(like, d, (lower * conv.inputs + c) * line + beside)
                            if inputs.sums > 1 and inputs.kind != NORMED:
                                ask_to_read(like, inputs.z, (upper * inputs.z_channels + c) * line + beside)
                                ask_to_read(like, inputs.z, (lower * inputs.z_channels + c) * line + beside)
                        a, b = like, like
                        if block or inputs.identity:
                            a, b = load_apart(like, d, to, step), load_apart(like, d, below, step)
                        for t in range(begin, end):
                            place = base + np.int64(number(conv.back_offset, t))
                            w = number(conv.back_w, t)
                            u, v = load(like, scratch, place), load(like, scratch, place + down)
                            s = folded_product(q, v, folded_product(p, u, none))  # rounds less than adding each pixel
                            a, b = fma(w, u, a), fma(w, v, b)
                            store(add(fourfold(s), load(four, weight_lanes, t * SUMS)), weight_lanes, t * SUMS)
                        if last:
                            rows_z = inputs.z_channels * line
                            rows_other = inputs.other_channels * line
                            z_at, other_at = c * line, (inputs.other_first + c) * line
                            a = _finish(
                                like, inputs, c, 3 * c * IMAGES, a, p,
                                upper * rows_z + z_at, upper * rows_other + other_at, at, step, lanes,
                            )  # fmt: skip
                            b = _finish(
                                like, inputs, c, 3 * c * IMAGES, b, q,
                                lower * rows_z + z_at, lower * rows_other + other_at, at, step, lanes,
                            )  # fmt: skip
                        store_apart(a, d, to, step)
                        store_apart(b, d, below, step)


@inlined
def _gradients(like, width, conv, outputs, inputs, images, scratch, d, weight_lanes, lanes, there, sums, gradient):
    side = conv.side // conv.stride
    row = conv.outputs * (side + 2) * IMAGES
    clear(weight_lanes, 0, (gradient.size * SUMS + IMAGES - 1) // IMAGES * IMAGES)
    for i in range(sums.size):
        sums[i] = 0
    for g in range((images + IMAGES - 1) // IMAGES):
        here = min(IMAGES, images - g * IMAGES)
        for i in range(IMAGES):
            there[i] = np.float32(i < here)
        clear(lanes, 0, 3 * conv.inputs * IMAGES)
        for first in range(0, side, conv.back_strip):
            rows = min(conv.back_strip, side - first)
            if first == 0:
                clear(scratch, 0, row)
            else:
                move(scratch, conv.back_strip * row, 0, 2 * row)
            for r in range(1 if first == 0 else 2, rows + 2):
                y = first + r - 1
                if y < side:
                    _pack_row(outputs, conv.outputs, side, g * side + y, there, scratch, r * row)
                else:
                    clear(scratch, r * row, row)
            row0 = g * conv.side + first * conv.stride
            ahead = g * side + first + conv.back_strip + 1
            _tiles(like, width, conv, outputs, ahead, inputs, scratch, rows, row0, d, weight_lanes, lanes)
        if inputs.wanted:
            for i in range(3 * conv.inputs):
                for image in range(here):
                    sums[i] += np.float64(lanes[i * IMAGES + image])
    for t in range(gradient.size):
        s = 0.0
        for part in range(SUMS):
            s += np.float64(weight_lanes[t * SUMS + part])
        gradient[t] = s


@kernel
def gradients(conv, outputs, inputs, images, scratch, d, weight_lanes, lanes, there, sums, gradient):
    """Gradients of a convolution's inputs, `d`, and of its living weights, `gradient` `(entry,)` in backward order.

    - `weight_lanes`: `(entry * 4,)` work space; `lanes`: `(input * 3 * 16,)`; `there`: `(16,)`
    - `sums`: `(input * 3,)` float64, see `Inputs`
    """
    _gradients(
        zero(WIDE), TILE, conv, outputs, inputs, images, scratch, d, weight_lanes, lanes, there, sums, gradient
    )  # fmt: skip


@kernel
def gradients_narrow(conv, outputs, inputs, images, scratch, d, weight_lanes, lanes, there, sums, gradient):
    """The same for maps of outputs 2 pixels wide."""
    _gradients(
        zero(NARROW), 2, conv, outputs, inputs, images, scratch, d, weight_lanes, lanes, there, sums, gradient
    )  # fmt: skip
