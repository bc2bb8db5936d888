"""Percentages of weights that the ICLR paper prints for Conv-6, and the networks that have them.

The text gives Conv-6 a third module of 256 channels, 2.26 million weights; the paper's table says 1.7 million.
`fits` holds each printed percentage against a width of that module."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd

from lth_companion.figures.captions import frame
from lth_core import prune
from lth_core.models import layers, weight_count
from lth_core.plot import Html
from lth_core.spec import Spec

# Fraction of convolutions cut per round -> round -> percent remaining. Section 3 and Figure 36; H.2 and Figure 34.
CONV6 = {
    0.15: {3: 56.2, 6: 31.9, 7: 26.4, 9: 18.2, 10: 15.1, 12: 10.5, 15: 6.1, 18: 3.6, 21: 2.1, 24: 1.2},
    0.10: {3: 61.8, 6: 39.4, 9: 25.8, 11: 19.7, 12: 17.3, 13: 15.2, 15: 11.9, 17: 9.31, 18: 8.3, 21: 5.8, 24: 4.1,
           27: 3.0, 30: 2.1},
}  # fmt: skip


def percent(width: int, rate: float, round: int) -> float:
    """Percent of all weights that Conv-6 with this third module keeps."""
    row = Spec(
        dataset="cifar10", arch=f"conv-6-{width}", round=round, prune_conv=rate, prune_fc=0.2, prune_out=0.1
    )  # fmt: skip
    return 100 * prune.density(row)


def fits(width: int) -> list[bool]:
    """Whether each printed percentage is, rounded as printed, that of the width."""
    pairs = [(percent(width, rate, r), said) for rate, levels in CONV6.items() for r, said in levels.items()]
    return [round(x, len(str(said).split(".")[1])) == said for x, said in pairs]


def widths(candidates: Iterable[int] = (128, 160, 184, 192, 200, 224, 256)) -> Html:
    """How many printed percentages each width of the third module explains, and its weights."""
    rows = []
    for width in candidates:
        arch, found = f"conv-6-{width}", fits(width)
        convs = sum(int(np.prod(x.shape)) for x in layers(arch, "cifar10") if x.role == "conv")
        rows.append(
            {
                "channels": width, "all weights": f"{weight_count(arch, 'cifar10'):,}", "in convolutions": f"{convs:,}",
                "printed percentages met": f"{sum(found)} of {len(found)}",
                "after 3 rounds at 10%": f"{percent(width, 0.1, 3):.1f}",
                "after 9 rounds at 15%": f"{percent(width, 0.15, 9):.1f}",
            }
        )  # fmt: skip
    said = {"channels": "printed", "all weights": "1.7M", "in convolutions": "1.1M", "printed percentages met": "",
            "after 3 rounds at 10%": f"{CONV6[0.1][3]}", "after 9 rounds at 15%": f"{CONV6[0.15][9]}"}  # fmt: skip
    return frame(
        pd.DataFrame([*rows, said]),
        caption="Channels of Conv-6's third module: which width has the percentages that the paper prints (arithmetic)",
        name="Conv-6 width",
    )
