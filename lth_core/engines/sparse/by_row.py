"""The sparse engine's layout for many living weights: units side by side in lanes, a multiply-add per nonzero input.

Weights are dense rows, one per input, with zeros where masked. An image's zero pixels (81% of MNIST's) and the units
that ReLU silences cost nothing. A block of units by a batch of images stays in the first-level cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.sparse.kernels import (  # fmt: skip
    ADAM,
    CLASSES,
    LANES,
    MOMENTUM,
    TINY,
    Images,
    Packed,
    Rule,
    empty,
    loss_gradient,
    pack,
    prefetch_images,
    score,
)
from lth_core.engines.sparse.simd import (  # fmt: skip
    WIDE_REGISTERS,
    add,
    divide,
    fma,
    inlined,
    kernel,
    load,
    lowest,
    multiply,
    nonzero,
    positive,
    present,
    root,
    spread,
    store,
    subtract,
    total,
    where,
    zero,
)
from lth_core.models import Masks, Parameters

AT_ONCE = 64 if WIDE_REGISTERS else 16  # units of four images at once: their sums are half of the registers
BLOCKS = (16, 64, 128)  # units side by side; the logits' ten lie in a block of 16


class Net(NamedTuple):
    """Dense rows of weights `(block, input, lane)`; one more input, always 1, has the biases."""

    sizes: NDArray[np.int64]  # (layer + 1,): units per layer, inputs first
    blocks: NDArray[np.int64]  # (layer + 1,): where a layer's blocks begin in the next three
    lanes: NDArray[np.int64]  # (block,): units in a block
    unit: NDArray[np.int64]  # (block,): its first unit
    first: NDArray[np.int64]  # (block,): where it begins in `w`
    used: NDArray[np.uint8]  # (input,): whether any training image has this input
    alive: NDArray[np.uint8]  # (weight,): 0 for masked weights and padding
    w: NDArray[np.float32]  # (weight,)
    m: NDArray[np.float32]  # first moment, or momentum
    v: NDArray[np.float32]  # second moment


class Room(NamedTuple):
    """Work space for a batch. Lists name the nonzero inputs: by layer, then by input, the images that have it."""

    x: NDArray[np.uint8]  # (64 images, pixel * lane)
    live: NDArray[np.uint8]  # (64 images, pixel)
    begin: NDArray[np.int64]  # (layer,): where a layer's lists begin
    column: NDArray[np.int64]  # (layer, input + 1): where an input's list begins
    image: NDArray[np.uint16]
    value: NDArray[np.float32]
    out: NDArray[np.float32]  # (block, image, lane) of one layer: activations, then gradients
    back: NDArray[np.float32]  # the same for the layer before
    z: NDArray[np.float32]  # (class * lane,): logits
    e: NDArray[np.float32]  # (class * lane,)
    top: NDArray[np.float32]  # (lane,)
    norm: NDArray[np.float32]  # (lane,)
    at: NDArray[np.int64]  # (layer + 1,): where a layer begins in `acts`
    four: NDArray[np.float32]  # (4 * pixel,): inputs of four images to evaluate
    acts: NDArray[np.float32]  # (image, unit) of layer after layer: their activations, in whole vectors of 64 units
    bias: NDArray[np.float32]  # (block, lane): biases of the first layer and what the inputs' shift adds


@kernel
def list_pixels(n, x, live, factor, shift, room):
    """Lists of the first layer's inputs, from `n` images side by side."""
    c = 0
    for k in range(live.shape[1]):
        room.column[0, k] = c
        for some in range(x.shape[0]):
            if not live[some, k]:
                continue
            here = ~np.uint64(0) >> np.uint64(LANES - min(LANES, n - some * LANES))
            bits = here if shift != 0 else nonzero(x[some], k * LANES) & here  # standardised inputs are hardly ever 0
            while bits != 0:
                i = lowest(bits)
                bits &= bits - np.uint64(1)
                room.image[c] = some * LANES + i
                room.value[c] = np.float32(x[some, k * LANES + i]) * factor + shift
                c += 1
    room.column[0, live.shape[1]] = c


