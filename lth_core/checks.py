"""The ledger's tests that need no trained LeNet: XOR networks, trained here in a second; counts and settings, read off
the code. See `judge` for what a `Result` means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core import data, models, paper, prune, xor
from lth_core.analyse import bootstrap
from lth_core.judge import Result, Test, excludes
from lth_core.levels import PRUNING, Lacking, rank_correlation
from lth_core.spec import Spec, UsageError

NAN = float("nan")


# XOR: every claim of v1 section 2 is judged on networks trained while the ledger is made.


@lru_cache
def xor_table(figure: int) -> pd.DataFrame:
    return (xor.figure1 if figure == 1 else xor.figure2)()


def group(strategy: str, hidden: int, success: str, given_parent: bool = False) -> NDArray:
    """Success (0 or 1) of each trial of a strategy at a number of units."""
    t = xor_table(1 if strategy == "random networks" else 2)
    t = t[(t.strategy == strategy) & (t.hidden == hidden)]
    return (t[t[f"parent_{success}"]] if given_parent else t)[success].to_numpy(float)


def xor_rate(
    *, strategy: str, hidden: int, success: str, number: float, printed_n: int = 1000, given_parent: bool = False
) -> Result:
    """Percent of networks that succeed, with Wilson's interval. Agrees when Newcombe's interval of measured minus
    printed, itself a count of `printed_n` trials, contains 0; in direction: within 15 points."""
    x = group(strategy, hidden, success, given_parent)
    low, high = xor.wilson(x.sum(), len(x))
    _, below, above = xor.difference(x.sum(), len(x), number * printed_n / 100, printed_n)
    return Result(
        100 * x.mean(), 100 * low, 100 * high, len(x), below <= 0 <= above, abs(100 * x.mean() - number) <= 15
    )


def xor_gain(
    *, success: str, hidden: Sequence[int], first: str, second: str, number: float | None = None,
    within: float = 5.0, equal: bool = False,
) -> Result:  # fmt: skip
    """Points by which the first strategy succeeds more often than the second, at its own number of units each.

    Both start from the same parents where both prune, so differences pair by trial; else they are independent.
    `equal` states that the two differ by at most `within`."""
    a, b = group(first, hidden[0], success), group(second, hidden[1], success)
    effect = 100 * (a.mean() - b.mean())
    if "random networks" in (first, second):
        _, low, high = (100 * x for x in xor.difference(a.sum(), len(a), b.sum(), len(b)))
    else:
        half = 196 * (a - b).std(ddof=1) / np.sqrt(len(a))
        low, high = effect - half, effect + half
    if equal:
        return Result(effect, low, high, len(a), abs(effect) <= within, bool(low <= within and high >= -within))
    sure = excludes(low, high) > 0
    hits = number is None or abs(effect - number) <= within
    return Result(effect, low, high, len(a), sure and hits, sure)


def xor_ratio(
    *, success: str, first: str, hidden: int, number: float, within: float, second: str = "random networks"
) -> Result:
    """How many times as often the first strategy succeeds: ratio of two proportions, log-normal interval."""
    a, b = group(first, hidden, success), group(second, hidden, success)
    effect = a.mean() / b.mean()
    half = 1.96 * np.sqrt((1 - a.mean()) / a.sum() + (1 - b.mean()) / b.sum())
    low, high = effect * np.exp(-half), effect * np.exp(half)
    sure = excludes(low, high, 1.0) > 0
    return Result(effect, low, high, len(a), sure and abs(effect - number) <= within, sure)


def xor_rises(*, success: str) -> Result:
    """Success rises with every two units more: the smallest of the four steps, in points. In direction: on means."""
    counts = [group("random networks", h, success) for h in sorted(xor.HIDDEN)]
    pairs = zip(counts[1:], counts[:-1], strict=True)
    steps = [xor.difference(a.sum(), len(a), b.sum(), len(b)) for a, b in pairs]
    effect, low, high = (100 * x for x in min(steps))
    return Result(effect, low, high, len(counts[0]), low > 0, effect > 0, "smallest of four steps")


def xor_gaps(*, numbers: Sequence[float], within: float) -> Result:
    """Boundary minus zero-loss rate at each size, in points: the largest distance from the printed gaps."""
    gaps = [100 * (group("random networks", h, "right") - group("random networks", h, "zero")) for h in xor.HIDDEN]
    means = np.array([g.mean() for g in gaps])
    worst = int(np.abs(means - numbers).argmax())
    half = 1.96 * gaps[worst].std(ddof=1) / np.sqrt(len(gaps[worst]))
    rising = bool((np.diff(means) > 0).all())
    return Result(
        means[worst], means[worst] - half, means[worst] + half, len(gaps[0]),
        rising and abs(means[worst] - numbers[worst]) <= within, bool((means > 0).all()),
        f"gaps {', '.join(f'{g:.1f}' for g in means)} at {', '.join(map(str, xor.HIDDEN))} units",
    )  # fmt: skip


def xor_exact(*, values: Sequence[int]) -> Result:
    """The printed two-unit solution: right at each n, and loss falls towards 0."""
    found = [xor.outcome(xor.solution(n)) for n in values]
    losses = [float(f.loss.iat[0]) for f in found]
    right = all(f.margin.iat[0] > 0 for f in found)
    falls = right and losses == sorted(losses, reverse=True) and losses[-1] < 1e-6
    return Result(losses[-1], NAN, NAN, len(values), falls, right, f"loss at n = {values[-1]}")


def xor_score(*, trials: int = 300) -> Result:
    """Does input x output magnitude rank units by what they add to the output better than either factor alone?
    Rank correlation with a unit's mean |contribution| on the four points, product minus the better factor."""
    weights = xor.train(xor.initial(trials, 10))
    u = weights[:-1].reshape(-1, 4, trials).astype(float)
    active = np.maximum(np.einsum("pd,hdn->phn", xor.POINTS, u[:, :2]) + u[:, 2], 0)
    adds = np.abs(active * u[:, 3]).mean(0)
    rho = {
        c: np.array([rank_correlation(xor.score(weights, c)[:, i], adds[:, i]) for i in range(trials)])
        for c in ("product", "input", "output")
    }
    lead = rho["product"] - np.maximum(rho["input"].mean(), rho["output"].mean())
    low, high = bootstrap(lead, draws=2000)
    return Result(float(lead.mean()), low, high, trials, low > 0, low > 0, f"rho {rho['product'].mean():.2f}")


