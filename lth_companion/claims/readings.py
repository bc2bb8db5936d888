"""Readings: where a paper does not say how a thing is measured, each way in which it can be read.

A claim is judged under every reading that touches it. One whose answer is the same under all has it; one that turns
"depends on the reading" (`verdicts`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.claims.statements import Part, columns_of
from lth_core.levels import with_depth
from lth_core.networks import Networks

CONVERGENCE = ("convergence_iteration", "convergence_test", "late_gain", "converged")  # columns that v1's rule makes


@dataclass(frozen=True)
class Settles:
    """v1's convergence rule, read: from an evaluation on, the mean of test accuracy over `window` iterations moves by
    less than `change` in `hold` iterations, counted from there or between `successive` means."""

    window: int
    change: float
    hold: int
    successive: bool = False

    def positions(self, test: NDArray, cadence: int) -> NDArray[np.intp]:
        """Which evaluation of each network, `test` `(network, evaluation)` every `cadence` iterations; -1: never."""
        window, hold = max(1, round(self.window / cadence)), max(1, round(self.hold / cadence))
        if test.shape[1] < window + hold:
            return np.full(len(test), -1)
        sums = np.cumsum(np.pad(test, ((0, 0), (1, 0))), axis=1)
        average = (sums[:, window:] - sums[:, :-window]) / window
        ahead = np.lib.stride_tricks.sliding_window_view(average, hold + 1, axis=1)
        moved = np.abs(np.diff(ahead, axis=2)) if self.successive else np.abs(ahead - ahead[:, :, :1])
        there = moved.max(2) < self.change
        return np.where(there.any(1), there.argmax(1) + window - 1, -1)


@dataclass(frozen=True)
class Reading:
    """One way to read what a paper leaves open: as it is told, and what it changes."""

    name: str
    said: str
    rule: Settles | None = None  # v1's convergence, where it is not the columns' own
    arguments: dict[str, Any] = field(default_factory=dict)  # of the tests

    def columns(self, table: Networks, curves: pd.DataFrame) -> Networks:
        """The table with v1's convergence under this reading, from curves with a fraction `test`."""
        if self.rule is None:
            return table
        read = settled(curves, self.rule).reindex(table["key"]).to_numpy()
        return with_depth(table.assign(convergence_iteration=read[:, 0], convergence_test=read[:, 1]))


def settled(curves: pd.DataFrame, rule: Settles) -> pd.DataFrame:
    """When each network converges by a rule and how accurate: (iteration, test), by key. `curves`: evaluations in
    order of key and iteration, with a fraction `test`."""
    codes, keys = pd.factorize(curves["key"])
    starts = np.flatnonzero(np.diff(codes, prepend=-1))
    counts = np.diff(starts, append=len(codes))
    when, test = curves["iteration"].to_numpy(float), curves["test"].to_numpy(float)
    found = np.full((len(keys), 2), np.nan)
    for n in np.unique(counts):
        own = np.flatnonzero(counts == n)
        rows = starts[own][:, None] + np.arange(n)
        cadence = int(np.median(np.diff(when[rows[0]]))) if n > 1 else 1
        at = rule.positions(test[rows], cadence)
        there = at >= 0
        place = rows[np.flatnonzero(there), at[there]]
        found[own[there]] = np.column_stack([when[place], test[place]])
    return pd.DataFrame(found, index=keys)


FROM_THERE = Reading("against where it stood", "the moving average stays within 0.002 of where it stood")
SUCCESSIVE = Reading(
    "against the average before",
    "neighbouring moving averages differ by less than 0.002",
    Settles(1000, 0.002, 1000, True),
)
FITTED = Reading(  # of 300 readings the one that comes nearest to both check numbers: `benchmarks/convergence.py`
    "fitted to footnote 5",
    "a moving average over 2,000 iterations stays within 0.0005 of where it stood for 2,000",
    Settles(2000, 0.0005, 2000),
)
RULES = (FROM_THERE, SUCCESSIVE, FITTED)
TIES = (
    Reading("ties count", "a network that answers 1/2 has found the boundary (fitted on Figure 1)"),
    Reading("ties do not count", "each point must lie on its own side", arguments={"tie": 0.0}),
)
ALONE = (Reading("", ""),)  # nothing is left open


def readings_of(parts: Iterable[Part]) -> tuple[Reading, ...]:
    """The readings that touch a claim's tests."""
    parts = list(parts)
    if any(converging(columns_of(part.arguments)) for part in parts):
        return RULES
    if any(part.arguments.get("success") == "right" for part in parts):
        return TIES
    return ALONE


def converging(columns: Iterable[str]) -> bool:
    """Whether v1's rule makes any of these columns (of learning curves: of their own column)."""
    return any(re.split("[@<]", c)[0] in CONVERGENCE for c in columns)


def changed(part: Part, reading: Reading) -> Part:
    """A test under a reading: with the arguments that it changes, where the test has them."""
    touched = part.test.startswith("xor") and part.arguments.get("success") == "right"
    return part._replace(arguments={**part.arguments, **reading.arguments}) if touched else part
