"""Memory of the dense engine: a cohort that does not fit on its device is split, and freed memory is used again."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Callable, Iterator

import torch

from lth_core.errors import UsageError
from lth_core.models import Network, Trained

AT_ONCE = 64  # networks that train together at most; more are split
M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4  # of glibc's malloc.h
KEPT = 2**30  # bytes that a process keeps when it has freed them


def in_parts(
    cohort: list[Network],
    train: Callable[[list[Network]], Iterator[tuple[Network, Trained]]],
    device: str,
    progress: Callable[[str, int], None] | None,
) -> Iterator[tuple[Network, Trained]]:
    """A cohort in parts that fit on the device: where one does not, it and all that follow are halved.

    A row's result does not depend on which others train beside it, so splitting changes none. UsageError where a single
    network does not fit."""
    at_once = AT_ONCE
    while cohort:
        part = cohort[:at_once]
        try:
            yield from train(part)
            cohort = cohort[at_once:]
            continue
        except torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise UsageError(
                    f"a single network {part[0].spec.arch} with batches of {part[0].spec.batch_size} does not fit on "
                    f"device = {device!r}: free its memory, or choose another device."
                ) from error
        at_once = len(part) // 2  # out here the error is gone, and with it the tensors that its traceback held
        torch.cuda.empty_cache()
        if progress:
            progress(f"out of memory on the device: going on with {at_once} networks at a time", 0)


def keep_freed_memory() -> None:
    """Let the process use its freed memory again, at any size (Linux with glibc; elsewhere nothing happens).

    By default each activation of megabytes is mapped from the system and zeroed anew in every step, which cost a third
    of a step of Conv-2 on two cores and half of an evaluation."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(M_MMAP_MAX, 0)
        mallopt(M_TRIM_THRESHOLD, KEPT)
