"""A reader's own model and data: the method's invariants on a small convolutional net, and masks from and to torch."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from lth_companion import figures
from lth_core import analyse, data, own, plot, prune, torchprune
from lth_core.errors import UsageError
from lth_core.own import examples, initial_weights
from lth_core.own import network as plain


def tiny() -> nn.Module:
    """Not LeNet: a convolution, batch normalisation with buffers, dropout."""
    return nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)), nn.Conv2d(1, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(),
        nn.Dropout(0.1), nn.Linear(216, 10),
    )  # fmt: skip


def digits(first: int, last: int) -> examples.Split:
    d = data.load("digits")
    return torch.from_numpy(d.pool_images[first:last] / 255.0).float(), torch.from_numpy(
        d.pool_labels[first:last]
    ).long()


def experiment(**changes: Any) -> own.Experiment:
    plain = own.Experiment(
        model=tiny, train=digits(0, 200), val=digits(200, 260), test=digits(260, 340),
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
        rates={"1.weight": 0.3, "6.weight": 0.5}, iterations=20, eval_every=10, batch_size=16,
    )  # fmt: skip
    return dataclasses.replace(plain, **changes)


@pytest.fixture(scope="module")
def found() -> own.Found:
    return own.run(experiment(), rounds=3, trials=2, arms=own.ARMS)


def test_densities_are_the_closed_form(found: own.Found) -> None:
    for (_, number), masks in found.masks.items():
        for name, rate in experiment().rates.items():
            assert int(masks[name].sum()) == prune.kept(masks[name].numel(), rate, number)
    assert sorted(set(found.cells["round"])) == [0, 1, 2, 3]
    assert len(found.cells) == 2 * (1 + 3 * len(own.ARMS))


def test_masks_nest_and_tickets_go_back_bit_for_bit(found: own.Found) -> None:
    for trial in (0, 1):
        start = initial_weights.drawn(experiment(), trial, "init")
        for number in (1, 2, 3):
            ticket = found.ticket(trial, number)
            for name, mask in ticket.masks.items():
                assert not (mask & ~found.masks[trial, number - 1][name]).any()
                assert torch.equal(ticket.weights[name], torch.where(mask, start[name], 0.0))
            free = [n for n in start if n not in ticket.masks]
            assert free and all(torch.equal(ticket.weights[n], start[n]) for n in free), "buffers and biases too"


def test_the_largest_trained_magnitudes_stay(found: own.Found) -> None:
    e = experiment()
    trained = own.train(e, found.ticket(0, 1), (0, "ticket", 1, 0)).weights
    for name, mask in found.masks[0, 2].items():
        alive, size = found.masks[0, 1][name], trained[name].abs()
        assert size[alive & ~mask].max() <= size[mask].min()
        assert (trained[name][mask] < 0).any(), "large negative weights stay"


def test_what_is_masked_stays_zero_under_momentum_and_decay(found: own.Found) -> None:
    made: list[torch.optim.SGD] = []

    def momentum(parameters: Any) -> torch.optim.SGD:
        made.append(torch.optim.SGD(parameters, lr=0.1, momentum=0.9, weight_decay=1e-3))
        return made[-1]

    ticket = found.ticket(0, 3)
    e = experiment(optimizer=momentum)
    trained = own.train(e, ticket, (0, "ticket", 3, 0)).weights
    (sgd,) = made
    names = [n for n, _ in tiny().named_parameters()]
    buffers = {n: sgd.state[p]["momentum_buffer"] for n, p in zip(names, sgd.param_groups[0]["params"], strict=True)}
    for name, mask in ticket.masks.items():
        assert not buffers[name][~mask].any(), "no momentum for weights that are gone"
        assert buffers[name][mask].any()
        assert not trained[name][~mask].any()
        assert (trained[name][mask] != 0).all()


def test_controls_are_what_they_are_called(found: own.Found) -> None:
    e, masks, initial = experiment(), found.masks[0, 2], found.starts[0]
    ticket = own.start(e, "ticket", initial, masks, (0, "ticket", 2, 0))
    for arm in own.ARMS[1:]:
        control = own.start(e, arm, initial, masks, (0, arm, 2, 0))
        for name, mask in masks.items():
            a, b = ticket.weights[name], control.weights[name]
            assert int(control.masks[name].sum()) == int(mask.sum())
            assert not control.weights[name][~control.masks[name]].any()
            assert torch.equal(control.masks[name], mask) is (arm == "reinit")
            same_values = torch.equal(a[a != 0].sort().values, b[b != 0].sort().values)
            assert same_values is (arm == "shuffle")


def test_a_run_repeats_bit_for_bit_and_alone(found: own.Found) -> None:
    """Draws depend on seed, trial, round and arm: not on which other arms are trained, nor on torch's state."""
    torch.manual_seed(12345)
    again = own.run(experiment(), rounds=2, trials=1, arms=["reinit"])
    both = found.curves.merge(again.curves, on=["key", "iteration"])
    assert len(both) == len(again.curves)
    assert (both["val_loss_x"] == both["val_loss_y"]).all()
    assert not own.run(experiment(seed=1), rounds=1, trials=1).curves["val_loss"].isin(found.curves["val_loss"]).all()


