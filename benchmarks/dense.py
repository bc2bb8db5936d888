"""The dense engine against the loop people write, on whatever device is here; on a GPU also against its ceilings.

    python benchmarks/dense.py [cpu|cuda] [ARCH ...]

Both do the same work in the same run: flips and crops where the paper has them, forward, backward, mask, the paper's
optimizer and batch. Medians of 5.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from statistics import median
from typing import Any

import networks
import numpy as np
import torch
import torch.nn.functional as F

from lth_companion.experiments.cifar10_recipes import RESNET, VGG
from lth_core import data, models, starts
from lth_core.engines.dense import engine as train
from lth_core.engines.dense.cohort import Cohort
from lth_core.engines.dense.images import flipped_and_cropped
from lth_core.engines.dense.memory import keep_freed_memory
from lth_core.spec import Spec

REPEATS = 5


@dataclass(frozen=True)
class Case:
    """An architecture: networks in a cohort and steps per repeat, on a CPU and on a GPU, and the paper's recipe."""

    on: dict[str, tuple[int, ...]]
    steps: dict[str, int]
    recipe: dict[str, Any] = field(default_factory=dict)  # fields of Spec; else LeNet's: Adam, batches of 60
    dataset: str = "cifar10"


CONV = Case({"cpu": (1, 2), "cuda": (1, 5, 20)}, {"cpu": 3, "cuda": 100})
CASES = {
    "lenet-300-100": Case({"cpu": (1, 4, 16), "cuda": (1, 16, 64)}, {"cpu": 60, "cuda": 200}, dataset="mnist"),
    **dict.fromkeys(("conv-2", "conv-4", "conv-6"), CONV),
    "resnet-18": Case({"cpu": (1, 2), "cuda": (1, 5, 20, 60)}, {"cpu": 2, "cuda": 100}, {"lr": 0.1, **RESNET.train}),
    "vgg-19": Case({"cpu": (1,), "cuda": (1, 3, 9)}, {"cpu": 1, "cuda": 50}, {"lr": 0.1, **VGG.train}),
}


def timed(work: Callable[[], None], device: str) -> float:
    """Median seconds of `work`, after one run that pays for compilation."""
    work()
    seconds = []
    for _ in range(REPEATS):
        began = time.perf_counter()
        work()
        if device == "cuda":
            torch.cuda.synchronize()
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def recipe(arch: str, case: Case, **fields: Any) -> Spec:
    """A row of this architecture as the paper trains it, without drops of the learning rate."""
    return Spec(dataset=case.dataset, arch=arch, **{**case.recipe, "lr_drops": (), **fields})


def plain(arch: str, case: Case, steps: int, device: str) -> Callable[[], None]:
    """`steps` iterations of the plain loop with the data already on the device as float32."""
    spec = recipe(arch, case)
    model = networks.plain(arch).to(device)
    optimizer: torch.optim.Optimizer = torch.optim.Adam(model.parameters(), lr=spec.lr)
    if spec.optimizer == "momentum":
        optimizer = torch.optim.SGD(model.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay)
    masks = {p: torch.ones_like(p) for p in model.parameters() if p.dim() > 1}
    shape = models.INPUTS[case.dataset]
    images = torch.rand(6_000, *shape, device=device)
    labels = torch.randint(10, (6_000,), device=device)

    def work() -> None:
        for _ in range(steps):
            at = torch.randint(6_000, (spec.batch_size,), device=device)
            x = images[at]
            if spec.augment == "flip_crop":
                x = flipped_and_cropped(x[None], torch.randint(2**24, (1, len(at), 3), device=device))[0]
            optimizer.zero_grad()
            F.cross_entropy(model(x), labels[at]).backward()
            optimizer.step()
            with torch.no_grad():
                for p, mask in masks.items():
                    p.mul_(mask)

    return work


def images_of(dataset: str) -> data.Dataset:
    """The data set; noise of its shape where its files are not at hand, which takes as long."""
    if data.available(dataset):
        try:
            return data.load(dataset)
        except data.UsageError:  # on its way, in pieces
            pass
    draw, shape = np.random.default_rng(0), models.INPUTS[dataset]
    images = [draw.integers(256, size=(n, *shape), dtype=np.uint8) for n in (12_000, 1_000)]
    labels = [draw.integers(models.CLASSES, size=len(x), dtype=np.uint8) for x in images]
    return data.Dataset(dataset, images[0], labels[0], images[1], labels[1])


def cohort(arch: str, case: Case, size: int, steps: int, device: str, precision: str) -> Callable[[], None]:
    """`steps` iterations of a cohort, captured in a graph where the device has graphs."""
    rows = [
        recipe(arch, case, precision=precision, trial=t, iterations=steps, eval_every=steps).at_round(0)
        for t in range(size)
    ]
    made = Cohort([starts.network(s) for s in rows], images_of(case.dataset), torch.device(device))
    made.load(made.chunk(0))
    step = made.captured(made.step)

    def work() -> None:
        made.step_at.zero_()
        for _ in range(steps):
            step()

    return work


