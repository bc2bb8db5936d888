"""A ticket: masks with the weights to start from, in memory and as a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from lth_core.errors import UsageError
from lth_core.own.states import Masks, State, hold


@dataclass(frozen=True)
class Ticket:
    """A mask with the weights to start from: `weights` is a whole state dict, 0 where `masks` is False.

    >>> layer = torch.nn.Linear(2, 1)
    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]]), "bias": torch.zeros(1)},
    ...                 {"weight": torch.tensor([[False, True]])})
    >>> ticket.into(layer).weight.tolist()
    [[0.0, 2.0]]
    """

    weights: State
    masks: Masks

    def into(self, module: nn.Module) -> nn.Module:
        """`module` with the ticket's weights; to train it, hold its masks too (`hold`, or `torch.nn.utils.prune`)."""
        module.load_state_dict(self.weights)
        with torch.no_grad():  # a tied weight is loaded by each of its names, of which the masked one has to be last
            for name, p in module.named_parameters(remove_duplicate=False):
                if name in self.masks:
                    p.copy_(self.weights[name])
        hold(module, self.masks)
        return module

    def save(self, file: str | Path) -> None:
        """One safetensors file in the layout of `python -m lth_core export`: each entry of the state dict by its name,
        and NAME.mask (bool) beside what is pruned."""
        tensors = {**self.weights, **{f"{n}.mask": m for n, m in self.masks.items()}}
        save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, file, {"format": "lth-own-ticket-1"})


def load(file: str | Path) -> Ticket:
    """A ticket that `Ticket.save` or `python -m lth_core export` wrote (trained weights, if any, are left out).

    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]])}, {"weight": torch.tensor([[False, True]])})
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ticket.save(pathlib.Path(folder) / "own.safetensors")
    ...     load(pathlib.Path(folder) / "own.safetensors").masks
    {'weight': tensor([[False,  True]])}
    """
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file} cannot be read as safetensors ({error}): save the ticket again.") from error
    # X.mask belongs to a tensor X; where there is none it is the module's own, as a causal mask's buffer is.
    beside = [n for n in tensors if n.endswith((".mask", ".trained")) and n.rpartition(".")[0] in tensors]
    masks = {n.removesuffix(".mask"): tensors[n].bool() for n in beside if n.endswith(".mask")}
    weights = {n: t for n, t in tensors.items() if n not in beside}
    for name, mask in masks.items():
        if name not in weights or weights[name].shape != mask.shape:
            raise UsageError(f"{file} has a mask for {name} and no weights of its shape: save the ticket again.")
        if weights[name][~mask].any():
            raise UsageError(f"{file}: {name} is not 0 where its mask prunes it: save the ticket again.")
    return Ticket(weights, masks)
