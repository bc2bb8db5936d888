"""Rounds and arms: which networks a row depends on, how it starts, and the runner that trains what a store lacks."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from lth_core import mistakes, prune, sparse
from lth_core.cell import Cell, key_of
from lth_core.data import Dataset, load
from lth_core.draws import generator, normal
from lth_core.engines.convolutional import engine as convolutional
from lth_core.halfway import Shelf
from lth_core.models import Masks, Network, Parameters, Trained, init_sd, initial, layers
from lth_core.spec import Spec, UsageError
from lth_core.store import Store

DENSE_COHORT = 64  # networks that train together at most; more are split


class Diverged(UsageError):
    """A row that cannot be made, because the network that decides its mask ended with weights that are no numbers."""


def parent(spec: Spec) -> Spec | None:
    """The network whose trained weights decide this row's mask, or None where no training does.

    A control arm has the parent of its ticket: the ticket of the round before."""
    return mistakes.steps_of(spec).parent(spec) if spec.grown else None


def rewound_to(spec: Spec) -> Spec | None:
    """The training that stops at iteration `spec.rewind`: its weights are the ticket's start in late rewinding."""
    if spec.rewind == 0 or spec.round == 0:
        return None
    return replace(spec.at_round(0), iterations=spec.rewind, eval_every=math.gcd(spec.eval_every, spec.rewind))


class Known(Protocol):
    """A source that holds masks of tickets without their chains, as `results.Published` does."""

    def has_masks(self, spec: Spec) -> bool: ...

    def masks(self, spec: Spec) -> Masks: ...


def spared(spec: Spec, known: Known | None) -> bool:
    """Whether a known mask of its ticket decides how this row starts, so that nothing need be trained before it."""
    if known is None or not spec.grown or spec.rewind or spec.search != "reset":
        return False
    return spec.arm not in ("continued", "random_sparsity") and known.has_masks(spec)


def needs(spec: Spec, known: Known | None = None) -> list[Spec]:
    """Rows that must be trained before this one; none where `known` masks spare them."""
    if spared(spec, known):
        return []
    return [s for s in (parent(spec), rewound_to(spec)) if s is not None]


def with_ancestors(rows: Iterable[Spec], known: Known | None = None) -> list[Spec]:
    """`rows` and everything they need, each once, earlier rounds first."""
    seen: dict[Spec, None] = {}
    todo = list(rows)
    while todo:
        spec = todo.pop()
        if spec not in seen:
            seen[spec] = None
            todo.extend(needs(spec, known))
    return sorted(seen, key=lambda s: (s.round, s.trial, s.arm, s.replicate))


def network(spec: Spec, found: Cell | None = None, rewound: Parameters | None = None) -> Network:
    """The network of a row as it stands before training.

    - `found`: the stored `parent(spec)`, whose trained weights are cut once more; None where there is no parent
    - `rewound`: weights of `rewound_to(spec)`; the initial ones if None
    """
    if spec.round == 0:
        return Network(spec, initial(spec), prune.full(spec))
    weights, steps = rewound or initial(spec), mistakes.steps_of(spec)
    if spec.arm == "random_sparsity" and not spec.grown:
        masks = prune.random(spec, prune.plan(spec))
    elif spec.arm == "prune_at_init":
        masks = prune.cut(spec, weights, prune.full(spec))
    else:
        if found is None:
            raise ValueError(f"round {spec.round} of {spec.arm} needs its parent")
        if not all(np.isfinite(w).all() for w in found.weights.values()):
            raise Diverged(f"{key_of(found.spec)} diverged: weights that are no numbers have no magnitudes to prune by")
        masks = steps.cut(spec, found.weights, found.masks)
        if spec.arm == "random_sparsity":
            masks = prune.random(spec, {name: int(mask.sum()) for name, mask in masks.items()})
        weights = found.weights if spec.arm == "continued" else steps.back(spec, weights, found.weights)
    made = start(spec, masks, weights)
    return replace(made, masks=steps.held(made.masks))


def start(spec: Spec, masks: Masks, weights: Parameters | None = None) -> Network:
    """The network of a row whose ticket has `masks`; `weights` to go back to, the initial ones if None.

    `spec.rescale` = 0.5 is Glorot's rule for the pruned layer: at density d its units have on average d times the
    incoming and outgoing connections, so that sqrt(2 / (fan in + fan out)) grows by d**-0.5. One factor per layer, as
    Glorot's rule has one; units that lost more of their connections than others get no more. Biases start at 0."""
    masks, weights = _arm(spec, masks, weights or initial(spec))
    if spec.rescale:
        for name, mask in masks.items():
            weights[name] = weights[name] * np.float32(max(mask.mean(), 1e-9) ** -spec.rescale)
    return Network(spec, prune.masked(weights, masks), masks)


