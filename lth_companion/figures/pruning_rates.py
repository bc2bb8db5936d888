"""Is slow pruning worth it? What each pruning rate keeps, for the training that it takes to get there."""

from __future__ import annotations

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.axes import Axes
from matplotlib.ticker import EngFormatter, LogLocator, NullFormatter
from numpy.typing import NDArray

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import Picture, measured
from lth_companion.figures.figure_sheet import width
from lth_companion.figures.one_panel import DOTTED, style
from lth_companion.figures.vocabulary import AXES, NAMES, levelled
from lth_companion.html import signed
from lth_core import plot
from lth_core.analyse import mean_interval, spread

SIZES = (20.0, 5.0, 1.2)  # percent of the weights at which rates are compared


def chains(table: pd.DataFrame, arm: str = "ticket") -> pd.DataFrame:
    """Networks of an arm on each way down with `rate` (percent a round; 0: one cut) and `spent`: iterations of all
    trainings that the ticket took, from the unpruned network on. Columns needed: arm, round, prune_fc, percent,
    iterations."""
    tickets = table[(table["arm"] == arm) & (table["round"] > 0)]
    rates = sorted(tickets.loc[tickets["round"] > 1, "prune_fc"].unique())
    slow = tickets[tickets["prune_fc"].isin(rates)].assign(rate=lambda t: (100 * t["prune_fc"]).round(1))
    once = tickets[tickets["round"] == 1].assign(rate=0.0)
    made = pd.concat([slow, once], ignore_index=True)
    return made.assign(spent=(made["round"] + 1) * made["iterations"])


def at_size(found: pd.DataFrame, percent: float, column: str) -> pd.DataFrame:
    """Each rate's `column` at a size, by trial: columns rate, trial, spent, value. Between two rounds both are read off
    the straight line on the logarithmic axis of sizes; a way that does not reach from above to below is left out.

    A round counts whole: whoever prunes to a size between two rounds trains the last one to its end."""
    rows = []
    for (rate, trial), own in found.groupby(["rate", "trial"]):
        own = own.sort_values("percent")
        x: NDArray = np.log(own["percent"].to_numpy())
        if not x[0] <= np.log(percent) <= x[-1]:
            continue
        value = float(np.interp(np.log(percent), x, own[column]))
        spent = int(own.loc[own["percent"] <= percent * (1 + 1e-9), "spent"].min())
        rows.append({"rate": rate, "trial": trial, "spent": spent, "value": value})
    return pd.DataFrame(rows, columns=["rate", "trial", "spent", "value"])


def called(rate: float) -> str:
    return f"{rate:g}% a round" if rate else "one cut"


@measured
def worth(study: Study, figure: str, *, caption: str, column: str = "end_test") -> Picture:
    """Left: accuracy against size, one line a rate. Right: accuracy at some sizes against the training spent."""
    table = levelled(study.table(figure), study.data(figure))
    found = chains(table)
    whole = 100 * table.loc[table["round"] == 0, column].mean()
    fig, (left, right) = plot.canvas(1, 2, width=width(2), height=3.8)
    said = [against_size(left, found, column), against_training(right, found, column)]
    for ax in (left, right):
        ax.axhline(whole, label=NAMES["unpruned"], color=plot.INK, linewidth=1, linestyle=DOTTED)
        ax.set_ylabel(f"{AXES[column]}, %")
    left.set_ylim(max(whole - 4, 100 * found.groupby(["rate", "percent"])[column].mean().min() - 0.3), None)
    left.legend(fontsize=7.5, ncols=2, loc="lower left")
    right.legend(fontsize=8, loc="lower right")
    return Picture(
        fig=fig,
        networks=table,
        name=figure,
        alt=f"Left: {AXES[column]} against percent of weights remaining, one line a pruning rate. {said[0]} Right: the "
        f"same at some sizes against training iterations spent on the whole chain. {said[1]}",
        caption=f"<strong>{caption}</strong> Left: tickets of each rate. Right: each point is one rate, the fastest on "
        "the left; training counts from the unpruned network to the ticket, all rounds together. Sizes between two "
        "rounds are read off the line between them. Bars: smallest and largest trial.",
    )


