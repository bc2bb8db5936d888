"""The ledger: every claim of both papers, the test that judges it, and its verdict on what is measured.

claims.judge()           one row a claim: verdict, effect, interval, n, scale, reason, command
claims.value(id)         the measured value with its interval, for prose that is filled when the book is built

The claims are data (`statements`), the tests are functions (`tests` has them by name), `claim_networks` finds the
networks, `readings` says what a paper leaves open, `verdict_rule` makes a word of what tests find. The words are
defined once, on the ledger page (notebooks/claims.ipynb); nothing here trains a network.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lth_companion.claims import multiple_testing, verdict_cache
from lth_companion.claims.claim_networks import NEEDS_NO_RESULTS, Bench, test_one
from lth_companion.claims.readings import Reading, readings_of
from lth_companion.claims.statements import Claim, Finding, Part, describe, load, measured, said
from lth_companion.claims.tests import number_of, total_of, traits
from lth_companion.claims.verdict_rule import (
    CANNOT,
    CONTRADICTED,
    DEPENDS,
    RANK,
    REPRODUCED,
    UNDECIDED,
    UNMEASURED,
    VERDICTS,
    Tried,
    decide,
    error_of,
    findings,
)
from lth_core import results
from lth_core.errors import UsageError
from lth_core.judge.result import Result
from lth_core.levels import Lacking
from lth_core.results import Source, manifest
from lth_core.untrusted_text import fault, label

__all__ = [
    "ACCEPTED", "CANNOT", "CONTRADICTED", "DEPENDS", "RANK", "REPRODUCED", "TOTALS", "UNDECIDED", "UNMEASURED",
    "VERDICTS", "Tried", "Verdict", "accept", "accepted", "as_json", "corrected", "counts", "decide", "judge",
    "judge_one", "ledger", "load", "multiplicity", "text", "value", "worse",
]  # fmt: skip
ACCEPTED = results.HERE / "verdicts.json"  # the verdicts that are committed


@dataclass(frozen=True)
class Verdict:
    """A claim's row of the ledger: its verdict and what it rests on. `judge` gives a table with these columns.

    Effect, interval and n are those of its first test that could be made, in `unit`, under the first reading."""

    id: str
    verdict: str  # one of `VERDICTS`
    effect: float  # NaN where nothing is measured
    low: float  # of the 95% interval; NaN where there is none
    high: float
    n: int  # trials
    unit: str
    but: Finding | None  # of the test that decides, where that is not the one above
    says: str  # what the paper prints
    number: float  # as a number in `unit`, NaN where it prints none
    scale: str  # what is missing of the paper's scale: "" or "3 of 5 trials"
    reason: str  # why there is no verdict, or none that is decided
    notes: str  # of the tests
    tests: list[str]  # each with its arguments and whether it holds
    readings: dict[str, str]  # verdict under each reading, where the paper leaves one open
    p: float  # two-sided, of all its tests together; NaN where none asks for an interval
    flip: float  # exact sign-flip p of the test above, where its trials pair
    total: str  # networks, xor or settings: which total it counts in
    same_as: str  # the claim that states the same fact, whose tests judge both
    figure: str
    command: str  # measures it
    notebook: str
    paper: str
    section: str
    dataset: str
    importance: str
    kind: str
    statement: str
    q: float = field(default=np.nan)  # Benjamini-Hochberg, in its family
    holm: float = field(default=np.nan)


def try_all(bench: Bench, claim: Claim, parts: list[Part], reading: Reading, name: str) -> Tried:
    """Make a claim's tests under a reading."""
    found: dict[int, Result] = {}
    lacking: dict[str, str] = {}
    short = ""
    for i, part in enumerate(parts):
        try:
            found[i], lacks = test_one(bench, claim, part, reading)
            short = short or lacks
        except Lacking as error:
            lacking.setdefault(part.net, str(error))
    return Tried(name, parts, found, lacking, short)


def readings(bench: Bench, claim: Claim) -> list[Tried]:
    """A claim under each reading: those of its own wording, and those of what it measures."""
    made = []
    for own, parts in claim.wordings:
        for reading in readings_of(parts):
            if claim.without and reading.name == claim.without:
                continue
            name = ", ".join(filter(None, (own, reading.name)))
            made.append(try_all(bench, claim, parts, reading, name))
    return made or [Tried("", [], {}, {}, "")]


