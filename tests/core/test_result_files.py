"""The files of published tables: bit for bit what was measured, and small."""

from __future__ import annotations

import io

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from lth_core.models import MEASURED
from lth_core.results import parquet


def curves(losses: np.ndarray) -> pd.DataFrame:
    """Evaluations of one network whose three losses are these."""
    n = len(losses)
    return pd.DataFrame({"key": "a" * 20, "iteration": np.arange(n, dtype=np.int32) * 100}).assign(
        **{m: losses if m.endswith("loss") else np.arange(n, dtype=np.int32) for m in MEASURED}
    )


@given(st.lists(st.floats(width=32), min_size=1, max_size=40))
def test_losses_come_back_bit_for_bit(losses: list[float]) -> None:
    """Infinity and zero's sign too; not-a-number of a diverged network is a null there, whatever its bits."""
    table = curves(np.array(losses, np.float32))
    read = parquet.read("curves", parquet.file_of(table), len(table))
    pd.testing.assert_frame_equal(read, table)
    for name in (m for m in MEASURED if m.endswith("loss")):
        numbers = table[name].notna()
        bits = [t.loc[numbers, name].to_numpy().view(np.uint32) for t in (read, table)]
        np.testing.assert_array_equal(*bits)


def test_losses_take_less_than_in_a_file_as_pandas_writes_it() -> None:
    rng = np.random.default_rng(0)
    table = curves(np.exp(-np.arange(500) / 99 + 0.05 * rng.standard_normal(500)).astype(np.float32))
    plain = io.BytesIO()
    table.to_parquet(plain, compression="zstd", compression_level=15, index=False)
    made = parquet.file_of(table)
    assert len(made) < 0.85 * len(plain.getvalue())
    about = pq.ParquetFile(io.BytesIO(made)).metadata.row_group(0)
    apart = {about.column(i).path_in_schema for i in range(about.num_columns)
             if "BYTE_STREAM_SPLIT" in about.column(i).encodings}  # fmt: skip
    assert apart == {m for m in MEASURED if m.endswith("loss")}
