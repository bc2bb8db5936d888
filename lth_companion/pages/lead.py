"""What a page begins with: its question, the answer in one number, and its key figure or explorer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd
from IPython.display import Markdown

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.experiments.xor_page import Page
from lth_companion.figures import captions, panels
from lth_companion.figures.one_panel import Lines
from lth_companion.figures.vocabulary import AXES, X
from lth_companion.figures.xor import BEST
from lth_companion.html import between
from lth_companion.pages import words
from lth_companion.widgets import TicketExplorer, explorer_data
from lth_core import analyse
from lth_core.levels import select
from lth_core.plot import Html

NOTHING = "**Nothing on this page is measured yet.** It tells what the paper shows, and with which lines to measure it."
GRIDS = ("beyond-rates", "beyond-rates-controls")  # every rate and schedule of ICLR section 2's network; tickets alone
ARMS = ("ticket", "reinit", "shuffle", "random_sparsity")
V1: dict[str, Any] = {"accuracy": "convergence_test", "stop": "convergence_iteration", "size": "hidden"}


def result(found: pd.DataFrame, question: str, id: str, of: str = "") -> Markdown:
    """The page's main question, answered by the claim `id` (`of`: see `words.answer`); that nothing is measured where
    no claim can be judged."""
    if not words.judged(found):
        return Markdown(NOTHING)
    return Markdown(f"**{question}** {words.answer(found, id, of)}")


def counts(study: Study, found: pd.DataFrame) -> Markdown | None:
    """How the page's claims fare; nothing where none can be judged, which `result` has said."""
    if not words.judged(found):
        return None
    if study.notebook in catalogue.NOTEBOOKS:
        return words.claims_of(study, found)
    return Markdown(words.fared(found, "XOR networks"))  # which have no rows of a table, and no scale but their own


def figure(study: Study, name: str, column: str, lines: Lines, *, caption: str, **more: Any) -> Html:
    """The key figure: one panel of a figure that the page shows in full further down; nothing while it is not
    measured. `more`: words of a `figure_sheet.View`."""
    if study.lacking(name):
        return Html("", "key")
    alt = f"{AXES[column].capitalize()} against {X[more.get('x', 'density')]}, {', '.join(lines)}."
    below = f"<strong>{caption}</strong> The section on this figure has the others of its panels."
    return panels.against_size(study, name, [column], lines, name=f"key-{name}", alt=alt, caption=below, **more)


def explorer(study: Study, figures: str | Iterable[str], arms: Iterable[str], **more: Any) -> TicketExplorer | Html:
    """The explorer of some figures of a page; how to measure them where they are not. It opens where 21% is left.

    `more`: as `explorer_data.ticket` has it."""
    names = [figures] if isinstance(figures, str) else list(figures)
    if lacking := next((f for f in names if study.lacking(f)), ""):
        return captions.waiting(study, lacking)
    data = explorer_data.ticket(study, names, arms, **more)
    return TicketExplorer(data, round=7, percent=21.1)


def every_rate(study: Study) -> TicketExplorer | Html:
    """The explorer of the grid of pruning rates, with its controls where they are published too; while nothing of it
    is, the page's own rounds of 20% and one cut, and on the grid's own page how to measure it.

    The grid is trained as ICLR section 2 trains, for less long."""
    page = catalogue.FIGURES[GRIDS[0]].notebook
    grid = study if study.notebook == page else Study(notebook=page)
    if study is grid or study.profile == "published":
        there = [name for name in GRIDS if not grid.lacking(name)]
        arms = {s.arm for name in there for s in grid.rows(name) if s.round}
        if there:
            return explorer(grid, there, [arm for arm in ARMS if arm in arms])
    if study is grid:
        return captions.waiting(study, GRIDS[0])
    return explorer(study, ["iclr-fig04", "iclr-fig04c"], ["ticket", "reinit"])


def gaps(
    study: Study,
    name: str,
    question: str,
    sides: dict[str, tuple[dict[str, Any], dict[str, Any]]],
    *,
    column: str = "end_test",
    levels: tuple[int, int] = (6, 12),
) -> Markdown:
    """A question answered by differences in accuracy, each paired by trial over some rounds: label → (one side, the
    other)."""
    if study.lacking(name):
        return Markdown(NOTHING)
    table = study.table(name)
    table = table[table["round"].between(*levels)]
    said = []
    for label, (one, other) in sides.items():
        both = {*select(table, **one)["round"]} & {*select(table, **other)["round"]}  # controls may be of fewer rounds
        found = analyse.paired(table[table["round"].isin(both)], column, one, other)
        gap = between(100 * found["effect"], 100 * found["low"], 100 * found["high"], 2)
        said.append(f"**{gap} points** {label}")
    return Markdown(f"**{question}** By {'; by '.join(said)}. In brackets: 95% intervals over trials.")


def xor(page: Page) -> Markdown:
    """The question of the XOR page, answered by its own networks."""
    at, left = page.at, page.left
    return Markdown(
        "**Do two hidden units learn XOR?** Started at random, they reach zero loss in "
        f"**{at['zero', 2]:.0f}%** of {page.study.trials:,} trials. The two best of ten, put back to where they "
        f"started, do in **{left[BEST, 'zero']:.0f}%**; two fresh ones in their place in "
        f"{left['reinit', 'zero']:.0f}%."
    )
