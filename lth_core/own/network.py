"""One network of any kind, trained under its mask in a plain torch loop: `own` repeats it over rounds and trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from lth_core.data import SAMPLE
from lth_core.draws import generator
from lth_core.own.experiment import Experiment, Split
from lth_core.own.initial import seeded
from lth_core.own.states import State, hold, module_state
from lth_core.own.ticket import Ticket

AT_ONCE = 2_000  # examples of an evaluation that go through the network together


@dataclass(frozen=True)
class Trained:
    """A trained network: `curves` (column -> one value an evaluation), `weights`, and those at iteration `rewind`."""

    curves: dict[str, list[float]]
    weights: State
    rewound: State


def batches(n: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Indices of `steps` minibatches `(size,)`: examples reshuffled each epoch, epochs joined end to end.

    >>> [len(b) for b in batches(5, 3, 4, np.random.default_rng(0))]
    [3, 3, 3, 3]
    """
    stream = np.empty(0, np.int64)
    for _ in range(steps):
        while len(stream) < size:
            stream = np.concatenate([stream, rng.permutation(n)])
        yield torch.from_numpy(stream[:size])
        stream = stream[size:]


def train(experiment: Experiment, ticket: Ticket, key: tuple[int | str, ...] = (0, "ticket", 0, 0)) -> Trained:
    """Train one network to the end; its batches and whatever its module draws (dropout) follow from `key` alone."""
    e, where = experiment, torch.device(experiment.device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seeded(e, *key, "train"))
        module = ticket.into(e.model()).to(where)
        masks = {n: m.to(where) for n, m in ticket.masks.items()}
        inputs, targets = (t.to(where) for t in e.train)
        optimizer = e.optimizer(module.parameters())
        schedule = e.schedule(optimizer) if e.schedule else None
        curves: dict[str, list[float]] = {}
        rewound = module_state(module)
        evaluate(e, module, 0, curves)
        order = batches(len(inputs), e.batch_size, e.iterations, generator(e.seed, "own", *key, "order"))
        for iteration, batch in enumerate(order, 1):
            optimizer.zero_grad()
            batch = batch.to(where)
            e.loss(module(inputs[batch]), targets[batch]).backward()
            hold(module, masks, gradients=True)
            optimizer.step()
            hold(module, masks)
            if schedule:
                schedule.step()
            if iteration == e.rewind:
                rewound = module_state(module)
            if iteration % e.eval_every == 0:
                evaluate(e, module, iteration, curves)
    return Trained(curves, module_state(module), rewound)


@torch.no_grad()
def evaluate(experiment: Experiment, module: nn.Module, iteration: int, curves: dict[str, list[float]]) -> None:
    """Append one evaluation to `curves`: mean loss and right answers on a fixed sample of train, on val and on test."""
    training = module.training
    module.eval()
    curves.setdefault("iteration", []).append(iteration)
    for part, (inputs, targets) in parts(experiment).items():
        loss, right = 0.0, 0
        for x, y in zip(inputs.split(AT_ONCE), targets.split(AT_ONCE), strict=True):
            x, y = x.to(experiment.device), y.to(experiment.device)
            outputs = module(x)
            loss += float(experiment.loss(outputs, y)) * len(x)
            right += int(experiment.right(outputs, y).sum())
        curves.setdefault(f"{part}_loss", []).append(loss / len(inputs))
        curves.setdefault(f"{part}_correct", []).append(right)
    module.train(training)


def parts(experiment: Experiment) -> dict[str, Split]:
    """What is evaluated: the first so many training examples, all of validation and test."""
    inputs, targets = experiment.train
    return {"train": (inputs[:SAMPLE], targets[:SAMPLE]), "val": experiment.val, "test": experiment.test}
