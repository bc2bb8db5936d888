"""What the papers print, as points on our panels, read off the claims' own tests.

The papers print few values and many comparisons ("38 percent earlier at 21 percent"). A comparison is drawn from the
mean of our own networks on its other side: where a point lies off our line, the comparison came out differently.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from lth_companion.claims.statements import Claim, Part, load
from lth_companion.claims.tests import named
from lth_companion.experiments.catalogue import FIGURES
from lth_core.analyse import settled
from lth_core.judge.result import side_of
from lth_core.levels import Lacking, Side, better_low, curve, extreme, mean, position, select, unit, with_depth

LABEL = "printed in the paper"
NOTE = (
    "Diamonds: what the paper prints. A ratio or difference is drawn that far from our own mean; a range has a diamond "
    "at each end. "
)
HEIGHT = "A number of weights is drawn as high as our best value. "
SIZES = ("lenet-300-100",)  # as in `sizes.weights_where`


class Point(NamedTuple):
    x: float
    y: float
    side: Side  # the networks that it is about
    line: str = ""  # the line of the panel that shows these, or the first of several
    statement: str = ""


def on_panel(figure: str, table: pd.DataFrame, column: str, axis: str, lines: dict[str, dict[str, Any]]) -> list[Point]:
    """Points of a panel of `column` against `axis` (a column of `figures.levelled`), about networks that its lines
    show (label: query, see `levels.select`). Each once, dense to sparse. What is printed of the end belongs to the last
    checkpoint too."""
    if set(table["dataset"]) != {FIGURES[figure].paper.dataset}:
        return []
    keys = {label: _keys(table, **fields) for label, fields in lines.items()}
    found: dict[tuple[Any, ...], Point] = {}
    what, _, iteration = column.partition("@")
    last = iteration == str(table["iterations"].max())
    for claim, part in printed(figure, f"end_{what}" if last else column):
        own = with_depth(select(table, **part.where))
        try:
            for point in PLACES[part.test](part, own, column, axis):
                about = _keys(own, arm=point.side.get("arm", "ticket"), **_fields(point.side))
                line = next((label for label, its in keys.items() if about <= its), "")
                line = line or next((label for label, its in keys.items() if about & its), "")
                if about and about <= set().union(*keys.values()) and np.isfinite([point.x, point.y]).all():
                    point = point._replace(line=line, statement=claim.statement)
                    found.setdefault((round(point.x, 2), round(point.y, 5), line), point)
        except Lacking:
            continue
    return sorted(found.values(), key=lambda p: -p.x)


def printed(figure: str, column: str) -> Iterator[tuple[Claim, Part]]:
    """The papers' claims about a column of a figure, and their tests whose number is printed as it stands there."""
    for claim in load():
        if claim.paper == "blog" or claim.own_numbers or {"derived", "uncertain"} & set(claim.marks):
            continue
        for part in claim.parts:
            if part.figure == figure and part.arguments.get("column") == column and part.test in PLACES:
                yield claim, part


def _keys(table: pd.DataFrame, **fields: Any) -> set[str]:
    """A line's own networks: the pruned ones, unless it has none."""
    found = select(table, **fields)
    return set(found.loc[(found["round"] > 0) | (found["round"].max() == 0), "key"])


def _fields(side: Side) -> Side:
    return {name: value for name, value in side.items() if name not in ("at", "arm")}


def _level(own: pd.DataFrame, column: str, side: Side) -> float:
    """Mean of our networks of a side at its level. Of times, not where networks still learn when training ends: what
    follows from its length is no measurement."""
    c = curve(own, column, **side)
    i = position(c.depths, side["at"])
    if column.endswith("iteration") and np.nanmedian(c.values[:, i]) >= own["iterations"].max():
        raise Lacking("still learning at the last iteration")
    return float(mean(c.values)[i])


def _at(y: float, own: pd.DataFrame, side: Side, axis: str, part: Part) -> Iterator[Point]:
    """A point at the level of a side; of the best level, where the paper prints it (from one percentage to another)."""
    if side["at"] != "best":
        yield Point(_where(own, side, axis), y, side)
    elif axis == "percent":
        yield from (Point(x, y, side) for x in part.near)


def _where(own: pd.DataFrame, side: Side, axis: str) -> float:
    if axis == "hidden" and isinstance(side["at"], str):
        return float(side["at"][:-1])
    chosen = select(own, arm=side.get("arm", "ticket"), **_fields(side))
    levels = chosen.groupby("depth")[axis].mean()
    return float(levels.iloc[position(levels.index.to_numpy(float), side["at"])])


def _value(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    of = part.arguments["of"]
    yield from _at(part.arguments["number"] / unit(column), own, of, axis, part)


def _ratio(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    of, to, number = (part.arguments[name] for name in ("of", "to", "number"))
    times = {"times": number, "less": 1 - number / 100, "more": 1 + number / 100}[part.arguments.get("form", "times")]
    if of["at"] == 0 and to["at"] != 0:
        yield from _at(_level(own, column, of) / times, own, to, axis, part)
    elif to["at"] != "best":
        yield from _at(_level(own, column, to) * times, own, of, axis, part)


def _difference(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    of, to = part.arguments["of"], part.arguments["to"]
    if to["at"] != "best":
        yield from _at(_level(own, column, to) + part.arguments["number"] / unit(column), own, of, axis, part)


def _returns(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    side = side_of(named(part.test), part.arguments)
    level = _level(own, column, {**side, "at": 0})
    ats = part.arguments["at"]
    for at in ats if isinstance(ats, list) else [ats]:
        yield from _at(level, own, {**side, "at": at}, axis, part)


def _reach(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    side = side_of(named(part.test), part.arguments)
    if axis != "percent":
        raise Lacking("printed as percent of all weights")
    for percent in part.arguments["between"]:
        yield Point(percent, _level(own, column, {**side, "at": 0}), side)


def _weights_where(part: Part, own: pd.DataFrame, column: str, axis: str) -> Iterator[Point]:
    """Where the best of our levels would lie, as high as it is."""
    field, values = (part.arguments.get(name, usual) for name, usual in (("field", "arch"), ("values", SIZES)))
    if axis != "weights" or part.arguments["what"] != "best" or len(values) > 1:
        raise Lacking("printed as numbers of weights, and only the best level of one network has one place")
    c = curve(settled(select(own, **{field: values[0]}), column, "depth"), column)
    best = extreme(mean(c.values)[c.depths > 0], not better_low(column))
    for x in set(part.arguments["between"]):
        yield Point(x, best, {field: values[0]})


# Where a panel shows what a test's arguments print; what other tests print has no place in one.
PLACES = {
    "weights_where": _weights_where,
    "value": _value,
    "ratio": _ratio,
    "difference": _difference,
    "returns": _returns,
    "reach": _reach,
}
