"""Processes that end with the one that started them: `kill -9` of a build reaches no other process by itself.

python -P child_processes.py PARENT jupyter-book ARGUMENTS...    Jupyter Book, tied to process PARENT
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from multiprocessing import parent_process
from threading import Thread

EVERY = 0.2  # seconds between two looks


def worker() -> None:
    """End this worker of a pool as soon as the process that has the pool has ended, however it was started. A kernel
    looks after itself: it ends within a second of the worker that started it."""
    if (parent := parent_process()) is not None:  # else it is a thread
        _ended_by(parent.join)


def command(parent: int) -> None:
    """End this process as soon as process `parent` is no longer its parent."""

    def wait() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)

    _ended_by(wait)


def _ended_by(wait: Callable[[], None]) -> None:
    def end() -> None:
        wait()
        os._exit(1)

    Thread(target=end, daemon=True).start()


if __name__ == "__main__":
    command(int(sys.argv[1]))
    from jupyter_book.cli.main import main

    sys.argv = sys.argv[2:]
    main()
