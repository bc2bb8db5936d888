"""What the sliders show, computed beforehand from tidy tables and packed as JSON: a page has no kernel to ask."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lth_core import analyse, figures, paper, plot, results, xor
from lth_core.cell import key_of
from lth_core.data import EVALUATED
from lth_core.draws import generator
from lth_core.models import init_sd, initial, layers
from lth_core.points import on_panel
from lth_core.spec import Spec
from lth_core.study import Study

SHADES = 64  # grey levels of a mask's map; as characters, code SHADE_0 is black
SHADE_0 = 48
BINS = 30  # of a histogram of initial weights, over REACH standard deviations to both sides
REACH = 3.0
COUNTS = (2, 3, 4, 5, 7, 10, 15, 20)  # numbers of trials to conclude from
LABS = 20  # of the resamples, these are drawn
RESAMPLES, DRAWS = 300, 400  # resamples of trials, and bootstrap draws in each
LEVELS = (0.8, 0.51, 0.21, 0.07, 0.036, 0.01)  # densities to conclude about, where there are such tickets


def ticket(study: Study, figure: str, arms: list[str], points: int = 60) -> dict[str, Any]:
    """What `widgets.TicketExplorer` shows of a figure's iterative tickets: see there."""
    table, curves = figures.iterative(study.table(figure)), figures.iterative(study.curves(figure))
    n = EVALUATED[study.on]["test"]
    rounds = table[["round", "density"]].drop_duplicates().sort_values("round")
    trials = sorted(int(t) for t in table["trial"].unique())
    grid = np.sort(curves["iteration"].unique())
    grid = grid[np.unique(np.geomspace(1, len(grid) - 1, points).astype(int))]
    data: dict[str, Any] = {
        "rounds": [{"round": int(r), "percent": round(100 * d, 2)} for r, d in rounds.itertuples(index=False)],
        "arms": {a: {"label": figures.NAMES[a], "color": plot.css(a)} for a in arms},
        "trials": trials, "iteration": grid.tolist(), "curves": {}, "summary": {},
        "caption": figures.scale_note(study, figure),
    }  # fmt: skip
    shown = curves[curves["iteration"].isin(grid)].assign(accuracy=1e4 * curves["test_correct"] / n)
    for arm in arms:
        means = figures.of_arm(shown, arm).groupby(["round", "trial", "iteration"])["accuracy"].mean()
        wide = means.unstack("iteration").reindex(columns=grid)
        own = figures.of_arm(table, arm).groupby(["round", "trial"])[["stop_test", "stop_iteration"]].mean()
        data["curves"][arm], data["summary"][arm] = {}, {}
        for r in wide.index.unique("round"):
            data["curves"][arm][str(r)] = [_whole(row) for row in wide.loc[r].reindex(trials).to_numpy()]
            stop = own.loc[r].reindex(trials)
            accuracy = _whole(1e4 * stop["stop_test"].to_numpy())
            data["summary"][arm][str(r)] = {"accuracy": accuracy, "stop": _whole(stop["stop_iteration"].to_numpy())}
    named = figures.levelled(table, study.data(figure))
    data["printed"] = [
        {"column": name, "percent": p.x, "value": p.y, "arm": p.line, "says": p.statement}
        for name, column in (("accuracy", "stop_test"), ("stop", "stop_iteration"))
        for p in on_panel(figure, named, column, "percent", {a: {"arm": a} for a in arms})
    ]
    if anatomy := _anatomy(study, [s for s in study.rows(figure) if _nested(s, table)], trials):
        data["anatomy"] = anatomy
    return data


def _whole(values: NDArray) -> list[int | None]:
    return [None if not np.isfinite(v) else round(float(v)) for v in values]


def _nested(spec: Spec, table: pd.DataFrame) -> bool:
    """Whether a row is a ticket of the iterative chain, or unpruned."""
    return spec.round == 0 or (spec.arm == "ticket" and key_of(spec) in set(table["key"]))


