"""Rounds of pruning over a plain torch loop, and their controls."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
import torch

from lth_core import analyse, prune
from lth_core.errors import UsageError
from lth_core.own.arms import ARMS, start
from lth_core.own.experiment import Experiment
from lth_core.own.initial import drawn
from lth_core.own.network import Trained, parts, train
from lth_core.own.states import Masks, State, masked
from lth_core.own.ticket import Ticket
from lth_core.spec import numeric


@dataclass
class Found:
    """What `run` leaves.

    - `cells`: one row a network: trial, round, arm, replicate, density, `analyse.summary`, seconds, device
    - `curves`: one row an evaluation: key, iteration; loss and right answers of train (a fixed sample), val, test
    - `starts`: trial -> weights that tickets go back to; `masks`: (trial, round) -> the ticket's masks
    """

    cells: pd.DataFrame = field(default_factory=pd.DataFrame)
    curves: pd.DataFrame = field(default_factory=pd.DataFrame)
    starts: dict[int, State] = field(default_factory=dict)
    masks: dict[tuple[int, int], Masks] = field(default_factory=dict)

    def ticket(self, trial: int, round: int) -> Ticket:
        """The ticket of a trial after so many rounds of pruning; round 0 is the unpruned network."""
        if (trial, round) not in self.masks:
            raise UsageError(f"no ticket of trial {trial}, round {round}: see `cells` for those there are.")
        masks = self.masks[trial, round]
        return Ticket(masked(self.starts[trial], masks), masks)


def cut(experiment: Experiment, trained: State, alive: Masks, round: int) -> Masks:
    """The masks of `round`: the largest trained magnitudes among the weights `alive`, so that masks nest.

    Sizes follow the closed form n (1 - rate)^round, as everywhere here (`prune.kept`)."""
    scores = {n: np.abs(trained[n].detach().cpu().numpy()) for n in alive}
    living, rates = {n: mask.numpy() for n, mask in alive.items()}, experiment.rates
    if experiment.scope == "layer":
        found = {n: prune.largest(x, living[n], prune.kept(x.size, rates[n], round)) for n, x in scores.items()}
    else:
        size = sum(x.size for x in scores.values())
        found = prune.across(scores, living, prune.kept(size, next(iter(rates.values())), round))
    return {n: torch.from_numpy(mask) for n, mask in found.items()}


def run(
    experiment: Experiment,
    *,
    rounds: int,
    trials: int,
    arms: Sequence[str] = ("ticket", "reinit"),
    replicates: int = 1,
    progress: Callable[[str], None] | None = None,
) -> Found:
    """Iterative magnitude pruning with rewinding, and its controls, `trials` times from different initial weights.

    - `rounds`: cuts; each starts from what the ticket of the round before learnt
    - `arms`: of `ARMS`; tickets are always trained, since masks come from them
    - `replicates`: redraws of each control
    - `progress(message)`: told of each network before it trains
    """
    rounds, trials = numeric("rounds", rounds, int), numeric("trials", trials, int)
    replicates = numeric("replicates", replicates, int)
    if unknown := set(arms) - set(ARMS):
        raise UsageError(f"arm {min(unknown)!r} does not exist here; allowed: {', '.join(ARMS)}.")
    if min(rounds, trials, replicates) < 1:
        raise UsageError(f"rounds = {rounds}, trials = {trials}, replicates = {replicates}: each must be at least 1.")
    if not experiment.rates:
        raise UsageError("rates is empty: name what is pruned and how fast, such as own.rates_of(experiment.model()).")
    _there(experiment.device)
    found, cells, curves = Found(), [], []
    controls = [(arm, i) for arm in arms if arm != "ticket" for i in range(replicates)]
    for trial in range(trials):
        found.starts[trial] = drawn(experiment, trial, "init")
        masks: Masks = {n: torch.ones_like(found.starts[trial][n], dtype=torch.bool) for n in experiment.rates}
        for number in range(rounds + 1):
            found.masks[trial, number] = masks
            trained = None
            for arm, replicate in [("ticket", 0), *(controls if number else [])]:
                key = (trial, arm, number, replicate)
                if progress:
                    progress(f"trial {trial}, round {number}, {arm}")
                began = time.perf_counter()
                one = train(experiment, start(experiment, arm, found.starts[trial], masks, key), key)
                cells.append(row(experiment, key, masks, one, time.perf_counter() - began))
                curves.append(pd.DataFrame(one.curves).assign(key=cells[-1]["key"]))
                trained = trained or one
            assert trained is not None
            if number == 0:
                found.starts[trial] = trained.rewound
            if cells[-1 - (len(controls) if number else 0)]["diverged"]:
                break  # weights that are no numbers have no magnitudes to prune by
            masks = cut(experiment, trained.weights, masks, number + 1)
    found.cells, found.curves = pd.DataFrame(cells), pd.concat(curves, ignore_index=True)
    return found


def _there(device: str) -> None:
    """Refuse a device that torch does not know, or that this machine does not have."""
    try:
        torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise UsageError(f"device = {device!r} does not exist; allowed: cpu, cuda.") from error
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError) as error:  # the latter where torch was built without CUDA
        what = "GPU" if str(device) == "cuda" else "such device"
        raise UsageError(f"device = {device!r}, but torch sees no {what} here: use device cpu.") from error


def row(
    experiment: Experiment, key: tuple[int, str, int, int], masks: Masks, trained: Trained, seconds: float
) -> dict[str, Any]:
    """A network's row of `Found.cells`. `prune_fc` is the largest rate: it places the row among the papers' levels."""
    trial, arm, number, replicate = key
    kept, size = sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values())
    finite = all(bool(torch.isfinite(trained.weights[n]).all()) for n in masks)
    sizes = {part: len(inputs) for part, (inputs, _) in parts(experiment).items()}
    return {
        "key": f"{arm}-{trial}-{number}-{replicate}", "trial": trial, "round": number, "arm": arm,
        "replicate": replicate, "prune_fc": max(experiment.rates.values()) if number else 0.0, "prune_conv": 0.0,
        "density": kept / size, "weights": kept, **analyse.summary(pd.DataFrame(trained.curves), sizes),
        "diverged": not finite, "seconds": seconds, "engine": "torch", "device": experiment.device,
    }  # fmt: skip
