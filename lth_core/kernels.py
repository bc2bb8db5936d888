"""Compiled loops of the sparse engine: two ways through a fully connected network, one meaning.

*By weight* (few living weights): images lie side by side in 64 lanes, activations are `(unit, lane)`, and each living
weight is one multiply-add on 64 images. Weights are stored input by input, so an input that is zero in the whole
batch costs nothing, and only living weights have a gradient and optimizer state.

*By image* (many living weights): units lie in the lanes, weights are dense rows `(input, unit)` with zeros where masked, and
each nonzero input of an image (19% of MNIST's pixels, the units that ReLU lets through) is one row's multiply-add.

All arrays are flat; `first`, `column`, `bias` say where a layer or an input begins.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit

from lth_core.lanes import fma, load, power_of_two, spread, store, total, zero

LANES = 64
CLASSES = 10
ADAM, SGD, MOMENTUM = 0, 1, 2
Array = Any  # numpy arrays of the dtypes named in the comments

# No "nnan"/"ninf": a diverged network must stay NaN. No "reassoc": exp() needs its order, and lanes sum on their own.
FAST = dict(cache=True, nogil=True, error_model="numpy", fastmath={"contract", "nsz"})


class Images(NamedTuple):
    """Images as lists of the pixels that count: all but exact zeros, or all of them for standardised inputs."""

    start: Array  # (image + 1) int64: where an image's pixels begin
    pixel: Array  # uint16
    value: Array  # uint8
    label: Array  # (image,) uint8
    factor: Any  # float32: input = value * factor + shift
    shift: Any  # float32


class Rule(NamedTuple):
    """An optimizer: `kind`, L2 weight decay, and per iteration the step size and Adam's 1 / sqrt(1 - beta2^t)."""

    kind: int
    decay: Any  # float32
    step: Array  # (iteration,) float32
    root: Array  # (iteration,) float32


class ByWeight(NamedTuple):
    """A network as living weights: layer by layer, input by input, then the layer's biases."""

    sizes: Array  # (layer + 1,) int64: units per layer, inputs first
    first: Array  # (layer,) int64: where a layer begins in `column`
    column: Array  # int64: where an input's weights begin in `w`; each layer has inputs + 1 entries
    bias: Array  # (layer,) int64: where a layer's biases begin in `w`
    row: Array  # (weight,) uint16: the unit a weight leads to
    w: Array  # (weight,) float32
    m: Array  # (weight,) float32: first moment, or momentum buffer
    v: Array  # (weight,) float32: second moment
    g: Array  # (weight,) float32: gradient


class ByImage(NamedTuple):
    """A network as dense rows of padded width, one per input and a last one for the biases."""

    sizes: Array  # (layer + 1,) int64
    width: Array  # (layer,) int64: units, padded
    first: Array  # (layer,) int64: where a layer begins in `w`
    used: Array  # (input,) uint8: whether any training image has this input
    alive: Array  # (weight,) uint8
    w: Array
    m: Array
    v: Array


@njit(**FAST)
def exp(x):
    """e^x for x <= 0, 2 units in the last place; below e^-50 it stays there, which no gradient notices."""
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


@njit(**FAST)
def softmax(z, top, e, norm):
    """From logits `z` `(class, lane)`: their maximum, e^(z - maximum) and its sum."""
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


@njit(**FAST)
def loss_gradient(z, label, n, batch, delta, top, norm):
    """Gradient of the batch's mean cross-entropy with respect to the logits of `n` of its images: `(class, lane)`."""
    softmax(z, top, delta, norm)
    for i in range(LANES):
        norm[i] = np.float32(1) / (norm[i] * batch) if i < n else np.float32(0)
    for c in range(CLASSES):
        for i in range(LANES):
            delta[c * LANES + i] = delta[c * LANES + i] * norm[i] if i < n else np.float32(0)
    for i in range(n):
        delta[label[i] * LANES + i] -= np.float32(1) / batch


@njit(**FAST)
def score(z, label, n, top, e, norm):
    """Summed cross-entropy and right answers of `n` images."""
    softmax(z, top, e, norm)
    loss, right = 0.0, 0
    for i in range(n):
        best, answer = z[i], 0
        for c in range(1, CLASSES):
            if z[c * LANES + i] > best:
                best, answer = z[c * LANES + i], c
        loss += math.log(norm[i]) + (top[i] - z[label[i] * LANES + i])
        right += answer == label[i]
    return loss, right


