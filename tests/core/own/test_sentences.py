"""A wrong value is one plain sentence, before anything is trained; and tables are such that other code takes them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import experiment, net, ticket
from torch import nn

from lth_core import own, torchprune
from lth_core.errors import UsageError


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"iterations": "6"}, "iterations = '6' is not a whole number"),
        ({"iterations": 6.5}, "iterations = 6.5"),
        ({"batch_size": 8.5}, "batch_size = 8.5"),
        ({"batch_size": True}, "batch_size = True"),
        ({"batch_size": 0}, "batch_size = 0"),
        ({"at_once": 0}, "at_once = 0"),
        ({"rewind": None}, "rewind = None"),
        ({"seed": 0.5}, "seed = 0.5"),
        ({"seed": "1"}, "seed = '1'"),
        ({"seed": -1}, "seed = -1"),
        ({"rates": ["0.weight"]}, "does not name parameters"),
        ({"rates": 0.2}, "does not name parameters"),
        ({"rates": {"0.weight": "a lot"}}, "the rate of 0.weight"),
        ({"model": net()}, "model is a module"),
        ({"model": lambda: None}, "model() gives a NoneType"),
        ({"model": lambda: nn.Linear(4)}, "model() makes no module"),  # type: ignore[call-arg]
        ({"optimizer": "sgd"}, "optimizer = 'sgd' is no function"),
        ({"optimizer": torch.optim.SGD(net().parameters(), lr=0.1)}, "is no function: give one that makes a new"),
        ({"rates": torch.zeros(9, 9)}, "does not name parameters"),
        ({"loss": None}, "loss = None is no function"),
        ({"schedule": 3}, "schedule = 3 is no function"),
        ({"device": "gpu"}, "device = 'gpu' does not exist"),
        ({"device": None}, "device = None"),
    ],
)  # fmt: skip
def test_a_wrong_field_is_one_sentence(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        experiment(**changes)
    text = str(error.value)
    assert said in text and "\n" not in text and "\\n" not in text and text.endswith(".") and len(text) < 300


@pytest.mark.parametrize(
    ("changes", "how", "said"),
    [
        ({}, {"arms": "reinit"}, "arms = 'reinit' is no list"),
        ({}, {"arms": None}, "arms = None is no list"),
        ({}, {"rounds": 1.5}, "rounds = 1.5"),
        ({"rates": {"0.weight": 0.9}}, {"rounds": 3}, "none of 32 weights: give at most rounds=1"),
        ({"rates": {"0.weight": 0.999, "2.weight": 0.999}, "scope": "global"}, {}, "round 1 would leave none of 56"),
        ({"rates": {"0.weight": 0.0, "2.weight": 0}}, {}, "rates are all 0"),
        ({}, {"first_trial": -1}, "first_trial = -1"),
        ({}, {"progress": True}, "progress = True is no function"),
        ({"device": "cuda"}, {}, "no GPU here"),
        ({"device": "cuda:7"}, {}, "no such device here"),
        ({"optimizer": lambda p: 3}, {}, "gives a int"),
        ({"optimizer": lambda p: torch.optim.SGD(p)}, {"arms": []}, None),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=-1)}, {}, "optimizer(parameters) fails"),
        ({"schedule": lambda o: 3}, {}, "gives a int"),
        ({"schedule": lambda o: torch.optim.lr_scheduler.OneCycleLR(o, 0.1, total_steps=3)}, {},
         "stepped at iteration 4 of 6"),
        ({"loss": nn.CrossEntropyLoss(reduction="none")}, {}, "not one number"),
        ({"loss": lambda o, t: 1.0}, {}, "not one number"),
        ({"loss": lambda o, t: o.detach().mean()}, {}, "does not depend on any parameter"),
        ({"loss": lambda o: o.mean()}, {}, "cannot be computed on train"),
        ({"right": lambda o: o}, {}, "right cannot be computed"),
        ({"loss": nn.BCEWithLogitsLoss(), "train": (torch.randn(60, 4), torch.ones(60, 3))}, {}, "do not add up to 1"),
        ({"model": lambda: nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 3)), "batch_size": 1}, {},
         "first step of training fails"),
    ],
)  # fmt: skip
def test_a_wrong_run_is_one_sentence(changes: dict[str, Any], how: dict[str, Any], said: str | None) -> None:
    act = dict(rounds=1, trials=1) | how
    if said is None:
        assert len(own.run(experiment(**changes), **act).cells) == 2
        return
    with pytest.raises(UsageError) as error:
        own.run(experiment(**changes), **act)
    text = str(error.value)
    assert said in text and "\n" not in text and text.endswith(".")


def test_whole_numbers_are_taken_in_any_type() -> None:
    assert experiment(iterations=6.0, device=torch.device("cpu")).iterations == 6
    cells = own.run(experiment(device=torch.device("cpu")), rounds=1, trials=1).cells
    assert cells["device"].tolist() == ["cpu"] * 3


def test_tables_can_be_taken_elsewhere(tmp_path: Path) -> None:
    found = own.run(experiment(device=torch.device("cpu")), rounds=1, trials=1)
    found.cells.to_parquet(tmp_path / "cells.parquet")
    found.curves.to_parquet(tmp_path / "curves.parquet")
    said = own.judge(found.cells, {"x": dict(test="value", column="end_test", of={"arm": "ticket", "at": 9}, number=1,
                                             within=1)})  # fmt: skip
    assert said[["effect", "low", "high"]].isna().all(axis=None) and said["n"].tolist() == [0]


def test_a_lazy_layer_is_one_sentence() -> None:
    def lazy() -> nn.Module:
        return nn.Sequential(nn.LazyLinear(3))

    whole = own.Ticket({"0.weight": torch.ones(3, 4), "0.bias": torch.zeros(3)}, {"0.weight": torch.ones(3, 4)})
    for act in (
        lambda: experiment(model=lazy, rates={}),
        lambda: own.rates_of(lazy()),
        lambda: torchprune.apply(lazy(), whole),
        lambda: torchprune.masks_of(lazy()),
    ):
        with pytest.raises(UsageError, match="run one batch through"):
            act()

    def ready() -> nn.Module:
        module = lazy()
        module(torch.zeros(1, 4))
        return module

    assert len(own.run(experiment(model=ready, rates={"0.weight": 0.5}), rounds=1, trials=1).cells) == 3


def test_a_module_without_values_is_one_sentence() -> None:
    empty, made = nn.Linear(4, 3, device="meta"), ticket(nn.Linear(4, 3), "weight")
    for act in (lambda: torchprune.masks_of(empty), lambda: made.into(empty), lambda: torchprune.apply(empty, made)):
        with pytest.raises(UsageError, match="device meta"):
            act()


def test_what_a_notebook_shows_is_a_line() -> None:
    """A cell that ends with one of these shows it: not all of its numbers."""
    e, start = experiment(), ticket(net(), "0.weight")
    found = own.run(e, rounds=1, trials=1)
    shown = {"experiment": e, "found": found, "ticket": start, "trained": own.train(e, start)}
    assert all("tensor(" not in repr(value) and len(repr(value)) < 600 for value in shown.values()), shown
    assert repr(found).startswith("Found(3 networks of 1 trials")
    assert repr(start).startswith(f"Ticket({int(start.masks['0.weight'].sum())} of 32 weights in 1 masks")


@pytest.mark.parametrize(
    "act",
    [
        lambda e, t: t.into(nn.Linear),
        lambda e, t: t.into(net().state_dict()),
        lambda e, t: t.into(None),
        lambda e, t: own.train(e, None),
        lambda e, t: own.train(e, net()),
        lambda e, t: own.masked(net(), t.masks),
        lambda e, t: own.cut(e, {}, t.masks, 2),
        lambda e, t: torchprune.apply(net(), "ticket.safetensors"),
        lambda e, t: torchprune.apply(net(), None),
        lambda e, t: own.judge(own.run(e, rounds=1, trials=1), {}),
        lambda e, t: own.judge(own.run(e, rounds=1, trials=1).cells, "tickets win"),
        lambda e, t: own.rates_of(net(), rate=20),
        lambda e, t: own.rates_of(net(), last=-1),
        lambda e, t: own.cost(e, rounds=0, trials=1),
        lambda e, t: own.cost(e, rounds=1.5, trials=1),
        lambda e, t: own.cost(e, rounds=1, trials=1, arms="reinit"),
        lambda e, t: own.cost(e, rounds=1, trials=1, arms=["none"]),
        lambda e, t: own.load("not-there.safetensors"),
    ],
)
def test_a_thing_of_another_kind_is_one_sentence(act: Any) -> None:
    with pytest.raises(UsageError) as error:
        act(experiment(), ticket(net(), "0.weight"))
    assert "\n" not in str(error.value) and str(error.value).endswith(".")


def test_a_cost_is_of_what_a_run_trains() -> None:
    how: dict[str, Any] = dict(rounds=2, trials=1, arms=["reinit", "ticket", "reinit"], replicates=2)
    assert own.cost(experiment(), **how).networks == len(own.run(experiment(), **how).cells)


def test_a_level_that_is_not_there_names_the_nearest() -> None:
    """The level is the largest rate's: its words are those that were asked with."""
    cells = own.run(experiment(), rounds=2, trials=1).cells
    for at, near in (("35%", "25%"), (2.5, "round 3.11")):
        side = {"arm": "ticket", "at": at}
        said = own.judge(cells, {"So.": dict(test="value", column="stop_test", of=side, number=0.5)})["verdict"][0]
        assert f"level {at} is not measured (the nearest that is: {near})" in said