def test_late_rewinding_goes_back_to_that_iteration() -> None:
    e = experiment(rewind=7)
    late = own.run(e, rounds=1, trials=1, arms=["ticket"])
    module_at_7 = own.train(
        experiment(iterations=7, eval_every=7), own.Ticket(initial_weights.drawn(e, 0, "init"), {}), (0, "ticket", 0, 0)
    )
    assert torch.equal(late.starts[0]["6.weight"], module_at_7.weights["6.weight"])
    assert not torch.equal(late.starts[0]["6.weight"], initial_weights.drawn(e, 0, "init")["6.weight"])


def test_one_cut_through_all_layers_keeps_as_many() -> None:
    e = experiment(scope="global", rates={"1.weight": 0.5, "6.weight": 0.5})
    found = own.run(e, rounds=1, trials=1, arms=["ticket"])
    masks = found.masks[0, 1]
    assert sum(int(m.sum()) for m in masks.values()) == prune.kept(54 + 2160, 0.5, 1)
    trained = own.train(e, found.ticket(0, 0), (0, "ticket", 0, 0)).weights
    gone = max(float(trained[n].abs()[~m].max()) for n, m in masks.items() if not m.all())
    assert gone <= min(float(trained[n].abs()[m].min()) for n, m in masks.items())


def test_a_diverged_chain_ends_and_says_so() -> None:
    e = experiment(optimizer=lambda p: torch.optim.SGD(p, lr=1e38), rates={"6.weight": 0.5})
    found = own.run(e, rounds=2, trials=1)
    assert found.cells["diverged"].tolist() == [True]
    with pytest.raises(UsageError, match="no ticket of trial 0, round 1"):
        found.ticket(0, 1)


def test_figures_intervals_and_claims_read_the_tables(found: own.Found) -> None:
    assert {"stop_iteration", "stop_test", "end_test", "convergence_iteration"} <= set(found.cells)
    effect = analyse.paired(found.cells, "stop_test", {"arm": "ticket", "round": 2}, {"arm": "reinit", "round": 2})
    assert effect["n"] == 2 and np.isfinite(effect["effect"]) and np.isnan(effect["low"]), "two trials: no interval"
    fig, ax = plot.canvas()
    figures.against_density(ax, found.cells, "end_test", ["ticket", "reinit", "shuffle", "random_sparsity"])
    assert "<svg" in plot.show(fig, name="own", alt="a", caption="c").text
    said = own.judge(found.cells, {  # neither level is measured
        f"at {at}": dict(test="value", column="end_test", of={"arm": "ticket", "at": at}, number=60, within=60)
        for at in ("30%", 30)
    })  # fmt: skip
    assert said["n"].tolist() == [0, 0] and said["verdict"].str.startswith("not measured").all()
    at = dict(of={"arm": "ticket", "at": "50%"}, to={"arm": "reinit", "at": "50%"})
    said = own.judge(found.cells, {"better": dict(test="ahead", column="end_test", **at)})
    assert said["n"].iat[0] == 2 and said["verdict"].iat[0] == "undecided"
    by_hand = (
        100
        * analyse.paired(found.cells, "end_test", {"arm": "ticket", "round": 1}, {"arm": "reinit", "round": 1})[
            "effect"
        ]
    )
    assert said["effect"].iat[0] == pytest.approx(by_hand)


def test_tickets_go_through_files(found: own.Found, tmp_path: Path) -> None:
    ticket = found.ticket(1, 3)
    ticket.save(tmp_path / "t.safetensors")
    back = own.load(tmp_path / "t.safetensors")
    assert set(back.weights) == set(ticket.weights) and set(back.masks) == set(ticket.masks)
    assert all(torch.equal(back.weights[n], w) for n, w in ticket.weights.items())
    assert all(torch.equal(back.masks[n], m) for n, m in ticket.masks.items())
    back.into(tiny())
    wrong = own.Ticket({n: w + 1.0 for n, w in ticket.weights.items()}, ticket.masks)
    wrong.save(tmp_path / "wrong.safetensors")
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "t.safetensors").read_bytes()[:-9])
    for name, said in (("wrong", "is not 0 where its mask"), ("cut", "cannot be read"), ("none", "cannot be read")):
        with pytest.raises(UsageError, match=said):
            own.load(tmp_path / f"{name}.safetensors")


