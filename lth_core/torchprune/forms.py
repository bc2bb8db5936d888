"""How libraries write masks into names: what is read of a state dict, and each form that can be made of a ticket.

X_orig, X_mask                                            torch.nn.utils.prune, and Lightning's ModelPruning on it
parametrizations.X.original, parametrizations.X.N.mask    torch.ao, torchao, `apply` here
X, X.mask                                                 `Ticket.save`, `python -m lth_core export`
X, or X.mask or X_mask in all names (all 0 or 1)          masks alone, as OpenLTH's mask.pth
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from lth_core.errors import UsageError
from lth_core.own import Ticket
from lth_core.own.state_dicts import SHOWN, Masks, State, as_mask, copied, named
from lth_core.torchprune.sources import Found

ORIG, MASK = "_orig", "_mask"
PARAMETRISED = re.compile(r"((?:.*\.)?)parametrizations\.([^.]+)\.original")
FORMS = ("zeros", "prune", "parametrization", "beside", "masks")


def read(found: Found) -> tuple[Masks, State]:
    """The masks that a source tells by names, and its state as it was named before it was pruned, both copies."""
    tensors = {n: t for n, t in found.tensors.items() if isinstance(t, Tensor)}
    masks: Masks = {}
    renamed: dict[str, str] = {}
    gone: set[str] = set()
    for name in tensors:
        if name.endswith(MASK) and (origin := name.removesuffix(MASK) + ORIG) in tensors:
            own = name.removesuffix(MASK)
            masks[own], renamed[origin] = as_mask(own, tensors[name]), own
            gone.add(name)
        elif matched := PARAMETRISED.fullmatch(name):
            own, root = matched[1] + matched[2], name.removesuffix("original")
            if (mask := _parametrised_mask(tensors, root, tensors[name])) is not None:
                masks[own], renamed[name] = as_mask(own, tensors[mask]), own
                gone.add(mask)
                if more := [n for n in tensors if n.startswith(root) and n not in (name, mask)]:
                    raise UsageError(
                        f"{own} is parametrised by more than a mask ({named(more)}): remove the others first."
                    )
        elif name.endswith(".mask") and name.removesuffix(".mask") in tensors:
            own = name.removesuffix(".mask")
            if tensors[name].shape == tensors[own].shape:
                masks[own] = as_mask(own, tensors[name])
                gone.add(name)
    state = {renamed.get(n, n): t for n, t in found.tensors.items() if n not in gone}
    if not masks and _only_masks(tensors):
        suffix = next((s for s in (".mask", MASK) if all(n.endswith(s) for n in tensors)), "")
        return {n.removesuffix(suffix): as_mask(n, t).cpu().clone() for n, t in tensors.items()}, {}
    return {n: m.cpu().clone() for n, m in masks.items()}, copied(state)


def from_zeros(found: Found, names: list[str] | None) -> Masks:
    """Masks that prune what is exactly 0: of the `names` given, else of each weight with two axes or more and a 0.

    A weight that is 0 throughout is a `UsageError` where it is not named: it may have been so from the start."""
    tensors = {n: t for n, t in found.tensors.items() if isinstance(t, Tensor)}
    if found.live is not None:  # as the module computes with them, whatever holds them at 0
        tensors |= _effective(found)
    if names is not None and (missing := [n for n in names if n not in tensors]):
        raise UsageError(f"zeros names {named(missing)}, which the network lacks; it has {named(tensors)}.")
    known = found.weights
    chosen = names if names is not None else [
        n for n, t in tensors.items()
        if t.is_floating_point() and t.dim() > 1 and (known is None or n in known or n not in found.tensors)
        and not (found.live is not None and PARAMETRISED.fullmatch(n))
    ]  # fmt: skip
    masks = {n: (tensors[n] != 0).detach().cpu() for n in chosen}
    if names is None:
        padding = padding_of(found)
        masks = {n: m for n, m in masks.items() if not bool(m.all()) and not _only_row(m, padding.get(n))}
        if whole := [n for n, m in masks.items() if not bool(m.any())]:
            raise UsageError(
                f"{named(whole)} is 0 throughout, by pruning or from the start (a layer that begins at 0): say by name "
                f"what is pruned, as zeros={([n for n in masks if n not in whole] or whole)[:SHOWN]}."
            )
    if all(bool(m.all()) for m in masks.values()):
        raise UsageError(
            "no weight is 0, so zeros tell of no pruning: the network is whole, or its masks lie elsewhere."
        )
    return masks


def unread(found: Found) -> str:
    """Why a network in which no masks were read may be pruned after all, for a sentence; empty if nothing says so."""
    tensors = {n: t for n, t in found.tensors.items() if isinstance(t, Tensor)}
    if odd := [n for n in tensors if n.rpartition(".")[2] == MASK]:
        return f"{named(odd)} is a mask of a form that is not read here"
    if odd := [n for n in tensors if PARAMETRISED.fullmatch(n)]:
        if found.live is None:
            return f"{named(odd)} is parametrised, and its mask is not in the state dict (give the module)"
        effective = _effective(found)
        if pruned := [n for n, t in effective.items() if bool(((t == 0) & (_origin(tensors, n) != 0)).any())]:
            return f"{named(pruned)} is held at 0 by a parametrisation without a buffer `mask`"
    padded = padding_of(found)
    for name, t in tensors.items():
        weight = t.is_floating_point() and t.dim() > 1 and (found.weights is None or name in found.weights)
        zeros = int((t == 0).sum()) if weight and name not in padded else 0
        if 0 < zeros < t.numel():
            return f"{name} has {zeros:,} zeros among {t.numel():,} weights, as if pruning was made permanent"
    return ""


def written(ticket: Ticket, form: str = "prune") -> dict[str, Any]:
    """A ticket as a state dict in the form that another library reads, in copies:

    - "zeros": plain names, 0 where pruned; any `load_state_dict`
    - "prune": `X_orig` and `X_mask` (float), as modules of `torch.nn.utils.prune` and Lightning's checkpoints have them
    - "parametrization": `parametrizations.X.original` and `parametrizations.X.0.mask` (bool), as modules of `apply`,
      torch.ao and torchao have them
    - "beside": `X` and `X.mask` (bool), the layout of `Ticket.save`
    - "masks": the masks alone, int32 by parameter, as OpenLTH's mask.pth

    >>> import torch
    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]])}, {"weight": torch.tensor([[False, True]])})
    >>> {name: t.tolist() for name, t in written(ticket, "prune").items()}
    {'weight_orig': [[0.0, 2.0]], 'weight_mask': [[0.0, 1.0]]}
    """
    if form not in FORMS:
        raise UsageError(f"form = {form!r} does not exist; allowed: {', '.join(FORMS)}.")
    if form == "masks":
        return {n: m.cpu().int() for n, m in ticket.masks.items()}
    state: dict[str, Any] = {}
    for name, w in copied(ticket.weights).items():
        path, _, own = name.rpartition(".")
        inside = f"{path}." if path else ""
        if name not in ticket.masks or form == "zeros":
            state[name] = w.masked_fill(~ticket.masks[name].cpu(), 0) if name in ticket.masks else w
            continue
        mask, w = ticket.masks[name].cpu().clone(), w.masked_fill(~ticket.masks[name].cpu(), 0)
        if form == "prune":
            state |= {name + ORIG: w, name + MASK: mask.to(w.dtype)}
        elif form == "parametrization":
            state |= {f"{inside}parametrizations.{own}.original": w, f"{inside}parametrizations.{own}.0.mask": mask}
        else:
            state |= {name: w, f"{name}.mask": mask}
    return state


def _parametrised_mask(tensors: Mapping[str, Tensor], root: str, weight: Tensor) -> str | None:
    """The name of the buffer that masks a parametrised weight: `mask`, or any other with mask in its name, of the
    weight's shape."""
    there = [n for n in tensors if re.fullmatch(rf"{re.escape(root)}\d+\.[^.]*mask[^.]*", n, re.I)]
    there = [n for n in there if tensors[n].shape == weight.shape]
    if len(there) > 1:
        raise UsageError(f"{root.rstrip('.')} has several masks ({named(there)}): multiply them into one first.")
    return there[0] if there else None


