"""Your own model and data: rounds, arms and trials in a plain torch loop, and the same tidy tables as everywhere here.

The engines in `engines/` train the papers' architectures fast. This module trains any `torch.nn.Module`, one
network at a time, and asks nothing of it but named parameters.

>>> import torch
>>> from lth_core import own
>>> x = torch.randn(60, 4, generator=torch.Generator().manual_seed(0))
>>> y = (x[:, 0] * x[:, 1] > 0).long()
>>> experiment = own.Experiment(
...     model=lambda: torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2)),
...     train=(x[:40], y[:40]), val=(x[40:50], y[40:50]), test=(x[50:], y[50:]),
...     optimizer=lambda parameters: torch.optim.Adam(parameters, lr=0.01),
...     rates={"0.weight": 0.5, "2.weight": 0.25}, iterations=20, eval_every=10, batch_size=10)
>>> found = own.run(experiment, rounds=2, trials=2, arms=("ticket", "reinit"))
>>> len(found.cells)  # two trials of: the unpruned network, and two rounds of two arms
10
>>> found.ticket(trial=0, round=2).masks["0.weight"].sum().item()  # 32 weights, halved twice
8
"""

from lth_core.own.cost import Cost, cost
from lth_core.own.experiment import Experiment, Parameters
from lth_core.own.network import train
from lth_core.own.rates import rates_of
from lth_core.own.rounds import Found, cut, run
from lth_core.own.starts import ARMS, start
from lth_core.own.state_dicts import hold, masked
from lth_core.own.statements import judge
from lth_core.own.ticket import Ticket, load

__all__ = [
    "ARMS", "Cost", "Experiment", "Found", "Parameters", "Ticket", "cost", "cut", "hold", "judge", "load", "masked",
    "rates_of", "run", "start", "train",
]  # fmt: skip
