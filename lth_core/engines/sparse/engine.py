"""Compiled CPU engine for fully connected networks: only living weights and nonzero inputs cost time.

Same meaning as the dense engine, float32 throughout; sums run in another order, so the engines agree within
rounding, not bit for bit. One network per core: its result does not depend on which others train beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.data import Dataset
from lth_core.draws import BatchOrder
from lth_core.engines.one_a_core import side_by_side
from lth_core.engines.sparse import by_row, by_weight
from lth_core.engines.sparse.by_row import ByRow
from lth_core.engines.sparse.by_weight import ByWeight
from lth_core.engines.sparse.kernels import (
    CLASSES,
    LANES,
    Images,
    Packed,
    empty,
    list_fours,
    pack,
    rule_of,
)
from lth_core.errors import UsageError
from lth_core.models import MEASURED, Masks, Network, Parameters, Trained
from lth_core.spec import Spec
from lth_core.store.checkpoint import Shelf

CROSSOVER = 0.5  # denser networks train by row, others by weight: measured on LeNet-300-100 (benchmarks/lenet.py)
CHUNK = 500  # iterations between looks at `stop` and reports of progress, at most


TRAINS = "fully connected nets in fp32"


def supports(spec: Spec) -> bool:
    """Whether this engine can train the row: fully connected, float32, no augmentation, no dropout."""
    plain = spec.precision == "fp32" and spec.augment == "none" and spec.dropout == 0
    return plain and spec.arch.startswith("lenet-")


def preferred(spec: Spec) -> bool:
    """On a CPU: whatever it supports, at any density (benchmarks/lenet.py)."""
    return supports(spec)


def train_all(
    networks: Sequence[Network],
    data: Dataset,
    *,
    device: str = "auto",
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    shelf: Shelf | None = None,
) -> Iterator[tuple[Network, Trained]]:
    """`train` for the runner. A training of seconds is not kept halfway, so `shelf` is not asked."""
    for i, trained in train(networks, data, progress=progress, stop=stop):
        yield networks[i], trained


def input_scale(spec: Spec, data: Dataset) -> tuple[np.float32, np.float32]:
    """`(factor, shift)`, input = pixel * factor + shift: 1/255 and 0, or what gives the pool mean 0 and variance 1."""
    if spec.inputs == "unit":
        return np.float32(1 / 255), np.float32(0)
    mean, sd = data.pool_images.mean(dtype=np.float64), data.pool_images.std(dtype=np.float64)
    return np.float32(1 / sd), np.float32(-mean / sd)


def evaluate(
    weights: Parameters,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    scale: tuple[float, float] = (1 / 255, 0.0),
) -> tuple[np.float32, int]:
    """Mean cross-entropy and number of right answers of a fully connected network.

    - `weights`: parameters in order of layers; weights that are 0 count as pruned
    - `images`: `(image, ...)` uint8; `labels`: `(image,)` uint8
    - `scale`: as `input_scale` gives it
    """
    masks = {name: w != 0 for name, w in weights.items() if name.endswith(".weight")}
    rows = _images(images, labels, (np.float32(scale[0]), np.float32(scale[1])))
    return _laid_out(weights, masks, rows, np.arange(0), LANES).evaluate(_packed(rows, np.arange(len(labels))))


def train(
    networks: Sequence[Network],
    data: Dataset,
    *,
    threads: int | None = None,
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train every network and yield `(its index, result)` as each finishes.

    - `threads`: networks trained at once; by default one per core
    - `progress(message, iterations)`: called in the caller's thread, with the iterations finished since the last call
    - `stop()`: once true, training ends within `CHUNK` iterations, and unfinished networks are not yielded
    """
    for network in networks:
        _check(network.spec)
    if not networks:
        return
    if progress and not (by_row.train.signatures or by_weight.train.signatures):
        progress("compiling the sparse engine (once; kept on disk)", 0)
    shared = _Shared(data)
    yield from side_by_side(
        lambda i, ending, report, _: _train_one(networks[i], shared, ending, report),
        [_work(n) for n in networks],
        name="sparse",
        threads=threads,
        progress=progress,
        stop=stop,
    )


def _work(network: Network) -> int:
    """How long a training is, beside others: living weights moved."""
    return network.spec.iterations * sum(int(m.sum()) for m in network.masks.values())


def _check(spec: Spec) -> None:
    if not supports(spec):
        raise UsageError(
            f"the sparse engine cannot train arch = {spec.arch!r} with dropout = {spec.dropout}, precision = "
            f"{spec.precision!r}, augment = {spec.augment!r}: use the dense engine."
        )


