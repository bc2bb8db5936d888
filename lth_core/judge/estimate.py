"""What trials tell of a number: `Estimate`, with a 95% interval that holds for few trials.

`over_trials`  a statistic of trial means, by the jackknife: for a mean or a difference of means this is Student's t
               over (paired) trials. A level that is sought ("best") is sought anew each time a trial is left out.
`of_values`    one value a trial: Student's t
`placed`       a place on a curve (its best level), for which leaving one out says too little: the bootstrap's
               percentiles, widened as Hesterberg (2015, The American Statistician 69:371) says for few trials
`of_few_values`  a rank correlation: the jackknife, or where it sees no difference, `placed`
`crossing`     where a curve crosses a level: both, and the further end on each side

How often they cover the truth: `benchmarks/intervals.py`, whose table stands on the ledger page.
With fewer than three trials there is no interval.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lth_core.draws import generator
from lth_core.levels import Lacking, mean
from lth_core.networks import Curve

LEAST = 3  # trials that give an interval
LEVEL = 0.95
NAN = float("nan")
FLIPPED = 30  # trials up to which all ways to turn signs are counted; of more, some at random
ROUNDING = 1e-9  # numbers nearer than this are equal: what is left of arithmetic


@dataclass(frozen=True)
class Scale:
    """Where an interval is made and how it is told: percentages and ratios on the logarithm, where both sides count
    alike. Both functions rise."""

    told: Callable[[float], float]
    made: Callable[[float], float]


AS_IS = Scale(lambda g: g, lambda u: u)
TIMES = Scale(lambda g: float(np.exp(g)), lambda u: float(np.log(u)) if u > 0 else -np.inf)
LESS = Scale(  # percent less: of the logarithm of what is compared with, over what is compared
    lambda g: 100 * (1 - float(np.exp(-g))), lambda u: -float(np.log(1 - u / 100)) if u < 100 else np.inf
)
MORE = Scale(lambda g: 100 * (float(np.exp(g)) - 1), lambda u: float(np.log(1 + u / 100)) if u > -100 else -np.inf)


@dataclass(frozen=True)
class Estimate:
    """A number from trials: effect and interval as they are told; `value` and its standard error on the scale on which
    they were made (`error` NaN: no interval, or one that is no t interval)."""

    effect: float
    low: float
    high: float
    n: int
    value: float = NAN
    error: float = NAN
    scale: Scale = AS_IS
    trials: tuple[float, ...] = ()  # the same of each trial alone, against none, where trials pair
    upper: float = NAN  # standard error towards larger values where `error` is towards smaller ones alone

    def beyond(self, number: float, sign: int, equal: bool = True) -> float:
        """One-sided p of the number's being no larger (`sign` 1) or no smaller (-1) than `number`, against its being
        so; where all trials agree, whether it is, and with `equal` also whether it is the same. NaN without an
        interval, or without a standard error."""
        if not np.isfinite(self.error):
            return NAN
        away = self.value - self.scale.made(number)
        gap, error = sign * away, self.upper if away < 0 and np.isfinite(self.upper) else self.error
        if self.error < ROUNDING * max(1, abs(self.value)):
            return 0.0 if gap >= (-ROUNDING if equal else ROUNDING) else 1.0
        return float(special.stdtr(self.n - 1, -gap / error))


def told(value: float, error: float, n: int, scale: Scale, ends: tuple[float, float] = (-np.inf, np.inf)) -> Estimate:
    """An estimate with its t interval, which ends where the number can (`ends`)."""
    if n < LEAST or not np.isfinite(error) or not np.isfinite(value):
        return Estimate(scale.told(value), NAN, NAN, n, value, NAN, scale)
    half = quantile(n) * error
    low, high = (float(np.clip(scale.told(x), *ends)) for x in (value - half, value + half))
    return Estimate(scale.told(value), low, high, n, value, error, scale)


@lru_cache
def quantile(n: int) -> float:
    """Student's t that 95% intervals of n trials reach."""
    return float(special.stdtrit(n - 1, (1 + LEVEL) / 2))


