"""Trainings stopped halfway: what the dense engine needs to go on, kept until the cell is whole.

STORE/halfway/ab12....safetensors    parameters, optimizer state, statistics and evaluations so far of one network
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from lth_core.errors import StoreError
from lth_core.files import replaced
from lth_core.spec import Spec
from lth_core.store.cell import digest_arrays, key_of


@dataclass(frozen=True)
class Halfway:
    """One network after `iteration` steps, which took `seconds`; `arrays` are its rows of the cohort's tensors."""

    iteration: int
    arrays: dict[str, np.ndarray]
    seconds: float = 0.0


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
        if not self._file(spec).exists():
            return 0
        try:
            with safe_open(self._file(spec), "numpy") as f:
                return int(f.metadata()["iteration"])
        except (SafetensorError, KeyError, TypeError, ValueError, OSError) as error:
            raise self._damaged(spec) from error

    def load(self, spec: Spec) -> Halfway | None:
        iteration = self.iteration(spec)
        if iteration == 0:
            return None
        try:
            with safe_open(self._file(spec), "numpy") as f:
                arrays, about = {name: f.get_tensor(name) for name in f.keys()}, f.metadata()
            expected, seconds = about["digest"], float(about.get("seconds", 0))
        except (SafetensorError, KeyError, ValueError, OSError) as error:
            raise self._damaged(spec) from error
        if digest_arrays(arrays) != expected:
            raise self._damaged(spec)
        return Halfway(iteration, arrays, seconds)

    def save(self, spec: Spec, halfway: Halfway) -> None:
        """Under a temporary name first: what was kept before stays whole until this is."""
        file = self._file(spec)
        metadata = {
            "iteration": str(halfway.iteration), "seconds": str(halfway.seconds),
            "digest": digest_arrays(halfway.arrays),
        }  # fmt: skip
        try:
            with replaced(file) as temporary:
                save_file({n: np.ascontiguousarray(a) for n, a in halfway.arrays.items()}, temporary, metadata)
        except SafetensorError as error:  # also what the system refuses to its own code
            raise StoreError(f"cannot write {file} ({error}): free space there, or choose another --store.") from error

    def remove(self, spec: Spec) -> None:
        self._file(spec).unlink(missing_ok=True)
