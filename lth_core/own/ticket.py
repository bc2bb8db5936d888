"""A ticket: masks with the weights to start from, in memory and as a file."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from lth_core.atomic_files import refuse_others, replaced
from lth_core.errors import UsageError
from lth_core.own.state_dicts import Masks, State, hold, mask_like, named, renamed, said
from lth_core.store.cell import digest_of_ticket

FORMAT = "lth-own-ticket-1"
READ = (FORMAT, "lth-ticket-1")  # the latter: `python -m lth_core export`


@dataclass(frozen=True, repr=False)
class Ticket:
    """A mask with the weights to start from: `weights` is a whole state dict, 0 where `masks` is False.

    Both are copies, which no training changes. Masks are kept as bool. Given may be numbers of any type that are
    exactly 0 and 1; anything else, a mask of another shape than its weights, or of none, is a `UsageError`. Without
    masks it is the whole network.

    >>> layer = torch.nn.Linear(2, 1)
    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]]), "bias": torch.zeros(1)},
    ...                 {"weight": torch.tensor([[False, True]])})
    >>> ticket.into(layer).weight.tolist()
    [[0.0, 2.0]]
    """

    weights: State
    masks: Masks

    def __post_init__(self) -> None:
        for field in ("weights", "masks"):
            if not isinstance(getattr(self, field), Mapping):
                raise UsageError(f"{field} is a {type(getattr(self, field)).__name__}: give a dict, name to tensor.")
        weights = {n: _tensor(w) for n, w in self.weights.items()}
        if missing := self.masks.keys() - weights.keys():
            raise UsageError(f"there are masks of {named(missing)} and no such weights; there are {named(weights)}.")
        object.__setattr__(self, "weights", weights)
        object.__setattr__(self, "masks", {n: mask_like(n, m, weights[n]).clone() for n, m in self.masks.items()})

    def __repr__(self) -> str:
        kept, of = (sum(int(m.sum() if part else m.numel()) for m in self.masks.values()) for part in (True, False))
        return f"Ticket({kept:,} of {of:,} weights in {len(self.masks)} masks: see .masks, .weights, .save(file))"

    def into(self, module: nn.Module) -> nn.Module:
        """`module` with the ticket's weights; to train it, hold its masks too (`hold`, or `torchprune.apply`).

        Weights that are not the module's, by name and shape, are a `UsageError`; what torch.compile or DataParallel
        put into names does not count."""
        ticket = self.fits(module)
        try:
            module.load_state_dict(ticket.weights)
        except RuntimeError as error:  # what a module of its own makes of its state
            raise UsageError(f"the module does not take the ticket's weights ({said(error)}).") from error
        with torch.no_grad():  # a tied weight is loaded by each of its names, of which the masked one has to be last
            for name, p in module.named_parameters(remove_duplicate=False):
                if name in ticket.masks:
                    p.copy_(ticket.weights[name])
        hold(module, ticket.masks)
        return module

    def fits(self, module: nn.Module) -> Ticket:
        """The ticket by the module's own names; a module whose state dict has other names or shapes is refused."""
        if not isinstance(module, nn.Module):
            what = module.__name__ if isinstance(module, type) else type(module).__name__
            raise UsageError(f"a ticket goes into a module, and {what} is none: give one, such as model().")
        if lazy := [n for n, p in module.named_parameters() if torch.nn.parameter.is_lazy(p)]:
            raise UsageError(f"{named(lazy)} has no shape yet: run one batch through the module first.")
        if odd := [n for n, p in module.named_parameters() if p.is_meta]:
            raise UsageError(f"{named(odd)} of the module has no values (device meta): build it on a device first.")
        own = module.state_dict()
        if self.weights.keys() != own.keys() and (found := renamed(self.weights, own)).keys() == own.keys():
            return Ticket(found, renamed(self.masks, own)).fits(module)
        lacks, more = own.keys() - self.weights.keys(), self.weights.keys() - own.keys()
        if lacks or more:
            raise UsageError(
                f"the ticket is of another module: it lacks {named(lacks)}, and has {named(more)} that the module has "
                "not."
            )
        for name, w in own.items():
            there = self.weights[name]
            if isinstance(w, Tensor) and isinstance(there, Tensor) and w.shape != there.shape:
                raise UsageError(
                    f"the ticket is of another module: {name} has shape {tuple(there.shape)} in it and "
                    f"{tuple(w.shape)} in the module."
                )
        return self

    def save(self, file: str | Path) -> None:
        """One safetensors file in the layout of `python -m lth_core export`: each entry of the state dict by its name,
        and NAME.mask (bool) beside what is pruned. Written whole or not at all; `~` is your home."""
        tensors = {**self.weights, **{f"{n}.mask": m for n, m in self.masks.items()}}
        _refuse_extra_state(tensors)
        write(file, tensors, {"format": FORMAT, "digest": digest(tensors)})


