"""MNIST, CIFAR-10 and scikit-learn's digits as uint8 arrays, split as in the papers."""

from __future__ import annotations

import hashlib
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.draws import generator, split
from lth_core.spec import UsageError

# SHA-256 (first 16 hex digits) of pool images, pool labels, test images, test labels: part of every cell's identity,
# written here so that published results can be read where the data are not.
CHECKSUMS = {
    "mnist": "06b0d1f124c4e5fa",
    "cifar10": "32e5966899bde482",
    "digits": "4a84ed32d56f9b49",
    "digits32": "b90479e84fa3bf26",
}
VALIDATION = {"mnist": 5_000, "cifar10": 5_000, "digits": 180, "digits32": 180}
SAMPLE = 5_000  # training images on which training accuracy is followed (ICLR Figure 12)
EVALUATED = {  # images behind the counts of right answers
    "mnist": {"train": 5_000, "val": 5_000, "test": 10_000},
    "cifar10": {"train": 5_000, "val": 5_000, "test": 10_000},
    "digits": {"train": 1_257, "val": 180, "test": 360},
    "digits32": {"train": 1_257, "val": 180, "test": 360},
}


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
        return CHECKSUMS[self.name]

    def split(self, seed: int, trial: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
        """`(train, validation)` indices into the pool: 55,000 / 5,000 for MNIST, 45,000 / 5,000 for CIFAR-10."""
        return split(seed, trial, len(self.pool_labels), VALIDATION[self.name])

    def sample(self, seed: int, trial: int) -> NDArray[np.int32]:
        """The fixed training images on which training loss and accuracy are followed: at most 5,000 indices."""
        train, _ = self.split(seed, trial)
        n = min(SAMPLE, len(train))
        return np.sort(generator(seed, trial, "sample").choice(train, n, replace=False)).astype(np.int32)


def folder(data_dir: str | Path | None = None) -> Path:
    """Where the data sets lie: `data_dir`, else `$LTH_DATA_DIR`, else `~/.cache/lth`."""
    where = Path(data_dir or os.environ.get("LTH_DATA_DIR") or Path.home() / ".cache" / "lth")
    try:
        return where.expanduser()
    except RuntimeError as error:
        raise UsageError(f"data_dir = {str(where)!r} names a user who does not exist here.") from error


def available(name: str, data_dir: str | Path | None = None) -> bool:
    """Whether the data set can be read without a download."""
    where = folder(data_dir)
    marks = {
        "mnist": [where / "MNIST" / "raw" / "train-images-idx3-ubyte"],
        "cifar10": [where / "cifar-10-batches-bin" / "test_batch.bin", where / "cifar-10-batches-py" / "test_batch"],
    }
    return name.startswith("digits") or any(p.exists() for p in marks.get(name, []))


@lru_cache(maxsize=4)
def load(name: str, data_dir: str | Path | None = None) -> Dataset:
    """Read a data set, downloading it with torchvision if it is not there, and check that it is the official one."""
    if name not in VALIDATION:
        raise UsageError(f"dataset = {name!r} does not exist; allowed: {', '.join(VALIDATION)}.")
    where = folder(data_dir)
    try:
        parts = {"mnist": _mnist, "cifar10": _cifar10, "digits": _digits, "digits32": _digits32}[name](where)
    except OSError as error:
        raise UsageError(f"the {name} files in {where} cannot be read ({error}).") from error
    found = hashlib.sha256(b"".join(np.ascontiguousarray(p).tobytes() for p in parts)).hexdigest()[:16]
    if found != CHECKSUMS[name]:
        raise UsageError(
            f"the {name} files in {where} are damaged (checksum {found}, expected {CHECKSUMS[name]}): "
            "delete them, or name another folder with data_dir or LTH_DATA_DIR."
        )
    return Dataset(name, *parts)


Parts = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8], NDArray[np.uint8]]


def _fetch(kind: str, where: Path, download: Callable[[], object]) -> object:
    """Have torchvision download a data set: it compares what arrives with the official MD5 before unpacking it."""
    try:
        return download()
    except (RuntimeError, OSError, EOFError) as error:
        said = " ".join(str(error).split())
        raise UsageError(
            f"{kind} is not in {where}, or damaged there, and could not be downloaded ({said}): put the official "
            "files there, or name their folder with data_dir or LTH_DATA_DIR."
        ) from error


