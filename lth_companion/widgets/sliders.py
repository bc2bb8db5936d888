"""What the sliders show, computed beforehand and packed as JSON: a page has no kernel to ask."""

from lth_companion.widgets.anatomy import REACH, SHADE_0, SHADES
from lth_companion.widgets.conclude import AGAINST, LABS, MEASURES, RESAMPLES, conclude, intervals
from lth_companion.widgets.explored import ticket
from lth_companion.widgets.xor_live import live_xor

__all__ = [
    "AGAINST", "LABS", "MEASURES", "REACH", "RESAMPLES", "SHADES", "SHADE_0", "conclude", "intervals", "live_xor",
    "ticket",
]  # fmt: skip
