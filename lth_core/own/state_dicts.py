"""State dicts and masks of any module: copies that share nothing, exact zeros, and what may stand for a mask."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Mapping, Set
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from lth_core.errors import UsageError, one_line

State = dict[str, Tensor]  # a module's state dict: parameters and buffers by name
Masks = dict[str, Tensor]  # parameter name -> bool of its shape, True = kept
SHOWN = 4  # names in a refusal
LONG = 100  # characters of a name that a sentence repeats
# What wrappers put into names: torch.compile, FSDP, activation checkpoints; DataParallel and AveragedModel in front.
WRAPPED = re.compile(r"(?:(?<=\.)|^)(?:_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.|^(?:module\.)+")
Value = TypeVar("Value")


def masked(weights: State, masks: Masks) -> State:
    """A copy of a state dict that is exactly 0 where `masks` is False. Masks may be bool or hold exactly 0 and 1.

    >>> masked({"weight": torch.ones(2)}, {"weight": torch.tensor([True, False])})["weight"].tolist()
    [1.0, 0.0]
    """
    if isinstance(weights, nn.Module):
        raise UsageError("masked takes a state dict: give module.state_dict().")
    if missing := masks.keys() - weights.keys():
        raise UsageError(f"there are masks of {named(missing)} and no such weights; there are {named(weights)}.")
    made = {}
    for name, w in weights.items():
        if name in masks:
            pruned = ~mask_like(name, masks[name], w).to(w.device)
            made[name] = w.masked_fill(pruned, 0)  # not a product: that leaves -0 and, of a NaN, a NaN
        else:
            made[name] = w.clone() if isinstance(w, Tensor) else copy.deepcopy(w)  # the latter: a module's extra state
    return made


@torch.no_grad()
def hold(module: nn.Module, masks: Masks, *, gradients: bool = False) -> None:
    """Set what is masked to exactly 0, in place: of the gradients before an optimizer's step, so that it gathers no
    momentum for weights that are gone, or of the weights after it, so that none of them comes back.

    A mask of a parameter that the module lacks is a `UsageError`.

    >>> layer = torch.nn.Linear(2, 1)
    >>> hold(layer, {"weight": torch.tensor([[False, True]])})
    >>> layer.weight[0, 0].item()
    0.0
    """
    every = dict(module.named_parameters(remove_duplicate=False))  # a tied one by each of its names
    for name, mask in renamed(masks, every).items():
        if name not in every:
            raise UsageError(f"there is a mask of {name} and no such parameter; there are {named(every)}.")
        p = every[name]
        values = p.grad if gradients else p
        if values is None:
            continue
        pruned = ~mask_like(name, mask, p).to(values.device)
        if values.is_sparse:  # as embeddings make them: rows of the weight, each with its index
            found = values.coalesce()
            found.values().masked_fill_(pruned[tuple(found.indices())], 0)
            p.grad = found
        else:
            values.masked_fill_(pruned, 0)


def mask_like(name: str, mask: Any, weight: Tensor) -> Tensor:
    """`mask` as bool, `name` being the parameter that it belongs to and whose shape it has to have."""
    made = as_mask(name, mask)
    if made.shape != weight.shape:
        turned = made.dim() > 1 and tuple(reversed(made.shape)) == tuple(weight.shape)
        why = ", the same axes in another order (Keras: torchprune.from_keras turns them)" if turned else ""
        raise UsageError(
            f"the mask of {name} has shape {tuple(made.shape)}, the weights have {tuple(weight.shape)}{why}."
        )
    return made


def as_mask(name: str, mask: Any) -> Tensor:
    """A mask as bool: bool already, or numbers of any type that are exactly 0 (pruned) and 1 (kept)."""
    if isinstance(mask, np.ndarray):
        mask = torch.from_numpy(np.ascontiguousarray(mask))
    if not isinstance(mask, Tensor):
        raise UsageError(f"the mask of {name} is a {type(mask).__name__}: give a tensor of bool, True where kept.")
    if mask.dtype == torch.bool:
        return mask.detach()
    odd = mask[(mask != 0) & (mask != 1)]
    if len(odd):
        raise UsageError(
            f"the mask of {name} holds {odd[0].item():.6g}: give bool, or exactly 0 where pruned and 1 where kept."
        )
    return mask.detach() != 0


def renamed(values: Mapping[str, Value], like: Mapping[str, Any]) -> dict[str, Value]:
    """`values` by the names that `like` has, where these differ only in what wrappers put into names; else as they are.

    >>> renamed({"0.weight": 1}, {"_orig_mod.0.weight": 0, "_orig_mod.0.bias": 0})
    {'_orig_mod.0.weight': 1}
    """
    if values.keys() <= like.keys():
        return dict(values)
    bare = {WRAPPED.sub("", n): n for n in like}
    made = {bare.get(WRAPPED.sub("", n), n): v for n, v in values.items()}
    return made if len(made) == len(values) and len(bare) == len(like) else dict(values)


def module_state(module: nn.Module) -> State:
    """A copy on the CPU: a state dict itself holds references, and going back to those changes nothing."""
    return copied(module.state_dict())


def copied(state: Mapping[str, Any]) -> State:
    """A state dict's values on the CPU, sharing memory with nothing, not even with each other (as tied weights do)."""
    return {n: w.detach().cpu().clone() if isinstance(w, Tensor) else copy.deepcopy(w) for n, w in state.items()}


def named(names: Iterable[str]) -> str:
    """The first few of some names, for a sentence; a set's in the order of the alphabet."""
    every = [n if len(n) <= LONG else f"{n[:LONG]}..." for n in (sorted(names) if isinstance(names, Set) else names)]
    more = f" and {len(every) - SHOWN} more" if len(every) > SHOWN else ""
    return (", ".join(every[:SHOWN]) or "none") + more


def said(error: BaseException) -> str:
    """An error of a library or of the user's own code, on one line of a readable length."""
    text = one_line(" ".join(str(error).split()))
    return f"{type(error).__name__}: {text[:300]}" if text else type(error).__name__


def brief(value: object) -> str:
    """A value as a sentence repeats it: on one line of a readable length, whatever its own text is.

    >>> brief("sgd"), brief(torch.zeros(2, 2))
    ("'sgd'", 'tensor([[0., 0.], [0., 0.]])')
    """
    text = " ".join(repr(value).split())
    return text if len(text) <= LONG else f"{text[:LONG]}..."
