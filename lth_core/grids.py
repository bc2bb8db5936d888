"""Figures about several networks on images: panels for each network, or a panel a checkpoint of training.

Which networks and settings a figure has is read off its rows, so that the same call draws every profile.
"""

from __future__ import annotations

import re
from typing import Any

import pandas as pd

from lth_core import figures, panels, paper, plot, points
from lth_core.claims import with_curves
from lth_core.levels import select
from lth_core.panels import Lines
from lth_core.study import Study

NAMES = {"conv": "Conv", "resnet": "ResNet", "vgg": "VGG", "lenet": "LeNet"}
DASHES: dict[str, Any] = {"ticket": "-", "reinit": (0, (5, 2)), "random_sparsity": (0, (1, 1.2))}
Rows = dict[str, tuple[dict[str, Any], Lines]]  # title of some panels: (fields of their networks, their lines)


def called(arch: str) -> str:
    """ "conv-2" as the papers write it: "Conv-2"."""
    return re.sub(r"^[a-z]+", lambda name: NAMES.get(name[0], name[0]), arch)


def archs(study: Study, figure: str) -> list[str]:
    """The networks of a figure at this profile."""
    return sorted({s.arch for s in study.rows(figure)}, key=figures.natural)


def by_net(study: Study, figure: str, lines: Lines) -> Rows:
    """The same lines for each network of a figure."""
    return {called(arch): ({"arch": arch}, lines) for arch in archs(study, figure)}


def swept(study: Study, figure: str, field: str) -> Rows:
    """For each network of a figure, one line a value of a field, blue to red with rising value."""
    rows: Rows = {}
    for arch in archs(study, figure):
        pruned = [s for s in study.rows(figure) if s.arch == arch and s.round]
        values = sorted({getattr(s, field) for s in pruned})
        looks = [panels.style(i, len(values)) for i in range(len(values))]
        name = figures.namer(field)
        rows[called(arch)] = (
            {"arch": arch},
            {name(v): ("ticket", {field: v, "arm": "ticket"}, look) for v, look in zip(values, looks, strict=True)},
        )
    return rows


def settings(study: Study, figure: str, arms: tuple[str, ...] = ("ticket",), **fields: Any) -> Lines:
    """One line a learning rate and warmup of a figure in each arm: solid for tickets, dashed for controls."""
    found = sorted({(s.lr, s.warmup) for s in study.rows(figure)})
    lines: Lines = {}
    for i, (lr, warmup) in enumerate(found):
        setting = f"{lr:g}" + (f", warmup {warmup:,}" if warmup else "")
        for arm in arms:
            label = setting + (f", {figures.NAMES[arm]}" if arm != "ticket" else "")
            look = {**panels.style(i, len(found)), "linestyle": DASHES[arm]}
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
    """Columns of accuracy at the paper's iterations `at`, as much sooner as this profile trains for fewer."""
    share = study.scale(figure).iterations / paper.FIGURES[figure].paper.iterations
    long = {"test": "test", "val": "validation"}[part]
    return {f"{part}@{round(share * n)}": f"{long} accuracy at {round(share * n):,}" for n in at}


def grid(
    study: Study, figure: str, rows: Rows, columns: list[str] | dict[str, str], *, alt: str, caption: str,
    x: str = "density", reference: bool = True, name: str = "", below: float = 0.0,
) -> plot.Html:  # fmt: skip
    """For each of `rows` a panel a column, side by side (four two by two), against how much of the network remains.

    - `columns`: of `results.table` or `claims.with_curves`, with labels where these are not the usual ones
    - `reference`: a dotted line for the unpruned networks of the row
    - `below`: on CIFAR-10, accuracies are cut off so far under the best (as a fraction)
    """
    if study.lacking(figure):
        return figures.waiting(study, figure, again=name not in ("", figure))
    table = figures.levelled(study.table(figure), study.data(figure))
    table = with_curves(table, columns, study.source, study.possible(figure))
    labels = columns if isinstance(columns, dict) else {c: figures.AXES[c] for c in columns}
    wide = 2 if len(labels) == 4 else len(labels)  # four in a row are too small to read
    deep = len(rows) * len(labels) // wide
    fig, axes = plot.canvas(deep, wide, height=0.5 + 2.7 * deep, width=max(4.5, panels.width(wide)), squeeze=False)
    said = []
    for (title, (where, lines)), line_of_axes in zip(rows.items(), axes.reshape(len(rows), -1), strict=True):
        own = select(table, **where)
        for ax, (column, label) in zip(line_of_axes, labels.items(), strict=True):
            words = "; ".join(panels.draw(ax, own, column, lines, figure=figure, x=x, reference=reference))
            said.append(f"{title + ', ' if title else ''}{label}, {words or 'no values'}.")
            ax.set_ylabel(label)
            ax.set_title(title, fontsize=9)
            top = own.groupby("percent")[column].mean().max()
            if below and study.data(figure) == "cifar10" and not column.endswith("iteration") and pd.notna(top):
                ax.set_ylim(top - below, top + below / 6)
        panels.legend(line_of_axes, fontsize=8)
    made = figures.provenance(study, table)
    note = "Bars: smallest and largest trial; bands: 95% bootstrap interval of the mean. "
    note += points.NOTE if points.LABEL in " ".join(said) else ""
    alt = f"{alt} Values at {figures.X[x]}: {' '.join(said)}"
    caption = f"{caption} {note}{left_out(study, figure)}{figures.scale_note(study, figure)}"
    return plot.show(fig, name=name or figure, alt=alt, caption=caption, made=made)


def left_out(study: Study, figure: str) -> str:
    """The paper's networks that this profile does not have, as a sentence."""
    here, there = archs(study, figure), sorted({s.arch for s in paper.rows(figure)}, key=figures.natural)
    gone = [called(a) for a in there if not any(b == a or b.startswith(f"{a}-") for b in here)]
    return f"Not measured here: {', '.join(gone)}. " if gone else ""
