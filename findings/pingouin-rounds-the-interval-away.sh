#!/usr/bin/env bash
# What:    pingouin 0.7.0, pingouin.ttest on paired accuracies
# Guess:   the interval that it prints beside t and p is the interval of that test, as exact as they are.
# Happens: it is rounded to two decimals, alone of all columns. Five tickets that lead their controls by 0.21 points, with
#          p = 0.0002, have the interval [0.0, 0.0]; the same accuracies in percent have [0.16, 0.25]. Of five pairs
#          that differ by nothing (p = 1) it is [-0.0, 0.0].
# Matters: accuracies are kept as fractions and differ by tenths of a point between tickets and controls: the interval
#          says "no difference, exactly" of any such pair, whether it is settled or not.
set -euo pipefail
. "$(dirname "$0")/python.sh" pingouin==0.7.0 pandas==3.1.1 numpy==2.4.6 scipy==1.17.1
"$PY" - <<'P'
import sys

import numpy as np
import pingouin
from scipy import stats

ticket = np.array([0.9812, 0.9818, 0.9809, 0.9821, 0.9815])
control = np.array([0.9790, 0.9799, 0.9793, 0.9801, 0.9789])


def told(unit, other=control):
    row = pingouin.ttest(unit * ticket, unit * other, paired=True).iloc[0]
    return float(row["p_val"]), [float(x) for x in row["CI95"]]


exact = stats.ttest_rel(ticket, control).confidence_interval()
(p, fractions), (_, percent) = told(1), told(100)
level, nothing = told(1, ticket + [0.004, -0.004, 0.002, -0.002, 0])
print(f"fractions: p = {p:.2g}, interval {fractions}; scipy's interval [{exact.low:.5f}, {exact.high:.5f}]")
print(f"percent:   interval {percent}")
print(f"no difference: p = {level:.2g}, interval {nothing}")
sys.exit(not (p < 0.001 and fractions == [0, 0] and 0 < percent[0] < percent[1] and exact.low > 0.001 and nothing == [0, 0]))
P
