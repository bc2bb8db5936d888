#!/usr/bin/env bash
# What:    hypothesis 6.170.15, hypothesis.extra.numpy.arrays with its defaults
# Guess:   arrays(float32, 300) tries arrays of 300 numbers that are mostly different, with some repeated.
# Happens: a few entries are drawn and all others get one common value: half of the examples are one number in at least
#          290 of 300 places, and none of 200 examples has as many as 60 different magnitudes. `fill=st.nothing()` draws
#          every entry.
# Matters: properties of pruning (the smallest are cut, masks nest, ranks are kept) are tested on arrays that are one
#          great tie: an order that is wrong for different numbers passes, and what is tested is how ties are broken.
set -euo pipefail
. "$(dirname "$0")/python.sh" hypothesis==6.170.15 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np
from hypothesis import HealthCheck, given, settings, strategies as st
from hypothesis.extra.numpy import arrays

N = 300


def examples(**options) -> tuple[float, int]:
    """Median count of the commonest magnitude, and the largest number of different ones."""
    seen = []

    @settings(max_examples=200, database=None, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck))
    @given(arrays(np.float32, N, elements=st.floats(-10, 10, width=32), **options))
    def look(x):
        seen.append(np.unique(np.abs(x), return_counts=True)[1])

    look()
    return float(np.median([c.max() for c in seen])), max(len(c) for c in seen)


filled, drawn = examples(), examples(fill=st.nothing())
print(f"of {N} entries: commonest magnitude {filled[0]:.0f} times (median), at most {filled[1]} different; "
      f"with fill=nothing() {drawn[0]:.0f} times, at most {drawn[1]} different")
sys.exit(not (filled[0] >= 280 and filled[1] < 60 and drawn[1] > 60))
P
