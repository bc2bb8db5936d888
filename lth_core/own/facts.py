"""Any value as a short text that is the same in another process, and another one if the value would act differently."""

from __future__ import annotations

import functools
import hashlib
import inspect
import json
import sys
import sysconfig
import types
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

PLAIN = (bool, int, float, complex, str, bytes, type(None))
DEEPEST = 60  # values in values, functions that call functions: how far they are followed
LIBRARIES = tuple({sysconfig.get_path(n) for n in ("stdlib", "platstdlib", "purelib", "platlib")})
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
SKIPPED = {  # of a class: what Python keeps there for itself, some of it only when it is first needed
    "__dict__", "__weakref__", "__doc__", "__module__", "__annotations__", "__firstlineno__", "__static_attributes__",
    "__slotnames__",
}  # fmt: skip
OF_TORCH = frozenset(vars(nn.Module()))  # what torch keeps in a module: registries, of which some are looked at below


class Facts:
    """Texts of values. What was met before, through a circle or by two ways, is told by the number of its meeting."""

    def __init__(self) -> None:
        self.met: dict[int, tuple[int, Any]] = {}  # the value too: its address is not given to another one

    def of(self, value: Any, depth: int = 0) -> str:
        """The facts of a value of any kind; of an object that cannot be copied, its class."""
        if isinstance(value, PLAIN):
            return repr(value)
        if isinstance(value, Tensor):
            return _of_tensor(value)
        if isinstance(value, np.ndarray | np.generic) and value.dtype != object:
            return f"{value.dtype}{value.shape}{hashlib.sha256(np.ascontiguousarray(value).tobytes()).hexdigest()}"
        if depth > DEEPEST:
            return type(value).__qualname__
        if isinstance(value, tuple):
            return hashed(type(value).__qualname__, *(self.of(v, depth + 1) for v in value))
        if isinstance(value, set | frozenset):
            return hashed(*sorted(Facts().of(v, depth + 1) for v in value))
        if isinstance(value, types.CodeType):
            return hashed(value.co_code.hex(), *value.co_names, self.of(value.co_consts, depth + 1))
        if id(value) in self.met:
            return f"again {self.met[id(value)][0]}"
        self.met[id(value)] = (len(self.met), value)
        return hashed(*self._parts(value, depth + 1))

    def _parts(self, value: Any, depth: int) -> Iterable[str]:
        if isinstance(value, list):
            return [type(value).__qualname__, *(self.of(v, depth) for v in value)]
        if isinstance(value, Mapping) and type(value).__module__ in ("builtins", "collections"):
            return [type(value).__qualname__, *(f"{self.of(k, depth)}={self.of(v, depth)}" for k, v in value.items())]
        if isinstance(value, types.MethodType):
            return [self.of(value.__func__, depth), self.of(value.__self__, depth)]
        if inspect.isfunction(value):
            return self._function(value, depth)
        if isinstance(value, types.ModuleType):
            return [value.__name__]
        if inspect.isclass(value):
            return self._class(value, depth)
        if isinstance(value, nn.Module):
            return self._module(value, depth)
        return self._object(value, depth)

    def _function(self, function: types.FunctionType, depth: int) -> list[str]:
        if of_library(function.__module__):
            return [f"{function.__module__}.{function.__qualname__}"]
        closed = [self.of(_contents(cell), depth) for cell in function.__closure__ or ()]
        about = (function.__code__, function.__defaults__, function.__kwdefaults__)
        return [*(self.of(a, depth) for a in about), *closed, *self._globals(function, function.__code__, depth)]

    def _globals(self, function: types.FunctionType, code: types.CodeType, depth: int) -> list[str]:
        """What a function, and the functions in it, name of their module; of a module of one's own that is named
        there, what the function takes from it."""
        made = []
        for name in code.co_names:
            if name not in function.__globals__:
                continue
            value = function.__globals__[name]
            if isinstance(value, types.ModuleType) and not of_library(value.__name__):
                taken = [n for n in code.co_names if n in vars(value)]
                made += [f"{name}.{n}={self.of(vars(value)[n], depth)}" for n in taken]
            else:
                made.append(f"{name}={self.of(value, depth)}")
        inner = [c for c in code.co_consts if isinstance(c, types.CodeType)]
        return [*made, *(text for c in inner for text in self._globals(function, c, depth))]

    def _class(self, kind: type, depth: int) -> list[str]:
        if of_library(kind.__module__):
            return [f"{kind.__module__}.{kind.__qualname__}"]
        own = {n: getattr(v, "__func__", v) for n, v in sorted(vars(kind).items()) if n not in SKIPPED}
        own = {n: [v.fget, v.fset] if isinstance(v, property) else v for n, v in own.items()}
        bases = [self.of(b, depth) for b in kind.__bases__]
        return [kind.__qualname__, *bases, *(f"{n}={self.of(v, depth)}" for n, v in own.items())]

    def _module(self, module: nn.Module, depth: int) -> list[str]:
        """A module: its class, whatever it keeps as plain attributes, its tensors and parts, and its hooks."""
        own = {n: v for n, v in vars(module).items() if n not in OF_TORCH}
        if all(c.__module__.partition(".")[0] in ("torch", "builtins") for c in type(module).__mro__):
            plain = (*PLAIN, list, tuple)  # what else a module of torch keeps, as a compiler does, is of this process
            own = {n: v for n, v in own.items() if isinstance(v, plain) and not n.startswith("_")}
        hooks = [f for name in HOOKS for f in getattr(module, name).values()]
        parts = (own, module.training, module._parameters, module._buffers, module._modules, hooks)
        return [self.of(type(module), depth), *(self.of(p, depth) for p in parts)]

    def _object(self, value: Any, depth: int) -> list[str]:
        """Any other object: its class, and what a copy of it would be made of."""
        if (inner := inspect.getattr_static(value, "__wrapped__", None)) is not None:  # a function behind a cache
            return [type(value).__qualname__, self.of(inner, depth)]
        kind = self.of(type(value), depth)
        try:
            made = value.__reduce_ex__(4)
        except Exception:  # what cannot be copied: a lock, a file, a generator
            return [kind, self.of(getattr(value, "__dict__", None), depth)]
        if isinstance(made, str):
            return [kind, made]
        _, arguments, *rest = made  # the first makes it: the class, which is told already, or a function of a library
        rest = [list(r) if hasattr(r, "__next__") else r for r in rest]
        return [kind, self.of(arguments, depth), *(self.of(r, depth) for r in rest)]


def hashed(*facts: str) -> str:
    return hashlib.sha256(json.dumps(facts).encode()).hexdigest()[:20]


@functools.cache
def of_library(module: str | None) -> bool:
    """Whether a module is one of Python or of an installed package, whose code is taken as given."""
    top = (module or "").partition(".")[0]
    if top == "__main__":
        return False
    if top in sys.stdlib_module_names or top in ("torch", "numpy", "lth_core"):
        return True
    file = getattr(sys.modules.get(module or ""), "__file__", None)
    return file is not None and any(Path(file).is_relative_to(folder) for folder in LIBRARIES)


def _of_tensor(t: Tensor) -> str:
    flat = t.detach().cpu().contiguous().reshape(-1)
    return hashed(f"{t.dtype}{tuple(t.shape)}", hashlib.sha256(flat.view(torch.uint8).numpy().tobytes()).hexdigest())


def _contents(cell: types.CellType) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None
