"""Figures and tables of the XOR page, from the networks that it trains."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lth_companion import html
from lth_companion.experiments import xor
from lth_companion.experiments.xor_page import RATES, Page
from lth_core import plot
from lth_core.plot import Html

WORDS = {"right": "right boundary", "zero": "zero loss"}
GROUPS = ("A: all four told apart", "B: a pair looks alike", "C: three look alike", "D: all four look alike")
BEST = "iterative product"
BLIND = "iterative random"
# strategy: (its look, its name in the figure)
STRATEGIES = {
    "one-shot product": ("ticket", "one-shot, product"), "iterative input": ("ticket", "iterative, input"),
    "iterative output": ("ticket", "iterative, output"), BEST: ("ticket", "iterative, product"),
    BLIND: ("random_pruning", "blind pruning"), "reinit": ("reinit", "reinit"),
}  # fmt: skip
TIES, LIMITS = np.logspace(-7, -1, 25), np.linspace(0.005, 0.68, 136)
FIGURE1 = xor.PRINTED["random networks"]
UNDECIDED = 0.08  # logits: an answer between 0.48 and 0.52


# --- Where training ends ----------------------------------------------------------------------------------------------


def decision_map(ax: Axes, net: xor.Weights) -> None:
    """What one network `(parameter, 1)` answers. Shade: how sure of class 1; blue: undecided."""
    blue, side = plot.COLORS["ticket"], np.linspace(-0.3, 1.3, 81)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2)
    z, answers = (xor.logits(net, points)[:, 0] for points in (grid, xor.POINTS))
    shades = ((UNDECIDED, 1.1, plot.INK, 0.15), (1.1, 1e9, plot.INK, 0.35), (-UNDECIDED, UNDECIDED, blue, 0.35))
    for low, high, color, alpha in shades:
        ax.contourf(side, side, z.reshape(81, 81), [low, high], colors=[color], alpha=alpha)
    for point, target, answer in zip(xor.POINTS, xor.CLASSES, answers, strict=True):
        ax.plot(*point, "o", ms=8, mfc=plot.INK if target else plot.PAGE, mec=plot.INK)
        sign = "?" if abs(answer) < UNDECIDED else "✓" if (answer > 0) == target else "✗"
        ax.annotate(sign, point, (0, 8), textcoords="offset points", ha="center", fontweight="bold")
    ax.set(xticks=[0, 1], yticks=[0, 1], aspect="equal", xlim=(-0.3, 1.3), ylim=(-0.3, 1.4))
    ax.grid(False)


def examples(page: Page, weights: xor.Weights, group: int) -> NDArray:
    """Networks of a group, such that look different first; in group D all answer the same."""
    members = page.two[page.two.cluster == group].trial.to_numpy()
    if group == 3:
        return members
    looks = np.sign(xor.logits(weights, np.array([*xor.POINTS, (0.5, 0.5)])).round(1)).astype(int).T
    return members[np.sort(np.unique(looks[members], axis=0, return_index=True)[1])]


def clusters(page: Page) -> Html:
    """Decision maps of eight two-unit networks above a histogram of all their losses."""
    trials = page.study.trials
    weights = xor.train(xor.initial(trials, 2, page.study.seed), page.iterations, page.lr)
    fig, axes = plot.canvas(3, 4, height=6.4, gridspec_kw={"height_ratios": [1, 1, 0.95]})
    for c, name in enumerate(GROUPS):
        chosen = examples(page, weights, c)
        axes[0, c].set_title(name, fontsize=9)
        for row, ax in enumerate(axes[:2, c]):
            if row < len(chosen):
                decision_map(ax, weights[:, [chosen[row]]])
            else:
                ax.set_axis_off()
    for ax in axes[2]:
        ax.remove()
    losses(fig.add_subplot(axes[0, 0].get_gridspec()[2, :]), page)
    stray = np.abs(page.two.loss - np.take(xor.CLUSTERS, page.two.cluster)).max()
    return plot.show(
        fig,
        name="v1-xor-clusters",
        alt="Decision maps of eight trained two-unit networks, two for each place where training ends, above a "
        "histogram of their final losses. The losses form four separate spikes: "
        + ", ".join(f"{page.share[c]:.0%} of the networks near {xor.CLUSTERS[c]:.2f}" for c in range(4))
        + ". In the first group all four points are on their side; in the others, two, three or all four points lie on "
        "one plateau and get the same answer.",
        caption=f"<strong>Training ends in one of four places.</strong> Top: eight of {trials:,} two-unit networks "
        "after training. Filled points belong to class 1, hollow ones to class 0; the stronger the grey, the surer "
        "the network is of class 1; blue is where it is undecided. Bottom: the loss of all of them. No loss is farther "
        f"than {stray:.4f} from that of its group.",
        made=page.made,
    )


def losses(ax: Axes, page: Page) -> None:
    ax.hist(page.two.loss, list(np.linspace(0, 0.72, 145)), color=plot.COLORS["ticket"])
    for c, share in page.two.cluster.value_counts(normalize=True).items():
        place = (xor.CLUSTERS[c], share * page.study.trials)
        ax.annotate(f"{'ABCD'[c]}: {share:.0%}", place, (0, 3), textcoords="offset points", ha="center")
    ax.set(xlabel="loss at the end of training (mean cross-entropy)", ylabel="networks", xlim=(-0.03, 0.74))
    ax.margins(y=0.15)


# --- Figures 1 and 2 --------------------------------------------------------------------------------------------------


def figure1(page: Page) -> Html:
    """v1 Figure 1: success against hidden units."""
    fig, axes = plot.canvas(1, 2, height=3.1, sharey=True)
    for ax, success, title in zip(axes, WORDS, ("right decision boundary", "zero loss"), strict=True):
        r = page.rates[page.rates.success == success]
        look: dict[str, Any] = dict(marker="o", linestyle="-", linewidth=1.2, label="random networks, measured")
        plot.line(ax, r.hidden, r.measured, r.low, r.high, arm="unpruned", **look)
        plot.printed(ax, r.hidden, r.paper)
        ax.set(title=title, xlabel="hidden units", xticks=xor.HIDDEN, ylim=(0, 102), xlim=(1.3, 10.7))
    axes[0].set_ylabel("percent of networks")
    axes[0].legend(loc="lower right")
    return plot.show(
        fig,
        name="v1-fig01",
        alt="Two line charts of success against hidden units, with the paper's points on or beside the measured ones. "
        f"Right boundary rises from {page.at['right', 2]:.0f} percent at two units to {page.at['right', 10]:.0f} at "
        f"ten; zero loss from {page.at['zero', 2]:.0f} to {page.at['zero', 10]:.0f}.",
        caption="<strong>v1 Figure 1.</strong> Look at how steep the way from two to ten is: width is what makes "
        "training succeed, although two units could do the job. Bars are 95% intervals.",
        made=page.made,
    )


def table1(page: Page) -> Html:
    """Printed and measured rates of random networks."""
    rows = page.rates
    named = rows.assign(quantity=[f"{r.hidden} units, {WORDS[r.success]}" for r in rows.itertuples()])
    return html.versus(named, caption="v1 Figure 1, percent of random networks")


def curves(page: Page) -> Html:
    """Success of tickets and controls against hidden units left."""
    lines = {BEST: "winning tickets", BLIND: "blind pruning", "reinit": "reinit: fresh weights"}
    fig, axes = plot.canvas(1, 2, height=3.4, sharey=True)
    for ax, success in zip(axes, WORDS, strict=True):
        for strategy, label in lines.items():
            r = of(page.ticket_rates, strategy=strategy, success=success)
            plot.line(ax, r.hidden, r.measured, r.low, r.high, arm=STRATEGIES[strategy][0], label=label)
            if strategy in xor.PRINTED:
                plot.printed(ax, r.hidden, r.paper, "printed: winning tickets")
        ax.set(title=WORDS[success], xlabel="hidden units left", xticks=xor.HIDDEN, ylim=(0, 102), xlim=(10.6, 1.4))
    axes[0].set_ylabel("percent of trials")
    axes[0].legend(loc="lower left")
    return plot.show(
        fig,
        name="v1-fig02-curves",
        alt="Success against hidden units left, from ten to two. Winning tickets stay near the top: "
        f"{page.left[BEST, 'zero']:.0f} percent reach zero loss with two units. Blind pruning falls to "
        f"{page.left[BLIND, 'zero']:.0f} percent and fresh weights to {page.left['reinit', 'zero']:.0f}.",
        caption="<strong>Tickets keep what random choices lose.</strong> All three lines end with two hidden units. "
        "What differs is which units were kept and with which initial weights. Parent and ticket must both succeed, "
        "as in the paper; percent of all trials; iterative pruning by magnitude product.",
        made=page.made,
    )


def of(rates: pd.DataFrame, **fields: object) -> pd.DataFrame:
    """Rows of `xor.rates` with these fields."""
    for name, value in fields.items():
        rates = rates[rates[name] == value]
    return rates


def figure2(page: Page) -> Html:
    """v1 Figure 2: every strategy at four and at two units."""
    fig, axes = plot.canvas(2, 2, height=4.6, sharex=True, sharey=True)
    for row, hidden in zip(axes, (4, 2), strict=True):
        for ax, success in zip(row, WORDS, strict=True):
            r = of(page.ticket_rates, hidden=hidden, success=success).set_index("strategy")
            for y, (strategy, (arm, _)) in enumerate(STRATEGIES.items()):
                ax.hlines(y, r.low[strategy], r.high[strategy], color=plot.COLORS[arm], linewidth=2.2, alpha=0.55)
                ax.plot(r.measured[strategy], y, plot.MARKERS[arm], color=plot.COLORS[arm], mec=plot.PAGE, mew=0.7)
            plot.printed(ax, r.paper[list(STRATEGIES)], range(len(STRATEGIES)), "printed")
            ax.set(title=f"{hidden} units left: {WORDS[success]}", xlim=(0, 102))
    axes[0, 0].set(yticks=range(6), yticklabels=[label for _, label in STRATEGIES.values()], ylim=(5.6, -0.6))
    for ax in axes[1]:
        ax.set_xlabel("percent of trials")
    return plot.show(
        fig,
        name="v1-fig02",
        alt="Success of each pruning strategy at four and at two units. At four units measured and printed values "
        "nearly coincide. At two units the printed values of the four magnitude strategies scatter and lie to the "
        "left of the measured ones, which lie together; blind pruning and fresh weights are far to the left of both.",
        caption="<strong>v1 Figure 2.</strong> Hollow diamonds are the paper's numbers. Look at two units: the four "
        "magnitude strategies scatter in the paper and lie together here. Blind pruning and reinit are our controls "
        "and have no printed value.",
        made=page.made,
    )


def table2(page: Page) -> Html:
    """Printed and measured rates of tickets."""
    rows = page.ticket_rates[page.ticket_rates.paper.notna()]
    named = [f"{r.strategy}, {r.hidden} units, {WORDS[r.success]}" for r in rows.itertuples()]
    caption = "v1 Figure 2, percent of all trials in which parent and ticket succeed"
    return html.versus(rows.assign(quantity=named), caption=caption)


# --- How much hangs on the inferred definitions ----------------------------------------------------------------------


def sensitivity(page: Page) -> Html:
    """Figure 1's rates as each inferred definition moves."""
    fig, axes = plot.canvas(1, 3, height=3.3, sharey=True)
    for hidden in xor.HIDDEN:
        nets, ours = page.nets[page.nets.hidden == hidden], {"color": plot.INK, "linewidth": 1.3}
        by_tie = [100 * xor.judge(nets, tie=t).right.mean() for t in TIES]
        by_rate = [100 * t[t.hidden == hidden].zero.mean() for t in page.sweep.values()]
        axes[0].plot(TIES, by_tie, **ours)
        axes[1].plot(LIMITS, [100 * xor.judge(nets, zero_loss=z).zero.mean() for z in LIMITS], **ours)
        axes[2].plot(RATES, by_rate, marker="o", ms=4, **ours)
        place = (TIES[0], by_tie[0])
        axes[0].annotate(f"{hidden}", place, (-3, -3), textcoords="offset points", ha="right", fontsize=8)
        for ax, x, y in zip(axes, (xor.TIE, xor.ZERO_LOSS, page.lr), (0, 1, 1), strict=True):
            plot.printed(ax, [x], [FIGURE1[hidden][y]])
    axes[0].set(xscale="log", xlabel="tie tolerance (logit)", title="right boundary", ylabel="percent of networks")
    axes[0].set(ylim=(0, 102), xlim=(2e-8, 0.2), xticks=[1e-6, 1e-4, 1e-2])
    axes[1].set(xlabel="loss counted as zero", title="zero loss")
    axes[2].set(xscale="log", xlabel="learning rate", title="zero loss")
    axes[2].set(xticks=[0.02, 0.1, 1], xticklabels=["0.02", "0.1", "1"])
    axes[2].minorticks_off()
    return plot.show(
        fig,
        name="v1-xor-sensitivity",
        alt="Success rates of the five network sizes as each inferred choice moves. The boundary rate climbs with the "
        "tie tolerance between one millionth and one thousandth, and the paper's five values meet it near the chosen "
        "tolerance. The zero-loss rate is flat for every threshold between the first and the second loss cluster, and "
        "flat in the learning rate.",
        caption="<strong>One of the three matters.</strong> One line for each size, ten units at the top; diamonds "
        "are the paper's values, drawn at our choice. Left: the tie tolerance decides how much of groups B and D "
        "counts as right. Middle: the loss threshold decides nothing between the clusters. Right: neither does the "
        "learning rate.",
        made=page.made,
    )


