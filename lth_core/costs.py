"""How long networks on images would train: multiplications, the rates of the benchmark, a GPU's peak.

On a CPU an estimate from measured steps per second; on a GPU a floor by arithmetic, for nothing was timed on one."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache

import numpy as np

from lth_core import results
from lth_core.data import EVALUATED
from lth_core.models import INPUTS, layers
from lth_core.spec import Spec

PEAK = 67e12 / 2  # multiply-adds a second in fp32 that the vendor states for an H200
BATCH = 60  # of the benchmark's steps


@lru_cache
def multiplications(arch: str, dataset: str) -> int:
    """Multiply-adds of one image's forward pass through an unpruned network, without biases and normalisation."""
    side, total = INPUTS[dataset][-1], 0
    for layer in layers(arch, dataset):
        weights = int(np.prod(layer.shape))
        if len(layer.shape) == 2:
            total += weights
            continue
        after = side // layer.stride
        total += weights * after**2
        if layer.shortcut != "projected":  # lies beside the block's first convolution, which has the same stride
            side = {"max": after // 2, "mean": 1}.get(layer.pool, after)
    return total


def work(spec: Spec) -> float:
    """Multiply-adds of a training with its evaluations; backward counts as twice forward, masked weights as any."""
    evaluations = spec.iterations // spec.eval_every + 1
    images = 3 * spec.batch_size * spec.iterations + evaluations * sum(EVALUATED[spec.dataset].values())
    return float(images) * multiplications(spec.arch, spec.dataset)


@lru_cache
def rate(precision: str) -> float:
    """Multiply-adds a second of the dense engine on the benchmark's CPU: the median of Conv-2, -4 and -6; NaN if it was
    not measured."""
    file = results.HERE / "bench.json"
    rows = json.loads(file.read_text())["rows"] if file.exists() else []
    found = [
        row["median"] * 3 * BATCH * multiplications(row["setting"].split(",")[0], "cifar10")
        for row in rows
        if row["engine"] == f"dense {precision}" and row["setting"].startswith("conv") and "of 1" in row["setting"]
    ]
    return float(np.median(found)) if found else float("nan")


def duration(seconds: float) -> str:
    """ "40 minutes", "7 hours", "12 days": two digits at most."""
    units = (("minute", 60, 90), ("hour", 3600, 48), ("day", 86_400, float("inf")))
    unit, size = next((unit, size) for unit, size, most in units if seconds < most * size)
    n = max(seconds / size, 1)
    n = round(n, min(0, 2 - len(str(int(n)))))
    return f"{n:,.0f} {unit}{'s' * (n != 1)}"


def estimate(rows: Iterable[Spec]) -> str:
    """What networks would take, in two sentences; nothing for fully connected ones, whose engine profits by zeros."""
    rows = [s for s in rows if len(INPUTS[s.dataset]) == 3]
    if not rows:
        return ""
    total = sum(work(s) for s in rows)
    cpu = sum(work(s) / rate("bf16" if s.precision == "bf16" else "fp32") for s in rows)
    said = f"about {duration(cpu)} on the two CPU cores of the benchmark, by its rates" if np.isfinite(cpu) else ""
    return (
        f"Estimated: {said or 'no CPU was timed'}; on one H200 GPU no less than {duration(total / PEAK)} in fp32. The "
        "latter is arithmetic at the vendor's peak, for nothing was timed there: expect three to ten times as long."
    )
