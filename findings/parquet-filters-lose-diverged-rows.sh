#!/usr/bin/env bash
# What:    DuckDB 2.0.1 and pyarrow 26.0.1 (datasets) filtering a Parquet file that pyarrow wrote
# Guess:   a filter over a Parquet file finds the rows that the same filter finds over the same table in memory.
# Happens: the smallest and the largest value kept for each row group leave NaN out, and both readers go by them. DuckDB
#          holds NaN to be the largest of all numbers, in memory: from a file whose row groups mix NaN and numbers up
#          to 0.5, `isnan(loss)` and `loss > 0.6` find nothing, and `not isnan(loss)` gives the NaN too. With a row group
#          of NaN alone in the file, just its rows are found. pyarrow's own `is_nan` over a dataset loses the NaN of row
#          groups whose other values are all equal.
# Matters: losses of diverged networks are NaN. "How many diverged?" and "leave the diverged out" are the first questions
#          to a table of trainings, and here the answers hang on how its rows lie in row groups. Write nulls (as pandas
#          does), or a column that says `diverged`.
set -euo pipefail
. "$(dirname "$0")/python.sh" duckdb==2.0.1 pyarrow==26.0.1
"$PY" - <<'P'
import math, sys, tempfile
from pathlib import Path
import duckdb, pyarrow as pa, pyarrow.dataset as ds, pyarrow.parquet as pq

PREDICATES = ("isnan(loss)", "loss > 0.6", "not isnan(loss)")


def count(where: str, predicate: str) -> int:
    return duckdb.sql(f"select count(*) from {where} where {predicate}").fetchall()[0][0]


def found(groups: list[list[float]]) -> list[tuple[int, int]]:
    """Rows in memory and from the file: by DuckDB for each predicate, then pyarrow's is_nan."""
    tables = [pa.table({"loss": group}) for group in groups]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "losses.parquet"
        with pq.ParquetWriter(file, tables[0].schema) as writer:
            for table in tables:
                writer.write_table(table)
        duckdb.sql(f"create or replace table memory as select * from '{file}'")
        counts = [(count("memory", p), count(f"'{file}'", p)) for p in PREDICATES]
        nan = ds.field("loss").is_nan()
        both = pa.concat_tables(tables).filter(nan), ds.dataset(file).to_table(filter=nan)
    return [*counts, (both[0].num_rows, both[1].num_rows)]


mixed = [[0.5, math.nan], [0.25, math.nan, 0.5]]
results = {"mixed groups": found(mixed), "and a group of NaN": found([*mixed, [math.nan, math.nan]])}
for name, counts in results.items():
    said = zip((*(f"DuckDB {p}" for p in PREDICATES), "pyarrow is_nan"), counts, strict=True)
    print(f"{name}, rows in memory and from the file:", "; ".join(f"{p}: {a}, {b}" for p, (a, b) in said))
sys.exit(list(results.values()) != [[(2, 0), (2, 0), (3, 5), (2, 1)], [(4, 2), (4, 2), (3, 3), (4, 3)]])
P
