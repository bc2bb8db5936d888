"""Compiled CPU engine for fully connected networks: only living weights and nonzero inputs cost time, one network per core.

Same meaning as the dense engine in `train`, float32 throughout; sums run in another order, so the engines agree within
rounding, not bit for bit. A network's own result does not depend on which others train beside it or on the threads.
"""

from __future__ import annotations

import os
import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from lth_core import kernels
from lth_core.data import Dataset
from lth_core.draws import BatchOrder
from lth_core.kernels import ADAM, CLASSES, LANES, MOMENTUM, SGD, ByImage, ByWeight, Images, Lists, Rule
from lth_core.models import Masks, Network, Parameters, Trained
from lth_core.spec import Spec, UsageError

# Densities above this train by image, below it by weight: measured on LeNet-300-100 with MNIST (benchmarks/lenet.py).
CROSSOVER = 0.4
CHUNK = 500  # iterations between looks at `stop` and reports of progress, at most


def supports(spec: Spec) -> bool:
    """Whether this engine can train the row: fully connected, float32, no augmentation, no dropout."""
    return (
        spec.arch.startswith("lenet-")
        and spec.precision == "fp32"
        and spec.augment == "none"
        and spec.dropout == 0
        and spec.dataset in ("mnist", "digits")
    )


def learning_rates(spec: Spec) -> NDArray[np.float64]:
    """Learning rate of every iteration, `(iteration,)`: linear warmup from 0, then a tenth from each drop on."""
    t = np.arange(spec.iterations)
    rates = np.full(spec.iterations, spec.lr)
    if spec.warmup:
        rates *= np.minimum(1.0, (t + 1) / spec.warmup)
    for drop in spec.lr_drops:
        rates[t >= drop] *= 0.1
    return rates


def input_scale(spec: Spec, data: Dataset) -> tuple[np.float32, np.float32]:
    """`(factor, shift)` that turn a pixel into an input: 1/255 and 0, or those that give the pool mean 0 and variance 1."""
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

    - `weights`: parameters in order, zeros count as pruned
    - `images`: `(image, ...)` uint8; `labels`: `(image,)`; `scale`: see `input_scale`
    """
    masks = {name: w != 0 for name, w in weights.items() if name.endswith(".weight")}
    lists = _image_lists(images, labels, (np.float32(scale[0]), np.float32(scale[1])))
    runner = _runner(weights, masks, lists, np.arange(0), LANES)
    return runner.evaluate(runner.prepare(lists, np.arange(len(images))))


def train(
    networks: Sequence[Network],
    data: Dataset,
    *,
    threads: int | None = None,
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train every network and yield `(its index, result)` as each finishes.

    - `threads`: networks trained at once, by default one per core
    - `progress(message, iterations)`: called in the caller's thread, with iterations finished since the last call
    - `stop()`: when true, training ends within a few hundred iterations and unfinished networks are not yielded
    """
    for network in networks:
        _check(network.spec)
    if not networks:
        return
    if progress and not kernels.train_by_weight.signatures and not kernels.train_by_image.signatures:
        progress("compiling the sparse engine (once; kept on disk)", 0)
    shared = _Shared(data)
    news: queue.SimpleQueue = queue.SimpleQueue()  # ("iterations", n), ("trained", (index, Trained)) or ("failed", error)
    ending = threading.Event()

    def work(index: int) -> None:
        try:
            result = _train_one(networks[index], shared, ending, lambda n: news.put(("iterations", n)))
            news.put(("trained", (index, result)))
        except BaseException as error:  # handed to the caller's thread, which raises it
            news.put(("failed", error))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(min(threads or cores, len(networks)), thread_name_prefix="sparse")
    try:
        for index in range(len(networks)):
            pool.submit(work, index)
        unfinished = len(networks)
        while unfinished:
            kind, value = news.get()
            if kind == "failed":
                raise value
            if kind == "iterations" and progress:
                progress("training", value)
            if kind == "trained":
                unfinished -= 1
                if value[1] is not None:
                    yield value
            if stop and stop():
                ending.set()
    finally:
        ending.set()
        pool.shutdown(cancel_futures=True)


