"""What is pruned, and how fast: the papers' rates for a module, by what owns each parameter."""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn.parameter import is_lazy

from lth_core.errors import UsageError
from lth_core.own.state_dicts import named
from lth_core.spec import numeric

# First parts of the name of an output layer, where its place does not tell.
HEADS = {"head", "heads", "classifier", "lm_head", "output", "out", "logits", "fc_out", "to_logits"}
NO_WEIGHT = re.compile(r"bias|norm|gain|scale|gamma|beta|token|pos|embed|temperature|weight_g$|original0$", re.I)
WEIGHT = re.compile(
    r"weight(_v|_orig|_ih_l\d+(_reverse)?|_hh_l\d+(_reverse)?|_hr_l\d+(_reverse)?|_ih|_hh)?$|proj_weight$"
)


def rates_of(module: nn.Module, rate: float = 0.2, last: float = 0.5) -> dict[str, float]:
    """The papers' rates for a module: `rate` a round for each weight with two axes or more, `last` times that for the
    output layer (ICLR section 2).

    A weight is what torch's linear, convolutional, recurrent, attention and embedding layers call so; of a layer under
    weight normalisation, its direction. Of parameters that a module of your own holds itself, those with two axes
    or more count whose names say nothing else (bias, gain, token, position, ...). Biases, normalisation and frozen
    parameters are never pruned. The output layer is the last that a forward pass uses, where torch can follow it;
    else the one that is called so (head, classifier, ...), else the last one. Look at the result before a long run.

    >>> rates_of(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)))
    {'0.weight': 0.2, '2.weight': 0.1}
    """
    rate, last = numeric("rate", rate, float), numeric("last", last, float)
    if not 0 <= rate < 1 or not 0 <= rate * last < 1:
        raise UsageError(
            f"rate = {rate:g} and last = {last:g}: give fractions, as 0.2 of each layer and 0.5 of that for the last."
        )
    if not isinstance(module, nn.Module):
        raise UsageError(f"rates_of takes a module, not a {type(module).__name__}: call model() first.")
    if lazy := [n for n, p in module.named_parameters() if is_lazy(p)]:
        raise UsageError(f"{named(lazy)} has no shape yet: run one batch through the module first.")
    owners = dict(module.named_modules())
    names = [
        name for name, p in module.named_parameters()
        if p.requires_grad and _is_weight(owners, name, p) and keeps_zeros(module, name)
    ]  # fmt: skip
    output = _output(module, names)
    return {name: rate * (last if name == output else 1) for name in names}


def check_pruned(module: nn.Module, names: Iterable[str]) -> None:
    """Refuse parameters in which pruning by magnitude would not prune what the network computes with."""
    parameters = dict(module.named_parameters())
    at: dict[int, list[str]] = {}
    for name, p in parameters.items():
        at.setdefault(p.data_ptr(), []).append(name)
    for name in names:
        p = parameters[name]
        if not (p.is_floating_point() or p.is_complex()):
            raise UsageError(f"{name} holds {p.dtype}, which has no magnitudes to prune by: leave it out of rates.")
        if not keeps_zeros(module, name):
            raise UsageError(
                f"a weight that is computed from {name} is not 0 where that is, so pruning it would prune nothing: "
                "leave it out of rates."
            )
        if p.numel() and len(at[p.data_ptr()]) > 1:
            raise UsageError(
                f"{named(at[p.data_ptr()])} are several parameters in one memory, where masks would overwrite each "
                "other: make one parameter of them, and read it in each place."
            )


def keeps_zeros(module: nn.Module, name: str) -> bool:
    """Whether a parametrised weight is 0 where the original `name` is, as under weight or spectral normalisation, and
    not where it is made an orthogonal matrix. Of what is not parametrised it is."""
    path, own = _owner(name)
    parts: Any = getattr(dict(module.named_modules())[path], "parametrizations", {})
    if own not in parts or not name.rpartition(".")[2].startswith("original"):
        return True
    tried = copy.deepcopy(parts[own])
    original = getattr(tried, name.rpartition(".")[2])
    with torch.no_grad():
        odd = (torch.rand(original.shape, generator=torch.Generator().manual_seed(0)) < 0.5).to(original.device)
        original.masked_fill_(odd, 0)
        made = tried()
    return made.shape != original.shape or not bool(made[odd].nan_to_num(0).any())


def _is_weight(owners: dict[str, nn.Module], name: str, p: nn.Parameter) -> bool:
    """Whether a parameter is a weight: by the module that owns it, by its own name where no kind is known."""
    path, own = _owner(name)
    owner = owners[path]
    if sum(size > 1 for size in p.shape) < 2 and not (p.dim() > 1 and WEIGHT.search(own)):
        return False
    if _normalises(owner) or re.search(r"weight_g$|original0$", own):
        return False
    if p.dim() < 2:
        return False
    return bool(WEIGHT.search(own)) or (not _known(owner) and not NO_WEIGHT.search(own))


def _owner(name: str) -> tuple[str, str]:
    """The path of the layer that a parameter belongs to, and its name there; a parametrised one's is the layer's."""
    if found := re.fullmatch(r"(?:(.*)\.)?parametrizations\.([^.]+)\.(original\d*)", name):
        return found[1] or "", "weight_g" if found[3] == "original0" else found[2]
    path, _, own = name.rpartition(".")
    return path, own


def _normalises(owner: nn.Module) -> bool:
    kinds = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)
    return isinstance(owner, kinds) or "norm" in type(owner).__name__.lower().removeprefix("parametrized")


def _known(owner: nn.Module) -> bool:
    """Whether a layer is torch's own, whose weights have known names."""
    held = isinstance(owner, nn.ParameterList | nn.ParameterDict)
    return not held and any(
        c.__module__.startswith("torch.nn.modules.") for c in type(owner).__mro__[:-2] if c is not nn.Module
    )


def _output(module: nn.Module, names: list[str]) -> str | None:
    """The parameter of the output layer, of those in `names`. A tied weight stands where the last of its names does: a
    language model's embedding is its output layer too."""
    if not names:
        return None
    own = {id(p): name for name, p in module.named_parameters() if name in names}
    every = [(n, own[id(p)]) for n, p in module.named_parameters(remove_duplicate=False) if id(p) in own]
    if (used := _by_use(module, every)) is not None:
        return used
    called = [name for n, name in every if n.split(".")[0] in HEADS]
    return (called or [name for _, name in every])[-1]


def _by_use(module: nn.Module, every: list[tuple[str, str]]) -> str | None:
    """The last parameter that a forward pass reads, of pairs (one of its names, its name); None where torch cannot
    follow the pass without running it."""
    try:
        with torch.no_grad():
            graph = torch.fx.symbolic_trace(copy.deepcopy(module)).graph
    except Exception:  # any code may stand in a forward pass
        return None
    for node in reversed(list(graph.nodes)):
        if node.op == "call_module":
            own = [name for n, name in every if n.startswith(f"{node.target}.")]
        else:
            own = [name for n, name in every if node.op == "get_attr" and n == node.target]
        if own:
            return own[-1]
    return None