@kernel
def list_units(net, layer, n, room):
    """Lists of a later layer's inputs: the units that ReLU lets through (and NaN)."""
    c = room.begin[layer]
    for block in range(net.blocks[layer - 1], net.blocks[layer]):
        lanes, unit = net.lanes[block], net.unit[block]
        for k in range(unit, min(unit + lanes, net.sizes[layer])):
            room.column[layer, k] = c
            o = unit * n + k - unit
            for i in range(n):
                room.image[c] = i
                room.value[c] = room.out[o]
                c += not room.out[o] <= 0
                o += lanes
    room.column[layer, net.sizes[layer]] = c


@kernel
def forward_block(z, net, layer, block, n, room):
    """One block of `room.out` = weights · inputs + biases."""
    inputs, lanes, first, tile = net.sizes[layer], net.lanes[block], net.first[block], net.unit[block] * n
    w = load(z, net.w, first + inputs * lanes)
    for i in range(n):
        store(w, room.out, tile + i * lanes)
    for k in range(inputs):
        begin, end = room.column[layer, k], room.column[layer, k + 1]
        if begin == end:
            continue
        w = load(z, net.w, first + k * lanes)
        for t in range(begin, end):
            o = tile + np.int64(room.image[t]) * lanes
            store(fma(room.value[t], w, load(z, room.out, o)), room.out, o)


@kernel
def forward_all(net, n, room):
    """Logits `(image, 16)` in `room.out`, from the first layer's lists."""
    for layer in range(net.blocks.size - 1):
        if layer > 0:
            list_units(net, layer, n, room)
        for block in range(net.blocks[layer], net.blocks[layer + 1]):
            if net.lanes[block] == 128:
                forward_block(zero(128), net, layer, block, n, room)
            elif net.lanes[block] == 64:
                forward_block(zero(64), net, layer, block, n, room)
            else:
                forward_block(zero(16), net, layer, block, n, room)


@inlined
def update(net, rule, it, o, g):
    """torch's Adam, SGD or SGD with momentum 0.9, on the row at `o` with gradient `g`."""
    g = where(net.alive, o, g)
    step, w = rule.step[it], load(g, net.w, o)
    if rule.decay != 0:
        g = fma(rule.decay, w, g)
    if rule.kind == ADAM:
        m, v = load(g, net.m, o), load(g, net.v, o)
        m = subtract(add(fma(np.float32(0.1), subtract(g, m), m), spread(g, TINY)), spread(g, TINY))
        v = fma(multiply(spread(g, np.float32(0.001)), g), g, multiply(spread(g, np.float32(0.999)), v))
        w = fma(-step, divide(m, fma(rule.root[it], root(v), spread(g, np.float32(1e-8)))), w)
        store(m, net.m, o)
        store(v, net.v, o)
    elif rule.kind == MOMENTUM:
        m = subtract(add(fma(np.float32(0.9), load(g, net.m, o), g), spread(g, TINY)), spread(g, TINY))
        w = fma(-step, m, w)
        store(m, net.m, o)
    else:
        w = fma(-step, g, w)
    store(w, net.w, o)


@kernel
def backward_pixels(z, net, block, n, rule, it, room, delta):
    """Gradient and optimizer's step of one block of the first layer, row by row."""
    lanes, first, tile = net.lanes[block], net.first[block], net.unit[block] * n
    for k in range(net.used.size):
        if net.used[k]:
            g = z
            for t in range(room.column[0, k], room.column[0, k + 1]):
                g = fma(room.value[t], load(z, delta, tile + np.int64(room.image[t]) * lanes), g)
            update(net, rule, it, first + k * lanes, g)


