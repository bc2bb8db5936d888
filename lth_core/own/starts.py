"""How networks of each arm start."""

from __future__ import annotations

import torch

from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.own.experiment import Experiment
from lth_core.own.initial_weights import drawn
from lth_core.own.state_dicts import Masks, State, as_mask, masked
from lth_core.own.ticket import Ticket

ARMS = ("ticket", "reinit", "shuffle", "random_sparsity")


def start(experiment: Experiment, arm: str, weights: State, masks: Masks, key: tuple[int | str, ...]) -> Ticket:
    """How a network of an arm starts, given its ticket's `weights` and `masks`. `key`: trial, arm, round, replicate.

    ticket: as it is. reinit: the same masks, a new model's weights. shuffle (v1 section 3.2): surviving values to
    random places in their layer, and the mask with them. random_sparsity: as many weights, at random places, of a new
    model."""
    if arm not in ARMS:
        raise UsageError(f"arm {arm!r} does not exist here; allowed: {', '.join(ARMS)}.")
    if arm == "ticket":
        return Ticket(masked(weights, masks), masks)
    weights, masks = dict(weights), {n: as_mask(n, m) for n, m in masks.items()}
    for name, mask in masks.items():
        if arm in ("shuffle", "random_sparsity"):
            order = torch.from_numpy(generator(experiment.seed, "own", *key, name).permutation(mask.numel()))
            masks[name] = mask.flatten()[order].reshape(mask.shape)
            weights[name] = weights[name].masked_fill(~mask, 0).flatten()[order].reshape(mask.shape)
    if arm in ("reinit", "random_sparsity"):
        weights = drawn(experiment, *key)
    return Ticket(masked(weights, masks), masks)
