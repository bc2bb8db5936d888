"""A notebook's parameters as papermill gives them: made what the notebook declares, or refused by name.

papermill takes `-p x 1e1` for 10.0, `-y "x: 1e-3"` for text (YAML 1.1), and only warns of a name that nobody declared.
A notebook calls `take(globals())` before it imports anything heavy, so that a mistake costs no wait.
"""

from __future__ import annotations

import ast
import difflib
import math
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any

from lth_core.errors import UsageError

INJECTED = "# Parameters"  # how the cell begins that papermill puts after the one with the tag `parameters`


def take(space: MutableMapping[str, Any]) -> None:
    """Give each declared parameter in a notebook's namespace its declared type, and refuse names it does not declare.

    - `space`: `globals()` of the notebook; its parameters are the names that its first cell annotates as `str`, `int`,
      `float` or `bool`

    UsageError names the parameter, its value and what is wanted."""
    declared = annotated(space)
    for name in given(space.get("In", [])):
        if name not in declared:
            near = difflib.get_close_matches(name.lower(), declared, 1, cutoff=0)
            meant = f"; the nearest is {near[0]}" if near else ""
            raise UsageError(f"{name} is no parameter of this notebook{meant}; it has {', '.join(sorted(declared))}.")
    for name, kind in declared.items():
        space[name] = made(name, space[name], kind)


def annotated(space: Mapping[str, Any]) -> dict[str, type[Any]]:
    """The parameters that a namespace declares, and their types."""
    found = dict(space.get("__annotations__", {}))
    if late := space.get("__annotate__"):  # from Python 3.14 on, a function that tells when asked (PEP 649)
        found |= late(1)
    written = {name: getattr(kind, "__name__", kind) for name, kind in found.items()}
    return {name: KINDS[kind] for name, kind in written.items() if kind in KINDS}


def given(cells: Sequence[str]) -> list[str]:
    """The names that papermill's own cell assigns; `cells`: what has run so far, as IPython's `In` has it."""
    injected = next((text for text in reversed(cells) if text.startswith(INJECTED)), "")
    statements = [s for s in ast.parse(injected).body if isinstance(s, ast.Assign)]
    return [target.id for s in statements for target in s.targets if isinstance(target, ast.Name)]


def made(name: str, value: Any, kind: type[Any]) -> Any:
    """`value` as a `kind`; UsageError where it does not stand for one.

    >>> made("trials", 10.0, int), made("trials", "1e1", int), made("rate", "5e-1", float), made("rate", 1, float)
    (10, 10, 0.5, 1.0)
    """
    try:
        return MADE[kind](value)
    except (TypeError, ValueError, OverflowError):
        raise UsageError(f"{name} = {value!r} is not {WANTED[kind]}.") from None


def _float(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float | str) or not math.isfinite(float(value)):
        raise ValueError
    return float(value)


def _int(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            pass
    number = _float(value)
    if number != int(number):
        raise ValueError
    return int(number)


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError
    return value


def _bool(value: Any) -> bool:
    words = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
    if isinstance(value, bool):
        return value
    if not isinstance(value, str | int) or str(value).lower() not in words:
        raise ValueError
    return words[str(value).lower()]


MADE: dict[type[Any], Callable[[Any], Any]] = {str: _str, int: _int, float: _float, bool: _bool}
KINDS = {kind.__name__: kind for kind in MADE}
WANTED = {
    str: "text: papermill takes it as such with -r in place of -p",
    int: "a whole number",
    float: "a finite number",
    bool: "true or false",
}
