"""Nothing wrong in silence: what would train, count or prune another thing than was meant is done right, or said."""

from __future__ import annotations

import copy
import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from small_networks import experiment, net, numbers, sgd, ticket
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_core import own, torchprune
from lth_core.errors import UsageError
from lth_core.own import network


def refused(error: pytest.ExceptionInfo[UsageError]) -> str:
    said = str(error.value)
    assert "\n" not in said and said.endswith(".")
    return said


# --- The loop leaves alone what is the reader's -----------------------------------------------------------------------


class Frozen(nn.Module):
    """A part in evaluation mode, with running statistics, before a layer that learns."""

    def __init__(self) -> None:
        super().__init__()
        self.f, self.out = nn.Sequential(nn.BatchNorm1d(4), nn.Dropout(0.9)), nn.Linear(4, 3)
        self.f.requires_grad_(False)
        self.f.eval()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.f(x))


def test_a_part_in_evaluation_mode_stays_in_it() -> None:
    e = experiment(model=Frozen, rates={"out.weight": 0.5})
    trained = own.train(e, ticket(Frozen(), "out.weight")).weights
    assert int(trained["f.0.num_batches_tracked"]) == 0
    assert not trained["f.0.running_mean"].any() and (trained["f.0.running_var"] == 1).all()


def test_the_readers_random_numbers_go_on() -> None:
    def draws(act: Any) -> list[float]:
        torch.manual_seed(5)
        np.random.seed(5)  # noqa: NPY002
        act()
        return [float(torch.rand(())), float(np.random.rand())]  # noqa: NPY002

    e = experiment()
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*numbers()), batch_size=7, shuffle=True)
    before = draws(lambda: None)
    assert draws(lambda: experiment(train=loader)) == before
    assert draws(lambda: own.run(e, rounds=1, trials=1)) == before
    assert draws(lambda: own.cost(e, rounds=1, trials=1)) == before


def test_each_group_of_an_optimizer_gets_its_parameters() -> None:
    def groups(p: Any) -> torch.optim.Optimizer:
        weights, rest = [w for w in p if w.dim() > 1], [w for w in p if w.dim() < 2]
        return torch.optim.SGD([{"params": weights}, {"params": rest, "weight_decay": 0.0}], lr=0.1)

    e, start = experiment(optimizer=groups), ticket(net(), "0.weight")
    trained = own.train(e, start).weights
    assert all(not torch.equal(trained[n], start.weights[n]) for n in ("0.bias", "2.bias"))
    plain = own.train(experiment(), start).weights
    assert all(torch.equal(trained[n], plain[n]) for n in plain)


@pytest.mark.parametrize(
    "optimizer",
    [
        lambda p: torch.optim.SGD([{"params": p}, {"params": []}], lr=0.1),
        lambda p: torch.optim.SGD([w for n, w in p.named.items() if n != "2.bias"], lr=0.1),
        lambda p: torch.optim.SGD(net().parameters(), lr=0.1),
        lambda p: [],
    ],
)
def test_an_optimizer_that_leaves_parameters_out_is_refused(optimizer: Any) -> None:
    with pytest.raises(UsageError, match=r"no parameters|gets nothing of") as error:
        own.run(experiment(optimizer=optimizer), rounds=1, trials=1)
    refused(error)


# --- What is counted --------------------------------------------------------------------------------------------------


