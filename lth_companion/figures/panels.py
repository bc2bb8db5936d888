"""Figures of a section in one call each: lines against size, curves over training, gaps between arms.

Each takes the figure's id and says what to draw as queries (`levels.select`): label → (look, fields). The words after
these are those of a `figure_sheet.View`. Where networks lack, the box of `captions.measured` says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import BARS, HALF, Picture, again, measured
from lth_companion.figures.figure_sheet import (
    Drawing,
    Panel,
    Sheet,
    View,
    at_home,
    legend_above,
    picture,
    table_of,
    width,
)
from lth_companion.figures.one_panel import DOTTED, SECOND, Lines, at, draw, linear, style, under_best, zoom
from lth_companion.figures.vocabulary import AXES, FIELDS, SHADES, X, axis_of, is_time, levelled, namer, natural
from lth_core import analyse, plot
from lth_core.data import EVALUATED
from lth_core.levels import select

__all__ = ["SECOND", "Lines", "Series", "against_size", "each", "gaps", "over_training", "sweep"]

Series = tuple[str, dict[str, Any], str]  # (label, fields, look: an arm, or "level" for a shade per level)
Pairs = dict[str, tuple[str, dict[str, Any], dict[str, Any]]]  # label: (look, one side, the other)


@measured
def against_size(study: Study, figure: str, columns: list[str], shown: Lines, **words: Any) -> Picture:
    """One panel a column, one line a query, against how much of the network remains."""
    view = View(**words)
    table, home = table_of(study, figure, view), at_home(study, figure)

    def panel(column: str, ax: Axes) -> Drawing:
        drawing = draw(ax, table, column, shown, figure, view)
        if home:
            zoom(ax, table, column, 0.02 if view.below is None else view.below)
        if column == "converged":
            ax.set_ylim(-0.03, 1.05)
        return drawing

    rows = 2 if len(columns) == 4 else 1
    wide = len(columns) // rows
    sheet = Sheet(
        panels=[Panel(AXES[c], partial(panel, c)) for c in columns],
        networks=table,
        wide=wide,
        size=(width(wide), 3.2 * rows),
        opens=f"Values (at {X[view.x]}):",
        notes=[BARS.replace("trial;", "trial, as in the paper;"), HALF if converging(columns) else ""],
    )
    return picture(sheet, view, figure)


def converging(columns: list[str]) -> bool:
    """Whether panels show v1's convergence, which not every network reaches."""
    return any(c.startswith("convergence") for c in columns)


@measured
def sweep(
    study: Study, figure: str, field: str, columns: list[str], called: Callable[[Any], str] | None = None, **words: Any
) -> Picture:
    """One line a value of `field` (a column of the spec), blue to red with rising value; `called` makes its label.

    Accuracies are shown down to `below` under the best one."""
    view = View(**{"below": 0.03, "reference": False, **words})
    table, home = table_of(study, figure, view), at_home(study, figure)
    values = sorted(table.loc[table["round"] > 0, field].unique(), key=natural)
    label, below = called or namer(field), view.below or 0.0
    looks = [{**style(i, len(values)), "band": False} for i in range(len(values))]
    shown: Lines = {label(v): ("ticket", {field: v}, look) for v, look in zip(values, looks, strict=True)}

    def panel(column: str, ax: Axes) -> Drawing:
        drawing = draw(ax, table, column, shown, figure, view)
        if home and not is_time(column):
            means = table.groupby([field, "percent"])[column].mean()
            under_best(ax, means, below, least=table[column].min() - below / 12)
        if not ax.lines:
            ax.text(0.5, 0.5, "no network converges", transform=ax.transAxes, ha="center")
        return drawing

    def above(fig: Figure, axes: Sequence[Axes]) -> None:
        legend_above(fig, axes, title=FIELDS.get(field, field), title_fontsize=8, ncols=1 + 2 * len(columns))

    sheet = Sheet(
        panels=[Panel(AXES[c], partial(panel, c)) for c in columns],
        networks=table,
        wide=len(columns),
        size=(4 * len(columns), 3.6),
        opens=f"Values at {X[view.x]}, one line per {FIELDS.get(field, field)}:",
        notes=["Bars: smallest and largest trial.", HALF if converging(columns[:1]) else ""],
        legend=above,
    )
    return picture(sheet, view, figure)


