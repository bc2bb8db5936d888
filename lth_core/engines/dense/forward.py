"""From images to logits: networks of one architecture side by side in torch, as their table of layers says.

How convolutions of several networks run on a GPU is `$LTH_CONVOLUTIONS` (a CPU always loops):
  grouped    all networks in one grouped convolution: on an H100 twice as fast as the other, the default
  looped     network by network
and how their maps lie there is `$LTH_LAYOUT`, "last" (channels last) or "first". Results agree within rounding.
(Networks in streams of their own were as fast as grouped ones, and in bf16 came out as NaN.)
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from lth_core.errors import UsageError
from lth_core.models import Layer

Drop = Callable[[Tensor, int], Tensor]  # (activations, index of the layer) -> activations


def way() -> str:
    """How networks are convolved on a GPU; UsageError for what does not exist."""
    name = os.environ.get("LTH_CONVOLUTIONS", "grouped")
    if name not in ("grouped", "looped"):
        raise UsageError(f"LTH_CONVOLUTIONS = {name!r} does not exist; allowed: grouped, looped.")
    return name


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
        own = _cast([layer for layer in table if len(layer.shape) > 2], weights, x.device.type)
        if x.is_cuda and training and way() == "grouped":  # an evaluation's maps of all networks at once would not fit
            x = grouped(table, own, x)
        else:
            x = _convolved(table, own, x, training)
    else:
        x = x.flatten(2)  # pixels of images are features
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
    layers). Products of its own are the same calls in every cohort, for 14% more processor time
    alone and 39% for twenty networks."""
    # weights on the left: their gradient then lies as they do and is not turned over in every step
    if x.is_cuda:
        return torch.baddbmm(bias.unsqueeze(2), weight, x.transpose(1, 2)).transpose(1, 2)
    each = zip(map(_aligned, weight.unbind()), bias.unbind(), map(_aligned, x.unbind()), strict=True)
    return torch.stack([torch.addmm(b.unsqueeze(1), w, inputs.T) for w, b, inputs in each]).transpose(1, 2)


def _aligned(part: Tensor) -> Tensor:
    """The same values where a vector may begin. A network's parameters begin anywhere in its cohort's, and for few
    images MKL adds up otherwise where they do not lie on 64 bytes (seen with AVX-512)."""
    return part if part.data_ptr() % 64 == 0 else part.clone()


def layout(table: Sequence[Layer], device: str = "cpu") -> torch.memory_format:
    """How maps lie in memory: channels last, except in networks so narrow (profile quick) that their channels fill no
    vector. There batch normalisation was 15 times slower on a CPU."""
    narrow = min(layer.shape[0] for layer in table if len(layer.shape) > 2) < 8
    first = narrow or (device == "cuda" and os.environ.get("LTH_LAYOUT", "last") == "first")
    return torch.contiguous_format if first else torch.channels_last


def _cast(convolutions: Sequence[Layer], weights: dict[str, Tensor], device: str) -> dict[str, Tensor]:
    """Parameters of the convolutions, already in autocast's type where it would cast them: of all networks at once,
    not network by network.

    On a GPU each is copied: it is a slice that begins anywhere, and cuDNN's kernels read 16 bytes at a time."""
    own = {}
    for layer in convolutions:
        cast = [layer.weight] if layer.norm else [layer.weight, layer.bias]
        for name in (layer.weight, *layer.vectors):
            if name in cast and _casts(device):
                own[name] = weights[name].to(torch.get_autocast_dtype(device))
            else:
                own[name] = weights[name].clone() if device == "cuda" else weights[name]
        own |= {name: weights[name] for name in layer.statistics}  # these move in place
    return own


def _casts(device: str) -> bool:
    return torch.is_autocast_enabled(device)


def _convolved(table: Sequence[Layer], weights: dict[str, Tensor], x: Tensor, training: bool) -> Tensor:
    """Features `(network, image, feature)` after the last convolution.

    Network by network: grouped convolution was 2.7 times slower on a CPU. Parameters are taken apart once, so that
    their gradients are put together once: an index a network would make a gradient of full size for each."""
    parts = {name: w.unbind() for name, w in weights.items()}
    apart = [{name: p[n] for name, p in parts.items()} for n in range(len(x))]
    return torch.stack([_features(table, own, m, training) for own, m in zip(apart, x.unbind(), strict=True)])


def _features(table: Sequence[Layer], own: Mapping[str, Tensor], x: Tensor, training: bool) -> Tensor:
    """Features `(image, feature)` of one network from images `(image, channel, y, x)`."""

    def convolved(layer: Layer, x: Tensor) -> Tensor:
        bias = None if layer.norm else own[layer.bias]
        x = F.conv2d(x, own[layer.weight], bias, layer.stride, padding=layer.shape[-1] // 2)
        return _normalised(layer, own, x, training)

    return _through(table, x.to(memory_format=layout(table, x.device.type)), convolved).flatten(1)


def grouped(table: Sequence[Layer], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """The same features in training, channels of all networks side by side in one map: a kernel serves all."""
    count = len(x)
    flat = {name: w.flatten(0, 1) for name, w in weights.items()}

    def convolved(layer: Layer, x: Tensor) -> Tensor:
        bias = None if layer.norm else flat[layer.bias]
        x = F.conv2d(x, flat[layer.weight], bias, layer.stride, padding=layer.shape[-1] // 2, groups=count)
        return _normalised(layer, flat, x, True)

    joined = x.transpose(0, 1).flatten(1, 2).to(memory_format=layout(table, x.device.type))
    return _through(table, joined, convolved).unflatten(1, (count, -1)).flatten(2).transpose(0, 1)


def _through(table: Sequence[Layer], x: Tensor, convolved: Callable[[Layer, Tensor], Tensor]) -> Tensor:
    """Maps after the last convolution: what lies between convolutions does not ask whose channels it sees."""
    kept = x
    for layer in table:
        if len(layer.shape) == 2:
            break
        if layer.shortcut == "from here":
            kept = x
        made = convolved(layer, x)
        if layer.shortcut == "projected":
            kept = made
            continue
        if layer.shortcut == "added":
            made = made + kept
        if layer.pool == "max":  # before the rectifier, which commutes with it and then has a quarter of the work
            made = F.max_pool2d(made, 2)
        x = F.relu(made)
        if layer.pool == "mean":
            x = x.mean((2, 3), keepdim=True)
    return x


def _normalised(layer: Layer, own: Mapping[str, Tensor], x: Tensor, training: bool) -> Tensor:
    """Batch normalisation, where the layer has it."""
    if not layer.norm:
        return x
    mean, variance = (own[name] for name in layer.statistics)
    scale, shift = (own[name] for name in layer.vectors)
    return F.batch_norm(x, mean, variance, scale, shift, training)
