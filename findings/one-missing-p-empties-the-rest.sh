#!/usr/bin/env bash
# What:    statsmodels 0.15.0, statsmodels.stats.multitest.multipletests
# Guess:   a p-value that is NaN is left out, or makes an error, or at worst stays NaN alone.
# Happens: it counts as a test (Holm multiplies by one more), and with the false discovery rate all adjusted p-values
#          become NaN, while the array beside them still rejects. Hommel's method rejects nothing then.
# Matters: an experiment whose networks diverged has no p. Who filters a table by `q < 0.05` finds that not one claim of
#          the family stands; who takes the first array finds that some do. Drop NaN before, as their number is no test.
set -euo pipefail
. "$(dirname "$0")/python.sh" statsmodels==0.15.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np
from statsmodels.stats.multitest import multipletests

with_nan, without = [0.001, 0.01, 0.2, np.nan], [0.001, 0.01, 0.2]
found = {m: multipletests(with_nan, method=m)[:2] for m in ("holm", "fdr_bh", "fdr_by", "hommel")}
for method, (reject, adjusted) in found.items():
    print(f"{method}: rejected {reject.tolist()}, adjusted {adjusted.tolist()}; "
          f"without the NaN {multipletests(without, method=method)[1].tolist()}")
bad = all(np.isnan(found[m][1]).all() for m in ("fdr_bh", "fdr_by", "hommel"))
sys.exit(not (bad and found["fdr_bh"][0].tolist() == [True, True, False, False] and not found["hommel"][0].any()
              and found["holm"][1][0] == 0.004))
P
