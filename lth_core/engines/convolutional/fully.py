"""Fully connected layers behind convolutions: by living weight, or as a dense product where many weights live.

Activations are `[block of 64 images][unit][image]`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional.vectors import number, where_active, zeros
from lth_core.engines.sparse.kernels import LANES
from lth_core.engines.sparse.simd import add, fma, kernel, load, multiply, positive, spread, store, total, zero

DENSE = 0.4  # living share of a large layer from which on a dense product is faster
LARGE = 100_000  # weights below which a product is not worth its copies


class Lists(NamedTuple):
    """Living weights input by input, as in `by_weight.Net`."""

    begin: NDArray[np.int64]  # (input + 1,)
    unit: NDArray[np.int32]  # (weight,): where it leads to
    w: NDArray[np.float32]  # (weight,)
    g: NDArray[np.float32]  # (weight,): gradient
    bias: NDArray[np.float32]  # (unit,)
    bias_g: NDArray[np.float32]


@kernel
def _forward(lists, blocks, x, out):
    z, inputs, units = zero(64), lists.begin.size - 1, lists.bias.size
    for block in range(blocks):
        to = block * units * LANES
        for j in range(units):
            store(spread(z, lists.bias[j]), out, to + j * LANES)
        for k in range(inputs):
            a = load(z, x, (block * inputs + k) * LANES)
            for t in range(number(lists.begin, k), number(lists.begin, k + 1)):
                at = to + np.int64(number(lists.unit, t)) * LANES
                store(fma(number(lists.w, t), a, load(z, out, at)), out, at)


@kernel
def _backward(lists, blocks, x, delta, back):
    z, inputs, units = zero(64), lists.begin.size - 1, lists.bias.size
    lists.bias_g[:] = 0
    lists.g[:] = 0
    for block in range(blocks):
        to = block * units * LANES
        for j in range(units):
            lists.bias_g[j] += total(load(z, delta, to + j * LANES))
        for k in range(inputs):
            a, b = load(z, x, (block * inputs + k) * LANES), z
            for t in range(number(lists.begin, k), number(lists.begin, k + 1)):
                d = load(z, delta, to + np.int64(number(lists.unit, t)) * LANES)
                lists.g[t] += total(multiply(a, d))
                b = fma(number(lists.w, t), d, b)
            store(b, back, (block * inputs + k) * LANES)


@kernel
def _rectify(x, units, draws, images, threshold, factor):
    """ReLU in place; with `draws` `(image * unit,)` also dropout: what is drawn below `threshold` becomes 0."""
    z = zero(64)
    for i in range(0, x.size, LANES):
        store(positive(load(z, x, i)), x, i)
    if draws.size:
        for image in range(images):
            block, lane = image // LANES, image % LANES
            for j in range(units):
                at = (block * units + j) * LANES + lane
                x[at] = x[at] * factor if draws[image * units + j] >= threshold else x[at] * np.float32(0)


@kernel
def _through(x, d, factor):
    """The gradient `d` behind the rectifier and dropout that made `x`, in place."""
    z = zero(64)
    for i in range(0, x.size, LANES):
        a = where_active(load(z, x, i), load(z, d, i))
        store(multiply(spread(z, factor), a), d, i)


@kernel
def _add_biases(out, bias, blocks):
    z = zero(64)
    for block in range(blocks):
        for j in range(bias.size):
            at = (block * bias.size + j) * LANES
            store(add(load(z, out, at), spread(z, bias[j])), out, at)


@kernel
def _sum_units(delta, bias_g, blocks):
    z = zero(64)
    bias_g[:] = 0
    for block in range(blocks):
        for j in range(bias_g.size):
            bias_g[j] += total(load(z, delta, (block * bias_g.size + j) * LANES))


@dataclass(frozen=True)
class Layer:
    """A fully connected layer of one network.

    - `place`: `(entry,)` where its weights stand in the flat array `(unit, input)`; all of them in a dense layer
    - `mask`: of a dense layer, `(unit, input)` float32; else None
    - `x`, `d_x`: `(block * input * 64,)` its inputs and their gradients
    """

    name: str
    inputs: int
    units: int
    place: NDArray[np.int64]
    lists: Lists
    mask: NDArray[np.float32] | None
    x: NDArray[np.float32]
    d_x: NDArray[np.float32]

    def forward(self, blocks: int, out: NDArray[np.float32]) -> None:
        """`out` `(block, unit, image)` = weights · x + biases."""
        if self.mask is None:
            _forward(self.lists, blocks, self.x, out)
            return
        product = _torch().mm
        w, x, made = self._matrix(self.lists.w), self._blocks(self.x, self.inputs), self._blocks(out, self.units)
        for block in range(blocks):
            product(w, x[block], out=made[block])
        _add_biases(out, self.lists.bias, blocks)

    def backward(self, blocks: int, delta: NDArray[np.float32]) -> None:
        """From the gradient of the outputs those of weights and biases, and `d_x`."""
        if self.mask is None:
            _backward(self.lists, blocks, self.x, delta, self.d_x)
            return
        torch = _torch()
        w, g, mask = self._matrix(self.lists.w), self._matrix(self.lists.g), self._matrix(self.mask.ravel())
        x, d_x = (self._blocks(array, self.inputs) for array in (self.x, self.d_x))
        d = self._blocks(delta, self.units)
        for block in range(blocks):
            torch.mm(w.T, d[block], out=d_x[block])
            if block == 0:
                torch.mm(d[0], x[0].T, out=g)
            else:
                g.addmm_(d[block], x[block].T)
        g.mul_(mask)
        _sum_units(delta, self.lists.bias_g, blocks)

    def _matrix(self, flat: NDArray[np.float32]):
        return _torch().from_numpy(flat).view(self.units, self.inputs)

    def _blocks(self, flat: NDArray[np.float32], units: int):
        return _torch().from_numpy(flat).view(-1, units, LANES)


def _torch():
    import torch  # late: who reads published results needs none

    return torch


def is_dense(kept: NDArray[np.bool_]) -> bool:
    """Whether a layer with the mask `kept` is trained by dense products."""
    return kept.size >= LARGE and float(kept.mean()) > DENSE


def layer(
    name: str,
    kept: NDArray[np.bool_],
    w: NDArray[np.float32],
    g: NDArray[np.float32],
    bias: NDArray[np.float32],
    bias_g: NDArray[np.float32],
    blocks: int,
) -> Layer:
    """A layer with mask `kept` `(unit, input)`; `w`, `g` `(entry,)` and biases are views of the network's arrays."""
    units, inputs = kept.shape
    begin, unit = place_of(kept)[1:]
    room = [zeros(blocks * inputs * LANES) for _ in range(2)]
    lists = Lists(begin, unit, w, g, bias, bias_g)
    mask = kept.astype(np.float32) if is_dense(kept) else None
    return Layer(name, inputs, units, place_of(kept)[0], lists, mask, *room)


def place_of(kept: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int32]]:
    """Where each entry of a layer stands in its flat array, where each input's entries begin, and their units."""
    inputs = kept.shape[1]
    if is_dense(kept):
        return np.arange(kept.size), np.zeros(inputs + 1, np.int64), np.zeros(1, np.int32)
    at_input, at_unit = np.nonzero(kept.T)
    begin = np.concatenate([[0], np.cumsum(np.bincount(at_input, minlength=inputs))]).astype(np.int64)
    return at_unit * inputs + at_input, begin, at_unit.astype(np.int32)


def rectify(layer: Layer, units: NDArray[np.float32], draws: NDArray[np.int64], images: int, dropout: float) -> None:
    """What comes out of a hidden layer, in place: rectified, and dropped where `draws` has something."""
    _rectify(units, layer.units, draws, images, int(dropout * 2**24), np.float32(1 / (1 - dropout)))


def through(x: NDArray[np.float32], d: NDArray[np.float32], dropout: float) -> None:
    """The gradient behind `rectify`, in place."""
    _through(x, d, np.float32(1 / (1 - dropout)))
