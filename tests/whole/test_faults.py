"""Faults: killed, out of disk, damaged, refused. Each ends in one sentence, and nothing stored is lost."""

from __future__ import annotations

import errno
import functools
import http.server
import json
import os
import random
import resource
import shutil
import signal
import stat
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import ROOT
from record import tried
from runners import (
    FORKS,
    PATIENCE,
    command,
    endless,
    nobody,
    send,
    small_files,
    start,
    train,
    train_and_tell,
    train_as_nobody,
    train_without_locks,
)
from tiny import SMALL, TINY, same_cells, tiny_rows

import lth_core.store.folder
from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_core import data, starts, tickets
from lth_core.engines import choose
from lth_core.errors import StoreError, UsageError
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

CLOSED = "http://127.0.0.1:9/"  # nobody listens there
COMMAND = ["run", "iclr-fig03", "--profile", "quick", "--dataset", "digits", "--trials", "1", "--device", "cpu"]
LONG = [*COMMAND, "--trials", "100"]  # minutes on any machine


@pytest.fixture
def copy(whole: Store, tmp_path: Path) -> Store:
    shutil.copytree(whole.root, tmp_path / "copy")
    return Store(tmp_path / "copy")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user can enter: pytest's own are its user's alone."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def said(capsys: pytest.CaptureFixture) -> str:
    """The one sentence on stderr."""
    text = capsys.readouterr().err.strip()
    assert text.startswith("lth_core: ") and "\n" not in text, text
    return text


def leftovers(root: Path) -> list[str]:
    return [p.name for p in root.iterdir() if p.name not in ("cells", "locks")]


# --- Stopped ----------------------------------------------------------------------------------------------------------


def kill_at_random(whole: Store, folder: Path, times: int) -> None:
    """Kill runners with SIGKILL at random moments, each going on with what the last left; compare what they made."""
    rng = random.Random(20)
    lasts = 0.0
    for i in range(2):  # the first also starts the server
        began = time.perf_counter()
        start(train, folder / f"unhurried{i}", tiny_rows()).join()
        lasts = time.perf_counter() - began
    kills = stores = 0
    while kills < times:
        root = folder / f"store{stores}"
        process = None
        while kills < times:
            process = start(train, root, tiny_rows())
            process.join(rng.uniform(0, 1.2 * lasts))
            if process.exitcode is not None:
                break
            send(process, signal.SIGKILL)
            process.join()
            kills += process.exitcode == -signal.SIGKILL
        assert process.exitcode in (0, -signal.SIGKILL)
        train(root, tiny_rows())
        assert same_cells(whole, Store(root)) and leftovers(root) == []
        stores += 1
    tried("Stopped", "`kill -9` at random moments of `run`, then run again", kills,
          f"all {stores} stores equal an uninterrupted one, bit for bit; nothing half-written remains")  # fmt: skip


def test_killed_at_random_moments(whole: Store, tmp_path: Path) -> None:
    kill_at_random(whole, tmp_path, 5)


@pytest.mark.slow
def test_killed_at_random_moments_often(whole: Store, tmp_path: Path) -> None:
    kill_at_random(whole, tmp_path, 60)


def wait_until(happened: Callable[[], object], process: Any) -> None:
    """Wait for something that a process in the midst of long work does."""
    until = time.monotonic() + PATIENCE
    while not happened():
        assert process.exitcode is None and time.monotonic() < until
        time.sleep(0.01)


