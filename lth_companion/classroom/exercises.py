"""What the exercises of book/teach need beside the library: short trainings on digits, and five broken implementations.

Everything a student does by hand works on plain arrays: weights are float32 `(out, in)`, masks are bool of that shape.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core import data, mistakes, prune, tickets
from lth_core.analyse import accuracies, stop_index
from lth_core.engines.sparse import engine as sparse
from lth_core.models import Masks, Network, Parameters, initial, layers
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

# Seconds on a laptop; a twentieth of these weights is so few that tickets beat their controls clearly.
DIGITS = Spec(dataset="digits", arch="lenet-100-50", iterations=1_000, eval_every=50, prune_fc=0.3, prune_out=0.15)
WEIGHTS = [layer.weight for layer in layers(DIGITS.arch, DIGITS.dataset)]  # "fc1.weight", "fc2.weight", "out.weight"
RATES = {layer.weight: prune.rate(DIGITS, layer) for layer in layers(DIGITS.arch, DIGITS.dataset)}


@dataclass(frozen=True)
class Result:
    """A trained network: `weights` after the last iteration, and test accuracy (a fraction) and iteration at the lowest
    validation loss."""

    weights: Parameters
    accuracy: float
    iteration: int


def start(trial: int) -> Parameters:
    """The initial parameters of a trial, drawn from its own generator: the same whenever you ask."""
    return initial(replace(DIGITS.at_round(0), trial=trial))


def whole() -> Masks:
    """Masks that keep every weight."""
    return prune.full(DIGITS)


def density(masks: Masks) -> float:
    """Fraction of all weights that the masks keep."""
    return sum(int(m.sum()) for m in masks.values()) / sum(m.size for m in masks.values())


def train(networks: Sequence[tuple[Parameters, Masks]], trials: Iterable[int]) -> list[Result]:
    """Train networks on digits, each from `(weights, masks)`, each with the data split of its trial."""
    made = []
    for (weights, masks), trial in zip(networks, trials, strict=True):
        spec = replace(DIGITS.at_round(0), trial=trial)
        made.append(Network(spec, prune.masked(weights, masks), {n: np.asarray(m, bool) for n, m in masks.items()}))
    done = dict(sparse.train(made, data.load("digits")))
    return [_result(done[i].weights, pd.DataFrame(done[i].curves)) for i in range(len(made))]


def _result(weights: Parameters, curves: pd.DataFrame) -> Result:
    curves = accuracies(curves, DIGITS.dataset)
    stop = stop_index(curves["val_loss"].to_numpy())
    return Result(weights, float(curves["test"].iat[stop]), int(curves["iteration"].iat[stop]))


@lru_cache
def searched(trials: int, rounds: int) -> list[list[Masks]]:
    """Tickets made by the library: for each trial, the masks of each round from 0."""
    found = [[whole()] for _ in range(trials)]
    for number in range(1, rounds + 1):
        done = train([(start(t), found[t][-1]) for t in range(trials)], range(trials))
        for t, result in enumerate(done):
            found[t].append(prune.cut(DIGITS.at_round(number), result.weights, found[t][-1]))
    return found


# --- Find the bug ----------------------------------------------------------------------------------------------------

TINY = Spec(dataset="digits", arch="lenet-30-20", iterations=60, eval_every=20, lr=5e-3, prune_fc=0.5, prune_out=0.25)
ROUNDS = (1, 2, 3)
BROKEN = {"A": "unmasked", "B": "own_masks", "C": "signed", "D": "test_leak", "E": "not_rewound"}


@dataclass(frozen=True)
class Round:
    """One round of pruning as an implementation did it. Weights that are exactly 0 are pruned.

    - `start`, `trained`: the ticket's weights `(out, in)` by name, before and after its training
    - `before`: trained weights of the network that the ticket was cut from
    - `control`: the reinitialised copy as it starts
    - `keep`: how many weights of each matrix should be left
    """

    start: Mapping[str, NDArray[np.float32]]
    trained: Mapping[str, NDArray[np.float32]]
    before: Mapping[str, NDArray[np.float32]]
    control: Mapping[str, NDArray[np.float32]]
    keep: Mapping[str, int]


@dataclass(frozen=True)
class Implementation:
    """What you can see of an implementation of the method: the initial weights, its rounds, and how it reports.

    `report(curves)` gives the test accuracy it would print for a training whose curves have the columns iteration,
    val_loss and test_correct (of 360 images)."""

    initial: Mapping[str, NDArray[np.float32]]
    rounds: Sequence[Round]
    report: Callable[[pd.DataFrame], float]


def _at_early_stopping(curves: pd.DataFrame) -> float:
    return float(curves["test_correct"].iat[stop_index(curves["val_loss"].to_numpy())]) / 360


def _best_on_test(curves: pd.DataFrame) -> float:
    return float(mistakes.best_on_test(curves.assign(key="run"), "digits")["run"])


@lru_cache
def implementations(seed: int = 0) -> dict[str, Implementation]:
    """The method as it should be ("right") and five broken ones ("A" to "E"), each run on a tiny network.

    The mistakes are those of `lth_core.mistakes`; which letter is which is for you to find out."""
    with tempfile.TemporaryDirectory() as folder:
        store = Store(folder)
        searches = {"reset", *BROKEN.values()} - {"test_leak"}
        tickets.run([_row(s, r, seed=seed) for s in searches for r in (0, *ROUNDS)], store)
        made = {"right": _implementation(store, "reset", _at_early_stopping, seed)}
        for letter, mistake in BROKEN.items():
            leak = mistake == "test_leak"
            made[letter] = _implementation(
                store, "reset" if leak else mistake, _best_on_test if leak else _at_early_stopping, seed
            )
    return made


def _row(search: str, round: int, arm: str = "ticket", seed: int = 0) -> Spec:
    return replace(TINY, seed=seed).at_round(round, **({"search": search, "arm": arm} if round else {}))


def _implementation(store: Store, search: str, report: Callable[[pd.DataFrame], float], seed: int) -> Implementation:
    names = list(prune.plan(TINY))
    chain = "reset" if search == "own_masks" else search  # there the tickets are right and the control is not

    def matrices(weights: Parameters) -> Parameters:
        return {n: weights[n] for n in names}

    rounds = []
    for number in ROUNDS:
        own, above = _row(chain, number, seed=seed), _row(chain, number - 1, seed=seed)
        control = _row(search, number, "ticket" if search == "own_masks" else "reinit", seed)
        rounds.append(
            Round(
                matrices(tickets.from_store(own, store).weights),
                matrices(store.read(key_of(own)).weights),
                matrices(store.read(key_of(above)).weights),
                matrices(tickets.from_store(control, store).weights),
                prune.plan(own),
            )
        )
    return Implementation(matrices(initial(replace(TINY, seed=seed))), rounds, report)


def grade(tests: Sequence[Callable[[Implementation], None]], seed: int = 0) -> pd.DataFrame:
    """Which of your tests each implementation fails: one row an implementation, one column a test, True = failed."""
    rows = {name: {t.__name__: _fails(t, made) for t in tests} for name, made in implementations(seed).items()}
    return pd.DataFrame.from_dict(rows, orient="index")


def _fails(test: Callable[[Implementation], None], made: Implementation) -> bool:
    try:
        test(made)
    except AssertionError:
        return True
    return False
