"""Trainings of milliseconds, for tests of what happens around them."""

from __future__ import annotations

import numpy as np

from lth_companion.experiments import catalogue
from lth_core.spec import Spec
from lth_core.store import Store

TINY = catalogue.Scale(dataset="digits", iterations=40, trials=2, rounds=2, replicates=1)
SMALL = dict(arch="lenet-20-10", eval_every=20)


def tiny_rows() -> list[Spec]:
    return catalogue.iterative(TINY, ("ticket", "reinit"), rate=0.5, **SMALL)


def same_cells(a: Store, b: Store) -> bool:
    if a.keys() != b.keys():
        return False
    for key in a.keys():
        x, y = a.read(key), b.read(key)
        if not x.curves.equals(y.curves) or any(not np.array_equal(x.weights[n], y.weights[n]) for n in x.weights):
            return False
    return True
