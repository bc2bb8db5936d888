"""The sparse engine's layout for few living weights: images side by side in 64 lanes, a multiply-add per living weight.

Activations are `(unit, lane)`. Weights are stored input by input, so that an input which is zero in the whole batch
costs nothing. Gradients and optimizer state exist for living weights only.
"""

from __future__ import annotations

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
    prefetch_images,
    score,
    side_by_side,
)
from lth_core.engines.sparse.simd import (
    add,
    fma,
    high,
    kernel,
    load,
    low,
    multiply,
    positive,
    spread,
    store,
    store_pairs,
    total,
    zero,
)
from lth_core.models import Masks, Parameters

# Measured: so many units by 64 images stay in a first-level cache of 48 KB, which pays from this density on.
TILE_UNITS, TILE_DENSITY = 150, 0.15
# Evaluation: blocks of images that share lists of weights; first layers with fewer weights do without.
NEAR, LISTED = 16, 6000


class Net(NamedTuple):
    """Living weights: layer by layer, tile of units by tile, input by input, unit by unit; then the layer's biases."""

    sizes: NDArray[np.int64]  # (layer + 1,): units per layer, inputs first
    tiles: NDArray[np.int64]  # (layer + 1,): where a layer's tiles begin in `first`
    first: NDArray[np.int64]  # (tile,): where a tile begins in `column`
    column: NDArray[np.int64]  # where an input's weights begin in `w`; each tile has inputs + 1 entries
    bias: NDArray[np.int64]  # (layer,): where a layer's biases begin in `w`
    row: NDArray[np.uint16]  # (weight,): the unit a weight leads to
    w: NDArray[np.float32]  # (weight,)
    m: NDArray[np.float32]  # first moment, or momentum
    v: NDArray[np.float32]  # second moment
    g: NDArray[np.float32]  # gradient


class Room(NamedTuple):
    """Work space for 64 images."""

    x: NDArray[np.uint8]  # (pixel * lane,)
    live: NDArray[np.uint8]  # (pixel,)
    ones: NDArray[np.uint8]  # as `live` for hidden layers
    acts: NDArray[np.float32]  # (unit * lane,): activations of all layers, one after the other
    deltas: NDArray[np.float32]  # their gradients
    top: NDArray[np.float32]  # (lane,)
    norm: NDArray[np.float32]  # (lane,)
    pairs: NDArray[np.uint32]  # (pixel * lane / 2,): images to evaluate, as `store_pairs` writes them
    keep: NDArray[np.uint8]  # (input,): inputs whose weights are in the lists
    begin: NDArray[np.int64]  # (unit of any layer,): where its list of weights begins
    end: NDArray[np.int64]  # and ends
    input: NDArray[np.uint16]  # where a listed weight comes from
    w: NDArray[np.float32]  # and itself
    bias: NDArray[np.float32]  # (unit of the first layer,): bias with what the inputs' shift adds


@kernel
def forward(net, layer, x, live, factor, shift, out):
    """`out` `(unit, lane)` = weights · (x · factor + shift) + biases."""
    z = zero(64)
    for j in range(net.sizes[layer + 1]):
        store(spread(z, net.w[net.bias[layer] + j]), out, j * LANES)
    for tile in range(net.tiles[layer], net.tiles[layer + 1]):
        for k in range(net.sizes[layer]):
            begin, end = net.column[net.first[tile] + k], net.column[net.first[tile] + k + 1]
            if begin == end or not live[k]:
                continue
            a = fma(factor, load(z, x, k * LANES), spread(z, shift))
            for t in range(begin, end):
                o = np.int64(net.row[t]) * LANES
                store(fma(net.w[t], a, load(z, out, o)), out, o)


