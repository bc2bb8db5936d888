"""Masks: which weights a pruning round keeps. Plain functions on arrays."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod

import numpy as np
from numpy.typing import NDArray

from lth_core.draws import generator
from lth_core.models import Layer, Masks, Parameters, layers
from lth_core.spec import Spec


def rate(spec: Spec, layer: Layer) -> float:
    """Fraction of a layer's surviving weights removed per round (ICLR section 2: output at half the rate)."""
    return {"conv": spec.prune_conv, "fc": spec.prune_fc, "out": spec.prune_out, "free": 0.0}[layer.role]


def kept(n: int, rate: float, round: int) -> int:
    """Weights of `n` that remain after `round` cuts of `rate`: the closed form n (1 - rate)^round, to the nearest.

    >>> [kept(1000, 0.2, round) for round in range(4)]
    [1000, 800, 640, 512]
    """
    return int(np.floor(n * (1 - rate) ** round + 0.5))


def plan(spec: Spec) -> dict[str, int]:
    """Weights kept per layer at `spec.round`, layer-wise scope; the keys are parameter names."""
    return {
        layer.weight: kept(prod(layer.shape), rate(spec, layer), spec.round)
        for layer in layers(spec.arch, spec.dataset)
    }


def density(spec: Spec) -> float:
    """Fraction of all weights (no biases) kept at `spec.round`: the papers' P_m. The same for both scopes."""
    table = layers(spec.arch, spec.dataset)
    total = sum(prod(layer.shape) for layer in table)
    if spec.scope == "layer":
        return sum(plan(spec).values()) / total
    prunable = sum(prod(layer.shape) for layer in table if rate(spec, layer) > 0)
    return (kept(prunable, spec.prune_conv, spec.round) + total - prunable) / total


def planned(spec: Spec, masks: Masks) -> bool:
    """Whether masks keep as many weights as the row's round keeps: in each layer, or of all where one threshold serves
    all layers; all of them where masks hold nothing (the mistake "unmasked")."""
    keep = {name: int(np.count_nonzero(mask)) for name, mask in masks.items()}
    sizes = {name: mask.size for name, mask in masks.items()}
    if spec.search == "unmasked":
        return keep == sizes
    if spec.round and (spec.scope == "global" or spec.search == "one_threshold"):
        return sum(keep.values()) / sum(sizes.values()) == density(spec)
    return keep == plan(spec)


def full(spec: Spec) -> Masks:
    """Masks that keep everything."""
    return {layer.weight: np.ones(layer.shape, bool) for layer in layers(spec.arch, spec.dataset)}


def largest(scores: NDArray, alive: NDArray[np.bool_], keep: int) -> NDArray[np.bool_]:
    """Keep the `keep` highest `scores` among the `alive`; equal scores fall in index order, so ties are no chance.

    All of one shape; the mask is True where a weight stays.

    >>> largest(np.array([3.0, 1.0, 2.0, 9.0]), np.array([True, True, True, False]), 2).tolist()
    [True, False, True, False]
    """
    flat = np.where(alive, scores, -np.inf).ravel()
    mask = np.zeros(flat.size, bool)
    mask[np.argsort(-flat, kind="stable")[:keep]] = True
    return mask.reshape(alive.shape) & alive


def across(scores: Mapping[str, NDArray], alive: Mapping[str, NDArray[np.bool_]], keep: int) -> Masks:
    """`largest` of several layers at once, by one threshold: name -> mask, for each name of `scores`; one shape each.

    >>> every = {"a": np.array([True, True]), "b": np.array([True])}
    >>> {n: m.tolist() for n, m in across({"a": np.array([3.0, 1.0]), "b": np.array([2.0])}, every, 2).items()}
    {'a': [True, False], 'b': [True]}
    """
    joined = np.concatenate([values.ravel() for values in scores.values()])
    living = np.concatenate([alive[name].ravel() for name in scores])
    parts = np.split(largest(joined, living, keep), np.cumsum([values.size for values in scores.values()])[:-1])
    return {name: part.reshape(alive[name].shape) for name, part in zip(scores, parts, strict=True)}


def cut(spec: Spec, weights: Parameters, alive: Masks) -> Masks:
    """Masks at `spec.round` from trained `weights`: the largest magnitudes among the `alive`, so that masks nest.

    Layer-wise (LeNet, Conv) or across all prunable layers at once (scope "global": VGG-19, ResNet-18)."""
    if spec.scope == "layer":
        return {name: largest(np.abs(weights[name]), alive[name], n) for name, n in plan(spec).items()}
    names = [layer.weight for layer in layers(spec.arch, spec.dataset) if rate(spec, layer) > 0]
    keep = kept(sum(alive[n].size for n in names), spec.prune_conv, spec.round)
    return {**alive, **across({n: np.abs(weights[n]) for n in names}, alive, keep)}


def random(spec: Spec, keep: dict[str, int]) -> Masks:
    """Random masks with the ticket's number of weights in each layer, `keep` (ICLR Figures 1 and 14)."""
    masks = {}
    for name, n in keep.items():
        layer = next(x for x in layers(spec.arch, spec.dataset) if x.weight == name)
        size = prod(layer.shape)
        rng = generator(spec.seed, spec.trial, "random_mask", spec.round, spec.replicate, name)
        mask = np.zeros(size, bool)
        mask[rng.permutation(size)[:n]] = True
        masks[name] = mask.reshape(layer.shape)
    return masks


def masked(weights: Parameters, masks: Masks) -> Parameters:
    """Parameters with pruned weights set to exactly 0; biases stay."""
    return {n: np.where(masks[n], w, np.float32(0)) if n in masks else w for n, w in weights.items()}


def shuffled(key: tuple[int | str, ...], mask: NDArray[np.bool_]) -> NDArray[np.intp]:
    """A permutation of a layer's positions, for the shuffle control of v1 section 3.2."""
    return generator(*key).permutation(mask.size)
