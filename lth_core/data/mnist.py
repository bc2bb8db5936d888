"""MNIST: 70,000 handwritten digits of 28 x 28 pixels, and the forms in which its files are found on disks."""

from __future__ import annotations

import gzip
import io
import math
import os
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from lth_core.data.base import Facts, Layout, Parts, aside, downloaded, from_tables, has_column, pixels
from lth_core.errors import UsageError

NAMES = [f"{part}-{kind}" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1")]
MOST = 60_000_000  # bytes of an unpacked file


def _flat(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.ascontiguousarray(images.reshape(len(images), math.prod(images.shape[1:])))


def idx(file: Path) -> NDArray[np.uint8]:
    """An array of MNIST's own format, packed by gzip or not, whatever its name says (browsers unpack): two zero bytes,
    8 for uint8, the number of dimensions, each as four bytes, values. A file that is not so, or not whole, is a
    `UsageError`.

    Read here, not by torchvision, which prefers a pickle of its own making (processed/*.pt) if it finds one."""
    with open(file, "rb") as held:
        data = held.read(MOST)
    size = len(data)
    if data[:2] == b"\x1f\x8b":
        try:
            data = gzip.GzipFile(fileobj=io.BytesIO(data)).read(MOST)
        except (zlib.error, OSError, EOFError):
            data = b""
    axes = data[3] if len(data) >= 4 else 0
    shape = struct.unpack(f">{axes}I", data[4 : 4 + 4 * axes]) if len(data) >= 4 + 4 * axes else ()
    if data[:3] != b"\0\0\x08" or not shape or len(data) != 4 + 4 * len(shape) + math.prod(shape):
        raise UsageError(
            f"{file} is damaged or only half there ({size:,} bytes): delete it to have it downloaded again, or "
            "name another folder with data_dir or LTH_DATA_DIR."
        )
    return np.frombuffer(data, np.uint8, offset=4 + 4 * len(shape)).reshape(shape).copy()  # torch wants it writable


def _from_idx(files: list[Path]) -> Parts:
    images, labels, test_images, test_labels = map(idx, files)
    return _flat(images), labels, _flat(test_images), test_labels


def _from_npz(files: list[Path]) -> Parts:
    try:
        with np.load(files[0], allow_pickle=False) as held:
            found = [pixels(held[n]) for n in ("x_train", "y_train", "x_test", "y_test")]
        return _flat(found[0]), found[1], _flat(found[2]), found[3]
    except Exception as error:  # whatever readers of zip and npy make of bytes of unknown origin
        raise UsageError(f"{files[0]} is damaged, or not MNIST as Keras keeps it ({_why(error)}).") from error


def _why(error: Exception) -> str:
    """An error's text on one line, or its kind where it has none."""
    return " ".join(str(error).split())[:200].rstrip(".") or type(error).__name__


def _from_csv(files: list[Path]) -> Parts:
    """A line an image: its label, then its 784 pixels; with a line of names above them or without."""
    import pandas as pd  # imported late: few need it

    found = []
    for file in files:
        try:
            with open(file, "rb") as held:
                named = held.read(1).isalpha()
            table = pd.read_csv(file, header=None, skiprows=int(named), dtype=np.int16, nrows=100_000).to_numpy()
            values = pixels(table)
        except Exception as error:  # whatever a reader of tables makes of bytes of unknown origin
            raise UsageError(f"{file} is damaged, or no table of labels and pixels ({_why(error)}).") from error
        found += [np.ascontiguousarray(values[:, 1:]), values[:, 0].copy()]
    return found[0], found[1], found[2], found[3]


def _from_hub(files: list[Path]) -> Parts:
    (images, labels), (test_images, test_labels) = from_tables(files, "image")
    return _flat(images), labels, _flat(test_images), test_labels


def _fetch(where: Path) -> Parts:
    raw = where / "MNIST" / "raw"
    with aside(where) as folder:
        downloaded("MNIST", where, lambda: _download(folder))
        raw.mkdir(parents=True, exist_ok=True)
        for name in NAMES:
            os.replace(folder / f"{name}-ubyte", raw / f"{name}-ubyte")
    return _from_idx([raw / f"{n}-ubyte" for n in NAMES])


def _download(raw: Path) -> None:
    from torchvision.datasets import MNIST as FILES  # imported late: reading published results needs no torch
    from torchvision.datasets.utils import download_and_extract_archive

    for file, md5 in FILES.resources:
        errors = []
        for mirror in FILES.mirrors:
            try:
                download_and_extract_archive(mirror + file, str(raw), filename=file, md5=md5)
                break
            except (RuntimeError, OSError) as error:
                errors.append(f"{mirror}: {error}")
        else:
            raise RuntimeError("; ".join(errors))


MNIST = Facts(
    name="mnist", title="MNIST", checksum="06b0d1f124c4e5fa", shape=(784,), train=55_000, val=5_000, test=10_000,
    stand_in="digits", fetch=_fetch, places=("MNIST/raw", "", "raw", "MNIST", "mnist"),
    layouts=(
        Layout(
            "four IDX files, packed or not, named with a dash or a dot",
            tuple((f"{n}-ubyte", f"{n}-ubyte.gz", f"{dotted}-ubyte", f"{dotted}-ubyte.gz")
                  for n in NAMES for dotted in [n.replace("-idx", ".idx")]),
            _from_idx,
        ),
        Layout("one file of Keras", (("mnist.npz",),), _from_npz),
        Layout("two tables of Kaggle", (("mnist_train.csv",), ("mnist_test.csv",)), _from_csv),
        Layout(
            "Parquet files of the Hugging Face hub",
            (("train-00000-of-00001.parquet", "train/0000.parquet"),
             ("test-00000-of-00001.parquet", "test/0000.parquet")),
            _from_hub, has_column("image"),
        ),
        Layout(
            "Arrow files of the Hugging Face library",
            (("mnist-train.arrow", "train/data-00000-of-00001.arrow"),
             ("mnist-test.arrow", "test/data-00000-of-00001.arrow")),
            _from_hub, has_column("image"),
        ),
    ),
)  # fmt: skip
