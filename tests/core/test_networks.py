"""A table of networks as tests read it: what is asked for is taken once, and says what the table says."""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
import pandas as pd

from lth_core.levels import curve, select, with_depth
from lth_core.networks import Networks, joined, networks

TABLE = with_depth(
    pd.DataFrame(
        [
            {"key": f"{arm}{r}{t}", "arm": arm, "round": r, "trial": t, "prune_fc": 0.2 * (r > 0), "prune_conv": 0.0,
             "replicate": 0, "density": 0.8**r, "stop_test": 0.9 + 0.01 * t - 0.001 * r if r < 3 else np.nan}
            for t in range(3) for r in range(4) for arm in (("ticket", "reinit") if r else ("ticket",))
        ]
    )
)  # fmt: skip


class Counting:
    """A table that counts how often each column is taken."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(TABLE)

    def __contains__(self, name: str) -> bool:
        return name in TABLE

    def __getitem__(self, name: str) -> Any:
        self.taken[name] += 1
        return TABLE[name]


def test_a_column_is_taken_once_however_many_ask() -> None:
    table = Counting()
    read = networks(table)
    for side in ({"arm": "ticket"}, {"arm": "reinit"}, {"arm": "ticket", "at": 2}):
        curve(read, "stop_test", **side)
    assert curve(read, "stop_test") is curve(read, "stop_test", at=2), "made once"
    assert select(read, arm="reinit") is read.where(arm="reinit")
    assert table.taken == dict.fromkeys(("arm", "round", "trial", "depth", "stop_test"), 1), "and no other"


def test_a_curve_says_what_the_table_says() -> None:
    made = curve(TABLE, "stop_test", arm="reinit").frame
    chosen = TABLE[(TABLE["arm"] == "reinit") | (TABLE["round"] == 0)]
    pd.testing.assert_frame_equal(
        made, chosen.pivot_table("stop_test", "trial", "depth", dropna=False), check_names=False
    )
    assert made[3.0].isna().all()


def test_some_of_some_networks_with_other_columns() -> None:
    read = Networks(TABLE)
    some = read.take(read["trial"] > 0).where(arm="reinit").assign(stop_test=np.arange(8.0))
    assert len(some) == 8 and some["stop_test"].tolist() == [*range(8)]
    assert (
        some["key"].tolist()
        == TABLE[(TABLE["trial"] > 0) & ((TABLE["arm"] == "reinit") | (TABLE["round"] == 0))]["key"].tolist()
    )
    assert "stop_test" in some and "no such" not in some


def test_joined_tables_hold_each_network_once_in_order() -> None:
    read = Networks(TABLE)
    both = joined([read.take(read["trial"] < 2), read.take(read["trial"] > 0)])
    assert both["key"].tolist() == TABLE["key"].tolist()
