"""Every figure about fully connected networks on MNIST: both papers' and those beyond them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from lth_companion.experiments.scale import Figure, Scale, iterative, one_shot, rounds_down_to, sweep
from lth_core.spec import MISTAKES, Spec

V1: dict[str, Any] = dict(optimizer="sgd", lr=0.05, batch_size=100, init="truncated", init_sd=0.1)  # v1 section 3.1
V1_PERCENTS = [100 - p for p in (90, 75, 55, 40, 35, 30, 25, 15, 10, 5)]  # levels named in v1's text
SIZES = ("25-9", "50-17", "100-34", "150-50", "200-67", "300-100", "400-134", "500-167", "700-233", "900-300")
V1_SIZES = ("300-100", "600-200", "900-300", "1200-400")  # legend lost; the text calls them multiples of 300-100
G = Scale(trials=3, replicates=0)
V1_SCALE = Scale(rounds=21, percent_step=5.0)
V1_TEN = replace(V1_SCALE, trials=10)  # v1 Figure 10 collects ten trials
G_SHORT = replace(G, iterations=15_000)  # what results/ holds of Appendix G: every value, three trials, shorter
V1_ONE = replace(V1_SCALE, replicates=1)
V1_FIFTEEN = replace(V1_ONE, trials=15)  # three times the paper's trials
V1_SHORT = replace(V1_SCALE, iterations=15_000, trials=3)  # the same of v1 section 6
ONE_REDRAW = Scale(replicates=1)  # what results/ holds: the paper's scale, one redraw of each control instead of three
SGD: dict[str, Any] = dict(optimizer="sgd", lr=0.8)  # ICLR Appendix F's other optimizer
F_LEVELS, V1_LEVELS = (4, 8, 12), (3, 8, 13)  # rounds at which ICLR Appendix F and v1 section 5 open their tickets
SGD_LEVELS = range(4, 13, 2)  # rounds of Appendix F's statements about SGD that results/ holds
TWENTY = Scale(trials=20, replicates=1)  # four times the papers' trials, to see what five decide
BEYOND = Scale(trials=3, replicates=1)  # the same for what goes past the papers
RATES = Scale(trials=3, replicates=1, iterations=15_000)  # as results/ holds Appendix G, whose tickets are among them
FIRST = Scale(trials=3, rounds=12, iterations=10_000, percent_step=12.5)  # what results/ holds until more is measured

MORE, V1_MORE = "beyond-trials", "beyond-v1-trials"  # figures that are further trials of others

# Minutes on two cores, on MNIST where it lies at hand and else on scikit-learn's digits: shapes, not numbers.
QUICK = Scale(iterations=2_000, trials=2, replicates=1, rounds=12, percent_step=25)
QUICK_STOP = replace(QUICK, iterations=6_000, rounds=8)  # long enough for validation loss to turn
QUICK_G = replace(QUICK, iterations=1_000, rounds=8)
QUICK_V1 = replace(QUICK, iterations=8_000, rounds=9)  # v1's convergence rule sees nothing in less
QUICK_V1_SWEEP = replace(QUICK_V1, rounds=4, trials=1)
QUICK_PERCENTS = (25, 65, 75, 90)  # of the levels that v1's text names


def named_levels(scale: Scale, arms: Iterable[str] = ("ticket",), **changes: Any) -> list[Spec]:
    """One-shot pruning to the levels that v1's text names: its full grid is not printed."""
    return one_shot(scale, arms, percents=V1_PERCENTS, **changes)


