"""The ledger's tests on XOR networks (v1 section 2), which are trained here, in a second, while the ledger is made. See
`judge` for what a `Result` means."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.experiments import xor
from lth_core.analyse import bootstrap
from lth_core.judge.comparisons import excludes
from lth_core.judge.result import Result, claim_test, given_number
from lth_core.levels import rank_correlation

NAN = float("nan")


@lru_cache
def xor_table(figure: int) -> pd.DataFrame:
    return (xor.figure1 if figure == 1 else xor.figure2)()


def group(strategy: str, hidden: int, success: str, given_parent: bool = False) -> NDArray:
    """Success (0 or 1) of each trial of a strategy at a number of units."""
    t = xor_table(1 if strategy == "random networks" else 2)
    t = t[(t.strategy == strategy) & (t.hidden == hidden)]
    return (t[t[f"parent_{success}"]] if given_parent else t)[success].to_numpy(float)


@claim_test(needs="xor", unit="%", interval="contains", prints=given_number)
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


@claim_test(needs="xor", unit="points", interval="excludes", prints=given_number)
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


@claim_test(needs="xor", unit="×", interval="excludes", prints=given_number)
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


@claim_test(needs="xor", unit="points")
def xor_rises(*, success: str) -> Result:
    """Success rises with every two units more: the smallest of the four steps, in points. In direction: on means."""
    counts = [group("random networks", h, success) for h in sorted(xor.HIDDEN)]
    pairs = zip(counts[1:], counts[:-1], strict=True)
    steps = [xor.difference(a.sum(), len(a), b.sum(), len(b)) for a, b in pairs]
    effect, low, high = (100 * x for x in min(steps))
    return Result(effect, low, high, len(counts[0]), low > 0, effect > 0, "smallest of four steps")


@claim_test(needs="xor", unit="points")
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


@claim_test(needs="xor", unit="")
def xor_exact(*, values: Sequence[int]) -> Result:
    """The printed two-unit solution: right at each n, and loss falls towards 0."""
    found = [xor.outcome(xor.solution(n)) for n in values]
    losses = [float(f.loss.iat[0]) for f in found]
    right = all(f.margin.iat[0] > 0 for f in found)
    falls = right and losses == sorted(losses, reverse=True) and losses[-1] < 1e-6
    return Result(losses[-1], NAN, NAN, len(values), falls, right, f"loss at n = {values[-1]}")


@claim_test(needs="xor", unit="")
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


@claim_test(needs="xor", unit="points")
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
