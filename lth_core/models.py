"""Architectures as tables of layers, and the initial weights of one network. No torch: engines read these tables."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lth_core.data import KNOWN
from lth_core.draws import normal
from lth_core.errors import UsageError
from lth_core.spec import Spec

Parameters = dict[str, NDArray[np.float32]]  # as in a PyTorch state dict: "fc1.weight" (out, in), "fc1.bias" (out,)
Masks = dict[str, NDArray[np.bool_]]  # "fc1.weight" -> same shape, True = kept; biases are never pruned

# What an evaluation measures, as columns: "train_loss", "train_correct", the same of val and test.
MEASURED = tuple(f"{part}_{what}" for part in ("train", "val", "test") for what in ("loss", "correct"))
INPUTS = {d.name: d.shape for d in KNOWN.values()}
CLASSES = 10


@dataclass(frozen=True)
class Layer:
    """One layer with weights. `role` decides its pruning rate: "conv", "fc", "out", or "free" (never pruned)."""

    name: str
    role: str
    shape: tuple[int, ...]  # (out, in) or (out, in, side, side)
    pool: str = ""  # what follows: "max" (2x2 max-pooling) or "mean" (over the whole map)
    norm: bool = False  # batch normalisation follows; it has the bias
    stride: int = 1
    shortcut: str = ""  # residual nets: "from here", "projected" (this layer projects it) or "added" (to this layer)

    @property
    def weight(self) -> str:
        return f"{self.name}.weight"

    @property
    def bias(self) -> str:
        return f"{self.name}.bias"

    @property
    def fans(self) -> tuple[int, int]:
        """(fan in, fan out), counting the kernel's area."""
        area = int(np.prod(self.shape[2:], dtype=int))
        return self.shape[1] * area, self.shape[0] * area

    @property
    def vectors(self) -> dict[str, float]:
        """The layer's other parameters, one number a unit, and what each starts from."""
        if not self.norm:
            return {self.bias: 0.0}
        return {f"{self.name}.norm.weight": 1.0, f"{self.name}.norm.bias": 0.0}

    @property
    def statistics(self) -> dict[str, float]:
        """What batch normalisation remembers of its inputs for evaluation; moved by training, not by gradients."""
        return {f"{self.name}.norm.running_mean": 0.0, f"{self.name}.norm.running_var": 1.0} if self.norm else {}


def layers(arch: str, dataset: str = "mnist") -> tuple[Layer, ...]:
    """The layers of an architecture, input to output.

    `lenet-H1-H2-...` is fully connected with ReLU (LeNet-300-100 in the papers); `conv-2`, `conv-4`, `conv-6` are the
    VGG-like nets of ICLR Figure 2. `conv-6-192` has the 192 channels that Conv-6's printed percentages fit.
    `resnet-18` and `vgg-19` are those of ICLR section 4 (Appendix I); `resnet-18-8` and `vgg-19-8` are narrow ones,
    whose first layer has 8 channels.
    """
    shape = INPUTS[dataset]
    if re.fullmatch(r"lenet(-[1-9]\d*)+", arch):
        widths = [int(np.prod(shape)), *map(int, arch.split("-")[1:])]
        hidden = [Layer(f"fc{i}", "fc", (b, a)) for i, (a, b) in enumerate(pairwise(widths), 1)]
        return (*hidden, Layer("out", "out", (CLASSES, widths[-1])))
    if match := re.fullmatch(r"conv-(2|4|6)(?:(?<=6)-([1-9]\d*))?", arch):
        return _conv(int(match[1]), int(match[2] or 256), _images(arch, dataset))
    if match := re.fullmatch(r"(resnet-18|vgg-19)(?:-([1-9]\d*))?", arch):
        make, width = (_resnet, 16) if match[1] == "resnet-18" else (_vgg, 64)
        return make(int(match[2] or width), _images(arch, dataset))
    raise UsageError(
        f"arch = {arch!r} does not exist; allowed: lenet-H1-H2-... (e.g. lenet-300-100), conv-2/4/6, resnet-18, vgg-19."
    )


def _images(arch: str, dataset: str) -> tuple[int, ...]:
    """(channels, height, width) of a data set's images."""
    shape = INPUTS[dataset]
    if len(shape) != 3:
        raise UsageError(f"arch = {arch!r} needs images, not {dataset!r}: choose cifar10, digits16 or digits32.")
    return shape


