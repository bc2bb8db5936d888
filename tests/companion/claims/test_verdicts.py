"""The claim ledger: complete, every test right on tables with known answers, verdicts that follow the numbers."""

from __future__ import annotations

import hashlib
import inspect
import itertools
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import intervals
import numpy as np
import pandas as pd
import pytest
import yaml
from bs4 import BeautifulSoup
from places import SHARED
from scipy import stats

from lth_companion.claims import bounds, curves, printed_settings, statements, xor
from lth_companion.claims import opened_tickets as insides
from lth_companion.claims import sizes as sweeps
from lth_companion.claims import tests as claim_tests
from lth_companion.claims import verdicts as claims
from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_companion.experiments.catalogue import Scale, iterative, one_shot
from lth_companion.pages import ledger
from lth_core import levels, results
from lth_core.errors import UsageError
from lth_core.judge import comparisons, estimate
from lth_core.judge import result as judge
from lth_core.models import layers
from lth_core.networks import Curve
from lth_core.store.cell import describe

CLAIMS = SHARED / "paper" / "claims.yaml"
IDS = "152c9b3e4c147afd"  # first digits of the SHA-256 of all ids, sorted and joined by newlines
EVERY = claim_tests.TESTS


# --- The list ---------------------------------------------------------------------------------------------------------


def test_every_claim_is_there_once() -> None:
    ids = [c.id for c in claims.load()]
    assert len(ids) == len(set(ids)) == 401
    assert hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest().startswith(IDS)
    assert Counter(c.importance for c in claims.load()) == {"headline": 25, "supporting": 213, "appendix": 163}
    assert Counter(c.paper for c in claims.load()) == {"v1": 147, "iclr": 228, "blog": 26}


@pytest.mark.skipif(not CLAIMS.exists(), reason="the papers' tables are not beside this checkout")
def test_claims_say_what_the_papers_tables_say() -> None:
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    facts = {c["id"]: c for c in yaml.load(CLAIMS.read_text(), loader)}
    assert facts.keys() == {c.id for c in claims.load()}
    for c in claims.load():
        fact = facts[c.id]
        assert (c.paper, c.importance, c.kind, c.statement) == tuple(
            fact[k] for k in ("paper", "importance", "kind", "statement")
        )
        number = fact["value"].get("number")
        assert number is None or f"{number:,}" in c.says or f"{number:g}" in c.says, c.id


SYMBOLS = re.compile(r"[~<>=\[\]|^_]|->|\w\(|\d; ?\d")
SHORT = re.compile(r"\b(reinit|orig|acc|wt|sd|pp|fc|conv|DB|ZL|x|corr|iter|nets?|[0-9]+K)\b")


def test_what_a_paper_says_is_in_plain_words() -> None:
    """It stands after "The paper says:" on the first screen of pages. Found there: "ticket ~ reinit"."""
    for c in claims.load():
        assert re.match(r"[A-Z0-9]", c.says) and not c.says.endswith((".", ":")), f"{c.id}: {c.says}"
        assert not SYMBOLS.search(c.says) and not SHORT.search(c.says), f"{c.id}: {c.says}"


def test_every_claim_has_a_test_or_a_reason() -> None:
    for c in claims.load():
        assert bool(c.tests) + bool(c.cannot) + bool(c.lacking) == 1, c.id
        assert not (c.calibrates and c.cannot), c.id
        assert c.tolerance and c.why and c.says and c.statement and c.notebook, c.id


def test_every_test_exists_and_takes_its_arguments() -> None:
    for c in claims.load():
        for part in c.parts:
            test = EVERY[part.test]
            inner = dict(part.arguments)
            if part.test == "everywhere":
                kept = {k: inner.pop(k) for k in ("field", "test", "values", "least") if k in inner}
                inspect.signature(EVERY[kept["test"]]).bind(None, **inner)
                inspect.signature(test).bind(None, **part.arguments)
                continue
            given = {"networks": (None,), "tickets": (None, None), "xor": (), "settings": ()}
            first = given[claim_tests.traits(part).needs]
            inspect.signature(test).bind(*first, **inner)


def test_every_test_function_serves_a_claim() -> None:
    used = {p.test for c in claims.load() for _, parts in c.wordings for p in parts}
    assert set(EVERY) == used
    assert len(EVERY) < 60


def test_a_claims_unit_number_and_needs_come_from_the_test_that_it_names() -> None:
    """Of every claim: nothing else knows the tests by name."""
    for c in claims.load():
        for part in c.parts:
            own = judge.traits_of(EVERY[part.test])
            assert claim_tests.traits(part) is own and claim_tests.unit_of(part) == own.unit_of(part.arguments)
        if c.tests:
            asked = judge.traits_of(EVERY[c.parts[0].test]).number(c.parts[0].arguments)
            assert claim_tests.number_of(c) == pytest.approx(asked, nan_ok=True)
    columns = {"ahead": "stop_iteration", "same": "val_loss", "ordered": "stop_test", "turning": "stop_test"}
    units = {n: judge.traits_of(EVERY[n]).unit_of({"column": column}) for n, column in columns.items()}
    points = {"ordered": "points as the smallest lead", "turning": "points"}
    assert units == {"ahead": "% earlier", "same": "% lower", **points}
    assert not claim_tests.counted(next(c for c in claims.load() if c.dataset == "xor"))


def test_a_claim_test_without_a_unit_is_an_error() -> None:
    def bare(table: pd.DataFrame) -> judge.Result:
        return judge.Result(1, 0, 2, 3, "holds")

    with pytest.raises(TypeError, match="bare declares no unit"):
        judge.traits_of(bare)
    with pytest.raises(TypeError, match="unit"):
        judge.claim_test()  # type: ignore[call-arg]
    assert judge.claim_test(unit="points")(bare) is bare and judge.traits_of(bare).unit == "points"
    claim = replace(next(c for c in claims.load() if c.tests), tests=[{"counted": {}}])
    with pytest.raises(UsageError, match="claim test 'counted' does not exist"):
        claim_tests.unit_of(claim.parts[0])


def test_every_test_is_declared_once_and_under_its_own_name() -> None:
    """A second one of the same name would silently take the first one's place."""
    modules = comparisons, curves, bounds, sweeps, insides, xor, printed_settings
    found = [judge.tests_in(m) for m in modules]
    assert sum(map(len, found)) == len(EVERY) and all(f.__name__ == name for name, f in EVERY.items())
    for module, tests in zip(modules, found, strict=True):
        ours = {n for n, f in vars(module).items() if getattr(f, "__module__", "") == module.__name__}
        gives = {n for n in ours if getattr(vars(module)[n], "__annotations__", {}).get("return") == "Result"}
        helpers = {"counted", "equal", "positive", "mirrored", "_at_every_level"}
        assert gives - set(tests) <= helpers, "which no claim names"


def test_levels_that_the_data_choose_are_known_by_the_arguments() -> None:
    seeks = judge.traits_of(comparisons.ratio).seeks_level
    assert seeks({"of": {"at": "best"}, "to": U}) and not seeks({"of": {"at": 7}, "to": U, "form": "less"})
    assert judge.traits_of(comparisons.ordered).seeks_level({"sides": [{"at": 3}, {"at": "best"}]})
    assert judge.traits_of(curves.turning).seeks_level({}), "wherever it is"


def test_statements_need_no_test_library() -> None:
    """Reading claims.yaml imports neither the tests nor XOR's compiled networks."""
    code = "import sys, lth_companion.claims.statements as s; s.load(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    unwanted = {"numba", "torch", "lth_companion.claims.tests", "lth_companion.experiments.xor"}
    assert not {m for m in done.stdout.split() if m in unwanted or m.startswith("lth_core.judge")}


