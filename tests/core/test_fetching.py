"""Fetching MNIST over a network, of a server here: with a bar that grows, and once for all processes that ask."""

from __future__ import annotations

import gzip
import hashlib
import http.server
import multiprocessing
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from handed_places import idx
from layouts import Arrays
from torchvision.datasets import MNIST

from lth_companion.commands import main
from lth_companion.experiments.study import Study
from lth_core import data
from lth_core.data import mnist

OFFICIAL = data.KNOWN["mnist"]
ASKS = 2  # of torchvision for a file: where it lies, and then for it


@pytest.fixture
def asked(digits28: Arrays, monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """How often each file was asked for at the only mirror, which has small files under MNIST's names."""
    counts: Counter[str] = Counter()
    files = {f"/{name}-ubyte.gz": gzip.compress(idx(a)) for name, a in zip(mnist.NAMES, digits28, strict=True)}

    class Mirror(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            counts[self.path] += 1
            self.send_response(200)
            self.send_header("Content-Length", str(len(files[self.path])))
            self.end_headers()
            self.wfile.write(files[self.path])

        def log_message(self, *_: object) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Mirror)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    monkeypatch.setitem(data.KNOWN, "mnist", replace(data.KNOWN["mnist"], fetch=OFFICIAL.fetch))
    monkeypatch.setattr(MNIST, "mirrors", [f"http://127.0.0.1:{server.server_port}/"])
    monkeypatch.setattr(MNIST, "resources", [(n[1:], hashlib.md5(b).hexdigest()) for n, b in files.items()])
    yield counts
    server.shutdown()
    server.server_close()


def test_the_command_fetches_with_a_bar(asked: Counter[str], tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["data", "mnist", "--data-dir", str(tmp_path)]) == 0
    told = capsys.readouterr()
    assert told.err.count("100%") >= 4 and "B/s" in told.err, "a bar for each file"
    assert "60 + 10 images" in told.out and told.out.rstrip().endswith("fetched")
    assert main(["data", "mnist", "--data-dir", str(tmp_path), "--no-fetch"]) == 0
    assert set(asked.values()) == {ASKS}, "what is there is not fetched again"


def fetch(folder: Path, said: Path) -> None:
    sys.stderr = open(said, "w")
    sys.exit(main(["data", "mnist", "--data-dir", str(folder)]))


def test_processes_that_ask_at_once_fetch_once(asked: Counter[str], tmp_path: Path) -> None:
    fork = multiprocessing.get_context("fork")  # with the mirror of this test
    started = [fork.Process(target=fetch, args=(tmp_path / "data", tmp_path / f"{i}")) for i in range(4)]
    for process in started:
        process.start()
    for process in started:
        process.join()
    assert [process.exitcode for process in started] == [0] * 4
    assert len(asked) == 4 and set(asked.values()) == {ASKS}


@pytest.mark.parametrize("lost", range(4))
def test_incomplete_data_mean_digits_in_quick(
    lost: int, asked: Counter[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LTH_DATA_DIR", str(tmp_path))
    assert main(["data", "mnist"]) == 0
    how = dict(notebook="iclr_2_lenet", profile="quick")
    assert Study(**how).option == "own"
    sorted((tmp_path / "MNIST" / "raw").iterdir())[lost].unlink()
    assert Study(**how).option == "digits"
    assert set(asked.values()) == {ASKS}, "and nothing is fetched for it"
