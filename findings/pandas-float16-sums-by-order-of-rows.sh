#!/usr/bin/env bash
# What:    pandas 3.1.1, groupby(...).sum() of a float16 column
# Guess:   the sum of a group depends on the values in it, up to rounding.
# Happens: if the groups lie one after the other it is added in float16, and is inf beyond 65,504; if their rows alternate, the
#          same values give the right sum as float32. Means are right both ways.
# Matters: tables of accuracies and losses are kept in float16 to save space, and sorting them changes their totals.
set -euo pipefail
. "$(dirname "$0")/python.sh" pandas==3.1.1 numpy==2.4.6
"$PY" - <<'P' 2>/dev/null
import sys
import numpy as np, pandas as pd

table = pd.DataFrame({"group": np.arange(10_000) % 2, "x": np.full(10_000, 20, np.float16)})
mixed, ordered = (t.groupby("group")["x"] for t in (table, table.sort_values("group", kind="stable")))
print(f"rows alternate: {mixed.sum().tolist()} as {mixed.sum().dtype}; rows in order: {ordered.sum().tolist()} as "
      f"{ordered.sum().dtype}; means {mixed.mean().tolist()}, {ordered.mean().tolist()}")
sys.exit(not (mixed.sum().tolist() == [1e5, 1e5] and np.isinf(ordered.sum()).all() and ordered.mean().tolist() == [20, 20]))
P
