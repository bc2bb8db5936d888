"""Which measured networks a claim asks for, at which scale, and its tests made on them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property, lru_cache
from operator import attrgetter
from typing import Any

import numpy as np
import pandas as pd

from lth_companion.claims.printed_settings import declared
from lth_companion.claims.readings import ALONE, CONVERGENCE, Reading, Settles, changed, inner_columns
from lth_companion.claims.statements import Claim, Part, columns_of
from lth_companion.claims.tests import named, traits
from lth_companion.experiments import catalogue
from lth_companion.experiments.cifar10_recipes import share
from lth_core import results
from lth_core.analyse import SUMMARY, accuracies
from lth_core.judge.result import Result
from lth_core.levels import Lacking, fits, select, with_depth
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.store.cell import MADE, key_of

NEEDS_NO_RESULTS = ("xor", "settings")  # needs of tests that no published network serves
TOLD = ("dataset", "arch", "optimizer", "lr", "batch_size", "iterations", "round", "arm", "trial")  # of a network
_told = attrgetter(*TOLD)


def with_curves(
    table: pd.DataFrame, columns: Iterable[str], source: Source, specs: list[Spec], curves: pd.DataFrame | None = None
) -> pd.DataFrame:  # fmt: skip
    """Columns that need whole curves, at iterations of the paper's schedule (see `cifar10_recipes.share`).

    "test@1000": at that one (or the nearest evaluation kept), "val_loss@end"; "test<5000": mean up to there;
    "reach@0.97": first iteration with that validation accuracy, "reach_test@0.97" with that test accuracy; "loss_rise":
    validation loss at the end minus its minimum."""
    wanted = [c for c in columns if c not in table and (re.search("[@<]", c) or c == "loss_rise")]
    if not wanted:
        return table
    if curves is None:
        curves = evaluations(specs, source)
    curves = curves[curves["key"].isin(table["key"])]
    made: dict[str, dict[str, float]] = {c: {} for c in wanted}
    part = {key_of(s): share(s) for s in specs}
    for key, c in curves.groupby("key", sort=False):
        iteration = c["iteration"].to_numpy() / part[key]
        for name in wanted:
            base, sign, at = re.fullmatch(r"(\w+?)(?:([@<])(.+))?", name).groups()  # type: ignore[union-attr]
            if base == "loss_rise":
                made[name][key] = float(c["val_loss"].iat[-1] - c["val_loss"].min())
            elif base.startswith("reach"):
                there = c["test" if base == "reach_test" else "val"].to_numpy() >= float(at)
                made[name][key] = float(iteration[there.argmax()]) if there.any() else float("nan")
            elif sign == "<":
                made[name][key] = float(c[base].to_numpy()[iteration <= float(at)].mean())
            else:
                nearest = -1 if at == "end" else int(np.abs(iteration - float(at)).argmin())
                made[name][key] = float(c[base].iat[nearest])
    return table.assign(**{name: table["key"].map(values) for name, values in made.items()})


def evaluations(specs: list[Spec], source: Source) -> pd.DataFrame:
    """All evaluations of networks, in order of key and iteration, with accuracies."""
    found = results.curves(specs, source)
    if found.empty:
        raise Lacking("no learning curves of these networks are published")
    return accuracies(found.sort_values(["key", "iteration"], kind="stable"), specs[0].dataset)


def told_warmup(spec: Spec) -> int:
    """Iterations of warmup as the paper tells them, of a row whose schedule may be shorter."""
    return round(spec.warmup / share(spec)) if spec.warmup else 0


def read_by_tests(table: pd.DataFrame) -> pd.DataFrame:
    """A table with its levels, without the columns that no test reads. Texts become objects: tests compare them row by
    row, and Arrow's would be unpacked each time."""
    table = with_depth(table[[c for c in table if c not in MADE or c in SUMMARY]])
    return table.astype({c: object for c in table if isinstance(table[c].dtype, pd.StringDtype)}).copy()


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

    def __init__(self, specs: list[Spec], keys: list[str | None], bench: Bench) -> None:
        self.specs, self.bench = specs, bench
        self.have = np.array([k is not None for k in keys], bool)
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
    """Answers queries on a source (published results or a store) at the first of `profiles` that is complete."""

    def __init__(self, source: Source, profiles: Sequence[str], options: dict[str, Any]) -> None:
        self.source, self.profiles, self.options = source, profiles, options  # options: trials, seed, dataset
        self.cache: dict[tuple[str, str], Rows] = {}
        self.keys = set(source.keys())

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
    def chains_end(self) -> bool:
        """Whether any measured network diverged, so that rows may be impossible."""
        if isinstance(self.source, results.Published) and "diverged" in self.source.cells:
            return bool(self.source.cells["diverged"].any())
        return True

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
            if self.chains_end and any(k is None for k in keys) and any(k is not None for k in keys):
                possible = set(results.possible(specs, self))
                pairs = [(s, k) for s, k in zip(specs, keys, strict=True) if s in possible]
                specs, keys = [s for s, _ in pairs], [k for _, k in pairs]
            self.cache[figure, profile] = Rows(specs, keys, self)
        return self.cache[figure, profile]

    def ask(self, figure: str, where: dict[str, Any]) -> tuple[Rows, np.ndarray]:
        """A figure's rows at the scale at which those that fit `where` are measured, and which those are."""
        if figure not in catalogue.FIGURES:
            raise Lacking(f"{figure} is not declared yet")
        shares = []  # measured of each profile that declares such networks
        for profile in self.profiles:
            rows = self.rows(figure, profile)
            fit = fits(rows.declared, **where)
            if not fit.any():
                continue
            shares.append(rows.have[fit].mean())
            if rows.have[fit].all():
                return rows, fit
        if not shares:
            raise Lacking(f"{figure} declares no networks with {where}")
        best = max(shares)
        raise Lacking("no network is published yet" if best == 0 else f"only {best:.0%} of the networks are published")


