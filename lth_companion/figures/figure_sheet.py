"""A figure as data: panels, how they are arranged, what is said about them; one function draws every such sheet."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import printed_points
from lth_companion.figures.captions import Picture
from lth_companion.figures.vocabulary import Pick, every, levelled
from lth_core import plot

CUT = "Hollow triangles: where training ended while a trial's validation loss still fell. Such times judge nothing."


@dataclass(frozen=True, kw_only=True)
class View:
    """What a notebook says and chooses about a figure, beside its lines.

    - `name`: of the drawing, where it is another view than the figure's own
    - `x`: what lies on the x axis, a key of `vocabulary.X`; `log`: whether it is logarithmic
    - `below`: accuracies are shown down to so far under the best, or under the unpruned network (a fraction)
    - `limits`: of the y axis. Both windows are meant for the paper's data set: other data have other ranges
    - `reference`: a dotted line at the mean of the unpruned networks
    - `pick`: which networks of the figure, as `vocabulary.iterative`
    """

    alt: str
    caption: str
    name: str = ""
    x: str = "density"
    log: bool = True
    below: float | None = None
    limits: tuple[float, float] | None = None
    reference: bool = True
    pick: Pick = every


@dataclass(frozen=True)
class Drawing:
    """What a panel shows: a phrase for each line, whether numbers that the paper prints are marked, and whether some of
    its times were cut off by the end of training."""

    said: list[str]
    marked: bool = False
    cut: bool = False

    def sentence(self, name: str) -> str:
        """For the alternative text: one sentence about a panel of this name, without one a sentence for each line."""
        if name:
            return f"{name}, {'; '.join(self.said) or 'no values'}."
        return " ".join(f"{phrase}." for phrase in self.said)


def handles_of(axes: Iterable[Axes]) -> dict[str, Any]:
    """What a legend of some panels has to show: matplotlib's handles by their labels."""
    return {label: h for ax in axes for h, label in zip(*ax.get_legend_handles_labels(), strict=True)}


def legend(axes: Sequence[Axes], **look: Any) -> None:
    """In the first of some panels, with what only others show."""
    if handles := handles_of(axes):
        axes[0].legend(handles.values(), handles.keys(), **look)


def legend_above(fig: Figure, axes: Iterable[Axes], **look: Any) -> None:
    """Over all panels, where their lines leave no room for it."""
    if handles := handles_of(axes):
        place: dict[str, Any] = dict(loc="outside upper left", alignment="left", fontsize=8)
        fig.legend(handles.values(), handles.keys(), **place, **look)


@dataclass(frozen=True)
class Panel:
    """One panel: what the alternative text calls it, and how it is drawn."""

    name: str
    draw: Callable[[Axes], Drawing]


def in_first(fig: Figure, axes: Sequence[Axes]) -> None:
    """One legend for all panels, in the first."""
    legend(axes, fontsize=8)


@dataclass(frozen=True, kw_only=True)
class Sheet:
    """A figure as data: its panels, `wide` of them side by side, and what is said about all of them.

    - `networks`: who made it, as `captions.Picture` has it; `size`: inches, width and height
    - `opens`: how the values begin in the alternative text
    - `notes`, `after`: sentences of the caption before and after the one about the paper's own numbers
    """

    panels: Sequence[Panel]
    networks: pd.DataFrame
    wide: int
    size: tuple[float, float]
    opens: str
    notes: Sequence[str]
    after: str = ""
    sharey: bool = False
    legend: Callable[[Figure, Sequence[Axes]], None] = in_first


def picture(sheet: Sheet, view: View, name: str) -> Picture:
    """A sheet drawn, panel by panel, and described; `name` unless the view has its own."""
    rows = -(-len(sheet.panels) // sheet.wide)
    wide, high = sheet.size
    fig, axes = plot.canvas(rows, sheet.wide, width=wide, height=high, squeeze=False, sharey=sheet.sharey)
    used = list(axes.flat[: len(sheet.panels)])
    drawn = [(panel.name, panel.draw(ax)) for panel, ax in zip(sheet.panels, used, strict=True)]
    for ax in axes.flat[len(used) :]:
        ax.remove()
    sheet.legend(fig, used)
    said = " ".join(sentence for title, drawing in drawn if (sentence := drawing.sentence(title)))
    notes = [view.caption, *sheet.notes]
    if any(drawing.marked for _, drawing in drawn):
        notes += [printed_points.NOTE.strip(), printed_points.HEIGHT.strip() if view.x == "weights" else ""]
    notes += [CUT] * any(drawing.cut for _, drawing in drawn)
    return Picture(
        fig=fig,
        networks=sheet.networks,
        name=view.name or name,
        alt=f"{view.alt} {sheet.opens} {said}",
        caption=" ".join(note for note in (*notes, sheet.after) if note),
    )


def width(n: int) -> float:
    """Inches for `n` panels side by side."""
    return max(4.0, (2.9 if n > 2 else 3.6) * n)


def table_of(study: Study, figure: str, view: View) -> pd.DataFrame:
    """The networks of a figure that a view shows, with their possible x axes."""
    return levelled(view.pick(study.table(figure)), study.data(figure))


def at_home(study: Study, figure: str) -> bool:
    """Whether a figure's networks are trained on the paper's data set, for which its windows are chosen."""
    return study.data(figure) == catalogue.FIGURES[figure].paper.dataset