def _arm(spec: Spec, masks: Masks, weights: Parameters) -> tuple[Masks, Parameters]:
    redraw = (spec.arm, spec.round, spec.replicate)
    if spec.arm in ("reinit", "random_sparsity"):
        return masks, initial(spec, redraw)
    if spec.arm in ("signs", "random_signs", "reinit_signs"):
        return masks, _signed(spec, weights)
    if spec.arm not in ("shuffle", "reinit_from_ticket", "noise"):
        return masks, dict(weights)
    masks, weights = dict(masks), dict(weights)
    for layer in layers(spec.arch, spec.dataset):
        name, key = layer.weight, (spec.seed, spec.trial, *redraw, layer.name)
        mask, values = masks[name], weights[name]
        if spec.arm == "noise":
            noise = normal(key, values.shape) * np.float32(spec.sigma * init_sd(spec, layer))
            weights[name] = values + noise
        elif spec.arm == "shuffle":
            order = prune.shuffled(key, mask)
            masks[name] = mask.ravel()[order].reshape(mask.shape)
            weights[name] = prune.masked({name: values}, {name: mask})[name].ravel()[order].reshape(mask.shape)
        else:
            drawn = np.zeros_like(values)
            drawn[mask] = generator(*key).choice(values[mask], int(mask.sum()))
            weights[name] = drawn
    return masks, weights


def _signed(spec: Spec, weights: Parameters) -> Parameters:
    """Starts that take signs and magnitudes from different places (Zhou et al. 2019, section 4.1).

    Both come from the ticket's `weights`, from `reinit` of this round and replicate, or are one constant per layer, so
    that two of these arms differ in signs or in magnitudes and in nothing else."""
    redrawn = initial(spec, ("reinit", spec.round, spec.replicate))
    made = dict(weights)
    for layer in layers(spec.arch, spec.dataset):
        signs = redrawn if spec.arm == "random_signs" else weights
        sizes = redrawn[layer.weight] if spec.arm == "reinit_signs" else np.float32(init_sd(spec, layer))
        made[layer.weight] = np.copysign(sizes, signs[layer.weight])
    return made


def from_store(spec: Spec, store: Store, known: Known | None = None) -> Network:
    """The network of a row, from the `known` masks of its ticket or the cells it needs in `store`."""
    if known and spared(spec, known):
        return start(spec, known.masks(spec))
    above, base = parent(spec), rewound_to(spec)
    found = store.read(key_of(above)) if above else None
    return network(spec, found, store.read(key_of(base)).weights if base else None)


def check_how(device: str, engine: str) -> None:
    """Refuse a device or engine that does not exist, before anything is trained."""
    if engine not in ("auto", "dense", "sparse", "convolutional"):
        raise UsageError(f"engine = {engine!r} does not exist; allowed: auto, dense, sparse, convolutional.")
    if device not in ("auto", "cpu"):
        from lth_core.train import device_of

        device_of(device)


def engine_for(spec: Spec, device: str, engine: str) -> str:
    """Which engine trains a row: on a CPU "sparse" for fully connected nets and "convolutional" for others in float32
    where it is faster, else "dense"."""
    if engine == "sparse" and not sparse.supports(spec):
        raise UsageError(f"engine = 'sparse' trains fully connected nets in fp32 only, not {spec.arch}: use dense.")
    if engine == "convolutional" and not convolutional.supports(spec):
        raise UsageError(
            f"engine = 'convolutional' trains convolutional nets in fp32 only, not {spec.arch}: use dense."
        )
    if engine != "auto":
        return engine
    if device == "cpu" or (device == "auto" and not _has_cuda()):
        if sparse.supports(spec):
            return "sparse"
        return "convolutional" if convolutional.supports(spec) and convolutional.faster(spec) else "dense"
    return "dense"


def _has_cuda() -> bool:
    from lth_core.train import torch

    return torch.cuda.is_available()


Tick = Callable[[str, int], None]


def train_all(
    networks: list[Network],
    data: Dataset,
    *,
    device: str = "auto",
    engine: str = "auto",
    progress: Tick | None = None,
    stop: Callable[[], bool] | None = None,
    shelf: Shelf | None = None,
) -> Iterator[tuple[Network, Trained]]:
    """Train networks of any kind, each with its engine, cohort by cohort; yields each as it is done.

    - `shelf`: where trainings of the dense and convolutional engines are kept that are stopped halfway, to go on
      from there
    """
    dense: dict[tuple, list[Network]] = {}
    fast: list[Network] = []
    maps: list[Network] = []
    for n in networks:
        chosen = engine_for(n.spec, device, engine)
        if chosen != "dense":
            (fast if chosen == "sparse" else maps).append(n)
        else:
            from lth_core.train import cohort_of

            dense.setdefault(cohort_of(n.spec), []).append(n)
    if fast:
        for i, trained in sparse.train(fast, data, progress=progress, stop=stop):
            yield fast[i], trained
    yield from convolutional.train_all(maps, data, progress, stop, shelf)
    for cohort in dense.values():
        at: dict[int, list[Network]] = {}
        for n in cohort:
            at.setdefault(shelf.iteration(n.spec) if shelf else 0, []).append(n)
        for iteration, part in sorted(at.items(), reverse=True):
            yield from _train_dense(part, data, device, progress, stop, shelf, iteration)


