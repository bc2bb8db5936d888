"""Networks of a run that are finished, one file each, so that a run that was broken off goes on where it stopped.

STORE/own/ab12.../ticket-0-1-0.safetensors    evaluations; of tickets, trained weights too, and of a chain's
                                              first what tickets go back to
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from lth_core.atomic_files import unwritable
from lth_core.errors import StoreError, UsageError
from lth_core.own.experiment import Experiment
from lth_core.own.experiment_hash import identity
from lth_core.own.initial_weights import drawn
from lth_core.own.network import Trained
from lth_core.own.state_dicts import named
from lth_core.own.ticket import Ticket, digest, home, read, write

FORMAT = "lth-own-network-1"
PARTS = ("curves", "weights", "rewound")


class Finished:
    """The finished networks of one experiment, and of what it starts from, below `store`; any number of processes may
    read and write them."""

    def __init__(self, store: str | Path, experiment: Experiment, start: Ticket | None = None) -> None:
        if odd := [n for n, w in drawn(experiment, 0, "init").items() if not isinstance(w, Tensor)]:
            raise UsageError(
                f"{named(odd)} is no tensor (a module's extra state), so networks cannot be kept: no store."
            )
        self.root = home(store) / "own" / identity(experiment, start)
        try:
            self.root.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise unwritable(self.root, error) from error

    @contextmanager
    def turn(self, key: str) -> Iterator[None]:
        """While inside, no other process trains this network; the system ends it with the process."""
        try:
            lock = FileLock(self.root / f".{key}.lock")
            lock.acquire()
        except OSError as error:
            raise unwritable(self.root, error) from error
        try:
            yield
        finally:
            lock.release()

    def read(self, key: str) -> tuple[Trained, float] | None:
        """A finished network and the seconds that it took; None if there is none. `StoreError` if it is damaged."""
        file = self._file(key)
        if not os.path.lexists(file):
            return None
        remedy = f"delete {file} to have it trained again"
        try:
            tensors, about = read(file)
        except UsageError as error:
            raise StoreError(f"{file} cannot be read: {remedy}.") from error
        try:
            if about.get("format") != FORMAT or about.get("digest") != digest(tensors):
                raise ValueError
            if about.get("seal", seal := _seal(about)) != seal:  # files of earlier versions have none
                raise ValueError
            return _taken(tensors, about)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise StoreError(f"{file} is damaged: {remedy}.") from error

    def write(self, key: str, trained: Trained, seconds: float, *, grows: bool, first: bool) -> None:
        """Keep a finished network: its trained weights if it is a ticket, whose masks come from them (`grows`), and
        what tickets go back to if it is the `first` of its chain."""
        curves = {f"curves/{n}": torch.tensor(v, dtype=torch.float64) for n, v in trained.curves.items()}
        weights = {f"weights/{n}": w for n, w in trained.weights.items()} if grows else {}
        rewound = {f"rewound/{n}": w for n, w in trained.rewound.items()} if first else {}
        tensors = {**curves, **weights, **rewound}
        columns = json.dumps(list(trained.curves))
        about = {
            "format": FORMAT,
            "seconds": repr(seconds),
            "columns": columns,
            "finite": "yes" if trained.finite else "no",
        }
        about["digest"] = digest(tensors)
        write(self._file(key), tensors, {**about, "seal": _seal(about)})

    def _file(self, key: str) -> Path:
        return self.root / f"{key}.safetensors"


def _seal(about: dict[str, str]) -> str:
    """A digest of what a file says of itself, its tensors' digest included."""
    said = {name: text for name, text in about.items() if name != "seal"}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:16]


def _taken(tensors: dict[str, Tensor], about: dict[str, str]) -> tuple[Trained, float]:
    """A finished network out of its file, and the seconds that it took."""
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in PARTS}
    for name, t in tensors.items():
        part, _, own = name.partition("/")
        parts[part][own] = t
    counts = {n for n in parts["curves"] if n == "iteration" or n.endswith("_correct")}
    curves = {n: [int(x) if n in counts else x for x in t.tolist()] for n, t in parts["curves"].items()}
    ordered = {n: curves[n] for n in json.loads(about["columns"])}
    return Trained(ordered, parts["weights"], parts["rewound"], about["finite"] == "yes"), float(about["seconds"])
