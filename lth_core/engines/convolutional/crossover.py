"""Which rows train faster on the compiled convolutional engine than on the dense one, on a CPU with a network a core.

Measured by `benchmarks/convolutional.py` with the papers' batches, on two cores with AVX-512 and on two with AVX2:
between the rounds that were timed, times per step are interpolated in density. Other processors were not timed. Whoever
has one network and many cores may find other numbers, and asks for an engine by name.
"""

from __future__ import annotations

import numpy as np

from lth_core import prune
from lth_core.models import INPUTS, layers
from lth_core.spec import Spec

# By a processor's vectors and architecture: up to which `share` the compiled engine does more steps a second than torch
# in its fastest setting. VGG-19 was not timed at larger ones.
FASTER_UP_TO = {
    "AVX-512": {"conv-2": 0.91, "conv-4": 0.83, "conv-6": 0.78, "resnet-18": 1.0, "vgg-19": 0.4},
    "AVX2": {"conv-2": 0.8, "conv-4": 0.73, "conv-6": 0.6, "resnet-18": 1.0, "vgg-19": 0.4},
}
LONG = 1_000  # iterations from which on a training repays half a minute of compiling, which is needed once


def pixels(arch: str, dataset: str) -> dict[str, int]:
    """How many pixels of an image each layer's weights are multiplied with, by the weights' name."""
    side, made = INPUTS[dataset][-1], {}
    for layer in layers(arch, dataset):
        if len(layer.shape) == 2:
            made[layer.weight] = 1
            continue
        after = side // layer.stride
        made[layer.weight] = after**2
        if layer.shortcut != "projected":  # lies beside the block's first convolution, which has the same stride
            side = after // 2 if layer.pool == "max" else after
    return made


def even(arch: str, dataset: str) -> bool:
    """Whether the maps of all convolutions have an even width: the engine computes two pixels at once."""
    area = pixels(arch, dataset)
    maps = [area[x.weight] for x in layers(arch, dataset) if len(x.shape) == 4]
    return not any(n % 2 for n in (INPUTS[dataset][-1], *maps))


def share(spec: Spec) -> float:
    """What pruning leaves of a row's work: of its multiply-adds where each layer has its rate; of its weights where one
    threshold for all decides. (Large maps then keep more than their part, which `FASTER_UP_TO` allows for.)"""
    if spec.scope != "layer":
        return prune.density(spec)
    area, left = pixels(spec.arch, spec.dataset), prune.plan(spec)
    table = layers(spec.arch, spec.dataset)
    whole = sum(area[x.weight] * int(np.prod(x.shape)) for x in table)
    return sum(area[x.weight] * left.get(x.weight, int(np.prod(x.shape))) for x in table) / whole


def wins(spec: Spec, vectors: str) -> bool:
    """Whether the compiled engine was measured to train such a row faster, on a processor with these `vectors`."""
    return spec.iterations >= LONG and share(spec) <= FASTER_UP_TO.get(vectors, {}).get(spec.arch, 0.0)
