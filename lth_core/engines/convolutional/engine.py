"""Trainings of convolutional networks on a CPU, one network a core: same meaning as the dense engine.

Float32 throughout; sums run in another order, so the engines agree within rounding, not bit for bit. A network's result
does not depend on which others train beside it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from lth_core.data import Dataset
from lth_core.draws import BatchOrder, generator
from lth_core.engines.convolutional import crossover
from lth_core.engines.convolutional.forward import convolve
from lth_core.engines.convolutional.images import draw
from lth_core.engines.convolutional.network import NOTHING, Convolutional
from lth_core.engines.one_a_core import side_by_side
from lth_core.engines.sparse.kernels import rule_of
from lth_core.engines.sparse.simd import VECTORS
from lth_core.errors import UsageError
from lth_core.models import INPUTS, Masks, Network, Parameters, Trained, layers
from lth_core.spec import Spec
from lth_core.store.checkpoint import Halfway, Shelf

TRAINS = "convolutional nets in fp32, whose maps have an even width,"
LOOK_SECONDS = 1.0  # between looks at `stop`, about
KEEP_SECONDS = 300  # between two states kept of a long training
PARTS = ("train", "val", "test")


def supports(spec: Spec) -> bool:
    """Whether this engine can train the row: a convolutional network in float32, without maps of odd width."""
    return spec.precision == "fp32" and not spec.arch.startswith("lenet-") and crossover.even(spec.arch, spec.dataset)


def preferred(spec: Spec) -> bool:
    """On a CPU: where it was measured to be faster than the dense engine, both with all cores at work."""
    return supports(spec) and crossover.wins(spec, VECTORS)


def train(
    networks: Sequence[Network],
    data: Dataset,
    *,
    threads: int | None = None,
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    halves: dict[int, Halfway] | None = None,
    keep: Callable[[int, Halfway], None] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train every network and yield `(its index, result)` as each finishes.

    - `threads`: networks trained at once; by default one per core
    - `progress(message, iterations)`: called in the caller's thread, with the iterations finished since the last call
    - `stop()`: once true, training ends at the next evaluation, and unfinished networks are not yielded
    - `halves`: by index, where a network stopped before; `keep(index, halfway)`: told in the caller's thread, every
      `KEEP_SECONDS` and when stopped, so that nothing of a long round is lost

    Raises `UsageError` for rows that the engine does not support.
    """
    for network in networks:
        if not supports(network.spec):
            raise UsageError(
                f"the convolutional engine cannot train arch = {network.spec.arch!r} on {network.spec.dataset} with "
                f"precision = {network.spec.precision!r}: use the dense engine."
            )
    if not networks:
        return
    if progress and not convolve.signatures:
        progress("compiling the convolutional engine (once; kept on disk)", 0)

    def job(
        index: int, ending: threading.Event, report: Callable[[int], None], told: Callable[[Halfway], None]
    ) -> Trained | None:
        return _Training(networks[index], data, (halves or {}).get(index)).run(ending, report, told)

    lengths = [_work(n) for n in networks]
    yield from side_by_side(
        job, lengths, name="convolutional", threads=threads, progress=progress, stop=stop, keep=keep
    )


def train_all(
    networks: Sequence[Network],
    data: Dataset,
    *,
    device: str = "auto",
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    shelf: Shelf | None = None,
) -> Iterator[tuple[Network, Trained]]:
    """`train` for the runner: goes on from what `shelf` keeps, and keeps there what is stopped halfway."""
    halves = {i: half for i, n in enumerate(networks) if shelf and (half := shelf.load(n.spec))}
    keep = (lambda i, half: shelf.save(networks[i].spec, half)) if shelf else None
    for i, trained in train(networks, data, progress=progress, stop=stop, halves=halves, keep=keep):
        yield networks[i], trained


def _work(network: Network) -> float:
    """How long a training is, beside others: living weights times the pixels they meet."""
    area = crossover.pixels(network.spec.arch, network.spec.dataset)
    alive = {name: float(mask.sum()) for name, mask in network.masks.items()}
    return sum(area[name] * count for name, count in alive.items()) * network.spec.iterations


def input_values(spec: Spec, data: Dataset) -> NDArray[np.float32]:
    """`(256,)`: what a pixel becomes, in the dense engine's own arithmetic."""
    mean, sd = 0.0, 255.0
    if spec.inputs == "standard":
        mean, sd = float(data.pool_images.mean()), float(data.pool_images.std())
    return (np.arange(256, dtype=np.float32) - np.float32(mean)) / np.float32(sd)


