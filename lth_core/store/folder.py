"""The store: one folder per finished training (`cell`), written once, checked whenever it is read.

STORE/cells/ab/ab12.../    a cell's files
STORE/locks/ab12...        held (flock) while a runner trains the cell; freed by the system if it dies
"""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, ClassVar

import pandas as pd

from lth_core.analyse import summary
from lth_core.arms import ARMS
from lth_core.atomic_files import alive, remedy, write
from lth_core.errors import StoreError
from lth_core.models import Masks, Network, Parameters, Trained
from lth_core.prune import full
from lth_core.spec import Spec
from lth_core.store.cell import Cell, decode, describe, encode, key_of

AT_ONCE = 128  # cells that one runner holds: each costs an open file, and systems allow as few as 256


class Store:
    """Cells under one folder. Any number of processes may read and run on it at once."""

    exact: ClassVar[bool] = True

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def folder(self, key: str) -> Path:
        return self.root / "cells" / key[:2] / key

    def has(self, spec: Spec) -> bool:
        return self.folder(key_of(spec)).is_dir()

    def diverged(self, spec: Spec) -> bool:
        return bool(self.read(key_of(spec)).made["diverged"])

    def keys(self) -> list[str]:
        return sorted(p.name for p in self.root.glob("cells/??/*") if p.is_dir())

    def spec(self, key: str) -> Spec:
        return self.read(key).spec

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame:
        """One row per network: see `results.table`."""
        cells = ((s, self.read(key_of(s))) for s in specs)
        return pd.DataFrame([{**describe(s), **cell.made, **summary(cell.curves, s.dataset)} for s, cell in cells])

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        """One row per evaluation: see `results.curves`."""
        parts = [self.read(key_of(s)).curves.assign(key=key_of(s)) for s in specs]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()

    def has_masks(self, spec: Spec) -> bool:
        return spec.round == 0 or self.has(_holder(spec))

    def masks(self, spec: Spec) -> Masks:
        """The ticket's masks at this row's round."""
        return full(spec) if spec.round == 0 else self.read(key_of(_holder(spec))).masks

    def has_trained(self, spec: Spec) -> bool:
        return ARMS[spec.arm].grows and self.has(spec)

    def trained(self, spec: Spec) -> Parameters:
        """A ticket's parameters after its last iteration."""
        return self.read(key_of(spec)).weights

    def refuse_links(self) -> None:
        """Cells are copied from and to folders that lie in the store itself: a link leads anywhere."""
        for folder in (self.root / "cells", *self.root.glob("cells/??")):
            if folder.is_symlink():
                raise StoreError(f"{folder} is a link, which merge does not follow: put the folder itself there.")

    @contextmanager
    def claim(self, specs: list[Spec]) -> Iterator[list[Spec]]:
        """Those of `specs` that nobody else is training and that are still missing, locked while in the block;
        at most `AT_ONCE`."""
        held: list[IO[str]] = []
        mine: list[Spec] = []
        try:
            for spec in specs:
                if len(mine) == AT_ONCE:
                    break
                if (lock := self._lock(key_of(spec))) is None:
                    continue
                if self.has(spec):
                    lock.close()
                else:
                    held.append(lock)
                    mine.append(spec)
            self._sweep({key_of(s) for s in mine})
            yield mine
        finally:
            for lock in held:
                lock.close()

    def _lock(self, key: str) -> IO[str] | None:
        """A cell's lock, freed when it is closed or this process dies; None while another process has it."""
        try:
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
            file: IO[str] = open(self.root / "locks" / key, "w")
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        except OSError as error:  # a network file system that was mounted without locks
            file.close()
            raise self._unwritable(error) from error
        return file

    def _sweep(self, keys: set[str]) -> None:
        """Remove what runners of this machine left half written when they were killed, of cells whose lock is held.

        That the runner is dead is asked too: on a network file system a lock may not hold."""
        try:
            leftovers = list(self.root.glob(f".*.{os.uname().nodename}.*"))
        except OSError as error:  # no more open files
            raise self._unwritable(error) from error
        for leftover in leftovers:
            if leftover.name[1:21] in keys and not alive(leftover.suffix[1:]):
                shutil.rmtree(leftover, ignore_errors=True)

    def save(self, network: Network, trained: Trained) -> None:
        """Write a finished training under a temporary name and rename it: a cell is whole or absent."""
        self._write(key_of(network.spec), encode(network, trained))

    def adopt(self, other: Store, key: str, check: Callable[[Spec, Masks], None] | None = None) -> bool:
        """Copy a cell of another store, checked whole; False where a runner here is training that very cell.

        `check(spec, masks)`: what else is to be looked at before it is copied; it raises what it finds."""
        cell, files = decode(other.folder(key), key)
        if check:
            check(cell.spec, cell.masks)
        lock = self._lock(key)
        if lock is None:
            return False
        with lock:
            self._sweep({key})
            self._write(key, files)
        return True

    def _write(self, key: str, files: dict[str, bytes]) -> None:
        final = self.folder(key)
        temporary = self.root / f".{key}.{os.uname().nodename}.{os.getpid()}"
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary.mkdir()
            try:
                for name, data in files.items():
                    write(temporary / name, data)
                try:
                    os.rename(temporary, final)
                except OSError:
                    if not final.is_dir():  # else another process was faster (locks that do not hold on this system)
                        raise
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"the store {self.root} cannot be written ({error.strerror}): nothing stored before is lost; "
            f"{remedy(error)} with --store, then run again."
        )

    def read(self, key: str) -> Cell:
        """A cell whose hashes all agree; else `StoreError`, which names it and how to have it trained again."""
        return decode(self.folder(key), key)[0]


def _holder(spec: Spec) -> Spec:
    """The row whose cell has the masks of this row's ticket: control arms keep none."""
    return spec if ARMS[spec.arm].grows else spec.ticket(spec.round)
