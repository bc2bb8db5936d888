"""Figures of a section in one call each: lines against size, curves over training, gaps between arms.

Each takes the figure's id and says what to draw as queries (`levels.select`): label → (look, fields). A figure whose
networks are not all measured is replaced by `figures.waiting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lth_core import analyse, figures, plot, points
from lth_core.data import EVALUATED
from lth_core.levels import select
from lth_core.study import Study

MARKERS = "osD^vP<>Xd"
SECOND: dict[str, Any] = dict(linestyle=(0, (5, 2)), markerfacecolor=plot.PAGE, markeredgecolor=plot.COLORS["ticket"])
Lines = dict[str, tuple[Any, ...]]  # label: (arm whose look it has, fields of its networks, perhaps more of matplotlib)
Series = tuple[str, dict[str, Any], str]  # (label, fields, look: an arm, or "level" for a shade per level)


def at(part: pd.DataFrame, unit: float) -> str:
    """A line in words: its value at 100 percent, at its best level and at its last."""
    values = part["mean"].to_numpy()
    rows = part.iloc[[0, values.argmax() if unit == 100 else values.argmin(), -1]]
    return ", ".join(dict.fromkeys(f"{unit * r.mean:,.4g} at {r.x:,.3g}" for r in rows.itertuples()))


def width(n: int) -> float:
    """Inches for `n` panels side by side."""
    return max(4.0, (2.9 if n > 2 else 3.6) * n)


def legend(axes: Iterable[Axes], **look: Any) -> None:
    """In the first of some panels, with what only others show."""
    first, *others = axes
    handles = {label: h for ax in (first, *others) for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}
    if handles:
        first.legend(handles.values(), handles.keys(), **look)


def style(i: int, n: int) -> dict[str, Any]:
    """Colour and marker of the i-th of n lines, blue to red."""
    color = plot.SEQUENCE[round(i * (len(plot.SEQUENCE) - 1) / max(1, n - 1))]
    return {"color": color, "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "linewidth": 1.3}


def draw(
    ax: Axes, table: pd.DataFrame, column: str, shown: Lines, *, figure: str, x: str = "density", log: bool = True,
    reference: bool = True,
) -> list[str]:  # fmt: skip
    """The lines of one panel, unpruned networks first, the paper's own numbers, and what they look like in words.

    `reference`: a dotted line at the mean of the unpruned networks."""
    said = []
    axis = "percent" if x == "density" else x
    for label, (look, fields, *more) in shown.items():
        part = analyse.spread(analyse.settled(select(table, **fields), column, axis), column, [axis])
        part = part.rename(columns={axis: "x"}).sort_values("x", ascending=False)
        if part.empty:
            continue
        styled: dict[str, Any] = {"arm": look, "band": True, "label": label, **dict(*more)}
        ends = (part["low"], part["high"]) if styled["band"] else ()
        plot.line(ax, part["x"], part["mean"], *ends, **styled)
        bars = styled.get("color", plot.COLORS[look])
        ax.vlines(part["x"], part["min"], part["max"], color=bars, linewidth=1.1, alpha=0.7)
        said.append(f"{label}: {at(part, 1 if column.endswith('iteration') else 100)}")
    unpruned = table.loc[table["round"] == 0, column].mean()
    if reference and np.isfinite(unpruned):
        dotted: Any = (0, plot.ARMS["unpruned"][3])
        ax.axhline(unpruned, label=figures.NAMES["unpruned"], color=plot.INK, linewidth=1, linestyle=dotted)
    marks = points.on_panel(figure, table, column, axis, {label: fields for label, (_, fields, *_) in shown.items()})
    for m in marks:
        look, _, *more = shown[m.line]
        styled = dict(*more)
        plot.printed(ax, m.x, m.y, None, color=styled.get("color", plot.COLORS[look]))
    if marks:
        plot.printed(ax, [], [], points.LABEL)
        scale = 1 if column.endswith("iteration") else 100
        listed = ", ".join(f"{scale * m.y:,.4g} at {m.x:,.3g}" for m in marks)
        said.append(f"{points.LABEL}: {listed}")
    places = sorted({round(v, 3) for v in [*table[axis], *(m.x for m in marks)]})
    if x == "weights":
        plot.weights_axis(ax, places)
    else:
        plot.percent_axis(ax, places)
        if marks and log:
            dense, sparse = ax.get_xlim()
            ax.set_xlim(dense, min(sparse, 0.88 * marks[-1].x))
    if not log:
        ax.set_xscale("linear")
        ax.set_xlim(102, 0)
        ax.set_xticks([100, 80, 60, 40, 20, 0], ["100", "80", "60", "40", "20", "0"])
    ax.set_xlabel(figures.X[x])
    ax.set_ylabel(figures.AXES.get(column, column))
    return said


def against_size(
    study: Study, figure: str, columns: list[str], shown: Lines, *, alt: str, caption: str, x: str = "density",
    log: bool = True, name: str = "", below: float = 0.02, pick: figures.Pick = lambda t: t,
) -> plot.Html:  # fmt: skip
    """One panel a column, one line a query, against how much of the network remains."""
    if study.lacking(figure):
        return figures.waiting(study, figure, again=name not in ("", figure))
    table = figures.levelled(pick(study.table(figure)), study.data(figure))
    rows = 2 if len(columns) == 4 else 1
    wide = len(columns) // rows
    fig, axes = plot.canvas(rows, wide, height=3.2 * rows, width=width(wide), squeeze=False)
    said = []
    for ax, column in zip(axes.flat, columns, strict=True):
        words = "; ".join(draw(ax, table, column, shown, figure=figure, x=x, log=log))
        said.append(f"{figures.AXES[column]}, {words}." if words else f"{figures.AXES[column]}: no values.")
        if study.data(figure) == "mnist":
            figures.zoom(ax, table, column, below)
        if column == "converged":
            ax.set_ylim(-0.03, 1.05)
    legend(axes.flat, fontsize=8)
    note = "Bars: smallest and largest trial, as in the paper; bands: 95% bootstrap interval of the mean. "
    if any(c.startswith("convergence") for c in columns):
        note += "A level is drawn where at least half of its networks converge. "
    note += points.NOTE if points.LABEL in " ".join(said) else ""
    made = figures.provenance(study, table)
    alt = f"{alt} Values (at {figures.X[x]}): {' '.join(said)}"
    caption = f"{caption} {note}{figures.scale_note(study, figure)}"
    return plot.show(fig, name=name or figure, alt=alt, caption=caption, made=made)


def sweep(
    study: Study, figure: str, field: str, columns: list[str], *, alt: str, caption: str, label: str = "",
    below: float = 0.03, x: str = "density", log: bool = True, name: Callable[[Any], str] | None = None,
) -> plot.Html:  # fmt: skip
    """One line a value of `field` (a column of the spec), blue to red with rising value; `name` makes its label.

    Accuracies are shown down to `below` under the best one."""
    if study.lacking(figure):
        return figures.waiting(study, figure)
    table = figures.levelled(study.table(figure), study.data(figure))
    values = sorted(table.loc[table["round"] > 0, field].unique(), key=figures.natural)
    called = name or figures.namer(field)
    looks = ({**style(i, len(values)), "band": False} for i in range(len(values)))
    shown: Lines = {called(v): ("ticket", {field: v}, look) for v, look in zip(values, looks, strict=True)}
    fig, axes = plot.canvas(1, len(columns), height=3.6, width=4 * len(columns), squeeze=False)
    said = []
    for ax, column in zip(axes[0], columns, strict=True):
        words = "; ".join(draw(ax, table, column, shown, figure=figure, x=x, log=log, reference=False))
        said.append(f"{figures.AXES[column]}, {words}." if words else f"{figures.AXES[column]}: no values.")
        if not column.endswith("iteration") and study.data(figure) == "mnist":
            top = table.groupby([field, "percent"])[column].mean().max()
            if np.isfinite(top):
                ax.set_ylim(max(top - below, table[column].min() - below / 12), top + below / 6)
        if not ax.lines:
            ax.text(0.5, 0.5, "no network converges", transform=ax.transAxes, ha="center")
    if axes[0][0].lines:
        handles, labels = axes[0][0].get_legend_handles_labels()  # above the panels: lines leave no room in them
        look: dict[str, Any] = dict(loc="outside upper left", alignment="left", fontsize=8, title_fontsize=8)
        fig.legend(handles, labels, title=label or figures.FIELDS.get(field, field), ncols=1 + 2 * len(columns), **look)
    note = "Bars: smallest and largest trial. "
    note += "A level is drawn where at least half of its networks converge. " if columns[0].startswith("conv") else ""
    if points.LABEL in " ".join(said):
        note += points.NOTE + (points.HEIGHT if x == "weights" else "")
    caption = f"{caption} {note}{figures.scale_note(study, figure)}"
    alt = f"{alt} Values at {figures.X[x]}, one line a value of {label or field}: {' '.join(said)}"
    return plot.show(fig, name=figure, alt=alt, caption=caption, made=figures.provenance(study, table))


def each(
    study: Study, figure: str, column: str, shown: dict[str, Lines], *, alt: str, caption: str, name: str = "",
    below: float = 0.05,
) -> plot.Html:  # fmt: skip
    """One column, one panel a title with its own lines; two panels a row, all with one y axis."""
    if study.lacking(figure):
        return figures.waiting(study, figure, again=name not in ("", figure))
    table = figures.levelled(study.table(figure), study.data(figure))
    rows = -(-len(shown) // 2)
    fig, axes = plot.canvas(rows, 2, height=3.1 * rows, width=7.2, squeeze=False, sharey=True)
    said = []
    for ax, (title, lines) in zip(axes.flat, shown.items(), strict=False):
        words = "; ".join(draw(ax, table, column, lines, figure=figure))
        said.append(f"{title}, {words}.")
        ax.set_title(title, fontsize=9)
        ax.tick_params(labelleft=True)
    for ax in axes.flat[len(shown) :]:
        ax.remove()
    shared = axes.flat[: len(shown)]
    if study.data(figure) == "mnist":
        figures.zoom(axes[0][0], table, column, below)
    legend(shared, fontsize=8)
    note = "Bars: smallest and largest trial; bands: 95% bootstrap interval of the mean. "
    note += points.NOTE if points.LABEL in " ".join(said) else ""
    alt = f"{alt} {figures.AXES[column].capitalize()} at {figures.X['density']}: {' '.join(said)}"
    caption = f"{caption} {note}{figures.scale_note(study, figure)}"
    made = figures.provenance(study, table)
    return plot.show(fig, name=name or figure, alt=alt, caption=caption, made=made)


def gaps(
    study: Study, figure: str, columns: list[str], pairs: dict[str, tuple[str, dict[str, Any], dict[str, Any]]], *,
    alt: str, caption: str, x: str = "density", log: bool = True, name: str = "", pick: figures.Pick = lambda t: t,
    limits: tuple[float, float] | None = None,
) -> plot.Html:  # fmt: skip
    """Differences between two queries, level by level, paired by trial: label → (look, one, the other).

    Accuracies in points; iterations in percent of the other's. Bands are 95% bootstrap intervals of the mean.

    - `limits`: of differences in accuracy, on MNIST (other data have other ranges)
    """
    if study.lacking(figure):
        return figures.waiting(study, figure, again=True)
    table = figures.levelled(pick(study.table(figure)), study.data(figure))
    axis = "percent" if x == "density" else x
    fig, axes = plot.canvas(1, len(columns), height=2.9, width=width(len(columns)), squeeze=False)
    said = []
    for ax, column in zip(axes[0], columns, strict=True):
        time = column.endswith("iteration")
        for label, (look, one, other) in pairs.items():
            a, b = (
                select(table[table["round"] > 0], **f).groupby([axis, "trial"])[column].mean() for f in (one, other)
            )
            gap = (100 * (a / b - 1) if time else 100 * (a - b)).rename("gap").reset_index()
            part = analyse.spread(gap, "gap", [axis]).rename(columns={axis: "x"}).sort_values("x", ascending=False)
            if part.empty:
                continue
            plot.line(ax, part["x"], part["mean"], part["low"], part["high"], arm=look, band=True, label=label)
            said.append(f"{label}: {at(part, 1)}.")
        if limits and not time and study.data(figure) == "mnist":
            ax.set_ylim(*limits)
        ax.axhline(0, color=plot.INK, linewidth=1, linestyle=(0, plot.ARMS["unpruned"][3]))
        plot.percent_axis(ax, sorted({round(v, 3) for v in table[axis]}))
        if not log:
            ax.set_xscale("linear")
            ax.set_xlim(102, 0)
            ax.set_xticks([100, 80, 60, 40, 20, 0], ["100", "80", "60", "40", "20", "0"])
        ax.set_xlabel(figures.X[x])
        ax.set_ylabel(f"{figures.AXES[column]}:\n{'percent later' if time else 'points above'}")
    if len(pairs) > 1 and len(axes[0][0].lines) > 1:
        axes[0][0].legend(fontsize=8)
    note = "Paired by trial, copies of a control averaged first; bands: 95% bootstrap interval. "
    made = figures.provenance(study, table)
    caption = f"{caption} {note}{figures.scale_note(study, figure)}"
    return plot.show(
        fig, name=name or f"{figure}-gaps", alt=f"{alt} Values: {' '.join(said)}", caption=caption, made=made
    )


def level_shades(levels: list[float]) -> dict[float, str]:
    """A colour per level, dense to sparse along `plot.SEQUENCE`."""
    n = max(1, len(levels) - 1)
    return {v: plot.SEQUENCE[round(i * (len(plot.SEQUENCE) - 1) / n)] for i, v in enumerate(sorted(levels)[::-1])}


def over_training(
    study: Study, figure: str, shown: dict[str, list[Series]], *, alt: str, caption: str, value: str = "test",
    until: int = 15_000, mark: str = "", limits: tuple[float, float] | None = None, x: str = "density", name: str = "",
) -> plot.Html:  # fmt: skip
    """Learning curves, one panel a title: mean of trials with the band of their smallest and largest value.

    - `value`: test, train or val for that accuracy, or val_loss
    - `mark`: stop_iteration or convergence_iteration: a dot where the mean lies, a bar from first to last trial
    - `limits`: of the y axis, on MNIST (other data have other ranges)
    """
    if study.lacking(figure):
        return figures.waiting(study, figure)
    curves, table = (figures.levelled(t, study.data(figure)) for t in (study.curves(figure), study.table(figure)))
    curves["y"] = (
        curves["val_loss"] if value == "val_loss" else curves[f"{value}_correct"] / EVALUATED[study.data(figure)][value]
    )
    axis = "percent" if x == "density" else x
    shades = level_shades(list(table.loc[table["round"] > 0, axis].round(2).unique()))
    last = min(until, int(curves["iteration"].max()))
    curves = curves[(curves["iteration"] > 0) & (curves["iteration"] <= last)]
    fig, axes = plot.canvas(1, len(shown), height=3.5, width=max(4.5, 3.1 * len(shown)), squeeze=False, sharey=True)
    said = []
    for ax, (title, series) in zip(axes[0], shown.items(), strict=True):
        drawn: dict[str, int] = {}
        for label, fields, look in series:
            one = select(curves, **fields)
            if one.empty:
                continue
            level = float(one[axis].iat[0].round(2))
            trials = one.groupby(["iteration", "trial"])["y"].mean().groupby("iteration").agg(["mean", "min", "max"])
            kind = "unpruned" if one["round"].iat[0] == 0 else look if look != "level" else "ticket"
            nth = drawn[kind] = drawn.get(kind, 0) + 1
            more: dict[str, Any] = {"marker": "", "label": f"{level:.3g}{label}", "linewidth": 1.5}
            color = shades[level] if look == "level" and kind != "unpruned" else plot.COLORS[kind]
            if kind != "unpruned":
                more |= {"color": color, "linestyle": "-" if look == "level" else figures.SHADES[nth - 1]}
            plot.line(ax, trials.index, trials["mean"], arm=kind, **more)
            ax.fill_between(trials.index, trials["min"], trials["max"], color=color, alpha=0.15, linewidth=0)
            if mark:
                when = select(table, **fields)[mark].dropna()
                if len(when) and when.mean() <= last:
                    y = float(np.interp(when.mean(), trials.index, trials["mean"]))
                    ends = (when.min(), min(when.max(), last))
                    ax.hlines(y, *ends, color=color, linewidth=1.6)
                    ax.plot(when.mean(), y, "o", color=color, markeredgecolor=plot.PAGE, markersize=7, zorder=5)
            said.append(f"{title}, {level:.3g} percent{label}: {trials['mean'].iat[-1]:.4g} at iteration {last:,}.")
        ax.set_title(title, fontsize=9)
        ax.set_xlabel("training iteration")
        ax.legend(title="% remaining", fontsize=8, title_fontsize=8, ncols=2 if len(series) > 4 else 1)
        if limits and study.data(figure) == "mnist":
            ax.set_ylim(*limits)
        elif value == "val_loss":
            ax.set_ylim(0, 4 * curves.groupby("iteration")["y"].mean().min())
    axes[0][0].set_ylabel("validation loss" if value == "val_loss" else f"{value} accuracy")
    note = "Lines: mean of the trials; bands: their smallest and largest value. "
    caption = f"{caption} {note}{figures.scale_note(study, figure)}"
    return plot.show(
        fig, name=name or figure, alt=f"{alt} Values: {' '.join(said)}", caption=caption,
        made=figures.provenance(study, table),
    )  # fmt: skip
