"""Lines against size in one panel, and, for notebooks, the words and captions of all figures in one name."""

from __future__ import annotations

from typing import Any

import pandas as pd
from matplotlib.axes import Axes

from lth_companion.figures.captions import provenance, scale_note, waiting
from lth_companion.figures.one_panel import named
from lth_companion.figures.vocabulary import (
    AXES,
    DATA,
    FIELDS,
    NAMES,
    X,
    iterative,
    levelled,
    namer,
    natural,
    of_arm,
    one_shot,
)
from lth_core import analyse, plot

__all__ = [
    "AXES", "DATA", "FIELDS", "NAMES", "X", "against_density", "iterative", "levelled", "namer", "natural", "of_arm",
    "one_shot", "provenance", "scale_note", "waiting",
]  # fmt: skip


def against_density(
    ax: Axes, table: pd.DataFrame, column: str, arms: dict[str, str] | list[str], *, reference: bool = True, **look: Any
) -> None:
    """Mean over trials against percent of weights remaining, one line an arm. Columns: round, arm, density, trial and
    the one shown.

    Bars span the trials' smallest and largest value, as in the papers; the band is the mean's 95% t interval.
    """
    unpruned = table.loc[table["round"] == 0, column].mean()
    for arm in arms:
        name = arms[arm] if isinstance(arms, dict) else NAMES[arm]
        part = analyse.spread(of_arm(table, arm), column, ["density"]).sort_values("density", ascending=False)
        x = 100 * part["density"]
        plot.line(ax, x, part["mean"], part["low"], part["high"], arm=arm, band=True, label=name, **look)
        ax.vlines(x, part["min"], part["max"], color=plot.COLORS[arm], linewidth=1.1, alpha=0.7)
    if reference:
        ax.axhline(
            unpruned, color=plot.INK, linewidth=1, linestyle=(0, plot.ARMS["unpruned"][3]), label=NAMES["unpruned"]
        )
    named(ax, column, AXES[column])
    plot.percent_axis(ax, sorted({round(100 * d, 3) for d in table["density"]}))
