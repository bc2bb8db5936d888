"""Columns of a table of networks that need whole learning curves: accuracies on the way, when one is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np
import pandas as pd

from lth_companion.experiments.cifar10_recipes import share
from lth_core import results
from lth_core.analyse import accuracies
from lth_core.levels import Lacking, T
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.store.cell import key_of


def with_curves(
    table: T, columns: Iterable[str], source: Source, specs: list[Spec], curves: pd.DataFrame | None = None
) -> T:  # fmt: skip
    """Columns that need whole curves, at iterations of the paper's schedule (see `cifar10_recipes.share`).

    "test@1000": at that one (or the nearest evaluation kept), "val_loss@end"; "test<5000": mean up to there;
    "reach@0.97": first iteration with that validation accuracy, "reach_test@0.97" with that test accuracy; "loss_rise":
    validation loss at the end minus its minimum."""
    wanted = [c for c in columns if c not in table and (re.search("[@<]", c) or c == "loss_rise")]
    if not wanted:
        return table
    if curves is None:
        curves = evaluations(specs, source)
    curves = curves[curves["key"].isin(table["key"])]
    made: dict[str, dict[str, float]] = {c: {} for c in wanted}
    part = {key_of(s): share(s) for s in specs}
    for key, c in curves.groupby("key", sort=False):
        iteration = c["iteration"].to_numpy() / part[key]
        for name in wanted:
            base, sign, at = re.fullmatch(r"(\w+?)(?:([@<])(.+))?", name).groups()  # type: ignore[union-attr]
            if base == "loss_rise":
                made[name][key] = float(c["val_loss"].iat[-1] - c["val_loss"].min())
            elif base.startswith("reach"):
                there = c["test" if base == "reach_test" else "val"].to_numpy() >= float(at)
                made[name][key] = float(iteration[there.argmax()]) if there.any() else float("nan")
            elif sign == "<":
                made[name][key] = float(c[base].to_numpy()[iteration <= float(at)].mean())
            else:
                nearest = -1 if at == "end" else int(np.abs(iteration - float(at)).argmin())
                made[name][key] = float(c[base].iat[nearest])
    return table.assign(**{n: [values.get(k, np.nan) for k in table["key"]] for n, values in made.items()})


def evaluations(specs: list[Spec], source: Source) -> pd.DataFrame:
    """All evaluations of networks, in order of key and iteration, with accuracies."""
    found = results.curves(specs, source)
    if found.empty:
        raise Lacking("no learning curves of these networks are published")
    return accuracies(found.sort_values(["key", "iteration"], kind="stable"), specs[0].dataset)
