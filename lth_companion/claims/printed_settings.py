"""The ledger's tests of counts and settings: what the papers print about their own set-up, against this code. What the
answers mean: `lth_core.judge.result`."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np

from lth_companion.experiments import catalogue
from lth_core import data, models, prune
from lth_core.errors import UsageError
from lth_core.judge.result import Arguments, Result, claim_test, counted
from lth_core.levels import Lacking
from lth_core.networks import PRUNING
from lth_core.spec import Spec


@lru_cache(maxsize=128)
def declared(figure: str) -> tuple[Spec, ...]:
    """The rows of a figure at the paper's scale."""
    return tuple(catalogue.rows(figure))


def equal(effect: float, number: float, within: float = 0.0, note: str = "") -> Result:
    """A number that is computed, not measured: it is the printed one to its last digit, or not."""
    return counted(effect, abs(effect - number) <= within, note=note)


def _weights_unit(arguments: Arguments) -> str:
    return "%" if arguments.get("share") else "weights"


@claim_test(needs="settings", unit=_weights_unit)
def weights_of(
    *,
    arch: str,
    dataset: str,
    number: float,
    digits: float,
    layers: Sequence[str] = (),
    share: bool = False,
    uncut: bool = False,
) -> Result:
    """Weights of an architecture (of the named layers, or roles; `uncut`: of those that no pruning rate is for), or
    their percent of all. `digits`: the last printed digit's worth; papers round or truncate."""
    try:
        table = list(models.layers(arch, dataset))
    except UsageError as error:
        raise Lacking(f"{arch} is not built yet") from error
    half = Spec(arch=arch, dataset=dataset).at_round(1, prune_conv=0.5, prune_fc=0.5, prune_out=0.5)
    table = [x for x in table if not uncut or prune.rate(half, x) == 0]
    sizes = [int(np.prod(x.shape)) for x in table if not layers or x.name in layers or x.role in layers]
    if not sizes:
        raise Lacking(f"{arch} has no layers {', '.join(layers)}")
    total = models.weight_count(arch, dataset)
    effect = 100 * sum(sizes) / total if share else float(sum(sizes))
    return equal(effect, number, digits, f"{sum(sizes):,} of {total:,} weights")


@claim_test(needs="settings", unit="parameters")
def parameters_of(*, arch: str, dataset: str, number: float, digits: float) -> Result:
    """All numbers that an architecture keeps: weights, biases, batch normalisation with its running statistics."""
    kept = sum(w.size for w in models.initial(Spec(arch=arch, dataset=dataset)).values())
    return equal(
        float(kept), number, digits, f"{kept:,} numbers, {models.weight_count(arch, dataset):,} of them weights"
    )


@claim_test(needs="settings", unit="")
def setting(*, figure: str, wanted: dict[str, Any], where: dict[str, Any] | None = None) -> Result:
    """The declared rows of a figure at the paper's scale have these fields."""
    if figure not in catalogue.FIGURES:
        raise Lacking("no networks are planned for this sentence yet")
    wanted = {k: tuple(v) if isinstance(v, list) else v for k, v in wanted.items()}
    rows = [r for r in declared(figure) if all(getattr(r, k) == v for k, v in (where or {}).items())]
    rows = [r for r in rows if r.round or not PRUNING & set(wanted)]
    wrong = sum(any(getattr(r, k) != v for k, v in wanted.items()) for r in rows)
    holds = bool(rows) and wrong == 0
    return counted(float(len(rows) - wrong), holds, note=f"{len(rows)} rows declared, {wrong} differ")


@claim_test(needs="settings", unit="")
def half_rate(*, figure: str, number: float) -> Result:
    """Pruning rate of the output layer over that of the hidden layers, in every pruned row of a figure."""
    rows = [r for r in declared(figure) if r.round]
    ratios = np.array([r.prune_out / r.prune_fc for r in rows])
    return equal(float(ratios.mean()), number, 1e-9 if np.ptp(ratios) < 1e-9 else -1.0)


@claim_test(needs="settings", unit="")
def initial_sd(*, init: str, init_sd: float, number: float, within: float) -> Result:
    """Standard deviation of a network's initial weights after truncation, as drawn; the worst of its layers."""
    drawn = models.initial(Spec(init=init, init_sd=init_sd))
    found = max((w.std() for n, w in drawn.items() if n.endswith("weight")), key=lambda s: abs(s - number))
    return equal(float(found), number, within)


@claim_test(needs="settings", unit="")
def layer_count(
    *, arch: str, dataset: str, number: int, role: str = "", pool: str = "", shortcut: str = "", side: int = 0
) -> Result:
    """Layers of an architecture, or those of a role ("conv", "fc"), before a pooling ("max", "mean"), at the end of a
    residual pair (shortcut "added"), or with kernels of so many pixels a side."""
    try:
        table = models.layers(arch, dataset)
    except UsageError as error:
        raise Lacking(f"{arch} is not built yet") from error
    wanted = {k: v for k, v in dict(role=role, pool=pool, shortcut=shortcut).items() if v}
    found = [x for x in table if all(getattr(x, k) == v for k, v in wanted.items())]
    return equal(sum(not side or x.shape[2:] == (side, side) for x in found), number)


@claim_test(needs="settings", unit="")
def split_sizes(*, dataset: str, numbers: Sequence[int]) -> Result:
    """Images for training, validation and test; the official sets have 60,000 (MNIST) and 50,000 (CIFAR-10)."""
    train, val, test = numbers
    known = data.KNOWN[dataset]
    holds = (known.train, known.val, known.test) == (train, val, test)
    return counted(float(known.train), holds, note="training images")


@claim_test(needs="settings", unit="")
def trainings(*, rate: float, to: float, number: int, within: int = 1) -> Result:
    """Rounds until about `to` of the hidden weights remain: the nearest power of 1 - rate."""
    return equal(float(np.round(np.log(to) / np.log(1 - rate))), number, within)


@claim_test(needs="settings", unit="% remaining")
def ends_below(*, figure: str, percent: float) -> Result:
    """The last declared round of a figure is the first that leaves fewer of the hidden weights than so many percent."""
    last = max((r for r in declared(figure) if r.arm == "ticket"), key=lambda r: r.round)
    left, before = (100 * (1 - last.prune_fc) ** r for r in (last.round, last.round - 1))
    return counted(left, left < percent <= before, note=f"after {last.round} rounds; {before:.2f}% a round before")


@claim_test(needs="settings", unit="% remaining")
def kept_percent(
    *, arch: str, dataset: str, rounds: Sequence[int], numbers: Sequence[float], layer: str = "", within: float = 0.1
) -> Result:
    """Percent of weights kept after each round, of all or of one layer: the worst distance from the printed ones."""
    found = []
    for r in rounds:
        spec = Spec(arch=arch, dataset=dataset).at_round(r)
        size = {x.weight: int(np.prod(x.shape)) for x in models.layers(arch, dataset)}
        kept = prune.plan(spec)
        found.append(100 * (kept[layer] / size[layer] if layer else sum(kept.values()) / sum(size.values())))
    worst = int(np.abs(np.array(found) - numbers).argmax())
    return equal(found[worst], numbers[worst], within)