def figures() -> list[Figure]:
    both, controls = ("ticket", "reinit"), ("ticket", "reinit", "shuffle")
    v1_archs, v1_sd = [f"lenet-{w}" for w in V1_SIZES], {**V1, "init_sd": 0.05}  # v1 section 6.2 uses 0.05
    return [
        Figure("iclr-fig01", "iclr_2_lenet", "Random sparse networks against winning tickets (LeNet)",
               lambda s: iterative(s) + iterative(replace(s, replicates=2), ("random_sparsity",))),
        Figure("iclr-fig03", "iclr_2_lenet", "LeNet test accuracy over training",
               lambda s: iterative(s, rounds=[r for r in (3, 7, 12, 15, 18) if r <= s.rounds])
               + iterative(s, ("reinit",), rounds=(3, 7)), further=MORE),
        Figure("iclr-fig04", "iclr_2_lenet", "LeNet early stopping and accuracy, iterative pruning (panels a, b)",
               lambda s: iterative(s, both), further=MORE),
        Figure("iclr-fig04c", "iclr_2_lenet", "LeNet early stopping and accuracy, one-shot beside iterative pruning",
               lambda s: iterative(s) + one_shot(s, both), published=ONE_REDRAW),
        Figure("iclr-fig09", "iclr_b_iterative_strategies", "Resetting against continued training",
               lambda s: iterative(s) + iterative(s, ("continued", "ticket"), each={"search": "continued"})),
        Figure("iclr-fig11", "iclr_cd_early_stopping", "Validation loss over training",
               lambda s: iterative(s, rounds=[r for r in (3, 7, 12, 15, 18, 22) if r <= s.rounds]),
               quick=QUICK_STOP),
        Figure("iclr-fig12", "iclr_cd_early_stopping", "Training accuracy at early stopping and at the end",
               lambda s: iterative(s, both) + one_shot(s, both), published=ONE_REDRAW,
               quick=QUICK_STOP),
        Figure("iclr-fig14", "iclr_e_random_sparsity", "Tickets, reinits and random sparse networks (LeNet)",
               lambda s: iterative(s, ("ticket", "reinit", "random_sparsity")), published=ONE_REDRAW),
        Figure("iclr-fig15", "iclr_f_examining", "Initial weights of tickets (Adam)", opened,
               masks=True, trained=(0,)),
        Figure("iclr-fig16", "iclr_f_examining", "Initial weights of tickets (SGD)", lambda s: opened(s, **SGD),
               masks=True, trained=(0,)),
        Figure("iclr-fig17", "iclr_f_examining", "Weights redrawn from the ticket's own initial distribution",
               lambda s: iterative(s, ("ticket", "reinit", "reinit_from_ticket")), published=ONE_REDRAW),
        Figure("iclr-fig18", "iclr_f_examining", "Magnitude pruning before training",
               lambda s: iterative(s, ("ticket", "reinit", "prune_at_init"))),
        Figure("iclr-unplotted-f3-sgd", "iclr_f_examining", "The same with SGD (told in the text, not drawn)",
               lambda s: iterative(s, (*both, "reinit_from_ticket"), **SGD), published=ONE_REDRAW,
               published_rows=lambda s: iterative(s, (*both, "reinit_from_ticket"), rounds=SGD_LEVELS, **SGD),
               quick_rows=lambda s: iterative(s, (*both, "reinit_from_ticket"), rounds=F_LEVELS, **SGD)),
        Figure("iclr-unplotted-f4-sgd", "iclr_f_examining", "Pruning before training with SGD (told, not drawn)",
               lambda s: iterative(s, (*both, "prune_at_init"), **SGD), published=ONE_REDRAW,
               published_rows=lambda s: iterative(s, (*both, "prune_at_init"), rounds=SGD_LEVELS, **SGD),
               quick_rows=lambda s: iterative(s, (*both, "prune_at_init"), rounds=F_LEVELS, **SGD)),
        Figure("iclr-fig19", "iclr_f_examining", "How far weights move, in and outside the ticket",
               lambda s: opened(s, rounds=(8,))),
        Figure("iclr-fig20", "iclr_f_examining", "Movement away from zero, in and outside the ticket",
               lambda s: opened(s, rounds=(8,))),
        Figure("iclr-fig21", "iclr_f_examining", "Incoming connections of each unit (Adam)", opened),
        Figure("iclr-fig22", "iclr_f_examining", "Incoming connections of each unit (SGD)",
               lambda s: opened(s, **SGD)),
        Figure("iclr-fig23", "iclr_f_examining", "Outgoing connections of each unit (Adam), and their map", iterative),
        Figure("iclr-fig24", "iclr_f_examining", "Outgoing connections of each unit (SGD)",
               lambda s: opened(s, **SGD)),
        Figure("iclr-fig25", "iclr_f_examining", "Noise added to a ticket's initial weights",
               lambda s: iterative(s, both) + [r for x in (0.5, 1, 2, 3) for r in iterative(
                   replace(s, replicates=1), ("noise",), each={"sigma": x},
                   rounds=range(1, s.rounds + 1, s.noise_every))],
               published=Scale(noise_every=2), quick=replace(QUICK, noise_every=4)),
        Figure("iclr-fig26", "iclr_g_lenet_hyperparameters", "Adam learning rates",
               sweep("lr", (2.5e-5, 5e-5, 2e-4, 8e-4, 1.2e-3, 2e-3, 3.2e-3, 6.4e-3)), G, published=G_SHORT,
               quick=QUICK_G, quick_rows=sweep("lr", (2e-4, 1.2e-3, 6.4e-3))),
        Figure("iclr-fig27", "iclr_g_lenet_hyperparameters", "SGD learning rates",
               sweep("lr", (0.003125, 0.00625, 0.0125, 0.025, 0.1, 0.4, 0.8, 1.2), optimizer="sgd"), G,
               published=G_SHORT, quick=QUICK_G, quick_rows=sweep("lr", (0.025, 0.4, 1.2), optimizer="sgd")),
        Figure("iclr-fig28", "iclr_g_lenet_hyperparameters", "Momentum learning rates",
               sweep("lr", (0.003125, 0.0125, 0.025, 0.05, 0.1, 0.2, 0.4), optimizer="momentum"), G, published=G_SHORT,
               quick=QUICK_G, quick_rows=sweep("lr", (0.0125, 0.05, 0.4), optimizer="momentum")),
        Figure("iclr-fig29", "iclr_g_lenet_hyperparameters", "Pruning rates",
               lambda s: [r for p in (0.1, 0.2, 0.4, 0.6, 0.8) for r in iterative(
                   s, rate=p, rounds=rounds_down_to(p, 0.8**s.rounds))], G, published=G_SHORT,
               quick=QUICK_G, quick_rows=lambda s: [r for p in (0.2, 0.4, 0.8) for r in iterative(
                   s, rate=p, rounds=rounds_down_to(p, 0.8**s.rounds))]),
        Figure("iclr-fig30", "iclr_g_lenet_hyperparameters", "Initial standard deviations",
               lambda s: iterative(s) + [r for sd in (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4) for r in iterative(
                   s, init="truncated", init_sd=sd)], G, published=G_SHORT,
               quick=QUICK_G, quick_rows=lambda s: iterative(s) + [r for sd in (0.025, 0.1, 0.4) for r in iterative(
                   s, init="truncated", init_sd=sd)]),
        Figure("iclr-fig31", "iclr_g_lenet_hyperparameters", "Network sizes",
               sweep("arch", [f"lenet-{w}" for w in SIZES]), G, published=G_SHORT,
               quick=QUICK_G, quick_rows=sweep("arch", ("lenet-100-34", "lenet-300-100", "lenet-500-167"))),
        Figure("v1-fig03", "v1_3_mnist_oneshot", "Test accuracy over training, one-shot tickets",
               lambda s: named_levels(s, **V1), V1_SCALE,
               further=V1_MORE, quick=QUICK_V1, quick_rows=lambda s: one_shot(s, percents=QUICK_PERCENTS, **V1)),
        Figure("v1-fig04", "v1_3_mnist_oneshot", "Tickets against reinitialised copies over training",
               lambda s: one_shot(s, both, percents=(25, 65), **V1), V1_SCALE, further=V1_MORE,
               quick=QUICK_V1),
        Figure("v1-fig05", "v1_3_mnist_oneshot", "Convergence and accuracy against size, one-shot",
               lambda s: named_levels(s, both, **V1), V1_SCALE, further=V1_MORE,
               quick=QUICK_V1, quick_rows=lambda s: one_shot(s, both, percents=QUICK_PERCENTS, **V1)),
        Figure("v1-fig06", "v1_3_mnist_oneshot", "One-shot tickets against both controls",
               lambda s: named_levels(s, controls, **V1), V1_SCALE, further=V1_MORE,
               quick=QUICK_V1, quick_rows=lambda s: one_shot(s, controls, percents=QUICK_PERCENTS, **V1)),
        Figure("v1-fig07", "v1_4_mnist_iterative", "One-shot against iterative pruning",
               lambda s: iterative(s, **V1) + named_levels(s, **V1), V1_SCALE, further=V1_MORE,
               quick=QUICK_V1, quick_rows=lambda s: iterative(s, **V1) + one_shot(s, percents=QUICK_PERCENTS, **V1)),
        Figure("v1-fig08", "v1_4_mnist_iterative", "Iterative tickets against both controls",
               lambda s: iterative(s, controls, **V1) + named_levels(s, **V1), V1_SCALE, published=V1_ONE,
               quick=QUICK_V1, quick_rows=lambda s: iterative(s, **V1) + one_shot(s, percents=QUICK_PERCENTS, **V1)
               + iterative(s, controls, rounds=(3, 6, 9), **V1)),
        Figure("v1-fig09", "v1_5_examining", "Initial weights of tickets",
               lambda s: opened(s, rounds=V1_LEVELS, **V1), V1_TEN, published=V1_SCALE, quick=QUICK_V1,
               masks=True, trained=(0, 3)),
        Figure("v1-fig10", "v1_5_examining", "Connections of each unit",
               lambda s: opened(s, rounds=(1, 8, 13), **V1), V1_TEN, published=V1_SCALE, quick=QUICK_V1),
        Figure("v1-fig11", "v1_6_parameters", "Initial standard deviations of 0.1 and above",
               sweep("init_sd", (0.1, 0.2, 0.4, 0.8), named_levels, **V1), V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP, quick_rows=sweep("init_sd", (0.1, 0.4), one_shot, percents=(45, 75), **V1)),
        Figure("v1-fig12", "v1_6_parameters", "Initial standard deviations of 0.1 and below",
               sweep("init_sd", (0.1, 0.05, 0.025, 0.0125), named_levels, **V1), V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP, quick_rows=sweep("init_sd", (0.1, 0.025), one_shot, percents=(45, 75), **V1)),
        Figure("v1-fig13", "v1_6_parameters", "Network sizes, one-shot",
               sweep("arch", v1_archs, named_levels, **v1_sd), V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP, quick_rows=sweep("arch", v1_archs[:2], one_shot, percents=(45, 75), **v1_sd)),
        Figure("v1-fig14", "v1_6_parameters", "Network sizes, iterative",
               sweep("arch", v1_archs, **v1_sd), V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP, quick_rows=sweep("arch", v1_archs[:2], **v1_sd)),
        Figure("v1-fig15", "v1_6_parameters", "Iterative pruning rates",
               lambda s: [r for p in (0.1, 0.2, 0.3, 0.5, 0.7) for r in iterative(
                   s, rate=p, rounds=rounds_down_to(p, 0.05), **V1)], V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP, quick_rows=lambda s: [r for p in (0.2, 0.5, 0.7) for r in iterative(
                   s, rate=p, rounds=rounds_down_to(p, 0.8**s.rounds), **V1)]),
        Figure("v1-fig16", "v1_6_parameters", "Resetting against continued training",
               lambda s: iterative(s, **V1) + iterative(s, ("continued", "ticket"), each={"search": "continued"}, **V1),
               V1_SCALE, published=V1_SHORT,
               quick=QUICK_V1_SWEEP),
        Figure("beyond-rates", "beyond_rates", "Tickets at nine pruning rates, one-shot and iterative",
               lambda s: every_rate(s, ("ticket",)), published=RATES, quick=QUICK_G,
               quick_rows=lambda s: every_rate(s, ("ticket",), rates=(20, 50, 80), down_to=0.05)),
        Figure("beyond-rates-controls", "beyond_rates", "Three controls at nine pruning rates, one-shot and iterative",
               every_rate, published=RATES, quick=QUICK_G,
               quick_rows=lambda s: every_rate(s, ("ticket", "reinit"), rates=(20, 50, 80), down_to=0.05)),
        Figure(MORE, "beyond_trials", "Tickets and one redraw of each, in more trials",
               lambda s: iterative(s, both), TWENTY),
        Figure(V1_MORE, "beyond_trials", "Version 1's tickets and one redraw of each, in more trials",
               lambda s: iterative(s, **V1) + named_levels(s, controls, **V1), V1_FIFTEEN, quick=QUICK_V1,
               quick_rows=lambda s: one_shot(s, controls, percents=QUICK_PERCENTS, **V1) + iterative(s, **V1)),
        Figure("beyond-rescale", "beyond_commentaries", "Initial weights enlarged for the smaller layers",
               lambda s: iterative(s, both) + iterative(s, both, rounds=some_rounds(s), each={"rescale": 0.5})),
        Figure("beyond-signs", "beyond_commentaries", "Signs and magnitudes of a ticket's initial weights",
               lambda s: iterative(s, both)
               + iterative(s, ("signs", "random_signs", "reinit_signs"), rounds=some_rounds(s)), published=BEYOND),
        Figure("beyond-rewind", "beyond_commentaries", "Rewinding to early weights instead of initial ones",
               lambda s: iterative(s, both) + iterative(s, each={"rewind": max(100, s.iterations // 100)}),
               published=BEYOND),
        Figure("beyond-mistakes", "beyond_mistakes", "What common mistakes in reimplementations would conclude",
               mistaken, published=replace(FIRST, replicates=1),
               quick_rows=lambda s: mistaken(s, ("signed", "rewound_first", "not_rewound", "unmasked"))),
    ]  # fmt: skip


def some_rounds(scale: Scale) -> range:
    """Every second round from 4 (41% of LeNet's weights) on: controls of an existing chain need no round between."""
    return range(4, scale.rounds + 1, 2)


def every_rate(
    scale: Scale,
    arms: Iterable[str] = ("ticket", "reinit", "shuffle", "random_sparsity"),
    rates: Iterable[int] = range(10, 100, 10),
    down_to: float = 0.01,
) -> list[Spec]:
    """Iterative pruning by each rate (in percent a round) until about `down_to` of the weights remain, and one cut to
    each of the same sizes that a rate of 20% passes."""
    kept = rounds_down_to(0.2, down_to)
    rows = [r for p in rates for r in iterative(scale, arms, rate=p / 100, rounds=rounds_down_to(p / 100, down_to))]
    return rows + one_shot(scale, arms, percents=[round(100 * (1 - 0.8**r), 1) for r in kept if r % 2 == 0])


def opened(scale: Scale, *, rounds: Iterable[int] = F_LEVELS, **changes: Any) -> list[Spec]:
    """Unpruned networks, and the tickets of a few rounds whose weights and masks a figure opens."""
    return iterative(scale, rounds=[r for r in rounds if r <= scale.rounds], **changes)


def mistaken(scale: Scale, names: Iterable[str] = MISTAKES) -> list[Spec]:
    """The method and each mistake, tickets beside the control that the same code would train. Where a mistake's masks
    need no chain of their own, and for controls, every second round."""
    rows = iterative(scale, ("ticket", "reinit"))
    for name in names:
        chain = None if name not in ("rewound_first", "other_trial") else some_rounds(scale)
        rows += iterative(scale, rounds=chain, each={"search": name})
        if name != "own_masks":  # is itself the control
            rows += iterative(scale, ("reinit",), rounds=some_rounds(scale), each={"search": name})
    return rows
