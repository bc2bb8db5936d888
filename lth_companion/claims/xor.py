"""The ledger's tests on XOR networks (v1 section 2), whose outcomes are published (`xor_published`). What the answers
mean: `lth_core.judge.result`.

`tie`: whether a network that answers 1/2 has found the boundary: a reading of the paper (`claims.readings`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from lth_companion.experiments import xor_published
from lth_companion.experiments.xor_counts import HIDDEN, RANDOM, TIE, ZERO_LOSS, difference
from lth_companion.experiments.xor_nets import solution
from lth_companion.experiments.xor_outcomes import outcome
from lth_core.judge.estimate import AS_IS, TIMES, Estimate, Scale, of_values, quantile, told
from lth_core.judge.result import Result, between, claim_test, counted, every, given_number, met, ordering

LOGIT = Scale(
    lambda g: float(100 / (1 + np.exp(-g))),
    lambda u: float(np.log(u / (100 - u))) if 0 < u < 100 else np.inf * (u - 50),
)
MANY = 10_000  # trials from which Student's t is the normal's


@lru_cache(maxsize=128)
def group(strategy: str, hidden: int, success: str, tie: float = TIE, given_parent: bool = False) -> NDArray:
    """Success (0 or 1) of each trial of a strategy at a number of units."""
    return xor_published.networks().success(strategy, hidden, success, tie, given_parent)


def normal(effect: float, low: float, high: float, n: int) -> Estimate:
    """An estimate of so many trials that its interval is the normal's."""
    return Estimate(effect, low, high, n, effect, (high - low) / 2 / quantile(MANY))


def share(x: NDArray) -> Estimate:
    """Percent of trials that succeed, with its interval on the logit."""
    n, p = len(x), (x.sum() + 0.5) / (len(x) + 1) if x.sum() in (0, len(x)) else x.mean()
    value, error = float(np.log(p / (1 - p))), float(1 / np.sqrt(n * p * (1 - p)))
    return told(value, error, n, LOGIT)


def chance(number: float, printed_n: int) -> float:
    """By how many points two samples of equal shares differ at most in 95 of 100 cases: the tolerance that the claims
    give for a printed share of so many trials."""
    p = number / 100
    return float(196 * np.sqrt(2 * p * (1 - p) / printed_n))


@claim_test(needs="xor", unit="%", prints=given_number)
def xor_rate(
    *, strategy: str, hidden: int, success: str, number: float, printed_n: int = 1000, given_parent: bool = False,
    tie: float = TIE,
) -> Result:  # fmt: skip
    """Percent of networks that succeed: its interval within what two samples of the printed size differ by."""
    within = chance(number, printed_n)
    return met(
        share(group(strategy, hidden, success, tie, given_parent)),
        number,
        within,
        note=f"tolerance {within:.1f} points",
    )


@claim_test(needs="xor", unit="points", prints=given_number)
def xor_gain(
    *, success: str, hidden: Sequence[int], first: str, second: str, number: float | None = None,
    within: float = 5.0, equal: bool = False, tie: float = TIE,
) -> Result:  # fmt: skip
    """Points by which the first strategy succeeds more often than the second, at its own number of units each.

    Both start from the same parents where both prune, so differences pair by trial; else they are independent.
    `equal` states that the two differ by at most `within`."""
    a, b = group(first, hidden[0], success, tie), group(second, hidden[1], success, tie)
    if RANDOM in (first, second):
        effect, low, high = (100 * x for x in difference(a.sum(), len(a), b.sum(), len(b)))
        found = normal(effect, low, high, len(a))
    else:
        found = of_values(100 * (a - b))
    if equal:
        return between(found, -within, within)
    return ordering(found) if number is None else met(found, number, within)


@claim_test(needs="xor", unit="×", prints=given_number)
def xor_ratio(
    *, success: str, first: str, hidden: int, number: float, within: float, second: str = RANDOM, tie: float = TIE,
) -> Result:  # fmt: skip
    """How many times as often the first strategy succeeds: ratio of two proportions, log-normal interval."""
    a, b = group(first, hidden, success, tie), group(second, hidden, success, tie)
    value = float(np.log(a.mean() / b.mean()))
    error = float(np.sqrt((1 - a.mean()) / a.sum() + (1 - b.mean()) / b.sum()))
    half = quantile(MANY) * error
    low, high = (float(np.exp(value + x)) for x in (-half, half))
    return met(Estimate(float(np.exp(value)), low, high, len(a), value, error, TIMES), number, within)