def _train_dense(
    cohort: list[Network],
    data: Dataset,
    device: str,
    progress: Tick | None,
    stop: Callable[[], bool] | None,
    shelf: Shelf | None,
    iteration: int,
) -> Iterator[tuple[Network, Trained]]:
    """A cohort in parts that fit on the device: where one does not, it and all that follow are halved.

    A row's result does not depend on which others train beside it, so splitting changes none."""
    from lth_core import train as dense

    at_once = DENSE_COHORT
    while cohort:
        part = cohort[:at_once]
        halves = [half for n in part if shelf and iteration and (half := shelf.load(n.spec))]
        keep = (lambda i, half, part=part: shelf.save(part[i].spec, half)) if shelf else None
        try:
            for i, trained in dense.train(
                part, data, device=device, progress=progress, stop=stop, halves=halves, keep=keep
            ):
                yield part[i], trained
            cohort = cohort[at_once:]
            continue
        except dense.torch.OutOfMemoryError as error:
            if len(part) == 1:
                raise UsageError(
                    f"a single network {part[0].spec.arch} with batches of {part[0].spec.batch_size} does not fit on "
                    f"device = {device!r}: free its memory, or choose another device."
                ) from error
        at_once = len(part) // 2  # out here the error is gone, and with it the tensors that its traceback held
        dense.torch.cuda.empty_cache()
        if progress:
            progress(f"out of memory on the device: going on with {at_once} networks at a time", 0)


@dataclass
class Report:
    """What a run did: rows trained now, already there, still missing because it was stopped, and those that cannot
    be made because an earlier round diverged (row -> why)."""

    trained: list[Spec] = field(default_factory=list)
    stored: int = 0
    missing: list[Spec] = field(default_factory=list)
    refused: dict[Spec, str] = field(default_factory=dict)


def shard_of(rows: list[Spec], index: int, count: int) -> list[Spec]:
    """Every `count`-th chain of rounds from the `index`-th (1-based): a chain is never split."""
    if not 1 <= index <= count:
        raise UsageError(f"shard {index}/{count} does not exist: give 1/{count} to {count}/{count}.")
    chains: dict[Spec, int] = {}
    for s in rows:
        chains.setdefault(s.at_round(0), len(chains))
    return [s for s in rows if chains[s.at_round(0)] % count == index - 1]


def run(
    rows: Iterable[Spec],
    store: Store,
    *,
    data_dir: str | Path | None = None,
    device: str = "auto",
    engine: str = "auto",
    budget: float | None = None,
    progress: Tick | None = None,
    begin: Callable[[int, int], None] | None = None,
    stop: Callable[[], bool] | None = None,
    known: Known | None = None,
) -> Report:
    """Train every row that `store` lacks, and what those need; may be stopped and run again at any moment.

    - `budget`: seconds after which it stops at the last finished network
    - `begin(cells, iterations)`: told once what is to be trained; `progress` then counts iterations down
    - `stop()`: once true, it stops there too
    - `known`: masks to start from, instead of training the chains that found them
    """
    check_how(device, engine)
    deadline = time.monotonic() + budget if budget is not None else None

    def late() -> bool:
        return (deadline is not None and time.monotonic() > deadline) or (stop is not None and stop())

    todo = with_ancestors(rows, known)
    report, shelf = Report(), Shelf(store.root)
    missing = [s for s in todo if not store.has(s)]
    report.stored = len(todo) - len(missing)
    if begin:
        begin(len(missing), sum(s.iterations for s in missing))
    while missing and not late():
        ready = [s for s in missing if all(store.has(n) for n in needs(s, known))]
        ready = [s for s in ready if s.dataset == ready[0].dataset]
        with store.claim(ready) as mine:
            networks = []
            for s in mine:
                try:
                    networks.append(from_store(s, store, known))
                except Diverged as error:
                    report.refused[s] = str(error)
            if networks:
                data = load(networks[0].spec.dataset, data_dir)
                done = train_all(
                    networks, data, device=device, engine=engine, progress=progress, stop=late, shelf=shelf
                )
                for net, trained in done:
                    store.save(net, trained)
                    shelf.remove(net.spec)
                    report.trained.append(net.spec)
        if not mine:
            time.sleep(0.5)  # another runner trains what is ready
        for s in missing:  # in order of rounds: what a refused row would have led to is refused as well
            if lost := next((n for n in needs(s, known) if n in report.refused), None):
                report.refused[s] = report.refused[lost]
        missing = [s for s in missing if s not in report.refused and not store.has(s)]
    report.missing = missing
    return report