def xor_parents(*, widths: Sequence[int] = (4, 6, 8, 10), trials: int = 1000) -> Result:
    """Two-unit tickets cut from parents of growing width: points of zero-loss success from the narrowest to the widest,
    whether or not the parent succeeds."""
    rates = []
    for h in widths:
        start = xor.initial(trials, h)
        ticket = xor.subnet(start, xor.survivors(xor.score(xor.train(start), "product"), 2))
        rates.append(int((xor.outcome(xor.train(ticket)).loss < xor.ZERO_LOSS).sum()))
    effect, low, high = (100 * x for x in xor.difference(rates[-1], trials, rates[0], trials))
    rising = bool((np.diff(rates) > 0).all())
    listed = ", ".join(f"{r / trials:.0%}" for r in rates)
    note = f"{listed} from parents of {', '.join(map(str, widths))} units"
    return Result(effect, low, high, trials, rising and low > 0, low > 0, note)


# Counts and settings: what the papers print about their own set-up, against this code.


def counted(effect: float, number: float, within: float = 0.0, note: str = "", near: float = 0.1) -> Result:
    """A number that is computed, not measured: no interval."""
    return Result(effect, NAN, NAN, 1, abs(effect - number) <= within, abs(effect / number - 1) <= near, note)


def weights_of(
    *, arch: str, dataset: str, number: float, digits: float, layers: Sequence[str] = (), share: bool = False
) -> Result:
    """Weights of an architecture (of the named layers, or roles), or their percent of all. `digits`: the last printed
    digit's worth; papers round or truncate."""
    try:
        table = models.layers(arch, dataset)
    except UsageError as error:
        raise Lacking(f"{arch} is not built yet") from error
    sizes = [int(np.prod(x.shape)) for x in table if not layers or x.name in layers or x.role in layers]
    if not sizes:
        raise Lacking(f"{arch} has no layers {', '.join(layers)}")
    total = models.weight_count(arch, dataset)
    effect = 100 * sum(sizes) / total if share else float(sum(sizes))
    return counted(effect, number, digits, f"{sum(sizes):,} of {total:,} weights")