@njit(**FAST)
def update(rule, t, w, m, v, g):
    """One optimizer step, as torch's: w, m, v and g are slices of equal length."""
    step, root = rule.step[t], rule.root[t]
    if rule.decay != 0:
        for i in range(w.size):
            g[i] += rule.decay * w[i]
    if rule.kind == ADAM:
        for i in range(w.size):
            m[i] += (g[i] - m[i]) * np.float32(0.1)
            v[i] = v[i] * np.float32(0.999) + g[i] * g[i] * np.float32(0.001)
            w[i] -= step * m[i] / (np.sqrt(v[i]) * root + np.float32(1e-8))
    elif rule.kind == MOMENTUM:
        for i in range(w.size):
            m[i] = m[i] * np.float32(0.9) + g[i]
            w[i] -= step * m[i]
    else:
        for i in range(w.size):
            w[i] -= step * g[i]


# ---- by weight ----


@njit(**FAST)
def fill(images, index, x, live):
    """Lay images side by side: `x` `(pixel, lane)` uint8, `live` `(pixel,)` where any of them has the pixel."""
    for lane in range(index.size):
        for t in range(images.start[index[lane]], images.start[index[lane] + 1]):
            p = np.int64(images.pixel[t])
            x[p * LANES + lane] = images.value[t]
            live[p] = 1


@njit(**FAST)
def clear(x, live):
    for p in range(live.size):
        if live[p]:
            live[p] = 0
            x[p * LANES : (p + 1) * LANES] = 0


@njit(**FAST)
def weights_forward(net, layer, x, live, factor, shift, out):
    """`out` `(unit, lane)` = weights · (x · factor + shift) + biases."""
    z = zero(64)
    for j in range(net.sizes[layer + 1]):
        store(spread(z, net.w[net.bias[layer] + j]), out, j * LANES)
    for k in range(net.sizes[layer]):
        begin, end = net.column[net.first[layer] + k], net.column[net.first[layer] + k + 1]
        if begin == end or not live[k]:
            continue
        a = fma(factor, load(z, x, k * LANES), spread(z, shift))
        for t in range(begin, end):
            o = np.int64(net.row[t]) * LANES
            store(fma(net.w[t], a, load(z, out, o)), out, o)


@njit(**FAST)
def weights_backward(net, layer, x, live, factor, shift, delta, back):
    """Add the gradient to `net.g`; for all but the first layer leave that of the inputs in `back`."""
    z = zero(64)
    for j in range(net.sizes[layer + 1]):
        net.g[net.bias[layer] + j] += total(load(z, delta, j * LANES))
    for k in range(net.sizes[layer]):
        begin, end = net.column[net.first[layer] + k], net.column[net.first[layer] + k + 1]
        if not live[k]:
            continue
        a = fma(factor, load(z, x, k * LANES), spread(z, shift))
        if layer == 0:
            for t in range(begin, end):
                net.g[t] += total(fma(a, load(z, delta, np.int64(net.row[t]) * LANES), z))
        else:
            acc = z
            for t in range(begin, end):
                d = load(z, delta, np.int64(net.row[t]) * LANES)
                net.g[t] += total(fma(a, d, z))
                acc = fma(net.w[t], d, acc)
            store(acc, back, k * LANES)


@njit(**FAST)
def relu(h):
    for i in range(h.size):
        h[i] = h[i] if not h[i] <= 0 else np.float32(0)


@njit(**FAST)
def relu_backward(h, d):
    for i in range(h.size):
        d[i] = d[i] if not h[i] <= 0 else np.float32(0)


@njit(**FAST)
def forward_by_weight(net, x, live, factor, shift, ones, acts):
    """Activations of all layers, one after the other in `acts`; returns where the last layer's begin."""
    one, none = np.float32(1), np.float32(0)
    a = b = 0
    for layer in range(net.bias.size):
        c = b + net.sizes[layer + 1] * LANES
        if layer == 0:
            weights_forward(net, layer, x, live, factor, shift, acts[b:c])
        else:
            relu(acts[a:b])
            weights_forward(net, layer, acts[a:b], ones, one, none, acts[b:c])
        a, b = b, c
    return a


@njit(**FAST)
def train_by_weight(net, images, rule, batches, first, x, live, ones, acts, deltas, top, norm):
    """Iterations `first` on, one per row of `batches` (image indices)."""
    one, none = np.float32(1), np.float32(0)
    labels = np.empty(LANES, np.int64)
    batch = batches.shape[1]
    for it in range(batches.shape[0]):
        net.g[:] = 0
        for begin in range(0, batch, LANES):
            index = batches[it, begin : min(begin + LANES, batch)]
            fill(images, index, x, live)
            for i in range(index.size):
                labels[i] = images.label[index[i]]
            a = forward_by_weight(net, x, live, images.factor, images.shift, ones, acts)
            loss_gradient(acts[a:], labels, index.size, np.float32(batch), deltas[a:], top, norm)
            for layer in range(net.bias.size - 1, 0, -1):
                b = a - net.sizes[layer] * LANES
                weights_backward(net, layer, acts[b:a], ones, one, none, deltas[a:], deltas[b:a])
                relu_backward(acts[b:a], deltas[b:a])
                a = b
            weights_backward(net, 0, x, live, images.factor, images.shift, deltas, deltas)
            clear(x, live)
        update(rule, first + it, net.w, net.m, net.v, net.g)


