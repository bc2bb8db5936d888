"""Commands killed at a step, a byte, a file's size or a moment, each in a process of its own, and given again.

killed_commands.py TIMES SEED [COMMAND...]    so many kills of each (or of these), counted
"""

from __future__ import annotations

import functools
import os
import random
import resource
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from killed import at_byte, at_size, at_step
from killed_operations import OPERATIONS, Operation, lay
from runners import PATIENCE, send, start
from soak import Tally

NEVER = 2**62


def watched(work: Callable[[], int], root: Path, how: str, n: int, log: Path) -> None:
    """In a process of its own: do it, killed as `how` says; what it says goes to `log`."""
    with open(log, "w") as f:
        os.dup2(f.fileno(), 1)
        os.dup2(f.fileno(), 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if how == "at a step":
        at_step(n, root)
    elif how == "at a byte":
        at_byte(n)
    elif how == "at a size":
        at_size(n)
    if how == "never":
        steps, left = at_step(NEVER, root), at_byte(NEVER)
        code = work()
        Path(f"{log}.most").write_text(f"{next(steps)} {NEVER - left[0]}")
        raise SystemExit(code)
    raise SystemExit(work())


def sizes(root: Path, since: float) -> list[int]:
    """Of files that were written after this time."""
    found = [p.stat() for p in root.rglob("*") if p.is_file()]
    return [about.st_size for about in found if about.st_mtime >= since]


def names(root: Path) -> set[str]:
    return {str(p.relative_to(root)) for p in root.rglob("*")}


def at_work(root: Path) -> list[str]:
    """Command lines of processes that work in this folder or name it."""
    found = []
    for process in Path("/proc").iterdir():
        if process.name.isdigit() and int(process.name) != os.getpid():
            try:
                line = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                if str(root) in line or str(root) in os.readlink(process / "cwd"):
                    found.append(line[:100])
            except OSError:  # it has just ended
                continue
    return found


@dataclass
class Trial:
    """An operation that was done once undisturbed: what it leaves, in how many steps, bytes and seconds."""

    name: str
    operation: Operation
    root: Path

    def __post_init__(self) -> None:
        self.log = self.root.with_suffix(".log")
        self._lay()
        self.old, began, since = self.operation.state(self.root), time.monotonic(), time.time()
        status = self._run("never", 0)
        assert status == 0, f"{self.name}: {self.log.read_text()}"
        self.seconds = time.monotonic() - began
        self.steps, self.bytes = map(int, Path(f"{self.log}.most").read_text().split())
        self.largest = max([1, *sizes(self.root, since)])
        self.new, self.left = self.operation.state(self.root), names(self.root)
        assert self.old != self.new or self.name == "audit"

    def _lay(self) -> None:
        shutil.rmtree(self.root, ignore_errors=True)
        self.operation.prepare(self.root)

    def _run(self, how: str, n: int, seconds: float = PATIENCE) -> int | None:
        process = start(watched, functools.partial(self.operation.work, self.root), self.root, how, n, self.log)
        process.join(seconds)
        if process.exitcode is None:
            assert how == "at a moment", f"{self.name} {how} hangs"
            send(process, signal.SIGKILL)
            process.join()
        return process.exitcode

    def killed(self, rng: random.Random) -> tuple[str, str, str]:
        """Kill it once and do it again: how, what came of it, and what was wrong."""
        ways = ["at a step", "at a moment", *(["at a size"] if self.name != "build" else [])]
        ways += ["at a byte"] if self.operation.by_writer else []
        how = rng.choice(ways)
        most = {"at a step": self.steps, "at a byte": self.bytes, "at a size": self.largest, "at a moment": 0}[how]
        n = rng.randrange(max(most, 1))
        self._lay()
        moment = rng.uniform(0, 0.9 * self.seconds)
        status = self._run(how, n, moment if how == "at a moment" else PATIENCE)
        ended = "killed" if status is not None and status < 0 else f"status {status}"
        if "Traceback" in (said := self.log.read_text()):
            return how, "traceback", f"{ended}, {said[-2000:]}"
        for _ in range(50):
            if not (others := at_work(self.root)):
                break
            time.sleep(0.1)
        try:
            found = self.operation.state(self.root)
        except Exception as error:
            return how, "silent", f"lost: {error!r}"
        if not self._whole(found):
            return how, "silent", f"neither old nor new: {found}"
        if others:
            return how, "silent", f"still at work: {others}"
        if self._run("at the end", NEVER) != 0:
            return how, "traceback", f"again: {self.log.read_text()[-2000:]}"
        if self.operation.state(self.root) != self.new:
            return how, "silent", "done again it is something else"
        if odd := names(self.root) ^ self.left:
            return how, "silent", f"left behind, or missing: {sorted(odd)[:5]}"
        return how, "harmless", "" if ended == "killed" else ended

    def _whole(self, found: dict[str, Any]) -> bool:
        return self.old.keys() <= found.keys() <= self.new.keys() and all(
            value in (self.old.get(name), self.new.get(name)) for name, value in found.items()
        )


def kill(chosen: list[str], times: int, seed: int, base: Path, root: Path) -> tuple[Tally, Counter]:
    """Each of these commands killed so often: what came of it, and how many were killed before they had ended."""
    tally, killed = Tally(), Counter()
    for name in chosen:
        trial = Trial(name, OPERATIONS[name](base), root / name.replace(" ", "_"))
        for i in range(times):
            how, came, told = trial.killed(random.Random(f"{seed} {name} {i}"))
            tally.add(f"{name}, killed {how}", came, f"kill {i} of seed {seed}: {told}")
            killed[name] += came != "harmless" or not told
    return tally, killed


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "base"
        laying = start(lay, made)
        laying.join()
        for name in sys.argv[3:] or [*OPERATIONS]:  # each told when it is done: all of them take a while
            found, often = kill([name], int(sys.argv[1]), int(sys.argv[2]), made, Path(folder))
            print(found.table(), *found.found, f"{often[name]} killed before it had ended", sep="\n", flush=True)
