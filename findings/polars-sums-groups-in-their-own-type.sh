#!/usr/bin/env bash
# What:    polars 2.1.0, sums of float32 and float16 columns
# Guess:   a column summed alone and the same column summed as the one group of group_by give the same number, up to
#          rounding, as its mean says.
# Happens: alone it is summed in blocks and right to six digits. In group_by it is added one by one in float32: of ten
#          million values of 0.1 the sum is 4% too small. A float16 column sums to inf beyond 65,504, alone and in groups,
#          while its mean, computed in a wider type, is right.
# Matters: counts of right answers and losses of evaluations are kept as small floats to save space, and summed by round
#          and trial. Means are safe here, sums are not; casting before group_by is.
set -euo pipefail
. "$(dirname "$0")/python.sh" polars==2.1.0 numpy==2.4.6
"$PY" - <<'P'
import math, sys
import numpy as np, polars as pl

x = pl.DataFrame({"group": np.zeros(10_000_000, np.int8), "x": np.full(10_000_000, 0.1, np.float32)})
alone, grouped = x["x"].sum(), x.group_by("group").agg(pl.col("x").sum())["x"].item()
half = pl.Series(np.full(100_000, 300.0, np.float16))
print(f"ten million times 0.1: alone {alone:,.0f}, as one group {grouped:,.0f}; "
      f"float16: sum {half.sum()}, mean {half.mean()}")
sys.exit(not (abs(alone - 1e6) < 1 and abs(grouped / 1e6 - 1) > 0.01 and math.isinf(half.sum()) and half.mean() == 300))
P
