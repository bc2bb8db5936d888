"""From a table of layers, weights and masks to the arrays of one network: what the walk in `network` goes through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lth_core.engines.convolutional import fully
from lth_core.engines.convolutional.backward import Inputs, Outputs
from lth_core.engines.convolutional.forward import Convolution, Source
from lth_core.engines.convolutional.lists import Lists, lists, strip
from lth_core.engines.convolutional.vectors import ADDED, IMAGES, KEPT, NORMED, PROJECTED, RAW, zeros
from lth_core.models import Layer, Masks, Parameters

Floats = NDArray[np.float32]
NONE = zeros(IMAGES)  # where a kernel reads nothing
BUFFERS = 3  # of gradients: two that a convolution reads, and one that it writes


@dataclass(frozen=True)
class Walk:
    """A convolution of the table, with the projection `beside` it that is computed in the same walk."""

    layer: Layer
    beside: Layer | None
    side: int  # of its inputs
    lists: Lists

    @property
    def layers(self) -> tuple[Layer, ...]:
        return (self.layer, self.beside) if self.beside else (self.layer,)


@dataclass(frozen=True)
class Flat:
    """All that the optimizer moves, end to end, weights as their lists have them.

    - `at`: name -> its slice; a projection's weights are in the slice of the convolution they are merged with
    - `w`, `m`, `v`, `g`: `(entry,)` values, first and second moments, gradients
    """

    at: dict[str, slice]
    w: Floats
    m: Floats
    v: Floats
    g: Floats


@dataclass(frozen=True)
class Norm:
    """Batch normalisation of a stage's outputs `part`; `layer` names its parameters."""

    layer: Layer
    part: slice
    gain: Floats
    bias: Floats
    gain_g: Floats
    bias_g: Floats
    running: tuple[Floats, Floats]  # mean, variance


@dataclass(frozen=True)
class Maps:
    """Maps that a convolution or the head reads: where they come from, and in which buffer their gradient lies.

    `made_by`: the stage whose outputs they are (-1: the images); `beside`: the one whose projection is added."""

    source: Source
    side: int
    channels: int
    made_by: int
    beside: int = -1
    pooled: bool = False
    buffer: int = -1


@dataclass(frozen=True)
class Stage:
    """A convolution of one network with its arrays.

    - `arrays`: `(output,)` each: scale, shift, mul, sub, times, over, plus, as in `norm`
    - `out`: gradient buffer of its own outputs, behind rectifier and pool; `far`: of its projection's, or -1
    """

    walk: Walk
    conv: Convolution
    maps: Maps
    z: Floats
    norms: tuple[Norm, ...]
    arrays: dict[str, Floats]
    gradient: Floats
    identity: bool
    out: int = -1
    far: int = -1

    @property
    def side(self) -> int:
        """Of its output maps."""
        return self.conv.side // self.conv.stride


def walks(table: Sequence[Layer], masks: Masks, side: int) -> list[Walk]:
    """The convolutions of a table in order, for images `side` pixels wide."""
    made: list[Walk] = []
    beside: Layer | None = None
    for layer in table:
        if len(layer.shape) == 2:
            break
        if layer.shortcut == "projected":
            beside = layer
            continue
        kept = masks.get(layer.weight, np.ones(layer.shape, bool))
        if beside is not None:
            kept = np.concatenate([kept, widened(masks.get(beside.weight, np.ones(beside.shape, bool)))])
        made.append(Walk(layer, beside, side, lists(kept, side, layer.stride)))
        side = side // layer.stride // (2 if layer.pool == "max" else 1)
        beside = None
    return made


def widened(w: NDArray) -> NDArray:
    """`(output, input, 1, 1)` as the centre of `(output, input, 3, 3)`."""
    made = np.zeros((*w.shape[:2], 3, 3), w.dtype)
    made[:, :, 1, 1] = w[:, :, 0, 0]
    return made


def joined(walk: Walk, arrays: Parameters) -> NDArray:
    """A walk's weights, flat: `(output, input, 3, 3)` with the projection's outputs behind the others."""
    if walk.beside is None:
        return arrays[walk.layer.weight].ravel()
    return np.concatenate([arrays[walk.layer.weight].ravel(), widened(arrays[walk.beside.weight]).ravel()])