def test_every_page_of_a_declared_figure_is_the_one_that_draws_it() -> None:
    for c in claims.load():
        drawn = c.experiment or c.figure
        if drawn in catalogue.FIGURES and c.tests:
            assert c.notebook == catalogue.FIGURES[drawn].notebook, c.id


# --- Test functions on tables with known answers ----------------------------------------------------------------------

Value = Callable[[str, float, int], float]  # arm, depth, trial → value


def nets(
    value: Value, column: str = "stop_test", arms: tuple[str, ...] = ("ticket", "reinit"), rounds: int = 20,
    trials: int = 5, shots: bool = False, **fields: Any,
) -> pd.DataFrame:  # fmt: skip
    """A table of networks whose `column` is a function of arm, depth and trial."""
    scale = Scale(trials=trials, replicates=2, rounds=rounds)
    rows = iterative(scale, arms, **fields) + (one_shot(scale, arms, **fields) if shots else [])
    table = levels.with_depth(
        pd.DataFrame([vars(r) | {"density": 0.8**r.round, "key": str(i)} for i, r in enumerate(rows)])
    )
    values = [value("ticket" if r.round == 0 else r.arm, d, r.trial) for r, d in zip(rows, table["depth"], strict=True)]
    return table.assign(**{column: values})


def noise(trial: int) -> float:
    """Trials differ by up to 10%, all networks of a trial alike, as initialisations make them."""
    return 1 + 0.05 * (trial - 2)


def valley(arm: str, depth: float, trial: int) -> float:
    """Early stopping: tickets 38% earlier at round 7, back at round 15; reinits ever later, 1.55 times at round 7."""
    if arm == "ticket":
        return 8000 * noise(trial) * (1 - 0.38 * (1 - ((depth - 7) / (7 if depth < 7 else 8)) ** 2))
    return 8000 * noise(trial) * (1 + 0.0786 * depth)


def hill(arm: str, depth: float, trial: int) -> float:
    """Accuracy: tickets 0.4 points up at round 9 and back at round 16, reinits flat to round 7, then falling."""
    start = 0.98 + 0.001 * (trial - 2)
    if arm == "ticket":
        return start + 0.004 * (1 - ((depth - 9) / (9 if depth < 9 else 7)) ** 2)
    return start + 0.0002 - 0.0002 * max(depth - 6, 0) - 0.0001 * (depth > 0)


def dull(arm: str, depth: float, trial: int) -> float:
    """Nothing that the papers claim: pruning changes nothing but the noise."""
    return 0.98 + 0.0001 * ((7 * trial + 3 * int(depth) + len(arm)) % 5 - 2)


T, A = "stop_iteration", "stop_test"
TK, RE, U = {"arm": "ticket"}, {"arm": "reinit"}, {"at": 0}
KNOWN: list[tuple[str, dict[str, Any], Value, str, float]] = [  # test, arguments, table, column, effect
    ("ratio", dict(of={"at": 7}, to=U, number=38, within=10, form="less"), valley, T, 38),
    ("ratio", dict(of={**RE, "at": 7}, to={"at": 7}, number=2.51, within=0.63), valley, T, 2.5),
    ("difference", dict(of={"at": 9}, to=U, number=0.3, within=0.15, limit="atleast"), hill, A, 0.4),
    ("difference", dict(of={"at": "best"}, to=U, number=0.35, within=0.15), hill, A, 0.4),
    ("value", dict(of=U, number=98, within=0.3), hill, A, 98),
    ("ahead", dict(of=TK, to=RE, levels=[1, 12], every=True), valley, T, 50),
    ("ahead", dict(of=TK, to=U, levels=[3, 12]), hill, A, 0.3),
    ("ordered", dict(sides=[{"at": 7}, {"at": 3}, U]), valley, T, 16.7),
    ("returns", dict(at=15), valley, T, 3.5),
    ("returns", dict(at=16), hill, A, 2.8),
    ("returns", dict(at=[15, 16]), hill, A, 2.8),
    ("deeper", dict(of=TK, to=RE), hill, A, 9),
    ("turning", dict(at=7), valley, T, 38),
    ("turning", dict(at=9, within=3), hill, A, 0.4),
    ("monotone", dict(rising=True, levels=[0, 12], arm="reinit"), valley, T, 1),
    ("monotone", dict(rising=False, levels=[7, 20], arm="reinit"), hill, A, -1),
    ("throughout", dict(levels=[5, 9], number=25, form="less"), valley, T, 33),
    ("reach", dict(between=[2.9, 80], within=3), hill, A, 3.5),
    ("exists", dict(time=T, accuracy=T, below=7), valley, T, 3.5),
    ("earliest", dict(arm="ticket", at=7), valley, T, 44),
    ("plateau", dict(of=TK, to=RE), valley, T, 4),
]  # fmt: skip


@pytest.mark.parametrize(("test", "arguments", "value", "column", "effect"), KNOWN)
def test_a_test_finds_what_is_there_and_only_that(
    test: str, arguments: dict[str, Any], value: Value, column: str, effect: float
) -> None:
    told = arguments if test == "exists" else {"column": column, **arguments}
    found = sweeps.NETWORKS[test](nets(value, column), **told)
    assert found.word == "holds", found
    assert found.effect == pytest.approx(effect, rel=0.12, abs=0.05)
    if np.isfinite(found.low) and test != "earliest":
        assert found.low <= found.effect <= found.high and found.n == 5
    if test == "value":  # the level itself is the same in both tables
        assert sweeps.NETWORKS[test](nets(value, column), **told | {"number": 90}).word != "holds"
        return
    if test == "exists":
        worse = nets(lambda arm, d, t: 8000 * noise(t) * (1 + 0.01 * d), column)
    elif test == "earliest":
        worse = nets(lambda arm, d, t: 8000.0 + 10 * d + t, column)
    else:
        worse = nets(dull if column == A else lambda *x: 8000 * dull(*x), column)
    try:
        assert sweeps.NETWORKS[test](worse, **told).word != "holds"
    except levels.Lacking:
        assert test in ("returns", "deeper"), "a curve that never gives out has no end to judge"


def test_a_shorter_chain_that_is_still_good_at_its_end_is_no_worse() -> None:
    """Cuts of 10% that end at 7% of the weights, beside cuts of 50% that give out at 3%: neither is the deeper one."""
    found = nets(lambda arm, d, t: 0.98 if d < 15 else 0.9, A)
    short = found[(found["arm"] != "reinit") | (found["depth"] < 12)]
    assert sweeps.NETWORKS["deeper"](found, column=A, of=TK, to=RE).effect == 0
    with pytest.raises(levels.Lacking, match="still as good"):
        sweeps.NETWORKS["deeper"](short, column=A, of=RE, to=TK)


def test_levels_that_one_side_never_reaches_say_nothing_of_scatter() -> None:
    """As where no ticket of a small size converges."""
    rng, rows = np.random.default_rng(0), []
    for trial, depth, arm, copy in itertools.product(range(3), range(1, 5), ("ticket", "reinit"), range(3)):
        value = np.nan if arm == "ticket" and depth > 2 else 100 + rng.normal() * (3 if arm == "reinit" else 1)
        rows.append({"trial": trial, "round": depth, "depth": float(depth), "arm": arm, "replicate": copy, "x": value})
    table, sides = pd.DataFrame(rows), {"column": "x", "of": "reinit", "to": "ticket"}
    whole, both = (sweeps.NETWORKS["scatter"](table[table["depth"] <= to], levels=(1, to), **sides) for to in (4, 2))
    assert whole.effect == pytest.approx(both.effect) and whole.effect > 2


