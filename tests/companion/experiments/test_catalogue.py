"""The tables of the papers' figures: counts and densities against what is printed."""

from __future__ import annotations

import numpy as np
import pytest
import yaml
from places import SHARED

from lth_companion.experiments import catalogue, scale
from lth_core import analyse, models, prune
from lth_core.errors import UsageError
from lth_core.spec import Spec

DECLARED = SHARED / "paper/experiments.yaml"

# ICLR axis labels, percent of weights remaining: ticks every third round on Figures 3, 4, 9, 12.
LENET_LABELS = {0: 100, 3: 51.3, 6: 26.3, 9: 13.5, 12: 7.0, 15: 3.6, 18: 1.9, 21: 1.0, 24: 0.5, 27: 0.3}
ONE_SHOT_LABELS = {12.5: 87.5, 25: 75.0, 37.5: 62.6, 50: 50.1, 62.5: 37.6, 75: 25.1, 87.5: 12.7}


def test_printed_percentages_of_lenet():
    for r, printed in LENET_LABELS.items():
        spec = Spec(round=r)
        assert round(100 * prune.density(spec), 1) == printed
    for p, printed in ONE_SHOT_LABELS.items():
        assert round(100 * prune.density(Spec(round=1, prune_fc=p / 100, prune_out=p / 200)), 1) == printed


def test_printed_weight_count_of_lenet():
    assert models.weight_count("lenet-300-100", "mnist") == 266_200


def test_main_figure_counts_its_trainings():
    rows = catalogue.rows("iclr-fig04", "paper")
    assert sum(r.arm == "ticket" and r.prune_fc == 0.2 for r in rows) == 27 * 5
    assert sum(r.arm == "reinit" and r.prune_fc == 0.2 and r.round > 1 for r in rows) == 26 * 5 * 3
    assert sum(r.round == 0 for r in rows) == 5
    assert {r.iterations for r in rows} == {50_000}


@pytest.mark.parametrize("figure", catalogue.FIGURES)
@pytest.mark.parametrize("profile", catalogue.PROFILES)
def test_every_figure_has_rows_in_every_profile(figure, profile):
    rows = catalogue.rows(figure, profile)
    assert rows and len(set(rows)) == len(rows)


@pytest.mark.parametrize("figure", catalogue.FIGURES)
def test_smoke_trains_every_network_for_a_moment(figure):
    smoke, quick = (catalogue.rows(figure, profile, dataset="digits") for profile in ("smoke", "quick"))
    assert {s.trial for s in smoke} == {0} and max(s.iterations for s in smoke) <= 400
    assert all(s.iterations % s.eval_every == 0 and s.rewind <= s.iterations for s in smoke)
    assert max(s.iterations for s in smoke) <= max(s.iterations for s in quick) / 2
    assert {(s.arch, s.arm, s.round) for s in smoke} == {(s.arch, s.arm, s.round) for s in quick}


# Drawings, arithmetic and experiments that have no networks of ours to train: shown on a page, or told in a text.
ELSEWHERE = {"blog-exp-glorot-rescale", "blog-exp-magnitude-growth", "iclr-fig02", "v1-fig01", "v1-fig02",
             "v1-unplotted-std-iterative", "v1-xor-analytic"}  # fmt: skip


@pytest.mark.skipif(not DECLARED.exists(), reason="the papers' tables are not beside this checkout")
def test_every_experiment_of_the_papers_is_declared():
    wanted = {e["id"] for e in yaml.safe_load(DECLARED.read_text())}
    assert ELSEWHERE <= wanted and not ELSEWHERE & set(catalogue.FIGURES)
    assert {
        e for e in wanted - ELSEWHERE if not any(f == e or f.startswith(f"{e}-") for f in catalogue.FIGURES)
    } == set()


def test_unpruned_networks_are_shared_between_figures():
    a = {r for r in catalogue.rows("iclr-fig29") if r.round == 0}
    assert a == {r for r in catalogue.rows("iclr-fig26") if r.round == 0 and r.lr == 1.2e-3}