def _conv(depth: int, third: int, images: tuple[int, ...]) -> tuple[Layer, ...]:
    """Conv-2, -4, -6: pairs of convolutions with max-pooling, then two hidden layers (ICLR Figure 2)."""
    channels = [images[0], *(c for c in (64, 64, 128, 128, third, third))][: depth + 1]
    convs = [
        Layer(f"conv{i}", "conv", (b, a, 3, 3), pool="" if i % 2 else "max")
        for i, (a, b) in enumerate(pairwise(channels), 1)
    ]
    side = images[1] >> (depth // 2)
    sizes = [channels[-1] * side * side, 256, 256]
    hidden = [Layer(f"fc{i}", "fc", (b, a)) for i, (a, b) in enumerate(pairwise(sizes), 1)]
    return (*convs, *hidden, Layer("out", "out", (CLASSES, sizes[-1])))


def _resnet(width: int, images: tuple[int, ...]) -> tuple[Layer, ...]:
    """The 20-layer residual net for CIFAR-10 that the paper calls ResNet-18: 271 thousand weights at width 16.

    Projections on shortcuts and the output layer are never pruned (ICLR I.3); 2,560 and 640 weights at width 16."""
    made = [Layer("conv1", "conv", (width, images[0], 3, 3), norm=True)]
    previous = width
    for stage in range(3):
        out = width << stage
        for block in range(3):
            name, stride = f"stage{stage + 1}.block{block + 1}", 2 if stage and not block else 1
            begin = "from here"
            if out != previous:
                shape = (out, previous, 1, 1)
                made.append(Layer(f"{name}.shortcut", "free", shape, norm=True, stride=stride, shortcut="projected"))
                begin = ""
            made.append(Layer(f"{name}.conv1", "conv", (out, previous, 3, 3), norm=True, stride=stride, shortcut=begin))
            made.append(Layer(f"{name}.conv2", "conv", (out, out, 3, 3), norm=True, shortcut="added"))
            previous = out
    made[-1] = replace(made[-1], pool="mean")
    return (*made, Layer("out", "free", (CLASSES, previous)))


def _vgg(width: int, images: tuple[int, ...]) -> tuple[Layer, ...]:
    """VGG-19 after Liu et al. (2019): 16 convolutions with batch normalisation, the mean of the last maps, one layer.

    20 million weights at width 64; the output layer's 5,120 are never pruned (ICLR I.2)."""
    made: list[Layer] = []
    previous = images[0]
    for group, (factor, count) in enumerate(((1, 2), (2, 2), (4, 4), (8, 4), (8, 4))):
        for i in range(count):
            last = i == count - 1
            pool = "" if not last else "mean" if group == 4 else "max"
            shape = (width * factor, previous, 3, 3)
            made.append(Layer(f"conv{len(made) + 1}", "conv", shape, pool=pool, norm=True))
            previous = shape[0]
    return (*made, Layer("out", "free", (CLASSES, previous)))


def weight_count(arch: str, dataset: str = "mnist") -> int:
    """Weights without biases, as the ICLR paper counts them (266,200 for LeNet-300-100 on MNIST)."""
    return sum(int(np.prod(layer.shape)) for layer in layers(arch, dataset))


def init_sd(spec: Spec, layer: Layer) -> float:
    """Standard deviation of a layer's initial weights: Glorot's sqrt(2 / (fan in + fan out)), or `spec.init_sd`."""
    return float(np.sqrt(2 / sum(layer.fans))) if spec.init == "glorot" else spec.init_sd


def initial(spec: Spec, purpose: tuple[str | int, ...] = ("init",)) -> Parameters:
    """Initial parameters before any mask: weights as `spec.init` says, biases 0, batch normalisation 1 and 0.

    Keyed by seed, trial, `purpose` and layer: the same for every learning rate, round and ticket of a trial.
    """
    made: Parameters = {}
    for layer in layers(spec.arch, spec.dataset):
        key = (spec.seed, spec.trial, *purpose, layer.name)
        values = normal(key, layer.shape, truncate=2.0 if spec.init == "truncated" else 0.0)
        made[layer.weight] = values * np.float32(init_sd(spec, layer))
        for name, value in {**layer.vectors, **layer.statistics}.items():
            made[name] = np.full(layer.shape[0], value, np.float32)
    return made


def drawn(spec: Spec) -> Parameters:
    """`initial`, drawn once for all rows that start alike: these arrays are read, never written into."""
    return _drawn(spec.arch, spec.dataset, spec.init, spec.init_sd, spec.seed, spec.trial)


@lru_cache(maxsize=32)
def _drawn(arch: str, dataset: str, init: str, init_sd: float, seed: int, trial: int) -> Parameters:
    made = initial(Spec(arch=arch, dataset=dataset, init=init, init_sd=init_sd, seed=seed, trial=trial))
    for values in made.values():
        values.flags.writeable = False
    return made


@dataclass(frozen=True)
class Network:
    """One row ready to train. `weights` are already zero where `masks` are False."""

    spec: Spec
    weights: Parameters
    masks: Masks


@dataclass(frozen=True)
class Trained:
    """What one training leaves.

    - `curves`: column -> `(evaluation,)`; "iteration", and for each of train (a fixed sample), val and test the mean
      cross-entropy "val_loss" (float32) and the number of right answers "val_correct" (int32)
    - `weights`: parameters after the last iteration, exactly 0 where masked
    - `details`: what else its last bits depend on, for the cell's provenance
    """

    curves: dict[str, NDArray]
    weights: Parameters
    seconds: float
    engine: str
    details: dict[str, str] = field(default_factory=dict)