def test_alike_and_scattered() -> None:
    same = sweeps.NETWORKS["same"]
    arguments = dict(column=A, of=TK, to=RE, levels=[4, 12])
    assert same(nets(dull), **arguments, within=0.15).word == "holds"
    assert same(nets(hill), **arguments, within=0.15).word != "holds"

    def wild(arm: str, depth: float, trial: int) -> float:
        return 8000 + (1 if arm == "ticket" else 4) * 300 * ((13 * trial + 5 * depth) % 7 - 3)

    levels = dict(column=T, levels=[1, 12])
    assert sweeps.NETWORKS["scatter"](nets(wild, T), of="reinit", to="ticket", **levels).word == "holds"
    assert sweeps.NETWORKS["scatter"](nets(wild, T), of="ticket", to="reinit", **levels).word != "holds"


def unsure(column: str, good: Callable[[str, float], float], bad: Callable[[float], float]) -> pd.DataFrame:
    """Trials that disagree: in three of five both arms are as `good` says, in two the tickets are as `bad` says."""
    return nets(lambda arm, d, t: bad(d) if arm == "ticket" and t > 2 and d > 0 else good(arm, d), column)


def gives_out(at: float, lead: float = 0.0) -> Callable[[float], float]:
    """Accuracy by depth: unpruned 98%, `lead` above it, falling from depth `at` on."""
    return lambda d: 0.98 + lead * (d > 0) - 0.002 * max(d - at, 0)


UNSURE: list[tuple[str, dict[str, Any], pd.DataFrame]] = [
    ("deeper", dict(of=TK, to=RE),
     unsure(A, lambda arm, d: gives_out(9)(d) if arm == "reinit" else gives_out(16, 0.012)(d), gives_out(3))),
    ("ahead", dict(of=TK, to=RE, levels=[12, 18]),
     unsure(A, lambda arm, d: gives_out(9 if arm == "reinit" else 16)(d), gives_out(3))),
    ("turning", {}, unsure(A, lambda arm, d: 0.98 + 0.001 * (0 < d < 9), lambda d: 0.979 - 0.001 * (d > 8))),
    ("dip", {}, unsure(A, lambda arm, d: 0.98 - 0.003 * (0 < d < 4) + 0.001 * (d > 3), lambda d: 0.983)),
    ("plateau", dict(of=TK, to=RE),
     unsure(T, lambda arm, d: 4000 if 3 <= d <= (10 if arm == "reinit" else 14) else 8000,
            lambda d: 4000 if 3 <= d <= 6 else 4900 if 6 < d <= 14 else 8000)),
    ("faster_than", dict(of=TK, to=RE),
     unsure(T, lambda arm, d: 8000 if d == 0 else 7600 if arm == "reinit" else 5600, lambda d: 9600)),
    ("scatter", dict(of="reinit", to="ticket", levels=[1, 12]),
     nets(lambda arm, d, t: 8000 + 300 * (t - 2) + 400 * (arm == "reinit") * (t == 4), T)),
]  # fmt: skip


@pytest.mark.parametrize(("test", "arguments", "table"), UNSURE)
def test_an_effect_on_which_trials_disagree_is_no_direction(
    test: str, arguments: dict[str, Any], table: pd.DataFrame
) -> None:
    """The mean is on the paper's side, its interval on both."""
    found = sweeps.NETWORKS[test](table, column=T if T in table else A, **arguments)
    none = 1.0 if test in ("scatter", "faster_than") else 0.0
    assert found.low <= none < found.effect, found
    assert found.word == "undecided", found


def test_copies_are_counted_where_they_are_measured() -> None:
    """Five trials of two copies a level; round 1 of 20 percent stands at one depth."""
    copies = sweeps.NETWORKS["copies"]
    assert copies(nets(dull), arm="reinit", number=10).word == "holds"
    assert copies(nets(dull), arm="reinit", number=5).word != "holds"
    with pytest.raises(levels.Lacking, match="10 of 15 copies"):
        copies(nets(dull), arm="reinit", number=15)


def test_two_columns_together_and_thresholds() -> None:
    table = nets(hill).assign(stop_train=lambda t: 0.5 * t["stop_test"], other=lambda t: -t["stop_test"])
    assert sweeps.NETWORKS["together"](table, columns=["stop_train", A]).word == "holds"
    assert sweeps.NETWORKS["together"](table, columns=["other", A]).word != "holds"
    full = nets(lambda arm, d, t: 1.0 if d < (17.5 if arm == "ticket" else 12.5) else 0.99, "end_train")
    assert sweeps.NETWORKS["perfect"](full, column="end_train", of=TK, to=RE).effect == 5
    assert sweeps.NETWORKS["perfect"](full, column="end_train", of=RE, to=TK).word != "holds"
    shaky = nets(
        lambda arm, d, t: 1.0 - 0.002 * (d in (0, 3)) - 0.01 * (d > (17 if arm == "ticket" else 12)), "end_train"
    )
    assert sweeps.NETWORKS["perfect"](shaky, column="end_train", of=TK, to=RE).effect == 5, "misses before the end"
    level = dict(column="end_train", number=99.9, form="value")
    assert sweeps.NETWORKS["throughout"](full, levels=[0, 17], **level).word == "holds"
    assert sweeps.NETWORKS["throughout"](full, levels=[0, 18], **level).word != "holds"
    learned = nets(lambda arm, d, t: float(d > 6.5), "learned")
    assert sweeps.NETWORKS["share"](learned, column="learned", number=100, levels=[8, 15]).word == "holds"
    assert sweeps.NETWORKS["share"](learned, column="learned", number=100, levels=[0, 15]).word != "holds"


def test_sweeps_and_sizes() -> None:
    def sized(best: float, gain: float) -> Value:
        return lambda arm, d, t: 0.98 + 0.001 * t + gain * (1 - ((d - best) / best) ** 2)

    sizes = {"lenet-100-34": (6.0, 0.002), "lenet-300-100": (6.0, 0.004), "lenet-900-300": (6.0, 0.006)}
    table = pd.concat([nets(sized(*x), arms=("ticket",), arch=a) for a, x in sizes.items()], ignore_index=True)
    values = list(sizes)
    every = dict(field="arch", test="turning", column=A)
    assert sweeps.NETWORKS["everywhere"](table, values=values, **every).word == "holds"
    flat = pd.concat([table, nets(dull, arms=("ticket",), arch="lenet-50-17")], ignore_index=True)
    assert sweeps.NETWORKS["everywhere"](flat, **every).word != "holds"
    grows = dict(column=A, what="best", values=values)
    assert sweeps.NETWORKS["grows"](table, **grows).word == "holds"
    assert sweeps.NETWORKS["grows"](table, **grows, limit=1.5).word != "holds"
    where = dict(column=A, what="best", values=["lenet-300-100"])
    total = 266_200 * 0.8**6
    assert sweeps.NETWORKS["weights_where"](table, between=[total, total], **where).word == "holds"
    assert sweeps.NETWORKS["weights_where"](table, between=[5 * total, 5 * total], **where).word != "holds"
    equal = dict(column=A, field="arch", values=values, weights=[20_000, 40_000])
    larger = [
        nets(lambda _, d, t, i=i: 0.98 + 0.001 * t + 0.002 * i, arms=("ticket",), arch=a) for i, a in enumerate(sizes)
    ]
    table = pd.concat(larger, ignore_index=True)
    assert sweeps.NETWORKS["at_weights"](table, rising=True, **equal).word == "holds"
    assert sweeps.NETWORKS["at_weights"](table, rising=False, **equal).word != "holds"
    fast = pd.concat([nets(valley, T, lr=0.1), nets(lambda *x: 8000 * dull(*x), T, lr=0.2)], ignore_index=True)
    assert sweeps.NETWORKS["faster_than"](fast, column=T, of={"lr": 0.1}, to={"lr": 0.2}).word == "holds"
    assert sweeps.NETWORKS["faster_than"](fast, column=T, of={"lr": 0.2}, to={"lr": 0.1}).word != "holds"

    def dipping(arm: str, d: float, t: int) -> float:
        return 0.7 + 0.001 * t + (-0.02 if 0 < d < 4 else 0.01 * (d >= 4))

    assert sweeps.NETWORKS["dip"](nets(dipping), column=A).word == "holds"
    assert sweeps.NETWORKS["dip"](nets(hill), column=A).word != "holds"


