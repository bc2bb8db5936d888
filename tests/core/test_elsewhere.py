"""Other machines: no home, no user, several at once on one folder, an installed package, folders named by numbers."""

from __future__ import annotations

import errno
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lth_companion.experiments.study import Study
from lth_core import data, reference, results
from lth_core.atomic_files import unwritable
from lth_core.data import mnist
from lth_core.errors import StoreError, UsageError
from lth_core.results import published


def nobody(*_: Any) -> Path:
    raise RuntimeError("Could not determine home directory.")


def test_digits_need_no_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("LTH_DATA_DIR", raising=False)
    monkeypatch.setattr(Path, "home", nobody)
    data.load.cache_clear()
    assert len(data.load("digits").pool_labels) > 1_000
    assert data.folder().is_absolute() and not data.available("mnist")
    assert Study(notebook="iclr_2_lenet", profile="quick").option == "digits"
    data.load.cache_clear()


def idx(array: np.ndarray) -> bytes:
    return b"\0\0\x08" + bytes([array.ndim]) + b"".join(n.to_bytes(4, "big") for n in array.shape) + array.tobytes()


def test_files_come_to_their_places_when_they_are_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Six start at once on an empty folder; the download stops halfway through each file until others have looked."""
    looked, found = threading.Event(), []
    arrays = [np.full(shape, 7, np.uint8) for shape in ((9, 28, 28), (9,), (8, 28, 28), (8,))]

    def download(folder: Path) -> None:
        for name, array in zip(mnist.NAMES, arrays, strict=True):
            (folder / f"{name}-ubyte").write_bytes(idx(array)[:10])
        found.append(data.KNOWN["mnist"].find(tmp_path))
        looked.wait(1)
        for name, array in zip(mnist.NAMES, arrays, strict=True):
            (folder / f"{name}-ubyte").write_bytes(idx(array))

    monkeypatch.setattr(mnist, "_download", download)
    read, got = data._read, []
    threads = [threading.Thread(target=lambda: got.append(read(data.KNOWN["mnist"], tmp_path))) for _ in range(6)]
    for t in threads:
        t.start()
    looked.set()
    for t in threads:
        t.join()
    assert found == [None], "one downloads, and what is half there is not found"
    assert len(got) == 6 and all(np.array_equal(p[1], arrays[1]) for p in got)
    assert not list(tmp_path.glob(".download-*"))


def test_a_download_that_breaks_off_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(folder: Path) -> None:
        (folder / f"{mnist.NAMES[0]}-ubyte").write_bytes(b"half")
        raise RuntimeError("connection lost")

    monkeypatch.setattr(mnist, "_download", broken)
    with pytest.raises(UsageError, match="connection lost"):
        data.load.__wrapped__("mnist", tmp_path)
    assert not list(tmp_path.rglob("*ubyte"))


def test_an_installed_package_says_where_the_measurements_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = tmp_path / "results"
    monkeypatch.setattr(published, "HERE", nowhere)
    monkeypatch.setattr(reference, "FILE", nowhere / "reference" / "lenet-mnist.json")
    table = pd.DataFrame({"arm": ["ticket"], "round": [7], "trial": [0], "stop_test": [0.5]})
    table.to_csv(tmp_path / "own.csv")
    for act in (lambda: reference.compare(table), lambda: results.Published(nowhere).manifest):
        with pytest.raises(StoreError, match="a copy of the repository") as error:
            act()
        assert "\n" not in str(error.value)
    assert reference.main([str(tmp_path / "own.csv")]) == 1
    assert results.Published(tmp_path / "new").manifest == {}, "another folder may be empty"


def test_numbers_of_the_command_line_are_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "2024").mkdir()
    asked: Any = dict(notebook="iclr_2_lenet", profile="paper")
    study = Study(**asked, data_dir=2024, trials=1e1, seed=1e3)
    assert (study.data_dir, study.trials, study.seed) == ("2024", 10, 1000)
    for wrong in ({"trials": 1.5}, {"seed": "one"}, {"data_dir": 2025}, {"data_dir": 0.5}, {"seed": -1.0}):
        with pytest.raises(UsageError) as error:
            Study(**asked, **wrong)  # type: ignore[arg-type]
        assert "\n" not in str(error.value)


def test_a_folder_that_was_named_and_has_no_data_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has no MNIST.*digits"):
        Study(notebook="iclr_2_lenet", profile="quick", data_dir=str(tmp_path))
    assert Study(notebook="iclr_2_lenet", profile="quick", data_dir=str(tmp_path), dataset="digits").option == "digits"


@pytest.mark.parametrize(("number", "said"), [(errno.EACCES, "the right to write"), (errno.ENOSPC, "free space")])
def test_what_to_do_depends_on_what_the_system_says(number: int, said: str) -> None:
    assert said in str(unwritable(Path("x"), OSError(number, os.strerror(number))))
