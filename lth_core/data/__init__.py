"""MNIST, CIFAR-10 and scikit-learn's digits as uint8 arrays, split as in the papers. A data set is one file here."""

from __future__ import annotations

import hashlib
import os
import tempfile
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_core.data.base import Facts, Layout, Parts
from lth_core.data.cifar10 import CIFAR10
from lth_core.data.digits import DIGITS, DIGITS16, DIGITS32
from lth_core.data.mnist import MNIST
from lth_core.draws import generator, split
from lth_core.errors import UsageError

__all__ = ["EVALUATED", "KNOWN", "SAMPLE", "Dataset", "Facts", "Layout", "available", "folder", "load"]

KNOWN: dict[str, Facts] = {d.name: d for d in (MNIST, CIFAR10, DIGITS, DIGITS16, DIGITS32)}
SAMPLE = 5_000  # training images on which training accuracy is followed (ICLR Figure 12)
# Images behind the counts of right answers.
EVALUATED = {d.name: {"train": min(SAMPLE, d.train), "val": d.val, "test": d.test} for d in KNOWN.values()}


@dataclass(frozen=True)
class Dataset:
    """A data set in memory.

    - `pool_images`: `(image, feature)` or `(image, channel, row, column)` uint8, training and validation together
    - `pool_labels`: `(image,)` uint8
    - `test_images`, `test_labels`: the same for the official test set
    """

    name: str
    pool_images: NDArray[np.uint8]
    pool_labels: NDArray[np.uint8]
    test_images: NDArray[np.uint8]
    test_labels: NDArray[np.uint8]

    @property
    def checksum(self) -> str:
        return KNOWN[self.name].checksum

    def split(self, seed: int, trial: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """`(train, validation)` indices into the pool: 55,000 / 5,000 for MNIST, 45,000 / 5,000 for CIFAR-10."""
        return split(seed, trial, len(self.pool_labels), KNOWN[self.name].val)

    def sample(self, seed: int, trial: int) -> NDArray[np.int32]:
        """The fixed training images on which training loss and accuracy are followed: at most 5,000 indices."""
        train, _ = self.split(seed, trial)
        n = min(SAMPLE, len(train))
        return np.sort(generator(seed, trial, "sample").choice(train, n, replace=False)).astype(np.int32)


def known(name: str) -> Facts:
    """The facts of a data set; a name that stands for none is a `UsageError`."""
    if name not in KNOWN:
        raise UsageError(f"dataset = {name!r} does not exist; allowed: {', '.join(KNOWN)}.")
    return KNOWN[name]


def folder(data_dir: str | Path | None = None) -> Path:
    """Where the data sets lie: `data_dir`, else `$LTH_DATA_DIR`, else `~/.cache/lth`, or where there is no home (a
    container whose user has no name), `lth` in the system's folder for temporary files."""
    if named := data_dir or os.environ.get("LTH_DATA_DIR"):
        try:
            return Path(named).expanduser()
        except RuntimeError as error:
            raise UsageError(f"data_dir = {str(named)!r} names a user who does not exist here.") from error
    try:
        return Path.home() / ".cache" / "lth"
    except RuntimeError:
        return Path(tempfile.gettempdir()) / f"lth-{os.getuid()}"


def available(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether all files of the data set are there, so that it is read without a download."""
    facts = KNOWN.get(name)
    if facts is None:
        return False
    try:
        return not facts.layouts or facts.find(folder(data_dir)) is not None
    except OSError:
        return False


@lru_cache(maxsize=4)
def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Read a data set in any of its layouts, downloading it with torchvision if it is not there, and check that it is
    the official one. What cannot be read, or is another, is a `UsageError`."""
    facts, where = known(name), folder(data_dir)
    try:
        parts = _read(facts, where)
    except OSError as error:
        raise UsageError(f"the {name} files in {where} cannot be read ({error}).") from error
    _official(facts, parts, where)
    return Dataset(name, *parts)


def _official(facts: Facts, parts: Parts, where: Path) -> None:
    """Refuse what is another data set than the official one, in shape or in a single bit."""
    for images, labels in (parts[:2], parts[2:]):
        if images.shape != (len(labels), *facts.shape) or labels.ndim != 1:
            raise UsageError(
                f"the {facts.name} files in {where} have images of shape {images.shape} and labels of shape "
                f"{labels.shape}; wanted are (image, {', '.join(map(str, facts.shape))}) and (image,)."
            )
    found = hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()[:16]
    if found != facts.checksum:
        raise UsageError(
            f"the {facts.name} files in {where} are damaged (checksum {found}, expected {facts.checksum}), or changed, "
            "or another data set with the same names: move them away, or name another folder with data_dir or "
            "LTH_DATA_DIR."
        )


def _read(facts: Facts, where: Path) -> Parts:
    if found := facts.find(where):
        layout, files = found
        return layout.read(files)
    if not facts.layouts:
        return facts.fetch(where)
    from filelock import FileLock  # imported late: the exercises' digits come along and need none

    try:
        where.mkdir(parents=True, exist_ok=True)
        with FileLock(where / f".{facts.name}.lock") if os.access(where, os.W_OK) else nullcontext():
            if found := facts.find(where):  # another process has fetched it meanwhile
                layout, files = found
                return layout.read(files)
            return facts.fetch(where)
    except UsageError as error:
        raise UsageError(f"{str(error).rstrip('.')}; {facts.wanted(where)}.") from error
    except OSError as error:
        raise UsageError(
            f"{facts.title} is not in {where}, and cannot be put there ({error}); {facts.wanted(where)}."
        ) from error
