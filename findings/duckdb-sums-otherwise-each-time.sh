#!/usr/bin/env bash
# What:    DuckDB 2.0.1, sum, avg and stddev of a DOUBLE column with more than one thread
# Guess:   the same query over the same table in the same process gives the same bits; only another number of threads or
#          another version might not.
# Happens: threads add up what they happen to get, and partial sums are joined in the order in which threads end: thirty
#          runs of one sum give a dozen answers, in the last digits. polars and pyarrow, with threads too, give one.
# Matters: published tables are checked by digest, and "no digit of a page has changed" is a test of an executable
#          paper. Such numbers fail it for nothing; where a threshold or a tie depends on them, so does a verdict. One
#          thread (`set threads = 1`) or a sum of whole numbers (or DECIMAL) is steady.
set -euo pipefail
. "$(dirname "$0")/python.sh" duckdb==2.0.1 numpy==2.4.6 pyarrow==26.0.1 polars==2.1.0
"$PY" - <<'P'
import sys
import duckdb, numpy as np, polars as pl, pyarrow as pa, pyarrow.compute as pc

x = np.random.default_rng(0).normal(size=3_000_000)
loaded = pa.table({"x": x})
connection = duckdb.connect()
connection.register("loaded", loaded)
connection.execute("create table t as select * from loaded")


def answers(threads: int) -> int:
    connection.execute(f"set threads = {threads}")
    return len({connection.execute("select sum(x) from t").fetchone()[0] for _ in range(30)})


one, four = answers(1), answers(4)
others = len({pl.Series(x).sum() for _ in range(30)}), len({pc.sum(loaded["x"]).as_py() for _ in range(30)})
print(f"different answers of 30 sums: DuckDB {four} with four threads, {one} with one; "
      f"polars {others[0]}, pyarrow {others[1]}")
sys.exit(not (four > 1 and one == 1 and others == (1, 1)))
P
