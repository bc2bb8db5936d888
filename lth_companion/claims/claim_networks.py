"""Which measured networks a claim asks for, at which scale, and its tests made on them."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, lru_cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.claims.curve_columns import evaluations, with_curves
from lth_companion.claims.printed_settings import declared
from lth_companion.claims.readings import ALONE, Reading, Settles, changed, converging
from lth_companion.claims.statements import Claim, Part, columns_of
from lth_companion.claims.tests import named, traits
from lth_companion.experiments import catalogue
from lth_companion.experiments.cifar10_recipes import share
from lth_core import results
from lth_core.analyse import SUMMARY
from lth_core.judge.result import Result
from lth_core.levels import Lacking, fits, select, with_depth
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.store.cell import MADE, key_of

NEEDS_NO_RESULTS = ("xor", "settings")  # needs of tests that no published network serves
TOLD = ("dataset", "arch", "optimizer", "lr", "batch_size", "iterations", "round", "arm", "trial")  # of a network
CHAIN = ("dataset", "arch", "optimizer", "lr", "batch_size", "iterations", "trial")  # the same in all rounds of one
_told, _chain = attrgetter(*TOLD), attrgetter(*CHAIN)


def told_warmup(spec: Spec) -> int:
    """Iterations of warmup as the paper tells them, of a row whose schedule may be shorter."""
    return round(spec.warmup / share(spec)) if spec.warmup else 0


def read_by_tests(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its levels, without the columns that no test reads. Texts and names become objects: tests compare
    them row by row, and Arrow's would be unpacked each time."""
    table = with_depth(table[[c for c in table if c not in MADE or c in SUMMARY]])
    table = table.astype({c: object for c in table if isinstance(table[c].dtype, pd.StringDtype)})
    return table.set_axis(table.columns.astype(object), axis=1)


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
    """A figure's networks at one scale: which are declared, and what is measured of them."""

    def __init__(self, specs: list[Spec], have: Sequence[bool], bench: Bench) -> None:
        self.specs, self.bench, self.have = specs, bench, np.array(have, bool)
        self.declared = Declared(specs)
        self.read: dict[Settles, pd.DataFrame] = {}

    @cached_property
    def there(self) -> list[Spec]:
        return [s for s, h in zip(self.specs, self.have, strict=True) if h]

    @cached_property
    def table(self) -> pd.DataFrame:
        return self.bench.table(self.there).assign(warmup=list(map(told_warmup, self.there)))

    @cached_property
    def curves(self) -> pd.DataFrame:
        """Evaluations of all that is measured, in order, with accuracies."""
        return evaluations(self.there, self.bench.source)

    def under(self, reading: Reading) -> pd.DataFrame:
        """The table with v1's convergence under a reading."""
        if reading.rule is None:
            return self.table
        if reading.rule not in self.read:
            self.read[reading.rule] = reading.columns(self.table, self.curves)
        return self.read[reading.rule]


