"""A cell, one finished training, as files and as arrays: written here, and checked whole whenever it is read.

cell.json            spec, provenance, hashes of the other files
curves.parquet       one row per evaluation
tensors.safetensors  ticket and continued arms: packed masks, surviving trained weights, biases
"""

from __future__ import annotations

import hashlib
import io
import json
import math
import os
import re
import stat
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from safetensors import SafetensorError
from safetensors.numpy import load as load_tensors
from safetensors.numpy import save as save_tensors

from lth_core.analyse import SUMMARY
from lth_core.arms import ARMS
from lth_core.data import KNOWN
from lth_core.errors import StoreError, one_line
from lth_core.models import MEASURED, Masks, Network, Parameters, Trained, layers
from lth_core.prune import density
from lth_core.spec import SCHEMA, Spec, from_dict
from lth_core.store.faults import impossible, of_the_machine
from lth_core.store.provenance import device_details, provenance
from lth_core.untrusted_text import fault, faults, label

MOST_BYTES = 1_000_000  # of cell.json
MOST_EVALUATIONS = 1_000_000  # of a cell: what hostile cells may declare is bounded before anything is allocated
MOST_PARAMETERS = 500_000_000
# What a cell says of its making, and as what. More fields may stand beside these, of other versions, if plain too.
MADE: dict[str, tuple[type[Any], ...]] = {
    **dict.fromkeys(("commit", "lth_core", "python", "numpy", "torch", "machine", "device", "engine", "when"), (str,)),
    **dict.fromkeys(("initial", "masks"), (str,)),
    "seconds": (int, float), "diverged": (bool,), "cores": (int, type(None)), "threads": (int,),
    "cuda": (str, type(None)), "convolutions": (str,),
}  # fmt: skip
# Names that provenance cannot have: tables show it beside the row's fields, the summary, and what pages compute.
TAKEN = frozenset({
    *(f.name for f in fields(Spec)), "key", "density", "spec", "section", *SUMMARY, "iteration", *MEASURED, "chain",
    "depth", "percent", "hidden", "weights", "converged", "learned", "end_gap", "late_gain", "loss_rise", "path",
})  # fmt: skip
CURVES = {"iteration": pa.int32(), **{c: pa.float32() if c.endswith("loss") else pa.int32() for c in MEASURED}}


@dataclass(frozen=True)
class Cell:
    """One finished training. `masks` and `weights` are empty for control arms, whose masks are their ticket's."""

    spec: Spec
    made: dict[str, Any]
    curves: pd.DataFrame
    masks: Masks
    weights: Parameters


@lru_cache(maxsize=200_000)
def key_of(spec: Spec) -> str:
    """A row's identity: see `Spec.key`."""
    return spec.key(KNOWN[spec.dataset].checksum)


def describe(spec: Spec) -> dict[str, object]:
    """A row's fields as columns, with its density."""
    return {"key": key_of(spec), **asdict(spec), "lr_drops": json.dumps(spec.lr_drops), "density": density(spec)}


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def digest_arrays(arrays: dict[str, np.ndarray]) -> str:
    """Hash of named arrays: how a cell remembers its initial weights and masks without keeping them."""
    return digest(b"".join(name.encode() + np.ascontiguousarray(arrays[name]).tobytes() for name in sorted(arrays)))[
        :16
    ]


def digest_of_ticket(about: Mapping[str, str], arrays: Mapping[str, np.ndarray]) -> str:
    """Of all that an exported ticket's file holds: of what no row draws (trained weights, facts) nothing else would
    tell damage."""
    said = {name: text for name, text in about.items() if name != "digest"}
    return digest(json.dumps([said, digest_arrays(dict(arrays))], sort_keys=True).encode())[:16]


def encode(network: Network, trained: Trained) -> dict[str, bytes]:
    """A finished training as files: name -> content."""
    spec, curves, buffer = network.spec, pd.DataFrame(trained.curves), io.BytesIO()
    curves.to_parquet(buffer, compression="zstd")
    files = {"curves.parquet": buffer.getvalue()}
    if ARMS[spec.arm].grows:
        files["tensors.safetensors"] = save_tensors(_pack(network.masks, trained.weights))
    losses = curves["val_loss"].to_numpy()
    cell = {
        "schema": SCHEMA,
        "data": KNOWN[spec.dataset].checksum,
        "spec": asdict(spec),
        "made": {
            **provenance(),
            **device_details(trained.engine),
            **trained.details,
            "engine": trained.engine,
            "seconds": round(trained.seconds, 3),
            "when": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "initial": digest_arrays(network.weights),
            "masks": digest_arrays(network.masks),
            "diverged": bool(~np.isfinite(losses).all()),
        },
        "files": {name: digest(data) for name, data in files.items()},
    }
    files["cell.json"] = json.dumps({**cell, "digest": own_digest(cell)}, indent=1).encode()
    return files


