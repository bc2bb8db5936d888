"""Where a pruned network may come from: a module, a state dict, a checkpoint, or a file of any of these."""

from __future__ import annotations

import json
import pickle
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn

from lth_core.atomic_files import refuse_others
from lth_core.errors import UsageError
from lth_core.own import ticket
from lth_core.own.state_dicts import named, said

Source: TypeAlias = nn.Module | Mapping[str, Any] | str | Path
INSIDE = ("state_dict", "model_state_dict", "model", "net", "module", "weights", "params", "state_dict_ema")
MASKS = ("masks", "mask")  # names under which a checkpoint keeps masks beside the weights
DEEPEST = 4  # dicts in dicts
INDEX = ".index.json"  # of a network in several files, as Hugging Face and Accelerate write them
QUANTISED = "_packed_params"


@dataclass(frozen=True)
class Found:
    """What a source holds: all tensors by name, buffers that a state dict leaves out among them; `weights`, the names
    of parameters where they are known (a state dict does not tell them from buffers)."""

    tensors: dict[str, Any]
    weights: frozenset[str] | None
    live: nn.Module | None = None


def found(source: Source) -> Found:
    """The tensors of a source; what holds none, or tensors without values, is a `UsageError`."""
    there = _found(source)
    if odd := [n for n, t in there.tensors.items() if isinstance(t, Tensor) and t.is_meta]:
        raise UsageError(f"{named(odd)} has no values (device meta): load the network's weights first.")
    if odd := [n for n, t in there.tensors.items() if QUANTISED in n or (isinstance(t, Tensor) and t.is_quantized)]:
        raise UsageError(f"{named(odd)} is quantised, and has no plain weights: give the network from before that.")
    return there


def _found(source: Source) -> Found:
    if isinstance(source, nn.Module):
        if lazy := [n for n, p in source.named_parameters() if torch.nn.parameter.is_lazy(p)]:
            raise UsageError(f"{named(lazy)} has no shape yet: run one batch through the module first.")
        buffers = dict(source.named_buffers(remove_duplicate=False))  # torch.ao keeps masks out of its state dict
        parameters = frozenset(n for n, _ in source.named_parameters(remove_duplicate=False))
        tensors = {n: _tensor(t) for n, t in {**source.state_dict(), **buffers}.items()}
        return Found(tensors, parameters, source)
    if isinstance(source, str | Path):
        return Found(_arrays(source, _of_file(source)), None)
    if isinstance(source, Mapping):
        return Found(_arrays("the state dict", source), None)
    raise UsageError(
        f"a {type(source).__name__} is no pruned network: give a module, a state dict, a checkpoint, or a file's path."
    )


def _of_file(file: str | Path) -> Any:
    path = ticket.home(file)
    if path.suffix == ".safetensors":
        return ticket.read(path)[0]
    if path.name.endswith(INDEX):
        return _of_index(path)
    if path.suffix == ".npy":
        raise UsageError(f"{file} is one array without a name: give a dict, such as {{'0.weight': np.load(file)}}.")
    try:
        refuse_others(path)
        if path.suffix == ".npz":
            with np.load(path, allow_pickle=False) as held:
                return {n: held[n] for n in held.files}
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if not (zipfile.is_zipfile(path) or _begins(path) == b"\x80"):  # neither of torch's two formats
            raise UsageError(f"{file} cannot be read as a file of tensors (no format of torch's).") from error
        raise UsageError(
            f"{file} holds more than tensors, which could run any code when it is opened: if you trust where it comes "
            "from, open it with torch.load(file, weights_only=False) and give what it holds."
        ) from error
    except Exception as error:  # whatever a reader makes of bytes of unknown origin
        if "TorchScript" in str(error):
            raise UsageError(
                f"{file} is a TorchScript program: if you trust where it comes from, give torch.jit.load(file)."
            ) from error
        raise UsageError(f"{file} cannot be read as a file of tensors ({said(error)}).") from error


def _of_index(path: Path) -> dict[str, Any]:
    """The tensors of all the files that an index names, which lie beside it."""
    try:
        refuse_others(path)
        parts = json.loads(path.read_text("utf-8"))["weight_map"]
        files = sorted({str(f) for f in parts.values()})
    except Exception as error:
        raise UsageError(f"{path} cannot be read as an index of files of tensors ({said(error)}).") from error
    if odd := [f for f in files if Path(f).name != f]:
        raise UsageError(f"{path} names {odd[0]!r}, which does not lie beside it.")
    made = {n: t for f in files for n, t in _of_file(path.parent / f).items()}
    if missing := parts.keys() - made.keys():
        raise UsageError(f"the files of {path} lack {named(missing)}, which it names.")
    return made


def _begins(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1)


def _arrays(what: str | Path, given: Any, depth: int = 0) -> dict[str, Any]:
    """The state dict that a file or checkpoint holds: itself, or under one of the names that trainers give it. Masks
    that are kept beside it are put into it, as NAME.mask."""
    if isinstance(given, nn.Module):
        return dict(given.state_dict())
    if not isinstance(given, Mapping):
        raise UsageError(f"{what} holds a {type(given).__name__}, and no state dict.")
    inside = [n for n in (*INSIDE, *MASKS) if _holds_tensors(given.get(n), depth)]
    if inside:
        made = _arrays(what, given[inside[0]], depth + 1)
        beside: Mapping[str, Any] = next((given[n] for n in inside[1:] if n in MASKS), {})
        return made | {f"{n}.mask": _tensor(m) for n, m in beside.items()}
    if not _holds_tensors(given, DEEPEST):
        raise UsageError(f"{what} holds no tensors, only {named(map(str, given))}: give its state dict.")
    return {str(n): _tensor(v) for n, v in given.items()}


def _holds_tensors(given: Any, depth: int) -> bool:
    """Whether a dict, or one in it under a name that trainers give, holds tensors."""
    if isinstance(given, nn.Module):
        return True
    if not isinstance(given, Mapping):
        return False
    if any(isinstance(v, Tensor | np.ndarray) for v in given.values()):
        return True
    return depth < DEEPEST and any(_holds_tensors(given.get(n), depth + 1) for n in (*INSIDE, *MASKS))


def _tensor(value: Any) -> Any:
    """An array, or a tensor that stores no zeros, as a plain tensor; all else as it is."""
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise UsageError(f"an array of {value.dtype} is no weights or masks.")
        return torch.from_numpy(np.array(value.astype(value.dtype.newbyteorder("=")), order="C"))
    if isinstance(value, Tensor) and value.layout != torch.strided:
        return value.to_dense()
    return value
