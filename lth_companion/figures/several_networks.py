"""Figures about several networks on images: panels for each network, or a panel a checkpoint of training.

Which networks and settings a figure has is read off its rows, so that the same call draws every profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lth_companion.claims.curve_columns import with_curves
from lth_companion.experiments import catalogue
from lth_companion.experiments.cifar10_recipes import share
from lth_companion.experiments.study import Study
from lth_companion.figures.captions import BARS, Picture, measured
from lth_companion.figures.figure_sheet import (
    Drawing,
    Panel,
    Sheet,
    View,
    at_home,
    handles_of,
    legend,
    legend_above,
    picture,
    table_of,
    width,
)
from lth_companion.figures.one_panel import Lines, draw, named, style, under_best
from lth_companion.figures.vocabulary import AXES, NAMES, X, called, is_time, namer, natural
from lth_core.levels import select

DASHES: dict[str, Any] = {"ticket": "-", "reinit": (0, (5, 2)), "random_sparsity": (0, (1, 1.2))}
ROOMY = 3  # lines that leave room for a legend between them
Rows = dict[str, tuple[dict[str, Any], Lines]]  # title of some panels: (fields of their networks, their lines)


def archs(study: Study, figure: str) -> list[str]:
    """The networks of a figure at this profile."""
    return sorted({s.arch for s in study.rows(figure)}, key=natural)


def by_net(study: Study, figure: str, lines: Lines) -> Rows:
    """The same lines for each network of a figure."""
    return {called(arch): ({"arch": arch}, lines) for arch in archs(study, figure)}


def swept(study: Study, figure: str, field: str) -> Rows:
    """For each network of a figure, one line a value of a field, blue to red with rising value."""
    rows: Rows = {}
    for arch in archs(study, figure):
        pruned = [s for s in study.rows(figure) if s.arch == arch and s.round]
        values = sorted({getattr(s, field) for s in pruned})
        looks = [style(i, len(values)) for i in range(len(values))]
        name = namer(field)
        rows[called(arch)] = (
            {"arch": arch},
            {name(v): ("ticket", {field: v, "arm": "ticket"}, look) for v, look in zip(values, looks, strict=True)},
        )
    return rows


def settings(study: Study, figure: str, arms: tuple[str, ...] = ("ticket",), **fields: Any) -> Lines:
    """One line a learning rate and warmup of a figure in each arm that it has there: solid for tickets, dashed for
    controls."""
    there = {(s.lr, s.warmup, s.arm) for s in study.rows(figure)}
    found = sorted({(lr, warmup) for lr, warmup, _ in there})
    lines: Lines = {}
    for i, (lr, warmup) in enumerate(found):
        setting = f"{lr:g}" + (f", warmup {warmup:,}" if warmup else "")
        for arm in (a for a in arms if (lr, warmup, a) in there):
            label = setting + (f", {NAMES[arm]}" if arm != "ticket" else "")
            look = {**style(i, len(found)), "linestyle": DASHES[arm]}
            lines[label] = (arm, {"lr": lr, "warmup": warmup, "arm": arm, **fields}, look)
    return lines


def scopes(study: Study, figure: str) -> Lines:
    """The settings of a figure pruned across all layers at once (solid) and layer by layer (dashed)."""
    lines: Lines = {}
    for scope, words, dashes in (("global", "global", "-"), ("layer", "layer-wise", (0, (5, 2)))):
        for label, (arm, fields, look) in settings(study, figure, scope=scope).items():
            lines[f"{label}, {words}"] = (arm, fields, {**look, "linestyle": dashes})
    return lines


def checkpoints(study: Study, figure: str, at: tuple[int, ...], part: str = "test") -> dict[str, str]:
    """Columns of accuracy at the paper's iterations `at`, as `curve_columns.with_curves` asks for them, each with the
    iteration of this profile that it finds there: as much sooner as the profile trains for fewer, and the nearest that
    is evaluated."""
    row = study.rows(figure)[0]
    evaluated, part_of = range(0, row.iterations + 1, row.eval_every), share(row)
    long = {"test": "test", "val": "validation"}[part]

    def nearest(n: int) -> int:
        return min(evaluated, key=lambda i: abs(i / part_of - n))

    return {f"{part}@{n}": f"{long} accuracy at {nearest(n):,}" for n in at}


@measured
def grid(study: Study, figure: str, rows: Rows, columns: list[str] | dict[str, str], **words: Any) -> Picture:
    """For each of `rows` a panel a column, side by side (four two by two), against how much of the network remains.

    `columns`: of `results.table` or `curve_columns.with_curves`, with labels where these are not the usual ones."""
    view = View(**words)
    table = with_curves(table_of(study, figure, view), list(columns), study.source, study.possible(figure))
    labels = columns if isinstance(columns, dict) else {c: AXES[c] for c in columns}

    def panel(title: str, column: str, ax: Axes) -> Drawing:
        where, lines = rows[title]
        own = select(table, **where)
        drawing = draw(ax, own, column, lines, figure, view)
        named(ax, column, labels[column])
        ax.set_title(title, fontsize=9)
        if view.below and at_home(study, figure) and not is_time(column):
            settings = ["percent", "arm", "lr", "warmup", "scope"]  # a line each: the best of them is not to be cut off
            under_best(ax, own.groupby(settings)[column].mean(), view.below)
        return drawing

    def in_each_row(fig: Figure, axes: Sequence[Axes]) -> None:
        if len(rows) == 1 and len(handles_of(axes)) > ROOMY:
            legend_above(fig, axes, ncols=len(labels))
            return
        for i in range(0, len(axes), len(labels)):
            legend(axes[i : i + len(labels)], fontsize=8)

    wide = 2 if len(labels) == 4 else len(labels)  # four in a row are too small to read
    deep = len(rows) * len(labels) // wide
    sheet = Sheet(
        panels=[
            Panel(f"{title}, {label}" if title else label, partial(panel, title, column))
            for title in rows
            for column, label in labels.items()
        ],
        networks=table,
        wide=wide,
        size=(max(4.5, width(wide)), 0.5 + 2.7 * deep),
        opens=f"Values at {X[view.x]}:",
        notes=[BARS] * (table["trial"].nunique() > 1),
        after=left_out(study, figure),
        legend=in_each_row,
    )
    return picture(sheet, view, figure)


def left_out(study: Study, figure: str) -> str:
    """The paper's networks that this profile does not have, as a sentence."""
    here, there = archs(study, figure), sorted({s.arch for s in catalogue.rows(figure)}, key=natural)
    gone = [called(a) for a in there if not any(b == a or b.startswith(f"{a}-") for b in here)]
    return f"Not measured here: {', '.join(gone)}." if gone else ""
