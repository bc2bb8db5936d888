#!/usr/bin/env bash
# What:    scipy 1.17.1, scipy.stats.permutation_test (every permutation counted) with the mean as statistic
# Guess:   right answers of 10,000 and accuracies, the same divided by 10,000, have the same p: the test only ranks.
# Happens: p of accuracies is smaller, often. Permutations with the very same mean count as far out only if they agree
#          in floating point up to a share of 1e-14 of the statistic; accuracies near 1 that differ by 1e-3 are off by
#          more, so that ties fall out by rounding. Of 200 pairs of five trials four in ten get another p, by up to
#          0.14.
# Matters: five trials have 32 sign flips and 252 splits, and accuracies over one test set are full of ties: this is the
#          "exact" test of a small study. Count right answers in whole numbers, or round the statistic.
set -euo pipefail
. "$(dirname "$0")/python.sh" scipy==1.17.1 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np
from scipy import stats

rng = np.random.default_rng(0)


def p(x, y):
    return stats.permutation_test((x, y), lambda x, y, axis: x.mean(axis) - y.mean(axis), vectorized=True).pvalue


pairs = [(9700 + rng.integers(0, 12, 5), 9703 + rng.integers(0, 12, 5)) for _ in range(200)]
whole, shares = (np.array([p(x / unit, y / unit) for x, y in pairs]) for unit in (1.0, 1e4))
other, lower = np.mean(whole != shares), np.mean(shares < whole)
print(f"other p for accuracies than for counts: {other:.0%} of the pairs, lower {lower:.0%}, "
      f"by up to {np.abs(whole - shares).max():.3f}; p < 0.05: {(whole < 0.05).sum()} and {(shares < 0.05).sum()}")
sys.exit(not (other > 0.2 and lower == other))
P
