"""Convolutional tickets: the compiled engine against the dense one in its best setting, all cores in use on both sides.

    python benchmarks/convolutional.py [--seconds 8] [--repeats 3] [ARCH ROUND ...]

Every setting runs in processes of its own, in turn, `repeats` times; a row is the median of the whole machine's
network-steps per second. Masks are those of a chain's round cut from initial weights: global for ResNet-18 and VGG-19,
layer by layer for Conv-2, -4, -6. (Training moves some weights between layers: with masks of a real chain the counts of
each layer differ.)
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parent))
import dense

from lth_companion.experiments import nets
from lth_core import data, prune
from lth_core.engines import dense as train
from lth_core.engines.cohort import Cohort
from lth_core.engines.convolutional import engine
from lth_core.models import Network, initial

CASES = {"resnet-18": (0, 4, 8, 11, 13), "vgg-19": (8, 12, 20), "conv-2": (5, 10, 21)}
NETS = {net.arch: net for net in (*nets.CONV, nets.RESNET, nets.VGG)}
STEPS = 200  # of the schedule that is timed: batches of so many steps are drawn
CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def network(arch: str, round: int, trial: int = 0, precision: str = "fp32") -> Network:
    """The network of a round, with masks cut at once from its initial weights."""
    base = dense.recipe(arch, dense.CASES[arch], precision=precision, trial=trial, iterations=STEPS, eval_every=STEPS)
    spec = base.at_round(round, **NETS[arch].prune)
    weights = initial(spec)
    masks = prune.cut(spec, weights, prune.full(spec)) if round else prune.full(spec)
    return Network(spec, prune.masked(weights, masks), masks)


def density(arch: str, round: int) -> float:
    return prune.density(network(arch, round).spec)


def compiled(arch: str, round: int, trial: int) -> Callable[[int], None]:
    """One iteration of the compiled engine."""
    job = engine._Training(network(arch, round, trial), data.load("cifar10"), None)
    net, batches = job._made(), job.order.batches(0, STEPS)

    def step(i: int) -> None:
        it = i % STEPS
        job.step(net, batches[it], it)

    return step


def masked(arch: str, precision: str) -> Callable[[int], None]:
    """One iteration of the dense engine, the same at every density."""
    cohort = Cohort([network(arch, 0, precision=precision)], data.load("cifar10"), torch.device("cpu"))
    cohort.load(cohort.chunk(0))

    def step(i: int) -> None:
        if i % STEPS == 0:
            cohort.step_at.zero_()
        cohort.step()

    return step


def work(engine_name: str, arch: str, round: int, threads: int, seconds: float) -> None:
    """In a process of its own: print network-steps per second."""
    train.keep_freed_memory()
    if engine_name == "convolutional":
        torch.set_num_threads(1)
        steps = [compiled(arch, round, trial) for trial in range(threads)]
    else:
        torch.set_num_threads(threads)
        steps = [masked(arch, engine_name.removeprefix("dense "))]
    for step in steps:
        step(0)
    print("ready", flush=True)
    sys.stdin.readline()
    counts = [0] * len(steps)
    until = time.perf_counter() + seconds

    def loop(which: int) -> None:
        began = time.perf_counter()
        n = 0
        while time.perf_counter() < until:
            n += 1
            steps[which](n)
        counts[which] = n / (time.perf_counter() - began)

    jobs = [threading.Thread(target=loop, args=(i,)) for i in range(len(steps))]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    print(sum(counts), flush=True)


def speed(engine_name: str, arch: str, round: int, processes: int, threads: int, seconds: float) -> float:
    """Network-steps per second of the whole machine: `processes` at once, each with `threads`."""
    command = [sys.executable, __file__, "--work", engine_name, arch, str(round), str(threads), str(seconds)]
    pipes = dict(stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    jobs = [subprocess.Popen(command, **pipes) for _ in range(processes)]  # type: ignore[call-overload]
    for job in jobs:
        job.stdout.readline()
    for job in jobs:
        job.stdin.write("\n")
        job.stdin.flush()
    return sum(float(job.communicate()[0]) for job in jobs)


def rows(seconds: float = 8, repeats: int = 3, cases: dict[str, tuple[int, ...]] | None = None) -> list[dict]:
    """Rows for `bench`: the dense engine in its settings, the compiled one by round; ratios to the best setting."""
    made = []
    for arch, rounds in (cases or CASES).items():
        settings = {("dense fp32", 0, 1, CORES), ("dense fp32", 0, CORES, 1)}
        if "avx512_bf16" in _flags():
            settings |= {("dense bf16", 0, 1, CORES), ("dense bf16", 0, CORES, 1)}
        settings |= {("convolutional", r, 1, CORES) for r in rounds}
        found: dict[tuple, list[float]] = {s: [] for s in sorted(settings)}
        for _ in range(repeats):
            for (name, round, processes, threads), values in found.items():
                values.append(speed(name, arch, round, processes, threads, seconds))
        best = max(statistics.median(v) for s, v in found.items() if s[0] != "convolutional")
        for (name, round, processes, threads), values in found.items():
            ours = name == "convolutional"
            what = f"round {round}, {100 * density(arch, round):.1f}%" if ours else f"{processes} processes"
            made.append({
                "benchmark": f"convolutional tickets, {arch}", "engine": name, "setting": f"{what}, {threads} threads",
                "median": statistics.median(values), "unit": "network-steps/s",
                "ratio": statistics.median(values) / best, "lowest": min(values), "highest": max(values),
            })  # fmt: skip
    return made


def _flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", help="an architecture, then rounds; default: all cases")
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    cases = {args.case[0]: tuple(map(int, args.case[1:]))} if args.case else None
    for r in rows(args.seconds, args.repeats, cases):
        line = "{benchmark:34} {engine:14} {setting:32} {median:8.2f} ({lowest:.2f}-{highest:.2f}) {unit} {ratio:6.2f}x"
        print(line.format(**r))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]), float(sys.argv[6]))
    else:
        main()
