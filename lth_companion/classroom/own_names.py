"""A check runs with the names that it was written with, whatever a notebook did to them.

A student's `sum = 0` or `from numpy import *` takes nothing from a check. A function of a library that was replaced is
told, because then something else would do the checking. Like the sandbox this is for accidents, and no wall.
"""

from __future__ import annotations

import builtins
import importlib
import sys
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

_noted: dict[tuple[str, str], Any] = {}  # module and name -> the function or class that was there


class Replaced(Exception):
    """A notebook put something of its own in the place of what its checks use."""


def note(modules: Iterable[str]) -> None:
    """Note what functions and classes Python and the packages of these modules have, before a notebook begins."""
    packages = {"builtins"}
    for name in modules:
        packages.add(name.partition(".")[0])
        with suppress(ImportError):  # the notebook's own import will say so
            importlib.import_module(name)
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] in packages and name != __name__:
            _noted.update({(name, key): value for key, value in vars(module).items() if callable(value)})


def replaced() -> list[str]:
    """Full names of what is no longer what was noted."""
    now = {name: vars(module) for name, module in list(sys.modules.items()) if module is not None}
    return [f"{m}.{key}" for (m, key), value in _noted.items() if not _same(now.get(m, {}).get(key), value)]


def _same(one: Any, other: Any) -> bool:
    """Whether two are one, or what a module that is loaded again has in its place."""
    if one is other:
        return True
    name, *about = ("__qualname__", "__module__", "__code__", "__class__")
    return getattr(one, name, "") == getattr(other, name, None) and all(
        getattr(one, what, None) == getattr(other, what, None) for what in about
    )


def run(source: str, imports: str, names: dict[str, Any]) -> None:
    """Run a check's source with the imports that it was written with and Python's own names; what it defines is added
    to `names`, those of a notebook. Raises whatever the check does, and `Replaced`."""
    if found := replaced():
        raise Replaced(f"the notebook puts something else in the place of {', '.join(found[:3])}, which checks use")
    own = {n: v for n, v in names.items() if n.startswith("__") or not hasattr(builtins, n)}
    exec(compile(imports, "<imports>", "exec"), own)
    before = dict(own)
    try:
        exec(compile(source, "<check>", "exec"), own)
    finally:
        names.update({n: v for n, v in own.items() if n not in before or v is not before[n]})