@claim_test(needs="xor", unit="points")
def xor_rises(*, success: str, tie: float = TIE) -> Result:
    """Success rises with every two units more: each of the four steps. Told is the smallest, in points."""
    counts = [group(RANDOM, h, success, tie) for h in sorted(HIDDEN)]
    parts = []
    for few, more in pairwise(counts):
        effect, low, high = (100 * x for x in difference(more.sum(), len(more), few.sum(), len(few)))
        parts.append(ordering(normal(effect, low, high, len(more))))
    whole = every(parts, "smallest of four steps")
    least = min(parts, key=lambda p: p.effect)
    return replace(least, word=whole.word, note=whole.note, p_holds=whole.p_holds, p_fails=whole.p_fails)


@claim_test(needs="xor", unit="points")
def xor_gaps(*, numbers: Sequence[float], within: float, tie: float = TIE) -> Result:
    """Boundary minus zero-loss rate at each size, in points: each within the tolerance of the printed gap, and each
    larger than at the next larger size."""
    gaps = [100 * (group(RANDOM, h, "right", tie) - group(RANDOM, h, "zero")) for h in HIDDEN]
    parts = [met(of_values(g), number, within) for g, number in zip(gaps, numbers, strict=True)]
    for larger, smaller in pairwise(gaps):
        error = np.hypot(*(g.std(ddof=1) / np.sqrt(len(g)) for g in (larger, smaller)))
        effect, half = smaller.mean() - larger.mean(), quantile(MANY) * error
        parts.append(ordering(normal(effect, effect - half, effect + half, len(larger))))
    whole = every(parts)
    listed = ", ".join(f"{g.mean():.1f}" for g in gaps)
    return replace(whole, note=f"gaps {listed} at {', '.join(map(str, HIDDEN))} units")


@claim_test(needs="xor", unit="")
def xor_exact(*, values: Sequence[int]) -> Result:
    """The printed two-unit solution: right at each n, and loss falls towards 0."""
    found = [outcome(solution(n)) for n in values]
    losses = [float(f.loss.iat[0]) for f in found]
    right = all(f.margin.iat[0] > 0 for f in found)
    falls = right and losses == sorted(losses, reverse=True) and losses[-1] < 1e-6
    return counted(losses[-1], falls, len(values), f"loss at n = {values[-1]}")


@claim_test(needs="xor", unit="")
def xor_score(*, trials: int = 300) -> Result:
    """Does input x output magnitude rank units by what they add to the output better than either factor alone?
    Rank correlation with a unit's mean |contribution| on the four points, product minus the better factor."""
    found = xor_published.networks().of(RANDOM, 10)[:trials]
    rho = {c: found[c].to_numpy() for c in ("product", "input", "output")}
    parts = [ordering(of_values(rho["product"] - rho[c], AS_IS), note=f"than {c} alone") for c in ("input", "output")]
    whole = every(parts)
    return replace(whole, note=", ".join(f"{c} {r.mean():.2f}" for c, r in rho.items()), trials=())


@claim_test(needs="xor", unit="points")
def xor_parents(*, widths: Sequence[int] = (4, 6, 8, 10), trials: int = 1000) -> Result:
    """Two-unit tickets cut from parents of growing width: points of zero-loss success from each width to the next,
    whether or not the parent succeeds. Told is the step that is smallest."""
    networks = xor_published.networks()
    tickets = [networks.of("one-shot product", 2, parent=h)[:trials] for h in widths]
    rates = [int((t["loss"] < ZERO_LOSS).sum()) for t in tickets]
    parts = []
    for narrow, wide in pairwise(rates):
        effect, low, high = (100 * x for x in difference(wide, trials, narrow, trials))
        parts.append(ordering(normal(effect, low, high, trials)))
    listed = ", ".join(f"{r / trials:.0%}" for r in rates)
    return every(parts, f"{listed} from parents of {', '.join(map(str, widths))} units")