def _check(spec: Spec) -> None:
    if not supports(spec):
        raise UsageError(
            f"the sparse engine cannot train arch = {spec.arch!r} with dropout = {spec.dropout}, precision = "
            f"{spec.precision!r} and augment = {spec.augment!r}: use the dense engine."
        )
    if spec.rewind % spec.eval_every or spec.rewind > spec.iterations:
        raise UsageError(
            f"rewind = {spec.rewind} must be a multiple of eval_every = {spec.eval_every} and at most iterations = "
            f"{spec.iterations}."
        )


def _train_one(
    network: Network, shared: _Shared, ending: threading.Event, report: Callable[[int], None]
) -> Trained | None:
    spec, began = network.spec, time.perf_counter()
    pool, test = shared.images(spec)
    train_index, val_index = shared.data.split(spec.seed, spec.trial)
    runner = _runner(network.weights, network.masks, pool, train_index, spec.batch_size)
    sets = {
        "train": shared.prepared(runner, pool, "train", spec, shared.data.sample(spec.seed, spec.trial)),
        "val": shared.prepared(runner, pool, "val", spec, val_index),
        "test": shared.prepared(runner, test, "test", spec, np.arange(len(shared.data.test_labels))),
    }
    rule, order = _rule(spec), BatchOrder(spec, train_index)
    found: list[tuple] = []
    snapshot = None
    for iteration in range(0, spec.iterations + 1, spec.eval_every):
        for first in range(max(0, iteration - spec.eval_every), iteration, CHUNK):
            last = min(first + CHUNK, iteration)
            if ending.is_set():
                return None
            runner.train(pool, rule, order.batches(first, last), first)
            report(last - first)
        found.append((iteration, *(number for name in sets for number in runner.evaluate(sets[name]))))
        if spec.rewind and iteration == spec.rewind:
            snapshot = runner.parameters()
    columns = ["iteration", *(f"{name}_{what}" for name in sets for what in ("loss", "correct"))]
    curves = {
        name: np.array(values, np.float32 if name.endswith("loss") else np.int32)
        for name, values in zip(columns, zip(*found, strict=True), strict=True)
    }
    return Trained(curves, runner.parameters(), time.perf_counter() - began, "sparse", snapshot)


def _rule(spec: Spec) -> Rule:
    """Adam's bias corrections belong into float64: in float32 they drift the weights by 1e-2 in 50 steps."""
    rates, t = learning_rates(spec), np.arange(1, spec.iterations + 1)
    kind = {"adam": ADAM, "sgd": SGD, "momentum": MOMENTUM}[spec.optimizer]
    step = rates / (1 - 0.9**t) if kind == ADAM else rates
    root = 1 / np.sqrt(1 - 0.999**t)
    return Rule(kind, np.float32(spec.weight_decay), step.astype(np.float32), root.astype(np.float32))


def _image_lists(
    pixels: NDArray[np.uint8], labels: NDArray[np.uint8], scale: tuple[np.float32, np.float32]
) -> Images:
    flat, keep_zeros = pixels.reshape(len(pixels), -1), scale[1] != 0
    start = np.zeros(len(flat) + 1, np.int64)
    kernels.nonzero_counts(flat, keep_zeros, start[1:])
    start = np.cumsum(start)
    pixel, value = np.empty(start[-1], np.uint16), np.empty(start[-1], np.uint8)
    kernels.nonzero_lists(flat, keep_zeros, pixel, value)
    return Images(start, pixel, value, labels, *scale)