def padding_of(found: Found) -> dict[str, int]:
    """Embeddings of a live module that pad: the name of the weight, and the row that is 0 for that reason."""
    if found.live is None:
        return {}
    padding = {f"{n}.weight".lstrip("."): getattr(m, "padding_idx", None) for n, m in found.live.named_modules()}
    return {n: row for n, row in padding.items() if row is not None}


def _only_row(mask: Tensor, row: int | None) -> bool:
    """Whether a mask prunes one row and nothing else."""
    if row is None:
        return False
    others = torch.arange(len(mask)) != row
    return bool(mask[others].all())


def _only_masks(tensors: Mapping[str, Tensor]) -> bool:
    """Whether a dict holds masks and nothing else: 0 and 1 alone. Of floats, some with two axes: a normalisation's
    state is all 0 and 1 too when it is new."""
    plain = all(not t.is_complex() and t.dim() > 0 for t in tensors.values())
    typed = plain and (
        all(not t.is_floating_point() for t in tensors.values()) or any(t.dim() > 1 for t in tensors.values())
    )
    return bool(tensors) and typed and all(bool(((t == 0) | (t == 1)).all()) for t in tensors.values())


def _effective(found: Found) -> dict[str, Tensor]:
    """What a live module computes with, of each parametrised weight, by the weight's own name."""
    made = {}
    assert found.live is not None
    for name in found.tensors:
        if matched := PARAMETRISED.fullmatch(name):
            owner = found.live.get_submodule(matched[1].rstrip("."))
            made[matched[1] + matched[2]] = getattr(owner, matched[2]).detach()
    return made


def _origin(tensors: Mapping[str, Tensor], name: str) -> Tensor:
    path, _, own = name.rpartition(".")
    return tensors[f"{path}.parametrizations.{own}.original" if path else f"parametrizations.{own}.original"]