def _train_one(
    network: Network, shared: _Shared, ending: threading.Event, report: Callable[[int], None]
) -> Trained | None:
    spec, began = network.spec, time.perf_counter()
    pool, test = shared.images(spec)
    train_index, val_index = shared.data.split(spec.seed, spec.trial)
    sets = {  # in the order of MEASURED
        "train": shared.packed(spec, "train", pool, shared.data.sample(spec.seed, spec.trial)),
        "val": shared.packed(spec, "val", pool, val_index),
        "test": shared.packed(spec, "test", test, np.arange(len(test.label))),
    }
    net = _laid_out(network.weights, network.masks, pool, train_index, spec.batch_size)
    rule, order = rule_of(spec), BatchOrder(spec, train_index)
    found: list[tuple[Any, ...]] = []
    for iteration in range(0, spec.iterations + 1, spec.eval_every):
        for first in range(max(0, iteration - spec.eval_every), iteration, CHUNK):
            if ending.is_set():
                return None
            last = min(first + CHUNK, iteration)
            net.train(pool, rule, order.batches(first, last), first)
            report(last - first)
        found.append((iteration, *(number for packed in sets.values() for number in net.evaluate(packed))))
    curves = {
        column: np.array(values, np.float32 if column.endswith("loss") else np.int32)
        for column, values in zip(("iteration", *MEASURED), zip(*found, strict=True), strict=True)
    }
    return Trained(curves, net.parameters(), time.perf_counter() - began, "sparse")


def _images(pixels: NDArray[np.uint8], labels: NDArray[np.uint8], scale: tuple[np.float32, np.float32]) -> Images:
    flat = pixels.reshape(len(pixels), -1)
    if flat.shape[1] % 8:
        flat = np.pad(flat, [(0, 0), (0, -flat.shape[1] % 8)])
    return Images(np.ascontiguousarray(flat).view(np.uint64), labels, *scale)


def _packed(images: Images, index: NDArray) -> Packed:
    """Sorted by label and likeness: images that lack the same pixels lie side by side, so fewer pixels are live."""
    index = _alike(images, index).astype(np.int32)
    pixels, blocks = images.words.shape[1] * 8, -(-len(index) // LANES)
    x, live = empty(blocks * pixels * LANES, np.uint8).reshape(blocks, -1), np.zeros((blocks, pixels), np.uint8)
    pack(images._replace(shift=np.float32(0)), index, x, live)  # what the shift adds, evaluation adds to the biases
    begin = np.zeros(blocks * LANES // 4 + 1, np.int64)
    n = list_fours(x, begin, np.zeros(0, np.uint16), np.zeros((0, 4), np.uint8))
    pixel, four = np.zeros(n, np.uint16), np.zeros(4 * n, np.uint8)
    list_fours(x, begin, pixel, four)
    return Packed(x, live, begin, pixel, four, images.label[index], images.factor, images.shift)


def _alike(images: Images, index: NDArray) -> NDArray:
    """The images of each label, halved again and again between two that differ most, down to four.

    Integers only: the order, and with it the rounding of sums, is the same on every machine."""
    count = (images.words[index].view(np.uint8) != 0).reshape(len(index), -1, 8).sum(2)  # (image, pixel / 8)
    parts = [np.flatnonzero(images.label[index] == label) for label in reversed(range(CLASSES))]
    found = [np.zeros(0, int)]
    while parts:
        part = parts.pop()
        if len(part) <= 4:
            found.append(part)
            continue
        some = count[part]
        one = some[((some - some[0]) ** 2).sum(1).argmax()]
        other = some[((some - one) ** 2).sum(1).argmax()]
        order = part[np.argsort(some @ (other - one), kind="stable")]
        whole = LANES if len(part) > 2 * LANES else 4
        half = -(-len(part) // (2 * whole)) * whole
        parts += [order[half:], order[:half]]
    return index[np.concatenate(found)]


def _laid_out(weights: Parameters, masks: Masks, images: Images, train_index: NDArray, batch: int) -> ByRow | ByWeight:
    density = sum(int(m.sum()) for m in masks.values()) / sum(m.size for m in masks.values())
    pixels = images.words.shape[1] * 8
    if density < CROSSOVER:
        return ByWeight(weights, masks, pixels)
    used = np.full(pixels, images.shift != 0)
    for some in np.array_split(train_index, 100):
        used |= images.words[some].view(np.uint8).any(0)
    return ByRow(weights, masks, pixels, used, batch)


class _Shared:
    """What networks trained side by side have in common, each made once: the images, and the sets to evaluate on."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._lock = threading.Lock()
        self._made: dict[tuple[Any, ...], Any] = {}

    def _once(self, key: tuple[Any, ...], make: Callable[[], Any]) -> Any:
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def images(self, spec: Spec) -> tuple[Images, Images]:
        """Training pool and test set."""
        parts = ((self.data.pool_images, self.data.pool_labels), (self.data.test_images, self.data.test_labels))
        return self._once((spec.inputs,), lambda: tuple(_images(*p, input_scale(spec, self.data)) for p in parts))

    def packed(self, spec: Spec, name: str, images: Images, index: NDArray) -> Packed:
        trial = () if name == "test" else (spec.seed, spec.trial)
        return self._once((name, spec.inputs, *trial), lambda: _packed(images, index))