class _Shared:
    """What networks trained side by side have in common: the images, prepared once for each way of looking at them."""

    def __init__(self, data: Dataset) -> None:
        self.data = data
        self._lock = threading.Lock()
        self._made: dict = {}

    def _once(self, key: tuple, make: Callable):
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]

    def images(self, spec: Spec) -> tuple[Images, Images]:
        d, scale = self.data, input_scale(spec, self.data)
        parts = ((d.pool_images, d.pool_labels), (d.test_images, d.test_labels))
        return self._once((spec.inputs,), lambda: tuple(_image_lists(*p, scale) for p in parts))

    def prepared(self, runner: _Runner, images: Images, name: str, spec: Spec, index: NDArray):
        trial = () if name == "test" else (spec.seed, spec.trial)
        return self._once((type(runner), name, spec.inputs, *trial), lambda: runner.prepare(images, index))


def _empty(n: int, dtype: type = np.float32) -> NDArray:
    """Zeros that begin on a cache line: a vector load across two costs twice."""
    size = np.dtype(dtype).itemsize
    raw = np.zeros(n * size + 64, np.uint8)
    skip = -raw.ctypes.data % 64
    return raw[skip : skip + n * size].view(dtype)


def _runner(weights: Parameters, masks: Masks, images: Images, train_index: NDArray, batch: int) -> _Runner:
    density = sum(int(m.sum()) for m in masks.values()) / sum(m.size for m in masks.values())
    if density < CROSSOVER:
        return _WeightRunner(weights, masks)
    return _ImageRunner(weights, masks, images, train_index, batch)


