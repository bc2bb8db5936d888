"""Every figure about the papers' networks on CIFAR-10.

Conv-2, -4, -6: ICLR Figures 1, 5, 6, 10, 13, 14, 32-37. ResNet-18 and VGG-19: Figures 7, 8, 14, 38-45."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from lth_companion.experiments.cifar10_recipes import (
    CONV,
    DROPOUT,
    GLOBAL,
    RESNET,
    SWEPT,
    VGG,
    Net,
    conv_rates,
    each,
    grown,
    lines,
    rates,
    schemes,
    together,
    unpruned,
)
from lth_companion.experiments.scale import Figure, Rows, Scale
from lth_core.spec import Spec

ADAM = tuple(i / 10_000 for i in range(1, 9))
SGD = ((1e-4, 5e-4, 8e-4, 1e-3, 1.5e-3, 2.5e-3), (1e-3, 2e-3, 3e-3, 5e-3, 1e-2),
       (2.5e-3, 5e-3, 1e-2, 2e-2, 2.5e-2, 3e-2, 3.5e-2))  # fmt: skip
MOMENTUM = ((1e-4, 3e-4, 5e-4, 7e-4, 1e-3, 1.5e-3), *[(1e-3, 2e-3, 3e-3, 4e-3, 5e-3, 8e-3)] * 2)
RESNET_LINES = ((0.1, 0), (0.01, 0), (0.03, 20_000))  # learning rate, iterations of warmup: lines of Figure 8
VGG_LINES = ((0.1, 0), (0.01, 0), (0.1, 10_000))  # of Figure 7
RATES = (0.01, 0.02, 0.03, 0.05, 0.1)  # of Figures 42, 43
RESNET_WARMUPS = (0, 500, 1_000, 5_000, 10_000, 20_000)  # of Figure 44
VGG_WARMUPS = (0, 1_000, 5_000, 10_000, 20_000, 50_000)  # of Figure 45
CONV_RATES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3)
DROPPED_RATES = (1e-4, 2e-4, 3e-4, 4e-4, 5e-4)  # of Figure 36; its axes end before the main text's

# The paper's scale: iterations and rounds of the largest network. Trials of VGG-19 and ResNet-18 are not stated.
PAPER = Scale(dataset="cifar10", iterations=30_000, rounds=26)
LONG = replace(PAPER, iterations=90_000)
PAPER_H = replace(PAPER, trials=3, replicates=0, rounds=30)
PAPER_R = replace(PAPER, rounds=14)
PAPER_V = replace(PAPER, iterations=112_480, rounds=32)
# What results/ holds until somebody has a GPU: Conv-2, and one trial of Conv-4.
FIRST = Scale(dataset="cifar10", iterations=3_000, eval_every=250, trials=2, replicates=1, rounds=10, precision="bf16")
SHORT = Scale(dataset="cifar10", iterations=1_000, eval_every=250, trials=3)  # to compare precisions
# Figure 8 in minutes of a GPU, chosen before any of it was measured. A card was expected to do 400 to 1,000 steps of a
# network a second and was lent for a quarter of an hour, so that a trial of three settings may have some 150,000
# steps and three trials may just fit: 15% of the paper's iterations, with drops and warmup as much sooner, and two of
# its cuts in one, from 64% to 8% of the convolutions' weights; redraws at the four levels of which the text speaks
# (41.7 to 11.8%). Evaluations on 20,000 images, seven a network, cost about 7% of the time and meet the paper's three
# iterations and both drops. bf16 moves half the bytes of fp32, and bytes are what these narrow maps cost.
RESNET_SHORT = Scale(
    dataset="cifar10", iterations=4_500, eval_every=750, trials=3, replicates=1, rounds=6, precision="bf16"
)
TWO_CUTS = replace(RESNET, prune={**GLOBAL, "prune_conv": 0.36})  # 0.64 = 0.8², so that levels are the paper's
REDRAWN = (2, 3, 4, 5)
# Conv-2 in hours of one CPU core, chosen by cost before any of it was measured: a step takes 0.085 s in bf16, an
# evaluation 10 s. Two of the paper's cuts in one (0.81 = 0.9², 0.64 = 0.8²), five times, to the size that FIRST ends
# at; one trial. With dropout three times FIRST's iterations, as in the paper, in nine evaluations: 14 minutes a
# network. Another learning rate at FIRST's iterations, so that it stands beside FIRST's two trials at the paper's.
# Of the five cuts two are trained so far; raise `rounds` with what follows.
STEPS = dict(prune_conv=0.19, prune_fc=0.36, prune_out=0.19)
ONE_TRIAL = replace(FIRST, trials=1, rounds=2)
DROPPED_OUT = replace(ONE_TRIAL, iterations=9_000, eval_every=1_000)
# What VGG-19's curves look like, in hours of one CPU core, chosen by cost before any of it was measured: with a quarter
# of the width a step takes 0.09 s in bf16 on a busy core, an evaluation 8 s. 2.7% of the paper's iterations, with drops
# and warmup as much sooner and evaluations near the three iterations of Figure 7; three of its cuts in one
# (0.512 = 0.8³) down to its 3.5%; one trial. Redraws where tickets are small, at 0.1 and with warmup. What all three
# lines have can be published before the rest: lower `rounds` of NARROW_MEASURED; without redraws, `replicates` to 0.
NARROW = replace(VGG, arch="vgg-19-16", prune={**GLOBAL, "prune_conv": 0.488})
NARROW_SCALE = replace(RESNET_SHORT, iterations=3_000, trials=1, rounds=5)
NARROW_MEASURED = replace(NARROW_SCALE, rounds=5, replicates=1)
NARROW_REDRAWN = (3, 5)
# Minutes on two cores, on digits enlarged to 16 x 16 pixels: evaluating on CIFAR-10's 20,000 images would take longer
# than training.
QUICK = Scale(dataset="digits16", iterations=40, eval_every=20, trials=1, replicates=1, rounds=3)
QUICK_H = replace(QUICK, iterations=20, eval_every=10, rounds=2)
QUICK_DEEP = replace(QUICK, iterations=30, eval_every=10, rounds=2)
FAST = replace(CONV[0], prune=dict(prune_conv=0.3, prune_fc=0.6, prune_out=0.3))  # small sizes in few rounds
FAST_DROPOUT = replace(DROPOUT[0], prune=FAST.prune)
STEEP = {**GLOBAL, "prune_conv": 0.6}
SMALL_RESNET, SMALL_VGG = replace(RESNET, arch="resnet-18-4", prune=STEEP), replace(VGG, arch="vgg-19-4", prune=STEEP)


def first_published(*arms: str) -> Rows:
    """Conv-2 at the scale's trials, Conv-4 in one."""
    return lambda s: grown(CONV[0], s, arms) + grown(CONV[1], replace(s, trials=1), arms)