def of_values(values: NDArray, scale: Scale = AS_IS) -> Estimate:
    """The mean of one value a trial, `(trial,)`."""
    values = np.asarray(values, float)
    n = len(values)
    error = float(values.std(ddof=1) / np.sqrt(n)) if n >= LEAST else NAN
    return told(float(values.mean()), error, n, scale)


def together(curves: Sequence[Curve]) -> list[NDArray]:
    """The curves' values, `(trial, level)` each, of the trials that all of them have."""
    trials = curves[0].trials
    for c in curves[1:]:
        trials = trials if np.array_equal(trials, c.trials) else np.intersect1d(trials, c.trials)
    if len(trials) == 0:
        raise Lacking("the two sides share no trial")
    return [c.values if len(c) == len(trials) else c.values[np.isin(c.trials, trials)] for c in curves]


def _read(statistic: Callable[..., Any], means: Iterable[Iterable[NDArray]]) -> NDArray:
    """What a statistic makes of each several means `(level,)`, one a curve."""
    with np.errstate(divide="ignore", invalid="ignore"):  # a ratio to nothing has no value
        return np.array([statistic(*m) for m in means], float)


def _left_out(values: Sequence[NDArray]) -> Iterable[tuple[NDArray, ...]]:
    """The curves' means without each trial in turn."""
    kept = ~np.eye(len(values[0]), dtype=bool)[:, :, None]
    return zip(*[mean(np.where(kept, v, np.nan), axis=1) for v in values], strict=True)


def over_trials(
    curves: Sequence[Curve], statistic: Callable[..., float], scale: Scale = AS_IS,
    ends: tuple[float, float] = (-np.inf, np.inf), paired: bool = False,
) -> Estimate:  # fmt: skip
    """`statistic` of the curves' trial means, on `scale`, the same trials of all curves left out together.

    Where a statistic has no value without some trial (the others never converged), there is no interval."""
    values = together(curves)
    n = len(values[0])
    effect = float(_read(statistic, [map(mean, values)])[0])
    if n < LEAST:
        return told(effect, NAN, n, scale, ends)
    without = _read(statistic, _left_out(values))
    error = float(np.sqrt((n - 1) / n * ((without - without.mean()) ** 2).sum()))
    found = told(effect, error, n, scale, ends)
    if not paired:
        return found
    alone = _read(statistic, zip(*values, strict=True))
    return replace(found, trials=tuple(alone[np.isfinite(alone)].tolist()))


def at_each(curves: Sequence[Curve], statistic: Callable[..., NDArray], scale: Scale = AS_IS) -> list[Estimate]:
    """The same for a statistic with a value at each of several levels: an estimate a level."""
    values = together(curves)
    n = len(values[0])
    effect = _read(statistic, [map(mean, values)])[0]
    if n < LEAST:
        return [told(float(e), NAN, n, scale) for e in effect]
    without = _read(statistic, _left_out(values))
    errors = np.sqrt((n - 1) / n * ((without - without.mean(0)) ** 2).sum(0))
    return [told(float(e), float(s), n, scale) for e, s in zip(effect, errors, strict=True)]


@lru_cache(maxsize=32)
def resamples(n: int, draws: int = 2_000) -> NDArray[np.int16]:
    """Resamples of n trials `(draw, n)`, each sorted: all that differ where they are few."""
    picks = generator("resamples", n).integers(0, n, (draws, n)).astype(np.int16)
    return np.sort(picks, axis=1)