@kernel
def backward_units(z, net, layer, block, n, rule, it, room, delta, back):
    """The same for a later layer; adds to the gradient of its inputs, `back`."""
    lanes, first, tile = net.lanes[block], net.first[block], net.unit[block] * n
    for behind in range(net.blocks[layer - 1], net.blocks[layer]):
        unit, width = net.unit[behind], net.lanes[behind]
        for k in range(unit, min(unit + width, net.sizes[layer])):
            g, w = z, load(z, net.w, first + k * lanes)
            for t in range(room.column[layer, k], room.column[layer, k + 1]):
                i = np.int64(room.image[t])
                d = load(z, delta, tile + i * lanes)
                g = fma(room.value[t], d, g)
                back[unit * n + i * width + k - unit] += total(multiply(w, d))
            update(net, rule, it, first + k * lanes, g)


@kernel
def backward_block(z, net, layer, block, n, rule, it, room, delta, back):
    if layer == 0:
        backward_pixels(z, net, block, n, rule, it, room, delta)
    else:
        backward_units(z, net, layer, block, n, rule, it, room, delta, back)
    g, tile, lanes = z, net.unit[block] * n, net.lanes[block]
    for i in range(n):
        g = add(g, load(z, delta, tile + i * lanes))
    update(net, rule, it, net.first[block] + net.sizes[layer] * lanes, g)


@kernel
def backward_all(net, n, rule, it, room):
    """One optimizer step, from the logits' gradient in `room.out`."""
    delta, back = room.out, room.back
    for layer in range(net.blocks.size - 2, -1, -1):
        if layer > 0:
            last = net.blocks[layer] - 1
            back[: (net.unit[last] + net.lanes[last]) * n] = 0
        for block in range(net.blocks[layer], net.blocks[layer + 1]):
            if net.lanes[block] == 128:
                backward_block(zero(128), net, layer, block, n, rule, it, room, delta, back)
            elif net.lanes[block] == 64:
                backward_block(zero(64), net, layer, block, n, rule, it, room, delta, back)
            else:
                backward_block(zero(16), net, layer, block, n, rule, it, room, delta, back)
        delta, back = back, delta


@kernel
def turn_logits(begin, n, room):
    """Logits of `n` images from `begin` on as `(class, lane)` in `room.z`."""
    for i in range(n):
        for c in range(CLASSES):
            room.z[c * LANES + i] = room.out[(begin + i) * 16 + c]


@kernel
def train(net, images, rule, batches, labels, first, room):
    """Iterations from `first` on, one per row of `batches` (image indices) and `labels`."""
    n = batches.shape[1]
    for it in range(batches.shape[0]):
        pack(images, batches[it], room.x, room.live)
        if it + 1 < batches.shape[0]:
            prefetch_images(images, batches[it + 1])
        list_pixels(n, room.x, room.live, images.factor, images.shift, room)
        forward_all(net, n, room)
        for begin in range(0, n, LANES):
            label = labels[it, begin : begin + LANES]
            turn_logits(begin, label.size, room)
            loss_gradient(room.z, label, n, room.e, room.top, room.norm)
            for i in range(label.size):
                for c in range(CLASSES):
                    room.out[(begin + i) * 16 + c] = room.e[c * LANES + i]
        backward_all(net, n, rule, first + it, room)


@kernel
def shifted_biases(z, net, block, at, shift, bias):
    """Biases of some units of the first layer with what the inputs' shift adds to them: a black pixel is 0 then."""
    lanes, first, some = net.lanes[block], net.first[block] + at, z
    if shift != 0:
        for k in range(net.sizes[0]):
            some = add(some, load(z, net.w, first + k * lanes))
    store(fma(shift, some, load(z, net.w, first + net.sizes[0] * lanes)), bias, net.unit[block] + at)


@kernel
def four_from_pixels(z, net, block, at, pixel, room):
    """Activations of four images in as many units of the first layer as `z` has lanes.

    Sums stay in registers (`AT_ONCE`), and every row of weights that is read serves four images."""
    lanes, first, unit = net.lanes[block], net.first[block] + at, net.unit[block] + at
    a = load(z, room.bias, unit)
    b, c, d = a, a, a
    for t in range(pixel.size):
        w = load(z, net.w, first + np.int64(pixel[t]) * lanes)
        a, b = fma(room.four[4 * t], w, a), fma(room.four[4 * t + 1], w, b)
        c, d = fma(room.four[4 * t + 2], w, c), fma(room.four[4 * t + 3], w, d)
    width = room.at[1] // 4
    store(positive(a), room.acts, unit)
    store(positive(b), room.acts, width + unit)
    store(positive(c), room.acts, 2 * width + unit)
    store(positive(d), room.acts, 3 * width + unit)