@kernel
def backward(net, layer, x, live, factor, shift, delta, back):
    """Add the layer's gradient to `net.g`; leave that of its inputs, beyond the first layer, in `back`."""
    z = zero(64)
    for j in range(net.sizes[layer + 1]):
        net.g[net.bias[layer] + j] += total(load(z, delta, j * LANES))
    for tile in range(net.tiles[layer], net.tiles[layer + 1]):
        for k in range(net.sizes[layer]):
            if not live[k]:
                continue
            begin, end = net.column[net.first[tile] + k], net.column[net.first[tile] + k + 1]
            a = fma(factor, load(z, x, k * LANES), spread(z, shift))
            if layer == 0:
                for t in range(begin, end):
                    net.g[t] += total(multiply(a, load(z, delta, np.int64(net.row[t]) * LANES)))
            else:
                b = z if tile == net.tiles[layer] else load(z, back, k * LANES)
                for t in range(begin, end):
                    d = load(z, delta, np.int64(net.row[t]) * LANES)
                    net.g[t] += total(multiply(a, d))
                    b = fma(net.w[t], d, b)
                store(b, back, k * LANES)


@kernel
def relu(h):
    for i in range(h.size):
        h[i] = h[i] if not h[i] <= 0 else np.float32(0)  # NaN passes


@kernel
def relu_backward(h, d):
    for i in range(h.size):
        d[i] = d[i] if not h[i] <= 0 else np.float32(0)


@kernel
def forward_all(net, x, live, factor, shift, room):
    """Activations of all layers, in `room.acts`; returns where the logits begin."""
    a = b = 0
    for layer in range(net.bias.size):
        c = b + net.sizes[layer + 1] * LANES
        if layer == 0:
            forward(net, layer, x, live, factor, shift, room.acts[b:c])
        else:
            relu(room.acts[a:b])
            forward(net, layer, room.acts[a:b], room.ones, np.float32(1), np.float32(0), room.acts[b:c])
        a, b = b, c
    return a


@kernel
def update(net, rule, it):
    """torch's Adam, SGD or SGD with momentum 0.9, on all living weights at once."""
    w, m, v, g, step, root = net.w, net.m, net.v, net.g, rule.step[it], rule.root[it]
    if rule.decay != 0:
        for i in range(w.size):
            g[i] += rule.decay * w[i]
    if rule.kind == ADAM:
        for i in range(w.size):
            m[i] = (m[i] + (g[i] - m[i]) * np.float32(0.1) + TINY) - TINY
            v[i] = v[i] * np.float32(0.999) + g[i] * g[i] * np.float32(0.001)
            w[i] -= step * m[i] / (np.sqrt(v[i]) * root + np.float32(1e-8))
    elif rule.kind == MOMENTUM:
        for i in range(w.size):
            m[i] = (m[i] * np.float32(0.9) + g[i] + TINY) - TINY
            w[i] -= step * m[i]
    else:
        for i in range(w.size):
            w[i] -= step * g[i]


@kernel
def train(net, images, rule, batches, labels, first, room):
    """Iterations from `first` on, one per row of `batches` (image indices) and `labels`."""
    batch = batches.shape[1]
    for it in range(batches.shape[0]):
        net.g[:] = 0
        for begin in range(0, batch, LANES):
            end = min(begin + LANES, batch)
            side_by_side(images, batches[it, begin:end], room.x, room.live)
            if it + 1 < batches.shape[0]:
                prefetch_images(images, batches[it + 1, begin:end])
            a = forward_all(net, room.x, room.live, images.factor, images.shift, room)
            loss_gradient(room.acts[a:], labels[it, begin:end], batch, room.deltas[a:], room.top, room.norm)
            for layer in range(net.bias.size - 1, 0, -1):
                b = a - net.sizes[layer] * LANES
                h, d = room.acts[b:a], room.deltas[b:a]
                backward(net, layer, h, room.ones, np.float32(1), np.float32(0), room.deltas[a:], d)
                relu_backward(h, d)
                a = b
            backward(net, 0, room.x, room.live, images.factor, images.shift, room.deltas, room.deltas)
        update(net, rule, first + it)


@kernel
def list_weights(net, layer, first, keep, room):
    """Lists of living weights for the units of a layer, `first` on in `room.begin`, from the inputs to keep.

    They are even in length, by a weight 0 where need be."""
    for j in range(first, first + net.sizes[layer + 1]):
        room.end[j] = room.begin[j]
    for tile in range(net.tiles[layer], net.tiles[layer + 1]):
        for k in range(net.sizes[layer]):
            if keep[k]:
                for t in range(net.column[net.first[tile] + k], net.column[net.first[tile] + k + 1]):
                    j = first + net.row[t]
                    room.input[room.end[j]], room.w[room.end[j]] = k, net.w[t]
                    room.end[j] += 1
    for j in range(first, first + net.sizes[layer + 1]):
        if (room.end[j] - room.begin[j]) % 2:
            room.input[room.end[j]], room.w[room.end[j]] = 0, 0
            room.end[j] += 1


