"""What is pruned, and how fast: the papers' rates for a module."""

from __future__ import annotations

from torch import nn

from lth_core.spec import numeric


def rates_of(module: nn.Module, rate: float = 0.2, last: float = 0.5) -> dict[str, float]:
    """The papers' rates for a module: `rate` a round for each weight with two axes or more, `last` times that for the
    last one (the output layer: ICLR section 2). Biases and normalisation are never pruned.

    >>> rates_of(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)))
    {'0.weight': 0.2, '2.weight': 0.1}
    """
    rate, last = numeric("rate", rate, float), numeric("last", last, float)
    names = [name for name, p in module.named_parameters() if p.dim() > 1]
    return {name: rate * (last if name == names[-1] else 1) for name in names}
