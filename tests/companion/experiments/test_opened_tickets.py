"""Inside a ticket: every statistic on arrays made by hand, with answers worked out on paper."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from lth_companion.experiments import opened_tickets as ex
from lth_core import models
from lth_core.levels import rank_correlation
from lth_core.spec import Spec

NORMAL = np.random.default_rng(0).standard_normal(100_000).astype(np.float32)

# A network of 4 inputs, 3 hidden units, 3 more, 2 outputs. Unit 1 of the second layer leads nowhere, so the only
# connection of unit 2 of the first, which goes there, leads nowhere either.
MASKS = {
    "fc1.weight": np.array([[1, 1, 0, 0], [1, 0, 0, 0], [1, 0, 1, 0]], bool),
    "fc2.weight": np.array([[1, 1, 0], [1, 0, 1], [1, 0, 0]], bool),
    "out.weight": np.array([[1, 0, 0], [1, 0, 1]], bool),
}
NAMES = list(MASKS)


def test_connections_of_each_unit() -> None:
    first = MASKS["fc1.weight"]
    assert ex.incoming(first).tolist() == [0.5, 0.25, 0.5]
    assert ex.outgoing(first) == pytest.approx([1, 1 / 3, 1 / 3, 0])
    assert ex.pixels(first) == pytest.approx(np.array([[1, 1 / 3], [1 / 3, 0]]))
    assert ex.variation(np.array([1.0, 3.0])) == 0.5
    assert ex.variation(ex.incoming(np.ones((3, 4), bool))) == 0


def test_what_chance_alone_gives_is_not_uneven() -> None:
    random = np.random.default_rng(0).random((400, 1000)) < 0.1
    assert abs(ex.beyond(ex.outgoing(random), 400)) < 0.05 < ex.variation(ex.outgoing(random))
    half = np.repeat([True, False], 500) * np.ones((400, 1), bool)
    assert ex.beyond(ex.outgoing(half), 400) == pytest.approx(1, abs=0.01)
    assert ex.beyond(np.full(1000, 0.1), 400) < 0


def test_connections_without_a_path_to_an_output_are_left_out() -> None:
    left = ex.reached(MASKS, NAMES)
    assert left["out.weight"].tolist() == MASKS["out.weight"].tolist()
    assert left["fc2.weight"].astype(int).tolist() == [[1, 1, 0], [0, 0, 0], [1, 0, 0]]
    assert left["fc1.weight"].astype(int).tolist() == [[1, 1, 0, 0], [1, 0, 0, 0], [0, 0, 0, 0]]
    assert MASKS["fc1.weight"][2].any(), "the masks themselves stay as they are"


def test_sarle_on_known_distributions() -> None:
    assert ex.sarle(NORMAL) == pytest.approx(1 / 3, abs=0.01)
    assert ex.sarle(np.linspace(-1, 1, 10_001)) == pytest.approx(ex.UNIFORM, abs=0.001)
    assert ex.sarle(np.repeat([-1.0, 1.0], 5000)) == pytest.approx(1, abs=0.001)
    assert ex.sarle(NORMAL[np.abs(NORMAL) > 1]) > ex.UNIFORM
    assert np.isnan(ex.sarle(np.ones(10)))


def test_statistics_agree_with_scipy() -> None:
    """Ours are kept because claims and published verdicts rest on their last digits, and the distance is ten times as
    fast; scikit-learn brings scipy, so it can say whether they are right."""
    rng = np.random.default_rng(0)
    values = rng.standard_normal((30, 40)).astype(np.float32)
    mask = np.abs(values) + rng.standard_normal(values.shape) / 2 > 1
    left = values[mask].astype(float)
    n, skew, kurtosis = left.size, stats.skew(left, bias=False), stats.kurtosis(left, bias=False)
    assert ex.sarle(left) == pytest.approx((skew**2 + 1) / (kurtosis + 3 * (n - 1) ** 2 / ((n - 2) * (n - 3))))
    assert ex.distance(values, mask) == pytest.approx(stats.ks_2samp(values[mask], values.ravel()).statistic)
    assert ex.variation(ex.incoming(mask)) == pytest.approx(stats.variation(ex.incoming(mask)))
    x, y = np.round(rng.standard_normal((2, 30)), 1)  # with ties
    assert rank_correlation(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)


def test_dip_and_centre_of_a_histogram() -> None:
    everything, tails = np.ones(NORMAL.shape, bool), np.abs(NORMAL) > 0.5
    assert ex.dip(NORMAL, 1.0) == 1 and ex.dip(NORMAL[tails], 1.0) == 0
    assert ex.centre(NORMAL, everything) == 1 and ex.centre(NORMAL, tails) == 0
    values = np.repeat([0.0, 1.5, -1.5], [4, 8, 8])  # standard deviation 1.34: 1.5 is between 1 and 1.5 of them
    kept = np.concatenate([np.arange(n) < k for n, k in ((4, 1), (8, 4), (8, 4))])
    assert ex.dip(values[kept], 1.0) == 1 / 8
    assert ex.centre(values, kept) == 0.5, "a quarter of the middle stays, half of the flanks"


def test_distance_between_survivors_and_all() -> None:
    values = np.arange(8.0)
    assert ex.distance(values, np.ones(8, bool)) == 0
    assert ex.distance(values, values >= 4) == pytest.approx(0.5)
    assert ex.distance(values, values % 2 == 1) == pytest.approx(1 / 8)


def test_share_of_positive_values() -> None:
    assert ex.positive(np.array([-1, 1, 2, 3])) == 0.75


def test_movement_of_four_weights() -> None:
    before, after = np.array([1.0, -1.0, 0.5, 0.0]), np.array([2.0, 1.0, 0.25, 0.0])
    assert ex.moved(before, after).tolist() == [1, 2, 0.25, 0]
    assert ex.outward(before, after).tolist() == [1, 0, -0.25, 0], "to the other side of 0 is no way outward"


def test_lead_of_the_ticket_in_standard_deviations() -> None:
    values, mask = np.array([1.0, 3.0, 0.0, 2.0]), np.array([True, True, False, False])
    assert ex.lead(values, mask) == pytest.approx(1 / np.sqrt(2))
    assert ex.lead(values, ~mask) == pytest.approx(-1 / np.sqrt(2))


def test_excess_of_large_values_in_the_ticket() -> None:
    values, mask = np.array([4.0, 3.0, 2.0, 1.0]), np.array([True, True, False, False])
    assert ex.excess(values, mask) == 0.5, "all of them, where chance gives half"
    assert ex.excess(values, ~mask) == -0.5
    assert ex.excess(values, np.array([True, False, False, True])) == 0


def test_an_opened_ticket_has_the_weights_that_its_row_draws() -> None:
    from lth_core.models import initial
    from lth_core.spec import Spec

    class Source:
        def masks(self, spec: Spec) -> dict[str, np.ndarray]:
            return {n: (w > 0) | (spec.round == 0) for n, w in initial(spec).items() if n.endswith("weight")}

    ticket, full = ex.opened([Spec(round=3), Spec(prune_fc=0, prune_out=0)], Source())  # type: ignore[arg-type]
    assert ticket.names == NAMES and (ticket.survivors("fc2.weight") > 0).all()
    assert (ticket.initial["out.weight"] == initial(Spec())["out.weight"]).all()
    assert full.survivors("fc1.weight").size == 784 * 300


def test_rows_that_start_alike_share_one_draw_that_nobody_changes() -> None:
    spec = Spec(init="truncated", init_sd=0.1, lr=0.1)
    found = models.drawn(spec)
    assert found is models.drawn(spec.at_round(3, arm="ticket", prune_fc=0.5)), "drawn once"
    assert found is not models.drawn(spec.with_counts(trial=1))
    own = models.initial(spec)
    assert all(np.array_equal(own[n], w) for n, w in found.items()) and own.keys() == found.keys()
    with pytest.raises(ValueError, match="read-only"):
        found["fc1.weight"][0] = 0


def test_a_distance_is_the_same_with_an_order_that_is_known() -> None:
    values = np.random.default_rng(0).standard_normal((20, 30)).astype(np.float32)
    known = np.argsort(values, axis=None)
    assert ex.distance(values, values > 1, known) == ex.distance(values, values > 1)
