"""Why a cell is not used: what no training leaves in one, and what the machine lacks to read it."""

from __future__ import annotations

import errno
from typing import Any

import numpy as np
import pandas as pd

from lth_core.data import EVALUATED
from lth_core.models import Masks, Parameters
from lth_core.prune import planned
from lth_core.spec import Spec

# What opening a file says of its place in the store: missing, a link, a folder, a device. All else is the machine's.
OF_THE_FILE = (None, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)


def of_the_machine(error: BaseException) -> bool:
    """Whether reading failed for what the machine lacks (memory, permission, open files), whatever the content is."""
    return isinstance(error, MemoryError) or (isinstance(error, OSError) and error.errno not in OF_THE_FILE)


def impossible(spec: Spec, made: dict[str, Any], curves: pd.DataFrame, masks: Masks, weights: Parameters) -> str:
    """What no training leaves in a cell ("" if there is nothing): counts beyond the images there are, negative losses,
    numbers that are none although nothing diverged, masks that keep more or fewer weights than their round."""
    for part, images in EVALUATED[spec.dataset].items():
        right = curves[f"{part}_correct"].to_numpy()
        if right.min() < 0 or right.max() > images:
            return f"its {part}_correct is no count of {images:,} images"
        if (curves[f"{part}_loss"].to_numpy() < -1e-3).any():  # rounding can leave a loss just below 0
            return f"its {part}_loss is negative"
    diverged = not np.isfinite(curves["val_loss"].to_numpy()).all()
    if made["diverged"] != diverged:
        return "its losses and what it says of diverging disagree"
    if not diverged and not all(np.isfinite(w).all() for w in weights.values()):
        return "its weights are no numbers, although its losses are"
    if masks and not planned(spec, masks):
        return f"its masks do not keep what round {spec.round} keeps"
    return ""