def judge_one(bench: Bench, claim: Claim) -> Verdict:
    """A claim's row of the ledger."""
    tried = readings(bench, claim)
    first = tried[0]
    verdict, reason = decide(claim, tried)
    one, but = findings(first)
    alone = all(traits(part).needs in NEEDS_NO_RESULTS for part in first.parts)
    words = {i: f.word for i, f in first.found.items()}
    lead = first.found[min(first.found)] if first.found else None
    return Verdict(
        id=claim.id, verdict=verdict, effect=one.effect, low=one.low, high=one.high, n=one.n, unit=one.unit, but=but,
        says=claim.says, number=number_of(claim), scale=first.short, reason=reason,
        notes="; ".join(dict.fromkeys(f.note for f in first.found.values() if f.note)),
        tests=[f"{describe(part)}: {words.get(i, 'not made')}" for i, part in enumerate(first.parts)],
        readings={t.name: t.verdict for t in tried} if len(tried) > 1 else {},
        p=error_of(tried), flip=lead.flip if lead else np.nan,
        total=total_of(claim), same_as=claim.same_as, figure=claim.figure,
        command="" if alone else f"python -m lth_core run {claim.figure}", notebook=claim.notebook, paper=claim.paper,
        section=claim.section, dataset=claim.dataset, importance=claim.importance, kind=claim.kind,
        statement=claim.statement,
    )  # fmt: skip


def linked(claim: Claim, row: Verdict) -> Verdict:
    """The row of a claim that states the same fact as another."""
    own = ("id", "says", "same_as", "notebook", "paper", "section", "dataset", "importance", "kind", "statement")
    return replace(row, **{name: getattr(claim, name) for name in own})


def corrected(table: pd.DataFrame) -> pd.DataFrame:
    """The verdicts with q and Holm's p of their families; an answer that chance would give among so many is taken
    back."""
    table[["q", "holm"]] = multiple_testing.adjusted(table["p"], table[multiple_testing.FAMILY])
    decided = table["verdict"].isin((REPRODUCED, CONTRADICTED)) & (table["q"] > multiple_testing.RATE)
    for i in table.index[decided]:
        was, q = table.at[i, "verdict"], table.at[i, "q"]
        table.at[i, "reason"] = f"{was} by its own interval, but not among so many claims (q = {q:.2f})"
    table.loc[decided, "verdict"] = UNDECIDED
    return table


def in_families(claims: Iterable[Claim], known: Iterable[Claim]) -> list[Claim]:
    """All claims of the families of some, without those that state another's fact."""
    of = {(c.notebook, c.paper) for c in claims}
    return [c for c in known if (c.notebook, c.paper) in of and not c.same_as]


def judge(
    source: Source | None = None, claims: Iterable[Claim] | None = None, *, profile: str = "published", trials: int = 0,
    seed: int = 0, dataset: str = "own",
) -> pd.DataFrame:  # fmt: skip
    """One row a claim; columns: the fields of `Verdict`. Published results are judged at the paper's scale where they
    reach it; another `profile` (with `trials`, `seed` and `dataset` as for a notebook) judges what a store holds of
    it. The other claims of each family are judged with those asked for: answers depend on how many there are."""
    profiles = ("paper", "published") if profile == "published" else (profile,)
    options = {"trials": trials, "seed": seed, "dataset": dataset}
    bench = Bench(source if source is not None else results.Published(), profiles, options)
    asked = list(load() if claims is None else claims)
    known = {c.id: c for c in load()} | {c.id: c for c in asked}
    facts = [known[c.same_as] if c.same_as else c for c in asked]
    made = {c.id: judge_one(bench, c) for c in in_families(facts, known.values())}
    table = corrected(pd.DataFrame([vars(v) for v in made.values()]))
    rows = {row["id"]: Verdict(**row) for row in table.to_dict("records")}
    return pd.DataFrame([vars(linked(c, rows[c.same_as]) if c.same_as else rows[c.id]) for c in asked])


@lru_cache
def ledger(write: bool = False) -> pd.DataFrame:
    """The verdicts on the published results: those of this build if they are kept (`verdict_cache`), else judged once
    per process; with `write` they are kept."""
    inputs = verdict_cache.made_from()
    found = verdict_cache.read(inputs)
    if found is None:
        found = judge()
        if write:
            verdict_cache.keep(found, inputs)
    return found


