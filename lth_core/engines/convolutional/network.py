"""One network in training: the walk through its layers, forward and backward, on arrays made once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional import fully, norm
from lth_core.engines.convolutional.backward import gradients, gradients_narrow
from lth_core.engines.convolutional.forward import convolve, convolve_narrow
from lth_core.engines.convolutional.images import draw, lay
from lth_core.engines.convolutional.plan import (
    BUFFERS,
    NONE,
    Floats,
    Maps,
    Stage,
    entries,
    flat,
    inputs_of,
    outputs_of,
    stages,
    walks,
)
from lth_core.engines.convolutional.pooling import activate, from_units, pool, to_units, unpool
from lth_core.engines.convolutional.room import on_shared_maps
from lth_core.engines.convolutional.vectors import IMAGES, RAW, SUMS, TILE, zeros
from lth_core.engines.sparse.kernels import CLASSES, LANES, Rule, loss_gradient, score
from lth_core.models import Layer, Masks, Parameters

NOTHING = np.zeros(0, np.int64)


class Convolutional:
    """A network of convolutions and fully connected layers, its optimizer's state, and room for a batch.

    - `table`: its layers; `side`: width of its images, which must be even after every stride and pool
    - `batch`: images of a step
    - `dropout`: share of hidden fully connected units that a step drops, drawn with the key `dropped`
    """

    def __init__(
        self,
        table: Sequence[Layer],
        weights: Parameters,
        masks: Masks,
        side: int,
        batch: int,
        adam: bool = False,
        dropout: float = 0.0,
        dropped: int = 0,
    ) -> None:
        self.table, self.masks, self.batch = table, masks, batch
        self.dropout, self.dropped = dropout, dropped
        groups = -(-batch // IMAGES)
        self.blocks = -(-batch // LANES)
        self.walks = walks(table, masks, side)
        self.memory = flat(entries(table, self.walks, weights, masks), adam)
        self.stages, self.last = stages(self.walks, self.memory, weights, groups)
        self.evaluating = on_shared_maps(self.stages, self.last)
        self.x = self.stages[0].maps.source.z
        self._make_room(groups)
        self.fully = [self._fully(layer) for layer in table if len(layer.shape) == 2]
        self.hidden = [i for i, layer in enumerate(table) if len(layer.shape) == 2]
        self.logits, self.delta = (zeros(self.blocks * CLASSES * LANES) for _ in range(2))
        self.outputs = [outputs_of(stage, self.buffers) for stage in self.stages]
        self.inputs = [inputs_of(stage, self.stages) for stage in self.stages]
        self.refresh()

    def _make_room(self, groups: int) -> None:
        sizes = [0] * BUFFERS
        for stage in self.stages:
            own = groups * IMAGES * stage.walk.layer.shape[0] * stage.side**2
            sizes[stage.out] = max(sizes[stage.out], own)
            if stage.maps.buffer >= 0:
                maps = groups * IMAGES * stage.maps.channels * stage.maps.side**2
                sizes[stage.maps.buffer] = max(sizes[stage.maps.buffer], maps)
        last = groups * IMAGES * self.last.channels * self.last.side**2
        sizes[self.last.buffer] = max(sizes[self.last.buffer], last)
        self.buffers = [zeros(size) for size in sizes]
        conv = [stage.conv for stage in self.stages]
        rows = [(c.strip * c.stride + 3 - c.stride) * c.inputs * (c.side + 2) for c in conv]
        rows += [(c.back_strip + 2) * c.outputs * (c.side // c.stride + 2) for c in conv]
        self.scratch = zeros(max(rows) * IMAGES)
        self.weight_lanes = zeros(max(c.back_w.size for c in conv) * SUMS + IMAGES)
        channels = max(max(c.inputs, c.outputs) for c in conv)
        self.lanes, self.there = zeros(3 * channels * IMAGES), zeros(IMAGES)
        self.sums = np.zeros(3 * channels)
        self.top, self.norm, self.e = zeros(LANES), zeros(LANES), zeros(CLASSES * LANES)

    def _fully(self, layer: Layer) -> fully.Layer:
        at, bias = self.memory.at[layer.weight], self.memory.at[layer.bias]
        kept = self.masks.get(layer.weight, np.ones(layer.shape, bool))
        w, g = self.memory.w, self.memory.g
        return fully.layer(layer.name, kept, w[at], g[at], w[bias], g[bias], self.blocks)

    def refresh(self) -> None:
        """Bring the forward lists up to the weights."""
        for stage in self.stages:
            norm.refresh(stage.conv.w, stage.conv.back_w, stage.walk.lists.refresh)

    def step(
        self,
        pixels: NDArray[np.uint8],
        index: NDArray[np.int32],
        labels: NDArray[np.uint8],
        value: Floats,
        draws: NDArray[np.int64],
        rule: Rule,
        iteration: int,
    ) -> None:
        """One iteration on the images `index` of `pixels`; other arguments as in `images.lay` and `kernels.Rule`."""
        self.gradient(pixels, index, labels, value, draws, iteration)
        m = self.memory
        norm.update(m.w, m.m, m.v, m.g, rule.kind, rule.decay, rule.step[iteration], rule.root[iteration])
        self.refresh()

    def gradient(self, pixels, index, labels, value, draws, iteration: int = 0) -> None:
        """Leave in `memory.g` the gradient of the mean cross-entropy of a batch."""
        n = len(index)
        lay(pixels, index, value, draws, self.stages[0].maps.channels, self.stages[0].maps.side, self.x)
        self._convolve(self.stages, self.last, n, True)
        self._classify(n, True, iteration)
        for block in range(-(-n // LANES)):
            part = slice(block * CLASSES * LANES, (block + 1) * CLASSES * LANES)
            some = labels[block * LANES : (block + 1) * LANES]
            loss_gradient(self.logits[part], some, n, self.delta[part], self.top, self.norm)
        self._backward(n)

    def evaluate(
        self, pixels: NDArray[np.uint8], index: NDArray[np.int32], labels: NDArray[np.uint8], value: Floats
    ) -> tuple[np.float32, int]:
        """Mean cross-entropy and number of right answers on the images `index`, with running statistics."""
        loss, right = 0.0, 0
        for stage in self.stages:
            for n in stage.norms:
                if n.layer.norm:
                    scale, shift = stage.arrays["scale"][n.part], stage.arrays["shift"][n.part]
                    norm.freeze(n.gain, n.bias, *n.running, scale, shift)
        for begin in range(0, len(index), LANES):
            some = index[begin : begin + LANES]
            for first in range(0, len(some), IMAGES):
                group = some[first : first + IMAGES]
                lay(pixels, group, value, NOTHING, self.stages[0].maps.channels, self.stages[0].maps.side, self.x)
                self._convolve(*self.evaluating, len(group), False, first // IMAGES)
            self._classify(len(some), False)
            block_loss, block_right = score(self.logits, labels[some], self.top, self.e, self.norm)
            loss, right = loss + block_loss, right + block_right
        return np.float32(loss / len(index)), int(right)

    def _convolve(self, convs: Sequence[Stage], last: Maps, n: int, training: bool, first: int = 0) -> None:
        """From the images in `x` to the units of the first fully connected layer, the `first` group's and others."""
        for i, stage in enumerate(convs):
            layer, a = stage.walk.layer, stage.arrays
            walk = convolve if stage.side % TILE == 0 else convolve_narrow
            count = training and layer.norm
            sums = self.sums[: 2 * stage.conv.outputs]
            walk(stage.conv, stage.maps.source, n, self.scratch, stage.z, self.lanes, sums, count)
            if count:
                for x in stage.norms:
                    part = x.part
                    some = sums[2 * part.start : 2 * part.stop]
                    made = (a[name][part] for name in ("scale", "shift", "mul", "sub"))
                    norm.normalize(some, n * stage.side**2, x.gain, x.bias, *x.running, *made)
            if layer.pool == "max":
                h = (convs[i + 1].maps if i + 1 < len(convs) else last).source.h
                pool(stage.z, layer.shape[0], stage.side, n, a["scale"], a["shift"], h)
        if last.source.kind != RAW:
            activate(last.source, last.channels, last.side, n)
        mean = self.walks[-1].layer.pool == "mean"
        to_units(last.source.h, last.channels, last.side, n, mean, self.fully[0].x, first)

    def _classify(self, n: int, training: bool, iteration: int = 0) -> None:
        """From units to logits."""
        blocks = self.blocks if training else 1
        for i, (own, index) in enumerate(zip(self.fully, self.hidden, strict=True)):
            final = i == len(self.fully) - 1
            out = self.logits if final else self.fully[i + 1].x[: blocks * own.units * LANES]
            own.forward(blocks, out)
            if not final:
                drops = NOTHING
                if training and self.dropout:
                    drops = np.empty(n * own.units, np.int64)
                    draw(self.dropped + index, iteration, drops)
                fully.rectify(own, out, drops, n, self.dropout if training else 0.0)

    def _maps_behind(self, i: int) -> Maps:
        return self.stages[i + 1].maps if i + 1 < len(self.stages) else self.last

    def _backward(self, n: int) -> None:
        delta = self.delta
        for i in range(len(self.fully) - 1, -1, -1):
            layer = self.fully[i]
            layer.backward(self.blocks, delta)
            if i:
                fully.through(layer.x, layer.d_x, self.dropout)
            delta = layer.d_x
        self._through_units(n)
        for i in range(len(self.stages) - 1, -1, -1):
            stage = self.stages[i]
            if stage.walk.layer.pool == "max":
                self._through_pool(i, n)
            walk = gradients if stage.side % TILE == 0 else gradients_narrow
            d = self.buffers[stage.maps.buffer] if i else NONE
            sums = self.sums[: 3 * stage.conv.inputs]
            walk(
                stage.conv, self.outputs[i], self.inputs[i], n, self.scratch, d, self.weight_lanes, self.lanes,
                self.there, sums, stage.gradient,
            )  # fmt: skip
            if i and not stage.maps.pooled:
                self._differentiate(stage.maps, sums, n)

    def _through_units(self, n: int) -> None:
        last, layer = self.last, self.walks[-1].layer
        stage = self.stages[last.made_by]
        sums = self.sums[: 3 * last.channels]
        from_units(
            self.fully[0].d_x, last.source.h, last.channels, last.side, n, layer.pool == "mean", stage.z,
            stage.arrays["mul"], stage.arrays["sub"], 0 if last.pooled else 2, self.buffers[last.buffer],
            self.lanes, sums,
        )  # fmt: skip
        if not last.pooled:
            self._differentiate(last, sums, n)

    def _through_pool(self, i: int, n: int) -> None:
        stage, a = self.stages[i], self.stages[i].arrays
        channels = stage.conv.outputs
        sums = self.sums[: 3 * channels]
        unpool(
            self.buffers[self._maps_behind(i).buffer], stage.z, channels, stage.side, n, a["scale"], a["shift"],
            a["mul"], a["sub"], self.buffers[stage.out], self.lanes, sums,
        )  # fmt: skip
        self._differentiate(self._maps_behind(i), sums, n)

    def _differentiate(self, maps: Maps, sums: NDArray[np.float64], n: int) -> None:
        """Batch normalisation's (or the biases') gradients, once the sums of the maps' gradient are known."""
        for column, at in ((1, maps.made_by), (2, maps.beside)):
            if at < 0:
                continue
            stage = self.stages[at]
            x, a = stage.norms[column - 1 if column == 2 else 0], stage.arrays
            if not x.layer.norm:
                norm.bias_gradients(sums, x.bias_g)
                continue
            made = (a[name][x.part] for name in ("mul", "sub", "times", "over", "plus"))
            norm.differentiate(sums, column, n * stage.side**2, x.gain, *made, x.gain_g, x.bias_g)

    def _whole(self, values: Floats) -> Parameters:
        """Entries as named arrays in the table's order and shapes, 0 where no weight lives."""
        made: Parameters = {}
        for walk in self.walks:
            layer, beside = walk.layer, walk.beside
            outputs, inputs = sum(x.shape[0] for x in walk.layers), layer.shape[1]
            full = np.zeros(outputs * inputs * 9, np.float32)
            full[walk.lists.place] = values[self.memory.at[layer.weight]]
            square = full.reshape(outputs, inputs, 3, 3)
            made[layer.weight] = square[: layer.shape[0]].copy()
            if beside:
                made[beside.weight] = square[layer.shape[0] :, :, 1:2, 1:2].copy()
        for layer, own in zip((x for x in self.table if len(x.shape) == 2), self.fully, strict=True):
            full = np.zeros(layer.shape[0] * layer.shape[1], np.float32)
            full[own.place] = values[self.memory.at[layer.weight]]
            made[layer.weight] = full.reshape(layer.shape)
        for name, at in self.memory.at.items():
            if name not in made:
                made[name] = values[at].copy()
        return {name: made[name] for x in self.table for name in (x.weight, *x.vectors)}

    def statistics(self) -> Parameters:
        """Running means and variances by name."""
        found: Parameters = {}
        for stage in self.stages:
            for n in stage.norms:
                found |= {name: values.copy() for name, values in zip(n.layer.statistics, n.running, strict=False)}
        return {name: found[name] for x in self.table for name in x.statistics}

    def parameters(self) -> Parameters:
        """Parameters and statistics in the order of the table, as `models.initial` has them."""
        made = {**self._whole(self.memory.w), **self.statistics()}
        return {name: made[name] for x in self.table for name in (x.weight, *x.vectors, *x.statistics)}

    def moments(self) -> tuple[Parameters, Parameters]:
        """The optimizer's first and second moments by name; no second ones without Adam."""
        return self._whole(self.memory.m), self._whole(self.memory.v) if self.memory.v.size else {}

    def set_moments(self, first: Parameters, second: Parameters) -> None:
        """Put back what `moments` gave."""
        for values, array in ((first, self.memory.m), (second, self.memory.v)):
            if values:
                array[:] = np.concatenate(list(entries(self.table, self.walks, values, self.masks).values()))
