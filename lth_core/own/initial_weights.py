"""Weights of a new model, drawn for a key."""

from __future__ import annotations

import torch
from torch import nn

from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.own.experiment import Experiment
from lth_core.own.global_seeds import chance
from lth_core.own.state_dicts import State, module_state


def seeded(experiment: Experiment, *key: int | str) -> int:
    """A seed for torch's generator that depends on the experiment's seed and `key` alone."""
    return int(generator(experiment.seed, "own", *key).integers(2**31))


def built(experiment: Experiment, *key: int | str) -> nn.Module:
    """A new model, drawn for `key`."""
    with chance(seeded(experiment, *key)):
        return experiment.model()


def drawn(experiment: Experiment, *key: int | str) -> State:
    """The weights of a new model, drawn for `key`, on the CPU."""
    return module_state(built(experiment, *key))


def same_each_time(one: State, other: State, names: list[str]) -> str | None:
    """The first of `names` whose weights two draws have in common, bit for bit; what starts as one constant is not
    drawn and does not count."""
    for name in names:
        w = one[name].detach().flatten()
        if w.numel() > 1 and bool((w != w[0]).any()) and torch.equal(one[name], other[name]):
            return name
    return None


def check_draws(experiment: Experiment, arms: tuple[str, ...], trials: int, started: bool) -> None:
    """Refuse a model whose draws are none: the same module, or the same weights, each time.

    Then a reinitialised control is its ticket bit for bit, and all trials start alike. With a `start` that is given,
    trials may start alike, but not the controls that draw anew."""
    one, other = built(experiment, 0, "init"), built(experiment, 1, "init")
    if one is other:
        raise UsageError("model() returns the same module each time: build a new one in it, or copy.deepcopy yours.")
    shared = {p.data_ptr(): n for n, p in one.named_parameters() if p.requires_grad and p.numel()}
    for name, p in other.named_parameters():
        if p.numel() and p.data_ptr() in shared:
            raise UsageError(f"two modules of model() share {name}, which training changes: build each module anew.")
    drawing = [arm for arm in arms if arm in ("reinit", "random_sparsity")]
    if not drawing and (trials == 1 or started):
        return
    if same := same_each_time(module_state(one), module_state(other), list(experiment.rates)):
        what = f"arm {drawing[0]!r} would be the ticket again" if drawing else "all trials would start alike"
        raise UsageError(
            f"model() gives {same} the same values each time, so {what}: draw them without a seed of its own; "
            "pretrained weights go to own.run(..., start=own.Ticket(weights, {})), without reinit and random_sparsity."
        )