def setting(*, figure: str, wanted: dict[str, Any], where: dict[str, Any] | None = None) -> Result:
    """The declared rows of a figure at the paper's scale have these fields."""
    if figure not in paper.FIGURES:
        raise Lacking(f"{figure} is not declared yet")
    wanted = {k: tuple(v) if isinstance(v, list) else v for k, v in wanted.items()}
    rows = [r for r in paper.rows(figure) if all(getattr(r, k) == v for k, v in (where or {}).items())]
    rows = [r for r in rows if r.round or not PRUNING & set(wanted)]
    wrong = sum(any(getattr(r, k) != v for k, v in wanted.items()) for r in rows)
    holds = bool(rows) and wrong == 0
    return Result(float(len(rows) - wrong), NAN, NAN, 1, holds, holds, f"{len(rows)} rows declared, {wrong} differ")


def half_rate(*, figure: str, number: float) -> Result:
    """Pruning rate of the output layer over that of the hidden layers, in every pruned row of a figure."""
    rows = [r for r in paper.rows(figure) if r.round]
    ratios = np.array([r.prune_out / r.prune_fc for r in rows])
    return counted(float(ratios.mean()), number, 1e-9 if np.ptp(ratios) < 1e-9 else -1.0)


def initial_sd(*, init: str, init_sd: float, number: float, within: float) -> Result:
    """Standard deviation of a network's initial weights after truncation, as drawn; the worst of its layers."""
    drawn = models.initial(Spec(init=init, init_sd=init_sd))
    found = max((w.std() for n, w in drawn.items() if n.endswith("weight")), key=lambda s: abs(s - number))
    return counted(float(found), number, within)


def layer_count(*, arch: str, dataset: str, role: str, number: int) -> Result:
    """Layers of a role ("conv", "fc") in an architecture."""
    try:
        return counted(sum(x.role == role for x in models.layers(arch, dataset)), number)
    except UsageError as error:
        raise Lacking(f"{arch} is not built yet") from error


def split_sizes(*, dataset: str, numbers: Sequence[int]) -> Result:
    """Images for training, validation and test; the official sets have 60,000 (MNIST) and 50,000 (CIFAR-10)."""
    train, val, test = numbers
    pool = {"mnist": 60_000, "cifar10": 50_000}[dataset]
    holds = data.VALIDATION[dataset] == val and pool - val == train and data.EVALUATED[dataset]["test"] == test
    return Result(float(pool - data.VALIDATION[dataset]), NAN, NAN, 1, holds, holds, "training images")


def trainings(*, rate: float, to: float, number: int, within: int = 1) -> Result:
    """Rounds until about `to` of the hidden weights remain: the nearest power of 1 - rate."""
    return counted(float(np.round(np.log(to) / np.log(1 - rate))), number, within)


def total_trainings(*, figures: Sequence[str], number: int) -> Result:
    """Different networks behind several figures at the paper's scale; at least so many are stated."""
    total = len({r for f in figures for r in paper.rows(f)})
    return Result(float(total), NAN, NAN, 1, total >= number, total >= 0.8 * number)


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
    return counted(found[worst], numbers[worst], within)


def arithmetic(*, effect: float, number: float, within: float, note: str) -> Result:
    """A statement about printed numbers alone; `effect` is what they give."""
    return counted(effect, number, within, note)


ALONE: dict[str, Test] = {
    f.__name__: f
    for f in (
        xor_rate, xor_gain, xor_ratio, xor_rises, xor_gaps, xor_exact, xor_score, xor_parents, weights_of, setting,
        half_rate, split_sizes, trainings, total_trainings, kept_percent, arithmetic, initial_sd, layer_count,
    )
}  # fmt: skip