@measured
def each(study: Study, figure: str, column: str, shown: dict[str, Lines], **words: Any) -> Picture:
    """One column, one panel a title with its own lines; two panels a row, all with one y axis."""
    view = View(**{"below": 0.05, **words})
    table, home = table_of(study, figure, view), at_home(study, figure)

    def panel(title: str, ax: Axes) -> Drawing:
        drawing = draw(ax, table, column, shown[title], figure, view)
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelleft=True)
        if home:
            zoom(ax, table, column, view.below or 0.0)
        return drawing

    sheet = Sheet(
        panels=[Panel(title, partial(panel, title)) for title in shown],
        networks=table,
        wide=2,
        size=(7.2, 3.1 * -(-len(shown) // 2)),
        opens=f"{AXES[column].capitalize()} at {X['density']}:",
        notes=[BARS],
        sharey=True,
    )
    return picture(sheet, view, figure)


@again
def gaps(study: Study, figure: str, columns: list[str], pairs: Pairs, **words: Any) -> Picture:
    """Differences between two queries, level by level, paired by trial: label → (look, one, the other).

    Accuracies in points; iterations in percent of the other's. Bands are 95% t intervals of the mean."""
    view = View(**words)
    table, home = table_of(study, figure, view), at_home(study, figure)
    axis = axis_of(view.x)

    def panel(column: str, ax: Axes) -> Drawing:
        said = []
        for label, (look, *sides) in pairs.items():
            part = gap(table, column, axis, sides).rename(columns={axis: "x"}).sort_values("x", ascending=False)
            if len(part):
                plot.line(ax, part["x"], part["mean"], part["low"], part["high"], arm=look, band=True, label=label)
                said.append(f"{label}: {at(part, 1)}")
        if view.limits and home and not is_time(column):
            ax.set_ylim(*view.limits)
        ax.axhline(0, color=plot.INK, linewidth=1, linestyle=DOTTED)
        plot.percent_axis(ax, sorted({round(v, 3) for v in table[axis]}))
        if not view.log:
            linear(ax)
        ax.set_xlabel(X[view.x])
        what, _, where = AXES[column].partition(" at ")  # in two lines that fit beside a small panel
        worth = "percent later" if is_time(column) else "points above"
        ax.set_ylabel(f"{what}\nat {where}: {worth}" if where else f"{what}:\n{worth}")
        return Drawing(said)

    def of_several(fig: Figure, axes: Sequence[Axes]) -> None:
        if len(pairs) > 1 and len(axes[0].lines) > 1:
            axes[0].legend(fontsize=8)

    sheet = Sheet(
        panels=[Panel("", partial(panel, c)) for c in columns],
        networks=table,
        wide=len(columns),
        size=(width(len(columns)), 2.9),
        opens="Values:",
        notes=["Paired by trial, copies of a control averaged first; bands: 95% t interval."],
        legend=of_several,
    )
    return picture(sheet, view, f"{figure}-gaps")


def gap(table: pd.DataFrame, column: str, axis: str, sides: Sequence[dict[str, Any]]) -> pd.DataFrame:
    """Mean difference of two queries with its interval, a row a level. Columns: round, trial, the axis, the column."""
    pruned = table[table["round"] > 0]
    a, b = (select(pruned, **fields).groupby([axis, "trial"])[column].mean() for fields in sides)
    found = (100 * (a / b - 1) if is_time(column) else 100 * (a - b)).rename("gap").reset_index()
    return analyse.spread(found, "gap", [axis])


@measured
def over_training(
    study: Study, figure: str, shown: dict[str, list[Series]], *, value: str = "test", until: int = 15_000,
    mark: str = "", **words: Any,
) -> Picture:  # fmt: skip
    """Learning curves, one panel a title: mean of trials with the band of their smallest and largest value.

    - `shown`: title → lines (what follows a level in the legend, fields, the arm whose look it has, or "level": a
      colour a level, controls dashed)
    - `value`: test, train or val for that accuracy, or val_loss; drawn to iteration `until`
    - `mark`: stop_iteration or convergence_iteration: a dot where the mean lies, a bar from first to last trial
    """
    view = View(**words)
    table, home, axis = table_of(study, figure, view), at_home(study, figure), axis_of(view.x)
    curves = valued(levelled(study.curves(figure), study.data(figure)), value, study.data(figure))
    shades = level_shades(list(table.loc[table["round"] > 0, axis].round(2).unique()))
    last = min(until, int(curves["iteration"].max()))
    curves = curves[(curves["iteration"] > 0) & (curves["iteration"] <= last)]
    unit = 1 if value == "val_loss" else 100

    def panel(title: str, ax: Axes) -> Drawing:
        said, drawn = [], list[str]()
        for label, fields, look in shown[title]:
            one = select(curves, **fields)
            if one.empty:
                continue
            level = float(one[axis].iat[0].round(2))
            kind = "unpruned" if one["round"].iat[0] == 0 else look if look != "level" else "ticket"
            drawn.append(kind)
            styled = {"label": f"{level:.3g}{label}", "color": plot.COLORS[kind]}
            if kind != "unpruned" and look == "level":
                control = fields.get("arm", "ticket") != "ticket"
                styled |= {"color": shades[level], "linestyle": SHADES[1] if control else SHADES[0]}
            elif kind != "unpruned":
                styled["linestyle"] = SHADES[drawn.count(kind) - 1]
            mean = trained(ax, one, kind, styled)
            if mark:
                reached(ax, select(table, **fields)[mark].dropna(), mean, last, styled["color"])
            said.append(f"{title}, {level:.3g} percent{label}: {unit * mean.iat[-1]:.4g} at iteration {last:,}")
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("training iteration")
        plot.counted(ax.xaxis)
        if unit > 1:
            plot.in_percent(ax.yaxis)
        ax.legend(title="% remaining", fontsize=8, title_fontsize=8, ncols=2 if len(shown[title]) > 4 else 1)
        if view.limits and home:
            ax.set_ylim(*view.limits)
        elif value == "val_loss":
            ax.set_ylim(0, 4 * curves.groupby("iteration")["y"].mean().min())
        if title == next(iter(shown)):
            ax.set_ylabel("validation loss" if value == "val_loss" else f"{value} accuracy, %")
        return Drawing(said)

    sheet = Sheet(
        panels=[Panel("", partial(panel, title)) for title in shown],
        networks=table,
        wide=len(shown),
        size=(max(4.5, 3.1 * len(shown)), 3.5),
        opens="Values:",
        notes=["Lines: mean of the trials; bands: their smallest and largest value."],
        sharey=True,
        legend=lambda fig, axes: None,  # each panel has its own
    )
    return picture(sheet, view, figure)


def valued(curves: pd.DataFrame, value: str, dataset: str) -> pd.DataFrame:
    """Evaluations with the shown value as `y`. Columns: val_loss, or test_correct (train_, val_)."""
    if value == "val_loss":
        return curves.assign(y=curves["val_loss"])
    return curves.assign(y=curves[f"{value}_correct"] / EVALUATED[dataset][value])


def level_shades(levels: list[float]) -> dict[float, str]:
    """A colour per level, dense to sparse along `plot.SEQUENCE`."""
    n = max(1, len(levels) - 1)
    return {v: plot.SEQUENCE[round(i * (len(plot.SEQUENCE) - 1) / n)] for i, v in enumerate(sorted(levels)[::-1])}


def trained(ax: Axes, one: pd.DataFrame, arm: str, styled: dict[str, Any]) -> pd.Series:
    """One learning curve with its band; its mean by iteration. Columns: iteration, trial, y."""
    trials = one.groupby(["iteration", "trial"])["y"].mean().groupby("iteration").agg(["mean", "min", "max"])
    plot.line(ax, trials.index, trials["mean"], arm=arm, marker="", linewidth=1.5, **styled)
    ax.fill_between(trials.index, trials["min"], trials["max"], color=styled["color"], alpha=0.15, linewidth=0)
    return trials["mean"]


def reached(ax: Axes, when: pd.Series, mean: pd.Series, last: int, color: str) -> None:
    """A dot on a curve at the mean of the trials' iterations, and a bar over all of them, neither beyond `last`."""
    if len(when) and when.mean() <= last:
        y = float(np.interp(when.mean(), mean.index, mean))
        ax.hlines(y, when.min(), min(when.max(), last), color=color, linewidth=1.6)
        ax.plot(when.mean(), y, "o", color=color, markeredgecolor=plot.PAGE, markersize=7, zorder=5)
