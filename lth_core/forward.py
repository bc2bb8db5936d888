"""From images to logits: networks of one architecture side by side in torch, as their table of layers says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lth_core.models import Layer

Drop = Callable[[Tensor, int], Tensor]  # (activations, index of the layer) -> activations


def forward(
    table: Sequence[Layer],
    weights: dict[str, Tensor],
    x: Tensor,
    drop: Drop | None = None,
    training: bool = False,
) -> Tensor:
    """Logits `(network, image, class)` of images `(network, image, feature)` or `(network, image, channel, y, x)`.

    - `weights`: `(network, ...)` by name; with `training`, the statistics of batch normalisation among them move
    - `drop(x, layer index)`: applied to the output of hidden fully connected layers
    """
    if len(table[0].shape) > 2:
        x = _convolved(table, weights, x, training)
    for i, layer in enumerate(table):
        if len(layer.shape) > 2:
            continue
        x = _connected(weights[layer.weight], weights[layer.bias], x)
        if layer is not table[-1]:
            x = F.relu(x) if drop is None else drop(F.relu(x), i)
    return x


def _connected(weight: Tensor, bias: Tensor, x: Tensor) -> Tensor:
    """A fully connected layer of each network: `(network, image, output)` of `x` `(network, image, input)`.

    On a CPU network by network. MKL shares one batched product out among its threads by how many networks there are,
    so that a row's last bits depended on its cohort (with two networks as with one, and without AVX-512 in most
    layers). Products of its own are the same calls in every cohort, for a sixth more processor time."""
    # weights on the left: their gradient then lies as they do and is not turned over in every step
    if x.is_cuda:
        return torch.baddbmm(bias.unsqueeze(2), weight, x.transpose(1, 2)).transpose(1, 2)
    each = zip(weight.unbind(), bias.unbind(), x.unbind(), strict=True)
    return torch.stack([torch.addmm(b.unsqueeze(1), w, inputs.T) for w, b, inputs in each]).transpose(1, 2)


def layout(table: Sequence[Layer]) -> torch.memory_format:
    """How maps lie in memory: channels last, except in networks so narrow (profile quick) that their channels fill no
    vector. There batch normalisation was 15 times slower on a CPU."""
    narrow = min(layer.shape[0] for layer in table if len(layer.shape) > 2) < 8
    return torch.contiguous_format if narrow else torch.channels_last


def _convolved(table: Sequence[Layer], weights: dict[str, Tensor], x: Tensor, training: bool) -> Tensor:
    """Features `(network, image, feature)` after the last convolution.

    Network by network: grouped convolution was 2.7 times slower on a CPU."""
    maps = [m.to(memory_format=layout(table)) for m in x.unbind()]
    kept = maps
    for layer in table:
        if len(layer.shape) == 2:
            break
        if layer.shortcut == "from here":
            kept = maps
        made = [_layer(layer, weights, n, m, training) for n, m in enumerate(maps)]
        if layer.shortcut == "projected":
            kept = made
            continue
        if layer.shortcut == "added":
            made = [m + k for m, k in zip(made, kept, strict=True)]
        if layer.pool == "max":  # before the rectifier, which commutes with it and then has a quarter of the work
            made = [F.max_pool2d(m, 2) for m in made]
        maps = [F.relu(m) for m in made]
        if layer.pool == "mean":
            maps = [m.mean((2, 3), keepdim=True) for m in maps]
    return torch.stack([m.flatten(1) for m in maps])


def _layer(layer: Layer, weights: dict[str, Tensor], n: int, x: Tensor, training: bool) -> Tensor:
    """Convolution of network `n`, with its bias or batch normalisation."""
    w = weights[layer.weight][n]
    bias = None if layer.norm else weights[layer.bias][n]
    x = F.conv2d(x, w, bias, layer.stride, padding=layer.shape[-1] // 2)
    if not layer.norm:
        return x
    mean, variance = (weights[name][n] for name in layer.statistics)
    scale, shift = (weights[name][n] for name in layer.vectors)
    return F.batch_norm(x, mean, variance, scale, shift, training)
