"""State dicts and masks of any module."""

from __future__ import annotations

import torch
from torch import Tensor, nn

State = dict[str, Tensor]  # a module's state dict: parameters and buffers by name
Masks = dict[str, Tensor]  # parameter name -> bool of its shape, True = kept


def masked(weights: State, masks: Masks) -> State:
    """A copy of a state dict that is exactly 0 where `masks` is False.

    >>> masked({"weight": torch.ones(2)}, {"weight": torch.tensor([True, False])})["weight"].tolist()
    [1.0, 0.0]
    """
    return {n: w.masked_fill(~masks[n], 0) if n in masks else w.clone() for n, w in weights.items()}


@torch.no_grad()
def hold(module: nn.Module, masks: Masks, *, gradients: bool = False) -> None:
    """Set what is masked to exactly 0, in place: of the gradients before an optimizer's step, so that it gathers no
    momentum for weights that are gone, or of the weights after it, so that none of them comes back.

    >>> layer = torch.nn.Linear(2, 1)
    >>> hold(layer, {"weight": torch.tensor([[False, True]])})
    >>> layer.weight[0, 0].item()
    0.0
    """
    for name, p in module.named_parameters(remove_duplicate=False):  # a tied one by each of its names
        if name in masks:
            values = p.grad if gradients else p
            if values is not None:
                pruned = ~masks[name].to(values.device)
                values.masked_fill_(pruned, 0)  # not a product: that leaves -0 and, of a NaN, a NaN


def module_state(module: nn.Module) -> State:
    """A copy on the CPU: a state dict itself holds references, and going back to those changes nothing."""
    return {n: w.detach().cpu().clone() for n, w in module.state_dict().items()}
