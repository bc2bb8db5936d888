"""How many trials does a conclusion need? Published trials drawn again, and the slider that shows what follows."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import traitlets
from numpy.typing import NDArray
from scipy import special

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures.captions import scale_note
from lth_companion.figures.vocabulary import iterative
from lth_companion.widgets.base import Widget, require, text
from lth_core import plot
from lth_core.draws import generator

COUNTS = (2, 3, 4, 5, 7, 10, 15, 20)  # numbers of trials to conclude from
LABS = 20  # of the resamples, these are drawn
RESAMPLES = 300  # resamples of trials
LEVELS = (0.8, 0.51, 0.21, 0.07, 0.036, 0.01)  # densities to conclude about, where there are such tickets
AGAINST = {"reinit": "its reinitialised copies", "unpruned": "the unpruned network"}
MEASURES = {
    "gap": "Test accuracy at early stop: ahead by points",
    "ratio": "Early-stopping iteration: % of the other's",
}
NOTHING = {"gap": 0.0, "ratio": 100.0}  # where there is no difference


class Conclude(Widget):
    """One slider over the number of trials: how intervals, and what they conclude, move with it.

    - `data["levels"]`: `[{"percent": 21.0, "round": 7, "unpruned": {"gap": {…}, "ratio": {…}}, …}, …]`; by opponent and
      measure `trials` (measured values), `measured` (their mean, low, high) and, by number of trials, `counts`: `labs`
      (mean, low, high of the first `LABS` experiments), `width` (median) and `says`, the fractions of all experiments
      that conclude "above", "below" and nothing
    - `data["counts"]`: the numbers of trials; `data["titles"]`, `data["nothing"]`: by measure, its words and the value
      of no difference; `data["against"]`: the opponents' names
    - `data["trials"]`, `data["paper_trials"]`, `data["resamples"]`: how many; `data["color"]`, `data["caption"]`
    - `trials`: the chosen number, one of `data["counts"]`; `level`: which of `data["levels"]`
    - `against`: reinit or unpruned, whom the ticket is compared with
    """

    _esm = text("chart.js", "conclude.js")

    trials = traitlets.Int(3).tag(sync=True)
    level = traitlets.Int(0).tag(sync=True)
    against = traitlets.Enum(("reinit", "unpruned"), "unpruned").tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        names = ("levels", "counts", "titles", "against", "nothing", "trials", "paper_trials", "resamples", "color")
        return require(proposal["value"], *names)

    @traitlets.validate("trials")
    def _stop(self, proposal: dict[str, Any]) -> int:
        return self._nearest(self.data.get("counts", []), proposal["value"])

    @traitlets.validate("level")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        return self._nearest(list(range(len(self.data.get("levels", [])))), proposal["value"])


def by_level(table: pd.DataFrame) -> pd.DataFrame:
    """One row a trial, round and opponent (`AGAINST`): how far the ticket is ahead (`gap`, points) and how much earlier
    it stops (`ratio`, percent of the other's iteration). Reinitialised copies of a ticket are averaged first.

    Columns: arm, round, density, trial, prune_fc, stop_test, stop_iteration."""
    columns = ["stop_test", "stop_iteration"]
    means = iterative(table).groupby(["arm", "round", "density", "trial"])[columns].mean().reset_index()
    tickets = means[(means["arm"] == "ticket") & (means["round"] > 0)]
    parts = []
    for name in AGAINST:
        others = means[means["round"] == 0] if name == "unpruned" else means[means["arm"] == name]
        both = tickets.merge(others, on="trial" if name == "unpruned" else ["trial", "round"], suffixes=("", "_other"))
        gap = 100 * (both["stop_test"] - both["stop_test_other"])
        ratio = 100 * both["stop_iteration"] / both["stop_iteration_other"].replace(0, np.nan)
        parts.append(both[["round", "density", "trial"]].assign(against=name, gap=gap, ratio=ratio))
    return pd.concat(parts, ignore_index=True)


def intervals(values: NDArray, n: int, *key: str | int) -> NDArray[np.float64]:
    """`RESAMPLES` experiments of `n` trials, drawn from the measured `values`: `(experiment, 3)`: mean, low, high.
    Where there are twice as many, none is drawn twice: two equal ones would have an interval without width.

    Each has Student's 95% interval, as the verdicts of this book have from three trials on."""
    rng = generator("conclude", n, *key)
    once = 2 * n <= len(values)
    drawn = rng.permuted(np.tile(values, (RESAMPLES, 1)), axis=1)[:, :n] if once else rng.choice(values, (RESAMPLES, n))
    return np.column_stack([drawn.mean(1), *student(drawn)])


def student(values: NDArray) -> NDArray[np.float64]:
    """Student's 95% interval of the mean along the last axis: `(2, …)`, low and high."""
    n = values.shape[-1]
    middle, off = values.mean(-1), special.stdtrit(n - 1, 0.975) * values.std(-1, ddof=1) / n**0.5
    return np.stack([middle - off, middle + off])


def conclude(study: Study, figure: str) -> dict[str, Any]:
    """The data of a `Conclude`: published trials resampled, for each number of trials and level."""
    table = by_level(study.table(figure))
    densities = np.sort(table["density"].unique())[::-1]
    near = {float(densities[np.abs(np.log(densities / level)).argmin()]) for level in LEVELS}
    levels: list[dict[str, Any]] = []
    for density in sorted(near, reverse=True):
        own = table[table["density"] == density]
        levels.append({"percent": round(100 * density, 2), "round": int(own["round"].iat[0])})
        for name, group in own.groupby("against", sort=False):
            parts = {m: _concluded(group[m].dropna().to_numpy(), none, m, str(name)) for m, none in NOTHING.items()}
            levels[-1][str(name)] = parts
    scale = catalogue.FIGURES[figure].paper
    return {
        "levels": levels, "counts": list(COUNTS), "titles": MEASURES, "against": AGAINST, "nothing": NOTHING,
        "trials": study.scale(figure).trials, "paper_trials": scale.trials, "resamples": RESAMPLES,
        "color": plot.css("ticket"), "caption": scale_note(study, figure),
    }  # fmt: skip


def _concluded(values: NDArray, none: float, *key: str) -> dict[str, Any]:
    counts = {}
    for n in COUNTS if len(values) else ():
        found = intervals(values, n, *key)
        wide = found[:, 2] > found[:, 1]  # equal trials, one drawn again and again, conclude nothing
        above, below = (float((wide & side).mean()) for side in (found[:, 1] > none, found[:, 2] < none))
        counts[str(n)] = {
            "labs": found[:LABS].round(3).tolist(),
            "width": round(float(np.median(found[:, 2] - found[:, 1])), 3),
            "says": [round(v, 3) for v in (above, below, 1 - above - below)],
        }
    measured = [values.mean(), *student(values)] if len(values) > 1 else []
    return {"counts": counts, "measured": [round(float(v), 3) for v in measured], "trials": values.round(3).tolist()}