def a_ticket(value: Any) -> Ticket:
    """The value, if it is a ticket; else a `UsageError`."""
    if isinstance(value, Ticket):
        return value
    raise UsageError(
        f"a {type(value).__name__} is no ticket: give an own.Ticket, such as found.ticket(trial, round) gives, or "
        "own.load(file)."
    )


def load(file: str | Path) -> Ticket:
    """A ticket that `Ticket.save` or `python -m lth_core export` wrote (trained weights, if any, are left out).

    A file of another origin has to hold masks as NAME.mask; any other form goes through `torchprune.ticket_of`.

    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]])}, {"weight": torch.tensor([[False, True]])})
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ticket.save(pathlib.Path(folder) / "own.safetensors")
    ...     load(pathlib.Path(folder) / "own.safetensors").masks
    {'weight': tensor([[False,  True]])}
    """
    tensors, about = read(file)
    form = about.get("format", "")
    if form.startswith("lth-") and form not in READ:
        raise UsageError(f"{file} has the format {form[:40]!r}; read here are {', '.join(READ)}.")
    own = _digest_of(form, about, tensors)
    if own and about.get("digest", own) != own:  # files of earlier versions have none
        raise UsageError(f"{file} is damaged (it does not have its checksum): save or export the ticket again.")
    # X.mask belongs to a tensor X; where there is none it is the module's own, as a causal mask's buffer is.
    beside = [n for n in tensors if n.endswith((".mask", ".trained")) and n.rpartition(".")[0] in tensors]
    masks = {n.removesuffix(".mask"): tensors[n] for n in beside if n.endswith(".mask")}
    weights = {n: t for n, t in tensors.items() if n not in beside}
    if not masks and form not in READ:
        how = "torchprune.ticket_of(file, initial)"
        raise UsageError(
            f"{file} holds no masks as NAME.mask, so it would pass as the whole network: bring it in by {how}."
        )
    for name, mask in masks.items():
        if weights[name].shape != mask.shape:
            raise UsageError(f"{file} has a mask for {name} and no weights of its shape: save the ticket again.")
    ticket = Ticket(weights, masks)
    for name, mask in ticket.masks.items():
        if ticket.weights[name][~mask].any():
            raise UsageError(f"{file}: {name} is not 0 where its mask prunes it: save the ticket again.")
    return ticket


def _digest_of(form: str, about: dict[str, str], tensors: State) -> str:
    """What a file of this format says under "digest"; "" for a format of others."""
    if form == FORMAT:
        return digest(tensors)
    return digest_of_ticket(about, {n: t.numpy() for n, t in tensors.items()}) if form in READ else ""


def digest(tensors: State) -> str:
    """A hash of named tensors."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        flat = tensors[name].detach().cpu().contiguous().reshape(-1)
        found.update(f"{name} {flat.dtype} {tuple(tensors[name].shape)}".encode())
        found.update(flat.view(torch.uint8).numpy().tobytes())
    return found.hexdigest()[:16]


def read(file: str | Path) -> tuple[State, dict[str, str]]:
    """The tensors of a safetensors file, and what it says about itself."""
    path = home(file)
    if not path.exists():
        raise UsageError(f"{file} cannot be read: there is no such file.")
    try:
        refuse_others(path)
        with safe_open(path, "pt") as opened:
            about = opened.metadata() or {}
        return load_file(path), about
    except (SafetensorError, OSError, ValueError, RuntimeError, MemoryError) as error:
        raise UsageError(
            f"{file} cannot be read as safetensors ({said(error)}): save the ticket again, or bring in a file of "
            "another kind by torchprune.ticket_of(file, initial)."
        ) from error


def _refuse_extra_state(tensors: State) -> None:
    if odd := [n for n, t in tensors.items() if not isinstance(t, Tensor)]:
        raise UsageError(f"{named(odd)} is no tensor (a module's extra state): a safetensors file cannot hold it.")


def write(file: str | Path, tensors: State, about: dict[str, str]) -> None:
    """A safetensors file, whole or not at all, each array in C order and in memory of its own."""
    _refuse_extra_state(tensors)
    path = home(file)
    if path.is_dir() or not path.name:
        raise UsageError(f"{file} is a folder: name a file in it, such as ticket.safetensors.")
    plain = {n: t.detach().cpu().clone(memory_format=torch.contiguous_format) for n, t in tensors.items()}
    with replaced(path) as temporary:
        try:
            save_file(plain, temporary, about)
        except (SafetensorError, KeyError, ValueError) as error:
            raise UsageError(f"{file} cannot be written as safetensors ({said(error)}).") from error


def home(file: str | Path) -> Path:
    """A path with `~` written out."""
    try:
        return Path(file).expanduser()
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"{str(file)!r} is no path here ({error}).") from error


def _tensor(value: object) -> Tensor:
    """A copy: of numpy arrays as tensors, of tensors where they are, of all else, such as a module's extra state."""
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.array(value, order="C"))
    return value.detach().clone() if isinstance(value, Tensor) else copy.deepcopy(value)  # type: ignore[return-value]