def placed(curves: Sequence[Curve], statistic: Callable[..., float]) -> Estimate:
    """A place on the curves, sought anew in each resample of the trials; see the module for its interval."""
    values = together(curves)
    n = len(values[0])
    effect = float(_read(statistic, [map(mean, values)])[0])
    if n < LEAST or not np.isfinite(effect):
        return Estimate(effect, NAN, NAN, n)
    rows, counts = np.unique(resamples(n), axis=0, return_counts=True)
    if len(rows) > 500:  # many trials: a part of them says as much
        rows, counts = resamples(n)[:500], np.ones(500, int)
    found = _read(statistic, zip(*[mean(v[rows], axis=1) for v in values], strict=True))
    asked = counts.sum()
    found, counts = found[np.isfinite(found)], counts[np.isfinite(found)]
    if counts.sum() < LEVEL * asked:
        return Estimate(effect, NAN, NAN, n)
    tail = float(special.ndtr(-np.sqrt(n / (n - 1)) * quantile(n)))
    order = np.argsort(found)
    share = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum()
    low, high = (float(np.interp(q, share, found[order])) for q in (tail, 1 - tail))
    return Estimate(effect, low, high, n)


def of_few_values(
    curves: Sequence[Curve], statistic: Callable[..., float], ends: tuple[float, float] = (-np.inf, np.inf)
) -> Estimate:
    """`over_trials` of a statistic that takes few values, such as a rank correlation; `placed` where it is the same
    whichever trial is left out: that says too little of how other trials would have ended."""
    found = over_trials(curves, statistic, AS_IS, ends)
    return placed(curves, statistic) if found.error < ROUNDING * max(1, abs(found.value)) else found


def crossing(
    curves: Sequence[Curve], statistic: Callable[..., float], scale: Scale = AS_IS,
    ends: tuple[float, float] = (-np.inf, np.inf),
) -> Estimate:  # fmt: skip
    """Where curves cross a level, or how far apart two do: the interval reaches on each side as far as that of
    `over_trials` or that of `placed`, whichever is further, for a crossing can move from one dip of a noisy curve to
    another. Its errors are those of t intervals that reach as far. Where it is the same whichever trial is left out,
    `placed` is asked alone."""
    left_out, sought = over_trials(curves, statistic, scale, ends), placed(curves, statistic)
    low, high = (float(np.clip(scale.told(x), *ends)) for x in (sought.low, sought.high))
    if left_out.error < ROUNDING * max(1, abs(left_out.value)):
        return replace(left_out, low=low, high=high, error=NAN)
    if np.isnan(left_out.low) or np.isnan(low):  # without some trial, or in too many resamples, there is none
        return replace(left_out, low=NAN, high=NAN, error=NAN)
    lower, upper = (
        max(left_out.error, far / quantile(left_out.n))
        for far in (left_out.value - sought.low, sought.high - left_out.value)
    )
    return replace(left_out, low=min(left_out.low, low), high=max(left_out.high, high), error=lower, upper=upper)


def sign_flip(values: NDArray) -> float:
    """Exact two-sided p of the mean of one value a trial against zero: of all ways to turn their signs, how many give a
    mean as far from it. With five trials it is at least 2/32.

    >>> sign_flip(np.array([1.0, 2.0, 1.5]))
    0.25
    """
    values = np.asarray(values, float)
    values = values[np.isfinite(values)]
    n = len(values)
    if n < 2:
        return NAN
    values = values / (float(np.abs(values).max()) or 1.0)  # equal sums have to be equal in floating point too
    if n <= FLIPPED:
        first, second = _turned(values[: n // 2]), _turned(values[n // 2 :])  # each way is one of both halves' ways
        least = abs(first[0] + second[0]) - ROUNDING
        as_far = len(second) * len(first) - np.searchsorted(np.sort(second), least - first).sum()  # on one side of zero
        return 2 * float(as_far) / 2**n if least > 0 else 1.0
    import scipy.stats  # takes half a second, and few numbers have so many trials

    found = scipy.stats.permutation_test(
        (values,), lambda x, axis: np.round(np.mean(x, axis=axis), 9), permutation_type="samples",
        vectorized=True, n_resamples=5_000, alternative="two-sided", random_state=0,
    )  # fmt: skip
    return float(found.pvalue)


def _turned(values: NDArray) -> NDArray:
    """The sum of values with each way to turn their signs; the first turns none."""
    sums = np.zeros(1)
    for value in values:
        sums = np.concatenate([sums + value, sums - value])
    return sums