def single(right: Any = None) -> own.Experiment:
    """A network with one output, and targets of 0 and 1 in a column of their own."""

    def column(pair: tuple[torch.Tensor, torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
        return pair[0], (pair[1] > 0).float()[:, None]

    more = {"right": right} if right else {}
    return experiment(
        model=lambda: nn.Linear(4, 1), train=column(numbers()), val=column(numbers(20, 1)),
        test=column(numbers(20, 2)), rates={"weight": 0.5}, loss=nn.functional.binary_cross_entropy_with_logits, **more,
    )  # fmt: skip


@pytest.mark.parametrize(
    "right",
    [
        None,
        lambda o, t: o.flatten() > 0 == t,
        lambda o, t: (o > 0) == t.flatten().bool(),  # (example, example), by broadcasting
        lambda o, t: ((o > 0) == t.bool()).float().flatten(),
        lambda o, t: ((o > 0) == t.bool()).sum(),
    ],
)
def test_right_answers_are_one_bool_an_example(right: Any) -> None:
    with pytest.raises(UsageError, match="right") as error:
        own.run(single(right), rounds=1, trials=1)
    refused(error)


@pytest.mark.parametrize("shape", [lambda a: a, lambda a: a.flatten()])
def test_an_accuracy_is_a_fraction(shape: Any) -> None:
    cells = own.run(single(lambda o, t: shape((o > 0) == t.bool())), rounds=1, trials=1).cells
    accuracies = cells[[f"{at}_{part}" for at in ("stop", "end") for part in ("train", "val", "test")]].to_numpy()
    assert ((accuracies >= 0) & (accuracies <= 1)).all() and accuracies.any()


@pytest.mark.parametrize(
    "loss",
    [
        nn.CrossEntropyLoss(weight=torch.tensor([1.0, 20.0, 1.0])),
        nn.CrossEntropyLoss(ignore_index=1),
        lambda o, t: ((o.argmax(1) == t) * 1.0).std() + nn.functional.cross_entropy(o, t),
    ],
)
def test_a_loss_is_of_the_whole_set_whatever_the_size_of_a_piece(loss: Any) -> None:
    x, y = numbers(300)
    val = x[y.argsort()], y.sort().values  # ordered by class: pieces differ most
    e = experiment(val=val, loss=loss, at_once=70)
    start = ticket(net(), "0.weight")
    with torch.no_grad():
        whole = float(loss(start.into(net())(val[0]), val[1]))
    assert own.train(e, start).curves["val_loss"][0] == pytest.approx(whole, rel=1e-5)


def test_a_loss_that_is_a_sum_is_refused() -> None:
    with pytest.raises(UsageError, match="it is a sum") as error:
        own.run(experiment(loss=nn.CrossEntropyLoss(reduction="sum")), rounds=1, trials=1)
    refused(error)


def test_a_loss_that_pairs_all_outputs_with_all_targets_is_refused() -> None:
    flat = [(x, y.float()) for x, y in (numbers(), numbers(20, 1), numbers(20, 2))]
    e = experiment(
        model=lambda: nn.Linear(4, 1), train=flat[0], val=flat[1], test=flat[2], rates={"weight": 0.5},
        loss=nn.functional.mse_loss, right=lambda o, t: (o[:, 0] - t).abs() < 0.5,
    )  # fmt: skip
    with pytest.raises(UsageError, match="pairs each output with every target") as error:
        own.run(e, rounds=1, trials=1)
    refused(error)


def test_training_accuracy_is_of_a_drawn_sample(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network, "SAMPLE", 30)
    x, y = numbers(90)
    e = experiment(train=(x[y.argsort()], y.sort().values))  # the first 30 are of one class
    sample = network.parts(e)["train"][1]
    assert len(sample) == 30 and len(set(sample.tolist())) == 3
    assert torch.equal(sample, network.parts(e)["train"][1])


# --- What the method rests on -----------------------------------------------------------------------------------------


def test_initial_weights_that_training_changed_are_refused() -> None:
    module = net()
    initial = module.state_dict()  # not a copy
    torch_prune.l1_unstructured(module[0], "weight", amount=0.5)
    sgd(module.parameters())
    for kept in (initial, module):
        with pytest.raises(UsageError, match="trained values") as error:
            torchprune.ticket_of(module, kept)
        assert "copy" in refused(error)


def test_a_model_that_draws_nothing_is_refused() -> None:
    pretrained = net()

    def seeded() -> nn.Module:
        torch.manual_seed(0)
        return net()

    def half() -> nn.Module:
        module = net()
        module[0].load_state_dict(pretrained[0].state_dict())
        return module

    for model in (lambda: copy.deepcopy(pretrained), seeded, half):
        e = experiment(model=model)
        for wrong in ({"trials": 1}, {"trials": 2, "arms": ["ticket"]}, {"trials": 1, "arms": ["random_sparsity"]}):
            with pytest.raises(UsageError, match=r"same values each time.*start=") as error:
                own.run(e, rounds=1, **wrong)  # type: ignore[arg-type]
            refused(error)
    e = experiment(model=lambda: copy.deepcopy(pretrained))
    assert len(own.run(e, rounds=1, trials=1, arms=["ticket", "shuffle"]).cells) == 3
    started = own.run(e, rounds=1, trials=2, arms=["ticket"], start=own.Ticket(pretrained.state_dict(), {}))
    first, second = (started.curves[started.curves["key"] == f"ticket-{t}-1-0"]["val_loss"].tolist() for t in (0, 1))
    assert first != second, "batches differ"


@pytest.mark.parametrize("around", [lambda kept: kept, lambda kept: nn.Sequential(kept[0], nn.Linear(8, 3))])
def test_a_model_that_is_not_new_is_refused(around: Any) -> None:
    kept, rates = net(), {"0.weight": 0.5}

    def model() -> nn.Module:
        return around(kept)

    with pytest.raises(UsageError, match=r"new|anew") as error:
        own.run(experiment(model=model, rates=rates), rounds=1, trials=1)
    refused(error)


def test_draws_of_numpy_are_controlled_too() -> None:
    def model() -> nn.Module:
        module = net()
        with torch.no_grad():
            module[0].weight.copy_(torch.from_numpy(np.random.randn(8, 4)))  # noqa: NPY002
        return module

    one, other = (own.run(experiment(model=model), rounds=1, trials=1) for _ in range(2))
    assert one.curves.equals(other.curves)


def test_a_changed_experiment_keeps_its_validation_set() -> None:
    e = experiment(val=None)
    assert len(e.train[0]) == 54 and len(e.val[0]) == 6
    assert torch.equal(torch.cat([e.train[0], e.val[0]]).sort(0).values, numbers()[0].sort(0).values)
    again = dataclasses.replace(e, seed=1)
    assert torch.equal(again.val[0], e.val[0]) and len(again.train[0]) == 54