def deep_published(scale: Scale) -> list[Spec]:
    """Figure 8's lines in steps of two cuts, redrawn at some levels."""
    rows = lines(TWO_CUTS, RESNET_LINES, "ticket", "reinit")(scale)
    return [row for row in rows if row.arm == "ticket" or row.round in REDRAWN]


def narrow(scale: Scale) -> list[Spec]:
    """Figure 7's lines of a narrow VGG-19; redrawn at some levels, but not at 0.01."""
    high = [pair for pair in VGG_LINES if pair[0] == 0.1]
    redrawn = [row for row in lines(NARROW, high, "reinit")(scale) if row.round in NARROW_REDRAWN]
    return lines(NARROW, VGG_LINES)(scale) + redrawn


def plain_published(scale: Scale) -> list[Spec]:
    """Those of Figure 8's lines that have no warmup: two of Figure 42's five."""
    return [row for row in deep_published(scale) if not row.warmup]


def dropout_published(scale: Scale) -> list[Spec]:
    """Conv-2 with dropout in steps of two cuts, beside FIRST's without."""
    return grown(CONV[0], FIRST) + grown(replace(DROPOUT[0], prune=STEPS), scale)


def adam_published(scale: Scale) -> list[Spec]:
    """Conv-2 at the paper's learning rate, and the unpruned network at twice that: the rest is still to train."""
    return grown(CONV[0], scale) + unpruned(SWEPT[0], ONE_TRIAL, lr=4e-4)


def random_published(*arms: str) -> Rows:
    """Conv-2 in these arms, and random sparse networks of every second round."""
    return lambda s: grown(CONV[0], s, arms) + [
        row for row in grown(CONV[0], s, ("random_sparsity",)) if row.round and row.round % 2 == 0
    ]  # fmt: skip


def precisions(nets: Iterable[Net], *names: str) -> Rows:
    """The same unpruned networks, trained in several precisions; the deep ones at the rate that has tickets."""
    nets = [net if "lr" in net.train else replace(net, train={**net.train, "lr": 0.01}) for net in nets]
    return lambda s: [row for net in nets for name in names for row in unpruned(net, replace(s, precision=name))]


def figures() -> list[Figure]:
    """Figures of ICLR sections 3 and 4 and Appendices B, D, E, H, I. Where LeNet's part of a figure is declared in
    `lenet`, the rest has an id with the network's name."""
    return [*_conv(), *_dropout(), *_deep(), *_random(), *_appendix_h(), *_appendix_i()]


