#!/usr/bin/env bash
# What:    scipy 1.17.1, scipy.stats.spearmanr on very few points
# Guess:   of three points in order, p is about 1/3, the share of orders that are as extreme; as kendalltau beside it
#          says.
# Happens: p is 0.0 exactly, without a warning: its formula for many points divides by zero and calls infinity certain.
#          Of five points in order it is 1.4e-24 where 2 of 120 orders, 0.017, are as extreme.
# Matters: "layers that are larger are pruned more", "accuracy falls with density": rank correlations over three layers
#          or five rounds are common in this field, and p = 0 passes every correction for many tests.
set -euo pipefail
. "$(dirname "$0")/python.sh" scipy==1.17.1 numpy==2.4.6
"$PY" - <<'P'
import sys
from scipy import stats

found = {n: (stats.spearmanr(range(n), range(n)).pvalue, stats.kendalltau(range(n), range(n)).pvalue) for n in (3, 5)}
for n, (rank, tau) in found.items():
    print(f"{n} points in order: spearmanr p = {rank:.2g}, kendalltau p = {tau:.2g}")
sys.exit(not (found[3][0] == 0 and found[5][0] < 1e-20 and abs(found[3][1] - 1 / 3) < 1e-9))
P