def test_a_printed_bound_has_no_slack() -> None:
    """ "At least 25" is not at least 15, and an effect above none is not one above another network's."""
    table = nets(lambda arm, d, t: valley(arm, d, t) * (1 + 0.02 * ((3 * t + int(d)) % 5 - 2)), T)
    sides = dict(column=T, of=U, to={"at": 7}, limit="atleast")
    found = sweeps.NETWORKS["ratio"](table, number=1, **sides)
    assert found.word == "holds"
    assert sweeps.NETWORKS["ratio"](table, number=found.low - 0.01, **sides).word == "holds"
    assert sweeps.NETWORKS["ratio"](table, number=found.effect, **sides).word == "undecided"
    assert sweeps.NETWORKS["ratio"](table, number=found.high + 0.01, **sides).word == "fails"


def test_a_number_is_met_by_its_whole_interval() -> None:
    table = nets(lambda arm, d, t: 0.98 + 0.001 * (t - 2) * (d == 9) + 0.004 * (d == 9))
    sides = dict(column=A, of={"at": 9}, to=U)
    found = sweeps.NETWORKS["difference"](table, number=0.4, within=1, **sides)
    assert found.word == "holds" and found.low == pytest.approx(0.4 - 2.776 * 0.1 * 2.5**0.5 / 5**0.5, abs=1e-3)
    assert sweeps.NETWORKS["difference"](table, number=0.4, within=0.1, **sides).word == "undecided"
    assert sweeps.NETWORKS["difference"](table, number=-0.4, within=0.3, **sides).word == "fails"


def test_a_time_that_was_cut_off_is_never_compared_with() -> None:
    table = nets(valley, T).assign(iterations=50_000)
    cut = table.assign(cut_off=(table["round"] == 0).astype(float))
    with pytest.raises(levels.Lacking, match="cut off"):
        sweeps.NETWORKS["ratio"](cut, column=T, of={"at": 7}, to=U, number=38, within=10, form="less")
    with pytest.raises(levels.Lacking, match="cut off"):
        sweeps.NETWORKS["turning"](cut, column=T)
    late = table.assign(cut_off=((table["arm"] == "reinit") & (table["depth"] > 6)).astype(float))
    found = sweeps.NETWORKS["ahead"](late, column=T, of=TK, to=RE, levels=[1, 12])
    early = sweeps.NETWORKS["ahead"](table, column=T, of=TK, to=RE, levels=[1, 6])
    assert found.effect == pytest.approx(early.effect)


def test_two_trials_have_no_interval() -> None:
    found = sweeps.NETWORKS["ahead"](nets(valley, T, trials=2), column=T, of=TK, to=RE, levels=[1, 12])
    assert found.effect > 0 and np.isnan(found.low) and found.word == "undecided"


def test_a_crossing_that_is_not_measured_is_not_judged() -> None:
    short = nets(valley, T, rounds=12)
    with pytest.raises(levels.Lacking, match="sparsest"):
        sweeps.NETWORKS["returns"](short, column=T, at=15)
    with pytest.raises(levels.Lacking, match="level 15"):
        sweeps.NETWORKS["ratio"](short, column=T, of={"at": 15}, to=U, number=0, within=1)
    with pytest.raises(levels.Lacking, match="never"):
        sweeps.NETWORKS["returns"](short.assign(convergence_iteration=np.nan), column="convergence_iteration", at=7)


def test_a_network_that_never_converges_costs_no_interval() -> None:
    table = nets(valley, T)
    one = (table["trial"] == 2) & (table["round"] == 7) & (table["arm"] == "ticket")
    arguments = dict(column=T, of={"at": 7}, to=U, number=38, within=10, form="less")
    assert sweeps.NETWORKS["ratio"](table.assign(**{T: table[T].mask(one)}), **arguments).word == "holds"
    most = (table["trial"] > 0) & (table["round"] == 7) & (table["arm"] == "ticket")
    lost = sweeps.NETWORKS["ratio"](table.assign(**{T: table[T].mask(most)}), **arguments)
    assert np.isnan(lost.low) and not lost.word == "holds", "one trial of five is no evidence"


def test_one_shot_levels_stand_between_rounds() -> None:
    table = nets(valley, T, shots=True)
    assert levels.depth_of("25%") == pytest.approx(6.21, abs=0.01)
    once = levels.select(table, path="one-shot")
    assert (once["round"] <= 1).all() and once["depth"].max() > 16
    lead = sweeps.NETWORKS["ahead"](table, column=T, of={"path": "iterative"}, to={"path": "one-shot"}, levels=[2, 12])
    assert lead.effect == pytest.approx(0, abs=0.5), "the same curve on both grids"


# --- What is missing is neither fast nor good -------------------------------------------------------------------------


def one_level(values: np.ndarray) -> Curve:
    """One value a trial, of unpruned networks."""
    return Curve(np.asarray(values, float)[:, None], np.arange(len(values)), np.zeros(1))


def test_more_trials_than_a_byte_counts() -> None:
    found = estimate.over_trials([one_level(np.arange(300) % 5)], lambda v: v[0])
    assert found.effect == 2 and 1.8 < found.low < 2 < found.high < 2.2


def test_levels_without_a_value_stay_without() -> None:
    """Found in review: networks that never converge at a level were given their neighbours' mean."""
    values = np.array([[8.0, 7.0, np.nan, np.nan, 11.0], [np.nan] * 5])
    read = levels.along(Curve(values, np.arange(2), np.arange(5.0)), np.array([0.5, 1.0, 2.0, 3.5, 4.0]), None)
    np.testing.assert_array_equal(read.values[0], [7.5, 7, np.nan, np.nan, 11])
    assert np.isnan(read.values[1]).all()


@pytest.mark.parametrize(("gone", "right"), [("ticket", False), ("reinit", True)])
def test_who_never_gets_there_is_not_ahead(gone: str, right: bool) -> None:
    table = nets(valley, T)
    table.loc[(table["arm"] == gone) & (table["round"] == 4), T] = np.nan
    word = "holds" if right else "fails"
    assert comparisons.ahead(table, column=T, of=TK, to=RE, levels=[1, 12], every=True).word == word
    met = bounds.throughout(table, column=T, levels=[1, 7], number=0, form="less", arm="ticket")
    assert met.word == word and ("1 levels have no value" in met.note) is not right


def test_networks_that_learn_nothing_are_not_fast() -> None:
    """Their validation loss is lowest before they begin: by early stopping they would be the fastest of all."""
    table = nets(lambda arm, depth, trial: 100.0 if depth > 8 else valley(arm, depth, trial), T)
    found = curves.turning(table, column=T)
    assert found.note.startswith("best after 9") and found.effect > 90
    learned = table.assign(learned=(table["depth"] <= 8).astype(float))
    assert curves.turning(learned, column=T).note.startswith("best after 7")


