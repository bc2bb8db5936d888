"""The ledger: every claim of both papers, the test that judges it, and its verdict on what is measured.

claims.judge()           one row a claim: verdict, effect, interval, n, scale, reason, command
claims.value(id)         the measured value with its interval, for prose that is filled when the book is built
claims.html()            the ledger as a page: filters, one line a claim (drawn by `ledger`)

The claims are data (`statements`), the tests are functions (`judge`, `shapes`, `sweeps`, `checks`, `insides`); this
module brings them together. Nothing here trains a network, except XOR's, which take seconds.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from lth_core import manifest, paper, results
from lth_core.analyse import accuracies
from lth_core.cell import key_of
from lth_core.checks import ALONE
from lth_core.draws import generator
from lth_core.insides import MASKS
from lth_core.judge import Lacking, Result, select, with_depth
from lth_core.spec import Spec, UsageError
from lth_core.statements import Claim, Part, columns_of, describe, load, measured, number_of, said, unit_of
from lth_core.sweeps import NETWORKS

ACCEPTED = results.HERE / "verdicts.json"  # the verdicts that are committed

REPRODUCED, DIRECTION, NOT = "reproduced", "reproduced in direction", "not reproduced"
UNMEASURED, CANNOT = "not measured at scale", "cannot be judged"
VERDICTS = (REPRODUCED, DIRECTION, NOT, UNMEASURED, CANNOT)
# Tests that want an interval to exclude no effect; of these and others, those that look for their level in the data.
ORDERING = (
    "ratio", "difference", "ahead", "ordered", "deeper", "perfect", "scatter", "together", "at_weights", "grows",
    "favours", "steeper", "more_uneven", "moves_more", "grow_more", "xor_gain", "xor_ratio",
)  # fmt: skip
SEEKING = ("turning", "exists", "plateau", "faster_than", "dip", "reach")
RANK = {REPRODUCED: 3, DIRECTION: 2, NOT: 1}  # the other two say nothing about the claim


def with_curves(table: pd.DataFrame, columns: Iterable[str], source: Any, specs: list[Spec]) -> pd.DataFrame:
    """Columns that need whole curves. "test@1000": at that iteration (or the nearest evaluation kept), "val_loss@end";
    "test<5000": mean up to there; "reach@0.97": first iteration with that validation accuracy; "loss_rise": validation
    loss at the end minus its minimum."""
    wanted = [c for c in columns if c not in table and (re.search("[@<]", c) or c == "loss_rise")]
    if not wanted:
        return table
    curves = accuracies(results.curves(specs, source), specs[0].dataset).sort_values(["key", "iteration"])
    made: dict[str, dict[str, float]] = {c: {} for c in wanted}
    for key, c in curves.groupby("key"):
        iteration = c["iteration"].to_numpy()
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


@dataclass(frozen=True)
class Rows:
    """A figure's networks at one scale: which are declared, and what is measured of them."""

    specs: list[Spec]
    declared: pd.DataFrame
    have: np.ndarray
    table: pd.DataFrame


class Bench:
    """Answers queries on a source (published results or a store) at the first of `profiles` that is complete."""

    def __init__(self, source: Any, profiles: Sequence[str], options: dict[str, Any]) -> None:
        self.source, self.profiles, self.options = source, profiles, options  # options: trials, seed, dataset
        self.cache: dict[tuple[str, str], Rows] = {}
        self.keys = set(source.cells["key"]) if isinstance(source, results.Published) else set(source.keys())

    def rows(self, figure: str, profile: str) -> Rows:
        if (figure, profile) not in self.cache:
            specs = results.possible(paper.rows(figure, profile, **self.options), self.source)
            have = np.array([key_of(s) in self.keys for s in specs]) if self.keys else np.zeros(len(specs), bool)
            declared = pd.DataFrame([vars(s) for s in specs])
            there = [s for s, h in zip(specs, have, strict=True) if h]
            table = with_depth(results.table(there, self.source)) if there else pd.DataFrame()
            self.cache[figure, profile] = Rows(specs, declared, have, table)
        return self.cache[figure, profile]

    def ask(self, figure: str, where: dict[str, Any]) -> tuple[pd.DataFrame, list[Spec]]:
        """The measured networks of a figure that fit `where`, and their rows."""
        if figure not in paper.FIGURES:
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
    return pd.DataFrame([vars(s) for s in paper.rows(figure)])