def _conv() -> list[Figure]:
    page, both = "iclr_3_conv", ("ticket", "reinit")
    search = {"search": "continued"}
    return [
        Figure("iclr-fig01-conv", page, "Random sparse networks against winning tickets (Conv-2, -4, -6)",
               together(each(CONV, rounds=20), each(CONV, "random_sparsity", rounds=20, copies=2)), PAPER,
               published=FIRST, published_rows=random_published("ticket"),
               quick=QUICK, quick_rows=each([FAST], "ticket", "random_sparsity")),
        Figure("iclr-fig05", page, "Conv-2, -4, -6: early stopping and accuracy", each(CONV, *both), PAPER,
               published=FIRST, published_rows=first_published(*both), quick=QUICK, quick_rows=each([FAST], *both)),
        Figure("iclr-fig10", page, "Conv-2, -4, -6: resetting against continued training",
               together(each(CONV), each(CONV, "continued", "ticket", prune=search)), PAPER, quick=QUICK,
               quick_rows=together(each([FAST]), each([FAST], "continued", "ticket", prune=search))),
        Figure("iclr-fig13", page, "Conv-2, -4, -6: training accuracy at early stopping and at the end",
               each(CONV, *both), PAPER, published=FIRST, published_rows=first_published(*both), quick=QUICK,
               quick_rows=each([FAST], *both)),
        Figure("beyond-precision", page, "The same networks in single and in lower precision",
               precisions((*CONV, RESNET, VGG), "fp32", "tf32", "bf16"), replace(PAPER_V, trials=3),
               published=SHORT, published_rows=precisions(CONV, "fp32", "bf16"),
               quick=QUICK, quick_rows=precisions([FAST], "fp32", "bf16")),
    ]  # fmt: skip


def _dropout() -> list[Figure]:
    return [
        Figure("iclr-fig06", "iclr_3_dropout", "Conv-2, -4, -6 with dropout and without",
               together(each(CONV), each(DROPOUT)), LONG,
               published=DROPPED_OUT, published_rows=dropout_published,
               quick=QUICK, quick_rows=each([FAST, FAST_DROPOUT])),
    ]  # fmt: skip


def _deep() -> list[Figure]:
    page, both = "iclr_4_vgg_resnet", ("ticket", "reinit")
    return [
        Figure("iclr-fig07", page, "VGG-19 at three iterations, global pruning", lines(VGG, VGG_LINES, *both),
               PAPER_V, quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, VGG_LINES, *both)),
        Figure("iclr-fig08", page, "ResNet-18 at three iterations, global pruning", lines(RESNET, RESNET_LINES, *both),
               PAPER_R, published=RESNET_SHORT, published_rows=deep_published,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, RESNET_LINES, *both)),
        Figure("beyond-narrow-vgg", page, "A narrow VGG-19 in place of Figure 7: what the pattern looks like", narrow,
               NARROW_SCALE, published=NARROW_MEASURED, quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, VGG_LINES, *both),
               illustrates="A narrow VGG-19 (a quarter of the width), trained once in each setting: it shows what the "
               "pattern looks like, and judges nothing."),
    ]  # fmt: skip


def _random() -> list[Figure]:
    page, both = "iclr_e_random_sparsity", ("ticket", "reinit")
    three = (*both, "random_sparsity")
    return [
        Figure("iclr-fig14-conv", page, "Tickets, reinits and random sparse networks (Conv-2, -4, -6)",
               together(each(CONV, *both), each(CONV, "random_sparsity", rounds=20, copies=2)), PAPER,
               published=FIRST, published_rows=random_published(*both),
               quick=QUICK_DEEP, quick_rows=each([FAST], *three)),
        Figure("iclr-fig14-resnet", page, "Tickets, reinits and random sparse networks (ResNet-18)",
               together(lines(RESNET, RESNET_LINES, *both), lines(RESNET, RESNET_LINES, "random_sparsity", copies=2)),
               PAPER_R, quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, RESNET_LINES[2:], *three)),
        Figure("iclr-fig14-vgg", page, "Tickets, reinits and random sparse networks (VGG-19)",
               together(lines(VGG, VGG_LINES, *both), lines(VGG, VGG_LINES, "random_sparsity", copies=2)),
               PAPER_V, quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, VGG_LINES[2:], *three)),
    ]  # fmt: skip