@kernel
def shifted_biases(net, shift, bias):
    """Biases of the first layer with what the inputs' shift adds to them: a black pixel is 0 then."""
    for j in range(net.sizes[1]):
        bias[j] = 0
    if shift != 0:
        for t in range(net.bias[0]):
            bias[net.row[t]] += net.w[t]
    for j in range(net.sizes[1]):
        bias[j] = bias[j] * shift + net.w[net.bias[0] + j]


@kernel
def units_from_pixels(net, factor, room):
    """The first layer from `room.pairs`, unit by unit: sums stay in registers. Only listed weights."""
    z = zero(32)
    for j in range(net.sizes[1]):
        a = b = c = d = z
        for t in range(room.begin[j], room.end[j], 2):
            o, w = np.int64(room.input[t]) * 32, room.w[t]
            a, b = fma(w, low(z, room.pairs, o), a), fma(w, high(z, room.pairs, o), b)
            o, w = np.int64(room.input[t + 1]) * 32, room.w[t + 1]
            c, d = fma(w, low(z, room.pairs, o), c), fma(w, high(z, room.pairs, o), d)
        bias = spread(z, room.bias[j])
        store(fma(factor, add(a, c), bias), room.acts, j * LANES)
        store(fma(factor, add(b, d), bias), room.acts, j * LANES + 32)


@kernel
def add_rare(net, x, live, factor, keep, out):
    """Add what the weights in no list contribute: those of inputs that few blocks of images have."""
    z = zero(64)
    for k in range(net.sizes[0]):
        if live[k] and not keep[k]:
            a = multiply(spread(z, factor), load(z, x, k * LANES))
            for tile in range(net.tiles[0], net.tiles[1]):
                for t in range(net.column[net.first[tile] + k], net.column[net.first[tile] + k + 1]):
                    o = np.int64(net.row[t]) * LANES
                    store(fma(net.w[t], a, load(z, out, o)), out, o)


@kernel
def units_from_units(net, layer, first, x, out, room):
    """A later layer, unit by unit, from activations `x` `(unit, lane)`; logits are left as they are."""
    z = zero(64)
    for j in range(net.sizes[layer + 1]):
        a = spread(z, net.w[net.bias[layer] + j])
        for t in range(room.begin[first + j], room.end[first + j]):
            a = fma(room.w[t], load(z, x, np.int64(room.input[t]) * LANES), a)
        store(positive(a) if layer < net.bias.size - 1 else a, out, j * LANES)


@kernel
def list_common(net, near, room):
    """Lists for the first layer: weights of inputs that most of some blocks have, `near` `(block, input)`."""
    for k in range(net.sizes[0]):
        room.keep[k] = 0
    for block in range(near.shape[0]):
        for k in range(net.sizes[0]):
            room.keep[k] += near[block, k]
    for k in range(net.sizes[0]):
        room.keep[k] = room.keep[k] * 5 > near.shape[0] * 3
    list_weights(net, 0, 0, room.keep, room)


