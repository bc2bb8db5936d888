"""The XOR networks that the ledger judges, read from `results/` in place of seconds of training.

results/v1_2_xor/outcomes.parquet has a row a network (`xor.networks`) and, in each, the hash of the code that drew,
trained and judged it (`made_from`). A table of other code is not used: then the networks are trained again, here and
now. `python -m lth_core publish v1_2_xor` trains and publishes them; a test trains a sample and compares.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.experiments.xor_counts import HIDDEN, NETWORK, RANDOM, TIE, judge
from lth_core import draws, results
from lth_core.errors import UsageError

SECTION, KIND = "v1_2_xor", "outcomes"
CODE = ("xor.py", "xor_networks.py", "xor_counts.py")  # of this folder: all that decides the table, with `draws`


def made_from() -> str:
    """The hash of the code that decides the table."""
    files = [*(Path(__file__).with_name(name) for name in CODE), Path(draws.__file__)]
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:20]


class Networks:
    """XOR's networks by strategy, size and the size of their parents; table as `xor.networks` makes it."""

    def __init__(self, table: pd.DataFrame) -> None:
        groups = table.sort_values("trial").groupby(["strategy", "parent", "hidden"])
        self.groups = {key: own.reset_index(drop=True) for key, own in groups}

    def of(self, strategy: str, hidden: int, parent: int = HIDDEN[0]) -> pd.DataFrame:
        """The networks of a strategy, one row a trial: tickets stand beside their parents' outcomes."""
        if strategy == RANDOM or hidden == parent:  # nothing is pruned yet: the parents themselves
            own = self._group(RANDOM, 0, hidden)
            return own if strategy == RANDOM else own.assign(parent_loss=own["loss"], parent_margin=own["margin"])
        above = self._group(RANDOM, 0, parent)
        own = self._group(strategy, parent, hidden)
        return own.assign(parent_loss=above["loss"], parent_margin=above["margin"])

    def _group(self, strategy: str, parent: int, hidden: int) -> pd.DataFrame:
        if (strategy, parent, hidden) not in self.groups:
            raise UsageError(f"no XOR networks are {strategy!r} with {hidden} hidden units of {parent}.")
        return self.groups[strategy, parent, hidden]

    def success(
        self, strategy: str, hidden: int, success: str, tie: float = TIE, given_parent: bool = False
    ) -> NDArray[np.float64]:
        """Success (1 or 0; "right" or "zero") of each trial; `given_parent`: of those whose parent succeeds."""
        found = judge(self.of(strategy, hidden), tie=tie)
        return (found[found[f"parent_{success}"]] if given_parent else found)[success].to_numpy(float)


@lru_cache(maxsize=4)
def networks(root: Path = results.HERE) -> Networks:
    """The published networks, or newly trained ones where none of this code are published."""
    for section, table in results.Published(root).parts(KIND):
        if section == SECTION and set(table["made_from"]) == {made_from()}:
            return Networks(table[NETWORK])
    from lth_companion.experiments import xor  # compiles: for those alone who train

    return Networks(xor.networks())