@kernel
def four_from_units(z, net, layer, block, at, room):
    """The same in a later layer; logits are left as they are."""
    lanes, first, unit, inputs = net.lanes[block], net.first[block] + at, net.unit[block] + at, net.sizes[layer]
    before, here = room.at[layer - 1], room.at[layer]
    n, width = (here - before) // 4, (room.at[layer + 1] - here) // 4
    a = load(z, net.w, first + inputs * lanes)
    b, c, d = a, a, a
    for some in range(before, before + n, 64):
        bits = present(load(zero(64), room.acts, some)) | present(load(zero(64), room.acts, some + n))
        bits |= present(load(zero(64), room.acts, some + 2 * n)) | present(load(zero(64), room.acts, some + 3 * n))
        while bits != 0:
            k = some + lowest(bits)
            bits &= bits - np.uint64(1)
            w = load(z, net.w, first + (k - before) * lanes)
            a, b = fma(room.acts[k], w, a), fma(room.acts[k + n], w, b)
            c, d = fma(room.acts[k + 2 * n], w, c), fma(room.acts[k + 3 * n], w, d)
    if layer < net.blocks.size - 2:
        a, b, c, d = positive(a), positive(b), positive(c), positive(d)
    store(a, room.acts, here + unit)
    store(b, room.acts, here + width + unit)
    store(c, room.acts, here + 2 * width + unit)
    store(d, room.acts, here + 3 * width + unit)


@kernel
def evaluate_four(net, pixel, room):
    """All activations of four images that have the inputs `pixel` with values `room.four`."""
    for layer in range(net.blocks.size - 1):
        for block in range(net.blocks[layer], net.blocks[layer + 1]):
            if layer == 0 and net.lanes[block] == 16:
                four_from_pixels(zero(16), net, block, 0, pixel, room)
            elif layer == 0:
                for at in range(0, net.lanes[block], AT_ONCE):
                    four_from_pixels(zero(AT_ONCE), net, block, at, pixel, room)
            elif net.lanes[block] == 16:
                four_from_units(zero(16), net, layer, block, 0, room)
            else:
                for at in range(0, net.lanes[block], AT_ONCE):
                    four_from_units(zero(AT_ONCE), net, layer, block, at, room)


