"""Which measured networks a claim asks for, at which scale, and its tests made on them."""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from lth_companion.claims.asked_networks import Asked, Rows
from lth_companion.claims.printed_settings import declared
from lth_companion.claims.readings import ALONE, Reading, changed
from lth_companion.claims.statements import Claim, Part, columns_of
from lth_companion.claims.tests import named, traits
from lth_companion.experiments import catalogue
from lth_core import results
from lth_core.judge.result import Result
from lth_core.levels import Lacking, with_depth
from lth_core.networks import Networks, fits, joined
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.store.cell import key_of

NEEDS_NO_RESULTS = ("xor", "settings")  # needs of tests that no published network serves
TOLD = ("dataset", "arch", "optimizer", "lr", "batch_size", "iterations", "round", "arm", "trial")  # of a network
CHAIN = ("dataset", "arch", "optimizer", "lr", "batch_size", "iterations", "trial")  # the same in all rounds of one
_told, _chain = attrgetter(*TOLD), attrgetter(*CHAIN)


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

    def table(self, specs: list[Spec]) -> Networks:
        """One row a measured network: what tests read of it."""
        if isinstance(self.source, results.Published):
            return self.published.take(self.source.cells.index.get_indexer(list(map(key_of, specs))))
        return with_depth(Networks(results.table(specs, self.source)))

    @cached_property
    def published(self) -> Networks:
        assert isinstance(self.source, results.Published)
        return with_depth(Networks(self.source.whole_table))

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
            self.cache[figure, profile] = Rows(specs, [k is not None for k in keys], self.source, self.table)
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
            self.cache[figure, "all trials"] = Rows(
                [*own.specs, *more], [*own.have, *map(self.has, more)], self.source, self.table
            )
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
            raise Lacking("no networks are planned for this sentence yet")
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


def compares(part: Part) -> bool:
    """Whether a test compares networks: the more trials the better. What counts them or opens their tickets has the
    paper's own trials alone."""
    return traits(part).needs == "networks" and traits(part).total == "networks"


def test_one(bench: Bench, claim: Claim, part: Part, reading: Reading = ALONE[0]) -> tuple[Result, str]:
    """One test of a claim under a reading: what it found, and what its scale lacks. Raises `Lacking` where it cannot be
    made."""
    part = changed(part, reading)
    test, needs = named(part.test), traits(part).needs
    if needs in NEEDS_NO_RESULTS:
        return test(**part.arguments), ""
    asked = [bench.ask(figure, part.where, further=compares(part)) for figure in (part.figure, *claim.also)]
    short = next((a.short for a in asked if a.short), "")
    if needs == "tickets":
        return test(bench.source, [s for a in asked for s in a.specs], **part.arguments), short
    tables = [a.table(reading, columns_of(part.arguments), bench.source) for a in asked]
    whole = tables[0] if len(tables) == 1 else joined(tables)
    found = test(whole, **part.arguments)
    notes = dict.fromkeys([found.note, *(a.beyond for a in asked)])
    return replace(found, note="; ".join(filter(None, notes))), short
