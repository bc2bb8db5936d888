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
from lth_core import draws, levels, results
from lth_core.errors import UsageError

SECTION, KIND = "v1_2_xor", "outcomes"
HERE = Path(__file__).parent
CODE = (
    *(HERE / name for name in ("xor.py", "xor_nets.py", "xor_outcomes.py", "xor_counts.py")),
    *(Path(str(module.__file__)) for module in (draws, levels)),
)  # all that decides the table


def made_from() -> str:
    """The hash of the code that decides the table."""
    return hashlib.sha256(b"\0".join(file.read_bytes() for file in CODE)).hexdigest()[:20]


class Networks:
    """XOR's networks by strategy, size and the size of their parents; table as `xor.networks` makes it."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.random = table[table["parent"] == 0]
        above = self.random[["hidden", "trial", "loss", "margin"]].add_prefix("parent_")
        above = above.rename(columns={"parent_hidden": "parent", "parent_trial": "trial"})
        self.tickets = table[table["parent"] > 0].merge(above, on=["parent", "trial"])
        self.judged: dict[float, dict[tuple[str, int, int], pd.DataFrame]] = {}  # by tie

    def of(self, strategy: str, hidden: int, parent: int = HIDDEN[0], tie: float = TIE) -> pd.DataFrame:
        """The networks of a strategy, one row a trial, judged: of a ticket also its parent."""
        if tie not in self.judged:
            self.judged[tie] = {
                key: own for part in (self.random, self.tickets)
                for key, own in judge(part, tie=tie).sort_values("trial").groupby(["strategy", "parent", "hidden"])
            }  # fmt: skip
        if strategy != RANDOM and hidden == parent:  # nothing is pruned yet: the parents themselves
            own = self.of(RANDOM, hidden, tie=tie)
            return own.assign(parent_right=own["right"], parent_zero=own["zero"])
        place = (strategy, 0 if strategy == RANDOM else parent, hidden)
        if place not in self.judged[tie]:
            raise UsageError(f"no XOR networks are {strategy!r} with {hidden} hidden units of {parent}.")
        return self.judged[tie][place]

    def success(
        self, strategy: str, hidden: int, success: str, tie: float = TIE, given_parent: bool = False
    ) -> NDArray[np.float64]:
        """Success (1 or 0; "right" or "zero") of each trial; `given_parent`: of those whose parent succeeds."""
        found = self.of(strategy, hidden, tie=tie)
        return (found[found[f"parent_{success}"]] if given_parent else found)[success].to_numpy(float)


@lru_cache(maxsize=4)
def networks(root: Path = results.HERE) -> Networks:
    """The published networks, or newly trained ones where none of this code are published."""
    published = results.Published(root).parts(KIND) if root.exists() else ()  # an installed package has none
    for section, table in published:
        if section == SECTION and set(table["made_from"]) == {made_from()}:
            return Networks(table[NETWORK])
    from lth_companion.experiments import xor  # compiles: for those alone who train

    return Networks(xor.networks())
