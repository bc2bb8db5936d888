"""The dense engine: networks of one cohort trained together by torch, on any device.

Parameters carry a leading network axis; learning rate, weight decay and momentum are per-network columns. The data
lie on the device as uint8 and batches are index tables, so that a step asks nothing of the host; on CUDA the whole step
is captured once in a graph and replayed. The same code runs eagerly on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch

from lth_core.data import Dataset
from lth_core.engines.dense.cohort import Cohort, cohort_of
from lth_core.engines.dense.forward import way
from lth_core.engines.dense.memory import in_parts, keep_freed_memory
from lth_core.errors import UsageError
from lth_core.models import Network, Trained
from lth_core.spec import Spec
from lth_core.store.checkpoint import Halfway, Shelf

TRAINS = "networks of every kind"
Progress = Callable[[str, int], None]
KEEP_SECONDS = 300  # between two states kept of a long training


def device_of(name: str) -> torch.device:
    """ "auto" is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UsageError(f"device = {name!r} does not exist; allowed: auto, cpu, cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device = {name!r}, but torch sees no GPU here: use device cpu or auto.")
    number = name.removeprefix("cuda:")
    if number not in ("cpu", "cuda") and not (number.isdecimal() and int(number) < torch.cuda.device_count()):
        raise UsageError(f"device = {name!r} does not exist: torch sees {torch.cuda.device_count()} here, from 0 on.")
    return torch.device(name)


@contextmanager
def _precision(name: str) -> Iterator[None]:
    """TF32 products on CUDA while inside, if the spec asks for them."""
    before = torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = name == "tf32"
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = before


def supports(spec: Spec) -> bool:
    """Every architecture."""
    return True


def preferred(spec: Spec) -> bool:
    """On a CPU: what no other engine is preferred for."""
    return True


def train_all(
    networks: Sequence[Network],
    data: Dataset,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    shelf: Shelf | None = None,
) -> Iterator[tuple[Network, Trained]]:
    """Train networks cohort by cohort, from where `shelf` keeps each; yields each as it is done."""
    cohorts: dict[tuple[Any, ...], dict[int, list[Network]]] = {}
    for n in networks:
        at = shelf.iteration(n.spec) if shelf else 0
        cohorts.setdefault(cohort_of(n.spec), {}).setdefault(at, []).append(n)
    for cohort in cohorts.values():
        for iteration, part in sorted(cohort.items(), reverse=True):
            yield from in_parts(part, partial(_kept, data, device, progress, stop, shelf, iteration), device, progress)


def _kept(
    data: Dataset,
    device: str,
    progress: Progress | None,
    stop: Callable[[], bool] | None,
    shelf: Shelf | None,
    iteration: int,
    part: list[Network],
) -> Iterator[tuple[Network, Trained]]:
    """`train` for networks that stand at one iteration on the shelf, where each is kept again."""
    halves = [half for n in part if shelf and iteration and (half := shelf.load(n.spec))]
    keep = (lambda i, half: shelf.save(part[i].spec, half)) if shelf else None
    for i, trained in train(part, data, device=device, progress=progress, stop=stop, halves=halves, keep=keep):
        yield part[i], trained


def train(
    networks: Sequence[Network],
    data: Dataset,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
    halves: Sequence[Halfway] = (),
    keep: Callable[[int, Halfway], None] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train the networks of one cohort together; yields `(index, Trained)` of each once all are done.

    Nothing is yielded if `stop()` turns true between two evaluations.

    - `halves`: where each network stopped before, all at the same iteration; none: all begin
    - `keep(index, halfway)`: told every `KEEP_SECONDS` and when stopped, so that nothing of a long round is lost
    """
    where, began = device_of(device), time.perf_counter()
    if where.type == "cpu":
        keep_freed_memory()
    else:
        torch.backends.cudnn.benchmark = True  # the warm-up before capture tries cuDNN's ways; the graph keeps the best
    cohort = Cohort(networks, data, where)
    if halves:
        cohort.restore(halves)
    spec, first = cohort.spec, halves[0].iteration if halves else 0
    kept = began

    def spent(i: int) -> float:
        """Seconds on a network, as a share of its cohorts' time."""
        return (halves[i].seconds if halves else 0.0) + (time.perf_counter() - began) / len(networks)

    here = torch.cuda.device(where) if where.type == "cuda" else nullcontext()  # streams and graphs are its own
    with here, _precision(spec.precision), ThreadPoolExecutor(1) as ahead:
        coming = ahead.submit(cohort.chunk, first)  # the host shuffles the next batches while the device trains
        cohort.load(coming.result())
        step = cohort.captured(cohort.step)
        if not halves:
            cohort.evaluate()  # few kernels, large ones: to capture it would take longer than it can save
        for start in range(first, spec.iterations, spec.eval_every):
            stopped = stop is not None and stop()
            if keep and start > first and (stopped or time.perf_counter() - kept > KEEP_SECONDS):
                for i in range(len(networks)):
                    keep(i, cohort.halfway(i, start, spent(i)))
                kept = time.perf_counter()
            if stopped:
                return
            cohort.load(coming.result())
            if start + spec.eval_every < spec.iterations:
                coming = ahead.submit(cohort.chunk, start + spec.eval_every)
            for _ in range(spec.eval_every):
                step()
            cohort.evaluate()
            if progress:
                progress(f"{spec.arch}, {len(networks)} networks", spec.eval_every * len(networks))
    deep = where.type == "cuda" and len(cohort.table[0].shape) > 2
    details = {"convolutions": way()} if deep else {}
    weights = {name: cohort.weights[name].detach().cpu().numpy() for name in networks[0].weights}
    seconds = [spent(i) for i in range(len(networks))]
    for i in range(len(networks)):
        own = {n: w[i].copy() for n, w in weights.items()}
        yield i, Trained(cohort.curves(i), own, seconds[i], f"dense-{where.type}", details)
