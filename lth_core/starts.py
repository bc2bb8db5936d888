"""Arms: how a row's network starts, from what the round before learnt and from masks; tickets and their controls."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from lth_core import prune
from lth_core.arms import ARMS
from lth_core.draws import generator, normal
from lth_core.errors import UsageError
from lth_core.method import METHOD, Steps
from lth_core.mistakes import MISTAKES
from lth_core.models import Layer, Masks, Network, Parameters, init_sd, initial, layers
from lth_core.spec import Spec

# `Spec.search` -> how masks are found. "continued" differs in its arm alone: training goes on where it ended.
STEPS: dict[str, Steps] = {"reset": METHOD, "continued": METHOD, **MISTAKES}


class Diverged(UsageError):
    """A row that cannot be made, because the network that decides its mask ended with weights that are no numbers."""


def steps_of(spec: Spec) -> Steps:
    """The steps that a row's `search` names."""
    return STEPS[spec.search]


def network(spec: Spec, found: Network | None = None, rewound: Parameters | None = None) -> Network:
    """The network of a row as it stands before training.

    - `found`: `prerequisites.parent(spec)` as training left it, to be cut once more; None where there is none
    - `rewound`: weights of `prerequisites.rewound_to(spec)`; the initial ones if None
    """
    if spec.round == 0:
        return Network(spec, initial(spec), prune.full(spec))
    weights, steps = rewound or initial(spec), steps_of(spec)
    mask = ARMS[spec.arm].mask
    if mask == "random" and not spec.grown:
        masks = prune.random(spec, prune.plan(spec))
    elif mask == "initial":
        masks = prune.cut(spec, weights, prune.full(spec))
    else:
        if found is None:
            raise ValueError(f"round {spec.round} of {spec.arm} needs its parent")
        if not all(np.isfinite(w).all() for w in found.weights.values()):
            from lth_core.store.cell import key_of  # imported late: the exercises make networks where there is no store

            raise Diverged(f"{key_of(found.spec)} diverged: weights that are no numbers have no magnitudes to prune by")
        masks = steps.cut(spec, found.weights, found.masks)
        if mask == "random":
            masks = prune.random(spec, {name: int(mask.sum()) for name, mask in masks.items()})
        weights = found.weights if spec.arm == "continued" else steps.back(spec, weights, found.weights)
    made = start(spec, masks, weights)
    return replace(made, masks=steps.held(made.masks))


def start(spec: Spec, masks: Masks, weights: Parameters | None = None) -> Network:
    """The network of a row whose ticket has `masks`; `weights` to go back to, the initial ones if None.

    `spec.rescale` = 0.5 is Glorot's rule for the pruned layer: at density d its units have on average d times the
    incoming and outgoing connections, so that sqrt(2 / (fan in + fan out)) grows by d**-0.5. One factor per layer, as
    Glorot's rule has one; units that lost more of their connections than others get no more. Biases start at 0."""
    masks, weights = STARTS[spec.arm](spec, masks, dict(weights or initial(spec)))
    if spec.rescale:
        for name, mask in masks.items():
            weights[name] = weights[name] * np.float32(max(mask.mean(), 1e-9) ** -spec.rescale)
    return Network(spec, prune.masked(weights, masks), masks)


def _kept(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    return masks, weights


def _redrawn(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    return masks, initial(spec, (spec.arm, spec.round, spec.replicate))


def _key(spec: Spec, layer: Layer) -> tuple[int | str, ...]:
    """What a draw of an arm for one layer depends on."""
    return (spec.seed, spec.trial, spec.arm, spec.round, spec.replicate, layer.name)


def _noisy(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    for layer in layers(spec.arch, spec.dataset):
        values = weights[layer.weight]
        noise = normal(_key(spec, layer), values.shape) * np.float32(spec.sigma * init_sd(spec, layer))
        weights[layer.weight] = values + noise
    return masks, weights


def _shuffled(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    moved = dict(masks)
    for layer in layers(spec.arch, spec.dataset):
        name, mask = layer.weight, masks[layer.weight]
        order = prune.shuffled(_key(spec, layer), mask)
        moved[name] = mask.ravel()[order].reshape(mask.shape)
        weights[name] = prune.masked({name: weights[name]}, masks)[name].ravel()[order].reshape(mask.shape)
    return moved, weights


def _drawn_from_ticket(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    for layer in layers(spec.arch, spec.dataset):
        mask, values = masks[layer.weight], weights[layer.weight]
        drawn = np.zeros_like(values)
        drawn[mask] = generator(*_key(spec, layer)).choice(values[mask], int(mask.sum()))
        weights[layer.weight] = drawn
    return masks, weights


def _signed(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    """Starts that take signs and magnitudes from different places (Zhou et al. 2019, section 4.1).

    Both come from the ticket's `weights`, from `reinit` of this round and replicate, or are one constant per layer, so
    that two of these arms differ in signs or in magnitudes and in nothing else."""
    redrawn = initial(spec, ("reinit", spec.round, spec.replicate))
    made = dict(weights)
    for layer in layers(spec.arch, spec.dataset):
        signs = redrawn if spec.arm == "random_signs" else weights
        sizes = redrawn[layer.weight] if spec.arm == "reinit_signs" else np.float32(init_sd(spec, layer))
        made[layer.weight] = np.copysign(sizes, signs[layer.weight])
    return masks, made


# How an arm's network starts: (row, masks of its ticket, weights to go back to) -> (masks, weights).
STARTS: dict[str, Callable[[Spec, Masks, Parameters], tuple[Masks, Parameters]]] = {
    "ticket": _kept,
    "reinit": _redrawn,
    "shuffle": _shuffled,
    "random_sparsity": _redrawn,
    "reinit_from_ticket": _drawn_from_ticket,
    "signs": _signed,
    "random_signs": _signed,
    "reinit_signs": _signed,
    "noise": _noisy,
    "prune_at_init": _kept,
    "continued": _kept,
}