def test_killed_and_started_under_the_same_number(whole: Store, tmp_path: Path) -> None:
    """In a container that is started again, the runner often has the process number of the one that was killed."""
    for spec in tiny_rows():
        leftover = tmp_path / f".{key_of(spec)}.{os.uname().nodename}.{os.getpid()}"
        leftover.mkdir()
        (leftover / "curves.parquet").write_bytes(b"half")
    tickets.run(tiny_rows(), Store(tmp_path), device="cpu")
    assert same_cells(whole, Store(tmp_path)) and leftovers(tmp_path) == []
    tried("Stopped", "`kill -9` in a container that is started again with the same process numbers", len(tiny_rows()),
          "half-written cells removed, trained again")  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_to_stop(number: signal.Signals, tmp_path: Path) -> None:
    root, log = tmp_path / "store", tmp_path / "log"
    process = start(command, [*LONG, "--store", str(root)], log)
    wait_until(lambda: len(Store(root).keys()) >= 2, process)
    os.kill(process.pid, number)
    process.join(PATIENCE)
    assert process.exitcode == 128 + number, log.read_text()
    assert log.read_text().splitlines()[-1] == (
        "lth_core: stopped; nothing stored is lost. Run the same command again to go on."
    )
    store = Store(root)
    assert leftovers(root) == [] and all(store.read(k) for k in store.keys())
    tried("Stopped", f"{number.name} ({'Ctrl-C' if number == signal.SIGINT else 'what schedulers send first'})", 1,
          f"stops within {500} iterations, exit {128 + number}, says how to go on")  # fmt: skip


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_asked_twice_stops_at_once(number: signal.Signals, tmp_path: Path) -> None:
    """In the midst of training that reaches no safe point, so that the first signal alone cannot end it."""
    log = tmp_path / "log"
    process = start(command, [*LONG, "--quiet", "--store", str(tmp_path / "store")], log, endless)
    wait_until(lambda: log.exists() and "training" in log.read_text(), process)
    os.kill(process.pid, number)
    wait_until(lambda: "stopping at the next safe point" in log.read_text(), process)
    process.join(0.5)
    assert process.exitcode is None
    os.kill(process.pid, number)
    process.join(PATIENCE)
    assert process.exitcode == 128 + number and "Traceback" not in log.read_text()
    assert log.read_text().endswith("Run the same command again to go on.\n")
    tried("Stopped", f"{number.name} twice, no safe point near", 1, f"stops at once, exit {128 + number}")


# --- Several at once --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many() -> list[Spec]:
    """Rows of four trials: four runners find work at once."""
    return catalogue.iterative(replace(TINY, trials=4), ("ticket", "reinit"), **SMALL)


def compete(runners: int, work: Callable[..., None], rows: list[Spec], root: Path) -> list[list[str]]:
    """Keys that each of so many runners trained on one store, all of them at work at the same time."""
    queue, all_at_work = FORKS.Queue(), FORKS.Barrier(runners)
    processes = [start(work, root, rows, queue, all_at_work) for _ in range(runners)]
    shares = [queue.get(timeout=PATIENCE) for _ in processes]
    for p in processes:
        p.join(PATIENCE)
    return shares


@pytest.mark.parametrize("runners", [2, 4])
def test_runners_on_one_store_train_each_cell_once(many: list[Spec], tmp_path: Path, runners: int) -> None:
    shares = compete(runners, train_and_tell, many, tmp_path / "store")
    assert all(shares)
    train(tmp_path / "one", many)
    assert sorted(k for share in shares for k in share) == Store(tmp_path / "one").keys()
    assert same_cells(Store(tmp_path / "one"), Store(tmp_path / "store"))
    tried("Several at once", f"{runners} runners on one store", 1, "each network trained once")


def test_merges_at_once(whole: Store, tmp_path: Path) -> None:
    merge = ["merge", str(whole.root), "--store", str(tmp_path / "store")]
    together = FORKS.Barrier(3)
    processes = [start(command, merge, tmp_path / f"log{i}", together.wait) for i in range(3)]
    for p in processes:
        p.join(PATIENCE)
    assert [p.exitcode for p in processes] == [0, 0, 0]
    assert main(merge) == 0
    assert same_cells(whole, Store(tmp_path / "store")) and leftovers(tmp_path / "store") == []
    tried("Several at once", "3 merges into one store", 1, "each cell once")


def test_locks_that_do_not_hold(whole: Store, tmp_path: Path) -> None:
    """Where a file system has no locks two runners may train a cell twice; the store stays whole."""
    one, other = compete(2, train_without_locks, tiny_rows(), tmp_path / "store")
    assert set(one) & set(other)
    assert same_cells(whole, Store(tmp_path / "store")) and leftovers(tmp_path / "store") == []
    tried("Several at once", "2 runners where locks do not hold", 1, "networks trained twice, stored once, all whole")


