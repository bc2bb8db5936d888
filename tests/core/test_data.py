"""Data sets as they lie on people's disks: every layout is read and checked, and a refusal says what was looked for."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from layouts import CIFAR10_LAYOUTS, MNIST_LAYOUTS, Arrays, cifar10_of_the_hub, mnist_of_the_hub, read_back
from places import ROOT

from lth_companion.commands import main
from lth_core import data
from lth_core.errors import UsageError


@pytest.mark.parametrize("layout", MNIST_LAYOUTS)
def test_mnist_in_every_layout(layout: str, tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS[layout](tmp_path, digits28)
    read_back("mnist", tmp_path, digits28)


def test_the_folder_named_may_be_the_one_that_holds_the_files(tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS["as torchvision keeps them"](tmp_path, digits28)
    for inner in ("MNIST", "MNIST/raw"):
        assert np.array_equal(data.load("mnist", tmp_path / inner).pool_images, digits28[0])


@pytest.mark.parametrize("layout", CIFAR10_LAYOUTS)
def test_cifar10_in_every_layout(layout: str, tmp_path: Path, photos: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    CIFAR10_LAYOUTS[layout](tmp_path, photos, monkeypatch)
    read_back("cifar10", tmp_path, photos)


def test_one_folder_may_hold_both_of_the_hub(tmp_path: Path, digits28: Arrays, photos: Arrays) -> None:
    """Their Parquet files have the same names: the column of images tells them apart."""
    mnist_of_the_hub(tmp_path, digits28)
    cifar10_of_the_hub(tmp_path, photos)
    assert np.array_equal(data.load("mnist", tmp_path).pool_images, digits28[0])
    assert np.array_equal(data.load("cifar10", tmp_path).pool_images, photos[0])
    assert not data.available("mnist", tmp_path / "plain_text") and not data.available("cifar10", tmp_path / "mnist")


@pytest.mark.parametrize("lost", range(4))
def test_a_file_that_lacks_is_missed_before_training(lost: int, tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS["as torchvision keeps them"](tmp_path, digits28)
    gone = sorted((tmp_path / "MNIST" / "raw").iterdir())[lost]
    gone.unlink()
    assert not data.available("mnist", tmp_path)
    with pytest.raises(UsageError) as error:
        data.load("mnist", tmp_path)
    said = str(error.value)
    assert gone.name in said and "MNIST/raw" in said and "\n" not in said
    assert all(f"MNIST/raw/{p.name}" in said for p in (tmp_path / "MNIST" / "raw").iterdir()), "what was found"


def test_a_refusal_says_that_nothing_was_there(tmp_path: Path, photos: Arrays) -> None:
    with pytest.raises(UsageError, match=r"data_batch_1\.bin.*nothing was found\.$"):
        data.load("cifar10", tmp_path / "new")


DAMAGED = {
    "train-images-idx3-ubyte.gz": "packed, in the folder itself", "mnist.npz": "one file of Keras",
    "train-00000-of-00001.parquet": "of the hub",
}  # fmt: skip


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_file_is_named(name: str, tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS[DAMAGED[name]](tmp_path, digits28)
    file = next(tmp_path.rglob(name))
    whole = file.read_bytes()
    for bad in (
        b"",
        whole[: len(whole) // 2],
        bytes(len(whole)),
        whole[: len(whole) // 3] + bytes(9) + whole[len(whole) // 3 + 9 :],
    ):
        file.write_bytes(bad)
        data.load.cache_clear()
        with pytest.raises(UsageError) as error:
            data.load("mnist", tmp_path)
        assert "\n" not in str(error.value)
        assert name in str(error.value) or "damaged (checksum" in str(error.value)


def test_other_labels_are_refused(tmp_path: Path, digits28: Arrays) -> None:
    MNIST_LAYOUTS["one file of Keras"](tmp_path, [digits28[0], digits28[1][::-1].copy(), *digits28[2:]])
    with pytest.raises(UsageError, match="damaged"):
        data.load("mnist", tmp_path)


def test_several_fetch_once(tmp_path: Path, digits28: Arrays, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of many that find an empty folder one downloads, and the others read what it brought."""
    fetched = []

    def fetch(where: Path) -> Any:
        fetched.append(1)
        MNIST_LAYOUTS["as torchvision keeps them"](where, digits28)
        return data.KNOWN["mnist"].layouts[0].read(data.KNOWN["mnist"].find(where)[1])  # type: ignore[index]

    monkeypatch.setitem(data.KNOWN, "mnist", replace(data.KNOWN["mnist"], fetch=fetch))
    read = data.load.__wrapped__
    got: list[Any] = []
    threads = [threading.Thread(target=lambda: got.append(read("mnist", tmp_path / "new"))) for _ in range(6)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert len(got) == 6 and len(fetched) == 1


@pytest.mark.parametrize(("name", "times"), [("digits16", 2), ("digits32", 4)])
def test_enlarged_digits_are_the_digits(name: str, times: int) -> None:
    """The same images in the same order and split, each pixel a square of its own, in three equal channels."""
    small, large = data.load("digits"), data.load(name)
    for few, many in ((small.pool_images, large.pool_images), (small.test_images, large.test_images)):
        assert many.shape == (len(few), 3, 8 * times, 8 * times)
        squares = many.reshape(len(few), 3, 8, times, 8, times)
        assert (squares == few.reshape(-1, 1, 8, 1, 8, 1)).all()
    assert np.array_equal(small.pool_labels, large.pool_labels)
    assert np.array_equal(small.test_labels, large.test_labels)


def test_the_page_lists_every_layout() -> None:
    page = (ROOT / "book" / "howto.md").read_text()
    for facts in data.KNOWN.values():
        for layout in facts.layouts:
            assert f"| {layout.says} |" in page


def test_the_command_says_what_is_there(tmp_path: Path, digits28: Arrays, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "mnist", "--data-dir", str(tmp_path), "--no-fetch"]) == 1
    assert "nothing was found" in capsys.readouterr().out
    MNIST_LAYOUTS["one file of Keras"](tmp_path, digits28)
    assert main(["data", "mnist", "digits", "--data-dir", str(tmp_path), "--no-fetch"]) == 0
    said = capsys.readouterr().out
    assert "one file of Keras" in said and "comes along" in said
    assert main(["data", "minst", "--data-dir", str(tmp_path)]) == 2