def value(id: str, verdicts: pd.DataFrame | None = None) -> str:
    """A claim's measured value for prose, such as "37.5% earlier (95% interval 31 to 43, n = 5)"."""
    table = ledger() if verdicts is None else verdicts
    row = table[table["id"] == id]
    if row.empty:
        raise UsageError(f"claim {id!r} does not exist; see `python -m lth_core claims`.")
    return measured(next(row.itertuples())) or "not measured yet"


def multiplicity(verdicts: pd.DataFrame) -> str:
    """How the verdicts stand against chance, in words."""
    own = verdicts[verdicts["p"].notna() & (verdicts["same_as"] == "")]
    taken = verdicts["reason"].str.contains("among so many claims").sum()
    answers = own[own["verdict"].isin((REPRODUCED, CONTRADICTED))]
    strict = int((answers["holm"] <= multiple_testing.RATE).sum())
    linked = int((verdicts["same_as"] != "").sum())
    return (
        f"{int(verdicts['verdict'].isin(RANK).sum())} of {len(verdicts)} claims are judged; {linked} state a fact that "
        f"another claim states, and share its verdict. {len(own)} rest on a 95% interval over trials. Among the claims "
        f"of a page and paper the false discovery rate is held at 5% (Benjamini-Hochberg): {taken} answers were taken "
        f"back to undecided for it. {strict} of the {len(answers)} that remain would pass Holm's test too, which "
        "allows no false answer at all. Many claims rest on the same networks, so their errors go together."
    )


def accepted(path: Path = ACCEPTED) -> dict[str, str]:
    """The verdicts accepted last, by claim; none where none were."""
    if manifest.content(path.parent, path.name) is None:
        return {}
    found = manifest.document(path.parent, path.name)
    if not isinstance(found, dict):
        raise manifest.Damaged(f"{path} does not hold a verdict for each claim: {manifest.remedy(path.name)}.")
    for id, verdict in found.items():
        if fault("its name", id) or not isinstance(verdict, str) or verdict not in VERDICTS:
            raise manifest.Damaged(
                f"in {path}, the verdict on {label(id)} is none of the ledger's: {manifest.remedy(path.name)}."
            )
    return found


def accept(verdicts: pd.DataFrame, path: Path = ACCEPTED) -> None:
    """Commit these verdicts: from now on `--strict` compares with them."""
    text = json.dumps(dict(zip(verdicts["id"], verdicts["verdict"], strict=True)), indent=1) + "\n"
    manifest.commit(path.parent, {path.name: text.encode()})


def worse(verdicts: pd.DataFrame, before: dict[str, str]) -> list[tuple[str, str, str]]:
    """(id, accepted, now) of each claim that fell: a lower verdict, or one judged before that no longer is."""
    now = zip(verdicts["id"], verdicts["verdict"], strict=True)
    return [(i, before[i], v) for i, v in now if i in before and RANK.get(v, 0) < RANK.get(before[i], 0)]


TOTALS = {"networks": "trained networks", "xor": "XOR", "settings": "settings, counts and sums"}


def counts(verdicts: pd.DataFrame, by: str = "paper") -> pd.DataFrame:
    """How many claims have each verdict, by a column: paper, importance or total."""
    order = [g for g in ("v1", "iclr", "blog", "headline", "supporting", "appendix", *TOTALS) if g in set(verdicts[by])]
    table = pd.crosstab(verdicts["verdict"], verdicts[by]).reindex(index=VERDICTS, columns=order, fill_value=0)
    return table.assign(all=table.sum(axis=1))


def as_json(verdicts: pd.DataFrame) -> str:
    """The ledger as a list of objects, findings in words and NaN as null."""
    told = verdicts.assign(but=[said(b) if b else "" for b in verdicts["but"]])
    rows = [{k: None if v != v else v for k, v in row.items()} for row in told.to_dict("records")]
    return json.dumps(rows, indent=1, ensure_ascii=False)


def text(verdicts: pd.DataFrame, show: Callable[[str], None] = print) -> None:
    """The ledger for a terminal: a line a claim, then the counts."""
    for row in verdicts.itertuples():
        found = measured(row)
        show(f"{row.verdict:<24} {row.id:<42} {row.says}{f' | measured: {found}' if found else ''}")
        if row.reason or row.scale:
            show(f"{'':<24} {row.reason or row.scale}")
    show("")
    for verdict, n in verdicts["verdict"].value_counts().reindex(VERDICTS, fill_value=0).items():
        show(f"{n:>4}  {verdict}")
