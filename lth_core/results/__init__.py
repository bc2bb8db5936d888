"""Published measurements: what `results/` holds, and how notebooks read it without training.

results/SECTION/cells.parquet    one row a network: key, every field of its spec, provenance, summary
                curves.parquet   its evaluations, thinned to at most `POINTS`
                masks.parquet    one row a chain and layer: after which round each weight was pruned (uint8)
                weights.parquet  one row a ticket and parameter: how far training moved its values (float16)
                outcomes.parquet where networks are too small for cells (XOR): one row a network
results/MANIFEST.json            SHA-256 of each file, and of those beside them: verdicts.json, power.json,
                                 bench.json, bench_avx2.json, libraries.json, reference/

A table is asked for by rows, of a `Source`: these files (`Published`) or a `Store` of trainings.
"""

from lth_core.results.published import FINER, HERE, NEVER, POINTS, Published, chain_of, thinned
from lth_core.results.source import Listed, Source, curves, masks, possible, table, trained

__all__ = [
    "FINER",
    "HERE",
    "NEVER",
    "POINTS",
    "Listed",
    "Published",
    "Source",
    "chain_of",
    "curves",
    "masks",
    "possible",
    "table",
    "thinned",
    "trained",
]