def miss(nets: pd.DataFrame, success: str) -> float:
    """The largest distance, in points, of Figure 1's measured rates from the printed ones. Columns: hidden, success."""
    printed = pd.Series({h: values[list(WORDS).index(success)] for h, values in FIGURE1.items()})
    return (100 * nets.groupby("hidden")[success].mean() - printed).abs().max()


def learning_rates(page: Page) -> Html:
    """Figure 1's misses and Figure 2's two-unit tickets at other learning rates."""
    rows = []
    for rate, nets in page.sweep.items():
        by_tie = {t: miss(xor.judge(nets, tie=t), "right") for t in TIES}
        best = min(by_tie, key=lambda t: by_tie[t])
        left = [f"{page.tickets_at[rate][f'iterative {c}']:.1f}%" for c in ("input", "output", "product")]
        rows.append((f"{rate:g}", f"{miss(nets, 'zero'):.1f}", f"{best:.0e}", f"{by_tie[best]:.1f}", *left))
    head = ["learning rate", "zero loss: largest miss", "best tie tolerance", "boundary: largest miss"]
    head += [f"two-unit tickets, {c}" for c in ("input", "output", "product")]
    caption = "Figure 1's misses in points, and Figure 2's two-unit zero-loss rates, at other learning rates"
    return Html(as_pandas(pd.DataFrame(rows, columns=head), caption), "learning rates")


def as_pandas(table: pd.DataFrame, caption: str = "") -> str:
    text = table.to_html(index=False, border=0, classes="table", justify="left")
    return text.replace("<thead>", f"<caption>{caption}</caption><thead>", 1) if caption else text


def solutions(sizes: tuple[float, ...] = (1, 2, 10, 100)) -> Html:
    """The paper's own two-unit solution at several n: its answers, whether they are right, and the loss."""
    nets = {n: xor.solution(n) for n in sizes}
    answers = {n: (1 / (1 + np.exp(-xor.logits(w)[:, 0]))).round(4) for n, w in nets.items()}
    table = pd.DataFrame(answers, index=[f"answer at ({x}, {y})" for x, y in xor.POINTS]).T
    table["right"] = ["yes" if xor.judge(xor.outcome(w)).right.all() else "no" for w in nets.values()]
    table["loss"] = [f"{xor.outcome(w).loss[0]:.2g}" for w in nets.values()]
    return Html(as_pandas(table.rename_axis("n").reset_index()), "solution")