@njit(**FAST)
def pack(images, index, x, live):
    """`index`'s images in blocks of 64: `x` `(block, pixel, lane)`, `live` `(block, pixel)`."""
    for block in range(live.shape[0]):
        fill(images, index[block * LANES : (block + 1) * LANES], x[block], live[block])


@njit(**FAST)
def evaluate_by_weight(net, images, index, x, live, ones, acts, deltas, top, norm):
    """Mean cross-entropy and right answers on the packed images `x`, `live`."""
    labels = np.empty(LANES, np.int64)
    loss, right = 0.0, 0
    for block in range(live.shape[0]):
        n = min(LANES, index.size - block * LANES)
        for i in range(n):
            labels[i] = images.label[index[block * LANES + i]]
        a = forward_by_weight(net, x[block], live[block], images.factor, images.shift, ones, acts)
        block_loss, block_right = score(acts[a:], labels, n, top, deltas[a:], norm)
        loss += block_loss
        right += block_right
    return loss / index.size, right


# ---- by image ----


class Lists(NamedTuple):
    """Work space: the nonzero inputs of every layer, image by image, and turned round, input by input."""

    room: Array  # (layer,) int64: where a layer's lists begin in `index` and `value`
    begin: Array  # (layer, image + 1) int64
    index: Array  # int32: inputs
    value: Array  # float32
    column: Array  # (input + 3,) int64: where an input's images begin in `image`
    image: Array  # int32
    factor: Array  # float32


@njit(**FAST)
def row_sum(z, w, row, bias, width, begin, end, index, value, out, o):
    """A stretch of `out` as long as `z`: bias plus the sum of weight rows `index` times `value`."""
    acc = load(z, w, bias)
    for t in range(begin, end):
        acc = fma(value[t], load(z, w, row + np.int64(index[t]) * width), acc)
    store(acc, out, o)


@njit(**FAST)
def row_forward(w, first, width, inputs, begin, end, index, value, out, o):
    """`out[o : o + width]` for one image, given the list of its nonzero inputs."""
    b = 0
    while b < width:
        row, bias = first + b, first + inputs * width + b
        if b + 256 <= width:
            row_sum(zero(256), w, row, bias, width, begin, end, index, value, out, o + b)
            b += 256
        elif b + 64 <= width:
            row_sum(zero(64), w, row, bias, width, begin, end, index, value, out, o + b)
            b += 64
        else:
            row_sum(zero(16), w, row, bias, width, begin, end, index, value, out, o + b)
            b += 16


@njit(**FAST)
def forward_by_image(net, images, index, lists, out, logits):
    """Logits `(image, 16)` of the images `index`; `lists` keeps the inputs of every layer for the way back."""
    n, last = index.size, net.width.size - 1
    c = np.int64(0)
    for i in range(n):
        lists.begin[0, i] = c
        for t in range(images.start[index[i]], images.start[index[i] + 1]):
            lists.index[c] = images.pixel[t]
            lists.value[c] = np.float32(images.value[t]) * images.factor + images.shift
            c += 1
    lists.begin[0, n] = c
    for layer in range(last + 1):
        inputs, units, width = net.sizes[layer], net.sizes[layer + 1], net.width[layer]
        c = lists.room[min(layer + 1, last)]
        for i in range(n):
            begin, end = lists.begin[layer, i], lists.begin[layer, i + 1]
            if layer == last:
                row_forward(
                    net.w, net.first[layer], width, inputs, begin, end, lists.index, lists.value, logits, i * width
                )
            else:
                row_forward(net.w, net.first[layer], width, inputs, begin, end, lists.index, lists.value, out, 0)
                lists.begin[layer + 1, i] = c
                for j in range(units):
                    lists.index[c] = j
                    lists.value[c] = out[j]
                    c += not out[j] <= 0
        if layer < last:
            lists.begin[layer + 1, n] = c


@njit(**FAST)
def turn(lists, layer, n, inputs):
    """The lists of one layer, input by input; a last input, always 1, stands for the biases."""
    column, begin, end = lists.column, lists.begin[layer, 0], lists.begin[layer, n]
    column[: inputs + 3] = 0
    for t in range(begin, end):
        column[lists.index[t] + 2] += 1
    for k in range(inputs):
        column[k + 2] += column[k + 1]
    for i in range(n):
        for t in range(lists.begin[layer, i], lists.begin[layer, i + 1]):
            c = column[lists.index[t] + 1]
            column[lists.index[t] + 1] = c + 1
            lists.image[c] = i
            lists.factor[c] = lists.value[t]
    for i in range(n):
        lists.image[end - begin + i] = i
        lists.factor[end - begin + i] = 1
    column[inputs + 1] = end - begin + n


