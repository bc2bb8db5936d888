"""Many claims at once: of the answers in a family (a page's claims of one paper), which chance would not give.

Benjamini and Hochberg's false discovery rate decides: an answer whose q is above 5% is taken back to "undecided".
Holm's stricter p, which allows not a single false answer in a family, stands beside it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RATE = 0.05
FAMILY = ["notebook", "paper"]


def holm(p: NDArray) -> NDArray:
    """Holm's adjusted p of each, `(claim,)`.

    >>> holm(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.06, 0.06]
    """
    order = np.argsort(p)
    adjusted = np.minimum(np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)), 1)
    back = np.empty_like(adjusted)
    back[order] = adjusted
    return back


def benjamini_hochberg(p: NDArray) -> NDArray:
    """Benjamini and Hochberg's q of each, `(claim,)`. (As `scipy.stats` makes it, whose import would take longer than
    reading all measurements.)

    >>> benjamini_hochberg(np.array([0.01, 0.04, 0.03])).tolist()
    [0.03, 0.04, 0.04]
    """
    order = np.argsort(p)[::-1]
    q = np.empty_like(p)
    q[order] = np.minimum.accumulate(p[order] * (len(p) / np.arange(len(p), 0, -1)))
    return q.clip(0, 1)


def adjusted(p: pd.Series, family: pd.DataFrame) -> pd.DataFrame:
    """Columns q (Benjamini-Hochberg) and holm of each claim that has a p, in its family."""
    made = pd.DataFrame({"q": np.nan, "holm": np.nan}, index=p.index)
    there = p.notna()
    for _, rows in family[there].groupby(FAMILY).groups.items():
        values = p.loc[rows].to_numpy(float)
        made.loc[rows, "q"] = benjamini_hochberg(values)
        made.loc[rows, "holm"] = holm(values)
    return made
