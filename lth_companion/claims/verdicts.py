"""The ledger: every claim of both papers, the test that judges it, and its verdict on what is measured.

claims.judge()           one row a claim: verdict, effect, interval, n, scale, reason, command
claims.value(id)         the measured value with its interval, for prose that is filled when the book is built

The claims are data (`statements`), the tests are functions (`claim_tests` has them by name); this module brings them
together. Nothing here trains a network, except XOR's, which take seconds.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd

from lth_companion.claims.bench import NEEDS_NO_RESULTS, Bench, test_one
from lth_companion.claims.statements import Claim, Finding, describe, load, measured, said
from lth_companion.claims.tests import number_of, traits, unit_of
from lth_core import results
from lth_core.draws import generator
from lth_core.judge.result import Result
from lth_core.levels import Lacking
from lth_core.plaintext import fault, label
from lth_core.results import Source, manifest
from lth_core.spec import UsageError

ACCEPTED = results.HERE / "verdicts.json"  # the verdicts that are committed

REPRODUCED, DIRECTION, NOT = "reproduced", "reproduced in direction", "not reproduced"
UNMEASURED, CANNOT = "not measured at scale", "cannot be judged"
VERDICTS = (REPRODUCED, DIRECTION, NOT, UNMEASURED, CANNOT)
RANK = {REPRODUCED: 3, DIRECTION: 2, NOT: 1}  # the other two say nothing about the claim


def verdict_of(found: Sequence[Result], short: str, partly: bool = False) -> str:
    """From tests to a word. At less than the paper's scale a claim is at most reproduced in direction, and what does
    not hold there is not measured: it may hold at scale. So is, at most, a claim about several networks that is judged
    on some of them (`partly`)."""
    if all(f.agrees for f in found):
        return DIRECTION if short or partly else REPRODUCED
    if all(f.agrees or f.direction for f in found):
        return DIRECTION
    return UNMEASURED if short else NOT


def reasons(lacking: dict[str, str]) -> str:
    """Why networks cannot be judged: "Conv-4: one trial has no interval; Conv-6: no network is published yet"."""
    nets: dict[str, list[str]] = {}
    for net, why in lacking.items():
        nets.setdefault(why, []).append(net)
    return "; ".join(f"{', '.join(those)}: {why}" for why, those in nets.items())


@dataclass(frozen=True)
class Tried:
    """A claim's tests as far as they could be made, by their place in the claim."""

    found: dict[int, Result]
    undecided: set[int]  # of those found: one trial where an interval is asked for
    lacking: dict[str, str]  # network (or "" where the claim is about one): why it cannot be judged
    short: str  # what the networks lack of the paper's scale

    def counts(self, claim: Claim) -> list[int]:
        """The tests whose networks could all be judged: those that the verdict rests on."""
        return [i for i, part in enumerate(claim.parts) if part.net not in self.lacking]


@dataclass(frozen=True)
class Verdict:
    """A claim's row of the ledger: its verdict and what it rests on. `judge` gives a table with these columns.

    Effect, interval and n are those of its first test that could be made, in `unit`."""

    id: str
    verdict: str  # one of `VERDICTS`
    effect: float  # NaN where nothing is measured
    low: float  # of the 95% interval; NaN where there is none
    high: float
    n: int  # trials
    unit: str
    but: Finding | None  # of the first of the tests that hold least, where that is not the one above: it decides
    says: str  # what the paper prints
    number: float  # as a number in `unit`, NaN where it prints none
    scale: str  # what is missing of the paper's scale: "" or "3 of 5 trials"
    reason: str  # why there is no verdict, or no full one
    notes: str  # of the tests
    tests: list[str]  # each with its arguments and whether it holds
    figure: str
    command: str  # measures it
    notebook: str
    paper: str
    section: str
    dataset: str
    importance: str
    kind: str
    statement: str


def try_all(bench: Bench, claim: Claim) -> Tried:
    """Make a claim's tests."""
    found: dict[int, Result] = {}
    undecided: set[int] = set()
    lacking: dict[str, str] = {}
    short = ""
    for i, part in enumerate(claim.parts):
        try:
            found[i], lacks = test_one(bench, claim, part)
            if traits(part).needs not in NEEDS_NO_RESULTS and found[i].undecided:
                undecided.add(i)
                raise Lacking(f"one trial has no interval, at {lacks}" if lacks else "one trial has no interval")
            short = short or lacks
        except Lacking as error:
            lacking.setdefault(part.net, str(error))
    return Tried(found, undecided, lacking, short)


def decide(claim: Claim, tried: Tried) -> tuple[str, str]:
    """A claim's verdict, and the reason where there is none or no full one."""
    if claim.cannot:
        return CANNOT, claim.cannot
    judged = tried.counts(claim)
    if not judged:
        made = len(tried.found) - len(tried.undecided)
        told = f" ({made} of {len(claim.parts)} tests could be made)" if made else ""
        return UNMEASURED, (claim.lacking or next(iter(tried.lacking.values()))) + told
    verdict = verdict_of([tried.found[i] for i in judged], tried.short, bool(tried.lacking))
    if tried.lacking:
        on = ", ".join(dict.fromkeys(claim.parts[i].net for i in judged))
        return verdict, f"judged on {on} alone ({reasons(tried.lacking)})"
    return verdict, f"does not show at {tried.short}" if verdict == UNMEASURED else ""


def findings(claim: Claim, tried: Tried) -> tuple[Finding, Finding | None]:
    """What the first test that could be made found and, where another decides, what that one did: the first of those
    that hold least."""
    parts, found, nan = claim.parts, tried.found, float("nan")
    if not found:
        return Finding(nan, nan, nan, 0, unit_of(parts[0]) if parts else ""), None
    told = {i: Finding(f.effect, f.low, f.high, f.n, unit_of(parts[i])) for i, f in found.items()}
    first = next(iter(found))
    decides = min(tried.counts(claim), key=lambda i: (found[i].agrees, found[i].direction), default=first)
    return told[first], None if found[decides].word == found[first].word else told[decides]


