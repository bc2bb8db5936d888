"""Trainings stopped halfway: what the dense engine needs to go on, kept until the cell is whole.

STORE/halfway/ab12....safetensors    parameters, optimizer state, statistics and evaluations so far of one network
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from lth_core.atomic_files import replaced
from lth_core.errors import StoreError
from lth_core.spec import Spec
from lth_core.store.cell import digest, digest_arrays, key_of


@dataclass(frozen=True)
class Halfway:
    """One network after `iteration` steps, which took `seconds`; `arrays` are its rows of the cohort's tensors."""

    iteration: int
    arrays: dict[str, np.ndarray]
    seconds: float = 0.0


def shapes(arrays: dict[str, np.ndarray]) -> str:
    """Types and shapes, which the digest of the bytes does not see."""
    return json.dumps({name: [str(a.dtype), *a.shape] for name, a in sorted(arrays.items())})


def seal(spec: Spec, about: dict[str, str]) -> str:
    """A digest of what a file says of itself, whose cell it is, and where it goes on. (Earlier versions wrote none.)"""
    said = {name: text for name, text in about.items() if name != "seal"}
    return digest(json.dumps([key_of(spec), said], sort_keys=True).encode())[:16]


class Shelf:
    """The unfinished trainings of a store, one file a cell. Only who holds a cell's lock reads or writes its file."""

    def __init__(self, store: str | Path) -> None:
        self.root = Path(store) / "halfway"

    def _file(self, spec: Spec) -> Path:
        return self.root / f"{key_of(spec)}.safetensors"

    def _damaged(self, spec: Spec) -> StoreError:
        return StoreError(
            f"{self._file(spec)} is damaged: delete it, and the network is trained again from its first iteration."
        )

    def iteration(self, spec: Spec) -> int:
        """Where its training can go on: 0 if nothing is kept."""
        about = self._about(spec)
        return 0 if about is None else int(about["iteration"])

    def _about(self, spec: Spec) -> dict[str, str] | None:
        """What the file says of itself, under its seal; None where nothing is kept."""
        file = self._file(spec)
        if not os.path.lexists(file):
            return None
        try:
            if file.is_symlink() or not file.is_file():  # a pipe would be waited for
                raise ValueError("no regular file")
            with safe_open(file, "numpy") as f:
                about = dict(f.metadata())
            at, seconds = int(about["iteration"]), float(about.get("seconds", 0))
            expected = seal(spec, about)
            if not (0 < at <= spec.iterations and seconds >= 0) or about.get("seal", expected) != expected:
                raise ValueError("not what was kept")
        except (SafetensorError, KeyError, TypeError, ValueError) as error:
            raise self._damaged(spec) from error
        except OSError as error:
            raise StoreError(f"{file} cannot be read here ({error.strerror or error}).") from error
        return about

    def load(self, spec: Spec) -> Halfway | None:
        about = self._about(spec)
        if about is None:
            return None
        try:
            with safe_open(self._file(spec), "numpy") as f:
                arrays = {name: f.get_tensor(name) for name in f.keys()}
            if digest_arrays(arrays) != about["digest"] or about.get("shapes", shapes(arrays)) != shapes(arrays):
                raise ValueError("not what was kept")
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise self._damaged(spec) from error
        return Halfway(int(about["iteration"]), arrays, float(about.get("seconds", 0)))

    def save(self, spec: Spec, halfway: Halfway) -> None:
        """Under a temporary name first: what was kept before stays whole until this is."""
        file = self._file(spec)
        metadata = {
            "iteration": str(halfway.iteration), "seconds": str(halfway.seconds),
            "digest": digest_arrays(halfway.arrays), "shapes": shapes(halfway.arrays),
        }  # fmt: skip
        metadata["seal"] = seal(spec, metadata)
        content = save({n: np.ascontiguousarray(a) for n, a in halfway.arrays.items()}, metadata)
        with replaced(file) as temporary:  # not by `save_file`, which leaves a file of its own name when it is killed
            temporary.write_bytes(content)

    def remove(self, spec: Spec) -> None:
        self._file(spec).unlink(missing_ok=True)
