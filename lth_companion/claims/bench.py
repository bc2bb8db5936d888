"""The bench: which measured networks a claim asks for, at which scale, and its tests made on them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd

from lth_companion.claims.statements import Claim, Part, columns_of
from lth_companion.claims.tests import named, traits
from lth_companion.experiments import catalogue
from lth_companion.experiments.nets import share
from lth_core import results
from lth_core.analyse import accuracies
from lth_core.judge.result import Result
from lth_core.levels import Lacking, select, with_depth
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.store.cell import key_of

NEEDS_NO_RESULTS = ("xor", "settings")  # needs of tests that no published network serves


def with_curves(table: pd.DataFrame, columns: Iterable[str], source: Source, specs: list[Spec]) -> pd.DataFrame:
    """Columns that need whole curves, at iterations of the paper's schedule (see `images.share`). "test@1000": at that
    one (or the nearest evaluation kept), "val_loss@end";
    "test<5000": mean up to there; "reach@0.97": first iteration with that validation accuracy; "loss_rise": validation
    loss at the end minus its minimum."""
    wanted = [c for c in columns if c not in table and (re.search("[@<]", c) or c == "loss_rise")]
    if not wanted:
        return table
    curves = accuracies(results.curves(specs, source), specs[0].dataset).sort_values(["key", "iteration"])
    made: dict[str, dict[str, float]] = {c: {} for c in wanted}
    part = {key_of(s): share(s) for s in specs}
    for key, c in curves.groupby("key"):
        iteration = c["iteration"].to_numpy() / part[key]
        for name in wanted:
            base, sign, at = re.fullmatch(r"(\w+?)(?:([@<])(.+))?", name).groups()  # type: ignore[union-attr]
            if base == "loss_rise":
                made[name][key] = float(c["val_loss"].iat[-1] - c["val_loss"].min())
            elif base == "reach":
                there = c["val"].to_numpy() >= float(at)
                made[name][key] = float(iteration[there.argmax()]) if there.any() else float("nan")
            elif sign == "<":
                made[name][key] = float(c[base][iteration <= float(at)].mean())
            else:
                nearest = -1 if at == "end" else int(np.abs(iteration - float(at)).argmin())
                made[name][key] = float(c[base].iat[nearest])
    return table.assign(**{name: table["key"].map(values) for name, values in made.items()})


def told_warmup(spec: Spec) -> int:
    """Iterations of warmup as the paper tells them, of a row whose schedule may be shorter."""
    return round(spec.warmup / share(spec))


@dataclass(frozen=True)
class Rows:
    """A figure's networks at one scale: which are declared, and what is measured of them."""

    specs: list[Spec]
    declared: pd.DataFrame
    have: np.ndarray
    table: pd.DataFrame


class Bench:
    """Answers queries on a source (published results or a store) at the first of `profiles` that is complete."""

    def __init__(self, source: Source, profiles: Sequence[str], options: dict[str, Any]) -> None:
        self.source, self.profiles, self.options = source, profiles, options  # options: trials, seed, dataset
        self.cache: dict[tuple[str, str], Rows] = {}
        self.keys = set(source.keys())

    def rows(self, figure: str, profile: str) -> Rows:
        if (figure, profile) not in self.cache:
            specs = results.possible(catalogue.rows(figure, profile, **self.options), self.source)
            have = np.array([key_of(s) in self.keys for s in specs]) if self.keys else np.zeros(len(specs), bool)
            declared = pd.DataFrame([vars(s) for s in specs]).assign(warmup=list(map(told_warmup, specs)))
            there = [s for s, h in zip(specs, have, strict=True) if h]
            table = with_depth(results.table(there, self.source)) if there else pd.DataFrame()
            table = table.assign(warmup=list(map(told_warmup, there)))
            self.cache[figure, profile] = Rows(specs, declared, have, table)
        return self.cache[figure, profile]

    def ask(self, figure: str, where: dict[str, Any]) -> tuple[pd.DataFrame, list[Spec]]:
        """The measured networks of a figure that fit `where`, and their rows."""
        if figure not in catalogue.FIGURES:
            raise Lacking(f"{figure} is not declared yet")
        shares = []  # measured of each profile that declares such networks
        for profile in self.profiles:
            rows = self.rows(figure, profile)
            fits = select(rows.declared, **where).index
            if len(fits) == 0:
                continue
            shares.append(rows.have[fits].mean())
            if rows.have[fits].all():
                return select(rows.table, **where), [rows.specs[i] for i in fits]
        if not shares:
            raise Lacking(f"{figure} declares no networks with {where}")
        best = max(shares)
        raise Lacking("no network is published yet" if best == 0 else f"only {best:.0%} of the networks are published")


@lru_cache(maxsize=64)
def in_full(figure: str) -> pd.DataFrame:
    """A figure's rows at the paper's scale."""
    return pd.DataFrame([vars(s) for s in catalogue.rows(figure)])


def shortfall(figure: str, rows: Sequence[Spec], where: dict[str, Any]) -> str:
    """What of the paper's scale is missing: nothing, or "10,000 of 50,000 iterations, 3 of 5 trials"."""
    full, data = select(in_full(figure), **where), catalogue.FIGURES[figure].paper.dataset
    if full.empty:
        return "settings that the paper does not have"
    counts = {
        "iterations": (max(s.iterations for s in rows), int(full["iterations"].max())),
        "trials": (len({s.trial for s in rows}), int(full["trial"].nunique())),
    }
    short = [f"{here:,} of {there:,} {name}" for name, (here, there) in counts.items() if here < there]
    return ", ".join([*short, *([f"{rows[0].dataset} for {data}"] if rows[0].dataset != data else [])])


def test_one(bench: Bench, claim: Claim, part: Part) -> tuple[Result, str]:
    """One test of a claim: what it found, and what its scale lacks. Raises `Lacking` where it cannot be made."""
    test, needs = named(part.test), traits(part).needs
    if needs in NEEDS_NO_RESULTS:
        return test(**part.arguments), ""
    tables, specs, short = [], [], ""
    for figure in (part.figure, *claim.also):
        table, rows = bench.ask(figure, part.where)
        tables.append(table)
        specs += rows
        short = short or shortfall(figure, rows, part.where)
    if needs == "tickets":
        return test(bench.source, specs, **part.arguments), short
    together = pd.concat(tables, ignore_index=True).drop_duplicates("key")
    together = with_curves(together, columns_of(part.arguments), bench.source, specs)
    return test(together, **part.arguments), short
