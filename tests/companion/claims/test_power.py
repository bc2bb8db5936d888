"""Trials beyond the paper's, verdicts on some of them, and what fewer would have said."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lth_companion.claims import power, power_file, verdicts
from lth_companion.claims.claim_networks import Bench
from lth_companion.claims.statements import load
from lth_companion.claims.tests import named
from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_core import levels, results
from lth_core.draws import generator
from lth_core.results import manifest
from lth_core.results.manifest import Damaged
from lth_core.store.cell import describe

KNOWN = {c.id: c for c in load()}
OWN = {"trials": 0, "seed": 0, "dataset": "own"}
FIGURES = power.pools()["beyond-trials"]
ALL = catalogue.scale_of(catalogue.FIGURES["beyond-trials"], "published").trials  # the paper has five of them
GAIN = (
    "iclr-lenet-reinit-acc-half-point"  # tickets half a point above reinitialised copies, a number within a tolerance
)
COUNT = "iclr-lenet-reinit-15-runs"
NULL = replace(  # an order that is not there: one seed's early stop against another's
    KNOWN["iclr-lenet-gap-smaller"], id="null", notebook="n", readings={}, same_as="",
    tests=[{"ahead": {"column": "stop_test", "of": {"arm": "ticket", "at": 7}, "to": {"at": 0}}}],
)  # fmt: skip
CLEAR = replace(
    NULL, id="clear", tests=[{"ahead": {"column": "end_test", "of": {"arm": "ticket", "at": 7}, "to": {"at": 0}}}]
)
Gain = Callable[[np.random.Generator, pd.DataFrame], np.ndarray]


class Invented(results.Published):
    """Published networks whose numbers are made up."""

    def __init__(self, cells: pd.DataFrame) -> None:
        super().__init__("nowhere")
        self.__dict__["cells"] = cells  # a cached property


@lru_cache
def networks(trials: int = ALL) -> pd.DataFrame:
    """The rows of Figures 3 and 4 in the paper's trials, and of the further ones: pruning does nothing to accuracy at
    early stopping, on average over all trials not even by chance, and adds four standard deviations at the end."""
    rows = dict.fromkeys([*catalogue.rows("iclr-fig04"), *catalogue.rows("beyond-trials")])
    cells = pd.DataFrame([describe(s) for s in rows if s.trial < trials])
    rng = generator("a test", "power")
    cells = cells.assign(
        section="s", spec="", diverged=False, convergence_iteration=np.nan, convergence_test=np.nan, end_train=1.0,
        stop_train=1.0, end_val=0.98, stop_val=0.98, stop_iteration=6000.0,
    )  # fmt: skip
    cells["stop_test"] = 0.98 + 0.001 * rng.standard_normal(len(cells))
    cells["end_test"] = 0.98 + 0.004 * (cells["round"] > 0) + 0.001 * rng.standard_normal(len(cells))
    at = {r: cells.index[(cells["round"] == r) & ((cells["arm"] == "ticket") | (r == 0))] for r in (0, 7)}
    lead = cells.loc[at[7], "stop_test"].to_numpy() - cells.loc[at[0], "stop_test"].to_numpy()
    cells.loc[at[7], "stop_test"] -= lead.mean()
    return cells.set_index("key", drop=False)


def bench(cells: pd.DataFrame) -> Bench:
    return Bench(Invented(cells), ("paper", "published"), OWN)


@pytest.fixture(scope="module")
def drawn() -> power.Power:
    """Twenty invented trials with a null effect and one of four standard deviations, drawn in threes and fives."""
    return power.simulate(Invented(networks()), sizes=(3, 5), least=60, claims=[NULL, CLEAR])


# --- Trials beyond the paper's ----------------------------------------------------------------------------------------


def test_further_trials_are_the_same_networks_in_other_trials() -> None:
    own = set(catalogue.rows("beyond-trials", "published"))
    for figure in FIGURES:
        more, papers = catalogue.further(figure), set(catalogue.rows(figure))
        assert sorted(more) == list(range(5, ALL))
        for rows in more.values():
            assert {s.with_counts(trial=0) for s in rows} <= papers, "the same settings, with one redraw"
            assert {*rows} <= own, "trained under the figure that is named"
    assert catalogue.further("iclr-fig01") == {} and not catalogue.smaller("iclr-fig04")
    assert {s.trial for s in catalogue.rows("iclr-fig04", "published")} == set(range(5)), "panels draw the paper's"


def test_the_ledger_compares_all_trials_and_says_so() -> None:
    (row,) = verdicts.judge(Invented(networks()), [KNOWN[GAIN]]).itertuples()
    assert (
        row.n == ALL and f"{ALL - 5} trials more than the paper's 5, with 1 of 3 redraws of each control" in row.notes
    )
    assert row.scale == "", "more than the paper has is not less"
    (row,) = verdicts.judge(Invented(networks(5)), [KNOWN[GAIN]]).itertuples()
    assert row.n == 5 and "trials more" not in row.notes


def test_a_trial_counts_once_all_its_networks_are_there() -> None:
    cells = networks()
    gone = cells[(cells["trial"] == 9) & (cells["round"] == 27) & (cells["arm"] == "reinit")].index
    assert len(gone) == 1
    short = bench(cells.drop(gone))
    for figure in FIGURES:
        assert {s.trial for s in short.further[figure]} == set(range(5, ALL)) - {9}, figure
    assert verdicts.judge_one(short, KNOWN[GAIN]).n == ALL - 1
    assert Bench(Invented(cells), ("paper",), OWN).further == {}, "a store at the paper's scale is judged as such"
    assert Bench(Invented(cells), ("paper", "published"), {**OWN, "trials": 3}).further == {}


def test_what_counts_networks_has_the_papers_trials_alone() -> None:
    row = verdicts.judge_one(bench(networks()), KNOWN[COUNT])
    assert (row.verdict, row.effect) == (verdicts.REPRODUCED, 15)


def test_further_trials_of_a_figure_that_is_not_whole_do_not_stand_in_for_it() -> None:
    cells = networks()
    gone = cells[(cells["trial"] == 3) & (cells["round"] == 7) & (cells["arm"] == "ticket")].index
    row = verdicts.judge_one(bench(cells.drop(gone)), KNOWN[GAIN])
    assert row.verdict == verdicts.UNMEASURED and "of the networks are published" in row.reason


# --- Some trials of a bench -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("trials", [(0, 1, 2), (2, 7, 11, ALL - 1), tuple(range(ALL))])
def test_some_trials_of_a_bench_are_judged_as_if_there_were_no_others(trials: tuple[int, ...]) -> None:
    """Against a table from which the others were taken by hand."""
    whole = bench(networks())
    some = whole.only(dict.fromkeys(FIGURES, trials))
    for claim in (KNOWN[GAIN], NULL):
        row = verdicts.judge_one(some, claim)
        part = claim.parts[0]
        table = levels.with_depth(networks()[networks()["trial"].isin(trials)])
        by_hand = named(part.test)(levels.select(table, **part.where), **part.arguments)
        assert (row.n, row.effect, row.low, row.high) == (len(trials), by_hand.effect, by_hand.low, by_hand.high)
    assert verdicts.judge_one(whole, KNOWN[GAIN]).n == ALL, "the whole is as it was"


def test_other_figures_keep_their_trials() -> None:
    some = bench(networks()).only({"iclr-fig03": (0, 1, 2)})
    assert verdicts.judge_one(some, KNOWN[GAIN]).n == ALL, "is about Figure 4"
    assert verdicts.judge_one(some, KNOWN["iclr-lenet-51-vs-original"]).n in (0, 3)


# --- Draws ------------------------------------------------------------------------------------------------------------


def test_draws_are_seeded_take_no_trial_twice_and_share_none_within_a_shuffle() -> None:
    made = power.draws_of(range(20))
    assert {size: d.shape for size, d in made.items()} == {
        3: (34, 6, 3), 5: (50, 4, 5), 10: (100, 2, 10), 15: (200, 1, 15),
    }  # fmt: skip
    for of in made.values():
        for shuffle in of:
            assert len(np.unique(shuffle)) == shuffle.size
        assert np.bincount(of.ravel(), minlength=20).min() > 0, "every trial is drawn"
    assert all((power.draws_of(range(20))[s] == d).all() for s, d in made.items())
    assert list(power.draws_of(range(5))) == [3] and power.draws_of(range(3)) == {}


def test_all_trials_give_the_ledgers_verdicts(drawn: power.Power) -> None:
    cells = Invented(networks())
    assert (drawn.ledger["trials"] == ALL).all() and (drawn.ledger["papers"] == 5).all()
    assert (drawn.ledger["pool"] == "beyond-trials").all()
    b, asked = Bench(cells, ("paper", "published"), OWN), [NULL, CLEAR]
    family = pd.DataFrame([vars(verdicts.judge_one(b, c)) for c in asked]).set_index("id", drop=False)
    every = power.verdicts_on(b.only(dict.fromkeys(FIGURES, range(ALL))), asked, family)
    assert every.to_dict() == drawn.ledger.set_index("claim")["verdict"].to_dict()
    first = power.verdicts_on(b.only(dict.fromkeys(FIGURES, range(5))), asked, family)
    assert first.to_dict() == drawn.ledger.set_index("claim")["first"].to_dict()


def test_what_is_clear_has_power_and_what_is_not_there_is_rarely_found(drawn: power.Power) -> None:
    found = power.shares(drawn).set_index(["claim", "size"])
    assert found.loc[("clear", 5), verdicts.REPRODUCED] > 0.95
    assert found.loc[("clear", 3), verdicts.REPRODUCED] < found.loc[("clear", 5), verdicts.REPRODUCED] + 0.05
    null = found.loc[("null", 5)]
    assert null[verdicts.REPRODUCED] + null[verdicts.CONTRADICTED] < 0.2 and null[verdicts.UNDECIDED] > 0.8
    assert (found[list(verdicts.VERDICTS)].sum(axis=1).round(9) == 1).all() and (found["draws"] >= 60).all()


def test_an_answer_among_many_is_taken_back_in_draws_as_in_the_ledger() -> None:
    """Three trials alone give an answer; with so many others in its family that are open, they give none."""
    whole = bench(networks())
    three = whole.only(dict.fromkeys(FIGURES, (0, 1, 2)))
    row, p = vars(verdicts.judge_one(whole, CLEAR)), verdicts.judge_one(three, CLEAR).p
    assert 1e-4 < p < 0.05
    others = [{**row, "id": f"other-{i}", "p": 0.9} for i in range(int(0.06 / p) + 1)]
    found = []
    for rows in ([row], [row, *others]):
        family = pd.DataFrame(rows).set_index("id", drop=False)
        found.append(power.verdicts_on(three, [CLEAR], family)["clear"])
    assert found == [verdicts.REPRODUCED, verdicts.UNDECIDED]


def test_the_standard_error_of_a_share_is_that_of_repeated_experiments() -> None:
    """Twenty trials anew, four hundred times: the spread of the share against what each time says of itself."""
    rng, shares, errors = generator("a test", "error"), [], []
    picks = power.draws_of(range(20), (5,), 100)[5]
    for _ in range(400):
        hits = (rng.standard_normal(20)[picks].mean(axis=2) > 0.2).astype(float)
        shares.append(hits.mean())
        errors.append(power.standard_error(hits))
    assert np.sqrt(np.mean(np.square(errors))) == pytest.approx(np.std(shares), rel=0.15)
    assert np.isnan(power.standard_error(np.ones((50, 1)))), "draws that share trials say nothing of other trials"
    assert power.standard_error(np.ones((50, 4))) == 0


# --- The file ---------------------------------------------------------------------------------------------------------


def test_what_is_published_is_what_is_read(drawn: power.Power, tmp_path: Path) -> None:
    assert power_file.read(tmp_path) is None
    power_file.keep(replace(drawn, seconds=61.4), tmp_path)
    again = power_file.read(tmp_path)
    assert again is not None and again.seconds == 61
    pd.testing.assert_frame_equal(again.ledger, drawn.ledger, check_dtype=False)
    pd.testing.assert_frame_equal(power.shares(again), power.shares(drawn))


def test_the_command_writes_what_it_simulates(
    drawn: power.Power, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    told: list[int] = []

    def simulate(source: results.Source, progress: Callable[[int], object]) -> power.Power:
        progress(3)
        told.append(len(source.keys()))
        return drawn

    monkeypatch.setattr(power, "simulate", simulate)
    (tmp_path / "MANIFEST.json").write_text("{}")
    assert main(["power", "--quiet", "--results", str(tmp_path)]) == 0 and told == [0]
    assert (
        "clear                                        5 trials: 100% reproduced, 0% contradicted"
        in capsys.readouterr().out
    )
    again = power_file.read(tmp_path)
    assert again is not None and len(again.draws) == len(drawn.draws)


@pytest.mark.parametrize(
    "change",
    [{"draws": None}, {"ledger": {}}, {"made": {"seconds": "soon"}},
     {"draws": [{"claim": "null", "size": 5, "cut": 4, "verdicts": "rr"}]},
     {"draws": [{"claim": "null", "size": 5, "cut": 1, "verdicts": "?"}]},
     {"draws": [{"claim": "<b>", "size": 5, "cut": 1, "verdicts": "r"}]},
     {"draws": [{"claim": "another", "size": 5, "cut": 1, "verdicts": "r"}]}],
)  # fmt: skip
def test_a_damaged_file_is_named(change: dict, drawn: power.Power, tmp_path: Path) -> None:
    power_file.keep(drawn, tmp_path)
    whole = json.loads((tmp_path / "power.json").read_text())
    manifest.commit(tmp_path, {"power.json": json.dumps({**whole, **change}).encode()})
    with pytest.raises(Damaged, match=r"power\.json .*python -m lth_core power"):
        power_file.read(tmp_path)


def test_the_published_draws_are_those_of_the_published_verdicts() -> None:
    made = power_file.read()
    assert made is not None
    assert not power_file.stale(made, verdicts.ledger()), "run `python -m lth_core power`"
    asked = {c.id for figures in power.pools().values() for c in power.resting_on(figures)}
    assert set(made.draws["claim"]) == asked and len(asked) >= 70
    assert set(made.ledger["pool"]) == {*power.pools(), ""}


@pytest.mark.slow
@pytest.mark.parametrize("pool", power.pools())
def test_published_draws_can_be_made_again(pool: str) -> None:
    """One draw of each size, by the code of today."""
    made, b, figures = power_file.read(), Bench(results.Published(), ("paper", "published"), OWN), power.pools()[pool]
    assert made is not None
    asked = power.resting_on(figures)
    rows = [vars(verdicts.judge_one(b, c)) for c in verdicts.in_families(asked, load())]
    family = pd.DataFrame(rows).set_index("id", drop=False)
    ids = [c.id for c in asked]
    for size, of in power.draws_of(power.trials_of(b, figures)[1]).items():
        again = power.verdicts_on(b.only(dict.fromkeys(figures, of[0, 0].tolist())), asked, family)
        own = made.draws[made.draws["size"] == size].drop_duplicates("claim").set_index("claim")["verdict"]
        assert again[ids].to_dict() == own[ids].to_dict(), size


@pytest.mark.parametrize("column", ["verdict", "effect", "p"])
def test_a_file_beside_which_the_ledger_has_changed_is_stale(column: str) -> None:
    made, table = power_file.read(), verdicts.ledger().copy()
    assert made is not None
    at = table.index[table["id"] == GAIN][0]
    was = table.at[at, column]
    table.at[at, column] = verdicts.CONTRADICTED if column == "verdict" else was * 1.01
    assert power_file.stale(made, table) == [GAIN]
    assert power_file.stale(made, table[table["id"] != GAIN]) == [GAIN], "a claim that is gone"
    other = made.draws[(made.draws["claim"] != GAIN) | (made.draws["size"] != 3)]
    assert power_file.stale(replace(made, draws=other), verdicts.ledger()) == [GAIN], "draws of other sizes"


def test_strict_finds_stale_draws(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    made, table = power_file.read(), verdicts.ledger()
    assert made is not None
    monkeypatch.setattr(verdicts, "judge", lambda *_, **__: table)
    power_file.keep(made, tmp_path)
    strict = ["claims", "--strict", "--results", str(tmp_path)]
    assert main(strict) == 0
    old = made.ledger.assign(effect=np.where(made.ledger["claim"] == GAIN, 0.1234, made.ledger["effect"]))
    power_file.keep(replace(made, ledger=old), tmp_path)
    assert main(strict) == 1
    said = capsys.readouterr().err
    assert f"on 1 claims, the first is {GAIN}: run `python -m lth_core power`" in said
    assert main([*strict, "--accept"]) == 0, "verdicts are accepted first"


def test_claims_that_state_anothers_fact_or_cannot_be_judged_are_not_drawn() -> None:
    asked = power.resting_on(FIGURES)
    assert not [c for c in asked if c.same_as or c.cannot or c.calibrates or c.lacking]
    assert COUNT not in {c.id for c in asked} and GAIN in {c.id for c in asked}
    assert power.resting_on([]) == []