def test_trials_whose_whole_network_learns_nothing_say_nothing_of_tickets() -> None:
    chance = nets(lambda arm, depth, trial: 0.1 if depth == 0 and trial else hill(arm, depth, trial))
    assert curves.turning(chance, column=A).effect > 60
    one = curves.turning(chance.assign(learned=(chance[A] > 0.2).astype(float)), column=A)
    assert one.n == 1 and one.effect < 1 and not one.word == "holds"
    with pytest.raises(levels.Lacking, match="no trial's unpruned network learns"):
        curves.turning(chance.assign(learned=0.0), column=A)


def test_percent_earlier_is_never_more_than_everything() -> None:
    """Found in review: the interval divided by the mean unpruned time, whatever trials were drawn."""
    table = nets(lambda arm, depth, trial: (100.0, 100.0, 9_000.0)[trial] * (0.02 if depth == 5 else 1), T, trials=3)
    found = curves.turning(table, column=T)
    assert found.effect == pytest.approx(98) and found.low == pytest.approx(98) and found.high == pytest.approx(98)


@pytest.mark.parametrize("n", [3, 5, 10, 20])
def test_intervals_cover_what_they_say(n: int) -> None:
    """The mean of normal numbers lies in its 95% interval in 95 of 100 cases, however few they are."""
    draws = np.random.default_rng(n).standard_normal((2000, n))
    found = [estimate.of_values(x) for x in draws]
    assert np.mean([e.low <= 0 <= e.high for e in found]) == pytest.approx(0.95, abs=0.015)
    jackknife = estimate.over_trials([one_level(draws[0])], lambda v: v[0])
    assert (jackknife.low, jackknife.high) == pytest.approx((found[0].low, found[0].high)), "of a mean: Student's t"


@pytest.mark.parametrize("what", ["where accuracy returns", "where time returns"])
@pytest.mark.parametrize("n", [3, 5])
def test_intervals_of_crossings_cover_what_they_say(what: str, n: int) -> None:
    """Of noisy curves too, where the jackknife alone covers too seldom. Intervals that cover 95 of 100 cases cover 91%
    of 250 or fewer once in 250 such tests."""
    assert intervals.coverage(what, n, 250) > 0.91


def test_the_sign_flip_test_is_exact() -> None:
    assert estimate.sign_flip(np.ones(5)) == pytest.approx(2 / 32)
    assert estimate.sign_flip(np.array([1.0, -1.0, 1.0])) == 1


def test_the_sign_flip_test_counts_ties_of_accuracies() -> None:
    """Accuracies have the p of the right answers that they are made of: equal means are equal after rounding too."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        a, b = 9700 + rng.integers(0, 15, 5), 9705 + rng.integers(0, 15, 5)
        assert estimate.sign_flip(a / 1e4 - b / 1e4) == estimate.sign_flip(a - b) == _by_hand(a - b)


def test_the_sign_flip_test_is_exact_for_many_trials() -> None:
    """Each of the ways of twenty trials is one of both halves' ways. Of over thirty trials, some are drawn."""
    counts = 9700 + np.random.default_rng(1).integers(-15, 18, 16) - 9700
    assert estimate.sign_flip(counts / 1e4) == _by_hand(counts)
    values = np.random.default_rng(2).normal(0.4, 1, 32)
    expected = stats.ttest_1samp(values, 0).pvalue
    assert estimate.sign_flip(values) == pytest.approx(expected, abs=0.02)
    assert estimate.sign_flip(values[:30]) == pytest.approx(stats.ttest_1samp(values[:30], 0).pvalue, abs=0.01)


def test_judging_imports_neither_torch_nor_numba() -> None:
    """All statistics that a claim may ask for, with twenty trials."""
    lines = (
        "import sys, numpy as np",
        "from lth_companion.claims import opened_tickets, verdicts",
        "from lth_core.judge import estimate",
        "x = np.arange(20.0)",
        "estimate.sign_flip(x), estimate.of_values(x), opened_tickets.mirrored(1.0, 60, 100)",
        "sys.exit(' '.join({'torch', 'numba', 'matplotlib'} & set(sys.modules)) or 0)",
    )
    run = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "")


def _by_hand(counts: np.ndarray) -> float:
    sums = [abs(np.dot(signs, counts)) for signs in itertools.product((1, -1), repeat=len(counts))]
    return float(np.mean([s >= abs(counts.sum()) for s in sums]))


# --- Masks, counts, XOR -----------------------------------------------------------------------------------------------


class Chains:
    """Published masks of known shape: `keep` says which weights of a layer stay, given their initial values."""

    def __init__(self, keep: Callable[[str, np.ndarray], np.ndarray]) -> None:
        self.keep = keep

    def has_masks(self, spec: Any) -> bool:
        return True

    def masks(self, spec: Any) -> dict[str, np.ndarray]:
        from lth_core.models import initial

        drawn = initial(spec)
        return {x.weight: self.keep(x.weight, drawn[x.weight]) for x in layers(spec.arch, spec.dataset)}

    def has_trained(self, spec: Any) -> bool:
        return True

    def trained(self, spec: Any) -> dict[str, np.ndarray]:
        """Large positive weights grow by half; nothing else moves."""
        from lth_core.models import initial

        return {n: np.where(w > w.std(), 1.5 * w, w) for n, w in initial(spec).items() if w.std() > 0}


MASKED = iterative(Scale(trials=3, replicates=0, rounds=12))
HALF = np.random.default_rng(0).random((300, 784)) < 0.5


def large(name: str, w: np.ndarray) -> np.ndarray:
    """Only large positive values survive, but in the first layer any."""
    return HALF[: w.shape[0], : w.shape[1]] if name.startswith("fc1") else w > w.std()


