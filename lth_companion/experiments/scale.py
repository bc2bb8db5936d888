"""How the papers' experiments become rows: scales, figures, chains of rounds, sweeps. No figure is declared here."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from lth_core.arms import ARMS
from lth_core.spec import Spec


@dataclass(frozen=True, kw_only=True)
class Scale:
    """How big an experiment is; the defaults are the ICLR paper's for LeNet.

    Networks on CIFAR-10 have iterations and rounds of their own (`cifar10_recipes`); these two bound them."""

    dataset: str = "mnist"
    iterations: int = 50_000
    trials: int = 5
    replicates: int = 3  # redraws of each control per ticket
    rounds: int = 27
    percent_step: float = 2.5  # spacing of one-shot levels, in percent of hidden weights removed
    noise_every: int = 1  # rounds between two that are trained with noise (ICLR F.7)
    eval_every: int = 0  # iterations between evaluations; 0: as the network's protocol says
    precision: str = "fp32"
    seed: int = 0


Rows = Callable[[Scale], list[Spec]]


@dataclass(frozen=True)
class Figure:
    """One figure or table: where it stands, which notebook draws it, and the networks it shows."""

    id: str
    notebook: str
    title: str
    rows: Rows
    paper: Scale = Scale()  # the paper's own scale
    published: Scale | None = None  # the scale in results/ where it is not the paper's
    quick: Scale | None = None  # profiles quick and smoke, where it is not `lenet.QUICK`
    quick_rows: Rows | None = None  # the same profiles: fewer networks, where all of them would take too long
    published_rows: Rows | None = None  # the same for results/
    further: str = ""  # the figure whose networks are more trials of this one's: the ledger counts them, no panel does
    masks: bool = False  # results/ keeps the masks of its tickets
    trained: tuple[int, ...] = ()  # results/ keeps the trained weights of its tickets at these rounds
    illustrates: str = ""  # in a sentence, what it is only a picture of; no claim is judged on it


def unpruned(scale: Scale, **changes: Any) -> list[Spec]:
    """Unpruned LeNet-300-100 of ICLR section 2 (Adam 1.2e-3, batch 60), one row per trial."""
    base = Spec(dataset=scale.dataset, iterations=scale.iterations, seed=scale.seed, **changes)
    return [base.at_round(0).with_counts(trial=t) for t in range(scale.trials)]


def chains(
    unpruned: list[Spec], arms: Iterable[str], rounds: Iterable[int], replicates: int, **pruned: Any
) -> list[Spec]:
    """Unpruned networks, and every round of each in each arm; `pruned` are fields that only pruned networks have."""
    levels, arms = [r for r in rounds if r], list(arms)

    def grow(first: Spec) -> list[Spec]:
        begun = [first.at_round(1, arm=arm, **pruned) for arm in arms]  # the others differ in counts alone
        return [
            row.with_counts(round=r, replicate=i) for r in levels for row in begun
            for i in range(replicates if ARMS[row.arm].redrawn else 1)
        ]  # fmt: skip

    rows = list(unpruned)
    made = grow(unpruned[0]) if unpruned else []
    for first in unpruned:  # most differ from the first of all in their trial alone
        alike = first == unpruned[0].with_counts(trial=first.trial)
        rows += [row.with_counts(trial=first.trial) for row in made] if alike else grow(first)
    return rows


def iterative(
    scale: Scale, arms: Iterable[str] = ("ticket",), *, rounds: Iterable[int] | None = None, rate: float = 0.2,
    each: dict[str, Any] | None = None, **changes: Any,
) -> list[Spec]:  # fmt: skip
    """Iterative pruning with resetting: every round of every trial, in each arm; control arms with replicates.

    `each` are fields that only pruned networks have (search, sigma, ...); `changes` are fields of all."""
    rounds = range(1, scale.rounds + 1) if rounds is None else rounds
    pruned = dict(prune_fc=rate, prune_out=rate / 2, **(each or {}))
    return chains(unpruned(scale, **changes), arms, rounds, scale.replicates, **pruned)


def one_shot(
    scale: Scale, arms: Iterable[str] = ("ticket",), *, percents: Iterable[float] | None = None, **changes: Any
) -> list[Spec]:
    """One cut to each level: p percent of both hidden layers and p/2 percent of the output layer are removed."""
    if percents is None:
        percents = [scale.percent_step * i for i in range(1, int(100 / scale.percent_step))]
    return [s for p in percents for s in iterative(scale, arms, rounds=(1,), rate=p / 100, **changes)]


def sweep(name: str, values: Iterable[Any], make: Callable[..., list[Spec]] = iterative, **fixed: Any) -> Rows:
    """The rows that `make` gives for each value of one field."""
    return lambda s: [row for v in values for row in make(s, **{**fixed, name: v})]


def rounds_down_to(rate: float, density: float) -> range:
    """Rounds of `rate` until at most about `density` of the weights remain."""
    r = 1
    while (1 - rate) ** r > density * 1.05:
        r += 1
    return range(1, r + 1)