def shortfall(figure: str, rows: Sequence[Spec], where: dict[str, Any]) -> str:
    """What of the paper's scale is missing: nothing, or "10,000 of 50,000 iterations, 3 of 5 trials"."""
    full, data = select(in_full(figure), **where), paper.FIGURES[figure].paper.dataset
    if full.empty:
        return "settings that the paper does not have"
    counts = {
        "iterations": (max(s.iterations for s in rows), int(full["iterations"].max())),
        "trials": (len({s.trial for s in rows}), int(full["trial"].nunique())),
    }
    short = [f"{here:,} of {there:,} {name}" for name, (here, there) in counts.items() if here < there]
    return ", ".join([*short, *([f"{rows[0].dataset} for {data}"] if rows[0].dataset != data else [])])


def test_one(bench: Bench, claim: Claim, part: Part) -> tuple[Result, str]:
    """One test of a claim: what it found, and what its scale lacks."""
    if part.test in ALONE:
        return ALONE[part.test](**part.arguments), ""
    tables, specs, short = [], [], ""
    for figure in (part.figure, *claim.also):
        table, rows = bench.ask(figure, part.where)
        tables.append(table)
        specs += rows
        short = short or shortfall(figure, rows, part.where)
    if part.test in MASKS:
        return MASKS[part.test](bench.source, specs, **part.arguments), short
    together = pd.concat(tables, ignore_index=True).drop_duplicates("key")
    together = with_curves(together, columns_of(part.arguments), bench.source, specs)
    return NETWORKS[part.test](together, **part.arguments), short


def verdict_of(found: Sequence[Result], short: str, partly: bool = False) -> str:
    """From tests to a word. At less than the paper's scale a claim is at most reproduced in direction, and what does
    not hold there is not measured: it may hold at scale. So is, at most, a claim about several networks that is judged
    on some of them (`partly`)."""
    if all(f.agrees for f in found):
        return DIRECTION if short or partly else REPRODUCED
    if all(f.agrees or f.direction for f in found):
        return DIRECTION
    return UNMEASURED if short else NOT


def word(found: Result) -> str:
    return "holds" if found.agrees else "in direction" if found.direction else "does not hold"


def reasons(lacking: dict[str, str]) -> str:
    """Why networks cannot be judged: "Conv-4: one trial has no interval; Conv-6: no network is published yet"."""
    nets: dict[str, list[str]] = {}
    for net, why in lacking.items():
        nets.setdefault(why, []).append(net)
    return "; ".join(f"{', '.join(those)}: {why}" for why, those in nets.items())


