"""The store: one folder per finished training ("cell"), written once, checked whenever it is read.

STORE/cells/ab/ab12.../cell.json            spec, provenance, hashes of the other files
                       curves.parquet       one row per evaluation
                       tensors.safetensors  ticket and continued arms: packed masks, surviving trained weights, biases
STORE/locks/ab12...                         held (flock) while a runner trains the cell; freed by the system if it dies
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import json
import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import IO, Any

import numpy as np
import pandas as pd
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lth_core.data import CHECKSUMS
from lth_core.models import Masks, Network, Parameters, Trained
from lth_core.spec import SCHEMA, Spec, UsageError, from_dict

CELL_FILES = ("cell.json", "curves.parquet", "tensors.safetensors")
KEEPS_WEIGHTS = ("ticket", "continued")  # arms from which later rounds grow


class StoreError(RuntimeError):
    """A cell that cannot be trusted or written: one sentence naming it and what to do (exit code 1)."""


@dataclass(frozen=True)
class Cell:
    """One finished training. `masks` and `weights` are empty for control arms, whose masks are their ticket's."""

    spec: Spec
    made: dict[str, Any]
    curves: pd.DataFrame
    masks: Masks
    weights: Parameters


def key_of(spec: Spec) -> str:
    """A row's identity: see `Spec.key`."""
    return spec.key(CHECKSUMS[spec.dataset])


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_arrays(arrays: dict[str, np.ndarray]) -> str:
    """Hash of named arrays: how a cell remembers its initial weights and masks without keeping them."""
    return digest(b"".join(name.encode() + np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays)))[
        :16
    ]


@lru_cache
def provenance() -> dict[str, Any]:
    """Who makes cells here: commit of the code, versions, machine."""
    here = Path(__file__).parent
    git = ["git", "-C", str(here)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "--", "."], capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit, dirty = "unknown", ""
    return {
        "commit": commit[:12] + ("+changes" if dirty else ""),
        "lth_core": version("lth-core"),
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
        "machine": platform.machine(),
    }


def device_details(engine: str) -> dict[str, Any]:
    """The processor or card that an engine ran on."""
    if not engine.endswith("cuda"):
        names = [
            line.split(":", 1)[1].strip()
            for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
            if line.startswith("model name")
        ]
        return {"device": names[0] if names else platform.processor(), "cores": os.cpu_count()}
    import torch

    return {"device": torch.cuda.get_device_name(), "cuda": torch.version.cuda}


