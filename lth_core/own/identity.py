"""What an experiment of your own is, as one hash: a run that is told where to keep its networks finds those again."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import types
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from lth_core.own.examples import leaves
from lth_core.own.experiment import Experiment
from lth_core.own.initial import built
from lth_core.own.states import module_state
from lth_core.own.ticket import Ticket

FIELDS = ("rates", "iterations", "batch_size", "eval_every", "scope", "rewind", "seed", "at_once")
FUNCTIONS = ("model", "optimizer", "schedule", "loss", "right", "before_step")
PLAIN = (bool, int, float, complex, str, bytes, type(None))
DEEPEST = 20  # values in values, functions that call functions: how far they are followed


def identity(experiment: Experiment, start: Ticket | None = None) -> str:
    """A hash of all that decides the networks of a chain: fields, data, what is started from, initial weights, the
    modules' classes, and the code of the functions with what they close over and which plain globals they name.

    The device is left out, and so is code of libraries. What a function reads from a file, or from an object that is
    no plain value, is not seen: name another folder when that changes."""
    first = built(experiment, 0, "init")
    classes = {type(m) for m in first.modules() if not type(m).__module__.startswith("torch.")}
    facts = [
        *(_fact(dict(v) if (v := getattr(experiment, f)) and f == "rates" else v) for f in FIELDS),
        *(_tensors(leaves(getattr(experiment, part))) for part in ("train", "val", "test")),
        *(_fact(getattr(experiment, f)) for f in FUNCTIONS),
        repr(first), _state(module_state(first)),
        *sorted(_class(c) for c in classes),
        *((_state(start.weights), _state(start.masks)) if start else ()),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _tensors(values: list[Tensor]) -> str:
    digest = hashlib.sha256()
    for t in values:
        flat = t.detach().cpu().contiguous().reshape(-1)
        digest.update(f"{t.dtype}{tuple(t.shape)}".encode() + flat.view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def _state(state: dict[str, Any]) -> str:
    return "".join(f"{n}:{_fact(v)};" for n, v in state.items())


def _class(kind: type, seen: frozenset[int] = frozenset()) -> str:
    own = {n: f for n, f in vars(kind).items() if inspect.isfunction(f)}
    return _hashed(kind.__qualname__, *(f"{n}={_fact(f, seen | {id(kind)})}" for n, f in sorted(own.items())))


def _hashed(*facts: str) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


def _fact(value: Any, seen: frozenset[int] = frozenset()) -> str:
    """A value as text that is the same in another process; of an object that is none of the kinds known, its class.

    `seen`: what this value was reached through, which is not followed again."""
    if isinstance(value, PLAIN):
        return repr(value)
    if id(value) in seen or len(seen) > DEEPEST:
        return type(value).__qualname__
    if isinstance(value, Tensor):
        return _tensors([value])
    if isinstance(value, np.ndarray | np.generic):
        return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
    inside = seen | {id(value)}
    if isinstance(value, list | tuple | set | frozenset):
        parts = [_fact(v, inside) for v in value]
        return _hashed(*(sorted(parts) if isinstance(value, set | frozenset) else parts))
    if isinstance(value, dict):
        return _hashed(*(f"{k}={_fact(v, inside)}" for k, v in value.items()))
    if isinstance(value, nn.Module):
        return _hashed(repr(value), _state(module_state(value)), _class(type(value), inside))
    if isinstance(value, functools.partial):
        return _fact([value.func, list(value.args), value.keywords], inside)
    if isinstance(value, types.MethodType):
        return _hashed(_fact(value.__func__, inside), _fact(value.__self__, inside))
    if isinstance(value, types.CodeType):
        return _hashed(value.co_code.hex(), *value.co_names, _fact(value.co_consts, inside))
    if inspect.isfunction(value):
        return _function(value, inside)
    if inspect.isclass(value):
        return value.__qualname__ if value.__module__.split(".")[0] == "torch" else _class(value, inside)
    return type(value).__qualname__


def _function(function: types.FunctionType, seen: frozenset[int]) -> str:
    if function.__module__ and function.__module__.split(".")[0] in ("torch", "lth_core"):
        return f"{function.__module__}.{function.__qualname__}"
    closed = [_contents(cell) for cell in function.__closure__ or ()]
    named = {n: function.__globals__[n] for n in function.__code__.co_names if n in function.__globals__}
    plain = {n: v for n, v in named.items() if isinstance(v, (*PLAIN, list, tuple, dict)) or inspect.isfunction(v)}
    about = [function.__code__, function.__defaults__, function.__kwdefaults__, closed, plain]
    return _hashed(*(_fact(a, seen) for a in about))


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
