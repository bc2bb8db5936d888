"""Panels end where values can be: iterations are not negative, accuracies not above one."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from matplotlib import pyplot as plt

from lth_companion.experiments.study import Study
from lth_companion.figures import one_panel
from lth_companion.figures.figure_sheet import View
from lth_companion.figures.vocabulary import levelled

LINES: one_panel.Lines = {"ticket": ("ticket", {"arm": "ticket"})}


def scattered(column: str, values: tuple[float, ...]) -> pd.DataFrame:
    """A chain of three trials with a value of its own each, whose interval reaches far beyond them."""
    study = Study(notebook="beyond_mistakes")
    table = levelled(study.table("beyond-mistakes"), study.data("beyond-mistakes"))
    return table[(table["search"] == "reset") & (table["arm"] == "ticket")].assign(
        **{column: lambda t: t["trial"].map(dict(enumerate(values)))}
    )


@pytest.mark.parametrize(
    ("column", "values"), [("stop_iteration", (200.0, 300.0, 9_000.0)), ("end_train", (0.97, 1.0, 1.0))]
)
def test_an_interval_does_not_take_the_axis_where_no_value_can_be(column: str, values: tuple[float, ...]) -> None:
    table = scattered(column, values)
    _, ax = plt.subplots()
    one_panel.draw(ax, table, column, LINES, "beyond-mistakes", View(alt="a", caption="c"))
    one_panel.zoom(ax, table, column, 0.05)
    low, high = ax.get_ylim()
    assert low >= 0 and (high <= 1 or column == "stop_iteration")
    bands = [c.get_paths()[0].vertices[:, 1] for c in ax.collections if hasattr(c, "get_paths") and c.get_paths()]
    assert min(map(np.min, bands)) < 0 or max(map(np.max, bands)) > 1, "the interval itself is drawn whole"
    plt.close()
