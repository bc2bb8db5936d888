"""From and to `torch.nn.utils.prune`, which keeps a weight as `weight_orig` times the buffer `weight_mask`.

Its own cuts (`prune.l1_unstructured`, ...) know nothing of rewinding: the ticket's initial values have to be kept by
whoever prunes. These functions take masks across, so that either side can go on where the other stopped.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_core.errors import UsageError
from lth_core.own import Ticket, masked
from lth_core.own.states import Masks, State

ORIG, MASK = "_orig", "_mask"


def masks_of(module: nn.Module) -> Masks:
    """The masks of a module that torch has pruned: parameter name -> bool of its shape, True = kept.

    >>> layer = torch_prune.l1_unstructured(nn.Linear(4, 1), "weight", amount=0.5)
    >>> {name: int(mask.sum()) for name, mask in masks_of(layer).items()}
    {'weight': 2}
    """
    state = module.state_dict()
    names = [n.removesuffix(MASK) for n in state if n.endswith(MASK)]
    return {n: state[n + MASK].bool().cpu().clone() for n in names if n + ORIG in state}  # else the module's own buffer


def state_of(module: nn.Module) -> State:
    """The state dict as it was named before torch pruned: `weight_orig` is `weight` again, unmasked, without buffers of
    torch's pruning.

    >>> layer = torch_prune.l1_unstructured(nn.Linear(4, 1), "weight", amount=0.5)
    >>> sorted(state_of(layer))
    ['bias', 'weight']
    """
    pruned = masks_of(module)
    state = {n: w.detach().cpu().clone() for n, w in module.state_dict().items()}
    return {
        n.removesuffix(ORIG) if n.removesuffix(ORIG) in pruned else n: w
        for n, w in state.items() if n.removesuffix(MASK) not in pruned or not n.endswith(MASK)
    }  # fmt: skip


def ticket_of(module: nn.Module, initial: State) -> Ticket:
    """A ticket from a module that torch has pruned, and the `initial` weights that you kept.

    >>> layer = nn.Linear(2, 1, bias=False)
    >>> initial = {"weight": torch.tensor([[3.0, 4.0]])}
    >>> pruned = torch_prune.custom_from_mask(layer, "weight", torch.tensor([[0, 1]]))
    >>> ticket_of(pruned, initial).weights["weight"].tolist()
    [[0.0, 4.0]]
    """
    masks = masks_of(module)
    if missing := set(masks) - set(initial):
        raise UsageError(f"the initial weights lack {', '.join(sorted(missing))}: give the module's whole state dict.")
    return Ticket(masked(initial, masks), masks)


def apply(module: nn.Module, ticket: Ticket) -> nn.Module:
    """`module` (not pruned by torch yet) with the ticket's weights, its masks held by `torch.nn.utils.prune`.

    Each forward pass multiplies by the mask, so any training loop keeps pruned weights out. `prune.remove` makes it a
    plain module again.

    >>> layer = apply(nn.Linear(2, 1), Ticket({"weight": torch.tensor([[0.0, 4.0]]), "bias": torch.zeros(1)},
    ...                                       {"weight": torch.tensor([[False, True]])}))
    >>> layer.weight_mask.tolist(), torch_prune.is_pruned(layer)
    ([[0.0, 1.0]], True)
    """
    if torch_prune.is_pruned(module):
        raise UsageError("the module is pruned by torch already: give a new one, or call prune.remove first.")
    ticket.into(module)
    every = dict(module.named_parameters(remove_duplicate=False))
    for name, mask in ticket.masks.items():
        for path, _, parameter in [n.rpartition(".") for n, p in every.items() if p is every[name]]:  # tied: several
            torch_prune.custom_from_mask(module.get_submodule(path), parameter, mask.to(torch.float32))
    return module
