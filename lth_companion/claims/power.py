"""Power: how often fewer trials would have come to which verdict, by drawing some of the trials that there are.

simulate()    every claim that rests on a figure with further trials (`catalogue.further`): its verdict on all of them,
              on the paper's own, and on draws of 3, 5, 10 and 15, each judged by the ledger's own rule
shares()      of the draws of each size, how many gave each verdict

A draw takes trials without replacement: five of twenty are five independent trials, so the share of draws that
reproduce a sentence is an unbiased estimate of how often five trials do so. The trials are shuffled and cut into draws
that share none, as often as needed; what differs within a shuffle and between shuffles gives the share's standard error
(Wang and Lindsay 2014, Statistica Sinica 24:1117).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.claims.claim_networks import Bench, compares
from lth_companion.claims.statements import Claim, load
from lth_companion.claims.verdict_rule import VERDICTS, decide, error_of
from lth_companion.claims.verdicts import corrected, in_families, judge_one, readings
from lth_companion.experiments import catalogue
from lth_core.draws import generator
from lth_core.results import Source

SIZES = (3, 5, 10, 15)  # trials of a draw
LEAST = 200  # draws of each size
Draws = dict[int, NDArray[np.intp]]  # by size: `(shuffle, draw, trial)`


@dataclass(frozen=True)
class Power:
    """What fewer trials would have said.

    - `ledger`: one row a claim of the families concerned: claim, verdict, effect, p, and for those that rest on
      further trials the figure whose networks these are (`pool`, else ""), how many trials there are (`trials`, else
      0), how many the paper has (`papers`), and the verdict on those (`first`)
    - `draws`: one row a claim and draw: claim, size, shuffle, verdict
    - `seconds`: what it took"""

    ledger: pd.DataFrame
    draws: pd.DataFrame
    seconds: float = 0.0


def pools() -> dict[str, list[str]]:
    """Figures that share their further trials, by the figure whose networks those are."""
    found: dict[str, list[str]] = {}
    for figure in catalogue.FIGURES.values():
        if figure.further:
            found.setdefault(figure.further, []).append(figure.id)
    return found


def resting_on(figures: Iterable[str], claims: Iterable[Claim] | None = None) -> list[Claim]:
    """The claims of which some test compares networks of these figures."""
    names = {*figures}

    def rests(claim: Claim) -> bool:
        parts = [part for _, own in claim.wordings for part in own if compares(part)]
        return bool(parts) and bool(names & {*claim.also, *(part.figure for part in parts)})

    judged = (c for c in (load() if claims is None else claims) if not (c.same_as or c.cannot or c.calibrates))
    return [c for c in judged if not c.lacking and rests(c)]


def trials_of(bench: Bench, figures: Iterable[str]) -> tuple[list[int], list[int]]:
    """Trials of figures that there are: the paper's, and all."""
    papers = min(catalogue.FIGURES[f].paper.trials for f in figures)
    further = {s.trial for f in figures for s in bench.further.get(f, [])}
    return list(range(papers)), sorted({*range(papers), *further})


