"""Networks side by side on a CPU, each on a core of its own: how the compiled engines share a machine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from queue import SimpleQueue
from typing import Any

from lth_core.models import Trained
from lth_core.store.checkpoint import Halfway

# (index of the network, an event that is set when it has to end, told finished iterations, told a state to go on from)
# -> the trained network, or None where it had to end.
Job = Callable[[int, threading.Event, Callable[[int], None], Callable[[Halfway], None]], Trained | None]


def side_by_side(
    job: Job,
    lengths: list[float],
    *,
    name: str,
    threads: int | None = None,
    progress: Callable[[str, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    keep: Callable[[int, Halfway], None] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train a network for each of `lengths` and yield `(its index, result)` as each finishes; the longest begin first,
    so that cores end together.

    - `lengths`: how long each training is, beside others
    - `threads`: networks trained at once; by default one per core
    - `progress(message, iterations)`, `stop()`, `keep(index, halfway)`: called in the caller's thread; once `stop` is
      true, unfinished networks end and are not yielded
    """
    news: SimpleQueue[tuple[str, Any]] = SimpleQueue()
    ending = threading.Event()

    def work(index: int) -> None:
        def iterations(n: int) -> None:
            news.put(("iterations", n))

        def halfway(state: Halfway) -> None:
            news.put(("halfway", (index, state)))

        try:
            result = None if ending.is_set() else job(index, ending, iterations, halfway)
            news.put(("finished", (index, result)))
        except BaseException as error:  # raised again where the caller waits
            news.put(("failed", error))

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    pool = ThreadPoolExecutor(min(threads or cores, len(lengths)), thread_name_prefix=name)
    try:
        for index in sorted(range(len(lengths)), key=lambda i: -lengths[i]):
            pool.submit(work, index)
        waiting = len(lengths)
        while waiting:
            kind, value = news.get()
            if kind == "failed":
                raise value
            if kind == "iterations" and progress:
                progress("training", value)
            if kind == "halfway" and keep:
                keep(*value)
            if kind == "finished":
                waiting -= 1
                if value[1] is not None:
                    yield value
            if stop and stop():
                ending.set()
    finally:
        ending.set()
        pool.shutdown(cancel_futures=True)
