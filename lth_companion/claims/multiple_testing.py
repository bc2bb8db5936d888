"""Many claims at once: of the answers in a family (a page's claims of one paper), which chance would not give.

Benjamini and Hochberg's false discovery rate decides: an answer whose q is above 5% is taken back to "undecided".
Holm's stricter p, which allows not a single false answer in a family, stands beside it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import scipy
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


def adjusted(p: pd.Series, family: pd.DataFrame) -> pd.DataFrame:
    """Columns q (Benjamini-Hochberg) and holm of each claim that has a p, in its family."""
    made = pd.DataFrame({"q": np.nan, "holm": np.nan}, index=p.index)
    there = p.notna()
    for _, rows in family[there].groupby(FAMILY).groups.items():
        values = p.loc[rows].to_numpy(float)
        made.loc[rows, "q"] = scipy.stats.false_discovery_control(values)
        made.loc[rows, "holm"] = holm(values)
    return made
