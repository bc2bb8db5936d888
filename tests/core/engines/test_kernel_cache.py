"""Damaged compiled kernels are compiled again, and never run."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numba
import numpy as np
import pytest

from lth_core.engines.sparse.simd import kernel


def twice(x: np.ndarray) -> float:
    total = 0.0
    for i in range(len(x)):
        total += 2 * x[i]
    return total


def bit(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)


def cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-1])


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def other(file: Path) -> None:
    file.write_bytes(b"\x80\x04.not what was kept")


def folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("damage", [bit, cut, emptied, other, folder])
@pytest.mark.parametrize("which", ["nbi", "nbc"])
def test_damaged_kernels_are_compiled_again(
    damage: Callable[[Path], None], which: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    x = np.arange(4.0)
    assert kernel(twice)(x) == 12
    (file,) = tmp_path.rglob(f"*.{which}")
    whole = kernel(twice)
    assert whole(x) == 12 and whole.stats.cache_hits  # found on the disk
    damage(file)
    again = kernel(twice)
    assert again(x) == 12 and not again.stats.cache_hits
    if damage is not folder:
        last = kernel(twice)
        assert last(x) == 12 and last.stats.cache_hits
    shutil.rmtree(tmp_path)