def edges(name: str, w: np.ndarray) -> np.ndarray:
    """Units lose their connections one by one: a third of the second layer has none; border pixels have few."""
    if name.startswith("fc1"):
        inside = np.zeros((28, 28), bool)
        inside[7:21, 7:21] = True
        return inside.ravel() | (np.arange(w.shape[0]) % 9 == 0)[:, None]
    return np.broadcast_to((np.arange(w.shape[0]) >= w.shape[0] // 3)[:, None], w.shape).copy()


def dead_third(name: str, w: np.ndarray) -> np.ndarray:
    """A third of the second layer has no connections, the first layer is even."""
    return edges(name, w) if name.startswith("fc2") else HALF[: w.shape[0], : w.shape[1]]


def lopsided(name: str, w: np.ndarray) -> np.ndarray:
    """First-layer units have equal connections in, but a third of them none out."""
    alive = np.broadcast_to(np.arange(w.shape[1]) % 3 > 0, w.shape)
    return alive if name.startswith("fc2") else HALF[: w.shape[0], : w.shape[1]]


MASK_CASES: list[tuple[str, dict[str, Any], Callable, Callable]] = [
    ("hollow", dict(layers=["fc2.weight"], round=3), large, lambda n, w: np.ones(w.shape, bool)),
    ("hollow_trained", dict(layers=["fc2.weight"], round=3, below=0.8), lambda n, w: np.abs(w) > w.std(),
     lambda n, w: np.ones(w.shape, bool)),
    ("keeps", dict(layers=["fc1.weight"], round=3, within=0.1), large, lambda n, w: np.abs(w) > w.std()),
    ("fuller", dict(layers=["fc1.weight", "fc2.weight"], round=3), large, lambda n, w: np.ones(w.shape, bool)),
    ("favours", dict(signs={"fc2.weight": 1, "out.weight": 1}, round=3), large, lambda n, w: w < 0),
    ("moves_more", dict(layers=["fc2.weight", "out.weight"], round=3), large, lambda n, w: w < 0),
    ("grow_more", dict(layers=["fc2.weight", "out.weight"], round=3), large, lambda n, w: w < 0),
    ("units", dict(layer="fc2.weight", round=3, statistic="dead", number=0.33, within=0.1), edges, large),
    ("units", dict(layer="fc1.weight", axis=0, round=3, statistic="edge", number=1.0, limit="atleast"), edges,
     lambda n, w: ~edges(n, w) if n.startswith("fc1") else np.ones(w.shape, bool)),
    ("units", dict(layer="fc1.weight", axis=0, round=3, statistic="peaks", number=0.8, limit="atmost"), edges, large),
    ("steeper", dict(of="fc2.weight", to="fc1.weight", round=3), dead_third, lambda n, w: np.ones(w.shape, bool)),
    ("uneven", dict(layer="fc1.weight", above="fc2.weight", round=3), lopsided, edges),
    ("uneven", dict(layer="fc1.weight", above="fc2.weight", round=3), None,
     lambda n, w: np.random.default_rng(w.size).random(w.shape) < 0.1),
    ("more_uneven", dict(layer="fc2.weight", axis=1, round=3, of={"trial": 0}, to={"trial": 1}), None, edges),
    ("emptier", dict(layers=["fc2.weight"], rounds=[3, 12]), None, edges),
]  # fmt: skip


@pytest.mark.parametrize(("test", "arguments", "good", "bad"), MASK_CASES)
def test_mask_tests(test: str, arguments: dict[str, Any], good: Callable | None, bad: Callable) -> None:
    if good:
        assert EVERY[test](Chains(good), MASKED, **arguments).word == "holds"
    assert EVERY[test](Chains(bad), MASKED, **arguments).word != "holds"


def test_small_weights_that_stay_small() -> None:
    """In the second layer training keeps the order of magnitudes, in the output layer it turns it round."""

    class Forgets(Chains):
        def trained(self, spec: Any) -> dict[str, np.ndarray]:
            from lth_core.models import initial

            return {n: 9 - np.abs(w) if n.startswith("out") else 2 * w for n, w in initial(spec).items()}

    source, two, last = Forgets(large), ["fc2.weight"], ["out.weight"]
    assert EVERY["remembers"](source, MASKED, layers=two).effect == pytest.approx(1)
    assert EVERY["remembers"](source, MASKED, layers=two + last).word != "holds"
    assert EVERY["remembers_more"](source, MASKED, of=two, to=last).word == "holds"
    assert EVERY["remembers_more"](source, MASKED, of=last, to=two).word != "holds"


def test_masks_that_differ_by_round_or_trial() -> None:
    class ByRound(Chains):
        def masks(self, spec: Any) -> dict[str, np.ndarray]:
            emptied = spec.round > 3 and spec.trial >= 0
            chosen = Chains(large if emptied else lambda n, w: np.ones(w.shape, bool))
            return chosen.masks(spec)

    assert EVERY["emptier"](ByRound(large), MASKED, layers=["fc2.weight"], rounds=[3, 12]).word == "holds"

    class ByRate(Chains):
        def masks(self, spec: Any) -> dict[str, np.ndarray]:
            return Chains(edges if spec.lr == 0.1 else lambda n, w: np.ones(w.shape, bool)).masks(spec)

    rows = [r for lr in (0.1, 0.2) for r in iterative(Scale(trials=3, replicates=0, rounds=3), lr=lr)]
    kinds = [{"lr": 0.1}, {"lr": 0.2}]
    layer = dict(layer="fc2.weight", axis=1, round=3)
    assert EVERY["more_uneven"](ByRate(edges), rows, of=kinds[0], to=kinds[1], **layer).word == "holds"
    assert EVERY["more_uneven"](ByRate(edges), rows, of=kinds[1], to=kinds[0], **layer).word != "holds"


def test_counts_and_settings() -> None:
    alone = EVERY
    lenet = dict(arch="lenet-300-100", dataset="mnist")
    assert alone["weights_of"](**lenet, number=266_000, digits=1000).word == "holds"
    assert alone["weights_of"](**lenet, number=268_000, digits=1000).word != "holds"
    with pytest.raises(levels.Lacking):
        alone["weights_of"](arch="mobilenet", dataset="cifar10", number=1, digits=1)
    assert alone["setting"](figure="v1-fig03", wanted={"lr": 0.05}).word == "holds"
    assert alone["setting"](figure="v1-fig03", wanted={"lr": 0.1}).word != "holds"
    assert alone["half_rate"](figure="iclr-fig04", number=0.5).word == "holds"
    assert alone["half_rate"](figure="iclr-fig04", number=1.0).word != "holds"
    assert alone["split_sizes"](dataset="mnist", numbers=[55_000, 5_000, 10_000]).word == "holds"
    assert alone["split_sizes"](dataset="mnist", numbers=[60_000, 0, 10_000]).word != "holds"
    assert alone["trainings"](rate=0.1, to=0.05, number=28).word == "holds"
    assert alone["trainings"](rate=0.2, to=0.05, number=28).word != "holds"
    kept = dict(rounds=[4, 8, 12], layer="out.weight")
    assert alone["kept_percent"](**lenet, **kept, numbers=[65.61, 43.05, 28.24]).word == "holds"
    assert alone["kept_percent"](**lenet, **kept, numbers=[65.61, 43.05, 20.0]).word != "holds"
    assert alone["ends_below"](figure="v1-fig08", percent=1).word == "holds"
    assert alone["ends_below"](figure="v1-fig08", percent=2).word == "fails"
    assert alone["parameters_of"](arch="resnet-18", dataset="cifar10", number=274_042, digits=0).word == "holds"
    assert alone["initial_sd"](init="truncated", init_sd=0.1, number=0.088, within=0.002).word == "holds"
    assert alone["initial_sd"](init="truncated", init_sd=0.1, number=0.1, within=0.002).word != "holds"
    assert alone["layer_count"](arch="conv-4", dataset="cifar10", role="conv", number=4).word == "holds"
    assert alone["layer_count"](arch="conv-4", dataset="cifar10", role="conv", number=5).word != "holds"
    vgg = dict(arch="vgg-19", dataset="cifar10")
    assert alone["layer_count"](**vgg, pool="max", number=4).word == "holds"
    assert alone["layer_count"](**vgg, role="conv", side=5, number=16).word == "fails"
    assert alone["weights_of"](**vgg, number=5120, digits=0, uncut=True).word == "holds"
    resnet = dict(arch="resnet-18", dataset="cifar10", digits=0, uncut=True)
    assert alone["weights_of"](**resnet, number=640).word == "fails"  # projections too


def test_xor_tests() -> None:
    alone = EVERY
    rate = dict(strategy="random networks", hidden=2, success="zero")
    assert alone["xor_rate"](**rate, number=17.6).word == "holds"
    far = alone["xor_rate"](**rate, number=60)
    assert far.word == "fails"
    step = dict(success="right", first="random networks", second="random networks")
    assert alone["xor_gain"](hidden=[10, 2], **step).word == "holds"
    assert alone["xor_gain"](hidden=[2, 10], **step).word == "fails"
    assert alone["xor_gain"](hidden=[10, 2], **step, equal=True).word != "holds"
    ticket = dict(success="zero", first="iterative product", hidden=2)
    assert alone["xor_ratio"](**ticket, number=1.0, within=0.5).word != "holds"
    assert alone["xor_ratio"](**ticket, number=5.0, within=0.8).word == "holds"
    assert alone["xor_rises"](success="zero").word == "holds"
    assert alone["xor_gaps"](numbers=[20, 20, 20, 20, 20], within=5).word != "holds"
    assert alone["xor_exact"](values=[1, 2, 10, 100]).word == "holds"
    assert alone["xor_exact"](values=[1, 2]).word != "holds", "a loss that is not small yet"
    assert alone["xor_parents"](widths=[4, 10], trials=200).word == "holds"
    assert alone["xor_parents"](widths=[10, 4], trials=200).word != "holds"


# --- Verdicts ---------------------------------------------------------------------------------------------------------


class Invented(results.Published):
    """Published results that are a function of arm, depth and trial: what a perfect replication would publish."""

    def __init__(self, cells: pd.DataFrame) -> None:
        super().__init__("nowhere")
        self.__dict__["cells"] = cells  # a cached property


@lru_cache
def invented(profile: str) -> pd.DataFrame:
    cells = pd.DataFrame([describe(s) for s in catalogue.rows("iclr-fig04", profile)])
    cells = cells.assign(
        section="iclr_2_lenet", spec="", diverged=False, convergence_iteration=np.nan, convergence_test=np.nan
    )
    depths = levels.with_depth(cells)["depth"]
    triples = list(zip(np.where(cells["round"] == 0, "ticket", cells["arm"]), depths, cells["trial"], strict=True))
    accuracy = np.array([hill(*x) for x in triples])
    cells = cells.assign(stop_iteration=[valley(*x) for x in triples], end_train=1.0, stop_train=accuracy)
    for column in ("stop_test", "end_test", "stop_val", "end_val"):
        cells[column] = accuracy
    return cells.set_index("key", drop=False)


def judged(cells: pd.DataFrame, *ids: str) -> dict[str, str]:
    chosen = [c for c in claims.load() if c.id in ids]
    table = claims.judge(Invented(cells), chosen)
    return dict(zip(table["id"], table["verdict"], strict=True))


HEADLINE = (
    "iclr-lenet-es-38pct-at-21", "iclr-lenet-reinit-ratio-2.51", "iclr-lenet-acc-gain-13.5", "iclr-lenet-es-return-3.6",
)  # fmt: skip


def test_a_perfect_replication_is_reproduced() -> None:
    assert set(judged(invented("paper"), *HEADLINE).values()) == {claims.REPRODUCED}


def test_one_changed_number_changes_a_verdict() -> None:
    cells = invented("paper").copy()
    there = (cells["arm"] == "ticket") & (cells["round"] == 7)
    cells.loc[there, "stop_iteration"] *= 1.25  # 38% earlier becomes 22%
    assert judged(cells, HEADLINE[0])[HEADLINE[0]] == claims.CONTRADICTED


def test_one_missing_network_is_not_measured() -> None:
    cells = invented("paper")
    gone = cells[(cells["arm"] == "ticket") & (cells["round"] == 7) & (cells["trial"] == 3)].index
    table = claims.judge(Invented(cells.drop(gone)), [c for c in claims.load() if c.id == HEADLINE[0]])
    assert table["verdict"].tolist() == [claims.UNMEASURED]
    assert "of the networks are published" in table["reason"][0] and "run iclr-fig04" in table["command"][0]


def test_below_the_papers_scale_a_claim_is_judged_alike_and_its_scale_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    small = Scale(trials=3, rounds=20, iterations=10_000)
    monkeypatch.setitem(catalogue.FIGURES, "iclr-fig04", replace(catalogue.FIGURES["iclr-fig04"], published=small))
    invented.cache_clear()
    cells = invented("published")
    assert judged(cells, HEADLINE[0], HEADLINE[2]) == dict.fromkeys((HEADLINE[0], HEADLINE[2]), claims.REPRODUCED)
    assert judged(cells, HEADLINE[1])[HEADLINE[1]] == claims.UNMEASURED, "times that are cut off"
    slow = cells.assign(stop_iteration=np.where(cells["round"] == 7, 1.5, 1) * cells["stop_iteration"])
    found = claims.judge(Invented(slow), [c for c in claims.load() if c.id == HEADLINE[0]])
    assert found["verdict"].tolist() == [claims.CONTRADICTED], "evidence below scale may speak against a paper too"
    assert set(found["scale"]) == {"10,000 of 50,000 iterations, 3 of 5 trials, 20 of 27 rounds"}
    invented.cache_clear()


NAN = float("nan")
HOLD, FAIL = judge.Result(1, 0.5, 2, 5, "holds", p_holds=0.001), judge.Result(-1, -2, -0.5, 5, "fails", p_fails=0.001)
OPEN = judge.Result(1, -1, 2, 5, "undecided", p_holds=0.2, p_fails=0.8)


@pytest.mark.parametrize(
    ("parts", "word"),
    [([HOLD, HOLD], "holds"), ([HOLD, OPEN], "undecided"), ([HOLD, FAIL], "fails"), ([OPEN, FAIL], "fails"),
     ([HOLD, replace(FAIL, p_fails=0.02)], "undecided"), ([judge.counted(1, False), HOLD], "fails")],
)  # fmt: skip
def test_every_part_of_a_sentence_must_hold(parts: list[judge.Result], word: str) -> None:
    """One that fails does so with the error of having looked at several."""
    assert judge.every(parts).word == word


def test_a_claim_about_several_networks_is_not_reproduced_by_some() -> None:
    conv = next(c for c in claims.load() if c.id == "iclr-conv-faster-and-higher")
    lacking = {"Conv-6": "no network is published yet"}
    seen = {i: HOLD for i, p in enumerate(conv.parts) if p.net != "Conv-6"}
    some = claims.Tried("", conv.parts, seen, lacking, "")
    assert claims.decide(conv, [some]) == (
        claims.UNDECIDED, "judged on Conv-2, Conv-4 alone (Conv-6: no network is published yet)"
    )  # fmt: skip
    against = claims.Tried("", conv.parts, {**seen, 0: FAIL}, lacking, "")
    assert claims.decide(conv, [against])[0] == claims.CONTRADICTED, "one network that shows otherwise is enough"


def test_a_claim_that_turns_depends_on_the_reading() -> None:
    claim = next(c for c in claims.load() if c.id == "v1-os-25-38faster")
    one, other = (claims.Tried(name, claim.parts, {0: r}, {}, "") for name, r in (("a", HOLD), ("b", OPEN)))
    assert claims.decide(claim, [one, other]) == (claims.DEPENDS, "a: reproduced; b: undecided")
    assert claims.decide(claim, [one, one])[0] == claims.REPRODUCED


def test_claims_that_state_one_fact_have_one_verdict() -> None:
    known = {c.id: c for c in claims.load()}
    links = {c.id: c.same_as for c in claims.load() if c.same_as}
    assert len(links) >= 15 and all(known[i].tests == known[o].tests and not known[o].same_as for i, o in links.items())
    asked: dict[str, list[str]] = {}
    for c in claims.load():
        if c.tests and not c.same_as:
            asked.setdefault(json.dumps([[vars_of(p) for p in parts] for _, parts in c.wordings]), []).append(c.id)
    assert not [ids for ids in asked.values() if len(ids) > 1], "the same tests under two names"


def vars_of(part: Any) -> list[Any]:
    return [part.test, part.arguments, part.figure, part.where]


def test_an_answer_that_chance_would_give_is_taken_back() -> None:
    p = [0.001, 0.04, *np.linspace(0.3, 1, 18)]
    table = pd.DataFrame({"p": p, "verdict": claims.REPRODUCED, "reason": "", "notebook": "n", "paper": "v1"})
    found = claims.corrected(table)
    assert found["verdict"].tolist()[:2] == [claims.REPRODUCED, claims.UNDECIDED]
    assert "among so many claims" in found["reason"][1] and found["holm"][0] == pytest.approx(0.02)


def test_a_count_is_exact_without_trials() -> None:
    """What needs no trials has no interval either, and is decided all the same."""
    verdicts = claims.ledger().set_index("id")
    assert verdicts.loc["iclr-f2-conv6-params", "verdict"] == claims.CONTRADICTED


def test_a_negative_lead_is_told_in_the_opposite_word() -> None:
    late = statements.Finding(-8.05, -15.6, 4.77, 5, "% earlier")
    assert statements.said(late) == "8.05% later (95% interval -4.77 to 15.6, n = 5)"
    assert statements.said(replace(late, unit="points")) == "-8.05 points (95% interval -15.6 to 4.77, n = 5)"
    assert statements.said(late, short=True) == "8.05% later (-4.77 to 15.6)"


def test_what_two_tests_found_alike_is_told_once() -> None:
    one = statements.Finding(6.91, 2.67, 10.8, 3, "×")
    other = statements.Finding(2.0, np.nan, np.nan, 3, "rounds")

    def measured(but: statements.Finding | None, **how: bool) -> str:
        return statements.measured(pd.Series({**vars(one), "but": but}), **how)

    told = "6.91× (95% interval 2.67 to 10.8, n = 3)"
    assert measured(None) == measured(one) == told and measured(other) == f"{told}; but 2 rounds"
    assert measured(other, short=True) == "6.91× (2.67 to 10.8); but 2 rounds"


def test_a_claim_tells_what_the_test_that_decides_found() -> None:
    """Where the first test holds and another does not, the first's number alone would contradict the verdict."""
    cells = invented("paper").copy()
    faster_but_worse = next(c for c in claims.load() if c.id == "iclr-f7-noise-3-beats-reinit")
    parts = [{"ahead": {**p.arguments, "of": {"arm": "ticket"}}} for p in faster_but_worse.parts]
    claim = replace(faster_but_worse, figure="iclr-fig04", tests=parts)
    (row,) = claims.judge(Invented(cells), [claim]).itertuples()
    assert row.verdict == claims.REPRODUCED and row.but is None and "but" not in statements.measured(row)
    cells.loc[cells["arm"] == "ticket", "stop_test"] -= 0.1
    (row,) = claims.judge(Invented(cells), [claim]).itertuples()
    assert row.verdict == claims.CONTRADICTED and row.unit == "% earlier" and row.effect > 0
    assert re.fullmatch(r".*% earlier \(.*n = 5\); but -\d+(\.\d+)? points \(.*n = 5\)", statements.measured(row))


def test_the_ledger_is_complete() -> None:
    table = claims.ledger()
    assert len(table) == 401 and set(table["verdict"]) <= set(claims.VERDICTS)
    said = table["verdict"].isin([claims.UNMEASURED, claims.CANNOT])
    assert (table.loc[said, "reason"] != "").all()
    assert set(table["total"]) == set(claims.TOTALS)
    assert "claims are judged" in claims.multiplicity(table)


def test_committed_verdicts_are_those_of_the_published_results() -> None:
    now = dict(zip(claims.ledger()["id"], claims.ledger()["verdict"], strict=True))
    before = claims.accepted()
    changed = {i: (before.get(i), v) for i, v in now.items() if before.get(i) != v}
    assert not changed, f"run `python -m lth_core claims --accept` if these are right: {changed}"


def test_values_for_prose() -> None:
    assert re.fullmatch(r"18\.\d% \(95% interval 1\d\.\d to 2\d\.\d, n = 1,000\)", claims.value("v1-xor-2unit-zl"))
    assert claims.value("blog4-no-practical-insight") == "not measured yet"
    with pytest.raises(UsageError, match="does not exist"):
        claims.value("iclr-nonsense")


# --- Command line and page --------------------------------------------------------------------------------------------


@pytest.fixture
def quickly(monkeypatch: pytest.MonkeyPatch) -> None:
    """One ledger for all commands: what they do with it is tested here."""
    made = claims.ledger()  # before: it judges where no build has
    monkeypatch.setattr(claims, "judge", lambda *_, **__: made)


@pytest.mark.usefixtures("quickly")
def test_strict_fails_when_a_verdict_fell(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    target = ["claims", "--results", str(tmp_path)]
    (tmp_path / "MANIFEST.json").write_text("{}")
    assert main([*target, "--strict"]) == 0, "nothing was accepted yet"
    table = pd.DataFrame({"id": ["v1-xor-product-best"], "verdict": [claims.REPRODUCED]})
    claims.accept(table, tmp_path / "verdicts.json")
    assert main([*target, "--strict"]) == 1
    assert "v1-xor-product-best was 'reproduced' and is now 'undecided'" in capsys.readouterr().err
    assert main([*target]) == 0
    assert main([*target, "--accept"]) == 0
    assert main([*target, "--strict"]) == 0
    assert len(json.loads((tmp_path / "verdicts.json").read_text())) == 401


def test_order_of_verdicts() -> None:
    def table(verdict: str) -> pd.DataFrame:
        return pd.DataFrame({"id": ["x"], "verdict": [verdict]})

    ranked = [claims.REPRODUCED, claims.DEPENDS, claims.UNDECIDED, claims.CONTRADICTED, claims.UNMEASURED]
    for i, before in enumerate(ranked):
        for j, now in enumerate(ranked):
            assert bool(claims.worse(table(now), {"x": before})) == (j > i), (before, now)


@pytest.mark.usefixtures("quickly")
def test_json_and_filters(capsys: pytest.CaptureFixture) -> None:
    assert main(["claims", "--section", "v1_2_xor", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {r["notebook"] for r in rows} == {"v1_2_xor"} and len(rows) == len(statements.for_section("v1_2_xor"))
    assert main(["claims", "--section", "v3"]) == 2
    assert "'v3' does not exist" in capsys.readouterr().err
    assert main(["claims", "--verdict", "maybe"]) == 2


def test_the_page_has_each_claim_once_and_is_accessible() -> None:
    page = BeautifulSoup(ledger.table(claims.ledger()).text, "html.parser")
    rows = [str(r["id"]) for r in page.select("tbody tr")]
    assert sorted(rows) == sorted(f"claim-{c.id}" for c in claims.load())
    assert not [k for k, n in Counter(str(x["id"]) for x in page.select("[id]")).items() if n > 1]
    assert all(th.get("scope") in ("col", "row") for th in page.select("th"))
    assert page.select_one("caption") and page.select_one("[role=search][aria-label]")
    labelled = {label["for"] for label in page.select("label[for]")}
    assert {str(x["id"]) for x in page.select("select, input")} == labelled
    assert page.select_one("output[aria-live=polite]")
    assert len(page.select("tbody details summary")) == 401
    assert "http" not in "".join(str(s) for s in page.select("script, style, link"))
    for row in page.select("tbody tr"):
        assert row["data-verdict"] in {ledger.slug(v) for v in claims.VERDICTS}


def test_the_landing_page_gets_one_piece_of_html() -> None:
    text = ledger.summary()
    assert "\n\n" not in text and text.count("<svg") == 1 and "<table" in text
    figure = BeautifulSoup(text, "html.parser").select_one("svg")
    assert figure and figure["aria-label"] and "claims with a number" in str(figure["aria-label"])
    assert "[the claim ledger](claims)" in ledger.markdown()
