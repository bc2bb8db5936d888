"""What stands below a figure or table, and what stands in its place while its networks are not measured.

A function that makes one gives a `Picture` or a `Table` with what only it can say. `@measured`, `@again` or
`@tabulated` adds the scale of the experiment, or replaces the whole where networks lack.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from html import escape
from typing import Any, Concatenate, ParamSpec, Protocol

import pandas as pd
from matplotlib.figure import Figure

from lth_companion import html
from lth_companion.experiments import catalogue, costs
from lth_companion.experiments.study import Study
from lth_companion.figures.vocabulary import DATA, NAMES
from lth_core import plot
from lth_core.arms import ARMS
from lth_core.plot import Html
from lth_core.spec import Spec
from lth_core.untrusted_text import shown

BARS = "Bars: smallest and largest trial; bands: 95% t interval of the mean."
LONG = 12  # rows of a table that is shown without being asked for
HALF = "A level is drawn where at least half of its networks converge."
P = ParamSpec("P")


class Piece(Protocol):
    """A figure or table before it stands on a page."""

    def shown(self, study: Study, figure: str) -> Html: ...


@dataclass(frozen=True, kw_only=True)
class Picture:
    """A drawn figure. `networks` made it: columns key, commit, engine, device, seconds."""

    fig: Figure
    networks: pd.DataFrame
    name: str
    alt: str
    caption: str

    def shown(self, study: Study, figure: str) -> Html:
        """With the scale of the `figure` whose networks it draws, and where these come from."""
        caption = f"{self.caption} {scale_note(study, figure)}"
        made = provenance(study, figure, self.networks)
        return plot.show(self.fig, name=self.name, alt=self.alt, caption=caption, made=made)


@dataclass(frozen=True)
class Table:
    """Rows of cells (HTML), the first column as their heads."""

    rows: pd.DataFrame
    caption: str
    name: str = "table"

    def shown(self, study: Study, figure: str) -> Html:
        return frame(self.rows, f"{self.caption} {scale_note(study, figure)}", self.name)


class Unpublished(LookupError):
    """A figure's networks are measured, but what is asked of them (masks, weights) is not published."""


def _framed(
    make: Callable[Concatenate[Study, str, P], Piece], instead: Callable[[Study, str, str], Html]
) -> Callable[Concatenate[Study, str, P], Html]:
    @wraps(make)
    def framed(study: Study, figure: str, *rest: P.args, **words: P.kwargs) -> Html:
        if study.lacking(figure):
            return instead(study, figure, str(words.get("name", "")))
        try:
            piece = make(study, figure, *rest, **words)
        except Unpublished as error:
            return Html(f"<p><em>{error}</em></p>", figure)
        return piece.shown(study, figure)

    return framed


def measured(make: Callable[Concatenate[Study, str, P], Piece]) -> Callable[Concatenate[Study, str, P], Html]:
    """The frame of a figure: its piece with the scale of the experiment, or how to measure what lacks. Under another
    `name` than the figure's it is another view of networks that the page has asked for already."""
    return _framed(make, lambda study, figure, name: waiting(study, figure, again=name not in ("", figure)))


def again(make: Callable[Concatenate[Study, str, P], Piece]) -> Callable[Concatenate[Study, str, P], Html]:
    """The frame of a figure that is always another view of networks."""
    return _framed(make, lambda study, figure, name: waiting(study, figure, again=True))


def tabulated(make: Callable[Concatenate[Study, str, P], Piece]) -> Callable[Concatenate[Study, str, P], Html]:
    """The frame of a table, which is left out: the figures beside it say how to measure."""
    return _framed(make, lambda study, figure, name: missing(figure))


def frame(rows: pd.DataFrame, caption: str, name: str = "table") -> Html:
    """A table for the page, its first column as row headers; folded away where long. What is no `Html` is text."""

    def cell(value: object) -> str:
        return value.text if isinstance(value, Html) else shown(value)

    cells = (map(cell, row) for row in rows.itertuples(index=False))
    whole = html.table(list(map(cell, rows.columns)), cells, caption=caption)
    if len(rows) > LONG:
        whole = html.folded(f"{re.split(r'[.](?= |$)', caption)[0]}: {len(rows)} rows", whole)
    return Html(whole, name)


def missing(figure: str) -> Html:
    """In place of a table whose networks are not all measured: nothing, for the figure beside it says how to."""
    return Html("", figure)