def test_tickets_of_the_papers_load_as_ones_own(tmp_path: Path) -> None:
    from lth_companion.share import ticket_files
    from lth_core.models import Network
    from lth_core.prune import cut
    from lth_core.prune import full as whole
    from lth_core.spec import Spec
    from lth_core.starts import start

    spec = Spec(dataset="digits", arch="lenet-12-8").at_round(2)
    network: Network = start(spec, cut(spec, start(spec.at_round(0), whole(spec)).weights, whole(spec)))
    ticket = own.load(ticket_files.write(ticket_files.Ticket(network, {}, {}), tmp_path))
    assert {n: int(m.sum()) for n, m in ticket.masks.items()} == prune.plan(spec)
    module = nn.Sequential()
    for i, (name, shape) in enumerate((n, w.shape) for n, w in network.weights.items() if w.ndim == 2):
        module.add_module(name.removesuffix(".weight"), nn.Linear(shape[1], shape[0]))
        if i < 2:
            module.add_module(f"relu{i}", nn.ReLU())
    assert ticket.into(module)(torch.zeros(1, 64)).shape == (1, 10)


def test_masks_cross_to_torch_and_back(found: own.Found) -> None:
    ticket = found.ticket(1, 2)
    module = torchprune.apply(tiny(), ticket)
    assert parametrize.is_parametrized(module.get_submodule("6"), "weight")
    back = torchprune.ticket_of(module, found.starts[1])
    for name in ticket.masks:
        assert torch.equal(back.masks[name], ticket.masks[name])
    for name in ticket.weights:
        assert torch.equal(back.weights[name], ticket.weights[name])
    assert set(torchprune.state_of(module)) == set(tiny().state_dict())


def test_training_under_torchs_masks_is_training_ours(found: own.Found) -> None:
    """A plain loop over a module that torch masks gives the function that `own.train` gives, without weight decay."""
    e = experiment(
        model=lambda: nn.Linear(64, 10), rates={"weight": 0.5}, optimizer=lambda p: torch.optim.SGD(p, lr=0.1)
    )
    ticket = own.run(e, rounds=1, trials=1).ticket(0, 1)
    ours = own.train(e, ticket, (0, "ticket", 1, 0)).weights
    module = torchprune.apply(e.model(), copy.deepcopy(ticket))
    optimizer = e.optimizer(module.parameters())
    for batch in plain.batches(200, 16, 20, plain.generator(0, "own", 0, "ticket", 1, 0, "order")):
        optimizer.zero_grad()
        e.loss(module(e.train[0][batch]), e.train[1][batch]).backward()
        optimizer.step()
    torch.testing.assert_close(torchprune.state_of(module)["weight"] * ticket.masks["weight"], ours["weight"])


def test_cuts_made_by_torch_become_tickets() -> None:
    module = nn.Linear(8, 4)
    initial = copy.deepcopy(module.state_dict())
    torch_prune.l1_unstructured(module, "weight", amount=0.75)
    ticket = torchprune.ticket_of(module, initial)
    assert int(ticket.masks["weight"].sum()) == 8
    assert torch.equal(ticket.weights["bias"], initial["bias"])
    with pytest.raises(UsageError, match="pruned by torch already"):
        torchprune.apply(module, ticket)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"rates": {"weight": 0.5}}, "rates names 'weight'"),
        ({"rates": {"1.weight": 1.0}}, "the rate of 1.weight is 1.0"),
        ({"scope": "network"}, "scope = 'network' does not exist"),
        ({"scope": "global"}, "same rate"),
        ({"iterations": 25}, "iterations = 25 must be a multiple"),
        ({"rewind": 20}, "rewind = 20"),
        ({"val": digits(0, 0)}, "val has 0 inputs"),
    ],
)
def test_a_wrong_experiment_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        experiment(**changes)
    assert said in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


def test_wrong_runs_are_one_sentence() -> None:
    for wrong, said in (({"arms": ["reinits"]}, "arm 'reinits'"), ({"rounds": 0}, "rounds = 0")):
        with pytest.raises(UsageError, match=said):
            own.run(experiment(), **{"rounds": 1, "trials": 1, **wrong})
    with pytest.raises(UsageError, match="test 'better' does not exist"):
        own.judge(
            pd.DataFrame({"prune_fc": [], "prune_conv": [], "round": [], "density": []}), {"x": {"test": "better"}}
        )