class _Training:
    """One network's training: batches in the dense engine's order, evaluations, and a state to go on from."""

    def __init__(self, network: Network, data: Dataset, half: Halfway | None) -> None:
        self.spec, self.data = network.spec, data
        spec = self.spec
        self.network, self.half = network, half
        self.table = layers(spec.arch, spec.dataset)
        self.pool = data.pool_images.reshape(len(data.pool_images), -1)
        self.test = data.test_images.reshape(len(data.test_images), -1)
        self.value, self.rule = input_values(spec, data), rule_of(spec)
        train_index, val_index = data.split(spec.seed, spec.trial)
        self.order = BatchOrder(spec, train_index)
        self.sets = {
            "train": (self.pool, data.pool_labels, data.sample(spec.seed, spec.trial)),
            "val": (self.pool, data.pool_labels, val_index),
            "test": (self.test, data.test_labels, np.arange(len(data.test_labels), dtype=np.int32)),
        }
        self.dropped, self.augmented = (
            int(generator(spec.seed, spec.trial, what, spec.round, spec.arm, spec.replicate).integers(2**62))
            for what in ("dropout", "augment")
        )

    def _made(self) -> Convolutional:
        spec, half = self.spec, self.half
        weights = self.network.weights
        if half:
            weights = {**self._named(half.arrays["flat"]), **{n: half.arrays[n] for n in self._remembered()}}
        net = Convolutional(
            self.table, weights, self.network.masks, INPUTS[spec.dataset][-1], spec.batch_size,
            spec.optimizer == "adam", spec.dropout, self.dropped,
        )  # fmt: skip
        if half:
            net.set_moments(*(self._named(half.arrays[n]) if half.arrays[n].size else {} for n in ("first", "second")))
        return net

    def _remembered(self) -> list[str]:
        return [name for layer in self.table for name in layer.statistics]

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        remembered = self._remembered()
        return {n: w.shape for n, w in self.network.weights.items() if n not in remembered}

    def _named(self, flat: NDArray[np.float32]) -> Parameters:
        """Parameters (or moments) by name, from the dense engine's flat order."""
        made, at = {}, 0
        for name, shape in self._shapes().items():
            size = int(np.prod(shape))
            made[name] = flat[at : at + size].reshape(shape)
            at += size
        return made

    def _halfway(self, net: Convolutional, iteration: int, found: list[list[float]], seconds: float) -> Halfway:
        """In the dense engine's own form: either engine can go on from it."""
        flat = lambda named: np.concatenate([named[name].ravel() for name in self._shapes()])  # noqa: E731
        first, second = net.moments()
        arrays = {"flat": flat(net.parameters()), "first": flat(first), **net.statistics()}
        arrays["second"] = flat(second) if second else np.zeros(0, np.float32)
        return Halfway(iteration, {**arrays, "record": np.array(found)}, seconds)

    def run(
        self, ending: threading.Event, report: Callable[[int], None], keep: Callable[[Halfway], None]
    ) -> Trained | None:
        """The trained network, or None if `ending` came first."""
        if ending.is_set():
            return None
        spec, began = self.spec, time.perf_counter()
        before = self.half.seconds if self.half else 0.0
        net = self._made()
        start = self.half.iteration if self.half else 0
        found = [list(map(float, row)) for row in self.half.arrays["record"]] if self.half else [self._evaluated(net)]
        kept = began
        for first in range(start, spec.iterations, spec.eval_every):
            spent = before + time.perf_counter() - began
            if first > start and (ending.is_set() or time.perf_counter() - kept > KEEP_SECONDS):
                keep(self._halfway(net, first, found, spent))
                kept = time.perf_counter()
            if ending.is_set():
                return None
            self._steps(net, first, report)
            found.append(self._evaluated(net))
        columns = [f"{part}_{what}" for part in PARTS for what in ("loss", "correct")]
        curves: dict[str, NDArray] = {"iteration": np.arange(len(found), dtype=np.int32) * spec.eval_every}
        for column, values in zip(columns, zip(*found, strict=True), strict=True):
            curves[column] = np.array(values, np.float32 if column.endswith("loss") else np.int32)
        return Trained(curves, net.parameters(), before + time.perf_counter() - began, "convolutional")

    def step(self, net: Convolutional, index: NDArray[np.int32], iteration: int) -> None:
        """One iteration on the images `index`."""
        draws = NOTHING
        if self.spec.augment == "flip_crop":
            draws = np.empty(3 * len(index), np.int64)
            draw(self.augmented, iteration, draws)
        net.step(self.pool, index, self.data.pool_labels[index], self.value, draws, self.rule, iteration)

    def _steps(self, net: Convolutional, first: int, report: Callable[[int], None]) -> None:
        """Iterations from `first` to the next evaluation."""
        last = first + self.spec.eval_every
        said, looked = first, time.perf_counter()
        for it, index in enumerate(self.order.batches(first, last), first):
            self.step(net, index, it)
            if time.perf_counter() - looked > LOOK_SECONDS or it + 1 == last:
                report(it + 1 - said)
                said, looked = it + 1, time.perf_counter()

    def _evaluated(self, net: Convolutional) -> list[float]:
        """Loss and right answers of each set."""
        row: list[float] = []
        for pixels, labels, index in self.sets.values():
            loss, right = net.evaluate(pixels, index, labels, self.value)
            row += [float(loss), float(right)]
        return row


def evaluate(
    arch: str,
    dataset: str,
    weights: Parameters,
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    value: NDArray[np.float32],
    batch: int = 128,
) -> tuple[np.float32, int]:
    """Mean cross-entropy and number of right answers of a trained network; weights that are 0 count as pruned.

    - `images`: `(image, channel, y, x)` uint8; `labels`: `(image,)` uint8; `value`: as `input_values` gives it
    """
    masks: Masks = {name: w != 0 for name, w in weights.items() if name.endswith(".weight") and w.ndim > 1}
    net = Convolutional(layers(arch, dataset), weights, masks, images.shape[-1], batch)
    return net.evaluate(images.reshape(len(images), -1), np.arange(len(images), dtype=np.int32), labels, value)
