"""What a `TicketExplorer` shows of a figure: its networks sorted into ways down, and their curves packed for a page."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import scale_note
from lth_companion.figures.printed_points import on_panel
from lth_companion.figures.vocabulary import AXES, NAMES, axis_of, levelled
from lth_companion.widgets.anatomy import anatomy
from lth_companion.widgets.base import whole
from lth_companion.widgets.explorer import MISSING
from lth_core import plot, prune
from lth_core.data import EVALUATED
from lth_core.levels import select
from lth_core.models import layers
from lth_core.spec import Spec
from lth_core.store.cell import key_of

POINTS = 40  # of a curve: as many as its shape needs at the width of a page
# Percentages of LeNet's weights that ICLR section 2 speaks of: axes mark them.
NAMED = (100, 51.3, 21.1, 13.5, 7.0, 3.6, 1.2)


@dataclass(frozen=True)
class Way:
    """One way down. `table`: its pruned networks, with a column `place`: which of `stops` they are."""

    schedule: str
    rate: int | None
    table: pd.DataFrame
    stops: pd.DataFrame  # round, prune_fc, size: dense to sparse


def ticket(
    study: Study,
    shown: str | Iterable[str],
    arms: Iterable[str],
    *,
    accuracy: str = "stop_test",
    stop: str = "stop_iteration",
    size: str = "density",
    where: dict[str, Any] | None = None,
    points: int = POINTS,
) -> dict[str, Any]:
    """The data of a `TicketExplorer` about one or more figures of a study.

    - `accuracy`, `stop`: columns of the summary that the two panels against size show
    - `size`: what sizes count, a key of `vocabulary.X`
    - `where`: fields that networks must have, for figures that vary more than the way down
    """
    names, arms = [shown] if isinstance(shown, str) else list(shown), list(arms)
    where = where or {}
    table = pd.concat([study.table(f) for f in names]).drop_duplicates("key")
    table = levelled(select(table, **where), study.data(names[0])).assign(size=lambda t: t[axis_of(size)])
    curves = pd.concat([study.curves(f) for f in names]).drop_duplicates(["key", "iteration"])
    curves = curves[curves["key"].isin(table["key"])]
    curves = curves.assign(accuracy=1e4 * curves["test_correct"] / EVALUATED[study.data(names[0])]["test"])
    specs = [s for f in names for s in study.possible(f) if key_of(s) in set(table["key"])]
    by_key = {key_of(s): s for s in specs}
    trials = sorted(int(t) for t in table["trial"].unique())
    grid = np.sort(curves["iteration"].unique())
    grid = grid[np.unique(np.geomspace(1, len(grid) - 1, points).astype(int))]
    unpruned = table[table["round"] == 0].assign(place=0)
    parts = [*ways(table)]
    data: dict[str, Any] = {
        "arms": {a: {"label": NAMES[a], "color": plot.css(a)} for a in arms},
        "trials": trials, "iteration": grid.tolist(),
        "layers": [{"name": w.name, "weights": int(np.prod(w.shape))} for w in layers(specs[0].arch, specs[0].dataset)],
        "unpruned": {
            "curves": packed(unpruned, curves, 1, trials, grid),
            "accuracy": by_stop(unpruned, accuracy, 1, trials, 1e4)[0], "stop": by_stop(unpruned, stop, 1, trials)[0],
        },
        "ways": [], "ticks": list(NAMED) if size == "density" else [], "caption": scale_note(study, names[0]),
        "titles": {
            "accuracy": AXES[accuracy].capitalize(), "stop": AXES[stop].capitalize(),
            "size": "hidden weights" if size == "hidden" else "weights",
        },
    }  # fmt: skip
    for way in parts:
        own = {a: part for a in arms if len(part := way.table[way.table["arm"] == a])}
        n = len(way.stops)
        first = way.table.drop_duplicates("place").set_index("place")["key"]
        data["ways"].append({
            "schedule": way.schedule, "rate": way.rate,
            "stops": [
                {"round": int(r), "percent": round(float(p), 2)}
                for r, p in zip(way.stops["round"], way.stops["size"], strict=True)
            ],
            "kept": [[*prune.plan(by_key[first[i]]).values()] for i in range(n)],
            "curves": {a: packed(part, curves, n, trials, grid) for a, part in own.items()},
            "accuracy": {a: by_stop(part, accuracy, n, trials, 1e4) for a, part in own.items()},
            "stop": {a: by_stop(part, stop, n, trials) for a, part in own.items()},
        })  # fmt: skip
    data["printed"] = [
        {
            "way": int(p.line.split()[0]), "column": name, "percent": p.x, "value": p.y, "arm": p.line.split()[1],
            "says": p.statement,
        }
        for f in names
        for name, column in (("accuracy", accuracy), ("stop", stop))
        for p in on_panel(f, table, column, axis_of(size), {
            f"{i} {a}": {"arm": a, **fields(way)} for i, way in enumerate(parts) for a in arms
        })
    ]  # fmt: skip
    for i, way in enumerate(parts):
        if inside := opened(study, way, specs, trials):
            data["anatomy"] = {**inside, "way": i}
            break
    return data


def fields(way: Way) -> dict[str, Any]:
    """A way as a query (`levels.select`)."""
    if way.rate is None or way.rate == 20:
        return {"path": way.schedule}
    return {"prune_fc": way.rate / 100}


def ways(table: pd.DataFrame) -> Iterator[Way]:
    """The ways down of a table (columns: round, prune_fc, size): each rate that goes further than one round, and one
    cut."""
    pruned = table[table["round"] > 0]
    rates = sorted(pruned.loc[pruned["round"] > 1, "prune_fc"].unique())
    for rate in rates:
        yield way("iterative", round(100 * rate), pruned[np.isclose(pruned["prune_fc"], rate)])
    once = pruned[pruned["round"] == 1]
    if len(once) and not once["prune_fc"].isin(rates).all():
        yield way("one-shot", None, once)


def way(schedule: str, rate: int | None, part: pd.DataFrame) -> Way:
    keys = ["round", "prune_fc"]
    stops = part.drop_duplicates(keys)[[*keys, "size"]].sort_values("size", ascending=False).reset_index(drop=True)
    placed = part.merge(stops[keys].assign(place=stops.index), on=keys)
    return Way(schedule, rate, placed, stops)


def by_stop(part: pd.DataFrame, column: str, stops: int, trials: list[int], unit: float = 1) -> list[list[int | None]]:
    """A column by place and trial, the mean over redraws, rounded."""
    means = unit * part.groupby(["place", "trial"])[column].mean()
    wide = means.unstack("trial").reindex(index=range(stops), columns=trials)
    return [whole(row) for row in wide.to_numpy(float)]


def packed(part: pd.DataFrame, curves: pd.DataFrame, stops: int, trials: list[int], grid: NDArray) -> str:
    """Accuracies (1/10,000) by place, trial and point, as the explorer reads them."""
    own = curves.merge(part[["key", "place"]], on="key")
    own = own[own["iteration"].isin(grid)]
    means = own.groupby(["place", "trial", "iteration"])["accuracy"].mean().unstack("iteration")
    every = pd.MultiIndex.from_product([range(stops), trials])
    values = means.reindex(index=every, columns=grid).to_numpy(float)
    whole_numbers = np.where(np.isfinite(values), values, MISSING).round().astype("<u2")
    return base64.b64encode(whole_numbers.tobytes()).decode()


def opened(study: Study, way: Way, specs: list[Spec], trials: list[int]) -> dict[str, Any] | None:
    """The anatomy of a way's tickets; None where no masks of them are published."""
    if way.rate is None:
        return None
    keys = set(way.table["key"])
    return anatomy(study, [s for s in specs if s.round == 0 or (s.arm == "ticket" and key_of(s) in keys)], trials)