class _WeightRunner:
    """One network laid out by weight."""

    def __init__(self, weights: Parameters, masks: Masks) -> None:
        self.names = [name.removesuffix(".weight") for name in masks]
        self.masks = masks
        kept = [masks[f"{n}.weight"].T for n in self.names]  # (input, unit): weights lie input by input
        sizes = np.array([kept[0].shape[0], *(k.shape[1] for k in kept)], np.int64)
        columns, rows, bias, at = [], [], [], 0
        for k in kept:
            columns.append(at + np.concatenate([[0], np.cumsum(k.sum(1))]))
            bias.append(columns[-1][-1])
            rows.append(np.concatenate([np.nonzero(k)[1], np.zeros(k.shape[1])]).astype(np.uint16))
            at = bias[-1] + k.shape[1]
        first = np.cumsum([0, *(len(c) for c in columns[:-1])])
        w, m, v, g = (_empty(int(at)) for _ in range(4))
        w[:] = np.concatenate(
            [np.r_[weights[f"{n}.weight"].T[k], weights[f"{n}.bias"]] for n, k in zip(self.names, kept, strict=True)]
        )
        self.net = ByWeight(sizes, first, np.concatenate(columns), np.array(bias), np.concatenate(rows), w, m, v, g)
        self.x, self.live = _empty(int(sizes[0]) * LANES, np.uint8), np.zeros(sizes[0], np.uint8)
        lanes = int(sizes[1:].sum()) * LANES
        ones = np.ones(sizes.max(), np.uint8)
        self.room = (ones, _empty(lanes), _empty(lanes), _empty(LANES), _empty(LANES))

    def train(self, images: Images, rule: Rule, batches: NDArray[np.int32], first: int) -> None:
        kernels.train_by_weight(self.net, images, rule, batches, first, self.x, self.live, *self.room)

    def prepare(self, images: Images, index: NDArray) -> tuple:
        blocks = -(-len(index) // LANES)
        pixels = int(self.net.sizes[0])
        x = _empty(blocks * pixels * LANES, np.uint8).reshape(blocks, -1)
        live = np.zeros((blocks, pixels), np.uint8)
        index = index.astype(np.int32)
        kernels.pack(images, index, x, live)
        return images, index, x, live

    def evaluate(self, prepared: tuple) -> tuple[np.float32, int]:
        loss, right = kernels.evaluate_by_weight(self.net, *prepared, *self.room)
        return np.float32(loss), right

    def parameters(self) -> Parameters:
        made: Parameters = {}
        for layer, name in enumerate(self.names):
            mask = self.masks[f"{name}.weight"].T
            end = int(self.net.bias[layer])
            begin = end - int(mask.sum())
            full = np.zeros(mask.shape, np.float32)
            full[mask] = self.net.w[begin:end]
            made[f"{name}.weight"] = np.ascontiguousarray(full.T)
            made[f"{name}.bias"] = self.net.w[end : end + mask.shape[1]].copy()
        return made


class _ImageRunner:
    """One network laid out by image."""

    def __init__(
        self, weights: Parameters, masks: Masks, images: Images, train_index: NDArray, batch: int
    ) -> None:
        self.names = [name.removesuffix(".weight") for name in masks]
        kept = [masks[f"{n}.weight"].T for n in self.names]
        sizes = np.array([kept[0].shape[0], *(k.shape[1] for k in kept)], np.int64)
        width = np.array([-(-n // 64) * 64 if n > 32 else -(-n // 16) * 16 for n in sizes[1:]], np.int64)
        ends = np.cumsum((sizes[:-1] + 1) * width)
        first = np.r_[0, ends[:-1]]
        w, m, v = (_empty(int(ends[-1])) for _ in range(3))
        alive = _empty(int(ends[-1]), np.uint8)
        used = np.zeros(sizes[0], np.uint8)
        self.net = ByImage(sizes, width, first, used, alive, w, m, v)
        for layer, (name, k) in enumerate(zip(self.names, kept, strict=True)):
            self._rows(alive, layer)[:-1, : k.shape[1]] = k
            self._rows(alive, layer)[-1, : k.shape[1]] = 1
            self._rows(w, layer)[:-1, : k.shape[1]] = np.where(k, weights[f"{name}.weight"].T, 0)
            self._rows(w, layer)[-1, : k.shape[1]] = weights[f"{name}.bias"]
        for i in train_index:
            used[images.pixel[images.start[i] : images.start[i + 1]]] = 1
        batch = max(batch, LANES)
        cap = batch * np.r_[sizes[0], width[:-1]]
        room = np.r_[0, np.cumsum(cap)[:-1]]
        begin = np.zeros((len(width), batch + 1), np.int64)
        turned = int(batch * (sizes.max() + 1))
        lists = Lists(
            room, begin, _empty(int(cap.sum()), np.int32), _empty(int(cap.sum())), np.zeros(sizes.max() + 3, np.int64),
            _empty(turned, np.int32), _empty(turned),
        )  # fmt: skip
        widest = int(width.max())
        self.room = (lists, _empty(widest), _empty(int(batch * width[-1])))
        self.deltas = (_empty(batch * widest), _empty(batch * widest))
        self.classes = (_empty(CLASSES * LANES), _empty(CLASSES * LANES), _empty(LANES), _empty(LANES))

    def _rows(self, flat: NDArray, layer: int) -> NDArray:
        """One layer's part of a flat array as `(input + 1, padded unit)`."""
        inputs, width, begin = self.net.sizes[layer] + 1, self.net.width[layer], self.net.first[layer]
        return flat[begin : begin + inputs * width].reshape(inputs, width)

    def train(self, images: Images, rule: Rule, batches: NDArray[np.int32], first: int) -> None:
        if rule.decay:
            self.net.used[:] = 1  # weight decay moves the weights of inputs that never appear
        kernels.train_by_image(self.net, images, rule, batches, first, *self.room, *self.deltas, *self.classes)

    def prepare(self, images: Images, index: NDArray) -> tuple:
        return images, index.astype(np.int32)

    def evaluate(self, prepared: tuple) -> tuple[np.float32, int]:
        loss, right = kernels.evaluate_by_image(self.net, *prepared, *self.room, *self.classes)
        return np.float32(loss), right

    def parameters(self) -> Parameters:
        made: Parameters = {}
        for layer, name in enumerate(self.names):
            rows = self._rows(self.net.w, layer)[:, : self.net.sizes[layer + 1]]
            made[f"{name}.weight"], made[f"{name}.bias"] = np.ascontiguousarray(rows[:-1].T), rows[-1].copy()
        return made


_Runner = _WeightRunner | _ImageRunner
