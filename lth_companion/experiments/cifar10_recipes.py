"""The papers' networks on CIFAR-10 as they are trained and pruned, and tables of their rows."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from lth_companion.experiments.scale import Rows, Scale, chains
from lth_core.spec import Spec


@dataclass(frozen=True)
class Net:
    """A network as the paper trains and prunes it (its Figure 2)."""

    arch: str
    iterations: int
    rounds: int  # to the last level that its main figure shows
    train: dict[str, Any]  # fields of all its networks
    prune: dict[str, Any]  # fields of its pruned networks
    eval_every: int = 100  # iterations; ICLR section 2


def conv(depth: int, lr: float, iterations: int, rounds: int, rate: float) -> Net:
    """Conv-2, -4 or -6 (ICLR section 3): Adam, batch 60; the output layer is pruned at half the others' rate."""
    pruned = dict(prune_conv=rate, prune_fc=0.2, prune_out=0.1)
    return Net(f"conv-{depth}", iterations, rounds, dict(lr=lr, batch_size=60), pruned)


CONV = (conv(2, 2e-4, 20_000, 21, 0.10), conv(4, 3e-4, 25_000, 26, 0.10), conv(6, 3e-4, 30_000, 25, 0.15))
DROPOUT = tuple(  # section 3: rates from Figure 36, three times the iterations
    replace(net, iterations=3 * net.iterations, train={**net.train, "dropout": 0.5, "lr": lr})
    for net, lr in zip(CONV, (3e-4, 2e-4, 2e-4), strict=True)
)
# Sweeps of Appendix H cut 10 percent of convolutions in all three: the percentages printed there fit only that.
SWEPT = tuple(
    replace(net, rounds=rounds, prune={**net.prune, "prune_conv": 0.1})
    for net, rounds in zip(CONV, (21, 24, 30), strict=True)
)

DEEP: dict[str, Any] = dict(optimizer="momentum", weight_decay=1e-4, augment="flip_crop")
GLOBAL = dict(prune_conv=0.2, prune_fc=0.0, prune_out=0.0, scope="global")
# How often these two were evaluated is not said; their figures read accuracy at three iterations only. Every 100 would
# cost more than training. 370 divides VGG-19's 112,480 and meets 30,000 and 60,000 within 60.
RESNET = Net("resnet-18", 30_000, 14, DEEP | dict(batch_size=128, lr_drops=(20_000, 25_000)), GLOBAL, eval_every=500)
VGG = Net("vgg-19", 112_480, 32, DEEP | dict(batch_size=64, lr_drops=(56_240, 84_360)), GLOBAL, eval_every=370)


def share(spec: Spec) -> float:
    """What part of the paper's schedule a row goes through: 1, but less where its drops of the learning rate and its
    warmup come as much sooner. What the paper says of an iteration is to be looked for at that part of it."""
    net = RESNET if spec.arch.startswith("resnet-18") else VGG if spec.arch.startswith("vgg-19") else None
    return spec.iterations / net.iterations if net and spec.lr_drops else 1.0


def unpruned(net: Net, scale: Scale, **changes: Any) -> list[Spec]:
    """A network's unpruned rows, one a trial. With fewer iterations than the paper's, warmup and drops of the learning
    rate come as much sooner."""
    fields = {**net.train, **changes}
    iterations = min(net.iterations, scale.iterations)
    part = iterations / net.iterations
    fields["warmup"] = round(part * fields.get("warmup", 0))
    fields["lr_drops"] = tuple(round(part * at) for at in fields.get("lr_drops", ()))
    base = Spec(
        dataset=scale.dataset, arch=net.arch, iterations=iterations, eval_every=scale.eval_every or net.eval_every,
        precision=scale.precision, seed=scale.seed, **fields,
    )  # fmt: skip
    return [base.at_round(0).with_counts(trial=t) for t in range(scale.trials)]


def grown(
    net: Net, scale: Scale, arms: Iterable[str] = ("ticket",), *, rounds: int = 0, copies: int = 0,
    prune: dict[str, Any] | None = None, **changes: Any,
) -> list[Spec]:  # fmt: skip
    """Iterative pruning of a network: every round of every trial, in each arm.

    `rounds` and `copies` of each control: the figure's, where they are not the net's own and the scale's; `prune` are
    fields of pruned networks, `changes` of all."""
    upto = min(rounds or net.rounds, scale.rounds)
    replicates = min(copies or scale.replicates, scale.replicates)
    return chains(
        unpruned(net, scale, **changes), arms, range(1, upto + 1), replicates, **{**net.prune, **(prune or {})}
    )


def each(nets: Iterable[Net], *arms: str, **more: Any) -> Rows:
    """The rows of several networks, with the same arms."""
    return lambda s: [row for net in nets for row in grown(net, s, arms or ("ticket",), **more)]


def lines(net: Net, settings: Iterable[tuple[float, int]], *arms: str, **more: Any) -> Rows:
    """The rows of one network at several pairs of learning rate and warmup."""
    return lambda s: [
        row for lr, k in settings for row in grown(net, s, arms or ("ticket",), lr=lr, warmup=k, **more)
    ]  # fmt: skip


def rates(nets: Iterable[Net], values: Iterable[Iterable[float]], **more: Any) -> Rows:
    """The rows of several networks, each at learning rates of its own."""
    pairs = [(net, lr) for net, own in zip(nets, values, strict=True) for lr in own]
    return lambda s: [row for net, lr in pairs for row in grown(net, s, lr=lr, **more)]


def together(*parts: Rows) -> Rows:
    return lambda s: [row for part in parts for row in part(s)]


def conv_rates(net: Net, values: Iterable[float], rounds: int) -> Rows:
    """Figure 35: the same rounds at several pruning rates of convolutions."""
    return together(*(each([net], rounds=rounds, prune={"prune_conv": rate}) for rate in values))


def schemes(net: Net) -> Rows:
    """Figure 37: all layers pruned, only convolutions, only fully connected ones (the output layer among these)."""
    part = dict(prune_fc=0.0, prune_out=0.0), dict(prune_conv=0.0)
    return together(*(each([net], rounds=24, prune=p) for p in ({}, *part)))
