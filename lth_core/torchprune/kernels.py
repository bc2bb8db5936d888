"""Weights as Keras and TensorFlow lay them out, the inputs before the outputs, as torch does, and back.

Keras, google-research             torch
dense     (in, out)                (out, in)
conv      (*window, in, out)       (out, in, *window)
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from lth_core.errors import UsageError
from lth_core.own.state_dicts import State


def from_keras(arrays: Mapping[str, Any]) -> State:
    """Arrays (weights or masks) by name, with the axes of each kernel as torch has them, in C order.

    Names keep their parts, joined by dots: `dense/kernel:0` becomes `dense.weight`, all else is left as it is. Arrays
    with two axes or more are kernels, except `embeddings`; depthwise kernels are a `UsageError`.

    >>> from_keras({"dense/kernel:0": np.zeros((3, 2)), "dense/bias:0": np.zeros(2)})["dense.weight"].shape
    torch.Size([2, 3])
    """
    made = {}
    for name, array in _given(arrays):
        values = np.asarray(array)
        if values.dtype.kind not in "biufc":
            raise UsageError(f"{name} is an array of {values.dtype}, and no kernel.")
        own = name.split(":")[0].replace("/", ".")
        if "depthwise" in own:
            raise UsageError(f"{name} is a depthwise kernel, whose axes are others: turn it by hand.")
        if values.ndim > 1 and not own.endswith("embeddings"):
            values = np.moveaxis(values, (-1, -2), (0, 1))
        parts = own.split(".")
        own = ".".join([*parts[:-1], "weight"]) if parts[-1] == "kernel" else own
        made[own] = torch.from_numpy(np.array(values, order="C"))
    return made


def to_keras(state: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
    """Weights or masks of torch, with the axes of each kernel as Keras has them, in C order, under their own names.

    >>> to_keras({"dense.weight": torch.zeros(2, 3)})["dense.weight"].shape
    (3, 2)
    """
    made = {}
    for name, t in _given(state):
        values = t.detach().cpu()
        array = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
        made[name] = np.array(np.moveaxis(array, (0, 1), (-1, -2)) if array.ndim > 1 else array, order="C")
    return made


def _given(values: Any) -> Iterable[tuple[str, Any]]:
    if not isinstance(values, Mapping):
        raise UsageError(
            f"a {type(values).__name__} has no names: give a dict, such as "
            "{w.path: w.numpy() for w in model.weights}."
        )
    return values.items()
