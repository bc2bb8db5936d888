"""A slice of time on a GPU, rehearsed on a CPU at toy size: what comes back is whole, small enough and can go on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import gpu
import pytest
from places import ROOT
from tiny import tiny_rows

from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_companion.share import gpu_slice
from lth_core import tickets
from lth_core.errors import StoreError
from lth_core.store import Store
from lth_core.store.cell import key_of

TOY = ["--device", "cpu", "--profile", "quick", "--dataset", "digits"]
STEPS = ["v1-fig03:1"]  # LeNet: what is packed and taken home does not depend on the network


def slice_of(minutes: float, out: Path, *options: str) -> dict:
    """What a slice reports, run as its users run it."""
    command = ["bash", str(ROOT / "workflow" / "gpu-slice.sh"), str(minutes), str(out), *STEPS, *TOY, *options]
    run = subprocess.run(
        command, env={**os.environ, "PYTHON": sys.executable}, cwd=out.parent, capture_output=True, text=True
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return json.loads((out / "report.json").read_text())


@pytest.mark.slow
def test_a_slice_comes_home_and_the_next_goes_on(tmp_path: Path) -> None:
    rows = catalogue.rows("v1-fig03", "quick", trials=1, dataset="digits")
    before = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    first = slice_of(60, tmp_path / "one", "--no-benchmark", "--no-tests", "--mib", "0.35", "--files", "8")
    assert (
        first["cells"] == len(rows)
        and not first["left_out"]
        and first["network_steps"] == sum(s.iterations for s in rows)
    )
    parts = sorted((tmp_path / "one").glob("store-*.tar"))
    assert len(parts) > 1 and all(p.stat().st_size <= 0.35 * gpu_slice.MIB for p in parts)
    for part in parts:
        with tarfile.open(part) as tar:
            tar.extractall(tmp_path / "home", filter="data")
    merged = Store(tmp_path / "merged")
    assert main(["merge", str(tmp_path / "home"), "--store", str(merged.root)]) == 0
    assert all(merged.read(key_of(s)).made["seconds"] > 0 for s in rows)
    parts[0].unlink()  # as if it had never been trained
    second = slice_of(60, tmp_path / "two", "--no-benchmark", "--no-tests", "--resume", str(tmp_path / "one"))
    assert 0 < second["resumed"] < len(rows)
    assert second["steps"] == [{"trained": len(rows) - second["resumed"], "there": second["resumed"], "lacking": 0}]
    after = subprocess.run(["git", "status", "--porcelain"], cwd=ROOT, capture_output=True, text=True).stdout
    assert before == after


@pytest.mark.slow
def test_a_slice_ends_in_time_with_what_it_has(tmp_path: Path) -> None:
    """Stopped in its first round: trainings stopped halfway are packed, and the next slice goes on from them."""
    rows = catalogue.rows("iclr-fig08", "quick", trials=1)
    store, looks = Store(tmp_path / "store"), iter([False] * 3)
    tickets.run(rows, store, device="cpu", stop=lambda: next(looks, True))
    assert (store.root / "halfway").is_dir() and not store.keys()
    left = gpu_slice.pack(store, tmp_path, [], files=5, each=10**7, total=6 * 10**7)
    other = Store(tmp_path / "other")
    assert not left and gpu_slice.unpack(tmp_path, other) == 0
    assert sorted(p.name for p in (other.root / "halfway").iterdir()) == sorted(
        p.name for p in (store.root / "halfway").iterdir()
    )
    report = slice_of(0.2, tmp_path / "late", "--no-benchmark", "--no-tests")  # all of it set aside for packing
    assert report["steps"] == [] and report["cells"] == 0


def test_what_does_not_fit_is_named_and_the_first_named_go_first(tmp_path: Path) -> None:
    store, rows = Store(tmp_path / "store"), tiny_rows()[:3]
    tickets.run(rows, store, device="cpu")
    keys = [key_of(s) for s in rows]
    end = 2 * tarfile.RECORDSIZE
    size = gpu_slice.size_in_tar(store.folder(keys[2]).iterdir()) + end  # room for it, and for nothing beside it
    left = gpu_slice.pack(store, tmp_path, keys[::-1], files=5, each=size, total=size)
    assert set(left) == set(keys[:2]) and [p.name for p in tmp_path.glob("*.tar")] == ["store-0.tar"]
    assert (tmp_path / "store-0.tar").stat().st_size <= size, "what is over the limit does not come home"
    (tmp_path / "store-0.tar").write_bytes(b"no tar")
    with pytest.raises(StoreError, match="cannot be unpacked"):
        gpu_slice.unpack(tmp_path, Store(tmp_path / "other"))


def test_the_clock_stops_before_a_chunk_that_would_be_late() -> None:
    clock = gpu_slice.Clock(time.monotonic() + 10)
    assert not clock.stop()
    clock.before -= 5
    clock.progress("five seconds", 100)
    assert not clock.stop() and clock.iterations == 100
    clock.deadline -= 6
    assert clock.stop()


def test_the_benchmark_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at toy size; the fastest way of a precision is what the figures then use."""
    monkeypatch.setenv("LTH_CONVOLUTIONS", "looped")
    monkeypatch.setenv("LTH_LAYOUT", "last")
    monkeypatch.setattr(gpu, "STEPS", {})
    case = gpu.dense.CASES["conv-2"]
    small = replace(case, recipe={"batch_size": 4})
    monkeypatch.setitem(gpu.dense.CASES, "conv-2", small)
    made = gpu.main("cpu", 60, tmp_path / "b.json", [gpu.Run("conv-2"), gpu.Run("conv-2", 2, "bf16")])
    assert made[0]["ratio"] == 1 and made[1]["convolutions"] == "grouped"
    assert json.loads((tmp_path / "b.json").read_text()) == made
    rows = [{**vars(gpu.Run("resnet-18", 6, "bf16", way)), "median": speed} for way, speed in
            (("looped", 3), ("grouped", 2))]  # fmt: skip
    (tmp_path / "b.json").write_text(json.dumps(rows))
    assert gpu_slice.fastest(tmp_path / "b.json", "bf16") == {"LTH_CONVOLUTIONS": "looped", "LTH_LAYOUT": "last"}
    assert gpu_slice.fastest(tmp_path / "b.json", "tf32") == {}
