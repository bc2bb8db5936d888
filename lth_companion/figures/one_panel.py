"""One panel: networks against their size, with the paper's own numbers, and what its lines look like in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lth_companion.figures import printed_points
from lth_companion.figures.figure_sheet import Drawing, View
from lth_companion.figures.vocabulary import AXES, NAMES, X, axis_of, is_time
from lth_core import analyse, plot
from lth_core.levels import select

MARKERS = "osD^vP<>Xd"
SECOND: dict[str, Any] = dict(linestyle=(0, (5, 2)), markerfacecolor=plot.PAGE, markeredgecolor=plot.COLORS["ticket"])
DOTTED: Any = (0, plot.ARMS["unpruned"][3])
Lines = dict[str, tuple[Any, ...]]  # label: (arm whose look it has, fields of its networks, perhaps more of matplotlib)


def at(part: pd.DataFrame, unit: float) -> str:
    """A line in words: its value at 100 percent, at its best level and at its last. Columns: x, mean."""
    values = part["mean"].to_numpy()
    rows = part.iloc[[0, values.argmax() if unit == 100 else values.argmin(), -1]]
    return ", ".join(dict.fromkeys(f"{written(unit * r.mean, 4)} at {written(r.x)}" for r in rows.itertuples()))


def written(x: float, digits: int = 3) -> str:
    """A number in words: so many significant digits, whole from 1,000 on."""
    return f"{x:,.0f}" if abs(x) >= 1_000 else f"{x:.{digits}g}"


def unit_of(column: str) -> int:
    """What a column's values are multiplied with in words: fractions are said as percent."""
    return 1 if is_time(column) else 100


def style(i: int, n: int) -> dict[str, Any]:
    """Colour and marker of the i-th of n lines, blue to red."""
    color = plot.SEQUENCE[round(i * (len(plot.SEQUENCE) - 1) / max(1, n - 1))]
    return {"color": color, "marker": MARKERS[i % len(MARKERS)], "markersize": 3.5, "linewidth": 1.3}


def draw(ax: Axes, table: pd.DataFrame, column: str, shown: Lines, figure: str, view: View) -> Drawing:
    """The lines of one panel, unpruned networks first, and the numbers that the paper prints of them.

    `table`: columns of `results.table` and `vocabulary.levelled`."""
    axis = axis_of(view.x)
    said = [phrase for label, look in shown.items() if (phrase := _line(ax, table, column, axis, label, look))]
    unpruned = table.loc[table["round"] == 0, column].mean()
    if view.reference and np.isfinite(unpruned):
        ax.axhline(unpruned, label=NAMES["unpruned"], color=plot.INK, linewidth=1, linestyle=DOTTED)
    marks = printed_points.on_panel(
        figure, table, column, axis, {label: fields for label, (_, fields, *_) in shown.items()}
    )
    if marks:
        said.append(_printed(ax, marks, shown, unit_of(column)))
    cut = _cut_off(ax, table, column, axis, shown)
    said += [cut] if cut else []
    places = sorted({round(v, 3) for v in [*table[axis], *(m.x for m in marks)]})
    if view.x == "weights":
        plot.weights_axis(ax, places)
    else:
        plot.percent_axis(ax, places)
        if marks and view.log:
            dense, sparse = ax.get_xlim()
            ax.set_xlim(dense, min(sparse, 0.88 * marks[-1].x))
    if not view.log:
        linear(ax)
    ax.set_xlabel(X[view.x])
    named(ax, column, AXES.get(column, column))
    if is_time(column):
        ax.set_ylim(bottom=max(0, ax.get_ylim()[0]))  # an interval of few trials may reach below what can be
    return Drawing(said, marked=bool(marks), cut=bool(cut))


def named(ax: Axes, column: str, words: str) -> None:
    """The y axis of a column: iterations as counts, fractions in percent."""
    if is_time(column):
        plot.counted(ax.yaxis)
    else:
        plot.in_percent(ax.yaxis)
    ax.set_ylabel(words if is_time(column) else f"{words}, %")


