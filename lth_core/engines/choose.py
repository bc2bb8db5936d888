"""Which engine trains a row. A further engine is a module of this folder and one line in `ENGINES`.

An engine is a module with
- `TRAINS`: what it trains, in words
- `supports(spec)`: whether it can train a row; `preferred(spec)`: whether "auto" takes it for one on a CPU
- `train_all(networks, data, device=, progress=, stop=, shelf=)`: yields `(network, trained)` of each as it is done
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from typing import Any

from lth_core.data import Dataset
from lth_core.errors import UsageError
from lth_core.models import Network, Trained
from lth_core.spec import Spec
from lth_core.store.checkpoint import Shelf

# In order of preference on a CPU. Imported when used: a machine that trains on its GPU needs no compiler for CPUs.
ENGINES = {
    "sparse": "lth_core.engines.sparse.engine",
    "convolutional": "lth_core.engines.convolutional.engine",
    "dense": "lth_core.engines.dense.engine",
}
Tick = Callable[[str, int], None]


def _engine(name: str) -> Any:
    return importlib.import_module(ENGINES[name])


def check_how(device: str, engine: str) -> None:
    """Refuse a device or engine that does not exist, before anything is trained: UsageError."""
    if engine not in ("auto", *ENGINES):
        raise UsageError(f"engine = {engine!r} does not exist; allowed: auto, {', '.join(ENGINES)}.")
    if device not in ("auto", "cpu"):
        _engine("dense").device_of(device)


def engine_for(spec: Spec, device: str, engine: str) -> str:
    """The name of the engine that trains a row; UsageError where the one asked for cannot."""
    if engine == "auto":
        if device != "cpu" and (device != "auto" or _engine("dense").device_of("auto").type == "cuda"):
            return "dense"
        return next(name for name in ENGINES if _engine(name).preferred(spec))
    if engine != "dense" and device not in ("auto", "cpu"):
        raise UsageError(f"engine = {engine!r} trains on a CPU, not on device = {device!r}: use dense, or device cpu.")
    if not _engine(engine).supports(spec):
        raise UsageError(f"engine = {engine!r} trains {_engine(engine).TRAINS} only, not {spec.arch}: use dense.")
    return engine


def train_all(
    networks: list[Network],
    data: Dataset,
    *,
    device: str = "auto",
    engine: str = "auto",
    progress: Tick | None = None,
    stop: Callable[[], bool] | None = None,
    shelf: Shelf | None = None,
) -> Iterator[tuple[Network, Trained]]:
    """Train networks of any kind, each with its engine; yields each as it is done.

    - `shelf`: where trainings that are stopped halfway are kept, to go on from there, by engines that can"""
    own: dict[str, list[Network]] = {}
    for n in networks:
        own.setdefault(engine_for(n.spec, device, engine), []).append(n)
    for name in ENGINES:
        if name in own:
            yield from _engine(name).train_all(
                own[name], data, device=device, progress=progress, stop=stop, shelf=shelf
            )
