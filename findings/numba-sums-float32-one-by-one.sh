#!/usr/bin/env bash
# What:    numba 0.68.1 beside numpy 2.4.6: ndarray.sum and mean of float32
# Guess:   np.sum inside @njit gives what numpy's np.sum gives, up to a last bit or so.
# Happens: numpy adds in pairs, numba one by one in float32: of ten million values of 0.1 the first says 1,000,000 and the
#          second 1,087,937, which is 9% more. At 100,000 values they differ in the fourth digit.
# Matters: mean losses over a validation set, L2 norms and thresholds of millions of weights are such sums. A loss summed
#          so stops falling when terms become small against the sum, which looks like early stopping.
set -euo pipefail
. "$(dirname "$0")/python.sh" numba==0.68.1 numpy==2.4.6
"$PY" - <<'P'
import sys
import numba, numpy as np


@numba.njit
def compiled(x):
    return x.sum()


for n in (100_000, 10_000_000):
    x = np.full(n, 0.1, np.float32)
    print(f"{n:>10,} values of 0.1: numpy {x.sum():,.1f}, numba {compiled(x):,.1f}")
off = abs(compiled(x) / x.sum() - 1)
sys.exit(not (off > 0.05 and abs(x.sum() - 1e6) < 1))
P
