"""Where a pruned network may come from: a module, a state dict, a checkpoint, or a file of any of these."""

from __future__ import annotations

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
from lth_core.own.states import named, said

Source: TypeAlias = nn.Module | Mapping[str, Any] | str | Path
INSIDE = ("state_dict", "model_state_dict", "model", "net", "module", "weights", "params", "state_dict_ema")


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
    return there


def _found(source: Source) -> Found:
    if isinstance(source, nn.Module):
        if lazy := [n for n, p in source.named_parameters() if torch.nn.parameter.is_lazy(p)]:
            raise UsageError(f"{named(lazy)} has no shape yet: run one batch through the module first.")
        buffers = dict(source.named_buffers(remove_duplicate=False))  # torch.ao keeps masks out of its state dict
        parameters = frozenset(n for n, _ in source.named_parameters(remove_duplicate=False))
        return Found({**source.state_dict(), **buffers}, parameters, source)
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
        raise UsageError(f"{file} cannot be read as a file of tensors ({said(error)}).") from error


def _begins(path: Path) -> bytes:
    with open(path, "rb") as file:
        return file.read(1)


def _arrays(what: str | Path, given: Any) -> dict[str, Any]:
    """The state dict that a file or checkpoint holds: itself, or under one of the names that trainers give it."""
    if isinstance(given, nn.Module):
        return dict(given.state_dict())
    if not isinstance(given, Mapping):
        raise UsageError(f"{what} holds a {type(given).__name__}, and no state dict.")
    if not any(isinstance(v, Tensor | np.ndarray) for v in given.values()):
        for name in INSIDE:
            inner = given.get(name)
            if isinstance(inner, nn.Module):
                inner = inner.state_dict()
            if isinstance(inner, Mapping) and any(isinstance(v, Tensor | np.ndarray) for v in inner.values()):
                return _arrays(what, inner)
        raise UsageError(f"{what} holds no tensors, only {named(map(str, given))}: give its state dict.")
    return {
        str(n): torch.from_numpy(np.ascontiguousarray(v)) if isinstance(v, np.ndarray) else v for n, v in given.items()
    }
