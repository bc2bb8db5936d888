"""Every random draw, keyed by what it is for: never by a device's generator or by how rows were batched."""

from __future__ import annotations

import hashlib
import json
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


def generator(*key: int | str | float) -> np.random.Generator:
    """A counter-based generator that depends on `key` alone, e.g. `(seed, trial, "init", "fc1")`."""
    digest = hashlib.sha256(json.dumps(key).encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "little")))


def normal(key: tuple[int | str | float, ...], shape: tuple[int, ...], truncate: float = 0.0) -> NDArray[np.float32]:
    """Standard normal draws of `shape`; with `truncate` = t > 0, values beyond t standard deviations are redrawn
    (v1: "normal(0, 0.1) resampled outside 2 sd")."""
    rng = generator(*key)
    values = rng.standard_normal(shape, dtype=np.float64)
    while truncate and (far := np.abs(values) > truncate).any():
        values[far] = rng.standard_normal(int(far.sum()))
    return values.astype(np.float32)


def split(seed: int, trial: int, n_pool: int, n_val: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """`(train, validation)` indices into the training pool; validation is drawn at random per trial (ICLR 2)."""
    order = generator(seed, trial, "split").permutation(n_pool).astype(np.int32)
    return np.sort(order[n_val:]), np.sort(order[:n_val])


class Row(Protocol):
    """What decides a network's batches: these fields of its `Spec`."""

    @property
    def seed(self) -> int: ...
    @property
    def trial(self) -> int: ...
    @property
    def round(self) -> int: ...
    @property
    def arm(self) -> str: ...
    @property
    def replicate(self) -> int: ...
    @property
    def batch_size(self) -> int: ...


class BatchOrder:
    """The minibatches of one network: training indices reshuffled every epoch, epochs joined end to end,
    so that each image is seen equally often and no partial batch is dropped.

    Keyed by trial, round, arm and replicate: a ticket does not see the batches that chose its mask.
    """

    def __init__(self, spec: Row, train: NDArray[np.int32]) -> None:
        self.key = (spec.seed, spec.trial, "order", spec.round, spec.arm, spec.replicate)
        self.train, self.batch_size = train, spec.batch_size
        self._epochs: dict[int, NDArray[np.int32]] = {}

    def _epoch(self, epoch: int) -> NDArray[np.int32]:
        if epoch not in self._epochs:
            self._epochs = {e: p for e, p in self._epochs.items() if e == epoch - 1}
            self._epochs[epoch] = generator(*self.key, epoch).permutation(self.train)
        return self._epochs[epoch]

    def batches(self, start: int, stop: int) -> NDArray[np.int32]:
        """Image indices of iterations `start` to `stop`: `(iteration, batch)` int32."""
        n, first, last = len(self.train), start * self.batch_size, stop * self.batch_size
        epochs = range(first // n, (last - 1) // n + 1)
        stream = np.concatenate([self._epoch(e) for e in epochs])
        offset = first - epochs[0] * n
        return stream[offset : offset + last - first].reshape(stop - start, self.batch_size)