def _mnist(where: Path) -> Parts:
    raw = where / "MNIST" / "raw"
    names = [f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
    if not all((raw / n).exists() for n in names):
        _fetch("MNIST", where, lambda: _download_mnist(raw))
    images, labels, test_images, test_labels = (_idx(raw / n) for n in names)
    return images.reshape(len(images), -1), labels, test_images.reshape(len(test_images), -1), test_labels


def _download_mnist(raw: Path) -> None:
    from torchvision.datasets import MNIST  # imported late: reading published results needs no torch
    from torchvision.datasets.utils import download_and_extract_archive

    raw.mkdir(parents=True, exist_ok=True)
    for file, md5 in MNIST.resources:
        errors = []
        for mirror in MNIST.mirrors:
            try:
                download_and_extract_archive(mirror + file, str(raw), filename=file, md5=md5)
                break
            except (RuntimeError, OSError) as error:
                errors.append(f"{mirror}: {error}")
        else:
            raise RuntimeError("; ".join(errors))


def _idx(file: Path) -> NDArray[np.uint8]:
    """An array of MNIST's own format: two zero bytes, 8 for uint8, the number of dimensions, each as four bytes.

    Read here, not by torchvision, which prefers a pickle of its own making (processed/*.pt) if it finds one."""
    data = file.read_bytes()
    shape = tuple(int(n) for n in np.frombuffer(data[4 : 4 + 4 * data[3]], ">u4")) if len(data) >= 16 else ()
    if data[:3] != b"\0\0\x08" or len(data) != 4 + 4 * len(shape) + math.prod(shape):
        raise UsageError(
            f"{file} is damaged or only half there ({len(data):,} bytes): delete it to have it downloaded again, or "
            "name another folder with data_dir or LTH_DATA_DIR."
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()  # torch wants it writable


def _cifar10(where: Path) -> Parts:
    binary = where / "cifar-10-batches-bin"
    if (binary / "test_batch.bin").exists():  # the official binary version: 1 label byte, then 3072 of R, G, B planes
        names = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
        records = [np.fromfile(binary / n, np.uint8) for n in names if (binary / n).exists()]
        if len(records) < 6 or any(r.size != 10_000 * 3073 for r in records):
            raise UsageError(f"the CIFAR-10 files in {binary} are incomplete: delete them or copy them again.")
        pool, test = np.concatenate(records[:5]).reshape(-1, 3073), records[5].reshape(-1, 3073)
        return (
            np.ascontiguousarray(pool[:, 1:]).reshape(-1, 3, 32, 32), pool[:, 0].copy(),
            np.ascontiguousarray(test[:, 1:]).reshape(-1, 3, 32, 32), test[:, 0].copy(),
        )  # fmt: skip
    from torchvision.datasets import CIFAR10

    def make(train: bool) -> Any:
        """It compares each pickle with its official MD5 before it opens any, and loads what does not agree again."""
        return _fetch("CIFAR-10", where, lambda: CIFAR10(str(where), train=train, download=True))

    train, test = make(True), make(False)
    flat = [(np.ascontiguousarray(d.data.transpose(0, 3, 1, 2)), np.array(d.targets, np.uint8)) for d in (train, test)]
    return (*flat[0], *flat[1])


def _digits(where: Path) -> Parts:
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    images, labels = (images * 255 / 16).round().astype(np.uint8), labels.astype(np.uint8)
    order = generator("digits").permutation(len(labels))  # the file is ordered by writer
    pool, test = order[360:], order[:360]
    return images[pool], labels[pool], images[test], labels[test]


def _digits32(where: Path) -> Parts:
    """The digits for convolutional nets: each pixel four by four, three equal channels."""

    def enlarge(flat: NDArray[np.uint8]) -> NDArray[np.uint8]:
        square = flat.reshape(-1, 1, 8, 8).repeat(4, axis=2).repeat(4, axis=3)
        return np.ascontiguousarray(square.repeat(3, axis=1))

    pool, pool_labels, test, test_labels = _digits(where)
    return enlarge(pool), pool_labels, enlarge(test), test_labels
