"""Optimizers and schedulers as people have them: several, by name, looking at the loss, clipped."""

from __future__ import annotations

from typing import Any

import torch
from small_networks import experiment, net, sgd, ticket
from torch import nn

from lth_core import own


def rate(lr: float) -> Any:
    return lambda p: torch.optim.SGD(p, lr=lr)


def test_a_scheduler_that_looks_at_the_loss() -> None:
    made: list[torch.optim.lr_scheduler.ReduceLROnPlateau] = []

    def plateau(o: Any) -> Any:
        made.append(
            torch.optim.lr_scheduler.ReduceLROnPlateau(o, patience=0, factor=0.5, threshold=9.0, threshold_mode="abs")
        )
        return made[-1]

    e = experiment(schedule=plateau, optimizer=rate(0.1))
    one = own.train(e, ticket(net(), "0.weight"))
    assert made[-1].best == one.curves["val_loss"][1] and made[-1].last_epoch == 2
    assert made[-1].get_last_lr() == [0.05], "the second evaluation is no better by as much as the threshold asks"


def test_several_optimizers_and_schedulers_and_groups_by_name() -> None:
    def both(p: own.Parameters) -> list[torch.optim.Optimizer]:
        body, head = ([w for n, w in p.named.items() if n.startswith(part)] for part in ("0", "2"))
        return [torch.optim.SGD(body, lr=0.1), torch.optim.SGD(head, lr=0.1)]

    def grouped(p: own.Parameters) -> torch.optim.Optimizer:
        return torch.optim.SGD([{"params": [w for n, w in p.named.items() if n.startswith("0")]},
                                {"params": [p.named["2.weight"], p.named["2.bias"]], "lr": 0.1}], lr=0.1)  # fmt: skip

    def halves(o: Any) -> Any:
        return [torch.optim.lr_scheduler.StepLR(one, 2, 0.5) for one in (o if isinstance(o, list) else [o])]

    start = ticket(net(), "0.weight")
    one = own.train(experiment(optimizer=sgd, schedule=halves), start).weights
    for optimizer in (both, grouped, lambda p: torch.optim.SGD(p.named.items(), lr=0.1)):
        other = own.train(experiment(optimizer=optimizer, schedule=halves), start).weights
        assert all(torch.equal(one[n], other[n]) for n in one)


def test_an_optimizer_that_asks_for_the_loss_again() -> None:
    e = experiment(optimizer=lambda p: torch.optim.LBFGS(p, lr=0.1, max_iter=4), batch_size=60)
    start = ticket(net(), "0.weight")
    trained = own.train(e, start)
    assert not trained.weights["0.weight"][~start.masks["0.weight"]].any()
    assert trained.curves["train_loss"][-1] < trained.curves["train_loss"][0]


def test_an_optimizer_that_moves_weights_without_a_gradient() -> None:
    """Muon's step mixes the entries of a gradient: 0 at a pruned weight is no 0 in the step."""

    def muon(p: own.Parameters) -> list[torch.optim.Optimizer]:
        named = p.named
        return [torch.optim.Muon([named["0.weight"], named["2.weight"]]), sgd([named["0.bias"], named["2.bias"]])]

    start = ticket(net(), "0.weight")
    trained = own.train(experiment(optimizer=muon), start).weights["0.weight"]
    mask = start.masks["0.weight"]
    assert not trained[~mask].any() and not torch.equal(trained[mask], start.weights["0.weight"][mask])


def test_gradients_can_be_clipped() -> None:
    norms: list[float] = []

    def clip(module: nn.Module) -> None:
        norms.append(float(nn.utils.clip_grad_norm_(module.parameters(), 1e-3)))

    start = ticket(net(), "0.weight")
    slow = own.train(experiment(before_step=clip), start).weights
    assert len(norms) == 6 and all((slow[n] - w).norm() <= 6 * 0.1 * 1e-3 + 1e-6 for n, w in start.weights.items())