def _anatomy(study: Study, specs: Iterable[Spec], trials: list[int]) -> dict[str, Any] | None:
    """Per trial and round: how many outgoing connections each input keeps, and which initial weights survive.

    - `layers`: name, number of weights, standard deviation of the initial weights
    - `kept[trial][round]`: weights per layer; `weights[trial][round]`: per layer a histogram of initial weights, `BINS`
      counts over ± `REACH` standard deviations
    - `map[trial][round]`: `[most, text]`, a character per input: its share of `most` in `SHADES` steps
    """
    shown = sorted(specs, key=lambda s: (s.trial, s.round))
    if not shown or not shown[0].arch.startswith("lenet-"):
        return None
    if not all(study.source.has_masks(s) for s in shown):  # only curves are published
        return None
    table = layers(shown[0].arch, shown[0].dataset)
    sd = [init_sd(shown[0], layer) for layer in table]
    side = int(np.sqrt(table[0].shape[1]))
    made: dict[str, Any] = {
        "layers": [
            {"name": layer.name, "weights": int(np.prod(layer.shape)), "sd": round(s, 4)}
            for layer, s in zip(table, sd, strict=True)
        ],
        "side": side, "units": table[0].shape[0], "reach": REACH, "shades": SHADES, "zero": SHADE_0,
        "kept": [], "weights": [], "map": [],
    }  # fmt: skip
    for trial in trials:
        own = [s for s in shown if s.trial == trial]
        start = initial(own[0])
        position = {
            layer.weight: np.floor((start[layer.weight] / s / REACH + 1) * BINS / 2).astype(int).clip(0, BINS - 1)
            for layer, s in zip(table, sd, strict=True)
        }
        parts: dict[str, dict] = {"kept": {}, "weights": {}, "map": {}}
        for spec in own:
            masks = results.masks(spec, study.source)
            r = str(spec.round)
            parts["kept"][r] = [int(masks[layer.weight].sum()) for layer in table]
            parts["weights"][r] = [
                np.bincount(position[w.weight][masks[w.weight]], minlength=BINS).tolist() for w in table
            ]
            out = masks[table[0].weight].sum(0)
            shade = np.round(out * (SHADES - 1) / max(int(out.max()), 1)).astype(int) + SHADE_0
            parts["map"][r] = [int(out.max()), "".join(map(chr, shade))]
        for name, part in parts.items():
            made[name].append(part)
    return made


def live_xor(tables: Iterable[pd.DataFrame], lr: float = 1.0, iterations: int = 10_000) -> dict[str, Any]:
    """What `widgets.XorLive` needs beside its own networks: `xor.rates` tables, measured and printed, by strategy and
    hidden units."""
    rows: dict[str, Any] = {}
    for r in pd.concat([xor.rates(t) for t in tables]).itertuples():
        cell = {"measured": r.measured, "low": r.low, "high": r.high, "n": r.n}
        cell |= {"paper": None if pd.isna(r.paper) else r.paper}
        rows.setdefault(str(r.strategy), {}).setdefault(str(r.hidden), {})[str(r.success)] = cell
    return {
        "rows": rows, "lr": lr, "iterations": iterations, "zero_loss": xor.ZERO_LOSS, "tie": xor.TIE,
        "color": plot.css("ticket"),
    }  # fmt: skip


AGAINST = {"reinit": "its reinitialised copies", "unpruned": "the unpruned network"}
MEASURES = {
    "gap": "Test accuracy at early stop: ahead by points",
    "ratio": "Early-stopping iteration: percent of the other's",
}
NOTHING = {"gap": 0.0, "ratio": 100.0}  # where there is no difference


def by_level(table: pd.DataFrame) -> pd.DataFrame:
    """One row a trial, round and opponent (`AGAINST`): how far the ticket is ahead (`gap`, points) and how much earlier
    it stops (`ratio`, percent of the other's iteration). Reinitialised copies of a ticket are averaged first."""
    columns = ["stop_test", "stop_iteration"]
    means = figures.iterative(table).groupby(["arm", "round", "density", "trial"])[columns].mean().reset_index()
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

    Each has the 95% interval that this book gives: `analyse.bootstrap`'s percentiles, in `DRAWS` draws."""
    rng = generator("conclude", n, *key)
    drawn = rng.choice(values, (RESAMPLES, n))
    picks = rng.integers(0, n, (DRAWS, n))
    means = drawn[:, picks].mean(-1)
    return np.column_stack([drawn.mean(1), *np.quantile(means, [0.025, 0.975], axis=1)])


def conclude(study: Study, figure: str) -> dict[str, Any]:
    """What `widgets.Conclude` shows: published trials resampled, for each number of trials and level.

    `levels[i][against][measure]`: `trials` (measured), `measured` (their mean, low, high) and, by number of trials,
    `counts`: `labs` (mean, low, high of the first `LABS` experiments), `width` (median) and `says`, the fractions of
    all experiments that conclude "above", "below" and nothing."""
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
    scale = paper.FIGURES[figure].paper
    return {
        "levels": levels, "counts": list(COUNTS), "titles": MEASURES, "against": AGAINST, "nothing": NOTHING,
        "trials": study.scale(figure).trials, "paper_trials": scale.trials, "resamples": RESAMPLES,
        "color": plot.css("ticket"), "caption": figures.scale_note(study, figure),
    }  # fmt: skip


def _concluded(values: NDArray, none: float, *key: str) -> dict[str, Any]:
    counts = {}
    for n in COUNTS if len(values) else ():
        found = intervals(values, n, *key)
        above, below = float((found[:, 1] > none).mean()), float((found[:, 2] < none).mean())
        counts[str(n)] = {
            "labs": found[:LABS].round(3).tolist(),
            "width": round(float(np.median(found[:, 2] - found[:, 1])), 3),
            "says": [round(v, 3) for v in (above, below, 1 - above - below)],
        }
    measured = [values.mean(), *analyse.bootstrap(values)] if len(values) else []
    return {"counts": counts, "measured": [round(float(v), 3) for v in measured], "trials": values.round(3).tolist()}