@njit(**FAST)
def gradient_sum(z, begin, end, image, factor, delta, width, b, g):
    """A stretch of a weight row's gradient: the sum of the images' deltas times this input."""
    acc = z
    for t in range(begin, end):
        acc = fma(factor[t], load(z, delta, np.int64(image[t]) * width + b), acc)
    store(acc, g, b)


@njit(**FAST)
def dot(w, o, delta, d, width):
    acc, b = zero(64), 0
    while b + 64 <= width:
        acc = fma(load(acc, w, o + b), load(acc, delta, d + b), acc)
        b += 64
    small = zero(16)
    while b < width:
        small = fma(load(small, w, o + b), load(small, delta, d + b), small)
        b += 16
    return total(acc) + total(small)


@njit(**FAST)
def backward_by_image(net, lists, n, rule, t, delta, back, g):
    """Gradients and the optimizer's step, row by row; `delta` `(image, width)` holds the logits' gradient."""
    for layer in range(net.width.size - 1, -1, -1):
        inputs, width = net.sizes[layer], net.width[layer]
        behind = net.width[layer - 1]
        turn(lists, layer, n, inputs)
        if layer > 0:
            back[: n * behind] = 0
        for k in range(inputs + 1):
            begin, end = lists.column[k], lists.column[k + 1]
            if layer == 0 and k < inputs and not net.used[k]:
                continue
            o = net.first[layer] + k * width
            b = 0
            while b < width:
                if b + 256 <= width:
                    gradient_sum(zero(256), begin, end, lists.image, lists.factor, delta, width, b, g)
                    b += 256
                elif b + 64 <= width:
                    gradient_sum(zero(64), begin, end, lists.image, lists.factor, delta, width, b, g)
                    b += 64
                else:
                    gradient_sum(zero(16), begin, end, lists.image, lists.factor, delta, width, b, g)
                    b += 16
            if layer > 0 and k < inputs:
                for c in range(begin, end):
                    i = np.int64(lists.image[c])
                    back[i * behind + k] = dot(net.w, o, delta, i * width, width)
            for j in range(width):
                g[j] = g[j] if net.alive[o + j] else np.float32(0)
            update(rule, t, net.w[o : o + width], net.m[o : o + width], net.v[o : o + width], g[:width])
        delta, back = back, delta


@njit(**FAST)
def train_by_image(net, images, rule, batches, first, lists, out, logits, delta, back, z, e, top, norm):
    """Iterations `first` on, one per row of `batches` (image indices)."""
    labels = np.empty(LANES, np.int64)
    batch, wide = batches.shape[1], net.width[-1]
    for it in range(batches.shape[0]):
        forward_by_image(net, images, batches[it], lists, out, logits)
        delta[: batch * wide] = 0
        for begin in range(0, batch, LANES):
            n = min(LANES, batch - begin)
            for i in range(n):
                labels[i] = images.label[batches[it, begin + i]]
                for c in range(CLASSES):
                    z[c * LANES + i] = logits[(begin + i) * wide + c]
            loss_gradient(z, labels, n, np.float32(batch), e, top, norm)
            for i in range(n):
                for c in range(CLASSES):
                    delta[(begin + i) * wide + c] = e[c * LANES + i]
        backward_by_image(net, lists, batch, rule, first + it, delta, back, out)


@njit(**FAST)
def evaluate_by_image(net, images, index, lists, out, logits, z, e, top, norm):
    """Mean cross-entropy and right answers on the images `index`."""
    labels = np.empty(LANES, np.int64)
    loss, right, wide = 0.0, 0, net.width[-1]
    for begin in range(0, index.size, LANES):
        n = min(LANES, index.size - begin)
        forward_by_image(net, images, index[begin : begin + n], lists, out, logits)
        for i in range(n):
            labels[i] = images.label[index[begin + i]]
            for c in range(CLASSES):
                z[c * LANES + i] = logits[i * wide + c]
        block_loss, block_right = score(z, labels, n, top, e, norm)
        loss += block_loss
        right += block_right
    return loss / index.size, right


@njit(**FAST)
def nonzero_counts(pixels, keep_zeros, counts):
    for i in range(pixels.shape[0]):
        for p in range(pixels.shape[1]):
            counts[i] += keep_zeros or pixels[i, p] != 0


@njit(**FAST)
def nonzero_lists(pixels, keep_zeros, pixel, value):
    """The pixels of `pixels` `(image, pixel)` uint8 that count, one image after the other."""
    c = 0
    for i in range(pixels.shape[0]):
        for p in range(pixels.shape[1]):
            if keep_zeros or pixels[i, p] != 0:
                pixel[c], value[c] = p, pixels[i, p]
                c += 1