class Bench:
    """Answers queries on a source (published results or a store) at the first of `profiles` that is complete.

    `only` some trials of it are a bench too, which shares all that was read."""

    whole: Bench | None = None  # of which this one shows some trials
    trials: Mapping[str, Collection[int]] = MappingProxyType({})  # which, by figure

    def __init__(self, source: Source, profiles: Sequence[str], options: dict[str, Any]) -> None:
        self.source, self.profiles, self.options = source, profiles, options  # options: trials, seed, dataset
        self.cache: dict[tuple[str, str], Rows] = {}
        self.asked: dict[tuple[str, str, bool], Asked] = {}
        self.keys = set(source.keys())

    def only(self, trials: Mapping[str, Collection[int]]) -> Bench:
        """The same, with some figures' networks in some trials alone: what compares networks sees no others."""
        some = copy.copy(self)
        some.whole, some.trials, some.asked = self, trials, {}
        return some

    def table(self, specs: list[Spec]) -> pd.DataFrame:
        """One row a measured network: what tests read of it."""
        if not specs:
            return pd.DataFrame()
        if isinstance(self.source, results.Published):
            return self.published.take(self.source.cells.index.get_indexer(list(map(key_of, specs)))).reset_index(
                drop=True
            )
        return read_by_tests(results.table(specs, self.source))

    @cached_property
    def published(self) -> pd.DataFrame:
        assert isinstance(self.source, results.Published)
        return read_by_tests(self.source.whole_table)

    @cached_property
    def told(self) -> set[tuple[Any, ...]] | None:
        """What the measured networks are like, where a table tells it at once: most rows that are not there differ in
        this, and need no key."""
        if not isinstance(self.source, results.Published) or not set(TOLD) <= set(self.source.cells):
            return None
        return set(self.source.cells[list(TOLD)].itertuples(index=False, name=None))

    @cached_property
    def ended(self) -> set[tuple] | None:
        """What the measured networks that diverged are like, where a table tells it at once: only rows that are like
        one of them may be impossible."""
        if not isinstance(self.source, results.Published) or not {*CHAIN, "diverged"} <= set(self.source.cells):
            return None
        gone = self.source.cells[self.source.cells["diverged"]]
        return set(gone[list(CHAIN)].itertuples(index=False, name=None))

    def _may_have_ended(self, spec: Spec) -> bool:
        return self.ended is None or _chain(spec) in self.ended

    def key(self, spec: Spec) -> str | None:
        """A row's key where it is measured."""
        if not self.keys or (self.told is not None and _told(spec) not in self.told):
            return None
        return key if (key := key_of(spec)) in self.keys else None

    def has(self, spec: Spec) -> bool:
        return self.key(spec) is not None

    def diverged(self, spec: Spec) -> bool:
        return self.source.diverged(spec)

    def rows(self, figure: str, profile: str) -> Rows:
        """A figure's networks in a profile, made once; where results/ are of the paper's scale, once for both."""
        usual = not any(v not in (0, "own") for v in self.options.values())
        if profile == "published" and usual and not catalogue.smaller(figure):
            profile = "paper"
        if (figure, profile) not in self.cache:
            own = profile != "paper" or not usual
            specs = catalogue.rows(figure, profile, **self.options) if own else list(declared(figure))
            keys = [self.key(s) for s in specs]
            open_ = [s for s, k in zip(specs, keys, strict=True) if k is None and self._may_have_ended(s)]
            if open_ and any(keys):
                lost = {*open_}.difference(results.possible(open_, self))
                pairs = [(s, k) for s, k in zip(specs, keys, strict=True) if s not in lost]
                specs, keys = [s for s, _ in pairs], [k for _, k in pairs]
            self.cache[figure, profile] = Rows(specs, [k is not None for k in keys], self)
        return self.cache[figure, profile]

    @cached_property
    def further(self) -> dict[str, list[Spec]]:
        """Of each figure that has further trials (`catalogue.further`) the networks in those that are there as a
        whole."""
        if "published" not in self.profiles or any(v not in (0, "own") for v in self.options.values()):
            return {}
        there: dict[str, set[int]] = {}
        for name in {f.further for f in catalogue.FIGURES.values() if f.further}:
            by_trial: dict[int, list[Spec]] = {}
            for s in catalogue.rows(name, "published"):
                by_trial.setdefault(s.trial, []).append(s)
            there[name] = {t for t, rows in by_trial.items() if all(map(self.has, results.possible(rows, self)))}
        found: dict[str, list[Spec]] = {}
        for f in (f for f in catalogue.FIGURES.values() if f.further):
            rows_of = catalogue.further(f.id)
            found[f.id] = [s for t, rows in rows_of.items() if t in there[f.further] for s in rows if self.has(s)]
        return found

    def all_trials(self, figure: str, profile: str) -> Rows:
        """A figure's networks at the paper's scale with those in further trials; in other profiles its own."""
        own = self.rows(figure, profile)
        if own is not self.cache.get((figure, "paper")) or not self.further.get(figure):
            return own
        if (figure, "all trials") not in self.cache:
            more = self.further[figure]
            self.cache[figure, "all trials"] = Rows([*own.specs, *more], [*own.have, *map(self.has, more)], self)
        return self.cache[figure, "all trials"]

    def ask(self, figure: str, where: dict[str, Any], further: bool = False) -> Asked:
        """A figure's rows that fit `where`, at the scale at which these are measured, with those in `further` trials;
        each question answered once."""
        question = figure, repr(where), further
        if question not in self.asked:
            if self.whole is None:
                self.asked[question] = self._found(figure, where, self.all_trials if further else self.rows)
            else:
                asked, kept = self.whole.ask(figure, where, further), self.trials.get(figure)
                self.asked[question] = asked if kept is None or not further else asked.only(kept)
        return self.asked[question]

    def _found(self, figure: str, where: dict[str, Any], of: Callable[[str, str], Rows]) -> Asked:
        if figure not in catalogue.FIGURES:
            raise Lacking(f"{figure} is not declared yet")
        shares = []  # measured of each profile that declares such networks
        for profile in self.profiles:
            rows = of(figure, profile)
            fit = fits(rows.declared, **where)
            if not fit.any():
                continue
            shares.append(rows.have[fit].mean())
            if rows.have[fit].all():
                return Asked(figure, rows, where, fit)
        if not shares:
            raise Lacking(f"{figure} declares no networks with {where}")
        best = max(shares)
        raise Lacking("no network is published yet" if best == 0 else f"only {best:.0%} of the networks are published")