class Store:
    """Cells under one folder. Any number of processes may read and run on it at once."""

    def __init__(self, root: str | Path) -> None:
        self.root = Path(root)

    def folder(self, key: str) -> Path:
        return self.root / "cells" / key[:2] / key

    def has(self, spec: Spec) -> bool:
        return self.folder(key_of(spec)).is_dir()

    def keys(self) -> list[str]:
        return sorted(p.name for p in self.root.glob("cells/??/*") if p.is_dir())

    @contextmanager
    def claim(self, specs: list[Spec]) -> Iterator[list[Spec]]:
        """Those of `specs` that nobody else is training and that are still missing, locked while in the block."""
        held: list[IO[str]] = []
        mine: list[Spec] = []
        try:
            (self.root / "locks").mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise self._unwritable(error) from error
        try:
            for spec in specs:
                file: IO[str] = open(self.root / "locks" / key_of(spec), "w")
                held.append(file)
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    continue
                if not self.has(spec):
                    mine.append(spec)
            yield mine
        finally:
            for lock in held:
                lock.close()

    def save(self, network: Network, trained: Trained) -> None:
        """Write a finished training under a temporary name and rename it: a cell is whole or absent."""
        spec, key = network.spec, key_of(network.spec)
        curves = pd.DataFrame(trained.curves)
        buffer = io.BytesIO()
        curves.to_parquet(buffer, compression="zstd")
        files = {"curves.parquet": buffer.getvalue()}
        if spec.arm in KEEPS_WEIGHTS:
            files["tensors.safetensors"] = save_tensors(_pack(network.masks, trained.weights))
        losses = curves["val_loss"].to_numpy()
        cell = {
            "schema": SCHEMA,
            "data": CHECKSUMS[spec.dataset],
            "spec": asdict(spec),
            "made": {
                **provenance(),
                **device_details(trained.engine),
                "engine": trained.engine,
                "seconds": round(trained.seconds, 3),
                "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
                "initial": digest_arrays(network.weights),
                "masks": digest_arrays(network.masks),
                "diverged": bool(~np.isfinite(losses).all()),
            },
            "files": {name: digest(data) for name, data in files.items()},
        }
        files["cell.json"] = json.dumps(cell, indent=1).encode()
        self._write(key, files)

    def adopt(self, other: Store, key: str) -> None:
        """Copy a cell of another store, after checking all its hashes."""
        other.read(key)
        self._write(key, {p.name: p.read_bytes() for p in other.folder(key).iterdir() if p.name in CELL_FILES})

    def _write(self, key: str, files: dict[str, bytes]) -> None:
        final = self.folder(key)
        try:
            final.parent.mkdir(parents=True, exist_ok=True)
            temporary = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=self.root))
            try:
                for name, data in files.items():
                    with open(temporary / name, "wb") as f:
                        f.write(data)
                        f.flush()
                        os.fsync(f.fileno())
                if not final.exists():
                    os.rename(temporary, final)
            finally:
                shutil.rmtree(temporary, ignore_errors=True)
        except OSError as error:
            raise self._unwritable(error) from error

    def _unwritable(self, error: OSError) -> StoreError:
        return StoreError(
            f"the store {self.root} cannot be written ({error.strerror}): nothing stored before is lost; "
            "free space or name another folder with --store, then run again."
        )

    def read(self, key: str) -> Cell:
        """A cell whose hashes all agree; else `StoreError`, which names it and how to have it trained again."""
        folder = self.folder(key)
        remedy = f"delete {folder} to have it trained again"
        try:
            cell = json.loads((folder / "cell.json").read_text())
            if cell["schema"] != SCHEMA:
                raise StoreError(f"cell {key} has schema {cell['schema']}, this lth_core reads {SCHEMA}: {remedy}.")
            spec = from_dict(cell["spec"])
            if key_of(spec) != key or cell["data"] != CHECKSUMS[spec.dataset]:
                raise StoreError(f"cell {key} is not what its name says: {remedy}.")
            files = {}
            for name, expected in cell["files"].items():
                if name not in CELL_FILES:
                    raise StoreError(f"cell {key} lists a file {name!r} that cells do not have: {remedy}.")
                files[name] = (folder / name).read_bytes()
                if digest(files[name]) != expected:
                    raise StoreError(f"cell {key} is damaged ({name} does not have its checksum): {remedy}.")
            curves = pd.read_parquet(io.BytesIO(files["curves.parquet"]))
            masks: Masks = {}
            weights: Parameters = {}
            if "tensors.safetensors" in files:
                masks, weights = _unpack(load_tensors(files["tensors.safetensors"]))
        except (OSError, KeyError, TypeError, ValueError, UsageError) as error:
            raise StoreError(f"cell {key} cannot be read ({error}): {remedy}.") from error
        return Cell(spec, cell["made"], curves, masks, weights)


def _pack(masks: Masks, weights: Parameters) -> dict[str, np.ndarray]:
    packed: dict[str, np.ndarray] = {}
    for name, values in weights.items():
        if name in masks:
            packed[f"{name}.mask"] = np.packbits(masks[name].ravel())
            packed[f"{name}.shape"] = np.array(masks[name].shape, np.int64)
            packed[name] = values[masks[name]]
        else:
            packed[name] = values
    return packed


def _unpack(packed: dict[str, np.ndarray]) -> tuple[Masks, Parameters]:
    masks: Masks = {}
    weights: Parameters = {}
    for name in [n for n in packed if not n.endswith((".mask", ".shape"))]:
        if f"{name}.mask" not in packed:
            weights[name] = packed[name]
            continue
        shape = tuple(int(s) for s in packed[f"{name}.shape"])
        size = int(np.prod(shape))
        bits = packed[f"{name}.mask"]
        if bits.size != (size + 7) // 8:
            raise ValueError(f"mask of {name} does not have the size of its shape {shape}")
        masks[name] = np.unpackbits(bits, count=size).astype(bool).reshape(shape)
        values = np.zeros(shape, np.float32)
        values[masks[name]] = packed[name]
        weights[name] = values
    return masks, weights