def scale_note(study: Study, figure: str) -> str:
    """How big the shown experiment is against the paper's, in one sentence for a caption."""
    here, there = study.scale(figure), catalogue.FIGURES[figure].paper
    rows, illustrates = study.rows(figure), catalogue.FIGURES[figure].illustrates
    parts = [DATA.get(here.dataset, here.dataset), *counts(rows), *([here.precision] * (here.precision != "fp32"))]
    same = (here.trials, here.iterations, here.rounds, here.dataset, here.precision) == (
        there.trials, there.iterations, there.rounds, there.dataset, there.precision,
    )  # fmt: skip
    whose = "the main experiment's" if figure.startswith("beyond") else "the paper's"
    ended = len(rows) - len(study.possible(figure))
    lost = f" {ended} networks could not be made: an earlier round of theirs diverged." if ended else ""
    whole = catalogue.rows(figure)
    if illustrates:
        part = study.profile == "published" and len(rows) < len(whole)
        parts += [f"{max(s.round for s in rows)} rounds", *([f"{len(rows)} of {len(whole)} networks"] * part)]
        return f"{illustrates} Scale: {', '.join(parts)}.{lost}"
    if (some := redraws(rows)) != (every := redraws(whole)):
        lost += f" Controls: {some} of {whose} {every} redraws of each ticket."
    if same:
        some = "".join(f", {at}" for at in fewer_rounds(rows, whole))
        return f"Scale: {whose} ({', '.join(parts)}){some}.{lost}"
    deepest = max(s.round for s in rows)
    parts += [f"{deepest} rounds"] * (deepest > 1)  # one-shot pruning has no rounds
    return f"Scale: {', '.join(parts)}; {whose}: {', '.join(counts(whole))}.{lost}"


def fewer_rounds(rows: list[Spec], whole: list[Spec]) -> list[str]:
    """Of which rounds a figure shows only some: "at 5 of 27 rounds", or by arm where these differ."""
    rounds: dict[str, tuple[int, int]] = {}
    for arm in dict.fromkeys(s.arm for s in rows if s.round):
        here, there = ({s.round for s in table if s.arm == arm} - {0} for table in (rows, whole))
        rounds[arm] = len(here), len(there)
    short = {arm: f"at {here} of {there} rounds" for arm, (here, there) in rounds.items() if here < there}
    if len(set(short.values())) == 1 and len(short) == len(rounds):
        return [*short.values()][:1]
    return [f"{NAMES[arm]} {at}" for arm, at in short.items()]


def redraws(rows: list[Spec]) -> str:
    """How often each control is drawn for a ticket: "1", or "2 to 3" where controls differ."""
    copies: dict[str, int] = {}
    for s in rows:
        if ARMS[s.arm].redrawn:
            copies[s.arm] = max(copies.get(s.arm, 0), s.replicate + 1)
    return " to ".join(f"{n}" for n in dict.fromkeys((min(copies.values()), max(copies.values())))) if copies else ""


def counts(rows: list[Spec]) -> list[str]:
    """Trials and iterations of networks: "1 to 2 trials", "20,000 to 30,000 iterations"."""
    trials: dict[tuple[Any, ...], set[int]] = {}  # by what a line of a figure may stand for
    for s in rows:
        trials.setdefault((s.arch, s.optimizer, s.lr, s.warmup, s.dropout, s.precision), set()).add(s.trial)
    found = {"trial": {len(t) for t in trials.values()}, "iteration": {s.iterations for s in rows}}
    said = {name: " to ".join(f"{n:,}" for n in dict.fromkeys((min(v), max(v)))) for name, v in found.items()}
    return [f"{words} {name}{'s' * (words != '1')}" for name, words in said.items()]


def provenance(study: Study, figure: str, table: pd.DataFrame) -> Html:
    """Who made the networks of a figure, and the line that makes it again."""
    return html.provenance(
        study.command,
        figure=figure,
        cells=f"{len(table):,} networks, the first is {table['key'].iat[0]}",
        commit=", ".join(sorted(set(table["commit"]))),
        engine=", ".join(sorted(set(table["engine"]))),
        device=", ".join(sorted(set(table["device"]))),
        seconds=f"{table['seconds'].sum():,.0f} of training",
    )


def waiting(study: Study, figure: str, *, again: bool = False) -> Html:
    """In place of a figure whose networks are not all measured yet: how many, and the line that measures them.

    `again`: another view of networks that the page has asked for already, of which nothing more is said."""
    if again:
        return Html("", figure)
    lacking, rows = study.lacking(figure), study.possible(figure)
    iterations = sum(s.iterations for s in rows)
    command = f"python -m lth_core run {figure} --profile published && python -m lth_core publish {figure}"
    time = costs.estimate(s for s in rows if not study.source.has(s))
    text = (
        f"<p>{escape(catalogue.FIGURES[figure].illustrates)}</p>"
        * bool(catalogue.FIGURES[figure].illustrates)
        + f"<p>{lacking:,} of the {len(rows):,} networks of {escape(figure)} are missing ({iterations:,} iterations in "
        "all). This line measures them:</p>"
        f'<div class="highlight"><pre style="white-space: pre-wrap">{escape(command)}</pre></div>'
        f"{f'<p>{escape(time)}</p>' if time else ''}"
    )
    title = f"<summary><strong>{escape(catalogue.FIGURES[figure].title)}.</strong> Not measured yet</summary>"
    return Html(f'<details class="lth-waits" id="{escape(figure)}">{title}{text}</details>', figure)
