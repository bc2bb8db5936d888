"""Data as people's disks have them: other names and packings are read, scaled and turned ones are refused."""

from __future__ import annotations

import gzip
import hashlib
import os
import pickle
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from handed_places import png
from layouts import CIFAR10_LAYOUTS, MNIST_LAYOUTS, Arrays, binary, hub, idx_files, npz, read_back

from lth_core import data
from lth_core.errors import UsageError


def blocks(content: bytes) -> bytes:
    """Packed in many pieces one after the other, as bgzip does."""
    return b"".join(gzip.compress(content[i : i + 999]) for i in range(0, len(content), 999))


def csv(root: Path, arrays: Arrays, names: bool) -> None:
    x, y, tx, ty = arrays
    for file, images, labels in (("mnist_train.csv", x, y), ("mnist_test.csv", tx, ty)):
        head = ",".join(["label", *(f"{i}x{j}" for i in range(1, 29) for j in range(1, 29))])
        table = np.concatenate([labels[:, None], images], axis=1)
        np.savetxt(root / file, table, "%d", ",", header=head if names else "", comments="")


def to_arrow(file: Path, target: Path) -> None:
    table = pq.read_table(file)
    target.parent.mkdir(parents=True, exist_ok=True)
    with pa.OSFile(str(target), "wb") as held, pa.ipc.new_stream(held, table.schema) as stream:
        stream.write_table(table)


def of_hub(root: Path, arrays: Arrays, train: str, test: str) -> None:
    x, y, tx, ty = arrays
    for name, images, labels in ((train, x, y), (test, tx, ty)):
        hub(root / "made.parquet", "image", images.reshape(-1, 28, 28), labels)
        if name.endswith(".arrow"):
            to_arrow(root / "made.parquet", root / name)
        else:
            (root / name).parent.mkdir(parents=True)
            os.replace(root / "made.parquet", root / name)


def linked(root: Path, arrays: Arrays) -> None:
    idx_files(lambda n: f"{n}-ubyte", "elsewhere")(root, arrays)
    (root / "MNIST").symlink_to("elsewhere")


READ: dict[str, Callable[[Path, Arrays], None]] = {
    "in capital letters": idx_files(lambda n: f"{n}-ubyte".upper(), "."),
    "folders in other letters": idx_files(lambda n: f"{n}-ubyte", "Mnist/RAW"),
    "unpacked by a browser, still named .gz": idx_files(lambda n: f"{n}-ubyte.gz", "MNIST/raw"),
    "packed, not named so": idx_files(lambda n: f"{n}-ubyte", "MNIST/raw", gzip.compress),
    "packed in many pieces": idx_files(lambda n: f"{n}-ubyte.gz", ".", blocks),
    "behind a link": linked,
    "tables with names": lambda root, a: csv(root, a, True),
    "tables without": lambda root, a: csv(root, a, False),
    "Parquet that the hub made": lambda root, a: of_hub(root, a, "mnist/train/0000.parquet", "mnist/test/0000.parquet"),
    "Arrow of the library": lambda root, a: of_hub(root, a, "mnist-train.arrow", "mnist-test.arrow"),
    "Arrow by save_to_disk": lambda root, a: of_hub(
        root, a, "train/data-00000-of-00001.arrow", "test/data-00000-of-00001.arrow"
    ),
}


@pytest.mark.parametrize("how", READ)
def test_what_is_mnist_is_read(how: str, tmp_path: Path, digits28: Arrays) -> None:
    READ[how](tmp_path, digits28)
    read_back("mnist", tmp_path, digits28)


CHANGED: dict[str, tuple[Callable[[Arrays], Arrays], str]] = {
    "labels in a column": (lambda a: [a[0], a[1][:, None], a[2], a[3][:, None]], r"labels of shape \(60, 1\)"),
    "two images a row": (lambda a: [a[0].reshape(30, -1), *a[1:]], r"images of shape \(30, 1568\)"),
    "one-hot": (lambda a: [a[0], np.eye(10, dtype=np.uint8)[a[1]], *a[2:]], r"labels of shape \(60, 10\)"),
    "scaled": (lambda a: [a[0] / 255, *a[1:]], "whole numbers from 0 to 255"),
    "not quite whole": (lambda a: [a[0] + 0.4, *a[1:]], "whole numbers from 0 to 255"),
    "beyond a byte": (lambda a: [a[0].astype(np.int64) + 256, *a[1:]], "whole numbers from 0 to 255"),
    "no numbers": (lambda a: [np.full(a[0].shape, np.nan), *a[1:]], "whole numbers from 0 to 255"),
    "text": (lambda a: [a[0], a[1].astype(str), *a[2:]], "no numbers"),
    "turned": (lambda a: [a[0].reshape(-1, 28, 28).swapaxes(1, 2), *a[1:]], "or changed"),
    "none": (lambda a: [a[0][:0], a[1][:0], *a[2:]], "or changed"),
}  # fmt: skip


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("how", CHANGED)
def test_what_was_changed_is_refused(how: str, tmp_path: Path, digits28: Arrays) -> None:
    """Also where its bytes, or its values made bytes, are the official ones."""
    make, said = CHANGED[how]
    x, y, tx, ty = make(digits28)
    np.savez(tmp_path / "mnist.npz", x_train=x, y_train=y, x_test=tx, y_test=ty)
    with pytest.raises(UsageError, match=said) as error:
        data.load("mnist", tmp_path)
    assert "\n" not in str(error.value)


