"""Architectures as tables of layers, and the initial weights of one network. No torch: engines read these tables."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lth_core.draws import normal
from lth_core.spec import Spec, UsageError

Parameters = dict[str, NDArray[np.float32]]  # as in a PyTorch state dict: "fc1.weight" (out, in), "fc1.bias" (out,)
Masks = dict[str, NDArray[np.bool_]]  # "fc1.weight" -> same shape, True = kept; biases are never pruned

INPUTS = {"mnist": (784,), "digits": (64,), "cifar10": (3, 32, 32), "digits32": (3, 32, 32)}
CLASSES = 10


@dataclass(frozen=True)
class Layer:
    """One layer with weights. `role` decides its pruning rate: "conv", "fc", "out", or "free" (never pruned)."""

    name: str
    role: str
    shape: tuple[int, ...]  # (out, in) or (out, in, 3, 3)
    pool_after: bool = False  # 2x2 max-pooling follows

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


def layers(arch: str, dataset: str = "mnist") -> tuple[Layer, ...]:
    """The layers of an architecture, input to output.

    `lenet-H1-H2-...` is fully connected with ReLU (LeNet-300-100 in the papers); `conv-2`, `conv-4`, `conv-6` are the
    VGG-like nets of ICLR Figure 2. `conv-6-192` has the 192 channels that Conv-6's printed percentages fit.
    """
    shape = INPUTS[dataset]
    if re.fullmatch(r"lenet(-[1-9]\d*)+", arch):
        widths = [int(np.prod(shape)), *map(int, arch.split("-")[1:])]
        hidden = [Layer(f"fc{i}", "fc", (b, a)) for i, (a, b) in enumerate(pairwise(widths), 1)]
        return (*hidden, Layer("out", "out", (CLASSES, widths[-1])))
    if match := re.fullmatch(r"conv-([246])(?:-([1-9]\d*))?", arch):
        if len(shape) != 3:
            raise UsageError(f"arch = {arch!r} needs images, not {dataset!r}: choose cifar10 or digits32.")
        depth, third = int(match[1]), int(match[2] or 256)
        channels = [c for c in (64, 64, 128, 128, third, third)][:depth]
        convs, previous = [], shape[0]
        for i, c in enumerate(channels, 1):
            convs.append(Layer(f"conv{i}", "conv", (c, previous, 3, 3), pool_after=i % 2 == 0))
            previous = c
        side = shape[1] >> (depth // 2)
        sizes = [previous * side * side, 256, 256]
        return (
            *convs,
            Layer("fc1", "fc", (sizes[1], sizes[0])),
            Layer("fc2", "fc", (sizes[2], sizes[1])),
            Layer("out", "out", (CLASSES, sizes[2])),
        )
    raise UsageError(f"arch = {arch!r} does not exist; allowed: lenet-H1-H2-... (e.g. lenet-300-100), conv-2/4/6.")


def weight_count(arch: str, dataset: str = "mnist") -> int:
    """Weights without biases, as the ICLR paper counts them (266,200 for LeNet-300-100 on MNIST)."""
    return sum(int(np.prod(layer.shape)) for layer in layers(arch, dataset))


def init_sd(spec: Spec, layer: Layer) -> float:
    """Standard deviation of a layer's initial weights: Glorot's sqrt(2 / (fan in + fan out)), or `spec.init_sd`."""
    return float(np.sqrt(2 / sum(layer.fans))) if spec.init == "glorot" else spec.init_sd


def initial(spec: Spec, purpose: tuple[str | int, ...] = ("init",)) -> Parameters:
    """Initial parameters before any mask: weights as `spec.init` says, biases 0.

    Keyed by seed, trial, `purpose` and layer: the same for every learning rate, round and ticket of a trial.
    """
    made: Parameters = {}
    for layer in layers(spec.arch, spec.dataset):
        key = (spec.seed, spec.trial, *purpose, layer.name)
        values = normal(key, layer.shape, truncate=2.0 if spec.init == "truncated" else 0.0)
        made[layer.weight] = values * np.float32(init_sd(spec, layer))
        made[layer.bias] = np.zeros(layer.shape[0], np.float32)
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
    """

    curves: dict[str, NDArray]
    weights: Parameters
    seconds: float
    engine: str
    snapshot: Parameters | None = None  # unused
