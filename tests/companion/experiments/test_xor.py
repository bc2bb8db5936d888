"""XOR (v1 section 2): the method's invariants, agreement with independent implementations, Figures 1 and 2."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from lth_companion.experiments import xor
from lth_core.errors import UsageError

NOTEBOOK = ROOT / "notebooks" / "v1_2_xor.ipynb"


@pytest.fixture(scope="module")
def figure1() -> pd.DataFrame:
    return xor.figure1()


@pytest.fixture(scope="module")
def figure2() -> pd.DataFrame:
    return xor.figure2()


def test_initial_weights_are_those_of_the_paper_and_belong_to_the_network() -> None:
    weights = xor.initial(500, 10)
    assert np.abs(weights).max() <= 0.2 and (weights[2::4] == 0).all() and (weights[-1] == 0).all()
    drawn = np.delete(weights[:-1], np.s_[2::4], 0)
    assert drawn.std() == pytest.approx(0.0880, abs=0.002)  # a normal of sd 0.1 cut at 2 sd has sd 0.08796
    assert np.array_equal(xor.initial(1000, 10)[:, :500], weights)  # whatever the crowd
    assert not np.array_equal(xor.initial(500, 10, seed=1), weights)
    assert not np.array_equal(xor.initial(500, 10, purpose="reinit"), weights)


def test_a_network_alone_equals_itself_in_a_crowd_on_any_number_of_threads() -> None:
    crowd = xor.initial(200, 4)
    trained = xor.train(crowd, 1000)
    for i in (0, 63, 64, 199):
        assert np.array_equal(xor.train(crowd[:, [i]], 1000)[:, 0], trained[:, i])
    assert np.array_equal(xor.train(crowd, 1000, threads=1), trained)
    assert np.array_equal(crowd, xor.initial(200, 4))  # training leaves its input alone


def test_a_removed_unit_is_a_unit_of_exact_zeros_that_never_moves() -> None:
    weights = xor.initial(100, 10)
    units = xor.survivors(xor.score(weights, "product"), 4)
    zeroed = weights.copy()
    unit = zeroed[:-1].reshape(10, 4, 100)
    dead = np.ones((10, 100), bool)
    np.put_along_axis(dead, units, False, axis=0)
    unit[np.broadcast_to(dead[:, None], unit.shape)] = 0
    trained = xor.train(zeroed, 2000)
    assert (trained[:-1].reshape(10, 4, 100)[np.broadcast_to(dead[:, None], unit.shape)] == 0).all()
    assert np.array_equal(xor.subnet(trained, units), xor.train(xor.subnet(weights, units), 2000))


def test_a_rewound_ticket_is_the_initial_network_at_its_survivors_bit_for_bit() -> None:
    start = xor.initial(50, 10)
    ticket, after, kept = start, xor.train(start, 500), np.tile(np.arange(10)[:, None], 50)
    for keep in (8, 6, 4, 2):
        units = xor.survivors(xor.score(after, "product"), keep)
        kept = np.take_along_axis(kept, units, axis=0)
        ticket = xor.subnet(ticket, units)
        after = xor.train(ticket, 500)
    assert np.array_equal(ticket, xor.subnet(start, kept))


def test_scores_follow_section_2_1() -> None:
    net = np.array([[1, -3, 9, 0.5, -2, 2, 9, -2, 7]], np.float32).T  # biases (9) do not count
    assert xor.score(net, "input")[:, 0].tolist() == [2, 2]
    assert xor.score(net, "output")[:, 0].tolist() == [0.5, 2]
    assert xor.score(net, "product")[:, 0].tolist() == [1, 4]
    assert xor.survivors(xor.score(net, "input"), 1).tolist() == [[0]]  # equal scores fall in index order
    with pytest.raises(UsageError, match="criterion = 'magnitude' does not exist; allowed: input, output"):
        xor.score(net, "magnitude")


def test_agrees_with_plain_torch_over_the_first_200_iterations() -> None:
    """Autograd, float64, one network at a time. Float32 rounding alone leaves differences below 1e-5."""
    torch = pytest.importorskip("torch")
    start = xor.initial(8, 6)
    ours = xor.train(start, 200)
    points, classes = torch.tensor(xor.POINTS, dtype=torch.float64), torch.tensor(xor.CLASSES, dtype=torch.float64)
    for i in range(8):
        unit = torch.tensor(start[:-1, i].reshape(6, 4), dtype=torch.float64)
        first, bias, last = (unit[:, part].clone().requires_grad_() for part in (slice(0, 2), 2, 3))
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        for _ in range(200):
            logit = torch.relu(points @ first.T + bias) @ last + shift
            loss = torch.nn.functional.binary_cross_entropy_with_logits(logit, classes)
            for parameter, gradient in zip(
                (first, bias, last, shift), torch.autograd.grad(loss, (first, bias, last, shift)), strict=True
            ):
                parameter.data -= gradient  # learning rate 1; torch.optim would take seconds to import
        theirs = torch.cat([first, bias[:, None], last[:, None]], 1).detach().numpy()
        assert np.abs(ours[:-1, i].reshape(6, 4) - theirs).max() < 1e-5
        assert abs(ours[-1, i] - shift.item()) < 1e-5


def test_float32_and_float64_give_the_same_rates() -> None:
    """All 10,000 iterations against plain NumPy in float64: networks may change places, rates must not."""
    start = xor.initial(300, 2)
    w = start.astype(np.float64)
    for _ in range(10_000):
        x, y, b, v = w[:-1].reshape(2, 4, -1).swapaxes(0, 1)
        inside = np.maximum(np.stack([b, b + y, b + x, b + x + y]), 0)
        logit = (v * inside).sum(1) + w[-1]
        error = (1 / (1 + np.exp(-logit)) - xor.CLASSES[:, None]) / 4
        back = np.where(inside > 0, error[:, None] * v, 0)
        unit = np.stack([back[2] + back[3], back[1] + back[3], back.sum(0), (error[:, None] * inside).sum(0)], 1)
        w = w - np.concatenate([unit.reshape(8, -1), error.sum(0)[None]])
    ours, theirs = (xor.judge(xor.outcome(a)) for a in (xor.train(start), w))
    assert (ours.cluster == theirs.cluster).mean() > 0.98
    for success in ("right", "zero"):
        assert abs(ours[success].mean() - theirs[success].mean()) <= 0.01


def test_the_papers_own_solution_is_right_for_every_n() -> None:
    for n in (1, 2, 10, 100):
        table = xor.judge(xor.outcome(xor.solution(n)))
        assert table.right.all() and table.margin[0] == n / 2
    assert table.loss[0] < 1e-20


def test_ties_and_zero_loss_follow_their_definitions() -> None:
    table = pd.DataFrame({"loss": [0.0, 0.049, 0.051, 0.3466], "margin": [1.0, 0.0, -4e-5, -6e-5]})
    judged = xor.judge(table)
    assert judged.right.tolist() == [True, True, True, False]
    assert judged.zero.tolist() == [True, True, False, False]
    assert xor.judge(table, tie=0.0).right.tolist() == [True, False, False, False]
    parents = table.assign(parent_loss=[0.5, 0, 0, 0], parent_margin=[-1.0, 1, 1, 1])
    assert xor.judge(parents).zero.tolist() == [False, True, False, False]
    assert xor.judge(parents).right.tolist() == [False, True, True, False]


def test_intervals_against_published_values() -> None:
    assert xor.wilson(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert xor.wilson(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    # Newcombe (1998), Statistics in Medicine 17, example (a), method 10: 56/70 against 48/80
    assert xor.difference(56, 70, 48, 80) == pytest.approx((0.2, 0.0524, 0.3339), abs=1e-4)


def test_training_ends_in_four_places(figure1: pd.DataFrame) -> None:
    assert np.round(xor.CLUSTERS, 4).tolist() == [0, 0.3466, 0.4774, 0.6931]
    assert np.abs(figure1.loss - np.take(xor.CLUSTERS, figure1.cluster)).max() < 0.02
    assert set(figure1.cluster) == {0, 1, 2, 3}
    assert (figure1.zero == (figure1.cluster == 0)).all()
    # With ties allowed, networks that answer 1/2 count as right (groups B and D); without, none but group A.
    assert set(figure1.cluster[figure1.right]) == {0, 1, 3}
    assert xor.judge(figure1, tie=0.0).right.equals(figure1.zero)


def test_figure_1_is_within_3_points_of_the_paper(figure1: pd.DataFrame) -> None:
    rates = xor.rates(figure1)
    assert len(rates) == 10 and (rates.n == 1000).all()
    assert (rates.measured - rates.paper).abs().max() < 3
    assert ((rates.low < rates.measured) & (rates.measured < rates.high)).all()


def test_figure_2_has_every_printed_row_and_the_papers_denominator(figure2: pd.DataFrame) -> None:
    rates = xor.rates(figure2)
    assert rates.paper.notna().sum() == 24 and (rates.n == 1000).all()
    assert not (figure2.zero & ~figure2.parent_zero).any() and not (figure2.right & ~figure2.parent_right).any()
    four = rates[(rates.hidden == 4) & (rates.success == "right") & rates.paper.notna()]
    assert (four.measured - four.paper).abs().max() < 3
    given = xor.rates(figure2, given_parent=True).set_index(["strategy", "hidden", "success"])
    counted = rates.set_index(["strategy", "hidden", "success"])
    at = ("iterative product", 2, "zero")
    assert (
        given.successes[at] == counted.successes[at]
        and given.n[at]
        == figure2[figure2.trial < 1000].query("strategy == 'iterative product' and hidden == 2").parent_zero.sum()
    )


def test_blind_pruning_and_fresh_weights_are_far_worse_than_tickets(figure2: pd.DataFrame) -> None:
    """95% intervals paired by trial, in points: the controls lose more than 60 (zero loss) and 40 (boundary)."""
    for control in ("iterative random", "reinit"):
        assert xor.gain(figure2, "zero", 2, "iterative product", control)[1] > 60
        assert xor.gain(figure2, "right", 2, "iterative product", control)[1] > 40


def test_values_without_meaning_are_refused() -> None:
    for bad in ({"trials": 1}, {"trials": "many"}, {"lr": 0}, {"lr": float("nan")}, {"iterations": 0}):
        with pytest.raises(UsageError, match=f"{next(iter(bad))} = .* is not allowed: give a"):
            xor.check(**({"trials": 10, "lr": 1.0, "iterations": 10} | bad))


def test_the_notebook_source_is_clean_and_stops_at_a_wrong_value() -> None:
    cells = json.loads(NOTEBOOK.read_text("utf-8"))["cells"]
    code = [c for c in cells if c["cell_type"] == "code"]
    assert len({c["id"] for c in cells}) == len(cells)
    assert all(not c["outputs"] and c["execution_count"] is None for c in code)
    unseen = {"hide-input", "remove-cell", "remove-input"}
    assert all(unseen & {*c["metadata"]["tags"]} for c in code)
    assert "parameters" in code[0]["metadata"]["tags"]
    assert all(": " in line and "  # " in line for line in code[0]["source"])
    space: dict[str, object] = {}
    exec("".join(code[0]["source"]), space)
    for name, value in {"profile": "fast", "device": "tpu", "seed": -1, "lr": -1.0, "trials": 1}.items():
        with pytest.raises(UsageError, match=f"{name} = "):
            exec("\n".join("".join(c["source"]) for c in code[1:3]), space | {name: value})
