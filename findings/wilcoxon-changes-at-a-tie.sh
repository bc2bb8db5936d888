#!/usr/bin/env bash
# What:    scipy 1.17.1, scipy.stats.wilcoxon with its default method
# Guess:   two samples that differ by one tie have about the same p, from one method.
# Happens: up to 13 pairs all sign changes are counted, with ties or without. From 14 on they are only without ties; one pair of
#          equal differences, and the normal approximation answers: a p five times as large for 14 pairs.
# Matters: accuracies over one test set have ties nearly always, and trials are added to a study one by one. The 14th trial,
#          in line with the 13 before, makes the result weaker.
set -euo pipefail
. "$(dirname "$0")/python.sh" scipy==1.17.1 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np
from scipy.stats import wilcoxon

found = {}
for n in (13, 14):
    different = np.arange(1.0, n + 1)
    different[0] = -1  # all but the smallest difference are above zero
    tied = different.copy()
    tied[-1] = tied[-2]
    found[n] = wilcoxon(different).pvalue, wilcoxon(tied).pvalue
    print(f"{n} pairs: p = {found[n][0]:.2g}, with one tie {found[n][1]:.2g}")
sys.exit(not (found[13][0] == found[13][1] and found[14][1] > 4 * found[14][0]))
P