def entries(table: Sequence[Layer], made: Sequence[Walk], arrays: Parameters, masks: Masks) -> dict[str, Floats]:
    """Parameters (or their moments) as the lists have them, by name: what `Flat` holds end to end."""
    found: dict[str, Floats] = {}
    for walk in made:
        found[walk.layer.weight] = joined(walk, arrays)[walk.lists.place]
        for layer in walk.layers:
            found |= {name: arrays[name] for name in layer.vectors}
    for layer in table:
        if len(layer.shape) == 2:
            kept = masks.get(layer.weight, np.ones(layer.shape, bool))
            found[layer.weight] = arrays[layer.weight].ravel()[fully.place_of(kept)[0]]
            found |= {name: arrays[name] for name in layer.vectors}
    return found


def flat(found: dict[str, Floats], adam: bool) -> Flat:
    """The optimizer's arrays with the entries `found` in them."""
    at, end = {}, 0
    for name, values in found.items():
        at[name] = slice(end, end + values.size)
        end += values.size
    w, m, g = (zeros(end) for _ in range(3))
    w[:] = np.concatenate(list(found.values()))
    return Flat(at, w, m, zeros(end) if adam else zeros(0), g)


def stages(made: Sequence[Walk], memory: Flat, statistics: Parameters, groups: int) -> tuple[list[Stage], Maps]:
    """All convolutions for batches of `groups` times 16 images, and the maps behind the last one."""
    first = made[0]
    maps = _images(first, groups)
    done: list[Stage] = []
    shortcut, beside = maps, -1
    for i, walk in enumerate(made):
        identity = walk.layer.shortcut == "from here"
        if identity or walk.beside:
            shortcut, beside = maps, i if walk.beside else -1
        stage = _stage(walk, maps, memory, statistics, groups, identity)
        done.append(stage)
        keep = i + 1 == len(made) or made[i + 1].layer.shortcut == "from here"
        maps = _behind(i, stage, done, shortcut, beside, keep, groups)
    return _with_buffers(done, maps)


def _images(walk: Walk, groups: int) -> Maps:
    channels = walk.layer.shape[1]
    x = zeros(groups * IMAGES * channels * walk.side**2)
    return Maps(Source(RAW, x, channels, NONE, NONE, NONE, 0, 0, NONE, NONE, x), walk.side, channels, -1)


def _stage(
    walk: Walk, maps: Maps, memory: Flat, statistics: Parameters, groups: int, identity: bool
) -> Stage:  # fmt: skip
    layer, found = walk.layer, walk.lists
    inputs, outputs = layer.shape[1], sum(x.shape[0] for x in walk.layers)
    side = walk.side // layer.stride
    at = memory.at[layer.weight]
    conv = Convolution(
        inputs, outputs, walk.side, layer.stride,
        found.blocks, found.begin, found.offset, zeros(len(found.place)),
        found.back_blocks, found.back_begin, found.back_offset, memory.w[at],
        strip(inputs * (walk.side + 2) * IMAGES * 4, side, layer.stride),
        strip(outputs * (side + 2) * IMAGES * 4, side, 1),
    )  # fmt: skip
    arrays = {name: zeros(outputs) for name in ("scale", "shift", "mul", "sub", "times", "over", "plus")}
    norms, begin = [], 0
    for x in walk.layers:
        part = slice(begin, begin + x.shape[0])
        begin = part.stop
        gain, *bias = (memory.at[name] for name in x.vectors)
        if x.norm:
            running = tuple(statistics[name].copy() for name in x.statistics)
            views = (memory.w[gain], memory.w[bias[0]], memory.g[gain], memory.g[bias[0]])
            norms.append(Norm(x, part, *views, running))  # type: ignore[arg-type]
        else:  # a bias: z · 1 + bias
            arrays["scale"][:], arrays["shift"] = 1, memory.w[gain]
            norms.append(Norm(x, part, NONE, memory.w[gain], NONE, memory.g[gain], (NONE, NONE)))
    z = zeros(groups * IMAGES * outputs * side**2)
    return Stage(walk, conv, maps, z, tuple(norms), arrays, memory.g[at], identity)


