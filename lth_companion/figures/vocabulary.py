"""The words of figures and tables (arms, axes, networks, data sets), and the networks of a table that they name."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

from lth_core.arms import KNOWN_ARMS
from lth_core.data import KNOWN
from lth_core.models import weight_count

NAMES = {"unpruned": "unpruned network", **{arm.name: arm.title for arm in KNOWN_ARMS}}
DATA = {d.name: d.title for d in KNOWN.values() if d.stand_in}  # the papers' own
NETWORKS = {"conv": "Conv", "resnet": "ResNet", "vgg": "VGG", "lenet": "LeNet"}
LAYERS = ("layer 1", "layer 2", "output layer")  # of LeNet-300-100
SENDERS = ("input pixels", "layer 1", "layer 2")  # whose outgoing connections a layer's weights are
AXES = {
    "stop_iteration": "early-stopping iteration", "stop_test": "test accuracy at early stopping",
    "stop_val": "validation accuracy at early stopping", "stop_train": "training accuracy at early stopping",
    "end_test": "test accuracy at the end", "end_train": "training accuracy at the end",
    "end_val": "validation accuracy at the end",
    "convergence_iteration": "convergence iteration", "convergence_test": "test accuracy at convergence",
    "converged": "share of networks that converge",
}  # fmt: skip
FIELDS = {
    "lr": "learning rate", "init_sd": "initial standard deviation", "prune_fc": "pruned per round",
    "arch": "hidden units",
}  # fmt: skip
X = {
    "density": "percent of weights remaining", "hidden": "percent of hidden weights left",
    "weights": "weights remaining",
}  # fmt: skip
SHADES: list[Any] = ["-", (0, (6, 2)), (0, (2, 1.5)), (0, (1, 1))]  # dashes of an arm's first, second, ... line
Pick = Callable[[pd.DataFrame], pd.DataFrame]


def called(arch: str) -> str:
    """ "conv-2" as the papers write it: "Conv-2"."""
    return re.sub(r"^[a-z]+", lambda name: NETWORKS.get(name[0], name[0]), arch)


def natural(value: Any) -> tuple[Any, ...]:
    """Sorting key: numbers inside names count as numbers (lenet-50-17 before lenet-100-34)."""
    return tuple(map(int, re.findall(r"\d+", value))) if isinstance(value, str) else (value,)


def namer(field: str) -> Callable[[Any], str]:
    """How values of a field are labelled."""
    return "{:.0%}".format if field.startswith("prune") else _shown


def _shown(value: Any) -> str:
    return value.removeprefix("lenet-") if isinstance(value, str) else f"{value:g}"


def is_time(column: str) -> bool:
    """Whether a column counts iterations; the others are fractions."""
    return column.endswith("iteration")


def every(table: pd.DataFrame) -> pd.DataFrame:
    """All networks."""
    return table


def iterative(table: pd.DataFrame, rate: float = 0.2) -> pd.DataFrame:
    """Networks of iterative pruning at `rate` per round, the unpruned ones with them. Columns: round, prune_fc."""
    return table[(table["round"] == 0) | np.isclose(table["prune_fc"], rate)]


def one_shot(table: pd.DataFrame) -> pd.DataFrame:
    """Networks pruned once, the unpruned ones with them. Column: round."""
    return table[table["round"] <= 1]


def of_arm(table: pd.DataFrame, arm: str, **fields: object) -> pd.DataFrame:
    """One arm with the unpruned networks as its first point. Columns: round, arm, and the fields."""
    for name, value in fields.items():
        table = table[(table["round"] == 0) | (table[name] == value)]
    return table[(table["round"] == 0) | (table["arm"] == arm)]


def levelled(table: pd.DataFrame, dataset: str) -> pd.DataFrame:
    """The table with its possible x axes: percent of all weights, v1's percent of hidden weights, number of weights.

    Columns: arch, prune_fc, round, density; with convergence_iteration it gets `converged` too."""
    total = table["arch"].map(lambda a: weight_count(a, dataset))
    hidden = (100 * (1 - table["prune_fc"]) ** table["round"]).round(2)
    table = table.assign(hidden=hidden, weights=table["density"] * total, percent=100 * table["density"])
    if "convergence_iteration" in table:
        table = table.assign(converged=table["convergence_iteration"].notna().astype(float))
    return table


def axis_of(x: str) -> str:
    """The column of `levelled` that has the values of an x axis (a key of `X`)."""
    return "percent" if x == "density" else x