@lru_cache(maxsize=128)
def in_full(figure: str) -> Declared:
    """A figure's rows at the paper's scale."""
    return Declared(declared(figure))


class Asked:
    """A figure's measured networks that fit a query: what all tests that ask for them read."""

    whole: Asked | None = None  # of which these are some `trials`
    trials: Collection[int] = ()

    def __init__(self, figure: str, rows: Rows, where: dict[str, Any], fit: NDArray[np.bool_]) -> None:
        self.figure, self.rows, self.where, self.fit = figure, rows, where, fit
        self.read: dict[tuple[Settles | None, tuple[str, ...]], pd.DataFrame] = {}

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
        own, whole = (
            {
                "iterations": int(rows["iterations"][those].max()),
                "trials": len(np.unique(rows["trial"][those])),
                "redraws": 1 + int(rows["replicate"][those].max()),
                "rounds": int(rows["round"][those].max()),
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

    def table(self, reading: Reading, columns: Sequence[str], source: Source) -> pd.DataFrame:
        """What tests read of these networks, v1's convergence under a reading, with those of `columns` that need whole
        curves."""
        whole = tuple(c for c in columns if re.search("[@<]|^loss_rise$", c))
        if not converging(columns):
            reading = ALONE[0]
        if self.whole and (reading.rule, whole) not in self.read:
            table = self.whole.table(reading, columns, source)
            self.read[reading.rule, whole] = table[np.isin(table["trial"], [*self.trials])]
        if (reading.rule, whole) not in self.read:
            table = select(self.rows.under(reading), **self.where)
            if whole:
                table = with_curves(table, whole, source, self.specs, self.rows.curves)
            self.read[reading.rule, whole] = table
        return self.read[reading.rule, whole]


def test_one(bench: Bench, claim: Claim, part: Part, reading: Reading = ALONE[0]) -> tuple[Result, str]:
    """One test of a claim under a reading: what it found, and what its scale lacks. Raises `Lacking` where it cannot be
    made."""
    part = changed(part, reading)
    test, needs = named(part.test), traits(part).needs
    if needs in NEEDS_NO_RESULTS:
        return test(**part.arguments), ""
    compares = needs == "networks" and traits(part).total == "networks"  # what counts or opens has the paper's trials
    asked = [bench.ask(figure, part.where, further=compares) for figure in (part.figure, *claim.also)]
    short = next((a.short for a in asked if a.short), "")
    if needs == "tickets":
        return test(bench.source, [s for a in asked for s in a.specs], **part.arguments), short
    tables = [a.table(reading, columns_of(part.arguments), bench.source) for a in asked]
    whole = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True).drop_duplicates("key")
    found = test(whole, **part.arguments)
    notes = dict.fromkeys([found.note, *(a.beyond for a in asked)])
    return replace(found, note="; ".join(filter(None, notes))), short