def decode(folder: Path, key: str) -> tuple[Cell, dict[str, bytes]]:
    """The cell in a folder, and its files, byte for byte as they were checked; `StoreError` names what is wrong and
    how to have it trained again. Trusts nothing: a store may come from anyone."""
    if not re.fullmatch(r"[0-9a-f]{20}", key):
        raise StoreError(f"{key!r} in {folder.parent.parent.parent} is no cell's name: delete that folder.")
    remedy = f"delete {folder} to have it trained again"
    try:
        if folder.is_symlink():
            raise ValueError("a link, not a folder")
        if not folder.exists():
            raise StoreError(f"cell {key} is not in the store {folder.parent.parent.parent}: train it with `run`.")
        files = {"cell.json": read_bytes(folder / "cell.json", MOST_BYTES)}
        cell = json.loads(files["cell.json"])
        if cell["schema"] != SCHEMA:
            raise StoreError(f"cell {key} has schema {label(cell['schema'])}, this lth_core reads {SCHEMA}: {remedy}.")
        if unknown := set(cell) - {"schema", "data", "spec", "made", "files", "digest"}:
            raise ValueError(f"unknown fields {listed(unknown)}")
        if "digest" in cell and cell.pop("digest") != own_digest(cell):  # cells of the first months lack it
            raise StoreError(f"cell {key} is damaged (cell.json does not have its checksum): {remedy}.")
        spec = from_dict(cell["spec"])
        plain(spec)
        if key_of(spec) != key or cell["data"] != KNOWN[spec.dataset].checksum:
            raise StoreError(f"cell {key} is not what its name says: {remedy}.")
        parameters, evaluations = size_of(spec)
        limits = {"curves.parquet": 100 * evaluations + 100_000}
        if ARMS[spec.arm].grows:
            limits["tensors.safetensors"] = 5 * parameters + 100_000
        if odd := set(cell["files"]) ^ set(limits):
            raise StoreError(f"cell {key} lacks or lists {listed(odd)}, which its arm does not have: {remedy}.")
        for name, limit in limits.items():
            files[name] = read_bytes(folder / name, limit)
            if digest(files[name]) != cell["files"][name]:
                raise StoreError(f"cell {key} is damaged ({name} does not have its checksum): {remedy}.")
        curves = _curves(files["curves.parquet"], spec)
        masks: Masks = {}
        weights: Parameters = {}
        if "tensors.safetensors" in files:
            masks, weights = _unpack(load_tensors(files["tensors.safetensors"]), spec)
        made = _made(cell["made"])
        if wrong := impossible(spec, made, curves, masks, weights):
            raise ValueError(wrong)
        if masks and digest_arrays(masks) != made["masks"]:
            raise ValueError("its masks are not those that it was trained with")
    except UNREADABLE as error:
        said = one_line(" ".join(str(error).split()))[:300]
        if of_the_machine(error):  # who deletes a cell for it loses a good one
            raise StoreError(
                f"cell {key} cannot be read here ({said or type(error).__name__}): the machine lacks something, not "
                "the cell; mend that and run the same command again."
            ) from error
        raise StoreError(f"cell {key} cannot be read ({said or type(error).__name__}): {remedy}.") from error
    return Cell(spec, made, curves, masks, weights), files


# What reading bytes of unknown origin can raise. (UsageError and JSON's and Arrow's errors are ValueErrors.)
UNREADABLE = (
    OSError, KeyError, TypeError, ValueError, AttributeError, ArithmeticError, RecursionError, MemoryError,
    NotImplementedError, SafetensorError, pa.ArrowException,
)  # fmt: skip


def own_digest(cell: dict[str, Any]) -> str:
    """Checksum of cell.json's own content: provenance is not in the key."""
    return digest(json.dumps(cell, sort_keys=True).encode())[:16]


def read_bytes(file: Path, most: int) -> bytes:
    """A regular file's content; links, pipes and devices are refused, and what is larger than it can honestly be."""
    with open(os.open(file, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK), "rb") as f:
        found = os.fstat(f.fileno())
        if not stat.S_ISREG(found.st_mode):
            raise ValueError(f"{file.name} is no regular file")
        if found.st_size > most:
            raise ValueError(f"{file.name} has {found.st_size:,} bytes, more than its row can need")
        return f.read(most)


