"""What one network would hand on to the next, and what tells one experiment from another on a disk."""

from __future__ import annotations

import argparse
import functools
import itertools
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_networks import experiment, net, numbers, sgd
from torch import nn

from lth_core import own
from lth_core.errors import UsageError
from lth_core.own.experiment_hash import identity

X, Y = numbers()


class Tempered(nn.Module):
    """A loss with a parameter of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.t = nn.Parameter(torch.ones(()))

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(outputs * self.t, targets)


class Remembering(nn.Module):
    """A loss that divides by its own running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(()))

    def forward(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        loss = nn.functional.cross_entropy(outputs, targets)
        self.mean = 0.9 * self.mean + 0.1 * loss.detach()
        return loss / (1 + self.mean)


def with_the_losses(parameters: Any) -> torch.optim.Optimizer:
    return torch.optim.SGD([*parameters, nn.Parameter(torch.ones(3))], lr=0.1)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"loss": Tempered()}, "parameters of its own"),
        ({"loss": Remembering()}, "keeps something from call to call"),
        ({"optimizer": with_the_losses}, "not the module's"),
        ({"loss": nn.functional.nll_loss}, "LogSoftmax"),
        ({"loss": nn.NLLLoss()}, "LogSoftmax"),
        ({"model": lambda: nn.Sequential(*net(), nn.Softmax(1))}, "leave out its softmax"),
        (
            {"model": lambda: nn.Sequential(*net(), nn.Softmax(1)), "loss": nn.CrossEntropyLoss()},
            "leave out its softmax",
        ),
        ({"optimizer": lambda p: torch.optim.SGD(p, lr=0.1, maximize=True)}, "as large as it can"),
        ({"optimizer": lambda p: torch.optim.Adam([{"params": list(p), "maximize": True}])}, "as large as it can"),
        ({"train": (X.masked_fill(torch.arange(60)[:, None] == 7, torch.nan), Y)}, r"nan \(example 7 "),
        ({"val": (X.masked_fill(torch.arange(60)[:, None] == 59, torch.nan), Y)}, r"on val is nan"),
        ({"loss": lambda o, y: nn.functional.cross_entropy(o / 0, y)}, "before any training"),
    ],
)
def test_what_would_train_something_else_is_refused(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        own.run(experiment(**changes), rounds=1, trials=1)
    assert "\n" not in str(error.value)


def test_a_loss_may_draw_and_may_be_a_likelihood() -> None:
    def drawing(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return nn.functional.cross_entropy(nn.functional.dropout(outputs, 0.5), targets)

    def model() -> nn.Module:
        return nn.Sequential(*net(), nn.LogSoftmax(1))

    for changes in ({"loss": drawing}, {"loss": nn.functional.nll_loss, "model": model}):
        one, other = (own.run(experiment(**changes), rounds=1, trials=1, arms=["ticket"]) for _ in "12")
        assert one.curves.equals(other.curves)


def test_gradients_have_to_be_on() -> None:
    for off in (torch.no_grad, torch.inference_mode):
        with pytest.raises(UsageError, match="switched off"), off():
            own.run(experiment(), rounds=1, trials=1)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        (X.to_sparse(), "sparse"),
        (torch.nested.nested_tensor([torch.randn(i % 3 + 1, 4) for i in range(60)]), "nested"),
        (torch.quantize_per_tensor(X, 0.1, 0, torch.qint8), "quantised"),
        (X.to("meta"), "device meta"),
        (np.ma.masked_array(X.numpy(), mask=X.numpy() > 1), "masked array"),
    ],
)
def test_inputs_of_which_no_examples_can_be_picked(inputs: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        experiment(train=(inputs, Y))
    assert "\n" not in str(error.value)


def test_bools_are_classes() -> None:
    split = (X, Y == 0)
    same = (X, (Y == 0).long())
    one, other = (own.run(experiment(train=s, val=s, test=s), rounds=1, trials=1).curves for s in (split, same))
    assert one.equals(other)


# --- What a folder of finished networks goes by ----------------------------------------------------------------------


class Focal:
    """A loss that is an object."""

    def __init__(self, power: float) -> None:
        self.power = power

    def __call__(self, outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return (nn.functional.cross_entropy(outputs, targets, reduction="none") ** self.power).mean()


class Acting(nn.Module):
    """What it computes depends on an attribute of its class, and on one of its own that no tensor shows."""

    act: nn.Module = nn.ReLU()

    def __init__(self, scale: float = 1.0) -> None:
        super().__init__()
        self.a, self.b, self.scale = nn.Linear(4, 8), nn.Linear(8, 3), scale
        self.register_buffer("gain", torch.ones(8), persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.b(self.act(self.a(x)) * self.gain * self.scale)


class Tanh(Acting):
    act = nn.Tanh()


class Gaining(Acting):
    def __init__(self) -> None:
        super().__init__()
        self.gain.fill_(2.0)


SETTING = types.SimpleNamespace(scale=1.0)
HELPERS = types.ModuleType("helpers_of_ones_own")


def of_setting() -> nn.Module:
    return Acting(SETTING.scale)


def of_helpers(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return HELPERS.loss(outputs, targets)


def hooked() -> nn.Module:
    module = Acting()
    module.a.register_forward_hook(lambda m, i, o: o * 2)
    return module


def acting(**changes: Any) -> str:
    return identity(experiment(**{"model": Acting, "rates": {"a.weight": 0.5}} | changes))


@functools.lru_cache
def one(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(outputs, targets)


@functools.lru_cache
def two(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return nn.functional.cross_entropy(2 * outputs, targets)


PAIRS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "a loss of torch": ({"loss": nn.CrossEntropyLoss()}, {"loss": nn.CrossEntropyLoss(label_smoothing=0.3)}),
    "a loss that is an object": ({"loss": Focal(1.0)}, {"loss": Focal(2.0)}),
    "a method": ({"loss": Focal(1.0).__call__}, {"loss": Focal(2.0).__call__}),
    "an attribute of the class": ({"model": Acting}, {"model": Tanh}),
    "an attribute of the module": ({"model": lambda: Acting(1.0)}, {"model": lambda: Acting(2.0)}),
    "a part of it": (
        {"model": functools.partial(Acting, scale=1.0)},
        {"model": functools.partial(Acting, scale=2.0)},
    ),
    "a buffer outside the state dict": ({"model": Acting}, {"model": Gaining}),
    "a hook": ({"model": Acting}, {"model": hooked}),
    "arguments": (
        {"optimizer": functools.partial(torch.optim.SGD, **vars(argparse.Namespace(lr=0.1)))},
        {"optimizer": functools.partial(torch.optim.SGD, **vars(argparse.Namespace(lr=0.2)))},
    ),
    "a function behind a cache": ({"loss": one}, {"loss": two}),
}


@pytest.mark.parametrize("what", PAIRS)
def test_what_acts_differently_is_kept_apart(what: str) -> None:
    first, second = PAIRS[what]
    assert acting(**first) == acting(**first) != acting(**second)


def test_objects_and_modules_that_a_function_names_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    before = acting(model=of_setting)
    monkeypatch.setattr(SETTING, "scale", 3.0)
    assert acting(model=of_setting) != before
    HELPERS.loss = one.__wrapped__  # type: ignore[attr-defined]
    before = acting(loss=of_helpers)
    HELPERS.loss = two.__wrapped__  # type: ignore[attr-defined]
    assert acting(loss=of_helpers) != before


def test_objects_of_all_kinds_have_facts_that_repeat() -> None:
    held = [threading.Lock(), np.random.default_rng(0), pd.DataFrame({"a": [1]}), Path("a"), {1, "b", (2, 3)}]
    circle: list[Any] = [held, slice(1, 2), range(3), torch.float32, torch.device("cpu"), print, np.float32(2)]
    circle.append(circle)
    around = lambda p: sgd(p) if circle else None  # noqa: E731
    assert acting(optimizer=around) == acting(optimizer=around)
    compiled = lambda: torch.compile(Acting(), backend="eager")  # noqa: E731
    assert acting(model=compiled, rates={"_orig_mod.a.weight": 0.5})
    assert acting(model=lambda: Acting()) != acting(model=lambda: Tanh())


def test_a_module_that_is_another_each_time_is_found_nowhere(tmp_path: Path) -> None:
    count = itertools.count()

    def model() -> nn.Module:
        module = Acting()
        module.name = f"net {next(count)}"
        return module

    e = experiment(model=model, rates={"a.weight": 0.5})
    with pytest.raises(UsageError, match="another module each time"):
        own.run(e, rounds=1, trials=1, store=tmp_path)
    assert len(own.run(e, rounds=1, trials=1).cells) == 3, "without a store it may be"
