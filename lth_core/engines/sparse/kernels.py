"""What both layouts of the sparse engine share: images side by side, softmax and loss. Compiled, float32, flat."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.sparse.simd import inlined, kernel, nonzero, power_of_two, prefetch
from lth_core.spec import Spec, learning_rates

LANES = 64  # images side by side
CLASSES = 10
ADAM, SGD, MOMENTUM = 0, 1, 2
# Added to a decaying moment and taken away again: what is far below it becomes 0, everything else stays as it is.
# Otherwise inputs that appear once in thousands of images leave denormal numbers, slow on many processors.
TINY = np.float32(1e-30)


class Images(NamedTuple):
    """Images as rows of bytes, padded to whole words of 8 pixels; an input is pixel * factor + shift."""

    words: NDArray[np.uint64]  # (image, pixel / 8)
    label: NDArray[np.uint8]  # (image,)
    factor: np.float32
    shift: np.float32


class Packed(NamedTuple):
    """Images to be evaluated again and again: in blocks of 64 side by side, and in fours as lists of pixels."""

    x: NDArray[np.uint8]  # (block, pixel * lane)
    live: NDArray[np.uint8]  # (block, pixel): whether any image of the block has the pixel
    begin: NDArray[np.int64]  # (four + 1,): where the list of four images begins
    pixel: NDArray[np.uint16]  # the pixels that any of the four has
    four: NDArray[np.uint8]  # (4 * pixel of a list,): their values
    label: NDArray[np.uint8]  # (image,)
    factor: np.float32
    shift: np.float32


class Rule(NamedTuple):
    """An optimizer: `kind`, L2 weight decay, and for each iteration the step size and Adam's 1 / sqrt(1 - beta2^t)."""

    kind: int
    decay: np.float32
    step: NDArray[np.float32]  # (iteration,)
    root: NDArray[np.float32]  # (iteration,)


def rule_of(spec: Spec) -> Rule:
    """The optimizer of a row. Adam's bias corrections are made in float64: in float32 they drift the weights by 1e-2 in
    50 steps."""
    rates, t = learning_rates(spec), np.arange(1, spec.iterations + 1)
    kind = {"adam": ADAM, "sgd": SGD, "momentum": MOMENTUM}[spec.optimizer]
    step = rates / (1 - 0.9**t) if kind == ADAM else rates
    root = 1 / np.sqrt(1 - 0.999**t)
    return Rule(kind, np.float32(spec.weight_decay), step.astype(np.float32), root.astype(np.float32))


def empty(n: int, dtype: Any = np.float32) -> NDArray:
    """Zeros that begin on a cache line: a vector load across two lines costs twice."""
    size = n * np.dtype(dtype).itemsize
    raw = np.zeros(size + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + size].view(dtype)


@inlined
def swap(a, b, c, d, e, f, g, h, shift, mask):
    """Exchange the bits `mask` of the last four words with those `shift` higher in the first four."""
    p, q = ((a >> shift) ^ e) & mask, ((b >> shift) ^ f) & mask
    r, s = ((c >> shift) ^ g) & mask, ((d >> shift) ^ h) & mask
    return a ^ (p << shift), b ^ (q << shift), c ^ (r << shift), d ^ (s << shift), e ^ p, f ^ q, g ^ r, h ^ s


@kernel
def side_by_side(images, index, x, live):
    """Up to 64 images in lanes, the last one repeated if fewer: `x` `(pixel, lane)`, `live` `(pixel,)`.

    Eight by eight bytes are turned within words, four times as fast as scattering the nonzero pixels."""
    s8, s16, s32 = np.uint64(8), np.uint64(16), np.uint64(32)
    m8, m16, m32 = np.uint64(0x00FF00FF00FF00FF), np.uint64(0x0000FFFF0000FFFF), np.uint64(0x00000000FFFFFFFF)
    out = x.view(np.uint64)
    last, w = index.size - 1, images.words
    for group in range(0, LANES, 8):
        i0, i1 = index[min(group, last)], index[min(group + 1, last)]
        i2, i3 = index[min(group + 2, last)], index[min(group + 3, last)]
        i4, i5 = index[min(group + 4, last)], index[min(group + 5, last)]
        i6, i7 = index[min(group + 6, last)], index[min(group + 7, last)]
        for q in range(images.words.shape[1]):
            a, b, c, d, e, f, g, h = w[i0, q], w[i1, q], w[i2, q], w[i3, q], w[i4, q], w[i5, q], w[i6, q], w[i7, q]
            a, b, c, d, e, f, g, h = swap(a, b, c, d, e, f, g, h, s32, m32)
            a, b, e, f, c, d, g, h = swap(a, b, e, f, c, d, g, h, s16, m16)
            a, c, e, g, b, d, f, h = swap(a, c, e, g, b, d, f, h, s8, m8)
            o = q * 64 + group // 8
            out[o], out[o + 8], out[o + 16], out[o + 24] = a, b, c, d
            out[o + 32], out[o + 40], out[o + 48], out[o + 56] = e, f, g, h
    for k in range(live.size):
        live[k] = images.shift != 0 or nonzero(x, k * LANES) != 0