def _appendix_h() -> list[Figure]:
    page, scale = "iclr_h_conv_hyperparameters", PAPER_H
    dropped = [replace(net, rounds=rounds) for net, rounds in zip(DROPOUT, (21, 24, 24), strict=True)]
    return [
        Figure("iclr-fig32", page, "Conv-2, -4, -6: Adam learning rates", rates(SWEPT, [ADAM] * 3), scale,
               published=FIRST, published_rows=adam_published,
               quick=QUICK_H, quick_rows=rates([FAST], [(1e-4, 4e-4)])),
        Figure("iclr-fig33", page, "Conv-2, -4, -6: SGD learning rates", rates(SWEPT, SGD, optimizer="sgd"), scale,
               quick=QUICK_H, quick_rows=rates([FAST], [(5e-4, 2.5e-3)], optimizer="sgd")),
        Figure("iclr-fig34", page, "Conv-2, -4, -6: momentum learning rates",
               rates(SWEPT, MOMENTUM, optimizer="momentum"), scale,
               quick=QUICK_H, quick_rows=rates([FAST], [(3e-4, 1.5e-3)], optimizer="momentum")),
        Figure("iclr-fig35", page, "Conv-2, -4, -6: pruning rates of convolutions",
               together(*(conv_rates(net, CONV_RATES, 23) for net in CONV)), scale,
               quick=QUICK_H, quick_rows=conv_rates(FAST, (0.1, 0.3), 2)),
        Figure("iclr-fig36", page, "Conv-2, -4, -6 with dropout: Adam learning rates",
               rates(dropped, [DROPPED_RATES] * 3), replace(scale, iterations=90_000),
               published=DROPPED_OUT, published_rows=each([replace(DROPOUT[0], prune=STEPS)]),
               quick=QUICK_H, quick_rows=rates([FAST_DROPOUT], [(1e-4, 3e-4)])),
        Figure("iclr-fig37", page, "Conv-2, -4, -6: convolutions pruned, other layers pruned, both",
               together(*(schemes(net) for net in CONV)), scale, quick=QUICK_H, quick_rows=schemes(FAST)),
    ]  # fmt: skip


def _appendix_i() -> list[Figure]:
    page, both, layer = "iclr_i_vgg_resnet_hyperparameters", ("ticket", "reinit"), {"scope": "layer"}
    three_r, three_v = (replace(s, trials=3) for s in (PAPER_R, PAPER_V))
    plain = [(lr, 0) for lr in RATES]

    def scopes(net: Net, settings: Iterable[tuple[float, int]]) -> Rows:
        return together(lines(net, settings), lines(net, settings, prune=layer))

    def warmups(lr: float, values: Iterable[int]) -> list[tuple[float, int]]:
        return [(lr, k) for k in values]

    return [
        Figure("iclr-fig38", page, "VGG-19: global against layer-wise pruning", scopes(VGG, VGG_LINES), PAPER_V,
               quick=QUICK_DEEP, quick_rows=scopes(SMALL_VGG, VGG_LINES[2:])),
        Figure("iclr-fig39", page, "ResNet-18: global against layer-wise pruning", scopes(RESNET, RESNET_LINES),
               PAPER_R, quick=QUICK_DEEP, quick_rows=scopes(SMALL_RESNET, RESNET_LINES[2:])),
        Figure("iclr-fig40", page, "VGG-19 pruned layer by layer, with reinits",
               lines(VGG, VGG_LINES, *both, prune=layer), PAPER_V,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, VGG_LINES[2:], *both, prune=layer)),
        Figure("iclr-fig41", page, "ResNet-18 pruned layer by layer, with reinits",
               lines(RESNET, RESNET_LINES, *both, prune=layer), PAPER_R,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, RESNET_LINES[2:], *both, prune=layer)),
        Figure("iclr-fig42", page, "ResNet-18: learning rates without warmup", lines(RESNET, plain, *both), three_r,
               published=RESNET_SHORT, published_rows=plain_published,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, (plain[0], plain[-1]), *both)),
        Figure("iclr-fig43", page, "VGG-19: learning rates without warmup", lines(VGG, plain, *both), three_v,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, (plain[0], plain[-1]), *both)),
        Figure("iclr-fig44", page, "ResNet-18 at 0.03: lengths of warmup",
               lines(RESNET, warmups(0.03, RESNET_WARMUPS)), three_r,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, warmups(0.03, (0, 20_000)))),
        Figure("iclr-fig44-high", page, "ResNet-18 at 0.1: lengths of warmup (told in the text, not drawn)",
               lines(RESNET, warmups(0.1, (0, 5_000, 10_000, 15_000, 20_000))), three_r,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_RESNET, warmups(0.1, (0, 20_000)))),
        Figure("iclr-fig45", page, "VGG-19 at 0.1: lengths of warmup", lines(VGG, warmups(0.1, VGG_WARMUPS)), three_v,
               quick=QUICK_DEEP, quick_rows=lines(SMALL_VGG, warmups(0.1, (0, 50_000)))),
    ]  # fmt: skip
