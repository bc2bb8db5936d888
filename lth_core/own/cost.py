"""What a run will cost, said before it starts."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.own.examples import count, pick, put
from lth_core.own.experiment import Experiment
from lth_core.own.global_seeds import chance
from lth_core.own.initial_weights import built, seeded
from lth_core.own.network import batches, evaluate, step
from lth_core.own.optimizers import optimizers_of
from lth_core.own.silent_mistakes import check_experiment
from lth_core.own.starts import ARMS
from lth_core.own.state_dicts import brief
from lth_core.spec import numeric

STEPS = 5  # that are timed, after one that is not


@dataclass(frozen=True)
class Cost:
    """What a run will take: `networks` to train, `iterations` of each, `seconds` in all on this machine, estimated from
    a few steps and one evaluation."""

    networks: int
    iterations: int
    seconds: float

    def __str__(self) -> str:
        networks = f"{self.networks} network{'s' * (self.networks != 1)} of {self.iterations:,} iterations"
        return f"{networks}: about {spoken(self.seconds)} here"


def cost(
    experiment: Experiment,
    *,
    rounds: int,
    trials: int,
    arms: Sequence[str] = ("ticket", "reinit"),
    replicates: int = 1,
) -> Cost:
    """What `run` will cost with these arguments, estimated from a few steps of a network that is thrown away.

    >>> x, y = torch.randn(60, 4), torch.randint(2, (60,))
    >>> experiment = Experiment(model=lambda: torch.nn.Linear(4, 2), train=(x, y), test=(x, y), rates={"weight": 0.5},
    ...                         optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1))
    >>> cost(experiment, rounds=3, trials=5, arms=("ticket", "reinit")).networks
    35
    """
    rounds, trials, replicates, arms = scale_of(rounds, trials, replicates, arms)
    check_experiment(experiment)
    controls = replicates * sum(arm != "ticket" for arm in arms)
    return measured(experiment, trials * (1 + rounds * (1 + controls)))


def scale_of(rounds: int, trials: int, replicates: int, arms: Sequence[str]) -> tuple[int, int, int, list[str]]:
    """How much a run is asked to train, as whole numbers and arms that exist, each once; else a `UsageError`."""
    rounds, trials = numeric("rounds", rounds, int), numeric("trials", trials, int)
    replicates = numeric("replicates", replicates, int)
    if isinstance(arms, str) or not isinstance(arms, Iterable):
        raise UsageError(f"arms = {brief(arms)} is no list of names: give one, such as ['ticket', 'reinit'].")
    arms = list(dict.fromkeys(arms))
    if unknown := {str(a) for a in arms} - set(ARMS):
        raise UsageError(f"arm {min(unknown)!r} does not exist here; allowed: {', '.join(ARMS)}.")
    if min(rounds, trials, replicates) < 1:
        raise UsageError(
            f"rounds = {rounds}, trials = {trials}, replicates = {replicates}: each must be at least 1."
        )  # fmt: skip
    return rounds, trials, replicates, arms


def measured(experiment: Experiment, networks: int) -> Cost:
    """The cost of so many networks."""
    e = experiment
    with chance(seeded(e, "cost"), e.device):
        module = built(e, 0, "init").to(e.device)
        inputs, targets = e.train
        optimizers, _ = optimizers_of(e, module)
        order = batches(count(inputs), e.batch_size, 1 + STEPS, generator(e.seed, "own", "cost"))
        began = evaluated = 0.0
        for i, which in enumerate(order):
            batch = put((pick(inputs, which), pick(targets, which)), e.device)
            step(e, module, {}, optimizers, batch)
            if i == 0:
                began = _now(e.device)
        a_step = (_now(e.device) - began) / STEPS
        began = _now(e.device)
        evaluate(e, module, 0, {})
        evaluated = _now(e.device) - began
    evaluations = e.iterations // e.eval_every + 1
    return Cost(networks, e.iterations, networks * (e.iterations * a_step + evaluations * evaluated))


def spoken(seconds: float) -> str:
    """A time in the unit that suits it.

    >>> spoken(0.2), spoken(90), spoken(7200)
    ('1 s', '90 s', '2.0 h')
    """
    if seconds < 120:
        return f"{max(1, round(seconds))} s"
    return f"{seconds / 60:.0f} min" if seconds < 7_200 else f"{seconds / 3_600:.1f} h"


def _now(device: str) -> float:
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