def judge_one(bench: Bench, claim: Claim) -> Verdict:
    """A claim's row of the ledger."""
    parts, tried = claim.parts, try_all(bench, claim)
    verdict, reason = decide(claim, tried)
    one, but = findings(claim, tried)
    words = {i: "undecided" if i in tried.undecided else f.word for i, f in tried.found.items()}
    alone = all(traits(part).needs in NEEDS_NO_RESULTS for part in parts)
    return Verdict(
        id=claim.id,
        verdict=verdict,
        effect=one.effect,
        low=one.low,
        high=one.high,
        n=one.n,
        unit=one.unit,
        but=but,
        says=claim.says,
        number=number_of(claim),
        scale=tried.short,
        reason=reason,
        notes="; ".join(dict.fromkeys(f.note for f in tried.found.values() if f.note)),
        tests=[f"{describe(part)}: {words.get(i, 'not made')}" for i, part in enumerate(parts)],
        figure=claim.figure,
        command="" if alone else f"python -m lth_core run {claim.figure}",
        notebook=claim.notebook,
        paper=claim.paper,
        section=claim.section,
        dataset=claim.dataset,
        importance=claim.importance,
        kind=claim.kind,
        statement=claim.statement,
    )


def judge(
    source: Source | None = None, claims: Iterable[Claim] | None = None, *, profile: str = "published", trials: int = 0,
    seed: int = 0, dataset: str = "own",
) -> pd.DataFrame:  # fmt: skip
    """One row a claim; columns: the fields of `Verdict`. Published results are judged at the paper's scale where they
    reach it; another `profile` (with `trials`, `seed` and `dataset` as for a notebook) judges what a store holds of
    it."""
    profiles = ("paper", "published") if profile == "published" else (profile,)
    options = {"trials": trials, "seed": seed, "dataset": dataset}
    bench = Bench(source if source is not None else results.Published(), profiles, options)
    rows = [vars(judge_one(bench, c)) for c in (load() if claims is None else claims)]
    return pd.DataFrame(rows)


@lru_cache
def ledger() -> pd.DataFrame:
    """The verdicts on the published results, made once per process."""
    return judge()


def value(id: str, verdicts: pd.DataFrame | None = None) -> str:
    """A claim's measured value for prose, such as "37.5% earlier (95% interval 31 to 43, n = 5)"."""
    table = ledger() if verdicts is None else verdicts
    row = table[table["id"] == id]
    if row.empty:
        raise UsageError(f"claim {id!r} does not exist; see `python -m lth_core claims`.")
    return measured(next(row.itertuples())) or "not measured yet"


@lru_cache
def by_chance(n: int, draws: int = 2_000) -> float:
    """How often a 95% bootstrap interval of the mean of n normal numbers about zero lies above zero: 2.5% were its
    coverage exact, several times as often with few trials."""
    rng = generator("by chance", n)
    numbers, picks = rng.standard_normal((draws, n), np.float32), rng.integers(0, n, (draws, n))
    means = np.zeros((draws, draws), np.float32)
    for pick in picks.T:
        means += numbers[:, pick]
    return float((np.quantile(means, 0.025, axis=1) > 0).mean())


def multiplicity(verdicts: pd.DataFrame) -> str:
    """How many verdicts chance alone would hand out."""
    first = {c.id: c.parts[0] for c in load() if c.tests}
    judged = verdicts[verdicts["verdict"].isin(RANK) & (verdicts["high"] > verdicts["low"])]
    asks = judged["id"].map(lambda i: traits(first[i]).interval)
    shares = int((asks == "contains").sum())
    seeks = judged["id"].map(lambda i: traits(first[i]).seeks_level(first[i].arguments))
    sizes = judged.loc[(asks == "excludes") & ~seeks, "n"]
    lucky = sum(0.025 if n > 30 else by_chance(int(n)) for n in sizes)
    rates = ", ".join(f"{by_chance(n):.1%} with {n} trials" for n in sorted(set(sizes[sizes <= 30].astype(int))))
    count = int(verdicts["verdict"].isin(RANK).sum())
    return (
        f"{count} of {len(verdicts)} claims are judged. {len(sizes)} of them rest on a 95% interval of a difference at "
        "levels fixed beforehand, which must exclude zero. Bootstrap intervals over few trials are too narrow: were "
        f"there no effect, one lies on the papers' side in {rates} (simulated). So were none of these effects real, "
        f"about {max(lucky, 1):.0f} would still pass. {int(seeks.sum())} more look for their best level first, which "
        f"chance passes more often still. {shares} compare a share of XOR networks with the printed one: were all "
        f"equal, about {0.05 * shares:.0f} would differ by chance. Nothing is corrected for these numbers. Many claims "
        "rest on the same networks, so their errors go together."
    )


def accepted(path: Path = ACCEPTED) -> dict[str, str]:
    """The verdicts accepted last, by claim; none where none were."""
    found = manifest.document(path.parent, path.name) or {}
    if not isinstance(found, dict):
        raise manifest.Damaged(f"{path} does not hold a verdict for each claim: {manifest.remedy(path.name)}.")
    for id, verdict in found.items():
        if fault("its name", id) or verdict not in VERDICTS:
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


def counts(verdicts: pd.DataFrame, by: str = "paper") -> pd.DataFrame:
    """How many claims have each verdict."""
    order = [g for g in ("v1", "iclr", "blog", "headline", "supporting", "appendix") if g in set(verdicts[by])]
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
