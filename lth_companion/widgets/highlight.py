"""One line among many: a slider over the values of a hyperparameter, the chosen line in colour, the others pale."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
import traitlets

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import missing, scale_note
from lth_companion.figures.one_panel import style
from lth_companion.figures.vocabulary import AXES, FIELDS, X, axis_of, is_time, levelled, namer, natural
from lth_companion.widgets.base import Widget, require, text
from lth_core import analyse, plot
from lth_core.errors import UsageError
from lth_core.levels import select
from lth_core.plot import Html


class Highlight(Widget):
    """Lines against size, of which a reader moves one to the front.

    - `data["groups"]`: what can be varied, each with
      - `id`, `name`; `ordered`: whether the lines have an order that a slider can follow; `of`: what tells them apart
      - `lines`: `{"label": "0.0012", "color": "#…", "x": [100.0, …], "values": {"stop_test": [[mean, smallest,
        largest], …], …}}`, dense to sparse; null where the column has no value, as for networks that never converge
      - `start`: the line that is chosen at first; `x`: what lies on the x axis; `log`: whether it is logarithmic
      - `caption`: one sentence
    - `data["columns"]`: `[{"name": "stop_test", "title": "…", "time": false, "below": 0.04}, …]`: the panels;
      accuracies are shown down to `below` under the best mean
    - `group`: the chosen group's `id`; `line`: the chosen line's label. A line that the group does not have stands for
      its `start`
    """

    _esm = text("chart.js", "highlight.js")

    linked = traitlets.List(traitlets.Unicode(), ["group", "line"]).tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)
    line = traitlets.Unicode("").tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = require(proposal["value"], "groups", "columns")
        if not data["groups"]:
            raise UsageError("data['groups'] is empty: give at least one group of lines.")
        for group in data["groups"]:
            if group["start"] not in [line["label"] for line in group["lines"]]:
                raise UsageError(f"{group['name']}: start = {group['start']!r} is none of its lines.")
            for line in group["lines"]:
                if any(len(line["values"][c["name"]]) != len(line["x"]) for c in data["columns"]):
                    raise UsageError(
                        f"{group['name']}, {line['label']}: give a value for each of {len(line['x'])} sizes."
                    )
        return data

    @traitlets.validate("group")
    def _known(self, proposal: dict[str, Any]) -> str:
        return self._of_groups(proposal["value"])


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """A group: one line for each value of `field` in the networks of some `figures` of one experiment.

    - `start`: the value that is chosen at first, such as the main recipe's
    - `x`: what lies on the x axis, a key of `vocabulary.X`; `log`: whether it is logarithmic
    - `called`: makes the label of a value
    """

    figures: tuple[str, ...]
    field: str
    name: str
    start: Any
    x: str = "density"
    log: bool = True
    called: Callable[[Any], str] | None = None


@dataclass(frozen=True, kw_only=True)
class Strategies:
    """A group: one line for each of some queries, label → (look, fields) as `figures.panels` takes them."""

    figures: tuple[str, ...]
    lines: dict[str, tuple[str, dict[str, Any]]]
    name: str
    of: str
    x: str = "density"
    log: bool = True


def highlight(study: Study, groups: Sequence[Sweep | Strategies], columns: dict[str, float]) -> Highlight | Html:
    """The widget over groups of networks, those that are measured; nothing where none is.

    `columns`: the panels, column → how far below the best mean accuracies are shown (a fraction; 0 for iterations)."""
    shown = [g for g in groups if not any(study.lacking(f) for f in g.figures)]
    if not shown:
        return missing(groups[0].figures[0])
    return Highlight({
        "groups": [_group(study, g, list(columns)) for g in shown],
        "columns": [
            {"name": c, "title": AXES[c].capitalize(), "time": is_time(c), "below": b} for c, b in columns.items()
        ],
    })  # fmt: skip


def _group(study: Study, group: Sweep | Strategies, columns: list[str]) -> dict[str, Any]:
    tables = [levelled(study.table(figure), study.data(figure)) for figure in group.figures]
    table = pd.concat(tables).drop_duplicates("key")
    axis = axis_of(group.x)
    if isinstance(group, Strategies):
        queries = [(label, fields, plot.css(look)) for label, (look, fields) in group.lines.items()]
        of, ordered, start = group.of, False, queries[0][0]
    else:
        values = sorted(table.loc[table["round"] > 0, group.field].unique(), key=natural)
        label = group.called or namer(group.field)
        queries = [(label(v), {group.field: v}, style(i, len(values))["color"]) for i, v in enumerate(values)]
        of, ordered, main = FIELDS[group.field], True, label(group.start)
        labels = [name for name, *_ in queries]  # a quick profile has few values, perhaps not the main one
        start = main if main in labels else labels[0]
    return {
        "id": group.figures[0], "name": group.name, "of": of, "ordered": ordered, "start": start,
        "x": X[group.x], "log": group.log, "caption": scale_note(study, group.figures[0]),
        "lines": [
            {"label": name, "color": color, **_line(select(table, **fields), axis, columns)}
            for name, fields, color in queries
        ],
    }  # fmt: skip


def _line(table: pd.DataFrame, axis: str, columns: list[str]) -> dict[str, Any]:
    """A line's sizes, dense to sparse, and per column mean, smallest and largest trial. Columns: round, trial, axis."""
    sizes = sorted(table[axis].unique(), reverse=True)
    values: dict[str, list[list[float] | None]] = {}
    for column in columns:
        part = analyse.spread(analyse.settled(table, column, axis), column, [axis])
        digits = 0 if is_time(column) else 5
        told = part[["mean", "min", "max"]].to_numpy(float).tolist()
        at = {size: [round(v, digits) for v in three] for size, three in zip(part[axis], told, strict=True)}
        values[column] = [at.get(size) for size in sizes]
    return {"x": [round(float(v), 2) for v in sizes], "values": values}
