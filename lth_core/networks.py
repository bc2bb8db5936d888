"""A table of networks as tests read it: columns are taken where they are first asked for, and what many tests ask for,
those of some fields or a curve, is made once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Fields that unpruned networks do not have: those belong to every condition on them (see `Spec.at_round`).
PRUNING = {
    "prune_conv", "prune_fc", "prune_out", "scope", "search", "criterion", "rewind", "rescale", "arm", "sigma",
    "replicate",
}  # fmt: skip


class Columns(Protocol):
    """Networks by the names of their fields: a table, or what a catalogue declares."""

    def __len__(self) -> int: ...

    def __getitem__(self, name: str, /) -> Any: ...


def fits(table: Columns, **fields: Any) -> NDArray[np.bool_]:
    """Which networks have these fields (a value or a list); unpruned ones belong to every condition on pruning."""
    kept = np.ones(len(table), bool)
    for name, wanted in fields.items():
        if name == "path":  # one cut from the unpruned network, or rounds of 20 percent; one cut of 20 percent is both
            once = np.asarray(table["round"]) <= 1
            kept &= once if wanted == "one-shot" else np.isin(np.asarray(table["prune_fc"]), [0.0, 0.2])
            continue
        several = wanted if isinstance(wanted, list) else [wanted]
        values = np.asarray(table[name])
        own = np.logical_or.reduce([values == one for one in several])
        kept &= own | (np.asarray(table["round"]) == 0) if name in PRUNING else own
    return kept


@dataclass(frozen=True, eq=False)
class Curve:
    """A column by trial and depth: `values` `(trial, level)`, NaN where there is none; trials and depths rise."""

    values: NDArray[np.float64]
    trials: NDArray[Any]
    depths: NDArray[np.float64]

    def __post_init__(self) -> None:  # a level's trials side by side: their sum then has one last bit
        object.__setattr__(self, "values", np.asfortranarray(self.values))

    def __len__(self) -> int:
        return len(self.trials)

    @property
    def frame(self) -> pd.DataFrame:
        """A row a trial, a column a depth."""
        return pd.DataFrame(self.values, index=self.trials, columns=self.depths)


class Networks:
    """A table of networks of which some are chosen: nobody copies the columns that no test reads, and what many tests
    ask for is made once.

    `rows`: places in `table`, in order; None: all"""

    def __init__(self, table: Columns, rows: NDArray[np.intp] | None = None) -> None:
        self.table, self.rows = table, rows
        self.columns: dict[str, NDArray[Any]] = {}
        self.chosen: dict[str, Networks] = {}  # by fields
        self.curves: dict[str, Curve] = {}  # by column

    def __len__(self) -> int:
        return len(self.table if self.rows is None else self.rows)

    def __contains__(self, name: str) -> bool:
        return name in self.columns or name in self.table  # type: ignore[operator]

    def __getitem__(self, name: str) -> NDArray[Any]:
        if name not in self.columns:
            whole = np.asarray(self.table[name])
            self.columns[name] = whole if self.rows is None else whole[self.rows]
        return self.columns[name]

    def take(self, kept: NDArray[Any]) -> Networks:
        """Some of them: a mask, or places."""
        return Networks(self, np.flatnonzero(kept) if kept.dtype == bool else kept)

    def assign(self, **columns: Any) -> Networks:
        """The same networks with further or other columns."""
        more = Networks(self)
        more.columns = {name: np.asarray(values) for name, values in columns.items()}
        return more

    def where(self, **fields: Any) -> Networks:
        """Those with these fields: see `fits`."""
        asked = repr(fields)
        if asked not in self.chosen:
            self.chosen[asked] = self.take(fits(self, **fields))
        return self.chosen[asked]

    @cached_property
    def _places(self) -> tuple[NDArray[Any], NDArray[np.float64], NDArray[np.intp]]:
        """Trials, depths, and where each network stands in a flat `(level, trial)`."""
        trials, row = np.unique(self["trial"], return_inverse=True)
        depths, level = np.unique(self["depth"], return_inverse=True)
        return trials, depths, level * len(trials) + row

    def curve(self, column: str) -> Curve:
        """`column` by trial and depth, redraws averaged."""
        if column not in self.curves:
            (trials, depths, place), values = self._places, self[column].astype(float)
            there, size = np.isfinite(values), len(trials) * len(depths)
            total = np.bincount(place[there], values[there], size)
            count = np.bincount(place[there], minlength=size)
            means = np.divide(total, count, out=np.full(size, np.nan), where=count > 0)
            self.curves[column] = Curve(means.reshape(len(depths), -1).T, trials, depths)
        return self.curves[column]


class _Joined:
    """The columns of several tables, one below the other."""

    def __init__(self, tables: Sequence[Networks]) -> None:
        self.tables = tables

    def __len__(self) -> int:
        return sum(map(len, self.tables))

    def __contains__(self, name: str) -> bool:
        return all(name in t for t in self.tables)

    def __getitem__(self, name: str) -> NDArray[Any]:
        return np.concatenate([t[name] for t in self.tables])


def joined(tables: Sequence[Networks]) -> Networks:
    """The networks of several tables, each once."""
    whole = Networks(_Joined(tables))
    return whole.take(np.sort(np.unique(whole["key"], return_index=True)[1]))


def networks(table: Columns) -> Networks:
    """A table as tests read it."""
    return table if isinstance(table, Networks) else Networks(table)
