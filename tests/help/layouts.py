"""Small data sets in the place of MNIST and CIFAR-10, written in each layout in which those lie on disks."""

from __future__ import annotations

import gzip
import hashlib
import pickle
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handed_places import idx, png

from lth_core import data
from lth_core.data import cifar10
from lth_core.errors import UsageError

Arrays = list[np.ndarray]
SIZE = 10  # images of each small file


def known_as(name: str, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Small arrays stand for the official ones."""
    total = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:16]
    monkeypatch.setitem(data.KNOWN, name, replace(data.KNOWN[name], checksum=total, fetch=no_network))


def no_network(where: Path) -> Any:
    raise UsageError(f"not in {where}, and could not be downloaded (no network).")


@pytest.fixture
def nothing_remembered() -> Iterator[None]:
    data.load.cache_clear()
    yield
    data.load.cache_clear()


@pytest.fixture
def digits28(nothing_remembered: None, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """In place of MNIST: pool images `(60, 784)`, labels, test images `(10, 784)`, labels."""
    rng = np.random.default_rng(0)
    made = [rng.integers(0, 256, (n, 784), np.uint8) if flat else rng.integers(0, 10, n).astype(np.uint8)
            for n in (60, SIZE) for flat in (True, False)]  # fmt: skip
    known_as("mnist", made, monkeypatch)
    return made


@pytest.fixture
def photos(nothing_remembered: None, monkeypatch: pytest.MonkeyPatch) -> Arrays:
    """In place of CIFAR-10, with ten images a file."""
    rng = np.random.default_rng(1)
    made = [rng.integers(0, 256, (n, 3, 32, 32), np.uint8) if big else rng.integers(0, 10, n).astype(np.uint8)
            for n in (5 * SIZE, SIZE) for big in (True, False)]  # fmt: skip
    known_as("cifar10", made, monkeypatch)
    monkeypatch.setattr(cifar10, "EACH", SIZE)
    blocks = [made[0][i : i + SIZE] for i in range(0, 5 * SIZE, SIZE)]
    monkeypatch.setattr(cifar10, "BLOCKS", tuple(hashlib.sha256(b.tobytes()).hexdigest()[:16] for b in blocks))
    return made


def hub(file: Path, column: str, images: np.ndarray, labels: np.ndarray) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    cells = [{"bytes": png(i), "path": None} for i in images]
    pq.write_table(pa.table({column: cells, "label": labels.astype(np.int64)}), file)


def idx_files(names: Callable[[str], str], folder: str, pack: Callable[[bytes], bytes] = bytes) -> Callable[..., None]:
    def write(root: Path, arrays: Arrays) -> None:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for name, array in zip(data.mnist.NAMES, arrays, strict=True):
            (root / folder / names(name)).write_bytes(pack(idx(array)))

    return write


def npz(root: Path, arrays: Arrays) -> None:
    x, y, tx, ty = arrays
    np.savez(root / "mnist.npz", x_train=x.reshape(-1, 28, 28), y_train=y, x_test=tx.reshape(-1, 28, 28), y_test=ty)


def mnist_of_the_hub(root: Path, arrays: Arrays) -> None:
    x, y, tx, ty = arrays
    hub(root / "mnist" / "train-00000-of-00001.parquet", "image", x.reshape(-1, 28, 28), y)
    hub(root / "mnist" / "test-00000-of-00001.parquet", "image", tx.reshape(-1, 28, 28), ty)


MNIST_LAYOUTS = {
    "as torchvision keeps them": idx_files(lambda n: f"{n}-ubyte", "MNIST/raw"),
    "packed, as they are downloaded": idx_files(lambda n: f"{n}-ubyte.gz", "MNIST/raw", gzip.compress),
    "packed, in the folder itself": idx_files(lambda n: f"{n}-ubyte.gz", ".", gzip.compress),
    "with dots, in the folder itself": idx_files(lambda n: f"{n}-ubyte".replace("-idx", ".idx"), "."),
    "with dots, packed, in a folder mnist": idx_files(
        lambda n: f"{n}-ubyte.gz".replace("-idx", ".idx"), "mnist", gzip.compress
    ),
    "one file of Keras": npz,
    "of the hub": mnist_of_the_hub,
}


def binary(root: Path, arrays: Arrays) -> None:
    x, y, tx, ty = arrays
    records = np.concatenate([np.concatenate([y, ty])[:, None], np.concatenate([x, tx]).reshape(-1, 3072)], axis=1)
    root.mkdir(parents=True, exist_ok=True)
    for i, name in enumerate(cifar10.BINARY):
        (root / name).write_bytes(records[i * SIZE : (i + 1) * SIZE].astype(np.uint8).tobytes())


def archive(root: Path, arrays: Arrays) -> None:
    binary(root / "x" / "cifar-10-batches-bin", arrays)
    with tarfile.open(root / "cifar-10-binary.tar.gz", "w:gz") as made:
        made.add(root / "x" / "cifar-10-batches-bin", "cifar-10-batches-bin")


def pickles(root: Path, arrays: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    root.mkdir(parents=True, exist_ok=True)
    x, y, tx, ty = arrays
    sums = {}
    for i, name in enumerate(cifar10.PYTHON):
        a, b = (tx, ty) if name == "test_batch" else (x[i * SIZE : (i + 1) * SIZE], y[i * SIZE : (i + 1) * SIZE])
        (root / name).write_bytes(pickle.dumps({"data": a.reshape(-1, 3072), "labels": b.tolist()}))
        sums[name] = hashlib.md5((root / name).read_bytes()).hexdigest()
    (root / "batches.meta").write_bytes(pickle.dumps({"label_names": list("0123456789")}))
    meta = hashlib.md5((root / "batches.meta").read_bytes()).hexdigest()
    monkeypatch.setattr(CIFAR10, "train_list", [[n, sums[n]] for n in cifar10.PYTHON[:5]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta})


def cifar10_of_the_hub(root: Path, arrays: Arrays) -> None:
    """The hub's order of the training files is its own."""
    x, y, tx, ty = arrays
    order = np.arange(5 * SIZE).reshape(5, SIZE)[[3, 0, 4, 2, 1]].ravel()
    hub(root / "plain_text" / "train-00000-of-00001.parquet", "img", x[order].transpose(0, 2, 3, 1), y[order])
    hub(root / "plain_text" / "test-00000-of-00001.parquet", "img", tx.transpose(0, 2, 3, 1), ty)


CIFAR10_LAYOUTS = {
    "binary": lambda root, a, m: binary(root / "cifar-10-batches-bin", a),
    "binary, in the folder itself": lambda root, a, m: binary(root, a),
    "the binary archive": lambda root, a, m: archive(root, a),
    "python": lambda root, a, m: pickles(root / "cifar-10-batches-py", a, m),
    "python, in the folder itself": pickles,
    "of the hub": lambda root, a, m: cifar10_of_the_hub(root, a),
}


def read_back(name: str, folder: Path, arrays: Arrays) -> None:
    """A data set is found in a folder without a network, and is these arrays."""
    assert data.available(name, folder)
    for have, want in zip(vars(data.load(name, folder)).values(), [name, *arrays], strict=True):
        assert np.array_equal(have, want)