def _line(ax: Axes, table: pd.DataFrame, column: str, axis: str, label: str, shown: tuple[Any, ...]) -> str:
    """One line with its trials' range, and it in words; nothing where none of its networks has a value."""
    look, fields, *more = shown
    part = analyse.spread(analyse.settled(select(table, **fields), column, axis), column, [axis])
    part = part.rename(columns={axis: "x"}).sort_values("x", ascending=False)
    if part.empty:
        return ""
    styled: dict[str, Any] = {"arm": look, "band": True, "label": label, **dict(*more)}
    ends = (part["low"], part["high"]) if styled["band"] else ()
    plot.line(ax, part["x"], part["mean"], *ends, **styled)
    bars = styled.get("color", plot.COLORS[look])
    ax.vlines(part["x"], part["min"], part["max"], color=bars, linewidth=1.1, alpha=0.7)
    return "" if label.startswith("_") else f"{label}: {at(part, unit_of(column))}"  # as in matplotlib's legends


def _cut_off(ax: Axes, table: pd.DataFrame, column: str, axis: str, shown: Lines) -> str:
    """Hollow triangles at mean early-stopping times that are a lower bound: a trial's validation loss was lowest at its
    last evaluation. In words: where. Columns: iterations, stop_iteration."""
    if column != "stop_iteration":
        return ""
    said = []
    for label, (look, fields, *more) in shown.items():
        own = analyse.settled(select(table, **fields), column, axis)
        levels = own.assign(cut=own[column] >= own["iterations"]).groupby(axis)
        bounds = levels[column].mean()[levels["cut"].any()]
        if len(bounds):
            styled: dict[str, Any] = dict(*more)
            color = styled.get("color", plot.COLORS[look])
            how: dict[str, Any] = dict(marker="^", markersize=9, markerfacecolor="none", markeredgecolor=color)
            ax.plot(bounds.index, bounds, linestyle="none", zorder=5, **how)
            said.append(f"{label} at {', '.join(map(written, sorted(bounds.index, reverse=True)))}")
    return f"cut off by the end of training: {'; '.join(said)}" if said else ""


def _printed(ax: Axes, marks: list[printed_points.Point], shown: Lines, unit: int) -> str:
    """The paper's own numbers in the colours of their lines, and them in words."""
    for m in marks:
        look, _, *more = shown[m.line]
        styled: dict[str, Any] = dict(*more)
        plot.printed(ax, m.x, m.y, None, color=styled.get("color", plot.COLORS[look]))
    plot.printed(ax, [], [], printed_points.LABEL)
    return f"{printed_points.LABEL}: {', '.join(f'{written(unit * m.y, 4)} at {written(m.x)}' for m in marks)}"


def linear(ax: Axes) -> None:
    """The papers' linear axis of one-shot pruning."""
    ax.set_xscale("linear")
    ax.set_xlim(102, 0)
    ax.set_xticks([100, 80, 60, 40, 20, 0], ["100", "80", "60", "40", "20", "0"])


def zoom(ax: Axes, table: pd.DataFrame, column: str, below: float) -> None:
    """The paper's view of accuracies: the top, down to `below` under the unpruned mean. Of other columns, all.

    Columns: round, density, arm and the one shown."""
    if not column.endswith(("test", "val", "train")):
        return
    reference = table.loc[table["round"] == 0, column].mean()
    lines = [
        c for c in ("density", "arm", "lr", "warmup", "dropout", "scope") if c in table
    ]  # what may tell them apart
    top = table.groupby(lines)[column].mean().max()
    if np.isfinite(reference) and np.isfinite(top):
        ax.set_ylim(reference - below, min(1, top + below / 3))


def under_best(ax: Axes, means: pd.Series, below: float, least: float = -np.inf) -> None:
    """Accuracies down to `below` under the best of some means, not further down than `least`."""
    if np.isfinite(top := means.max()):
        ax.set_ylim(max(top - below, least), min(1, top + below / 6))