def draws_of(trials: Sequence[int], sizes: Iterable[int] = SIZES, least: int = LEAST) -> Draws:
    """At least so many draws of each size that is smaller than all: the trials shuffled and cut, again and again.

    >>> draws_of(range(20), (5,), 8)[5].shape
    (2, 4, 5)
    """
    made = {}
    for size in (s for s in sizes if s < len(trials)):
        cut = len(trials) // size
        rng = generator("power", len(trials), size)
        shuffled = rng.permuted(np.tile(np.array(trials), (-(-least // cut), 1)), axis=1)
        made[size] = shuffled[:, : cut * size].reshape(-1, cut, size)
    return made


def verdicts_on(bench: Bench, claims: Iterable[Claim], family: pd.DataFrame) -> pd.Series:
    """Verdicts of claims on a bench, by id, among the others of their `family`, whose p stay as they are."""
    made = {}
    for claim in claims:
        tried = readings(bench, claim)
        made[claim.id] = (*decide(claim, tried), error_of(tried))
    table, columns = family.copy(), ["verdict", "reason", "p"]
    table.loc[list(made), columns] = pd.DataFrame.from_dict(made, orient="index", columns=columns)
    return corrected(table)["verdict"]


def simulate(
    source: Source, *, sizes: Iterable[int] = SIZES, least: int = LEAST, claims: Iterable[Claim] | None = None,
    progress: Callable[[int], object] = lambda left: None,
) -> Power:  # fmt: skip
    """Judge all that rests on further trials on draws of them. `progress` is told how many are left to judge."""
    bench = Bench(source, ("paper", "published"), {"trials": 0, "seed": 0, "dataset": "own"})
    known = list(load() if claims is None else claims)
    ledgers, drawn = [], []
    for pool, figures in pools().items():
        if not (asked := resting_on(figures, known)):
            continue
        family = pd.DataFrame([vars(judge_one(bench, c)) for c in in_families(asked, known)])
        family = family.set_index("id", drop=False)[["id", "verdict", "reason", "effect", "p", "notebook", "paper"]]
        papers, trials = trials_of(bench, figures)
        some = draws_of(trials, sizes, least)
        wanted = {tuple(sorted(map(int, d))) for of in some.values() for d in of.reshape(-1, of.shape[2])}
        found: dict[tuple[int, ...], pd.Series] = {}
        for i, own in enumerate(sorted({*wanted, tuple(papers)})):
            progress(len(wanted) + 1 - i)
            found[own] = verdicts_on(bench.only(dict.fromkeys(figures, own)), asked, family)
        ids = [c.id for c in asked]
        table = corrected(family.copy()).assign(pool="", trials=0, papers=0, first="")
        table.loc[ids, ["pool", "trials", "papers"]] = pool, len(trials), len(papers)
        table.loc[ids, "first"] = found[tuple(papers)][ids]
        ledgers.append(table)
        drawn += [
            pd.DataFrame({"claim": ids, "size": size, "shuffle": i, "verdict": found[tuple(sorted(map(int, d)))][ids]})
            for size, of in some.items() for i, shuffle in enumerate(of) for d in shuffle
        ]  # fmt: skip
    ledger = pd.concat(ledgers, ignore_index=True).rename(columns={"id": "claim"})
    ledger = ledger.sort_values("pool", ascending=False, kind="stable")  # beside a pool's own claims, others' families
    columns = ["claim", "verdict", "effect", "p", "pool", "trials", "papers", "first"]
    draws = (
        pd.concat(drawn, ignore_index=True) if drawn else pd.DataFrame(columns=["claim", "size", "shuffle", "verdict"])
    )
    return Power(ledger.drop_duplicates("claim")[columns].reset_index(drop=True), draws)


def standard_error(hits: NDArray) -> float:
    """Of the mean of a U-statistic's kernel over draws, `(shuffle, draw)`, those of a shuffle sharing no trial: the
    spread within shuffles says how much single draws differ, that between them what more shuffles would average out.

    NaN where a shuffle holds one draw. Never below the error of having drawn so few."""
    shuffles, cut = hits.shape
    if cut < 2:
        return float("nan")
    within = hits.var(axis=1, ddof=1).mean() / cut
    between = hits.mean(axis=1).var(ddof=1) if shuffles > 1 else within
    return float(np.sqrt(max(within - between, 0) + between / shuffles))


def shares(power: Power) -> pd.DataFrame:
    """One row a claim and size of draws: claim, size, draws, a column a verdict with its share of the draws, and of the
    verdict that all trials have the share (`as_all`) and its standard error (`error`)."""
    rows = []
    final = power.ledger.set_index("claim")["verdict"]
    for (claim, size), own in power.draws.groupby(["claim", "size"], sort=False):
        counted = own["verdict"].value_counts(normalize=True)
        hits = (own["verdict"] == final[claim]).to_numpy(float)
        cut = int((own["shuffle"] == 0).sum())
        rows.append(
            {"claim": claim, "size": int(size), "draws": len(own), **{v: float(counted.get(v, 0)) for v in VERDICTS},
             "as_all": hits.mean(), "error": standard_error(hits.reshape(-1, cut))}
        )  # fmt: skip
    return pd.DataFrame(rows, columns=["claim", "size", "draws", *VERDICTS, "as_all", "error"])
