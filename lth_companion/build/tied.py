"""Processes that end with the one that started them: `kill -9` of a build reaches no other process by itself.

python -P tied.py PARENT jupyter-book ARGUMENTS...    Jupyter Book, tied to process PARENT
"""

from __future__ import annotations

import os
import sys
import time
from threading import Thread

EVERY = 0.2  # seconds between two looks


def tie(parent: int) -> None:
    """End this process as soon as `parent` is no longer the one that started it. A kernel looks after itself: it ends
    within a second of the process that started it."""
    if os.getpid() == parent:  # a thread of it
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(EVERY)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


if __name__ == "__main__":
    tie(int(sys.argv[1]))
    from jupyter_book.cli.main import main

    sys.argv = sys.argv[2:]
    main()
