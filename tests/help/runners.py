"""Runners in processes of their own, for tests that kill them, starve them, or let them compete.

Forked from a server that has everything imported (this module imports no pytest), so that one costs tenths of a second.
"""

from __future__ import annotations

import contextlib
import multiprocessing as mp
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lth_core.store.folder
from lth_companion.commands import main
from lth_core import tickets
from lth_core.engines.sparse import engine as sparse
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

FORKS = mp.get_context("forkserver")
IMPORTED = (
    "lth_companion.commands", "lth_core.tickets", "sklearn.datasets", "torch", "lth_companion.claims.verdicts",
    "lth_companion.share.publish", "lth_companion.share.ticket_files", "lth_companion.share.audit",
    "lth_companion.share.merging", "lth_companion.build.book", "lth_companion.build.archive",
)  # fmt: skip
FORKS.set_forkserver_preload([*IMPORTED])


PATIENCE = 300  # seconds that a test waits for another process: a very busy machine fails no test


def start(work: Callable[..., Any], *arguments: Any) -> Any:
    process = FORKS.Process(target=work, args=arguments)
    process.start()
    return process


def send(process: Any, number: int) -> None:
    """Send a signal; nothing if the process has just ended (its exit code says how)."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)


def train(root: Path, rows: list[Spec]) -> None:
    tickets.run(rows, Store(root), device="cpu")


def train_and_tell(root: Path, rows: list[Spec], queue: Any, all_at_work: Any) -> None:
    """Train, one network claimed at a time; before its first ends each runner waits until all have claimed one."""
    lth_core.store.folder.AT_ONCE = 1
    met: list[bool] = []

    def meet(message: str, iterations: int) -> None:
        if not met:
            met.append(True)
            all_at_work.wait(PATIENCE)

    queue.put([key_of(s) for s in tickets.run(rows, Store(root), device="cpu", progress=meet).trained])


def train_without_locks(root: Path, rows: list[Spec], queue: Any, all_at_work: Any) -> None:
    lth_core.store.folder.fcntl.flock = lambda *_: None
    train_and_tell(root, rows, queue, all_at_work)


def command(arguments: list[str], log: Path, prepare: Callable[[], None] | None = None) -> None:
    """`python -m lth_core ARGUMENTS`, with what it prints in `log`."""
    with open(log, "w") as f:
        os.dup2(f.fileno(), 1)
        os.dup2(f.fileno(), 2)
    if prepare:
        prepare()
    raise SystemExit(main(arguments))


def nobody() -> None:
    """Give up root's right to write anywhere."""
    if os.getuid() == 0:
        os.setgid(65534)
        os.setuid(65534)


def train_as_nobody(root: Path, rows: list[Spec]) -> None:
    nobody()
    assert tickets.run(rows, Store(root), device="cpu").trained == []


def small_files() -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))


def endless() -> None:
    """An engine that reaches no safe point for an hour."""

    def train_one(*_: Any) -> None:
        os.write(2, b"training\n")
        time.sleep(3600)

    sparse._train_one = train_one
