"""Contenders in processes of their own, which take turns: a busy moment of the machine slows all of them.

A process says what it is ready for, then answers each line `WHAT SECONDS` on its standard input with a rate. Rates are
by processor time: units of work, over the processor time of all threads, times the threads that may run. On a machine
with nothing else to do this is the rate by the clock; beside other work it is what the machine does without that. Where
a thread waits without spinning it flatters those who wait: torch with several threads, not loops of one thread.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
Rates = dict[tuple[str, str], list[float]]


@dataclass(frozen=True)
class Contender:
    """What works on the whole machine: so many `processes` of `script` with `arguments`, side by side."""

    name: str
    script: str
    arguments: tuple[str, ...]
    processes: int = 1


class Team:
    """The processes of a contender; `told`: what each said when it was ready."""

    def __init__(self, contender: Contender) -> None:
        command = [sys.executable, contender.script, *contender.arguments]
        self.name = contender.name
        self.jobs = [_started(command) for _ in range(contender.processes)]
        self.told: list[str] = []

    def wait(self) -> None:
        """Until all its processes are ready."""
        self.told = [job.stdout.readline().strip() for job in self.jobs]  # type: ignore[union-attr]
        if not all(self.told):
            raise RuntimeError(f"a process of {self.name} ended before it was ready")

    def rate(self, what: str, seconds: float) -> float:
        """Sum of the processes' rates, all at work at once."""
        for job in self.jobs:
            job.stdin.write(f"{what} {seconds}\n")
            job.stdin.flush()
        return sum(float(job.stdout.readline()) for job in self.jobs)

    def end(self) -> None:
        for job in self.jobs:
            job.stdin.close()
            job.wait()


def _started(command: list[str]) -> subprocess.Popen:
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


@contextmanager
def teams(contenders: Sequence[Contender]) -> Iterator[dict[str, Team]]:
    """Each contender's processes by its name, ended at the end."""
    made: dict[str, Team] = {}
    try:
        for c in contenders:
            made[c.name] = Team(c)
        for team in made.values():
            team.wait()
        yield made
    finally:
        for team in made.values():
            team.end()


def in_turns(found: Mapping[str, Team], works: Mapping[str, Sequence[str]], seconds: float, repeats: int) -> Rates:
    """Rates by (contender, work) in each repeat; `works`: what each contender can do. A first round, which warms up,
    does not count."""
    rates: Rates = {}
    for repeat in range(repeats + 1):
        for name, whats in works.items():
            for what in whats:
                rate = found[name].rate(what, seconds if repeat else min(seconds, 0.5))
                if repeat:
                    rates.setdefault((name, what), []).append(rate)
    return rates


def serve(works: Mapping[str, Callable[[float], float]], told: str = "ready") -> None:
    """In a contender's process: answer until the input ends."""
    print(told, flush=True)
    for line in sys.stdin:
        what, seconds = line.split()
        print(works[what](float(seconds)), flush=True)


def rate_of(works: Sequence[Callable[[int], float]], threads: int, seconds: float) -> float:
    """Units a second of `works`, each in a thread of its own: `work(i)` is its i-th call and returns its units.

    - `threads`: how many of this process may run at once, those of torch included
    - `seconds`: how long to go on, by the clock"""
    done = [0.0] * len(works)
    began, spent = time.perf_counter(), time.process_time()

    def loop(which: int) -> None:
        i = 0
        while time.perf_counter() - began < seconds:
            done[which] += works[which](i)
            i += 1

    jobs = [threading.Thread(target=loop, args=(i,)) for i in range(len(works))]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    return sum(done) * threads / (time.process_time() - spent)


def spread(values: Sequence[float]) -> dict[str, float]:
    """Fields of a row: median, lowest, highest."""
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}
