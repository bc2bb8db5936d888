"""Work in forked processes that are killed at a byte or a step, or run out of what the system gives."""

from __future__ import annotations

import itertools
import os
import random
import resource
import signal
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lth_core import atomic_files
from lth_core.errors import StoreError

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.unlink", "shutil.rmtree")
KILLED = (signal.SIGKILL, signal.SIGXFSZ)


def in_a_child(work: Callable[[], Any]) -> int:
    """Do it in a forked process that leaves nothing to clean up; its exit status (9: killed)."""
    child = os.fork()
    if child == 0:
        code = 3
        try:
            work()
            code = 0
        except StoreError:
            code = 1
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def at_step(step: int, root: Path) -> Iterator[int]:
    """Kill this process at the n-th thing that it does to the folder. The numbers that are still to come: who counts
    further steps among them takes one for each."""
    steps = itertools.count()

    def hook(event: str, arguments: tuple) -> None:
        read_only = event == "open" and isinstance(arguments[2], int) and not arguments[2] & (os.O_WRONLY | os.O_RDWR)
        if event in EVENTS and str(root) in str(arguments[0]) and not read_only and next(steps) == step:
            os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(hook)
    return steps


def at_byte(n: int) -> list[int]:
    """Kill this process when `atomic_files.write` has written n bytes: these are on the disk. How many are left."""
    left = [n]

    class Counted:
        def __init__(self, file: Any) -> None:
            self.file = file

        def __enter__(self) -> Counted:
            return self

        def __exit__(self, *_: object) -> None:
            self.file.close()

        def __getattr__(self, name: str) -> Any:
            return getattr(self.file, name)

        def write(self, data: bytes) -> None:
            self.file.write(data[: left[0]])
            if len(data) >= left[0]:
                self.file.flush()
                os.kill(os.getpid(), signal.SIGKILL)
            left[0] -= len(data)

    atomic_files.open = lambda path, mode: Counted(open(path, mode))  # type: ignore[attr-defined]
    return left


def at_size(n: int) -> None:
    """Let the system kill this process where a file, whoever writes it, would be larger than n bytes."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))


def no_larger(n: int) -> None:
    """No file larger than n bytes, as under a quota: an error to whoever writes."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (n, n))


def no_files(n: int) -> None:
    """n more open files, and then none."""
    opened = len(os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (opened + n, opened + n))


def trouble(rng: random.Random, root: Path, size: int) -> tuple[str, Callable[[], None]]:
    """A kind of end or of shortage, and what brings it about in a process whose largest file has `size` bytes."""
    n = rng.randrange(size)
    bring = {
        "killed at a byte": lambda: at_byte(n), "killed at a size": lambda: at_size(n),
        "killed at a step": lambda: at_step(n % 40, root), "file size limit": lambda: no_larger(n),
        "open files limit": lambda: no_files(n % 6),
    }  # fmt: skip
    kind = rng.choice([*bring])
    return kind, bring[kind]