def judge_one(bench: Bench, claim: Claim) -> dict[str, Any]:
    """A claim's row of the ledger: its verdict and what it rests on. Effect, interval and n are its first test's; `but`
    tells those of the first that holds less, which then decides."""
    found: dict[int, Result] = {}
    lacking: dict[str, str] = {}  # network: why it cannot be judged
    undecided: set[int] = set()
    short = ""
    parts = list(enumerate(claim.parts))
    for i, part in parts:
        try:
            found[i], lacks = test_one(bench, claim, part)
            if part.test not in ALONE and found[i].undecided:
                undecided.add(i)
                raise Lacking(f"one trial has no interval, at {lacks}" if lacks else "one trial has no interval")
            short = short or lacks
        except Lacking as error:
            lacking.setdefault(part.net, str(error))
    counts = [i for i, part in parts if part.net not in lacking]
    judged = [found[i] for i in counts]
    if claim.cannot:
        verdict, reason = CANNOT, claim.cannot
    elif not judged:
        verdict, reason = UNMEASURED, claim.lacking or next(iter(lacking.values()))
        made = len(found) - len(undecided)
        reason += f" ({made} of {len(parts)} tests could be made)" if made else ""
    else:
        verdict = verdict_of(judged, short, bool(lacking))
        on = ", ".join(dict.fromkeys(part.net for _, part in parts if part.net not in lacking))
        reason = f"judged on {on} alone ({reasons(lacking)})" if lacking else ""
        reason = reason or (f"does not show at {short}" if verdict == UNMEASURED else "")
    nan = float("nan")
    units = {i: unit_of(part) for i, part in parts}
    at = next(iter(found), 0)
    first = found.get(at, Result(nan, nan, nan, 0, False, False))
    decides = min(counts, key=lambda i: (found[i].agrees, found[i].direction), default=at)  # the first of the worst
    but = "" if word(found.get(decides, first)) == word(first) else said(found[decides], units[decides])
    words = {i: "undecided" if i in undecided else word(f) for i, f in found.items()}
    alone = all(part.test in ALONE for _, part in parts)
    return {
        "id": claim.id, "verdict": verdict, "effect": first.effect, "low": first.low, "high": first.high, "n": first.n,
        "unit": units.get(at, ""), "but": but, "says": claim.says, "number": number_of(claim), "scale": short,
        "reason": reason, "notes": "; ".join(dict.fromkeys(f.note for f in found.values() if f.note)),
        "tests": [f"{describe(part)}: {words.get(i, 'not made')}" for i, part in parts],
        "figure": claim.figure, "command": "" if alone else f"python -m lth_core run {claim.figure}",
        "notebook": claim.notebook, "paper": claim.paper, "section": claim.section, "dataset": claim.dataset,
        "importance": claim.importance, "kind": claim.kind, "statement": claim.statement,
    }  # fmt: skip


def judge(
    source: Any = None, claims: Iterable[Claim] | None = None, *, profile: str = "published", trials: int = 0,
    seed: int = 0, dataset: str = "own",
) -> pd.DataFrame:  # fmt: skip
    """One row a claim. Published results are judged at the paper's scale where they reach it; another `profile` (with
    `trials`, `seed` and `dataset` as for a notebook) judges what a store holds of it."""
    profiles = ("paper", "published") if profile == "published" else (profile,)
    options = {"trials": trials, "seed": seed, "dataset": dataset}
    bench = Bench(source if source is not None else results.Published(), profiles, options)
    return pd.DataFrame([judge_one(bench, c) for c in (load() if claims is None else claims)])


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
    tests = judged["id"].map(lambda i: first[i].test)
    shares = int((tests == "xor_rate").sum())
    seeks = judged["id"].map(lambda i: first[i].test in SEEKING or "'best'" in str(first[i].arguments))
    sizes = judged.loc[tests.isin(ORDERING) & ~seeks, "n"]
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
    if not isinstance(found, dict) or not all(v in VERDICTS for v in found.values()):
        raise manifest.Damaged(f"{path} does not hold a verdict for each claim: {manifest.remedy(path.name)}.")
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


def html(verdicts: pd.DataFrame | None = None) -> Any:
    """The whole ledger for a page: see `ledger.table`."""
    from lth_core import ledger as page  # imported late: the command line needs no drawing packages

    return page.table(ledger() if verdicts is None else verdicts)


def summary_html(verdicts: pd.DataFrame | None = None) -> str:
    """Verdict counts and paper against measurement, for the landing page."""
    from lth_core import ledger as page

    return page.summary(verdicts)


def markdown() -> str:
    """What the landing page says about the ledger; book/_ext fills it in."""
    return f"\n{summary_html()}\n\nEvery claim, with its test, is in [the claim ledger](claims).\n"
