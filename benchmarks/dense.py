"""The dense engine against the loop people write, on whatever device is here; on a GPU also against its ceilings.

    python benchmarks/dense.py [cpu|cuda] [ARCH ...]

Both do the same work in the same run: forward, backward, mask, Adam. Medians of 5.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from statistics import median

import torch
import torch.nn.functional as F

from lth_core import data, models, tickets, train
from lth_core.spec import Spec

REPEATS = 5
# architecture: (data set, networks in a cohort on a CPU, on a GPU, steps per repeat on a CPU, on a GPU)
CASES = {
    "lenet-300-100": ("mnist", (1, 4, 16), (1, 16, 64), 60, 200),
    "conv-2": ("cifar10", (1, 2), (1, 5, 20), 3, 100),
    "conv-4": ("cifar10", (1, 2), (1, 5, 20), 3, 100),
    "conv-6": ("cifar10", (1, 2), (1, 5, 20), 3, 100),
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


class Plain(torch.nn.Module):
    """A network as people write it: nn.Module layers, masks multiplied in by hand."""

    def __init__(self, arch: str, dataset: str) -> None:
        super().__init__()
        self.table = models.layers(arch, dataset)
        make = {
            "conv": lambda s: torch.nn.Conv2d(s[1], s[0], 3, padding=1),
            "fc": lambda s: torch.nn.Linear(s[1], s[0]),
        }
        make["out"] = make["fc"]
        self.layers = torch.nn.ModuleList([make[layer.role](layer.shape) for layer in self.table])

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer, module in zip(self.table, self.layers, strict=True):
            x = module(x if layer.role == "conv" else x.flatten(1))
            x = x if layer.role == "out" else F.relu(x)
            x = F.max_pool2d(x, 2) if layer.pool == "max" else x
        return x


def plain(arch: str, dataset: str, steps: int, device: str) -> Callable[[], None]:
    """`steps` iterations of the plain loop with the data already on the device as float32."""
    model = Plain(arch, dataset).to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    masks = {p: torch.ones_like(p) for p in model.parameters() if p.dim() > 1}
    shape = models.INPUTS[dataset]
    images = torch.rand(6_000, *shape, device=device)
    labels = torch.randint(10, (6_000,), device=device)

    def work() -> None:
        for _ in range(steps):
            at = torch.randint(6_000, (60,), device=device)
            optimizer.zero_grad()
            F.cross_entropy(model(images[at]), labels[at]).backward()
            optimizer.step()
            with torch.no_grad():
                for p, mask in masks.items():
                    p.mul_(mask)

    return work


def cohort(arch: str, dataset: str, networks: int, steps: int, device: str, precision: str) -> Callable[[], None]:
    """`steps` iterations of a cohort, captured in a graph where the device has graphs."""
    rows = [
        Spec(dataset=dataset, arch=arch, precision=precision, trial=t, iterations=steps, eval_every=steps)
        for t in range(networks)
    ]
    made = train.Cohort([tickets.network(s.at_round(0)) for s in rows], data.load(dataset), torch.device(device))
    made.load(made.chunk(0))
    step = made.captured(made.step)

    def work() -> None:
        made.step_at.zero_()
        for _ in range(steps):
            step()

    return work


def convolutions(device: str, networks: int = 4, images: int = 60) -> list[dict]:
    """One layer of Conv-2 (64 to 64 channels, 32x32), forward and backward for several networks: as one grouped
    convolution, network by network, and on a GPU network by network in streams of their own."""
    x = torch.randn(networks, images, 64, 32, 32, device=device)
    w = torch.randn(networks, 64, 64, 3, 3, device=device, requires_grad=True)

    def grouped() -> torch.Tensor:
        joined = x.transpose(0, 1).reshape(images, networks * 64, 32, 32)
        return F.conv2d(joined, w.flatten(0, 1), padding=1, groups=networks)

    def looped() -> torch.Tensor:
        last = torch.channels_last
        return torch.stack([F.conv2d(x[n].to(memory_format=last), w[n], padding=1) for n in range(networks)])

    def streamed() -> torch.Tensor:
        streams = [torch.cuda.Stream() for _ in range(networks)]
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
        made.append({"benchmark": f"convolution of {networks} networks", "engine": "torch", "setting": name})
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
    for arch in archs or CASES:
        dataset, on_cpu, on_gpu, cpu_steps, gpu_steps = CASES[arch]
        steps = gpu_steps if device == "cuda" else cpu_steps
        base = steps / timed(plain(arch, dataset, steps, device), device)
        where = torch.cuda.get_device_name() if device == "cuda" else "CPU"
        made.append(row(f"dense, {where}", "plain loop", arch, base, base))
        for precision in ("fp32", "tf32", "bf16") if device == "cuda" else ("fp32", "bf16"):
            with train._precision(precision):
                for n in on_gpu if device == "cuda" else on_cpu:
                    speed = n * steps / timed(cohort(arch, dataset, n, steps, device, precision), device)
                    made.append(row(f"dense, {where}", f"dense {precision}", f"{arch}, cohort of {n}", speed, base))
    made += convolutions(device)
    if device == "cuda":
        made += [row("dense, ceilings", "torch", name, value, value) for name, value in ceilings().items()]
    return made


def row(benchmark: str, engine: str, setting: str, value: float, base: float) -> dict:
    return {
        "benchmark": benchmark, "engine": engine, "setting": setting, "median": value, "unit": "network-steps/s",
        "ratio": value / base,
    }  # fmt: skip


if __name__ == "__main__":
    device = sys.argv[1] if len(sys.argv) > 1 else ("cuda" if torch.cuda.is_available() else "cpu")
    for r in rows(device, sys.argv[2:] or None):
        print("{benchmark:20} {engine:12} {setting:28} {median:12,.0f} {unit} {ratio:8.2f}x".format(**r))
