"""CIFAR-10: 60,000 colour images of 32 x 32 pixels, and the forms in which its files are found on disks."""

from __future__ import annotations

import hashlib
import io
import os
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.data.base import Facts, Layout, Parts, aside, downloaded, from_tables, has_column
from lth_core.errors import UsageError

BINARY = [f"data_batch_{i}.bin" for i in range(1, 6)] + ["test_batch.bin"]
PYTHON = [f"data_batch_{i}" for i in range(1, 6)] + ["test_batch"]
RECORD, EACH = 3_073, 10_000  # bytes of an image with its label; images of a file
MOST_PACKED = 200_000_000  # bytes of an archive
BLOCKS = (  # SHA-256 (first 16 hex digits) of the images of each training file: the hub keeps these in another order
    "a50e8b48728e1667", "0b825e5592c3b72e", "c6ee1dd4601a69ec", "1f6b6c799cff375a", "58e3bbf713e28357",
)  # fmt: skip


def _parts(records: list[bytes | NDArray[np.uint8]], where: Path) -> Parts:
    """From the official binary version: 1 label byte, then 3072 of R, G, B planes."""
    raw = [np.frombuffer(r, np.uint8) for r in records]
    if len(raw) < 6 or any(r.size != EACH * RECORD for r in raw):
        raise UsageError(f"the CIFAR-10 files in {where} are incomplete: delete them or copy them again.")
    pool, test = np.concatenate(raw[:5]).reshape(-1, RECORD), raw[5].reshape(-1, RECORD)
    return (
        np.ascontiguousarray(pool[:, 1:]).reshape(-1, 3, 32, 32), pool[:, 0].copy(),
        np.ascontiguousarray(test[:, 1:]).reshape(-1, 3, 32, 32), test[:, 0].copy(),
    )  # fmt: skip


def _from_binary(files: list[Path]) -> Parts:
    return _parts([_most(f) for f in files], files[0].parent)


def _most(file: Path) -> bytes:
    """A file's content, and no more of a larger one than shows that it is one."""
    with open(file, "rb") as held:
        return held.read(EACH * RECORD + 1)


def _from_archive(files: list[Path]) -> Parts:
    """The binary version as it is downloaded: read in place, nothing is unpacked on the disk."""
    try:
        with tarfile.open(files[0], "r:gz") as archive:
            found = [archive.extractfile(f"cifar-10-batches-bin/{n}") for n in BINARY]
            return _parts([f.read(EACH * RECORD + 1) if f else b"" for f in found], files[0])
    except (tarfile.TarError, KeyError, EOFError, zlib.error) as error:
        raise UsageError(f"{files[0]} is damaged, or not CIFAR-10's archive ({type(error).__name__}).") from error


def _torchvision(root: Path, base: str, *, download: bool, asked: Path | None = None) -> Parts:
    """It compares each pickle with its official MD5 before it opens any, and loads what does not agree again."""
    from torchvision.datasets import CIFAR10 as Files  # imported late: reading published results needs no torch

    class Here(Files):
        base_folder = base

    def make(train: bool) -> Any:
        return downloaded("CIFAR-10", asked or root, lambda: Here(str(root), train=train, download=download))

    train, test = make(True), make(False)
    flat = [(np.ascontiguousarray(d.data.transpose(0, 3, 1, 2)), np.array(d.targets, np.uint8)) for d in (train, test)]
    return (*flat[0], *flat[1])


def _fetch(where: Path) -> Parts:
    base = "cifar-10-batches-py"
    with aside(where) as folder:
        parts = _torchvision(folder, base, download=True, asked=where)
        (where / base).mkdir(exist_ok=True)
        for file in (folder / base).iterdir():
            os.replace(file, where / base / file.name)
    return parts


def _from_python(files: list[Path]) -> Parts:
    folder = files[0].parent
    return _torchvision(folder.parent, folder.name, download=folder.name == "cifar-10-batches-py")


def _from_python_archive(files: list[Path]) -> Parts:
    """The Python version as it is downloaded, by torchvision or Keras. Its pickles are opened only if the whole has the
    official MD5, out of the bytes that were compared."""
    from torchvision.datasets import CIFAR10 as Files

    with open(files[0], "rb") as held:
        content = held.read(MOST_PACKED)
    if hashlib.md5(content).hexdigest() != Files.tgz_md5:
        raise UsageError(
            f"{files[0]} is damaged, or not CIFAR-10's archive (another MD5 than {Files.tgz_md5}): delete it to have "
            "it downloaded again, or name another folder with data_dir or LTH_DATA_DIR."
        )
    found = []
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        for name in PYTHON:
            member = archive.extractfile(f"cifar-10-batches-py/{name}")
            assert member is not None  # the MD5 says so
            found.append(pickle.load(member, encoding="latin1"))
    images = np.concatenate([f["data"] for f in found]).reshape(-1, 3, 32, 32)
    labels = np.concatenate([f["labels"] for f in found]).astype(np.uint8)
    return images[: 5 * EACH], labels[: 5 * EACH], images[5 * EACH :], labels[5 * EACH :]


def _from_hub(files: list[Path]) -> Parts:
    (images, labels), (test_images, test_labels) = [
        (np.ascontiguousarray(np.moveaxis(x, -1, 1)), y) for x, y in from_tables(files, "img")
    ]
    starts = range(0, len(images), EACH)
    found = [hashlib.sha256(images[i : i + EACH].tobytes()).hexdigest()[:16] for i in starts]
    if sorted(found) == sorted(BLOCKS):  # else the checksum of the whole refuses it
        order = np.concatenate([np.arange(EACH) + EACH * found.index(block) for block in BLOCKS])
        images, labels = images[order], labels[order]
    return images, labels, test_images, test_labels


CIFAR10 = Facts(
    name="cifar10", title="CIFAR-10", checksum="32e5966899bde482", shape=(3, 32, 32), train=45_000, val=5_000,
    test=10_000, stand_in="digits16", fetch=_fetch,
    places=("cifar-10-batches-bin", "cifar-10-batches-py", "", "cifar10", "CIFAR10", "plain_text"),
    layouts=(
        Layout("the binary version", tuple((n,) for n in BINARY), _from_binary),
        Layout("the Python version", tuple((n,) for n in [*PYTHON, "batches.meta"]), _from_python),
        Layout("the binary version's archive", (("cifar-10-binary.tar.gz",),), _from_archive),
        Layout(
            "the Python version's archive", (("cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"),),
            _from_python_archive,
        ),
        Layout(
            "Parquet files of the Hugging Face hub",
            (("train-00000-of-00001.parquet", "train/0000.parquet"),
             ("test-00000-of-00001.parquet", "test/0000.parquet")),
            _from_hub, has_column("img"),
        ),
        Layout(
            "Arrow files of the Hugging Face library",
            (("cifar10-train.arrow", "train/data-00000-of-00001.arrow"),
             ("cifar10-test.arrow", "test/data-00000-of-00001.arrow")),
            _from_hub, has_column("img"),
        ),
    ),
)  # fmt: skip