def test_more_networks_than_open_files(whole: Store, tmp_path: Path) -> None:
    """A runner that locked all that is ready would run out of file handles."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (400, hard))
    try:
        many = [replace(tiny_rows()[0], trial=t) for t in range(2_000)]
        with Store(tmp_path).claim(many) as mine:
            assert len(mine) == lth_core.store.folder.AT_ONCE
            with Store(tmp_path).claim(many) as others:
                assert not {key_of(s) for s in mine} & {key_of(s) for s in others}
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    tried("Several at once", "2,000 networks ready, 400 open files allowed", 1, "claimed 128 at a time")


# --- Disk -------------------------------------------------------------------------------------------------------------


def test_disk_full_at_every_write(whole: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """The disk fills up at the first file, the second, ...: each time one sentence, and what was stored stays whole."""
    real, source = os.fsync, whole.root
    files = sum(1 for p in source.glob("cells/*/*/*"))
    root = tmp_path / "store"
    for k in range(files):
        left = [k]

        def full(number: int, left: list[int] = left) -> None:
            if left[0] == 0:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            left[0] -= 1
            real(number)

        shutil.rmtree(root, ignore_errors=True)
        monkeypatch.setattr(os, "fsync", full)
        assert main(["merge", str(source), "--store", str(root)]) == 1
        assert "cannot be written (No space left on device)" in said(capsys)
        monkeypatch.setattr(os, "fsync", real)
        assert leftovers(root) == [] and all(Store(root).read(key) for key in Store(root).keys())
        assert main(["merge", str(source), "--store", str(root)]) == 0
        assert Store(root).keys() == whole.keys()
        capsys.readouterr()
    assert same_cells(whole, Store(root))
    tried("Disk", "disk full, at every file a store is made of", files, "exit 1, one sentence; whole when run again")


def test_really_full_disk(whole: Store, tmp_path: Path, capsys) -> None:
    root = tmp_path / "small"
    root.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=600k", "tmpfs", str(root)]
    if os.getuid() or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a small file system")
    try:
        assert main(["run", "iclr-fig03", "--quiet", "--profile", "quick", "--dataset", "digits", "--trials", "1",
                     "--device", "cpu", "--store", str(root)]) == 1  # fmt: skip
        assert "No space left on device" in said(capsys)
        kept = Store(root).keys()
        assert kept and all(Store(root).read(k) for k in kept)
        subprocess.run(["mount", "-o", "remount,size=64m", str(root)], check=True)
        tickets.run(tiny_rows(), Store(root), device="cpu")
        assert all(Store(root).read(k) for k in [*kept, *whole.keys()])
    finally:
        subprocess.run(["umount", str(root)], check=True)
    tried("Disk", "a file system of 600 kB", 1, "exit 1, one sentence; goes on when there is room")


def test_file_size_limit(tmp_path: Path) -> None:
    log = tmp_path / "log"
    process = start(command, [*COMMAND, "--quiet", "--store", str(tmp_path / "store")], log, small_files)
    process.join(PATIENCE)
    assert process.exitcode == 1 and "cannot be written (File too large)" in log.read_text()
    assert Store(tmp_path / "store").keys() == []
    tried("Disk", "files limited to 4 kB (`ulimit -f`, quota)", 1, "exit 1, one sentence")


def test_no_write_permission(whole: Store, open_folder: Path) -> None:
    root, log = open_folder / "store", open_folder / "log"
    shutil.copytree(whole.root, root)
    for p in [root, *root.rglob("*")]:
        p.chmod(0o555 if p.is_dir() else 0o444)
    log.touch()
    log.chmod(0o666)
    process = start(command, [*COMMAND, "--store", str(root)], log, nobody)
    process.join(PATIENCE)
    assert process.exitcode == 1 and "cannot be written (Permission denied)" in log.read_text(), log.read_text()
    assert Store(root).keys() == whole.keys()
    process = start(train_as_nobody, root, tiny_rows())  # what is complete needs no writing
    process.join(PATIENCE)
    assert process.exitcode == 0
    for p in [root, *root.rglob("*")]:
        p.chmod(0o755)
    tried("Disk", "no permission to write, or a read-only store", 2, "exit 1, one sentence; a complete store is used")


def test_no_folder_for_compiled_kernels(tmp_path: Path) -> None:
    """Installed read-only, and no home: kernels cannot be kept on disk, training goes on without."""
    code = (
        "import sys\nfrom numba.core import caching\n"
        "def refuse(self, *_): raise PermissionError\n"
        "caching._CacheLocator.ensure_cache_path = refuse\n"
        "from lth_core.engines.sparse import by_weight\nassert by_weight.train.signatures == []\n"
        "from lth_companion.commands import main\nsys.exit(main(sys.argv[1:]))"
    )
    command = [sys.executable, "-c", code, *COMMAND, "--budget", "0", "--store", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tried("Disk", "no folder where compiled kernels may be kept", 1, "each process compiles for itself (6 s)")


def test_others_can_read_a_shared_store(whole: Store, tmp_path: Path) -> None:
    before = os.umask(0o022)
    try:
        assert Store(tmp_path).adopt(whole, whole.keys()[0])
    finally:
        os.umask(before)
    assert stat.S_IMODE(Store(tmp_path).folder(whole.keys()[0]).stat().st_mode) == 0o755


def test_a_damaged_cell_is_not_trained_again(copy: Store, capsys) -> None:
    spec = tiny_rows()[0]
    file = copy.folder(key_of(spec)) / "tensors.safetensors"
    file.write_bytes(file.read_bytes()[:-1])
    for child in tiny_rows():
        if child.round == 1 and child.trial == spec.trial:
            shutil.rmtree(copy.folder(key_of(child)))
    with pytest.raises(StoreError, match=key_of(spec)):
        tickets.run(tiny_rows(), copy, device="cpu")
    assert file.read_bytes()[-1:] and copy.has(spec)
    shutil.rmtree(copy.folder(key_of(spec)))  # what the sentence says to do
    trained = tickets.run(tiny_rows(), copy, device="cpu").trained
    assert spec in trained
    tried("Disk", "a round grows from a damaged cell", 1, "refused by name; trained again once it is deleted")


def test_another_schema(copy: Store, capsys) -> None:
    file = copy.folder(copy.keys()[0]) / "cell.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), "schema": 0}))
    assert main(["merge", str(copy.root), "--store", str(copy.root.parent / "target")]) == 1
    assert "has schema '0', this lth_core reads 1" in said(capsys)
    tried("Disk", "results of another schema version", 1, "refused by name")


def test_clock_going_back(tmp_path: Path, whole: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wall time is written down, never compared: the clock runs backwards here by a day at each look."""
    days = iter(range(10_000))
    now = time.time()
    real = time.gmtime
    monkeypatch.setattr(time, "time", lambda: now - 86_400 * next(days))
    monkeypatch.setattr(time, "gmtime", lambda *_: real(now - 86_400 * next(days)))
    tickets.run(tiny_rows(), Store(tmp_path), device="cpu", budget=600)
    assert tickets.run(tiny_rows(), Store(tmp_path), device="cpu").trained == []
    monkeypatch.undo()
    assert same_cells(whole, Store(tmp_path))
    tried("Disk", "the clock goes back a day at every look", 1, "no effect: only stamped, never compared")


