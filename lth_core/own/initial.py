"""Weights of a new model, drawn for a key."""

from __future__ import annotations

import torch

from lth_core.draws import generator
from lth_core.own.experiment import Experiment
from lth_core.own.states import State


def seeded(experiment: Experiment, *key: int | str) -> int:
    """A seed for torch's generator that depends on the experiment's seed and `key` alone."""
    return int(generator(experiment.seed, "own", *key).integers(2**31))


def drawn(experiment: Experiment, *key: int | str) -> State:
    """The weights of a new model, drawn for `key`, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(experiment, *key))
        return {n: w.detach().clone() for n, w in experiment.model().state_dict().items()}