@kernel
def pack(images, index, x, live):
    """Images `index` in blocks: `x` `(block, pixel * lane)`, `live` `(block, pixel)`."""
    for block in range(x.shape[0]):
        side_by_side(images, index[block * LANES : (block + 1) * LANES], x[block], live[block])


@kernel
def list_fours(x, begin, pixel, four):
    """Fill in the lists of `Packed` from its `x`; return their length. Without `pixel`, only that."""
    c = 0
    for block in range(x.shape[0]):
        words = x[block].view(np.uint32)
        for group in range(LANES // 4):
            begin[block * (LANES // 4) + group] = c
            for k in range(words.size // (LANES // 4)):
                word = words[k * (LANES // 4) + group]
                if pixel.size and word:
                    pixel[c] = k
                    four.view(np.uint32)[c] = word
                c += word != 0
    begin[-1] = c
    return c


@kernel
def prefetch_images(images, index):
    """Have the next batch's images underway while this one is computed: a third of a step at low density otherwise."""
    for i in index:
        for q in range(0, images.words.shape[1], 8):
            prefetch(images.words, np.int64(i) * images.words.shape[1] + q)


@inlined
def exp(x):
    """e^x for x <= 0, within 2 units in the last place; below e^-50 it stays there, which no gradient notices."""
    x = x if not x < np.float32(-50) else np.float32(-50)
    n = np.floor(x * np.float32(1.44269504) + np.float32(0.5))
    r = x - n * np.float32(0.693359375) + n * np.float32(2.12194440e-4)
    p = np.float32(1.9875691500e-4)
    p = p * r + np.float32(1.3981999507e-3)
    p = p * r + np.float32(8.3334519073e-3)
    p = p * r + np.float32(4.1665795894e-2)
    p = p * r + np.float32(1.6666665459e-1)
    p = p * r + np.float32(5.0000001201e-1)
    return (p * r * r + r + np.float32(1)) * power_of_two(np.int32(n))


@kernel
def softmax(z, top, e, norm):
    """From logits `z` `(class, lane)`: their maximum `top`, `e` = exp(z - top) and its sum `norm`."""
    for i in range(LANES):
        top[i] = z[i]
        norm[i] = 0
    for c in range(1, CLASSES):
        for i in range(LANES):
            top[i] = z[c * LANES + i] if z[c * LANES + i] > top[i] else top[i]
    for c in range(CLASSES):
        for i in range(LANES):
            value = exp(z[c * LANES + i] - top[i])
            e[c * LANES + i] = value
            norm[i] += value


@kernel
def loss_gradient(z, label, batch, delta, top, norm):
    """`delta` `(class, lane)`: gradient of a batch's mean cross-entropy, for those of its images that `label` names."""
    softmax(z, top, delta, norm)
    n, share = label.size, np.float32(1) / np.float32(batch)
    for c in range(CLASSES):
        for i in range(LANES):
            delta[c * LANES + i] = delta[c * LANES + i] * share / norm[i] if i < n else np.float32(0)
    for i in range(n):
        delta[label[i] * LANES + i] -= share


@kernel
def score(z, label, top, e, norm):
    """Summed cross-entropy and number of right answers of the images that `label` names."""
    right = 0
    for i in range(LANES):
        top[i] = z[i]
        norm[i] = 0  # the answer, for now
    for c in range(1, CLASSES):
        for i in range(LANES):
            norm[i] = np.float32(c) if z[c * LANES + i] > top[i] else norm[i]
            top[i] = z[c * LANES + i] if z[c * LANES + i] > top[i] else top[i]
    for i in range(label.size):
        right += norm[i] == label[i]
    softmax(z, top, e, norm)
    loss, product = 0.0, 1.0  # the sum of logarithms is that of the product, at most 10^64
    for i in range(label.size):
        product *= norm[i]
        loss += top[i] - z[label[i] * LANES + i]
    return loss + math.log(product), right