# --- Data -------------------------------------------------------------------------------------------------------------


def idx(file: Path, shape: tuple[int, ...]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(int(np.prod(shape))))


@pytest.fixture
def mnist(tmp_path: Path) -> Path:
    """Files in MNIST's format, but small and black."""
    for part, n in (("train", 60), ("t10k", 10)):
        idx(tmp_path / "MNIST" / "raw" / f"{part}-images-idx3-ubyte", (n, 28, 28))
        idx(tmp_path / "MNIST" / "raw" / f"{part}-labels-idx1-ubyte", (n,))
    return tmp_path


def test_damaged_mnist(mnist: Path) -> None:
    with pytest.raises(UsageError, match="damaged"):
        data.load("mnist", mnist)
    n = 1
    for file in sorted((mnist / "MNIST" / "raw").iterdir()):
        good = file.read_bytes()
        for bad in (b"", good[:3], good[:10], good[:-1], good + b"\0", b"\x1f\x8b" + good[2:], bytes(len(good))):
            file.write_bytes(bad)
            with pytest.raises(UsageError, match=f"{file.name} is damaged or only half there") as error:
                data.load("mnist", mnist)
            assert "\n" not in str(error.value)
            n += 1
        file.write_bytes(good)
    tried("Data", "an MNIST file truncated, too long, zeroed, not unpacked, or another", n, "refused by name, exit 2")


