#!/usr/bin/env bash
# What:    dask 2026.8.0, dask.array.percentile over an array whose blocks differ in size and spread
# Guess:   it is exact, or "approximate" as in the documentation: some percent off at worst.
# Happens: one percentile of each block is all that it looks at, beside its ends, and it draws straight lines between
#          them. Of the magnitudes of a fully connected network, a block a layer, 54% lie below "the 20th percentile",
#          93% below the 50th, 99.7% below the 80th; the 99th is smaller than the 90th. Another choice of blocks is
#          another answer.
# Matters: this is the threshold of global magnitude pruning for weights that do not fit into memory, and blocks are
#          layers or shards. A network cut "by 50%" has 7% of its weights left. Asked for many percentiles at once it gets
#          better; counting what lies below shows it.
set -euo pipefail
. "$(dirname "$0")/python.sh" "dask[array]==2026.8.0" numpy==2.4.6
"$PY" - <<'P'
import sys

import dask.array as da
import numpy as np

rng = np.random.default_rng(0)
layers = [np.abs(rng.normal(0, n**-0.5, n * m)) for n, m in ((784, 300), (300, 100), (100, 10))]
network = np.concatenate(layers)
blocks = da.concatenate([da.from_array(layer, chunks=-1) for layer in layers])
asked = (20, 50, 80, 90, 99)
thresholds = [float(np.ravel(da.percentile(blocks, q).compute())[0]) for q in asked]
below = [float((network < t).mean()) for t in thresholds]
for q, t, share in zip(asked, thresholds, below, strict=True):
    print(f"percentile {q}: dask {t:.4f}, with {share:.1%} below it; numpy {np.percentile(network, q):.4f}")
whole = float(np.ravel(da.percentile(da.from_array(network, chunks=-1), 50).compute())[0])
exact = abs((network < whole).mean() - 0.5) < 1e-4
print("in one block the 50th is right:", exact)
sys.exit(not (below[0] > 0.5 and below[1] > 0.9 and below[2] > 0.99 and thresholds[4] < thresholds[3] and exact))
P