def _behind(
    i: int, stage: Stage, done: list[Stage], shortcut: Maps, beside: int, keep: bool, groups: int
) -> Maps:  # fmt: skip
    """The maps that stage `i` makes; `keep`: they are stored, because a shortcut or the head reads them."""
    layer, a = stage.walk.layer, stage.arrays
    channels, outputs = layer.shape[0], stage.conv.outputs
    scale, shift = a["scale"][:channels], a["shift"][:channels]
    size = groups * IMAGES * channels * stage.side**2
    if layer.pool == "max":
        h = zeros(size // 4)
        source = Source(RAW, h, channels, NONE, NONE, NONE, 0, 0, NONE, NONE, h)
        return Maps(source, stage.side // 2, channels, i, pooled=True)
    if layer.shortcut != "added":
        kind, h = (KEPT, zeros(size)) if keep else (NORMED, NONE)
        nothing = a["scale"]  # read, not used
        source = Source(kind, stage.z, outputs, scale, shift, NONE, 0, 0, nothing, nothing, h)
        return Maps(source, stage.side, channels, i)
    h = zeros(size)
    if beside < 0:
        source = Source(
            ADDED, stage.z, outputs, scale, shift, shortcut.source.h, channels, 0, scale, shift, h
        )  # fmt: skip
        return Maps(source, stage.side, channels, i)
    other, first = done[beside], done[beside].walk.layer.shape[0]
    source = Source(
        PROJECTED, stage.z, outputs, scale, shift, other.z, other.conv.outputs, first,
        other.arrays["scale"][first:], other.arrays["shift"][first:], h,
    )  # fmt: skip
    return Maps(source, stage.side, channels, i, beside=beside)


def _with_buffers(done: list[Stage], last: Maps) -> tuple[list[Stage], Maps]:
    """Give every gradient one of three buffers, from the last convolution to the first."""
    last = maps = replace(last, buffer=0)
    made: list[Stage] = []
    of_block = -1  # buffer of the gradient of the sum that ends a block
    for stage in reversed(done):
        out = maps.buffer if not maps.pooled else _free(maps.buffer)
        if stage.walk.layer.shortcut == "added":
            of_block = out
        far = of_block if stage.walk.beside else -1
        into = of_block if stage.identity else _free(out, far)
        maps = replace(stage.maps, buffer=into)
        made.append(replace(stage, maps=maps, out=out, far=far))
    return made[::-1], last


def _free(*used: int) -> int:
    return next(i for i in range(BUFFERS) if i not in used)


def outputs_of(stage: Stage, buffers: Sequence[Floats]) -> Outputs:
    """Where the backward walk reads the gradient of a stage's outputs."""
    a = stage.arrays
    return Outputs(
        stage.walk.layer.norm, stage.walk.layer.shape[0], buffers[stage.out], buffers[stage.far], stage.z,
        a["times"], a["over"], a["plus"],
    )  # fmt: skip


def inputs_of(stage: Stage, done: Sequence[Stage]) -> Inputs:
    """What the backward walk makes of a stage's inputs."""
    maps = stage.maps
    source, wanted = maps.source, maps.made_by >= 0
    made_by = done[maps.made_by]
    kind, x, channels = (
        (NORMED, source.z, source.z_channels) if source.kind == NORMED else (RAW, source.h, maps.channels)
    )
    count = 0 if maps.pooled or not wanted else 3 if maps.beside >= 0 else 2 if made_by.walk.layer.norm else 1
    other, other_channels, first, other_arrays = NONE, 0, 0, made_by.arrays
    if maps.beside >= 0:
        other, other_channels, first = source.other, source.other_channels, source.other_first
        other_arrays = done[maps.beside].arrays
    return Inputs(
        wanted, kind, x, channels, source.scale, source.shift, stage.identity, count,
        made_by.z, made_by.conv.outputs, made_by.arrays["mul"], made_by.arrays["sub"],
        other, other_channels, first, other_arrays["mul"][first:], other_arrays["sub"][first:],
    )  # fmt: skip