@lru_cache(maxsize=128)
def in_full(figure: str) -> Declared:
    """A figure's rows at the paper's scale."""
    return Declared(declared(figure))


def shortfall(figure: str, rows: Sequence[Spec], where: dict[str, Any]) -> str:
    """What of the paper's scale is missing: nothing, or "10,000 of 50,000 iterations, 3 of 5 trials"."""
    full, data = in_full(figure), catalogue.FIGURES[figure].paper.dataset
    fit = fits(full, **where)
    if not fit.any():
        return "settings that the paper does not have"
    whole = {name: full[name][fit] for name in ("iterations", "trial", "replicate", "round")}
    counts = {
        "iterations": (max(s.iterations for s in rows), int(whole["iterations"].max())),
        "trials": (len({s.trial for s in rows}), len(np.unique(whole["trial"]))),
        "redraws": (1 + max(s.replicate for s in rows), 1 + int(whole["replicate"].max())),
        "rounds": (max(s.round for s in rows), int(whole["round"].max())),
    }
    short = [f"{here:,} of {there:,} {name}" for name, (here, there) in counts.items() if here < there]
    return ", ".join([*short, *([f"{rows[0].dataset} for {data}"] if rows[0].dataset != data else [])])


def test_one(bench: Bench, claim: Claim, part: Part, reading: Reading = ALONE[0]) -> tuple[Result, str]:
    """One test of a claim under a reading: what it found, and what its scale lacks. Raises `Lacking` where it cannot be
    made."""
    part = changed(part, reading)
    test, needs = named(part.test), traits(part).needs
    if needs in NEEDS_NO_RESULTS:
        return test(**part.arguments), ""
    tables, specs, short = [], [], ""
    converges = any(c in CONVERGENCE for c in inner_columns(part))
    for figure in (part.figure, *claim.also):
        rows, fit = bench.ask(figure, part.where)
        own = [s for s, f in zip(rows.specs, fit, strict=True) if f]
        short = short or shortfall(figure, own, part.where)
        specs += own
        if needs == "tickets":
            continue
        table = rows.under(reading) if converges else rows.table
        table = select(table, **part.where)
        curves = rows.curves if any(re.search("[@<]|^loss_rise$", c) for c in columns_of(part.arguments)) else None
        tables.append(with_curves(table, columns_of(part.arguments), bench.source, own, curves))
    if needs == "tickets":
        return test(bench.source, specs, **part.arguments), short
    whole = tables[0] if len(tables) == 1 else pd.concat(tables, ignore_index=True).drop_duplicates("key")
    return test(whole, **part.arguments), short
