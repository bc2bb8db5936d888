"""Common mistakes of reimplementations, each a step of the method gone wrong by a line or two.

Between one training and the next, iterative pruning with resetting takes four steps (`method.Steps`, whose defaults are
the method). A mistake replaces one of them; `Spec.search` names it, so that its networks are trained, stored, audited
and published like any others, by engines that know nothing of it. `tests/core/test_mistakes.py` has what finds each.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from lth_core import prune
from lth_core.data import EVALUATED
from lth_core.method import Steps, ticket_above
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.spec import Spec

if TYPE_CHECKING:
    import pandas as pd


def by_sign(spec: Spec, trained: Parameters, alive: Masks) -> Masks:
    """`w < threshold` for `abs(w) < threshold`: the most negative weights go, however large they are."""
    return {name: prune.largest(trained[name], alive[name], n) for name, n in prune.plan(spec).items()}


def by_one_threshold(spec: Spec, trained: Parameters, alive: Masks) -> Masks:
    """One threshold for all layers, where the papers' fully connected nets have one each (and half the rate for the
    output): as many weights remain, but in other layers."""
    return prune.across({name: np.abs(trained[name]) for name in alive}, alive, sum(prune.plan(spec).values()))


def any_network(spec: Spec) -> Spec:
    """No training decides, so the unpruned network serves as parent."""
    return spec.at_round(0)


def by_initial_magnitude(spec: Spec, trained: Parameters, alive: Masks) -> Masks:
    """Rewinds first and prunes then: the magnitudes are those of the initial weights, and training is for nothing."""
    return prune.cut(spec, initial(spec), alive)


def neighbour_above(spec: Spec) -> Spec:
    """Another trial's mask, as when files of several runs share a name: of the trial before, for the first the next."""
    return replace(ticket_above(spec), search="reset", trial=spec.trial - 1 if spec.trial else 1)


def trained_values(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """`initial = model.state_dict()` without a copy: it holds references, so that going back changes nothing."""
    return trained


def initial_values_once(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """Going back hands the kept copy itself to the model, so that the next training changes it too: from the second cut
    on there is nothing left to go back to."""
    return start if spec.round == 1 else trained


def initial_biases_once(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """The same where weights are copied and biases are not: they go on from their trained values."""
    weights = {layer.weight for layer in layers(spec.arch, spec.dataset)}
    return {n: start[n] if spec.round == 1 or n in weights else trained[n] for n in start}


def new_values(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """Builds the model anew each round with a generator that has moved on: every "initial" value is another."""
    return initial(spec, ("drawn again", spec.round))


def nowhere(masks: Masks) -> Masks:
    """Multiplies weights by the mask once and lets the optimizer touch all of them: what was pruned grows back."""
    return {name: np.ones_like(mask) for name, mask in masks.items()}


OTHER = 1_000  # trial t's control with masks of its own is initialised as trial 1000 + t


def own_network_above(spec: Spec) -> Spec:
    """The control goes through the loop itself: its masks come from its own training, not from the ticket."""
    return replace(spec.at_round(0), trial=OTHER + spec.trial) if spec.round == 1 else ticket_above(spec)


def own_values(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """The same redrawn weights in every round of the control, so that it is a ticket of its own."""
    return initial(replace(spec, trial=OTHER + spec.trial))


MISTAKES = {
    "signed": Steps("prunes by sign", cut=by_sign),
    "one_threshold": Steps("one threshold for all layers", cut=by_one_threshold),
    "rewound_first": Steps("rewinds before it prunes", parent=any_network, cut=by_initial_magnitude),
    "other_trial": Steps("another trial's mask", parent=neighbour_above),
    "not_rewound": Steps("does not rewind", back=trained_values, starts_from_initial=False),
    "rewound_once": Steps("rewinds once", back=initial_values_once, starts_from_initial=False),
    "biases_once": Steps("rewinds biases once", back=initial_biases_once, starts_from_initial=False),
    "drawn_again": Steps("draws new weights to rewind", back=new_values, starts_from_initial=False),
    "unmasked": Steps("trains pruned weights too", held=nowhere, starts_from_initial=False),
    "own_masks": Steps(
        "control with masks of its own", parent=own_network_above, back=own_values, starts_from_initial=False
    ),
}


def best_on_test(curves: pd.DataFrame, dataset: str) -> pd.Series:
    """Key → the highest test accuracy of the whole run: early stopping judged on the test set. A mistake of analysis,
    which any curves can make."""
    return curves.groupby("key")["test_correct"].max() / EVALUATED[dataset]["test"]
