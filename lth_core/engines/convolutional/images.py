"""Batches of images side by side, mirrored and cut as the dense engine does it, from the same keyed draws."""

from __future__ import annotations

import numpy as np

from lth_core.engines.convolutional.vectors import IMAGES
from lth_core.engines.sparse.simd import kernel

MARGIN = 4  # pixels that a cut may move: `dense.images.flipped_and_cropped`


@kernel
def draw(key, iteration, out):
    """`dense.images.keyed_uniform` of one network: integers in [0, 2^24) that depend on key and iteration alone."""
    start = np.uint64(key) + np.uint64(iteration) * np.uint64(1442695040888963407)
    for i in range(out.size):
        z = np.uint64(i) * np.uint64(11400714819323198485) + start
        z = (z ^ (z >> np.uint64(30))) * np.uint64(13787848793156543929)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(10723151780598845931)
        out[i] = np.int64((z ^ (z >> np.uint64(31))) & np.uint64(0xFFFFFF))


@kernel
def lay(pixels, index, value, draws, channels, side, x):
    """Images `index` of `pixels` `(image, channel * side * side)` uint8 as `x` `[group][y][channel][x][image]`.

    `value` `(256,)` float32: the input that a pixel becomes; `draws` `(image * 3,)`: mirror, shift down, shift right,
    or none. The last image fills the last group."""
    last, area = index.size - 1, side * side
    for g in range((index.size + IMAGES - 1) // IMAGES):
        for lane in range(IMAGES):
            i = min(g * IMAGES + lane, last)
            image, start, step, down = np.int64(index[i]), 0, 1, 0
            if draws.size:
                start, down = draws[3 * i + 2] % (2 * MARGIN + 1) - MARGIN, draws[3 * i + 1] % (2 * MARGIN + 1) - MARGIN
                if draws[3 * i] % 2 == 1:
                    start, step = start + side - 1, -1
            for y in range(side):
                at = y + down
                for c in range(channels):
                    to = ((g * side + y) * channels + c) * side * IMAGES + lane
                    line = c * area + at * side
                    for to_x in range(side):
                        from_x = start + step * to_x
                        inside = 0 <= at < side and 0 <= from_x < side
                        pixel = pixels[image, line + from_x] if inside else np.uint8(0)
                        x[to + to_x * IMAGES] = value[pixel]
