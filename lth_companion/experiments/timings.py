"""The published benchmarks as tables: `results/bench.json`, and beside it what a processor without AVX-512 did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd

from lth_core.results import manifest
from lth_core.results.manifest import Damaged
from lth_core.results.published import HERE
from lth_core.untrusted_text import faults

# Of a row: what was measured how, the setting's own fields, its spread, and whose it is where not the newest run's.
BENCH = (
    "benchmark", "engine", "setting", "median", "unit", "ratio", "arch", "density", "cohort", "precision",
    "lowest", "highest", "when", "commit",
)  # fmt: skip
FILE, FILE_AVX2 = "bench.json", "bench_avx2.json"


def file_of(vectors: str) -> str:
    """Where results/ keeps what a processor with these vectors ("AVX-512", "AVX2", ...) did."""
    return FILE_AVX2 if vectors == "AVX2" else FILE


def bench(root: str | Path | None = None, file: str = FILE) -> tuple[dict[str, Any], pd.DataFrame]:
    """A published benchmark: who made it ("" for what it does not say), and its rows (`BENCH`); both empty where
    there is none."""
    folder = Path(root or HERE)
    if (found := manifest.document(folder, file)) is None:
        found = {"made": {}, "rows": []}
    try:
        return checked(found)
    except ValueError as error:
        raise Damaged(f"{folder / file} cannot be shown ({error}): {manifest.remedy(file)}.") from error


def checked(found: Any) -> tuple[dict[str, Any], pd.DataFrame]:
    """A benchmark as it is read; ValueError says what of it cannot be shown."""
    try:
        made, rows = dict(found["made"]), [{name: row.get(name) for name in BENCH} for row in found["rows"]]
        odd = faults(made) or next(filter(None, map(faults, rows)), "")
        odd = odd or ("a row lacks its texts or its median" if not all(map(_timed, rows)) else "")
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError("it is no benchmark") from error
    if odd:
        raise ValueError(odd)
    return made, pd.DataFrame(rows, columns=list(BENCH))


def _timed(row: dict[str, Any]) -> bool:
    numbers = isinstance(row["median"], int | float) and isinstance(row["ratio"], int | float | None)
    return numbers and all(isinstance(row[name], str) for name in ("benchmark", "engine", "setting", "unit"))
