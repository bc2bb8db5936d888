"""Training steps as people have them: gradients added up over minibatches, mixed precision, averaged weights. Each goes
through what an experiment takes as it is: an optimizer, a model."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest
import torch
from small_networks import experiment, net, sgd, ticket
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from lth_core import own
from lth_core.errors import UsageError


class Accumulating(torch.optim.SGD):
    """One step for two minibatches, with the mean of their gradients."""

    seen = 0

    def zero_grad(self, set_to_none: bool = True) -> None:
        if self.seen % 2 == 0:
            super().zero_grad(set_to_none)

    def step(self, closure: Any = None) -> None:
        self.seen += 1
        if self.seen % 2 == 0:
            for group in self.param_groups:
                for p in group["params"]:
                    p.grad /= 2
            super().step(closure)


def test_gradients_added_up_over_two_minibatches_are_those_of_one_twice_as_large() -> None:
    start = ticket(net(), "0.weight")
    whole = own.train(experiment(optimizer=lambda p: torch.optim.SGD(p, lr=0.1), iterations=2, eval_every=2), start)
    size = experiment().batch_size
    assert size % 2 == 0
    halves = own.train(
        experiment(
            optimizer=lambda p: Accumulating(p, lr=0.1), iterations=4, eval_every=4, batch_size=size // 2
        ),
        start,
    )  # fmt: skip
    for n, x in whole.weights.items():
        torch.testing.assert_close(halves.weights[n], x, rtol=1e-5, atol=1e-6)
    assert any(not torch.equal(x, start.weights[n]) for n, x in halves.weights.items())
    assert not halves.weights["0.weight"][~start.masks["0.weight"]].any()


class Mixed(nn.Sequential):
    """Computes in bfloat16 what may be, keeps its weights in float32."""

    seen: ClassVar[list[torch.dtype]] = []

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            made = super().forward(x)
        self.seen.append(made.dtype)
        return made.float()


def test_mixed_precision_is_a_matter_of_the_model() -> None:
    Mixed.seen.clear()
    start = ticket(net(), "0.weight")
    mixed = own.train(experiment(model=lambda: Mixed(*net()), optimizer=sgd), start)
    plain = own.train(experiment(optimizer=sgd), start)
    assert set(Mixed.seen) == {torch.bfloat16}
    for n, x in mixed.weights.items():
        assert x.dtype == torch.float32 and not torch.equal(x, plain.weights[n]), "bfloat16 rounds otherwise"
        torch.testing.assert_close(x, plain.weights[n], rtol=0.1, atol=0.05)
    assert not mixed.weights["0.weight"][~start.masks["0.weight"]].any()


def test_a_network_is_not_trained_within_autocast() -> None:
    """It keeps its copy of a weight until it ends, so that no step of training would change an output."""
    with torch.autocast("cpu", torch.bfloat16), pytest.raises(UsageError, match="within the model's forward"):
        own.train(experiment(optimizer=sgd), ticket(net(), "0.weight"))


class Averaged(nn.Module):
    """Trains `net`; in evaluation mode it answers by the running average of its weights."""

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.net = module
        self.average = AveragedModel(module, multi_avg_fn=get_ema_multi_avg_fn(0.5)).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            return self.net(x)
        return self.average(x)


def averaging(holder: list[Averaged]) -> Any:
    def optimizer(parameters: own.Parameters) -> torch.optim.Optimizer:
        made = torch.optim.SGD([p for p in parameters if p.requires_grad], lr=0.1)
        made.register_step_post_hook(lambda *_: holder[-1].average.update_parameters(holder[-1].net))
        return made

    return optimizer


def test_averaged_weights_are_what_is_evaluated_and_keep_the_mask() -> None:
    built: list[Averaged] = []

    def model() -> Averaged:
        built.append(Averaged(net()))
        return built[-1]

    e = experiment(model=model, optimizer=averaging(built), rates={"net.0.weight": 0.2})
    start = ticket(model(), "net.0.weight")
    found = own.train(e, start)
    weights, average = found.weights["net.0.weight"], found.weights["average.module.0.weight"]
    assert not torch.equal(weights, average) and not torch.equal(average, start.weights["net.0.weight"])
    assert not average[~start.masks["net.0.weight"]].any()
    alone = Averaged(net())
    alone.load_state_dict(found.weights)
    inputs, targets = e.val
    right = int((alone.eval()(inputs).argmax(1) == targets).sum())
    assert found.curves["val_correct"][-1] == right
