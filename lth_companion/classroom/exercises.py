"""What exercises 2 to 4 need beside the library: short trainings on digits, and five broken implementations.

Everything a student does by hand works on plain arrays: weights are float32 `(out, in)`, masks are bool of that shape.
numpy and scikit-learn (for its digits) are all that this imports: a class does without numba and torch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from html import escape

import numpy as np
from numpy.typing import NDArray

from lth_companion.classroom import numpy_engine
from lth_companion.html import table
from lth_core import data, prune, starts
from lth_core.analyse import stop_index
from lth_core.data import EVALUATED
from lth_core.models import Masks, Network, Parameters, Trained, initial, layers
from lth_core.spec import Spec

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
    return [_result(trained) for trained in numpy_engine.train(made, data.load("digits"))]


def _result(trained: Trained) -> Result:
    stop = stop_index(trained.curves["val_loss"])
    return Result(trained.weights, _at_early_stopping(trained.curves), int(trained.curves["iteration"][stop]))


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
Curves = Mapping[str, Sequence[float] | NDArray]
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

    `report(curves)` gives the test accuracy it would print for a training whose curves are columns of numbers by name:
    iteration, val_loss and test_correct (of 360 images)."""

    initial: Mapping[str, NDArray[np.float32]]
    rounds: Sequence[Round]
    report: Callable[[Curves], float]


def _at_early_stopping(curves: Curves) -> float:
    stop = stop_index(np.asarray(curves["val_loss"], float))
    return float(np.asarray(curves["test_correct"])[stop]) / EVALUATED[DIGITS.dataset]["test"]


def _best_on_test(curves: Curves) -> float:
    """The mistake of `lth_core.mistakes.best_on_test`, for one training."""
    return float(np.max(curves["test_correct"])) / EVALUATED[DIGITS.dataset]["test"]


@lru_cache
def implementations(seed: int = 0) -> dict[str, Implementation]:
    """The method as it should be ("right") and five broken ones ("A" to "E"), each run on a tiny network.

    The mistakes are those of `lth_core.mistakes`; which letter is which is for you to find out."""
    searches = {"reset", *BROKEN.values()} - {"test_leak"}
    grown = _grown([_row(s, r, seed=seed) for s in sorted(searches) for r in (0, *ROUNDS)])
    made = {"right": _implementation(grown, "reset", _at_early_stopping, seed)}
    for letter, mistake in BROKEN.items():
        leak = mistake == "test_leak"
        made[letter] = _implementation(
            grown, "reset" if leak else mistake, _best_on_test if leak else _at_early_stopping, seed
        )
    return made


def _row(search: str, round: int, arm: str = "ticket", seed: int = 0) -> Spec:
    return replace(TINY, seed=seed).at_round(round, **({"search": search, "arm": arm} if round else {}))


Grown = Mapping[Spec, tuple[Network, Parameters]]  # a row's network before its training, and its weights after it


def _grown(wanted: Iterable[Spec]) -> Grown:
    """These rows and the parents that their masks come from, trained round by round."""
    rows, todo = set(), list(wanted)
    while todo:
        row = todo.pop()
        if row not in rows:
            rows.add(row)
            todo += [starts.steps_of(row).parent(row)] if row.grown else []
    made: dict[Spec, tuple[Network, Parameters]] = {}
    for number in sorted({row.round for row in rows}):
        networks = [_started(row, made) for row in sorted(rows, key=repr) if row.round == number]
        trained = numpy_engine.train(networks, data.load("digits"))
        made |= {n.spec: (n, done.weights) for n, done in zip(networks, trained, strict=True)}
    return made


def _started(row: Spec, made: Grown) -> Network:
    if not row.grown:
        return starts.network(row)
    above = starts.steps_of(row).parent(row)
    return starts.network(row, Network(above, made[above][1], made[above][0].masks))


def _implementation(grown: Grown, search: str, report: Callable[[Curves], float], seed: int) -> Implementation:
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
                matrices(grown[own][0].weights),
                matrices(grown[own][1]),
                matrices(grown[above][1]),
                matrices(_started(control, grown).weights),
                prune.plan(own),
            )
        )
    return Implementation(matrices(initial(replace(TINY, seed=seed))), rounds, report)


Test = Callable[[Implementation], None]


@dataclass(frozen=True, repr=False)
class Grades:
    """What your tests found. `failed[implementation][test]`: True where the test fails it; `broken`: a sentence for
    each test that did not run to its end, which is a mistake of the test and not of what it tests."""

    failed: Mapping[str, Mapping[str, bool]]
    broken: Sequence[str]

    def __repr__(self) -> str:
        lines = [f"{name}: fails {', '.join(t for t in row if row[t]) or 'none'}" for name, row in self.failed.items()]
        return "\n".join([*lines, *self.broken])

    def _repr_html_(self) -> str:
        tests = list(next(iter(self.failed.values())))
        rows = [(name, *("fails" if row[t] else "passes" for t in tests)) for name, row in self.failed.items()]
        heads = [escape(t).replace("_", "_<wbr>") for t in tests]  # else a long name makes a wide column
        return table(("implementation", *heads), rows, caption="What each of your tests says of each implementation")


def grade(tests: Sequence[Test], seed: int = 0) -> Grades:
    """What each of your tests says of each implementation. A test fails one by an `assert`; anything else that stops
    it is noted as the test's own mistake."""
    failed: dict[str, dict[str, bool]] = {}
    broken: dict[str, str] = {}
    for name, made in implementations(seed).items():
        failed[name] = {}
        for test in tests:
            own = getattr(test, "__name__", str(test))
            failed[name][own] = False
            try:
                test(made)
            except AssertionError:
                failed[name][own] = True
            except Exception as error:
                said = f"your test {own} has a mistake itself: it stops with {type(error).__name__} ({error})"
                broken.setdefault(own, f"{said} on the implementation {name}")
    return Grades(failed, list(broken.values()))


def fault(test: Test, seed: int = 0) -> str:
    """What is wrong with one of your tests, as a sentence; nothing if the right implementation passes it and a broken
    one does not."""
    found = grade([test], seed)
    own = getattr(test, "__name__", str(test))
    if found.broken:
        return found.broken[0]
    if found.failed["right"][own]:
        return f"the right implementation fails {own}: it asks for something that the method does not promise"
    if not any(found.failed[name][own] for name in BROKEN):
        return f"all five broken implementations pass {own}"
    return ""
