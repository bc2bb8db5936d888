"""How often the ledger's 95% intervals cover the truth: python benchmarks/intervals.py [REPEATS]

Trials are drawn about curves that are known: accuracy is a hill (best at round 9, the unpruned network's at 16),
times are a valley (38% sooner at round 7, back at 15). Networks scatter as LeNet's do here: accuracies by 0.1 points,
times by 18%, with what a trial's networks have in common on top. Two trials have no interval, whatever is estimated.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from lth_companion.claims.curves import last_good
from lth_core.judge.estimate import TIMES, Estimate, crossing, of_few_values, over_trials, placed
from lth_core.levels import rank_correlation
from lth_core.networks import Curve

DEPTHS = np.arange(27.0)
HILL = 0.98 + 0.004 * (1 - ((DEPTHS - 9) / np.where(DEPTHS < 9, 9, 7)) ** 2).clip(-3)
VALLEY = 8000 * (1 - 0.38 * (1 - ((DEPTHS - 7) / np.where(DEPTHS < 7, 7, 8)) ** 2).clip(-3))
Made = Callable[[list[Curve]], Estimate]


def accuracies(rng: np.random.Generator, n: int) -> NDArray:
    return HILL + rng.normal(0, 0.0007, (n, 1)) + rng.normal(0, 0.001, (n, len(DEPTHS)))


def times(rng: np.random.Generator, n: int) -> NDArray:
    return VALLEY * np.exp(rng.normal(0, 0.05, (n, 1)) + rng.normal(0, 0.18, (n, len(DEPTHS))))


def last(column: str, by: Callable[..., Estimate] = crossing) -> Made:
    """Where a curve is last as good as the unpruned network, with the interval that the ledger makes, or by another."""
    ends = {} if by is placed else {"ends": (0, DEPTHS.max())}
    return lambda c: by(c, lambda v: last_good(v, DEPTHS, column), **ends)


def rank(values: NDArray) -> float:
    """How a curve goes with its levels down to 1% of the weights."""
    return rank_correlation(values[:21], DEPTHS[:21])


# What is estimated: how curves are drawn, the truth, the estimator
STATISTICS: dict[str, tuple[Callable, float, Made]] = {
    "a difference of means": (accuracies, 0.004, lambda c: over_trials(c, lambda v: float(v[9] - v[0]))),
    "a ratio of times": (times, 0.62, lambda c: over_trials(c, lambda v: float(np.log(v[7] / v[0])), TIMES)),
    "the gain at the best level": (accuracies, 0.004, lambda c: over_trials(c, lambda v: float(v[1:].max() - v[0]))),
    "where accuracy returns": (accuracies, 16.0, last("stop_test")),
    "where time returns": (times, 15.0, last("stop_iteration")),
    "where time returns, by the jackknife alone": (times, 15.0, last("stop_iteration", over_trials)),
    "where time returns, by resamples alone": (times, 15.0, last("stop_iteration", placed)),
    "a rank correlation": (times, rank(VALLEY), lambda c: of_few_values(c, rank, (-1, 1))),
    "where the best level is": (accuracies, 9.0, lambda c: placed(c, lambda v: float(1 + v[1:].argmax()))),
}  # fmt: skip


def coverage(name: str, n: int, repeats: int) -> float:
    """Share of intervals that cover the truth; NaN where there are none."""
    draw, truth, made = STATISTICS[name]
    rng, found = np.random.default_rng([n, len(name)]), []
    for _ in range(repeats):
        e = made([Curve(draw(rng, n), np.arange(n), DEPTHS)])
        found.append(np.nan if np.isnan(e.low) else float(e.low <= truth <= e.high))
    return float(np.mean(found))


def main() -> None:
    repeats = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    print("| number of trials | 2 | 3 | 5 | 10 | 20 |\n|---|---:|---:|---:|---:|---:|")
    for name in STATISTICS:
        cells = [coverage(name, n, 2 if n == 2 else repeats) for n in (2, 3, 5, 10, 20)]
        print(f"| {name} | {' | '.join('–' if np.isnan(x) else f'{x:.0%}' for x in cells)} |", flush=True)


if __name__ == "__main__":
    main()