def test_rounds_down_to():
    assert list(catalogue.rounds_down_to(0.2, 0.8**27)) == list(range(1, 28))
    assert list(catalogue.rounds_down_to(0.5, 0.05)) == [1, 2, 3, 4, 5]


def test_unknown_names_are_refused():
    with pytest.raises(UsageError, match="'iclr-fig999' does not exist"):
        catalogue.rows("iclr-fig999")
    with pytest.raises(UsageError, match="allowed"):
        catalogue.rows("iclr-fig03", "enormous")


# --- analysis ---------------------------------------------------------------------------------------------------------


def test_stop_is_the_minimum_of_validation_loss():
    assert analyse.stop_index(np.array([3.0, 1.0, 2.0, 1.0])) == 1
    assert analyse.stop_index(np.array([3.0, np.nan, 2.0])) == 2
    assert analyse.stop_index(np.full(3, np.nan)) == 0


def test_convergence_on_a_known_curve():
    """Accuracy rises by 0.01 an evaluation until 40, then stays: the first moving average that stays put ends at 49,
    less the few evaluations for which it is already within 0.002 of the plateau."""
    test = np.minimum(np.arange(100), 40) * 0.01
    found = analyse.convergence_index(test)
    average = np.convolve(test, np.ones(10) / 10, mode="valid")
    assert found is not None and abs(average[found - 9] - 0.4) < 0.002 and abs(average[found - 10] - 0.4) >= 0.002
    assert analyse.convergence_index(np.arange(100) * 0.01) is None
    assert analyse.convergence_index(np.ones(5)) is None


def test_convergence_readings_differ_where_they_should():
    slow = np.arange(200) * 0.0005  # each average moves by 0.0005, but by 0.005 over ten evaluations
    assert analyse.convergence_index(slow) is None
    assert analyse.convergence_index(slow, successive=True) == 9


def test_bootstrap_covers_and_is_repeatable():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(200):
        low, high = analyse.bootstrap(rng.normal(size=20), draws=500)
        hits += low <= 0 <= high
    assert 170 <= hits <= 199
    x = rng.normal(size=8)
    assert analyse.bootstrap(x) == analyse.bootstrap(x)


def test_paired_difference_removes_what_trials_share():
    import pandas as pd

    rng = np.random.default_rng(1)
    level = rng.normal(scale=10, size=6)
    frame = pd.DataFrame(
        [
            {"trial": t, "arm": a, "x": level[t] + (a == "ticket") + rng.normal(scale=0.01)}
            for t in range(6)
            for a in ("ticket", "reinit")
        ]
    )
    effect = analyse.paired(frame, "x", {"arm": "ticket"}, {"arm": "reinit"})
    assert effect["n"] == 6 and 0.9 < effect["low"] <= effect["effect"] <= effect["high"] < 1.1


def test_chains_of_unlike_networks_are_their_own() -> None:
    """Networks that differ in their trial alone share what is looked at; one that differs in more does not."""
    first = [Spec(trial=0), Spec(trial=1), Spec(trial=2, lr=0.1)]
    rows = scale.chains(first, ["ticket", "reinit"], [0, 1, 2], 2, prune_fc=0.3)
    wanted = [
        one.at_round(r, arm=arm, replicate=i, prune_fc=0.3) for one in first for r in (1, 2)
        for arm, copies in (("ticket", 1), ("reinit", 2)) for i in range(copies)
    ]  # fmt: skip
    assert rows == [*first, *wanted] and scale.chains([], ["ticket"], [1], 1) == []


def test_figures_at_the_papers_scale_are_made_once() -> None:
    alike = [f for f in catalogue.FIGURES if not catalogue.smaller(f)]
    assert alike and len(alike) < len(catalogue.FIGURES)
    for figure in alike[:3]:
        assert catalogue.rows(figure, "published") == catalogue.rows(figure, "paper")
