"""Fully connected networks trained in numpy alone, for rooms whose machines have neither numba nor torch.

The same steps as `lth_core.engines.sparse` in another order of sums; tests compare the two. It takes the row's split,
batches and initial weights as they are, so a network differs from the compiled engine's by rounding only.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.data import Dataset
from lth_core.draws import BatchOrder
from lth_core.errors import UsageError
from lth_core.models import MEASURED, Network, Parameters, Trained, layers
from lth_core.spec import Spec, learning_rates

Matrices = list[tuple[NDArray[np.float32], NDArray[np.float32]]]  # of each layer: (network, out, in), (network, out)


def train(networks: Sequence[Network], data: Dataset) -> list[Trained]:
    """Train networks of one architecture and length side by side, each with its own split, batches and masks.

    UsageError for rows that differ in more than that, or that need another engine."""
    spec = networks[0].spec
    for network in networks:
        _check(network.spec, spec)
    began = time.perf_counter()
    flat, mask = (_flat([getattr(n, what) for n in networks], spec) for what in ("weights", "masks"))
    grad, first, second = (np.zeros_like(flat) for _ in range(3))
    weights, gradients = _views(flat, spec), _views(grad, spec)
    x, labels = data.pool_images.reshape(len(data.pool_labels), -1) / np.float32(255), data.pool_labels.astype(np.intp)
    splits = [data.split(n.spec.seed, n.spec.trial) for n in networks]
    orders = [BatchOrder(n.spec, part[0]) for n, part in zip(networks, splits, strict=True)]
    test = data.test_images.reshape(len(data.test_labels), -1) / np.float32(255), data.test_labels.astype(np.intp)
    sets = [[data.sample(n.spec.seed, n.spec.trial) for n in networks], [val for _, val in splits]]  # as in MEASURED
    parts: list[Any] = [
        *((x[np.stack(index)], labels[np.stack(index)]) for index in sets),
        tuple(a[None] for a in test),
    ]
    t = np.arange(1, spec.iterations + 1)
    steps = (learning_rates(spec) / (1 - 0.9**t)).astype(np.float32)  # Adam's corrections in float64, as elsewhere
    roots = (1 / np.sqrt(1 - 0.999**t)).astype(np.float32)
    record = [[0, *_measured(weights, parts)]]
    for start in range(0, spec.iterations, spec.eval_every):
        batches = np.stack([o.batches(start, start + spec.eval_every) for o in orders], axis=1)
        for i, index in enumerate(batches, start):
            _gradient(weights, gradients, x[index], labels[index])
            grad *= mask
            first += (grad - first) * np.float32(0.1)
            second *= np.float32(0.999)
            second += grad * grad * np.float32(0.001)
            flat -= steps[i] * first / (np.sqrt(second) * roots[i] + np.float32(1e-8))
        record.append([start + spec.eval_every, *_measured(weights, parts)])
    seconds = (time.perf_counter() - began) / len(networks)
    return [Trained(_curves(record, n), _named(weights, spec, n), seconds, "numpy") for n in range(len(networks))]


def _check(spec: Spec, first: Spec) -> None:
    plain = spec.arch.startswith("lenet-") and spec.optimizer == "adam" and spec.inputs == "unit"
    if not plain or spec.dropout or spec.weight_decay or spec.augment != "none" or spec.precision != "fp32":
        raise UsageError(f"numpy trains fully connected nets with Adam, not {spec.arch} with {spec.optimizer}.")
    same = ("arch", "dataset", "iterations", "eval_every", "batch_size", "lr", "warmup", "lr_drops")
    if differs := [name for name in same if getattr(spec, name) != getattr(first, name)]:
        raise UsageError(f"networks side by side have one {differs[0]}: train these in two calls.")


def _flat(networks: Sequence[Parameters | dict[str, NDArray[np.bool_]]], spec: Spec) -> NDArray[np.float32]:
    """`(network, parameter)`, layer by layer, weights before biases; what is not named is 1: biases have no masks."""
    table = layers(spec.arch, spec.dataset)
    rows = [
        np.concatenate([
            part for one in table
            for part in (n[one.weight].ravel(), n.get(one.bias, np.ones(one.shape[0], np.float32)))
        ]) for n in networks
    ]  # fmt: skip
    return np.stack(rows).astype(np.float32)


def _views(flat: NDArray[np.float32], spec: Spec) -> Matrices:
    """Each layer's part of `flat`, not copied."""
    made, at = [], 0
    for layer in layers(spec.arch, spec.dataset):
        size, out = int(np.prod(layer.shape)), layer.shape[0]
        weight = flat[:, at : at + size].reshape(len(flat), *layer.shape)
        made.append((weight, flat[:, at + size : at + size + out]))
        at += size + out
    return made


def _forward(weights: Matrices, x: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    """Inputs of each layer and the logits, `(network, image, unit)`."""
    values = [x]
    for i, (weight, bias) in enumerate(weights):
        z = values[-1] @ weight.swapaxes(1, 2)
        z += bias[:, None]
        values.append(np.maximum(z, 0, out=z) if i < len(weights) - 1 else z)
    return values


def _gradient(weights: Matrices, gradients: Matrices, x: NDArray[np.float32], labels: NDArray[np.intp]) -> None:
    """Of the mean cross-entropy of a batch, written into `gradients`. `x`: `(network, image, feature)`."""
    values = _forward(weights, x)
    back = np.exp(values[-1] - values[-1].max(2, keepdims=True))
    back /= back.sum(2, keepdims=True)
    n, images = labels.shape
    back[np.arange(n)[:, None], np.arange(images), labels] -= 1
    back /= np.float32(images)
    for i in reversed(range(len(weights))):
        np.matmul(back.swapaxes(1, 2), values[i], out=gradients[i][0])
        np.sum(back, 1, out=gradients[i][1])
        if i:
            back = back @ weights[i][0]
            back *= values[i] > 0


def _measured(
    weights: Matrices, parts: Sequence[tuple[NDArray[np.float32], NDArray[np.intp]]]
) -> list[NDArray[np.float64]]:
    """In the order of `MEASURED`, one number a network each."""
    found = []
    for x, labels in parts:
        logits = _forward(weights, x)[-1].astype(np.float64)
        top = logits.max(2)
        right = np.take_along_axis(logits, np.broadcast_to(labels[..., None], (*logits.shape[:2], 1)), 2)[..., 0]
        loss = top + np.log(np.exp(logits - top[..., None]).sum(2)) - right
        found += [loss.mean(1), (logits.argmax(2) == labels).sum(1)]
    return found


def _curves(record: Sequence[Sequence[Any]], network: int) -> dict[str, NDArray]:
    curves = {"iteration": np.array([row[0] for row in record], np.int32)}
    for i, column in enumerate(MEASURED, 1):
        kind = np.float32 if column.endswith("loss") else np.int32
        curves[column] = np.array([row[i][network] for row in record], kind)
    return curves


def _named(weights: Matrices, spec: Spec, network: int) -> Parameters:
    names = [(layer.weight, layer.bias) for layer in layers(spec.arch, spec.dataset)]
    pairs = zip(names, weights, strict=True)
    return {name: part[network].copy() for both, own in pairs for name, part in zip(both, own, strict=True)}
