"""Examples in the forms in which people have them, as tensors: what an experiment trains, validates and tests on.

Inputs are one tensor, or several as a tuple or dict, which the module gets as `module(*inputs)` or `module(**inputs)`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.own.global_seeds import chance
from lth_core.own.state_dicts import said

Several: TypeAlias = Any  # a tensor, or a tuple or dict of such; all have the same first axis, the example
Split = tuple[Several, Several]  # inputs and targets
TAKEN = "give (inputs, targets) as tensors or numpy arrays, a TensorDataset or a DataLoader"
VALIDATION = 0.1  # of the training examples, where no validation set is given


def each(values: Several, change: Callable[[Tensor], Tensor]) -> Several:
    """The same change made to one tensor, or to each of several.

    >>> each((torch.zeros(2), torch.ones(2)), lambda t: t + 1)
    (tensor([1., 1.]), tensor([2., 2.]))
    """
    if isinstance(values, Mapping):
        return {n: each(v, change) for n, v in values.items()}
    return tuple(each(v, change) for v in values) if isinstance(values, tuple) else change(values)


def leaves(values: Several) -> list[Tensor]:
    """The tensors of one or several."""
    if isinstance(values, Mapping):
        return [t for v in values.values() for t in leaves(v)]
    return [t for v in values for t in leaves(v)] if isinstance(values, tuple) else [values]


def count(values: Several) -> int:
    """How many examples there are."""
    return len(leaves(values)[0])


def pick(values: Several, which: Tensor | slice) -> Several:
    """The examples at these places."""
    return each(values, lambda t: t[which])


def put(values: Several, device: torch.device | str) -> Several:
    """The examples on a device."""
    return each(values, lambda t: t.to(device))


def through(module: nn.Module, inputs: Several) -> Any:
    """What a module makes of its inputs."""
    if isinstance(inputs, Mapping):
        return module(**inputs)
    return module(*inputs) if isinstance(inputs, tuple) else module(inputs)


def joined(parts: list[Several]) -> Several:
    """Examples of several pieces as one: along their first axis."""
    if len(parts) == 1 or all(p is None for p in parts):
        return parts[0]
    if dataclasses.is_dataclass(parts[0]) and not isinstance(parts[0], Mapping | type):
        names = [f.name for f in dataclasses.fields(parts[0])]
        return dataclasses.replace(parts[0], **{n: joined([getattr(p, n) for p in parts]) for n in names})
    if isinstance(parts[0], Mapping):
        return type(parts[0])(**{n: joined([p[n] for p in parts]) for n in parts[0]})
    if isinstance(parts[0], tuple | list):
        made = [joined(list(group)) for group in zip(*parts, strict=True)]
        return type(parts[0])(*made) if hasattr(parts[0], "_fields") else type(parts[0])(made)
    return torch.cat(parts)


def split_of(part: str, given: Any, dtype: torch.dtype | None = None) -> Split:
    """Inputs and targets of one part of the data, with floating inputs in `dtype` (the module's own) and whole numbers
    in targets as int64, as torch's losses want them; what cannot be taken is a `UsageError`."""
    inputs, targets = _pair(part, given)
    inputs, targets = _tensors(part, "inputs", inputs), _tensors(part, "targets", targets)
    for what, values in (("inputs", inputs), ("targets", targets)):
        for t in leaves(values):
            _check_plain(part, what, t)
    if any(t.dim() == 0 for t in leaves((inputs, targets))) or not leaves(inputs) or not leaves(targets):
        raise UsageError(f"{part} has a number where examples belong: {TAKEN}, first axis the example.")
    n, m = {len(t) for t in leaves(inputs)}, {len(t) for t in leaves(targets)}
    if len(n) > 1:
        raise UsageError(
            f"{part} has several inputs of {', '.join(map(str, sorted(n)))} examples: give as many of each."
        )
    if n != m or n == {0}:
        raise UsageError(f"{part} has {min(n)} inputs and {min(m)} targets: give one of each.")
    return each(inputs, lambda t: t.to(dtype) if dtype and t.is_floating_point() else t), each(targets, _target)


def divided(train: Split, seed: int) -> tuple[Split, Split]:
    """Training examples without, and only with, a tenth of them for validation, drawn by `seed`."""
    n = count(train[0])
    if n < 2:
        raise UsageError("train has 1 example: give two or more, or a validation set.")
    order = generator(seed, "own", "split").permutation(n)
    held = max(1, round(VALIDATION * n))
    kept, val = (torch.from_numpy(np.sort(o)) for o in (order[held:], order[:held]))
    return pick(train, kept), pick(train, val)


def _pair(part: str, given: Any) -> tuple[Any, Any]:
    if isinstance(given, TensorDataset):
        *inputs, targets = given.tensors
        if inputs:
            return (inputs[0] if len(inputs) == 1 else tuple(inputs)), targets
    if isinstance(given, Dataset):
        given = DataLoader(given, batch_size=1_000)
    if isinstance(given, DataLoader):
        return _read(part, given)
    if isinstance(given, Sequence) and not isinstance(given, str) and len(given) == 2:
        return given[0], given[1]
    what = "missing" if given is None else f"a {type(given).__name__}"
    raise UsageError(f"{part} is {what}: {TAKEN}.")


def _read(part: str, loader: DataLoader) -> tuple[Any, Any]:
    """All batches of a loader, read once: what it draws at random (augmentation) stays as it was drawn."""
    with chance(0):
        try:
            batches = list(loader)
        except Exception as error:
            raise UsageError(f"{part}: its loader cannot be read ({said(error)}).") from error
    if not batches or any(not isinstance(b, list | tuple) or len(b) < 2 for b in batches):
        raise UsageError(f"{part}: its loader does not give batches of (inputs, targets).")
    pairs = [(b[0] if len(b) == 2 else tuple(b[:-1]), b[-1]) for b in batches]
    try:
        inputs, targets = (joined([_tensors(part, "inputs", p[i]) for p in pairs]) for i in (0, 1))
    except RuntimeError as error:
        raise UsageError(f"{part}: examples of its loader differ in shape ({said(error)}).") from error
    return inputs, targets


def _tensors(part: str, what: str, values: Any) -> Several:
    """Arrays as tensors that no gradient reaches back through."""
    if isinstance(values, Mapping):
        return {n: _tensors(part, what, v) for n, v in values.items()}
    if isinstance(values, Tensor):
        return values.detach()
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise UsageError(f"{what} of {part} are a masked array with values left out: fill them first (.filled(...)).")
    if isinstance(values, tuple) and values and all(hasattr(v, "shape") or isinstance(v, Mapping) for v in values):
        return tuple(_tensors(part, what, v) for v in values)
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufc":
            raise TypeError(f"an array of {array.dtype}")
        return torch.from_numpy(array.astype(array.dtype.newbyteorder("="), order="C"))  # a copy, in C order
    except (TypeError, ValueError, RuntimeError) as error:
        raise UsageError(f"{what} of {part} are no numbers ({said(error)}): {TAKEN}.") from error


def _check_plain(part: str, what: str, t: Tensor) -> None:
    """Refuse tensors of which no examples can be picked."""
    if t.is_nested:
        kind, remedy = "nested", "pad them to one length, and give their lengths as another input"
    elif t.layout != torch.strided:
        kind, remedy = "sparse", "give .to_dense() of them"
    elif t.is_quantized:
        kind, remedy = "quantised", "give .dequantize() of them"
    elif t.is_meta:
        kind, remedy = "without values (device meta)", "load them first"
    else:
        return
    raise UsageError(f"{what} of {part} are {kind}: {remedy}.")


def _target(values: Tensor) -> Tensor:
    whole = (torch.int8, torch.int16, torch.int32, torch.uint8, torch.uint16, torch.uint32, torch.bool)
    if values.dtype in whole:
        return values.long()
    return values.float() if values.dtype == torch.float64 else values
