"""The dense engine on a GPU in little time: every way to convolve, in order of what is most worth knowing.

    python benchmarks/gpu.py [cuda|cpu] SECONDS OUT.json

Both the plain loop and the cohorts may search for cuDNN's fastest algorithms. Images are noise where the data sets are
not at hand: speed does not depend on them. What there was no time for is missing.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import dense
import torch

from lth_core.engines.dense import engine as train


@dataclass(frozen=True)
class Run:
    """One measurement: `on` networks, or the plain loop where `on` is 0."""

    arch: str
    on: int = 0
    precision: str = "fp32"
    convolutions: str = "grouped"
    layout: str = "last"


RESNET, VGG = "resnet-18", "vgg-19"
RUNS = [
    Run(RESNET),
    Run(RESNET, 6, "bf16", "grouped"),
    Run(RESNET, 18, "bf16", "grouped"),
    Run("lenet-300-100"),
    Run("lenet-300-100", 16),
    Run("lenet-300-100", 64),
    Run(RESNET, 6, "tf32", "grouped"),
    Run("conv-6"),
    Run("conv-6", 6, "bf16", "grouped"),
    Run(VGG),
    Run(VGG, 3, "bf16", "grouped"),
    Run("conv-2"),
    Run("conv-2", 6, "bf16", "grouped"),
    Run(RESNET, 18, "tf32", "grouped"),
    Run(VGG, 9, "bf16", "grouped"),
    Run("conv-6", 18, "bf16", "grouped"),
    Run("conv-2", 18, "bf16", "grouped"),
    Run(RESNET, 6, "bf16", "looped"),
    Run(RESNET, 6, "bf16", "grouped", "first"),
]
STEPS = {"lenet-300-100": 200, RESNET: 24, VGG: 16}
dense.REPEATS = 3


def measure(run: Run, device: str) -> float:
    """Network-steps per second."""
    case, steps = dense.CASES[run.arch], STEPS.get(run.arch, 30) if device == "cuda" else 1
    if not run.on:
        return steps / dense.timed(dense.plain(run.arch, case, steps, device), device)
    os.environ |= {"LTH_CONVOLUTIONS": run.convolutions, "LTH_LAYOUT": run.layout}
    with train._precision(run.precision):
        work = dense.cohort(run.arch, case, run.on, steps, device, run.precision)
        return run.on * steps / dense.timed(work, device)


def main(device: str, seconds: float, out: Path, runs: list[Run] = RUNS) -> list[dict]:
    deadline, made, base = time.monotonic() + seconds, [], {}
    torch.backends.cudnn.benchmark = True
    for run in runs:
        began = time.monotonic()
        if began > deadline:
            break
        try:
            speed = measure(run, device)
        except RuntimeError as error:  # out of memory, or a way that this card cannot go: the others tell
            print(f"{run}: {str(error)[:300]}", flush=True)
            continue
        finally:
            gc.collect()
            if device == "cuda":
                torch.cuda.empty_cache()
        base.setdefault(run.arch, speed)
        where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
        setting = f"{run.arch}, cohort of {run.on}, {run.convolutions}, {run.layout}" if run.on else run.arch
        engine = f"dense {run.precision}" if run.on else "plain loop"
        line = dense.row(f"dense, {where}", engine, setting, speed, base[run.arch])
        made.append({**line, **(vars(run) if run.on else {}), "took": round(time.monotonic() - began, 1)})
        out.write_text(json.dumps(made, indent=1))
        print(f"{engine:12} {setting:48} {speed:10,.0f}/s {line['ratio']:7.2f}x  {made[-1]['took']:5.1f} s", flush=True)
    return made


if __name__ == "__main__":
    main(sys.argv[1], float(sys.argv[2]), Path(sys.argv[3]))
