"""Intervals and answers at the edges: no spread, few values, parts that are counted, neighbours that were cut off."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
import pytest

from lth_core.judge import comparisons, estimate
from lth_core.judge.result import bound, counted, every, ordering
from lth_core.levels import Lacking
from lth_core.networks import Curve

NAN = float("nan")


def curve(values: np.ndarray) -> Curve:
    """Trials of a curve over rounds."""
    return Curve(np.array(values, float), np.arange(len(values)), np.arange(len(values[0]), dtype=float))


def test_nothing_in_every_trial_is_no_effect() -> None:
    """Exactly no effect in all trials is no sign of an effect; a bound that is met exactly is kept."""
    nothing = estimate.of_values(np.zeros(5))
    found = ordering(nothing)
    assert (found.word, found.p_holds, found.p_fails) == ("undecided", 1, 1)
    kept = bound(nothing, 0, "atleast")
    assert (kept.word, kept.p_holds, kept.p_fails) == ("holds", 0, 0)
    assert ordering(estimate.of_values(np.full(5, 0.1))).p_holds == 0


def test_a_part_that_is_counted_out_needs_no_error() -> None:
    good = ordering(estimate.of_values(np.array([1.0, 1.1, 0.9, 1.0, 1.2])))
    whole = every([good, good, counted(NAN, False, 5)])
    assert whole.word == "fails" and np.isnan(whole.p_fails), "or it would be taken back as chance"
    assert every([good, good]).p_fails > 0.9


def last(values: np.ndarray) -> float:
    """A statistic of few values: the last round that is above zero."""
    return float(np.flatnonzero(values > 0)[-1])


def test_where_no_single_trial_matters_resamples_are_asked() -> None:
    """Round 3 whichever trial is left out is no proof of it: with one of them twice it is round 2."""
    odd = [[1, 1, 1, -2.9, -1]] + [[1, 1, 1, 1, -1]] * 4
    found = estimate.of_few_values([curve(odd)], last)
    assert (found.effect, found.low, found.high) == (3, 2, 3) and np.isnan(found.error)
    alike = estimate.of_few_values([curve([[1, 1, 1, 1, -1]] * 5)], last)
    assert (alike.low, alike.high) == (3, 3)
    assert np.isnan(estimate.of_few_values([curve([[1, 1, 1, 1, -1]] * 2)], last).low)


def test_on_each_side_a_crossings_interval_has_the_further_end() -> None:
    """Resamples reach further on one side, the jackknife on the other; p says nothing else than the interval."""
    rng = np.random.default_rng(0)
    further = set()
    for trials in [5] * 100 + [3, 10, 20]:
        c = curve(np.linspace(1.5, -1, 8) + rng.normal(0, 0.8, (trials, 8)))
        left_out, sought = estimate.over_trials([c], last), estimate.placed([c], last)
        found = estimate.crossing([c], last)
        if np.isnan(found.error):
            assert left_out.error < 1e-9 and (found.low, found.high) == (sought.low, sought.high)
            continue
        assert (found.low, found.high) == (min(left_out.low, sought.low), max(left_out.high, sought.high))
        further |= {("low", sought.low < left_out.low - 0.1), ("high", sought.high > left_out.high + 0.1)}
        for number in np.linspace(found.low - 1, found.high + 1, 41):
            sure = found.beyond(number, 1) < 0.025 or found.beyond(number, -1) < 0.025
            assert sure == (number < found.low or number > found.high)
    assert further == {("low", True), ("low", False), ("high", True), ("high", False)}


def test_a_crossing_that_resamples_do_not_have_has_no_interval() -> None:
    # Without any one trial there is a value; with the last one twice, as in many resamples, there is none.
    never = np.array([[1, -1]] * 4 + [[1, 5]], float)
    found = estimate.crossing([curve(never)], lambda v: NAN if v[1] > 0.9 else float(v[1]))
    assert np.isfinite(estimate.over_trials([curve(never)], lambda v: NAN if v[1] > 0.9 else float(v[1])).low)
    assert np.isnan(found.low) and np.isnan(found.error)


@pytest.mark.parametrize("trials", [4, 6, 8, 12, 20])
def test_a_place_that_most_resamples_do_not_have_has_no_interval(trials: int) -> None:
    values = np.full((trials, 2), -1.0)
    values[0] = 5.0  # found in the mean of all, and in resamples that draw the first trial often enough

    def place(mean: np.ndarray) -> float:
        return 1.0 if mean[0] > -1 + 5.5 / trials else NAN

    assert np.isnan(estimate.placed([curve(values)], place).low)


def test_what_would_be_read_off_a_time_that_was_cut_off_is_left_out() -> None:
    """One-shot levels lie between those of iterative pruning: a level next to one that was cut off is not compared."""
    paths = {"a": {0: 900, 2: 500, 4: 500, 6: 500}, "b": {0: 900, 1: 500, 3: 1_000, 5: 500, 7: 500}}
    rows = [
        {"trial": trial, "round": r, "depth": float(r), "arm": "ticket", "search": path, "stop_iteration": time,
         "cut_off": int(time == 1_000)}
        for trial, path in product(range(3), paths) for r, time in paths[path].items()
    ]  # fmt: skip
    table = pd.DataFrame(rows)
    both, depths = comparisons.leads(table, "stop_iteration", {"search": "a"}, {"search": "b"}, [1, 7])
    assert depths.tolist() == [6] and both[1].values.tolist() == [[500]] * 3
    with pytest.raises(Lacking, match="cut off"):
        comparisons.leads(table, "stop_iteration", {"search": "a"}, {"search": "b"}, [2, 4])
