"""Rounds of pruning over a plain torch loop, and their controls."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from tqdm.auto import tqdm

from lth_core import analyse, prune
from lth_core.errors import UsageError
from lth_core.own.cost import measured, scale_of
from lth_core.own.examples import count
from lth_core.own.experiment import Experiment
from lth_core.own.finished_networks import Finished
from lth_core.own.initial_weights import built, check_draws, drawn
from lth_core.own.network import Trained, parts, trained
from lth_core.own.silent_mistakes import check_experiment, check_left
from lth_core.own.starts import start as started
from lth_core.own.state_dicts import Masks, State, copied, masked, named
from lth_core.own.ticket import Ticket
from lth_core.spec import numeric

Key = tuple[int, str, int, int]  # trial, arm, round, replicate


@dataclass(repr=False)
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

    def __repr__(self) -> str:
        some = f"{len(self.cells)} networks of {len(self.starts)} trials"
        return f"Found({some}: see .cells, .curves, .ticket(trial, round))"


def cut(
    experiment: Experiment, trained: State, alive: Masks, round: int, whole: Mapping[str, int] | None = None
) -> Masks:
    """The masks of `round`: the largest trained magnitudes among the weights `alive`, so that masks nest.

    Sizes follow the closed form n (1 - rate)^round, as everywhere here (`prune.kept`), n being all weights of a
    parameter, or as many as `whole` says. Masks of parameters that `rates` does not name stay as they are."""
    if missing := alive.keys() - trained.keys():
        raise UsageError(f"there are masks of {named(missing)} and no such weights; there are {named(trained)}.")
    rates = {n: rate for n, rate in experiment.rates.items() if n in alive}
    scores = {n: _magnitudes(trained[n]) for n in rates}
    living = {n: alive[n].cpu().numpy() for n in rates}
    sizes = {n: whole[n] if whole else x.size for n, x in scores.items()}
    if experiment.scope == "layer":
        found = {n: prune.largest(x, living[n], prune.kept(sizes[n], rates[n], round)) for n, x in scores.items()}
    else:
        found = prune.across(scores, living, prune.kept(sum(sizes.values()), next(iter(rates.values())), round))
    return {**alive, **{n: torch.from_numpy(np.asarray(mask)) for n, mask in found.items()}}


def _magnitudes(weights: torch.Tensor) -> np.ndarray:
    size = weights.detach().cpu().abs()
    return (size if size.dtype in (torch.float32, torch.float64) else size.float()).numpy()  # numpy has no bfloat16


def run(
    experiment: Experiment,
    *,
    rounds: int,
    trials: int,
    arms: Sequence[str] = ("ticket", "reinit"),
    replicates: int = 1,
    progress: Callable[[str], None] | None = None,
    start: Ticket | Mapping[int, Ticket] | None = None,
    first_trial: int = 0,
    store: str | Path | None = None,
) -> Found:
    """Iterative magnitude pruning with rewinding, and its controls, `trials` times from different initial weights.

    - `rounds`: cuts; each starts from what the ticket of the round before learnt
    - `arms`: of `ARMS`; tickets are always trained, since masks come from them
    - `replicates`: redraws of each control
    - `progress(message)`: told what the run will cost, then of each network before it trains; without it, a terminal
      or notebook shows a bar
    - `start`: weights and masks to go on from, such as a ticket that another library found, or trial -> ticket. It
      takes round 1 if its masks prune anything, and further cuts go from what it keeps; all trials start from it and
      differ in their batches
    - `first_trial`: the number of the first trial; with it two machines can share the work
    - `store`: a folder that keeps each finished network; a run that was broken off goes on there when it is called
      again. Another experiment there is kept apart

    >>> x, y = torch.randn(60, 4), torch.randint(2, (60,))
    >>> experiment = Experiment(model=lambda: torch.nn.Linear(4, 2), train=(x, y), test=(x, y), rates={"weight": 0.5},
    ...     optimizer=lambda parameters: torch.optim.SGD(parameters, lr=0.1), iterations=4, eval_every=2)
    >>> run(experiment, rounds=2, trials=1, arms=["ticket"]).cells["weights"].tolist()
    [8, 4, 2]
    """
    rounds, trials, replicates, arms = scale_of(rounds, trials, replicates, arms)
    first_trial = numeric("first_trial", first_trial, int)
    if first_trial < 0:
        raise UsageError(f"first_trial = {first_trial} must be at least 0.")
    if progress is not None and not callable(progress):
        raise UsageError(f"progress = {progress!r} is no function: give one that takes a message, or leave it out.")
    if not experiment.rates:
        raise UsageError("rates is empty: name what is pruned and how fast, such as own.rates_of(experiment.model()).")
    if not any(experiment.rates.values()):
        raise UsageError("rates are all 0, so nothing would be pruned: give a fraction, such as 0.2.")
    check_experiment(experiment)
    numbers = range(first_trial, first_trial + trials)
    starts = _starts(experiment, start, numbers)
    for trial in numbers:
        check_left(experiment, rounds, starts.get(trial))
    check_draws(experiment, tuple(arms), trials, bool(starts))
    controls = [(arm, i) for arm in arms if arm != "ticket" for i in range(replicates)]
    begins = {id(t): t for t in (starts.values() if starts else [None])}
    kept = {i: Finished(store, experiment, t) for i, t in begins.items()} if store is not None else {}
    found, cells, curves = Found(), [], []
    total = sum(_networks(rounds, len(controls), _first_round(starts.get(trial))) for trial in numbers)
    with _telling(experiment, total, progress) as tell:
        for trial, begin in ((trial, starts.get(trial)) for trial in numbers):
            for key, masks, one, seconds in _chain(
                experiment, found, trial, rounds, controls, begin, kept.get(id(begin)), tell
            ):
                cells.append(row(experiment, key, masks, one, seconds, _first_round(begin)))
                curves.append(pd.DataFrame(one.curves).assign(key=cells[-1]["key"]))
    found.cells, found.curves = pd.DataFrame(cells), pd.concat(curves, ignore_index=True)
    return found


def _chain(
    experiment: Experiment,
    found: Found,
    trial: int,
    rounds: int,
    controls: list[tuple[str, int]],
    start: Ticket | None,
    kept: Finished | None,
    tell: Callable[[str], None],
) -> Iterator[tuple[Key, Masks, Trained, float]]:
    """The networks of one trial, trained one after the other; its starts and masks go into `found`."""
    found.starts[trial] = copied(start.weights) if start else drawn(experiment, trial, "init")
    first = _first_round(start)
    masks: Masks = {n: torch.ones_like(found.starts[trial][n], dtype=torch.bool) for n in experiment.rates}
    masks |= {n: m.cpu() for n, m in start.masks.items()} if start else {}
    whole = {n: int(masks[n].sum()) for n in experiment.rates}
    for number in range(first, first + rounds + 1):
        found.masks[trial, number] = masks
        grown = None
        for arm, replicate in [("ticket", 0), *(controls if number else [])]:
            key = (trial, arm, number, replicate)
            tell(f"trial {trial}, round {number}, {arm}")
            one, seconds = _network(experiment, found.starts[trial], masks, key, kept, first=number == first)
            yield key, masks, one, seconds
            grown = grown or one
        assert grown is not None
        if number == first:
            found.starts[trial] = grown.rewound
        if not grown.finite:
            break  # weights that are no numbers have no magnitudes to prune by
        masks = cut(experiment, grown.weights, masks, number + 1 - first, whole)


def _network(
    experiment: Experiment, weights: State, masks: Masks, key: Key, kept: Finished | None, *, first: bool
) -> tuple[Trained, float]:
    """One network, trained now or read from where finished ones are kept, and the seconds that its training took."""

    def now() -> tuple[Trained, float]:
        began = time.perf_counter()
        one = trained(experiment, started(experiment, key[1], weights, masks, key), key)
        return one, time.perf_counter() - began

    if kept is None:
        return now()
    name = name_of(experiment, key)
    with kept.turn(name):
        there = kept.read(name)
        if there is None:
            one, seconds = now()
            grows = key[1] == "ticket"
            kept.write(name, one, seconds, grows=grows, first=grows and first)
            there = one, seconds
    return there


def _first_round(start: Ticket | None) -> int:
    """0, the unpruned network, or 1 where what is given to start from is pruned already."""
    return int(start is not None and any(not bool(m.all()) for m in start.masks.values()))


def _networks(rounds: int, controls: int, first: int) -> int:
    return 1 + rounds + controls * (rounds + first)


def _starts(experiment: Experiment, start: Ticket | Mapping[int, Ticket] | None, trials: range) -> dict[int, Ticket]:
    """The ticket that each trial starts from; none where weights are drawn."""
    if start is None:
        return {}
    given = dict.fromkeys(trials, start) if isinstance(start, Ticket) else start
    if not isinstance(given, Mapping) or not all(isinstance(t, Ticket) for t in given.values()):
        raise UsageError(
            "start is no ticket: give an own.Ticket, such as torchprune.ticket_of makes, or trial -> Ticket."
        )
    if missing := [t for t in trials if t not in given]:
        raise UsageError(f"start lacks a ticket for trial {missing[0]}; it has {', '.join(map(str, given)) or 'none'}.")
    module = built(experiment, 0, "init")
    fitting = {id(given[trial]): given[trial].fits(module) for trial in trials}
    return {trial: fitting[id(given[trial])] for trial in trials}


@contextmanager
def _telling(
    experiment: Experiment, networks: int, progress: Callable[[str], None] | None
) -> Iterator[Callable[[str], None]]:
    """Where each network is announced: to `progress`, else on a bar where someone watches."""
    watched = (sys.stderr is not None and sys.stderr.isatty()) or "ipykernel" in sys.modules
    if progress:
        progress(str(measured(experiment, networks)))
        yield progress
    elif not watched:
        yield lambda message: None
    else:
        print(measured(experiment, networks), file=sys.stderr)
        with tqdm(total=networks, unit="network") as bar:
            told: list[str] = []

            def tell(message: str) -> None:
                bar.update(int(bool(told)))
                told.append(message)
                bar.set_postfix_str(message)

            yield tell
            bar.update(1)


def name_of(experiment: Experiment, key: Key) -> str:
    """A network's name among those of a run; of another seed than 0 it ends with it, so that tables can be joined."""
    trial, arm, number, replicate = key
    return f"{arm}-{trial}-{number}-{replicate}" + (f"-seed{experiment.seed}" if experiment.seed else "")


def row(
    experiment: Experiment, key: Key, masks: Masks, trained: Trained, seconds: float, first: int = 0
) -> dict[str, Any]:
    """A network's row of `Found.cells`. `prune_fc` is the largest rate: it places the row among the papers' levels.

    Where a run starts from a pruned network (`first` is 1), it is the rate at which as many rounds leave as much."""
    trial, arm, number, replicate = key
    kept, size = sum(int(m.sum()) for m in masks.values()), sum(m.numel() for m in masks.values())
    sizes = {part: count(inputs) for part, (inputs, _) in parts(experiment).items()}
    rate = max(experiment.rates.values()) if not first else 1 - (kept / size) ** (1 / number)
    return {
        "key": name_of(experiment, key), "trial": trial, "round": number, "arm": arm,
        "replicate": replicate, "prune_fc": rate if number else 0.0, "prune_conv": 0.0,
        "density": kept / size, "weights": kept, **analyse.summary(pd.DataFrame(trained.curves), sizes),
        "diverged": not trained.finite, "seconds": seconds, "engine": "torch", "device": experiment.device,
        "seed": experiment.seed,
    }  # fmt: skip
