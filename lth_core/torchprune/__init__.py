"""From and to other libraries: masks and tickets of networks that were pruned elsewhere, in and out.

Their cuts (`prune.l1_unstructured`, ...) know nothing of rewinding: the ticket's initial values have to be kept by
whoever prunes. These functions take masks across, so that either side can go on where the other stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from lth_core.errors import UsageError
from lth_core.own import Ticket, masked
from lth_core.own.state_dicts import Masks, State, named, renamed
from lth_core.own.ticket import home
from lth_core.torchprune.forms import from_zeros, read, unread, written
from lth_core.torchprune.kernels import from_keras, to_keras
from lth_core.torchprune.modules import apply, plain
from lth_core.torchprune.sources import Source, found

__all__ = ["apply", "from_keras", "masks_of", "plain", "state_of", "ticket_of", "to_keras", "written"]

AS_ZEROS = "zeros=True takes masks from weights that are exactly 0"


def masks_of(source: Source, *, zeros: bool | Sequence[str] = False) -> Masks:
    """The masks of a pruned network: parameter name -> bool of its shape, True = kept, on the CPU.

    `source`: a module, a state dict, a checkpoint that has one, or the path of a file of any of these. What is read is
    told in `torchprune.forms`. `zeros`: take masks from weights that are exactly 0, as they are where pruning was made
    permanent (all weights with two axes or more that have a 0, or those named). A network that is not pruned has no
    masks; one that looks pruned in a way that is not read is a `UsageError`.

    >>> import torch
    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(4, 1), "weight", amount=0.5)
    >>> {name: int(mask.sum()) for name, mask in masks_of(layer).items()}
    {'weight': 2}
    """
    there = found(source)
    masks, _ = read(there)
    if isinstance(zeros, str):
        raise UsageError(f"zeros = {zeros!r} is one name: give a list of them, or True.")
    if zeros is not False and (not masks or zeros is not True):
        masks |= from_zeros(there, None if zeros is True else list(zeros))
    if not masks and (why := unread(there)):
        raise UsageError(f"no masks are found, though {why}: {AS_ZEROS}.")
    return masks


def state_of(source: Source) -> State:
    """The state dict as it was named before it was pruned, a copy on the CPU: `weight_orig`, or the original of a
    parametrisation that masks, is `weight` again, unmasked, without what pruning added.

    >>> import torch
    >>> layer = torch.nn.utils.prune.l1_unstructured(torch.nn.Linear(4, 1), "weight", amount=0.5)
    >>> sorted(state_of(layer))
    ['bias', 'weight']
    """
    there = found(source)
    if there.live is not None:  # buffers that a state dict leaves out are no part of one
        _, state = read(there)
        known = set(there.live.state_dict())
        return {n: w for n, w in state.items() if n in known or n not in there.tensors}
    return read(there)[1]


def ticket_of(source: Source, initial: Source, *, zeros: bool | Sequence[str] = False) -> Ticket:
    """A ticket from a network that was pruned elsewhere (`masks_of`), and the `initial` weights that you kept: a state
    dict, or a module or file that has one.

    No masks are a `UsageError`: the whole network would pass as a winning ticket. So are initial weights that are the
    network's own tensors (a `state_dict()` without a copy), since training has changed those.

    >>> import torch
    >>> layer = torch.nn.Linear(2, 1, bias=False)
    >>> initial = {"weight": torch.tensor([[3.0, 4.0]])}
    >>> pruned = torch.nn.utils.prune.custom_from_mask(layer, "weight", torch.tensor([[0, 1]]))
    >>> ticket_of(pruned, initial).weights["weight"].tolist()
    [[0.0, 4.0]]
    """
    if initial is source or _one_file(source, initial):
        raise UsageError(
            "initial is the pruned network itself, so it holds trained values: keep a copy before training."
        )
    source, initial = (found(s).tensors if isinstance(s, str | Path) else s for s in (source, initial))  # read once
    masks = masks_of(source, zeros=zeros)
    if not masks:
        raise UsageError(f"the network has no masks, so the whole of it would pass as a ticket: {AS_ZEROS}.")
    if all(bool(m.all()) for m in masks.values()):
        raise UsageError("the masks prune nothing, so the whole network would pass as a ticket.")
    _check_kept(source, initial)
    weights = state_of(initial)
    masks = renamed(masks, weights)
    if all(n not in weights and f"{n}.weight" in weights for n in masks):  # by layer
        masks = {f"{n}.weight": m for n, m in masks.items()}
    if missing := masks.keys() - weights.keys():
        raise UsageError(
            f"the initial weights lack {named(missing)}: give the module's whole state dict{_prefix(masks, weights)}."
        )
    if not isinstance(source, nn.Module):
        _check_whole(source, weights, masks)
    return Ticket(masked(weights, masks), masks)


def _one_file(source: Source, initial: Source) -> bool:
    """Whether both are one file, however it is named."""
    if not isinstance(source, str | Path) or not isinstance(initial, str | Path):
        return False
    return home(source).resolve() == home(initial).resolve()


def _check_whole(source: Source, initial: State, masks: Masks) -> None:
    """Refuse a part of a network: its masks would leave the rest of it whole. (Masks alone come without weights.)"""
    initial = {n: w for n, w in initial.items() if _there(w) and w.dim() > 1}
    state = renamed(state_of(source), initial)
    if state and (missing := initial.keys() - state.keys() - masks.keys()):
        raise UsageError(
            f"the pruned network lacks {named(missing)}, which the initial weights have: give all of it (of a network "
            "in several files, the one that ends in .index.json)."
        )


def _check_kept(source: Source, initial: Source) -> None:
    """Refuse initial weights in the memory of the pruned network."""
    theirs = {t.data_ptr(): n for n, t in found(source).tensors.items() if _there(t)}
    for name, t in found(initial).tensors.items():
        if _there(t) and t.data_ptr() in theirs:
            raise UsageError(
                f"initial has {name} in the very memory of the pruned network, so it holds trained values: keep a copy "
                "before training, as copy.deepcopy(module.state_dict())."
            )


def _there(value: Any) -> bool:
    return isinstance(value, Tensor) and value.numel() > 0 and value.is_floating_point()


def _prefix(masks: Masks, weights: State) -> str:
    """What the names of one side have in front, where that is all in which they differ."""
    for long, short, whose in ((masks, weights, "the masks"), (weights, masks, "the initial weights")):
        for name in long:
            for other in short:
                before = name.removesuffix(other)
                if before != name and not before[-1].isalnum():
                    return f" ({whose} have {before!r} before each name: take it off)"
    return ""