def size_of(spec: Spec) -> tuple[int, int]:
    """Parameters and evaluations of a row, refused where no cell of ours is that large."""
    parameters = sum(math.prod(layer.shape) + 4 * layer.shape[0] for layer in layers(spec.arch, spec.dataset))
    if parameters > MOST_PARAMETERS or spec.evaluations > MOST_EVALUATIONS:
        raise ValueError(f"it declares {parameters:,} parameters and {spec.evaluations:,} evaluations, too many")
    return parameters, spec.evaluations


def _curves(data: bytes, spec: Spec) -> pd.DataFrame:
    """The evaluations that this row has to have: its columns, its iterations, no more."""
    file = pq.ParquetFile(io.BytesIO(data))
    rows, schema = spec.evaluations, file.schema_arrow
    columns = {name: schema.field(name).type for name in schema.names}
    groups = [file.metadata.row_group(i) for i in range(file.metadata.num_row_groups)]
    size = sum(g.column(i).total_uncompressed_size for g in groups for i in range(g.num_columns))
    if columns != CURVES or file.metadata.num_rows != rows or size > 100 * rows + 100_000:
        raise ValueError(f"its curves are not {rows} evaluations of {len(CURVES)} numbers")
    table = file.read(use_threads=False)  # threads cost more than these few numbers
    lacking = sum(
        table.column(c).null_count for c in CURVES if not c.endswith("loss")
    )  # a loss may be NaN, a count never
    curves = table.to_pandas(ignore_metadata=True, use_threads=False)
    if lacking or not np.array_equal(curves["iteration"], np.arange(rows) * spec.eval_every):
        raise ValueError("its curves are not at the row's iterations")
    return curves


def plain(spec: Spec) -> None:
    """Refuse a row whose free text is not plain: `arch`, since all other names are those that exist."""
    if odd := fault("arch", spec.arch):
        raise ValueError(f"its {odd}")


def listed(names: Iterable[object]) -> str:
    """Names of unknown origin for a sentence: the first few, each cut short."""
    few = sorted(map(label, names))
    return ", ".join(few[:3]) + (f" and {len(few) - 3} more" if len(few) > 3 else "")


def _made(made: dict[str, Any]) -> dict[str, Any]:
    """Provenance: numbers and plain lines of text, each of its kind, under names of its own."""
    if odd := faults(made, taken=TAKEN):
        raise ValueError(f"in its provenance, {odd}")
    if other := [n for n, v in made.items() if n in MADE and type(v) not in MADE[n]]:  # true is no number here
        raise ValueError(f"in its provenance, {other[0]} is of another type")
    if missing := {"engine", "seconds", "initial", "masks", "diverged"} - set(made):
        raise ValueError(f"provenance lacks {sorted(missing)}")
    return made


def _pack(masks: Masks, weights: Parameters) -> dict[str, np.ndarray]:
    packed: dict[str, np.ndarray] = {}
    for name, values in weights.items():
        if name in masks:
            packed[f"{name}.mask"] = np.packbits(masks[name].ravel())
            packed[f"{name}.shape"] = np.array(masks[name].shape, np.int64)
            packed[name] = values[masks[name]]
        else:
            packed[name] = np.ascontiguousarray(values)  # safetensors writes others scrambled
    return packed


def taken(tensors: dict[str, np.ndarray], name: str, dtype: type[Any], shape: tuple[int, ...]) -> np.ndarray:
    """An array out of `tensors`, which has to be of this kind."""
    array = tensors.pop(name)
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name} is {array.dtype}{array.shape}, not {np.dtype(dtype)}{shape}")
    return array


def _unpack(packed: dict[str, np.ndarray], spec: Spec) -> tuple[Masks, Parameters]:
    """Masks and parameters, which have to be those of the row's architecture."""
    masks: Masks = {}
    weights: Parameters = {}

    take = partial(taken, packed)
    for layer in layers(spec.arch, spec.dataset):
        name, size = layer.weight, math.prod(layer.shape)
        if tuple(take(f"{name}.shape", np.int64, (len(layer.shape),))) != layer.shape:
            raise ValueError(f"{name} does not have the shape of {spec.arch}")
        bits = take(f"{name}.mask", np.uint8, ((size + 7) // 8,))
        masks[name] = np.unpackbits(bits, count=size).astype(bool).reshape(layer.shape)
        weights[name] = np.zeros(layer.shape, np.float32)
        weights[name][masks[name]] = take(name, np.float32, (int(masks[name].sum()),))
        for vector in (*layer.vectors, *layer.statistics):
            weights[vector] = take(vector, np.float32, (layer.shape[0],))
    if packed:
        raise ValueError(f"{listed(packed)} are no parameters of {spec.arch}")
    return masks, weights
