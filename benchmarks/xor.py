"""XOR: 1000 ten-unit networks for 10,000 iterations, against the loop people write, one network at a time in PyTorch.

    python benchmarks/xor.py

The one-at-a-time loop would take a quarter of an hour, and the batched one seconds, so both are timed over fewer steps
and extrapolated; the rows say so. All engines are timed in turn within one run, medians of 5.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

import torch

from lth_companion.experiments import xor

NETWORKS, ITERATIONS, HIDDEN = 1000, 10_000, 10
REPEATS = 5
POINTS = torch.tensor(xor.POINTS, dtype=torch.float32)
CLASSES = torch.tensor(xor.CLASSES, dtype=torch.float32)[:, None]


def plain(iterations: int) -> None:
    """nn.Module and torch.optim.SGD, one network, one thread (more only slow such small tensors down)."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    model = torch.nn.Sequential(torch.nn.Linear(2, HIDDEN), torch.nn.ReLU(), torch.nn.Linear(HIDDEN, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    loss_of = torch.nn.BCEWithLogitsLoss()
    for _ in range(iterations):
        optimizer.zero_grad()
        loss_of(model(POINTS), CLASSES).backward()
        optimizer.step()
    torch.set_num_threads(threads)


def batched(iterations: int) -> None:
    """All networks as one tensor, autograd, in-place descent."""
    shapes = ((2, HIDDEN), (1, HIDDEN), (HIDDEN, 1), (1, 1))
    parameters = [torch.randn(NETWORKS, *shape).mul_(0.1).requires_grad_() for shape in shapes]
    w, b, v, c = parameters
    for _ in range(iterations):
        logits = torch.relu(POINTS @ w + b) @ v + c
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, CLASSES.expand_as(logits), reduction="sum")
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss / 4, parameters), strict=True):
            parameter.data -= gradient


def seconds(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def rows() -> list[dict]:
    """`{benchmark, engine, setting, median, unit, ratio}`; ratio: how many times faster than the one-at-a-time loop."""
    start = xor.initial(NETWORKS, HIDDEN)
    work: dict[tuple[str, str], tuple[Callable[[], object], float]] = {
        ("plain torch loop", "one at a time, extrapolated from 1 network x 300 iterations"): (
            lambda: plain(300),
            NETWORKS * ITERATIONS / 300,
        ),
        ("batched torch", "1000 networks as one tensor, extrapolated from 100 iterations"): (
            lambda: batched(100),
            ITERATIONS / 100,
        ),
        ("lth_companion.experiments.xor", "networks in SIMD lanes, 1 thread"): (
            lambda: xor.train(start, ITERATIONS, threads=1),
            1,
        ),
        ("lth_companion.experiments.xor", "networks in SIMD lanes, all cores"): (
            lambda: xor.train(start, ITERATIONS),
            1,
        ),
    }
    for run, _ in work.values():
        run()  # compiling and first touches do not count
    taken: dict[tuple[str, str], list[float]] = {key: [] for key in work}
    for _ in range(REPEATS):
        for key, (run, factor) in work.items():
            taken[key].append(seconds(run) * factor)
    medians = {key: median(times) for key, times in taken.items()}
    base = next(iter(medians.values()))
    name = f"XOR, {NETWORKS} networks, {HIDDEN} units, {ITERATIONS:,} iterations"
    table = [
        {"benchmark": name, "engine": engine, "setting": setting, "median": m, "unit": "s", "ratio": base / m}
        for (engine, setting), m in medians.items()
    ]
    both = median(seconds(lambda: (xor.figure1(), xor.figure2())) for _ in range(REPEATS))
    figures = {
        "benchmark": "XOR, Figures 1 and 2",
        "engine": "lth_companion.experiments.xor",
        "setting": "27,000 networks, all cores",
    }
    return [*table, {**figures, "median": both, "unit": "s", "ratio": None}]


if __name__ == "__main__":
    for row in rows():
        ratio = f"{row['ratio']:,.0f} x" if row["ratio"] else ""
        print("{benchmark:48} {engine:17} {setting:62} {median:9.3f} {unit}".format(**row), f"{ratio:>11}")