def test_damaged_cifar10(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    monkeypatch.setattr(CIFAR10, "url", CLOSED + "cifar.tar.gz")
    folder = tmp_path / "cifar-10-batches-bin"
    folder.mkdir()
    for name in [*(f"data_batch_{i}.bin" for i in range(1, 6)), "test_batch.bin"]:
        with open(folder / name, "wb") as f:
            f.truncate(30_730_000)
    with pytest.raises(UsageError, match="damaged"):
        data.load("cifar10", tmp_path)
    os.truncate(folder / "test_batch.bin", 30_729_999)
    with pytest.raises(UsageError, match="incomplete"):
        data.load("cifar10", tmp_path)
    (folder / "data_batch_3.bin").unlink()
    with pytest.raises(UsageError, match=r"could not be downloaded.*wanted are data_batch_1\.bin"):
        data.load("cifar10", tmp_path)
    tried("Data", "a CIFAR-10 file truncated, missing, or zeroed", 3, "refused, exit 2")


class _Half(http.server.BaseHTTPRequestHandler):
    """Promises a file and hangs up in the middle of it."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "100000")
        self.end_headers()
        self.wfile.write(bytes(50_000))

    def log_message(self, *_: Any) -> None:
        pass


@pytest.mark.parametrize("name, folder", [("mnist", "MNIST"), ("cifar10", "cifar-10-batches-py")])
@pytest.mark.parametrize("fault", ["refused", "half", "no permission"])
def test_downloads_that_fail(
    name: str, folder: str, fault: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd
) -> None:
    from torchvision import datasets

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Half)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    where = f"http://127.0.0.1:{server.server_port}/" if fault == "half" else CLOSED
    monkeypatch.setattr(datasets.MNIST, "mirrors", [where, where])
    monkeypatch.setattr(datasets.CIFAR10, "url", where + "cifar.tar.gz")
    for variable in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    if fault == "no permission":
        (tmp_path / "data").write_text("a file where a folder is asked for")
    try:
        with pytest.raises(UsageError) as error:
            data.load(name, tmp_path / "data")
    finally:
        server.shutdown()
    text = str(error.value)
    assert ("cannot be put there" if fault == "no permission" else "could not be downloaded") in text
    assert "\n" not in text and str(tmp_path) in text
    assert not list(tmp_path.rglob("*ubyte"))  # nothing half arrived passes for the data
    happened = {"refused": "one sentence with the reason", "half": "its MD5 is missed, nothing is unpacked",
                "no permission": "one sentence with the reason"}  # fmt: skip
    tried("Data", f"download of {name}: {fault}", 1, f"{happened[fault]}, exit 2")


def test_data_folders_that_cannot_be(tmp_path: Path) -> None:
    for bad in ("~no-such-user/data", str(tmp_path / ("x" * 300))):
        with pytest.raises(UsageError):
            data.load("mnist", bad)


# --- Device and numbers -----------------------------------------------------------------------------------------------


def test_out_of_memory_splits_the_cohort(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from lth_core.engines.dense import engine as dense

    rows = [replace(tiny_rows()[0], trial=t) for t in range(7)]
    networks = [starts.network(s) for s in rows]
    digits = data.load("digits")
    whole = {n.spec.trial: t for n, t in choose.train_all(networks, digits, device="cpu", engine="dense")}
    real, sizes, notes = dense.train, [], []

    def small(part: Any, *arguments: Any, **options: Any) -> Any:
        sizes.append(len(part))
        if len(part) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return real(part, *arguments, **options)

    monkeypatch.setattr(dense, "train", small)
    options = dict(device="cpu", engine="dense", progress=lambda m, n: notes.append(m))
    split = {n.spec.trial: t for n, t in choose.train_all(networks, digits, **options)}
    assert sizes == [7, 3, 1, 1, 1, 1, 1, 1, 1] and any("out of memory" in m for m in notes)
    assert sorted(split) == list(range(7))
    for t, one in whole.items():
        assert np.allclose(one.curves["val_loss"], split[t].curves["val_loss"], rtol=1e-4)
    monkeypatch.setattr(dense, "train", functools.partial(_never_fits))
    with pytest.raises(UsageError, match="does not fit on device"):
        list(choose.train_all(networks, digits, **options))
    tried("Device and numbers", "device out of memory (injected) with 7 networks", 2,
          "halved until it fits, same results; a single network that does not fit is refused")  # fmt: skip


def _never_fits(*_: Any, **__: Any) -> Any:
    raise torch.OutOfMemoryError("CUDA out of memory.")


@pytest.mark.parametrize("engine", ["sparse", "dense"])
def test_divergence_is_recorded(engine: str, tmp_path: Path) -> None:
    """A learning rate of 1e30 leaves NaN: a result. What would grow from it is refused, the rest goes on."""
    scale = replace(TINY, trials=1)
    bad = catalogue.iterative(scale, optimizer="sgd", lr=1e30, **SMALL)
    good = catalogue.iterative(scale, **SMALL)
    report = tickets.run(bad + good, Store(tmp_path), device="cpu", engine=engine)
    assert set(report.trained) == {bad[0], *good} and report.missing == []
    assert set(report.refused) == set(bad[1:]) and key_of(bad[0]) in report.refused[bad[2]]
    cell = Store(tmp_path).read(key_of(bad[0]))
    assert cell.made["diverged"] and np.isnan(cell.curves["val_loss"].iat[-1])
    again = tickets.run(bad + good, Store(tmp_path), device="cpu", engine=engine)
    assert again.trained == [] and set(again.refused) == set(bad[1:])
    tried("Device and numbers", f"learning rate 1e30 ({engine} engine)", 1,
          "recorded as `diverged`; rounds that would grow from it are refused, all others are trained")  # fmt: skip


def test_divergence_on_the_command_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    rows = catalogue.iterative(replace(TINY, trials=1), optimizer="sgd", lr=1e30, **SMALL)
    monkeypatch.setattr(catalogue, "rows", lambda *_, **__: rows)
    assert main(["run", "iclr-fig03", "--quiet", "--device", "cpu", "--store", str(tmp_path)]) == 1
    assert "2 networks cannot be made" in said(capsys)


COMPILED = """
import hashlib, sys
from dataclasses import replace
sys.path.insert(0, {tests!r})
from tiny import tiny_rows
from lth_core import starts, data, prune
from lth_core.engines.sparse import engine as sparse
first = tiny_rows()[0]
spec = replace(first, round=1, arm="random_sparsity", prune_fc=0.8, prune_out=0.5)
few = prune.random(spec, prune.plan(spec))
networks = [starts.start(first, prune.full(first)), starts.start(first, few)]  # by row and by weight
for _, trained in sorted(sparse.train(networks, data.load("digits")), key=lambda x: x[0]):
    numbers = [*trained.curves.values(), *trained.weights.values()]
    print(hashlib.sha256(b"".join(n.tobytes() for n in numbers)).hexdigest())
"""


@pytest.mark.slow
def test_who_compiles_changes_no_bit(tmp_path: Path) -> None:
    """The process that compiles the kernels, and those that find them on disk, train the same networks bit for bit."""
    code = COMPILED.format(tests=str(ROOT / "tests" / "help"))
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    said = [
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True).stdout
        for _ in range(3)
    ]
    assert len(said[0].split()) == 2 and said[1] == said[0] and said[2] == said[0]
    tried("Stopped", "kernels compiled by one run, loaded from disk by the next", 2, "same bits")
