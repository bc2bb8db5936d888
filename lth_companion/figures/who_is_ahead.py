"""Tables that say who is ahead of whom: what a mistaken reimplementation would conclude, and what follow-ups find.

Each takes the figure's id; where its networks are not all measured, a line says so.
"""

from __future__ import annotations

import re
from html import escape
from typing import Any

import pandas as pd

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import Table, frame, tabulated
from lth_companion.figures.tables import interval
from lth_companion.html import DASH
from lth_core import analyse
from lth_core.judge.comparisons import ahead
from lth_core.levels import Lacking, Side, better_low, select, with_depth
from lth_core.mistakes import MISTAKES, best_on_test
from lth_core.plot import Html

LEADS = {"holds": "ahead", "undecided": "no difference found", "fails": "<strong>behind</strong>"}


@tabulated
def leads(
    study: Study, figure: str, heads: list[str], rows: dict[str, list[tuple[str, Side, Side]]], *,
    levels: tuple[int, int], caption: str,
) -> Table:  # fmt: skip
    """A row a label; under each head the lead of one side over another (column, one, other), averaged over `levels`, in
    points or percent sooner: "ahead" or "behind" where its interval excludes zero."""
    table, made = with_depth(study.table(figure)), []
    for label, sides in rows.items():
        cells: dict[str, str | Html] = {}
        for head, (column, one, other) in zip(heads, sides, strict=True):
            try:
                found = ahead(table, column=column, of=one, to=other, levels=levels)
            except Lacking:
                cells[head] = DASH
                continue
            cells[head] = Html(f"{interval(vars(found), 1 if better_low(column) else 2)}, {LEADS[found.word]}", "lead")
        made.append({"variant": label, **cells})
    n = study.scale(figure).trials
    return Table(pd.DataFrame(made), f"{caption}, 95% intervals over {n} trials.")


@tabulated
def too_high(study: Study, figure: str, queries: dict[str, dict[str, Any]], *, caption: str) -> Table:
    """What stopping on test data adds: accuracy at minimum validation loss, and the run's best on the test set."""
    best = best_on_test(study.curves(figure), study.on)
    table = with_depth(study.table(figure)).assign(best=lambda t: t["key"].map(best))
    rows = []
    for label, fields in queries.items():
        own = select(table, **fields)
        own = own.assign(more=100 * (own["best"] - own["stop_test"])).groupby("trial")[["stop_test", "best", "more"]]
        means = own.mean()
        low, high = analyse.mean_interval(means["more"].to_numpy())
        added = {"effect": means["more"].mean(), "low": low, "high": high, "n": len(means)}
        rows.append(
            {
                "network": label, "at minimum validation loss, %": f"{100 * means['stop_test'].mean():.2f}",
                "best on the test set, %": f"{100 * means['best'].mean():.2f}", "points too high": interval(added, 2),
            }
        )  # fmt: skip
    return Table(pd.DataFrame(rows), f"{caption}.")


def catalogue(*, caption: str) -> Html:
    """The mistakes as the code has them: the step that goes wrong, and its docstring."""
    rows = []
    for name, steps in MISTAKES.items():
        said = escape(" ".join(" ".join((f.__doc__ or "").split()) for f in steps.changed.values()))
        code = re.sub(r"`([^`]+)`", r"<code>\1</code>", said)
        rows.append(
            {
                "mistake": steps.label,
                "goes wrong": ", ".join(steps.changed),
                "how": Html(code, "how"),
                "search": name,
            }
        )
    return frame(pd.DataFrame(rows), caption, "mistakes")