def test_idx_files_of_nothing_are_refused(tmp_path: Path, digits28: Arrays) -> None:
    idx_files(lambda n: f"{n}-ubyte", ".")(tmp_path, [a[:0] for a in digits28])
    with pytest.raises(UsageError, match="damaged"):
        data.load("mnist", tmp_path)


def test_tables_of_other_things_are_refused(tmp_path: Path, digits28: Arrays) -> None:
    csv(tmp_path, digits28, True)
    file = tmp_path / "mnist_train.csv"
    good = file.read_text()
    for bad in (
        "",
        "label\n",
        "x" * 99,
        good[:5_000],
        good.replace(",0", ",0.5", 1),
        good.replace(",1", ",-1"),
        "\0" * 9,
    ):
        file.write_text(bad)
        data.load.cache_clear()
        with pytest.raises(UsageError) as error:
            data.load("mnist", tmp_path)
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("inner", ["archive", "data/MNIST/raw", "datasets--mnist/snapshots/4711/mnist"])
def test_a_refusal_names_the_folder_that_has_the_files(inner: str, tmp_path: Path, digits28: Arrays) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / inner).mkdir(parents=True)
    npz(tmp_path / inner, digits28)
    with pytest.raises(UsageError, match=r"found were \w+(--\w+)?/.*files of these names lie in") as error:
        data.load("mnist", tmp_path)
    (named,) = str(error.value).split("lie in ")[1:]
    data.load("mnist", named.removesuffix(", which can be named."))


def test_a_refusal_names_the_folder_above(tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS["as torchvision keeps them"](tmp_path, digits28)
    (tmp_path / "cifar-10-batches-bin").mkdir()
    with pytest.raises(UsageError, match=f"files of these names lie in {tmp_path}, which"):
        data.load("mnist", tmp_path / "cifar-10-batches-bin")


def test_a_folder_that_is_a_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("x")
    with pytest.raises(UsageError, match=r"cannot be put there .*; wanted are"):
        data.load.__wrapped__("mnist", tmp_path / "data")


def test_links_in_circles_end(tmp_path: Path, digits28: Arrays) -> None:
    (tmp_path / "MNIST").symlink_to("MNIST")
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "up").symlink_to(tmp_path)
    assert not data.available("mnist", tmp_path)
    with pytest.raises(UsageError, match="wanted are"):
        data.load("mnist", tmp_path)


def python_archive(root: Path, arrays: Arrays, name: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    from torchvision.datasets import CIFAR10

    CIFAR10_LAYOUTS["python"](root / "x", arrays, monkeypatch)
    with tarfile.open(root / name, "w:gz") as made:
        made.add(root / "x" / "cifar-10-batches-py", "cifar-10-batches-py")
    monkeypatch.setattr(CIFAR10, "tgz_md5", hashlib.md5((root / name).read_bytes()).hexdigest())
    return root / name


@pytest.mark.parametrize("name", ["cifar-10-python.tar.gz", "cifar-10-batches-py.tar.gz"])
def test_the_python_archive_is_read_in_place(
    name: str, tmp_path: Path, photos: Arrays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As torchvision and Keras download it."""
    file = python_archive(tmp_path, photos, name, monkeypatch)
    before = sorted(tmp_path.rglob("*"))
    read_back("cifar10", tmp_path, photos)
    assert sorted(tmp_path.rglob("*")) == before
    file.write_bytes(file.read_bytes()[:-9])
    data.load.cache_clear()
    with pytest.raises(UsageError, match=f"{name} is damaged"):
        data.load("cifar10", tmp_path)


def test_no_other_archive_is_opened(tmp_path: Path, photos: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """It holds pickles, which can run anything."""

    class Evil:
        def __reduce__(self) -> Any:
            return (os.mkdir, (str(tmp_path / "ran"),))

    (tmp_path / "cifar-10-batches-py").mkdir()
    (tmp_path / "cifar-10-batches-py" / "data_batch_1").write_bytes(pickle.dumps(Evil()))
    with tarfile.open(tmp_path / "cifar-10-python.tar.gz", "w:gz") as made:
        made.add(tmp_path / "cifar-10-batches-py", "cifar-10-batches-py")
    with pytest.raises(UsageError, match="another MD5"):
        data.load("cifar10", tmp_path)
    assert not (tmp_path / "ran").exists()


def test_pictures_without_colours_are_refused(tmp_path: Path, photos: Arrays) -> None:
    """Grey PNG in the table of CIFAR-10."""
    grey = pa.table({"img": [{"bytes": png(i[0]), "path": None} for i in photos[2]], "label": [0] * len(photos[2])})
    for name in ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet"):
        pq.write_table(grey, tmp_path / name)
    with pytest.raises(UsageError, match="images of shape"):
        data.load("cifar10", tmp_path)


def test_cifar10_in_capital_letters(tmp_path: Path, photos: Arrays) -> None:
    binary(tmp_path / "CIFAR-10-Batches-Bin", photos)
    for file in list((tmp_path / "CIFAR-10-Batches-Bin").iterdir()):
        file.rename(file.with_name(file.name.upper()))
    assert np.array_equal(data.load("cifar10", tmp_path).test_images, photos[2])