@measured
def gains(study: Study, figure: str, pairs: dict[str, tuple[str, str]], *, caption: str) -> Picture:
    """One panel a pair of arms: how far the first lies above the second at the end of training, in points and paired by
    trial, at some sizes against the training that finding the ticket took."""
    table = levelled(study.table(figure), study.data(figure))
    fig, axes = plot.canvas(1, len(pairs), width=width(len(pairs)), height=3.4, squeeze=False, sharey=True)
    said = []
    for ax, (title, arms) in zip(axes.flat, pairs.items(), strict=True):
        one, other = (chains(table, arm) for arm in arms)
        for i, percent in enumerate(SIZES):
            keys = ["rate", "trial", "spent"]
            both = at_size(one, percent, "end_test").merge(at_size(other, percent, "end_test"), on=keys)
            if both.empty:
                continue
            own = spread(both.assign(gain=100 * (both["value_x"] - both["value_y"])), "gain", ["spent"])
            look = style(2 * i, 2 * len(SIZES) - 1)
            ax.vlines(own["spent"], own["min"], own["max"], color=look["color"], linewidth=2.2, alpha=0.55)
            ax.plot(own["spent"], own["mean"], label=f"{percent:g}% of the weights", **look)
            points = zip(own["spent"], own["mean"], strict=True)
            said.append(f"{title}, {percent:g}%: {', '.join(f'{m:.2f} for {s:,.0f}' for s, m in points)}.")
        ax.axhline(0, color=plot.INK, linewidth=1, linestyle=DOTTED)
        ax.set_title(title, fontsize=9)
        spending(ax)
    axes.flat[0].set_ylabel("points of test accuracy at the end")
    axes.flat[0].legend(fontsize=8)
    return Picture(
        fig=fig,
        networks=table,
        name=figure,
        alt=f"Differences in accuracy against training iterations spent on the whole chain. {signed(' '.join(said))}",
        caption=f"<strong>{caption}</strong> Each point is one rate, the fastest on the left. Bars: smallest to "
        "largest trial.",
    )


def spending(ax: Axes) -> None:
    """The x axis of training spent."""
    ax.set_xscale("log")
    ax.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.set_xlabel("training iterations of the whole chain")


def against_size(ax: Axes, found: pd.DataFrame, column: str) -> str:
    """One line a rate, and what they are at their smallest."""
    said = []
    rates = sorted(found["rate"].unique(), key=lambda r: r or 100)
    for i, rate in enumerate(rates):
        own = spread(found[found["rate"] == rate], column, ["percent"]).sort_values("percent", ascending=False)
        look = style(i, len(rates)) | ({} if rate else {"linestyle": (0, (5, 2)), "color": plot.INK})
        ax.plot(own["percent"], 100 * own["mean"], label=called(rate), **look)
        said.append(f"{called(rate)}: {100 * own['mean'].iat[-1]:.2f} at {own['percent'].iat[-1]:.2g}")
    plot.percent_axis(ax, sorted(found["percent"].round(2).unique()))
    return f"{'; '.join(said)}."


def against_training(ax: Axes, found: pd.DataFrame, column: str) -> str:
    """One line a size through the rates."""
    said = []
    for i, percent in enumerate(SIZES):
        read = at_size(found, percent, column)
        if read.empty:
            continue
        own = spread(read, "value", ["spent"]).sort_values("spent")
        look = style(2 * i, 2 * len(SIZES) - 1)
        x, mean, low, high = own["spent"], *(100 * own[c] for c in ("mean", "min", "max"))
        ax.vlines(x, low, high, color=look["color"], linewidth=2.2, alpha=0.55)
        ax.plot(x, mean, label=f"{percent:g}% of the weights", **look)
        said.append(f"{percent:g}%: {', '.join(f'{m:.2f} for {s:,.0f}' for s, m in zip(x, mean, strict=True))}")
    spending(ax)
    return f"{'; '.join(said)}."


def answer(study: Study, figure: str, *, percent: float = 5.0, slow: float = 20, fast: float = 70) -> Markdown:
    """In a sentence: what a slow rate has over a fast one at a size, paired by trial, and how much more training it
    took."""
    if study.lacking(figure):
        return Markdown("**Nothing on this page is measured yet.** These lines measure it.")
    found = chains(levelled(study.table(figure), study.data(figure)))
    read = at_size(found, percent, "end_test")
    rates = sorted(r for r in read["rate"].unique() if r)
    slow, fast = (min(rates, key=lambda r: abs(r - wanted)) for wanted in (slow, fast))
    by_trial = read.pivot(index="trial", columns="rate", values="value")
    gain = 100 * (by_trial[slow] - by_trial[fast]).to_numpy()
    low, high = mean_interval(gain)
    spent = read.groupby("rate")["spent"].mean()
    interval = f" (95% interval {low:+.2f} to {high:+.2f}, {len(gain)} trials)" if np.isfinite(low) else ""
    return Markdown(signed(
        f"**Is slow pruning worth it?** At {percent:g}% of the weights, tickets found by pruning {slow:g}% a round are "
        f"**{abs(gain.mean()):.2f} points {'more' if gain.mean() >= 0 else 'less'} accurate** at the end than those "
        f"found by {fast:g}% a round{interval}. They took "
        f"{spent[slow] / spent[fast]:.1f} times the training: {spent[slow]:,.0f} iterations against {spent[fast]:,.0f}."
    ))  # fmt: skip
