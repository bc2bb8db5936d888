"""One network of any kind, trained under its mask in a plain torch loop: `own` repeats it over rounds and trials."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau

from lth_core.data import SAMPLE
from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.own.examples import Several, Split, count, joined, pick, put, through
from lth_core.own.experiment import Experiment
from lth_core.own.global_seeds import chance
from lth_core.own.initial_weights import seeded
from lth_core.own.optimizers import optimizers_of
from lth_core.own.silent_mistakes import check_answers, check_experiment
from lth_core.own.state_dicts import Masks, State, hold, module_state, said
from lth_core.own.ticket import Ticket, a_ticket


@dataclass(frozen=True)
class Trained:
    """A trained network: `curves` (column -> one value an evaluation), `weights`, those at iteration `rewind`, and
    whether all weights that are pruned by are `finite`."""

    curves: dict[str, list[float]]
    weights: State = field(repr=False)
    rewound: State = field(repr=False)
    finite: bool = True


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
    """Train one network to the end; its batches and whatever its module draws (dropout) follow from `key` alone.

    What would go wrong in silence is looked for first, on a few examples: see `own.silent_mistakes`."""
    ticket = a_ticket(ticket)
    check_experiment(experiment)
    return trained(experiment, ticket, key)


def trained(experiment: Experiment, ticket: Ticket, key: tuple[int | str, ...]) -> Trained:
    """`train`, of an experiment that has been looked at."""
    e, where = experiment, torch.device(experiment.device)
    with chance(seeded(e, *key, "train"), e.device):
        module = e.model()
        ticket = ticket.fits(module)
        module = ticket.into(module).to(where)
        masks = {n: m.to(where) for n, m in ticket.masks.items()}
        inputs, targets = put(e.train, where)
        optimizers, schedules = optimizers_of(e, module)
        curves: dict[str, list[float]] = {}
        rewound = module_state(module)
        evaluate(e, module, 0, curves)
        order = batches(count(inputs), e.batch_size, e.iterations, generator(e.seed, "own", *key, "order"))
        for iteration, batch in enumerate(order, 1):
            batch = batch.to(where)
            try:
                step(e, module, masks, optimizers, (pick(inputs, batch), pick(targets, batch)))
            except Exception as error:
                if iteration > 1 or isinstance(error, UsageError):
                    raise
                raise UsageError(f"the first step of training fails ({said(error)}).") from error
            for schedule in schedules:
                if not isinstance(schedule, ReduceLROnPlateau):
                    _next_rate(schedule, iteration, e.iterations)
            if iteration == e.rewind:
                rewound = module_state(module)
            if iteration % e.eval_every == 0:
                evaluate(e, module, iteration, curves)
                for schedule in schedules:
                    if isinstance(schedule, ReduceLROnPlateau):
                        schedule.step(curves["val_loss"][-1])
    weights = module_state(module)
    return Trained(curves, weights, rewound, all(bool(torch.isfinite(weights[n]).all()) for n in masks))


def _next_rate(schedule: Any, iteration: int, iterations: int) -> None:
    try:
        schedule.step()
    except Exception as error:  # such as one that was made for fewer steps
        raise UsageError(
            f"the scheduler cannot be stepped at iteration {iteration} of {iterations} ({said(error)}): it is stepped "
            "each iteration, not each epoch."
        ) from error


def step(experiment: Experiment, module: nn.Module, masks: Masks, optimizers: list[Optimizer], batch: Split) -> None:
    """One step on a minibatch of `(inputs, targets)`, of which nothing that is masked comes back."""
    inputs, targets = batch

    def gradients() -> Tensor:
        for optimizer in optimizers:
            optimizer.zero_grad()
        loss = experiment.loss(through(module, inputs), targets)
        loss.backward()
        hold(module, masks, gradients=True)
        if experiment.before_step:
            experiment.before_step(module)
        return loss

    closures = [o for o in optimizers if isinstance(o, torch.optim.LBFGS)]  # it looks at the loss several times a step
    if len(closures) < len(optimizers):
        gradients()
    for optimizer in optimizers:
        if optimizer in closures:
            optimizer.step(gradients)
        else:
            optimizer.step()
    hold(module, masks)


@torch.no_grad()
def evaluate(experiment: Experiment, module: nn.Module, iteration: int, curves: dict[str, list[float]]) -> None:
    """Append one evaluation to `curves`: loss and right answers on a fixed sample of train, on val and on test.

    The loss is of all outputs at once: a mean of the losses of pieces is another number for a weighted mean. Each part
    of the module is put back into the mode in which it was: a frozen one may have been in evaluation mode all along."""
    modes = {m: m.training for m in module.modules()}
    module.eval()
    curves.setdefault("iteration", []).append(iteration)
    for part, (inputs, targets) in parts(experiment).items():
        n, device = count(inputs), experiment.device
        outputs = answers(experiment, module, inputs)
        targets = put(targets, device)
        right = check_answers(experiment.right(outputs, targets), n)
        curves.setdefault(f"{part}_loss", []).append(float(experiment.loss(outputs, targets)))
        curves.setdefault(f"{part}_correct", []).append(int(right.sum()))
    for part_of, training in modes.items():
        part_of.training = training


def answers(experiment: Experiment, module: nn.Module, inputs: Several) -> Any:
    """The outputs for all `inputs`, `at_once` examples after each other."""
    n, size = count(inputs), experiment.at_once
    pieces = []
    for first in range(0, n, size):
        piece = put(pick(inputs, slice(first, first + size)), experiment.device)
        pieces.append(through(module, piece))
    try:
        outputs = joined(pieces)
    except (TypeError, RuntimeError) as error:
        raise UsageError(
            f"outputs of pieces of {size} examples cannot be joined ({said(error)}): return tensors whose first axis "
            f"is the example, or give at_once={n}."
        ) from error
    return outputs


def parts(experiment: Experiment) -> dict[str, Split]:
    """What is evaluated: a fixed sample of the training examples, all of validation and test."""
    inputs, targets = experiment.train
    if (n := count(inputs)) > SAMPLE:
        which = generator(experiment.seed, "own", "sample").choice(n, SAMPLE, replace=False)
        chosen = torch.from_numpy(np.sort(which))
        inputs, targets = pick(inputs, chosen), pick(targets, chosen)
    return {"train": (inputs, targets), "val": experiment.val, "test": experiment.test}
