"""XOR's networks, trained and published: `results/v1_2_xor/outcomes.parquet` (see `experiments.xor_published`)."""

from __future__ import annotations

from pathlib import Path

from lth_companion.experiments import xor
from lth_companion.experiments.xor_published import KIND, SECTION, made_from
from lth_core.results import HERE, manifest, parquet


def publish(root: str | Path = HERE) -> list[Path]:
    """Train all networks that the ledger judges and write their outcomes; returns the file."""
    name = f"{SECTION}/{KIND}.parquet"
    table = xor.networks().assign(made_from=made_from())
    manifest.commit(Path(root), {name: parquet.file_of(table)})
    return [Path(root) / name]