@kernel
def evaluate(net, packed, room):
    """Mean cross-entropy and number of right answers."""
    for block in range(net.blocks[1]):
        for at in range(0, net.lanes[block], 16):
            shifted_biases(zero(16), net, block, at, packed.shift, room.bias)
    loss, right, logits = 0.0, 0, room.at[net.blocks.size - 2]
    width = (room.at[net.blocks.size - 1] - logits) // 4
    for block in range(packed.x.shape[0]):
        label = packed.label[block * LANES : (block + 1) * LANES]
        for i in range(0, label.size, 4):
            begin, end = packed.begin[block * 16 + i // 4], packed.begin[block * 16 + i // 4 + 1]
            for t in range(4 * begin, 4 * end):
                room.four[t - 4 * begin] = np.float32(packed.four[t]) * packed.factor
            evaluate_four(net, packed.pixel[begin:end], room)
            for j in range(4):
                for c in range(CLASSES):
                    room.z[c * LANES + i + j] = room.acts[logits + j * width + c]
        block_loss, block_right = score(room.z, label, room.top, room.e, room.norm)
        loss += block_loss
        right += block_right
    return loss / packed.label.size, right


class ByRow:
    """One network in this layout, and its optimizer's state.

    `used` `(input,)` says which inputs any training image has: the others' weights get no gradient, ever."""

    def __init__(self, weights: Parameters, masks: Masks, pixels: int, used: NDArray[np.bool_], batch: int) -> None:
        self.names = [name.removesuffix(".weight") for name in masks]
        kept = [masks[f"{name}.weight"].T for name in self.names]  # (input, unit)
        sizes = [len(kept[0]), *(k.shape[1] for k in kept)]
        blocks, lanes, unit, first, at = [0], [], [], [], 0
        for inputs, units in pairwise(sizes):
            begin = 0
            while begin < units:
                lanes.append(next((n for n in BLOCKS if n >= units - begin), BLOCKS[-1]))
                unit.append(begin)
                first.append(at)
                begin += lanes[-1]
                at += (inputs + 1) * lanes[-1]
            blocks.append(len(lanes))
        w, m, v, alive = empty(at), empty(at), empty(at), empty(at, np.uint8)
        s, b, n, u, f = (np.array(table, np.int64) for table in (sizes, blocks, lanes, unit, first))
        self.net = Net(s, b, n, u, f, used[: sizes[0]].astype(np.uint8), alive, w, m, v)
        for layer, (name, k) in enumerate(zip(self.names, kept, strict=True)):
            self._put(alive, layer, np.vstack([k, np.ones(k.shape[1])]))
            self._put(w, layer, np.vstack([np.where(k, weights[f"{name}.weight"].T, 0), weights[f"{name}.bias"]]))
        some = -(-batch // LANES)
        listed = some * LANES * np.array([pixels, *sizes[1:-1]])
        ends = np.cumsum(listed)
        widest = some * LANES * (max(unit) + BLOCKS[-1])
        padded = np.cumsum([0, *(4 * LANES * -(-units // LANES) for units in sizes[1:])])
        self.room = Room(
            empty(some * pixels * LANES, np.uint8).reshape(some, -1), np.zeros((some, pixels), np.uint8),
            ends - listed, np.zeros((len(kept), max(pixels, *sizes) + 1), np.int64),
            empty(int(ends[-1]) + 1, np.uint16), empty(int(ends[-1]) + 1), empty(widest), empty(widest),
            empty(CLASSES * LANES), empty(CLASSES * LANES), empty(LANES), empty(LANES),
            padded, empty(4 * pixels), empty(int(padded[-1])), empty(max(unit) + BLOCKS[-1]),
        )  # fmt: skip

    def _parts(self, flat: NDArray, layer: int) -> Iterator[tuple[slice, NDArray]]:
        """One layer's part of a flat array: each block's units, and its rows `(input + 1, unit)`."""
        inputs, units = self.net.sizes[layer] + 1, self.net.sizes[layer + 1]
        for block in range(self.net.blocks[layer], self.net.blocks[layer + 1]):
            first, lanes, unit = self.net.first[block], self.net.lanes[block], self.net.unit[block]
            rows = flat[first : first + inputs * lanes].reshape(inputs, lanes)
            yield slice(unit, min(unit + lanes, units)), rows[:, : units - unit]

    def _put(self, flat: NDArray, layer: int, rows: NDArray) -> None:
        for units, part in self._parts(flat, layer):
            part[:] = rows[:, units]

    def train(self, images: Images, rule: Rule, batches: NDArray[np.int32], first: int) -> None:
        if rule.decay:
            self.net.used[:] = 1  # weight decay also moves the weights of inputs that never appear
        train(self.net, images, rule, batches, images.label[batches], first, self.room)

    def evaluate(self, packed: Packed) -> tuple[np.float32, int]:
        loss, right = evaluate(self.net, packed, self.room)
        return np.float32(loss), right

    def parameters(self) -> Parameters:
        made: Parameters = {}
        for layer, name in enumerate(self.names):
            rows = np.hstack([part for _, part in self._parts(self.net.w, layer)])
            made[f"{name}.weight"], made[f"{name}.bias"] = np.ascontiguousarray(rows[:-1].T), rows[-1].copy()
        return made