def convolutions(device: str, count: int = 4, images: int = 60) -> list[dict]:
    """One layer of Conv-2 (64 to 64 channels, 32x32), forward and backward for several networks: as one grouped
    convolution, network by network, and on a GPU network by network in streams of their own."""
    x = torch.randn(count, images, 64, 32, 32, device=device)
    w = torch.randn(count, 64, 64, 3, 3, device=device, requires_grad=True)

    def grouped() -> torch.Tensor:
        joined = x.transpose(0, 1).reshape(images, count * 64, 32, 32)
        return F.conv2d(joined, w.flatten(0, 1), padding=1, groups=count)

    def looped() -> torch.Tensor:
        last = torch.channels_last
        return torch.stack([F.conv2d(x[n].to(memory_format=last), w[n], padding=1) for n in range(count)])

    def streamed() -> torch.Tensor:
        streams = [torch.cuda.Stream() for _ in range(count)]
        parts = []
        for n, stream in enumerate(streams):
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                parts.append(F.conv2d(x[n], w[n], padding=1))
        for stream in streams:
            torch.cuda.current_stream().wait_stream(stream)
        return torch.stack(parts)

    ways = {"grouped": grouped, "looped, channels last": looped} | ({"streams": streamed} if device == "cuda" else {})
    made = []
    for name, way in ways.items():
        seconds = timed(lambda way=way: torch.autograd.grad(way().sum(), w), device)
        made.append({"benchmark": f"convolution of {count} networks", "engine": "torch", "setting": name})
        made[-1] |= {
            "median": 1e3 * seconds,
            "unit": "ms",
            "ratio": made[0].get("median", 1e3 * seconds) / (1e3 * seconds),
        }
    return made


def ceilings() -> dict[str, float]:
    """Bytes a second of a device copy, and float operations a second of matrix products, on this GPU."""
    a = torch.empty(2**28, device="cuda")
    b = torch.empty_like(a)
    found = {"copy, bytes/s": 2 * a.numel() * 4 / timed(lambda: b.copy_(a), "cuda")}
    for name, dtype, tf32 in (
        ("fp32", torch.float32, False),
        ("tf32", torch.float32, True),
        ("bf16", torch.bfloat16, False),
    ):
        torch.backends.cuda.matmul.allow_tf32 = tf32
        x = torch.randn(8192, 8192, device="cuda", dtype=dtype)
        found[f"product {name}, flop/s"] = 2 * 8192**3 / timed(lambda x=x: torch.mm(x, x), "cuda")
    torch.backends.cuda.matmul.allow_tf32 = False
    return found


def rows(device: str = "cpu", archs: list[str] | None = None) -> list[dict]:
    """Network-steps per second of the plain loop and of cohorts; ratio to the plain loop of the same architecture."""
    made = []
    if device == "cpu":
        keep_freed_memory()  # as in training; the plain loop gains by it too
    for arch in archs or CASES:
        case = CASES[arch]
        steps = case.steps[device]
        base = steps / timed(plain(arch, case, steps, device), device)
        where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
        made.append(row(f"dense, {where}", "plain loop", arch, base, base, arch=arch))
        for precision in ("fp32", "tf32", "bf16") if device == "cuda" else ("fp32", "bf16"):
            with train._precision(precision):
                for n in case.on[device]:
                    speed = n * steps / timed(cohort(arch, case, n, steps, device, precision), device)
                    what = dict(arch=arch, cohort=n, precision=precision)
                    setting = f"{arch}, cohort of {n}"
                    made.append(row(f"dense, {where}", f"dense {precision}", setting, speed, base, **what))
    made += convolutions(device)
    if device == "cuda":
        made += [row("dense, ceilings", "torch", name, value, value) for name, value in ceilings().items()]
    return made


def row(benchmark: str, engine: str, setting: str, value: float, base: float, **what: Any) -> dict:
    """`what`: the fields of the setting, for readers that look for a row (arch, cohort, precision)."""
    named = {"benchmark": benchmark, "engine": engine, "setting": setting, **what}
    return {**named, "median": value, "unit": "network-steps/s", "ratio": value / base}


if __name__ == "__main__":
    device = sys.argv[1] if len(sys.argv) > 1 else ("cuda" if torch.cuda.is_available() else "cpu")
    for r in rows(device, sys.argv[2:] or None):
        print("{benchmark:20} {engine:12} {setting:28} {median:12,.0f} {unit} {ratio:8.2f}x".format(**r))