@kernel
def forward_lists(net, x, live, factor, room):
    """As `forward_all`, for a block of images to evaluate, with weights in lists."""
    for k in range(net.sizes[0]):
        if room.keep[k]:
            store_pairs(x, k * LANES, room.pairs, k * 32)
    units_from_pixels(net, factor, room)
    add_rare(net, x, live, factor, room.keep, room.acts)
    relu(room.acts[: net.sizes[1] * LANES])
    a, b = 0, net.sizes[1] * LANES
    for layer in range(1, net.bias.size):
        units_from_units(net, layer, b // LANES, room.acts[a:b], room.acts[b:], room)
        a, b = b, b + net.sizes[layer + 1] * LANES
    return a


@kernel
def evaluate(net, packed, room):
    """Mean cross-entropy and number of right answers. Alike images lie in neighbouring blocks, so they share lists."""
    loss, right, first = 0.0, 0, 0
    listed = net.bias[0] >= LISTED or packed.shift != 0
    shifted_biases(net, packed.shift, room.bias)
    for layer in range(1, net.bias.size):
        first += net.sizes[layer]
        list_weights(net, layer, first, room.ones, room)
    for block in range(packed.x.shape[0]):
        x, live = packed.x[block], packed.live[block]
        if listed and block % NEAR == 0:
            list_common(net, packed.live[block : block + NEAR], room)
        if listed:
            a = forward_lists(net, x, live, packed.factor, room)
        else:
            a = forward_all(net, x, live, packed.factor, packed.shift, room)
        label = packed.label[block * LANES : (block + 1) * LANES]
        block_loss, block_right = score(room.acts[a:], label, room.top, room.deltas[a:], room.norm)
        loss += block_loss
        right += block_right
    return loss / packed.label.size, right


class ByWeight:
    """One network in this layout, and its optimizer's state."""

    def __init__(self, weights: Parameters, masks: Masks, pixels: int) -> None:
        self.names = [name.removesuffix(".weight") for name in masks]
        kept = [masks[f"{name}.weight"].T for name in self.names]  # (input, unit)
        sizes = np.array([kept[0].shape[0], *(k.shape[1] for k in kept)], np.int64)
        self.places: list[NDArray] = []  # per layer, where each living weight lies in the matrix (input, unit)
        tiles, bias, columns, rows, values, at = [0], [], [], [], [], 0
        for name, k in zip(self.names, kept, strict=True):
            inputs, units = k.shape
            n_tiles = -(-units // TILE_UNITS) if k.mean() > TILE_DENSITY else 1
            at_input, at_unit = np.nonzero(k)
            tile = at_unit * n_tiles // units
            order = np.lexsort((at_unit, at_input, tile))
            for count in np.bincount(tile * inputs + at_input, minlength=n_tiles * inputs).reshape(n_tiles, inputs):
                columns.append(at + np.r_[0, np.cumsum(count)])
                at += int(count.sum())
            tiles.append(len(columns))
            bias.append(at)
            at += units
            rows += [at_unit[order], np.zeros(units, int)]
            self.places.append((at_input * units + at_unit)[order])
            values += [weights[f"{name}.weight"].T.ravel()[self.places[-1]], weights[f"{name}.bias"]]
        first = np.cumsum([0, *(len(c) for c in columns[:-1])])
        w, m, v, g = (empty(at) for _ in range(4))
        w[:] = np.concatenate(values)
        row = np.concatenate(rows).astype(np.uint16)
        self.net = Net(sizes, np.array(tiles), first, np.concatenate(columns), np.array(bias), row, w, m, v, g)
        listed = np.cumsum(np.concatenate([[0], *(k.sum(0) + k.sum(0) % 2 for k in kept)]))  # even lists, see there
        begin = listed[:-1].copy()
        outputs = int(sizes[1:].sum()) * LANES
        self.room = Room(
            empty(pixels * LANES, np.uint8), np.zeros(pixels, np.uint8), np.ones(sizes.max(), np.uint8),
            empty(outputs), empty(outputs), empty(LANES), empty(LANES),
            empty(pixels * LANES // 2, np.uint32), np.zeros(sizes[0], np.uint8), begin, begin.copy(),
            np.zeros(listed[-1], np.uint16), empty(int(listed[-1])), empty(int(sizes[1])),
        )  # fmt: skip
        assert sizes[-1] == CLASSES

    def train(self, images: Images, rule: Rule, batches: NDArray[np.int32], first: int) -> None:
        train(self.net, images, rule, batches, images.label[batches], first, self.room)

    def evaluate(self, packed: Packed) -> tuple[np.float32, int]:
        loss, right = evaluate(self.net, packed, self.room)
        return np.float32(loss), right

    def parameters(self) -> Parameters:
        made: Parameters = {}
        for layer, (name, places) in enumerate(zip(self.names, self.places, strict=True)):
            inputs, units, end = *self.net.sizes[layer : layer + 2], self.net.bias[layer]
            full = np.zeros(inputs * units, np.float32)
            full[places] = self.net.w[end - len(places) : end]
            made[f"{name}.weight"] = np.ascontiguousarray(full.reshape(inputs, units).T)
            made[f"{name}.bias"] = self.net.w[end : end + units].copy()
        return made
