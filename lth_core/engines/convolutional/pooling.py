"""Between convolutions and fully connected layers: pools, and maps as rows of units. Layouts as in `forward.Source`.

Units are `[block of 64 images][unit][image]`: what `kernels.loss_gradient` and `score` read.
"""

from __future__ import annotations

import numpy as np

from lth_core.engines.convolutional.vectors import (
    ADDED,
    IMAGES,
    PROJECTED,
    clear,
    folded,
    folded_product,
    inlined,
    larger,
    where_active,
    where_larger,
    where_not_larger,
)
from lth_core.engines.sparse.kernels import LANES
from lth_core.engines.sparse.simd import add, fma, kernel, load, multiply, positive, spread, store, zero

GROUPS = LANES // IMAGES  # groups in a block


@kernel
def activate(source, channels, side, images):
    """Write `source.h` where no convolution packs it."""
    z = zero(16)
    for row in range((images + IMAGES - 1) // IMAGES * side):
        for c in range(channels):
            scale, shift = spread(z, source.scale[c]), spread(z, source.shift[c])
            gain, more = spread(z, source.other_scale[c]), spread(z, source.other_shift[c])
            begin, kept = (row * source.z_channels + c) * side * IMAGES, (row * channels + c) * side * IMAGES
            beside = (row * source.other_channels + source.other_first + c) * side * IMAGES
            for x in range(0, side * IMAGES, IMAGES):
                a = fma(load(z, source.z, begin + x), scale, shift)
                if source.kind == ADDED:
                    a = add(a, load(z, source.other, beside + x))
                elif source.kind == PROJECTED:
                    a = add(a, fma(load(z, source.other, beside + x), gain, more))
                store(positive(a), source.h, kept + x)


@kernel
def pool(z, channels, side, images, scale, shift, h):
    """`h` = largest of each 2x2 of relu(z scale + shift)."""
    none, small = zero(16), side // 2
    for row in range((images + IMAGES - 1) // IMAGES * small):
        for c in range(channels):
            gain, more = spread(none, scale[c]), spread(none, shift[c])
            for x in range(small):
                at = ((2 * row * channels + c) * side + 2 * x) * IMAGES
                below = at + channels * side * IMAGES
                a = fma(load(none, z, at), gain, more)
                a = larger(fma(load(none, z, at + IMAGES), gain, more), a)
                a = larger(fma(load(none, z, below), gain, more), a)
                a = larger(fma(load(none, z, below + IMAGES), gain, more), a)
                store(positive(a), h, ((row * channels + c) * small + x) * IMAGES)


@inlined
def _reduce(lanes, sums, here):
    for i in range(sums.size):
        for image in range(here):
            sums[i] += np.float64(lanes[i * IMAGES + image])


@kernel
def unpool(d, z, channels, side, images, scale, shift, mul, sub, out, lanes, sums):
    """Gradient `out` of what `pool` rectified, from `d` of its outputs: the first of the largest gets it.

    `sums` `(channel * 3,)`: of the gradient, and of it times z mul + sub."""
    none, small = zero(16), side // 2
    for i in range(sums.size):
        sums[i] = 0
    for g in range((images + IMAGES - 1) // IMAGES):
        clear(lanes, 0, 3 * channels * IMAGES)
        for row in range(g * small, (g + 1) * small):
            for c in range(channels):
                gain, more = spread(none, scale[c]), spread(none, shift[c])
                norm, less = spread(none, mul[c]), spread(none, sub[c])
                s, t = load(none, lanes, 3 * c * IMAGES), load(none, lanes, (3 * c + 1) * IMAGES)
                for x in range(small):
                    at = ((2 * row * channels + c) * side + 2 * x) * IMAGES
                    below = at + channels * side * IMAGES
                    z0, z1 = load(none, z, at), load(none, z, at + IMAGES)
                    z2, z3 = load(none, z, below), load(none, z, below + IMAGES)
                    a0, a1, a2, a3 = fma(z0, gain, more), fma(z1, gain, more), fma(z2, gain, more), fma(z3, gain, more)
                    b1 = larger(a1, a0)
                    b2 = larger(a2, b1)
                    rest = load(none, d, ((row * channels + c) * small + x) * IMAGES)
                    d3, rest = where_larger(a3, b2, rest), where_not_larger(a3, b2, rest)
                    d2, rest = where_larger(a2, b1, rest), where_not_larger(a2, b1, rest)
                    d1, d0 = where_larger(a1, a0, rest), where_not_larger(a1, a0, rest)
                    store(d0, out, at)
                    store(d1, out, at + IMAGES)
                    store(d2, out, below)
                    store(d3, out, below + IMAGES)
                    s = add(s, add(add(d0, d1), add(d2, d3)))
                    t = fma(d0, fma(z0, norm, less), fma(d1, fma(z1, norm, less), t))
                    t = fma(d2, fma(z2, norm, less), fma(d3, fma(z3, norm, less), t))
                store(s, lanes, 3 * c * IMAGES)
                store(t, lanes, (3 * c + 1) * IMAGES)
        _reduce(lanes, sums, min(IMAGES, images - g * IMAGES))


@kernel
def to_units(h, channels, side, images, mean, units, first):
    """Maps as units, the first group's as the `first` one: with `mean` one a channel, else `(channel, y, x)` in this
    order."""
    z, area = zero(16), side * side
    count = channels if mean else channels * area
    share = spread(z, np.float32(1) / np.float32(area))
    for g in range((images + IMAGES - 1) // IMAGES):
        base = (first + g) // GROUPS * count * LANES + (first + g) % GROUPS * IMAGES
        for c in range(channels):
            s = z
            for y in range(side):
                at = ((g * side + y) * channels + c) * side * IMAGES
                for x in range(side):
                    a = load(z, h, at + x * IMAGES)
                    s = add(s, a)
                    if not mean:
                        store(a, units, base + ((c * side + y) * side + x) * LANES)
            if mean:
                store(multiply(s, share), units, base + c * LANES)


@kernel
def from_units(d_units, h, channels, side, images, mean, z, mul, sub, count, d, lanes, sums):
    """Gradient `d` behind the rectifier that made `h`, from that of units; `sums` as `backward.Inputs` has them."""
    none, area = zero(16), side * side
    units = channels if mean else channels * area
    share = spread(none, np.float32(1) / np.float32(area))
    for i in range(sums.size):
        sums[i] = 0
    for g in range((images + IMAGES - 1) // IMAGES):
        base = g // GROUPS * units * LANES + g % GROUPS * IMAGES
        clear(lanes, 0, 3 * channels * IMAGES)
        for c in range(channels):
            norm, less = spread(none, mul[c]), spread(none, sub[c])
            s = t = none
            for y in range(side):
                at = ((g * side + y) * channels + c) * side * IMAGES
                for x in range(side):
                    unit = c if mean else (c * side + y) * side + x
                    a = load(none, d_units, base + unit * LANES)
                    if mean:
                        a = multiply(a, share)
                    a = where_active(load(none, h, at + x * IMAGES), a)
                    store(a, d, at + x * IMAGES)
                    if count:
                        s = folded(a, s)
                        t = folded_product(a, fma(load(none, z, at + x * IMAGES), norm, less), t)
            store(s, lanes, 3 * c * IMAGES)
            store(t, lanes, (3 * c + 1) * IMAGES)
        _reduce(lanes, sums, min(IMAGES, images - g * IMAGES))
