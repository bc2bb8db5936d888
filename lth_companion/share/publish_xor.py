"""XOR's networks, trained and published: `results/v1_2_xor/outcomes.parquet` (see `experiments.xor_published`)."""

from __future__ import annotations

import io
from pathlib import Path

from lth_companion.experiments import xor
from lth_companion.experiments.xor_published import KIND, SECTION, made_from
from lth_core.results import HERE, manifest


def publish(root: str | Path = HERE) -> list[Path]:
    """Train all networks that the ledger judges and write their outcomes; returns the file."""
    made, name = io.BytesIO(), f"{SECTION}/{KIND}.parquet"
    table = xor.networks().assign(made_from=made_from())
    table.to_parquet(made, compression="zstd", compression_level=15, index=False)
    manifest.commit(Path(root), {name: made.getvalue()})
    return [Path(root) / name]
