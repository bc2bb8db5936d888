"""Modules that hold a ticket's masks in any training loop, however their weights are read."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from lth_core.errors import UsageError
from lth_core.own import Ticket
from lth_core.own.state_dicts import named
from lth_core.own.ticket import a_ticket

DEEPEST = 3  # lists in lists in which a weight is looked for


class Mask(nn.Module):
    """A parametrisation: what is masked is 0 whenever the weight is read, and gets no gradient."""

    mask: Tensor

    def __init__(self, mask: Tensor) -> None:
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight: Tensor) -> Tensor:
        return weight.masked_fill(~self.mask, 0)

    def right_inverse(self, weight: Tensor) -> Tensor:
        return weight  # the parameter stays the one that an optimizer, or another layer, holds


def apply(module: nn.Module, ticket: Ticket, form: str = "parametrization") -> nn.Module:
    """`module` (not pruned yet) with the ticket's weights, its masks held in any training loop.

    - "parametrization": by `torch.nn.utils.parametrize`, computed whenever a weight is read, also by another layer, in
      attention, or from a `ParameterList`. The module can be deep-copied; its parameters stay the same objects.
      `plain` makes it an ordinary module again
    - "prune": by `torch.nn.utils.prune`, as `NAME_orig` and `NAME_mask`, for tools that look for those. Its masks are
      applied when a layer's own forward is called: a layer whose weight is read otherwise is a `UsageError`

    Masks go where the weights are. Weights of which the module keeps a second reference that no mask reaches (a list of
    its own) are a `UsageError`: train such a module with `own.hold` after each step.

    >>> layer = apply(nn.Linear(2, 1), Ticket({"weight": torch.tensor([[0.0, 4.0]]), "bias": torch.zeros(1)},
    ...                                       {"weight": torch.tensor([[False, True]])}))
    >>> layer.weight.tolist(), parametrize.is_parametrized(layer, "weight")
    ([[0.0, 4.0]], True)
    """
    if form not in ("parametrization", "prune"):
        raise UsageError(f"form = {form!r} does not exist; allowed: parametrization, prune.")
    if not isinstance(module, nn.Module):
        raise UsageError(f"apply takes a module, not a {type(module).__name__}.")
    if isinstance(module, torch.jit.ScriptModule):
        raise UsageError("weights of TorchScript cannot be masked: apply to the module that it was made of.")
    if torch_prune.is_pruned(module):
        raise UsageError("the module is pruned by torch already: give a new one, or call prune.remove first.")
    if held := [n for n, m in module.named_modules() if isinstance(m, Mask)]:
        raise UsageError(f"the module holds masks already ({named(held)}): give a new one, or call plain first.")
    ticket = a_ticket(ticket).fits(module)
    every = dict(module.named_parameters(remove_duplicate=False))
    if odd := [n for n in ticket.masks if n not in every]:
        raise UsageError(f"{named(odd)} is no parameter of the module: a mask cannot hold it.")
    tied = {name: [n for n, p in every.items() if p is every[name]] for name in ticket.masks}
    for name in ticket.masks:
        _check_readers(module, name, every[name], tied[name], form)
    ticket.into(module)
    for name, mask in ticket.masks.items():
        for path, _, own in [n.rpartition(".") for n in tied[name]]:
            owner = module.get_submodule(path)
            if form == "prune":
                weight = every[name]
                torch_prune.custom_from_mask(owner, own, mask.to(weight.device, weight.dtype))
            else:
                _parametrise(owner, own, mask.to(every[name].device, copy=True))  # not the ticket's
    return module


def plain(module: nn.Module) -> nn.Module:
    """A module that `apply` masked as an ordinary one again: its own parameters, 0 where pruned, held by nothing.

    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 4.0]]), "bias": torch.zeros(1)},
    ...                 {"weight": torch.tensor([[False, True]])})
    >>> sorted(plain(apply(nn.Linear(2, 1), ticket)).state_dict())
    ['bias', 'weight']
    """
    for owner in list(module.modules()):
        held: Any = getattr(owner, "parametrizations", {})
        for own in list(held):
            parts = held[own]
            if len(parts) == 1 and isinstance(parts[0], Mask):
                kept, mask = parts.original, parts[0].mask
                # A deep copy shares the class into which torch put the weight's property, and loses it with the copy's.
                kind = type(owner)
                owner.__class__ = type(kind.__name__, kind.__bases__, dict(vars(kind)))
                parametrize.remove_parametrizations(owner, own, leave_parametrized=False)
                with torch.no_grad():
                    kept.masked_fill_(~mask, 0)
        for hook in [k for k, h in owner._forward_pre_hooks.items() if h is _masked_flat]:
            del owner._forward_pre_hooks[hook]
        for hook in [k for k, h in owner._forward_hooks.items() if h is _own_flat]:
            del owner._forward_hooks[hook]
        hooks = [h for h in owner._forward_pre_hooks.values() if isinstance(h, torch_prune.BasePruningMethod)]
        for own in [h._tensor_name for h in hooks]:
            torch_prune.remove(owner, own)
    return module


def _parametrise(owner: nn.Module, own: str, mask: Tensor) -> None:
    parametrize.register_parametrization(owner, own, Mask(mask))
    if isinstance(owner, nn.RNNBase):  # its forward pass reads a list of its own, not the attributes
        _own_flat(owner, None, None)
        if _masked_flat not in owner._forward_pre_hooks.values():
            owner.register_forward_pre_hook(_masked_flat)
            owner.register_forward_hook(_own_flat, always_call=True)


def _original(owner: nn.Module, own: str) -> Tensor:
    return owner.parametrizations[own].original  # type: ignore[union-attr,index]


def _masked_flat(owner: nn.RNNBase, inputs: Any) -> None:
    """Before a recurrent layer's pass: its list of weights is what its attributes give, masks applied."""
    owner._flat_weights = [getattr(owner, n) for n in owner._flat_weights_names]


def _own_flat(owner: nn.RNNBase, inputs: Any, outputs: Any) -> None:
    """After it: parameters again, which can be copied, moved and saved."""
    owner._flat_weights = [
        owner._parameters[n] if n in owner._parameters else _original(owner, n) for n in owner._flat_weights_names
    ]


def _check_readers(module: nn.Module, name: str, weight: Tensor, tied: list[str], form: str) -> None:
    """Refuse a weight that is read where no mask of this form reaches."""
    for path, part in module.named_modules():
        for attribute, value in vars(part).items():
            if attribute in ("_parameters", "_modules", "_buffers", "_flat_weights", "_flat_weight_refs"):
                continue
            if _holds(value, weight):
                where = f"{path}.{attribute}" if path else attribute
                raise UsageError(
                    f"{name} is also kept in {where}, where no mask reaches it: train the module with own.hold(module, "
                    "ticket.masks) after each step."
                )
    if form == "prune":
        for path in (n.rpartition(".")[0] for n in tied):
            owner = module.get_submodule(path)
            above = module.get_submodule(path.rpartition(".")[0]) if path else None
            if isinstance(owner, nn.ParameterList | nn.ParameterDict) or isinstance(above, nn.MultiheadAttention):
                raise UsageError(
                    f"{name} is read without its layer's forward, where masks of torch.nn.utils.prune are applied: use "
                    "form='parametrization'."
                )


def _holds(value: Any, weight: Tensor, depth: int = 0) -> bool:
    """Whether an attribute is a weight, or a list of lists of such in which it is."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list | tuple | set) and depth < DEEPEST:
        return any(_holds(v, weight, depth + 1) for v in value)
    return value is weight
