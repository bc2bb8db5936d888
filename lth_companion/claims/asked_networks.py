"""A figure's networks as claims ask for them: what is declared, what is measured, and those that fit a query."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.claims.curve_columns import evaluations, with_curves
from lth_companion.claims.printed_settings import declared
from lth_companion.claims.readings import ALONE, Reading, Settles, converging
from lth_companion.experiments import catalogue
from lth_companion.experiments.cifar10_recipes import share
from lth_core.networks import Columns, Networks, fits
from lth_core.results import Source
from lth_core.spec import Spec


def told_warmup(spec: Spec) -> int:
    """Iterations of warmup as the paper tells them, of a row whose schedule may be shorter."""
    return round(spec.warmup / share(spec)) if spec.warmup else 0


class Declared:
    """Rows by the names of their fields, made where one is asked for."""

    def __init__(self, specs: Sequence[Spec]) -> None:
        self.specs = specs
        self.made: dict[str, np.ndarray] = {}

    def __len__(self) -> int:
        return len(self.specs)

    def __getitem__(self, name: str) -> np.ndarray:
        if name not in self.made:
            read = told_warmup if name == "warmup" else attrgetter(name)
            self.made[name] = np.array([read(s) for s in self.specs])
        return self.made[name]


class Rows:
    """A figure's networks at one scale: which are declared, and what is measured of them.

    - `look_up`: gives a row a network to what is measured in `source`, in the order of the specs"""

    def __init__(
        self, specs: list[Spec], have: Sequence[bool], source: Source, look_up: Callable[[list[Spec]], Networks]
    ) -> None:
        self.specs, self.have, self.source, self.look_up = specs, np.array(have, bool), source, look_up
        self.declared = Declared(specs)
        self.read: dict[Settles, Networks] = {}

    @cached_property
    def there(self) -> list[Spec]:
        return [s for s, h in zip(self.specs, self.have, strict=True) if h]

    @cached_property
    def table(self) -> Networks:
        return self.look_up(self.there).assign(warmup=list(map(told_warmup, self.there)))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Evaluations of all that is measured, in order, with accuracies."""
        return evaluations(self.there, self.source)

    def under(self, reading: Reading) -> Networks:
        """The table with v1's convergence under a reading."""
        if reading.rule is None:
            return self.table
        if reading.rule not in self.read:
            self.read[reading.rule] = reading.columns(self.table, self.curves)
        return self.read[reading.rule]


@lru_cache(maxsize=128)
def in_full(figure: str) -> Declared:
    """A figure's rows at the paper's scale."""
    return Declared(declared(figure))


def depths(rows: Columns, those: NDArray[np.bool_]) -> list[float]:
    """How much is pruned of each of these rows, on the logarithm, where the most is: rounds of any rate compare."""
    rate = np.maximum(rows["prune_conv"], rows["prune_fc"])[those]
    return list(-rows["round"][those] * np.log1p(-rate))


class Asked:
    """A figure's measured networks that fit a query: what all tests that ask for them read."""

    whole: Asked | None = None  # of which these are some `trials`
    trials: Collection[int] = ()

    def __init__(self, figure: str, rows: Rows, where: dict[str, Any], fit: NDArray[np.bool_]) -> None:
        self.figure, self.rows, self.where, self.fit = figure, rows, where, fit
        self.read: dict[tuple[Settles | None, tuple[str, ...]], Networks] = {}

    @cached_property
    def specs(self) -> list[Spec]:
        return [s for s, f in zip(self.rows.specs, self.fit, strict=True) if f]

    @cached_property
    def short(self) -> str:
        """What of the paper's scale is missing: nothing, or "10,000 of 50,000 iterations, 3 of 5 trials"."""
        full, data = in_full(self.figure), catalogue.FIGURES[self.figure].paper.dataset
        fit = fits(full, **self.where)
        if not fit.any():
            return "settings that the paper does not have"
        rate = min(depths(full, fit & (full["round"] == 1)), default=1.0)
        own, whole = (
            {
                "iterations": int(rows["iterations"][those].max()),
                "trials": len(np.unique(rows["trial"][those])),
                "redraws": 1 + int(rows["replicate"][those].max()),
                "rounds": round(max(depths(rows, those), default=0) / rate),
            }
            for rows, those in ((self.rows.declared, self.fit), (full, fit))
        )
        short = [f"{own[name]:,} of {whole[name]:,} {name}" for name in whole if own[name] < whole[name]]
        dataset = self.specs[0].dataset
        return ", ".join([*short, *([f"{dataset} for {data}"] if dataset != data else [])])

    @cached_property
    def beyond(self) -> str:
        """What trials there are beyond the paper's: nothing, or "15 trials more than the paper's 5"."""
        trial, replicate = (self.rows.declared[name][self.fit] for name in ("trial", "replicate"))
        papers = catalogue.FIGURES[self.figure].paper
        more = trial >= papers.trials
        if not more.any():
            return ""
        said = f"{len(np.unique(trial[more]))} trials more than the paper's {papers.trials}"
        few, many = 1 + int(replicate[more].max()), 1 + int(in_full(self.figure)["replicate"].max())
        return said + (f", with {few} of {many} redraws of each control" if few < many else "")

    def only(self, trials: Collection[int]) -> Asked:
        """Those of some trials."""
        some = Asked(self.figure, self.rows, self.where, self.fit & np.isin(self.rows.declared["trial"], [*trials]))
        some.whole, some.trials = self, trials
        return some

    def table(self, reading: Reading, columns: Sequence[str], source: Source) -> Networks:
        """What tests read of these networks, v1's convergence under a reading, with those of `columns` that need whole
        curves."""
        whole = tuple(c for c in columns if re.search("[@<]|^loss_rise$", c))
        if not converging(columns):
            reading = ALONE[0]
        if self.whole and (reading.rule, whole) not in self.read:
            table = self.whole.table(reading, columns, source)
            self.read[reading.rule, whole] = table.take(np.isin(table["trial"], [*self.trials]))
        if (reading.rule, whole) not in self.read:
            table = self.rows.under(reading).take(self.fit[self.rows.have])
            if whole:
                table = with_curves(table, whole, source, self.specs, self.rows.curves)
            self.read[reading.rule, whole] = table
        return self.read[reading.rule, whole]
