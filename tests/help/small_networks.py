"""A small experiment of one's own, on numbers drawn here: what the tests of `lth_core.own` change one thing of."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from lth_core import own
from lth_core.own.state_dicts import copied

Pair = tuple[torch.Tensor, torch.Tensor]


def numbers(n: int = 60, seed: int = 0, width: int = 4, classes: int = 3) -> Pair:
    draw = torch.Generator().manual_seed(seed)
    return torch.randn(n, width, generator=draw), torch.randint(classes, (n,), generator=draw)


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 3))


def sgd(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD(parameters, lr=0.1)


def experiment(**changes: Any) -> own.Experiment:
    plain: dict[str, Any] = dict(
        model=net, train=numbers(60), val=numbers(20, 1), test=numbers(20, 2), optimizer=sgd,
        rates={"0.weight": 0.5, "2.weight": 0.25}, iterations=6, eval_every=3, batch_size=10,
    )  # fmt: skip
    return own.Experiment(**{**plain, **changes})


def ticket(module: nn.Module, *names: str, seed: int = 0) -> own.Ticket:
    """A ticket of a module, half of the named weights pruned at random."""
    weights = copied(module.state_dict())
    draw = torch.Generator().manual_seed(seed)
    masks = {n: torch.rand(weights[n].shape, generator=draw) > 0.5 for n in names}
    for mask in masks.values():
        mask[:, 0] = True  # under weight normalisation, a row without a weight has no direction
    return own.Ticket(own.masked(weights, masks), masks)
