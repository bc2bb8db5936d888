"""The ticket explorer: one slider over pruning rounds. Its data, what they hold, and the widget that shows them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import traitlets

from lth_companion.experiments.study import Study
from lth_companion.figures.captions import scale_note
from lth_companion.figures.printed import on_panel
from lth_companion.figures.vocabulary import NAMES, iterative, levelled, of_arm
from lth_companion.widgets.base import Widget, require, text, whole
from lth_core import plot, results
from lth_core.data import EVALUATED
from lth_core.models import init_sd, initial, layers
from lth_core.spec import Spec, UsageError
from lth_core.store.cell import key_of

SHADES = 64  # grey levels of a mask's map; as characters, code SHADE_0 is black
SHADE_0 = 48
BINS = 30  # of a histogram of initial weights, over REACH standard deviations to both sides
REACH = 3.0


class TicketExplorer(Widget):
    """One slider over pruning rounds: learning curves of each arm, where the round lies on the way down, and what is
    left of the network: connections of each pixel, share of each layer, initial weights of the survivors.

    - `data["rounds"]`: `[{"round": 0, "percent": 100.0}, …]`, the slider's stops; percent of weights remaining
    - `data["arms"]`: `{"ticket": {"label": "winning ticket", "color": "#…"}, …}`
    - `data["trials"]`: `[0, 1, …]`; wherever there is a list over trials it has this order, null where one lacks
    - `data["iteration"]`: of the curves' points
    - `data["curves"]`: `{"ticket": {"0": [[…], …], …}, …}`, by arm, round and trial test accuracy in 1/10,000
    - `data["summary"]`: `{"ticket": {"0": {"accuracy": […], "stop": […]}, …}, …}`, by arm and round, over trials: test
      accuracy (1/10,000) at the early-stopping iteration, and that iteration
    - `data["printed"]`: optional, what the paper prints (`points`): `[{"column": "stop", "percent": 21.1, "value": …,
      "arm": "ticket", "says": "…"}, …]`; accuracies as fractions
    - `data["anatomy"]`: optional, what is left of the network:
      - `layers`: name, number of weights, standard deviation of the initial weights
      - `kept[trial][round]`: weights per layer; `weights[trial][round]`: per layer a histogram of initial weights,
        `BINS` counts over ± `reach` standard deviations
      - `map[trial][round]`: `[most, text]`, a character per input: its outgoing connections as a share of `most`, in
        `shades` steps from the character with code `zero` on; `side` inputs a row, `units` in the first layer
    - `data["caption"]`: optional, one sentence under the figure
    - `round`: the chosen round; a value between or beyond the stops moves to the nearest one
    - `trial`: the chosen trial, None for the mean of all
    """

    _esm = text("chart.js", "anatomy.js", "explorer.js")

    round = traitlets.Int(0).tag(sync=True)
    trial = traitlets.Int(None, allow_none=True).tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = require(proposal["value"], "rounds", "arms", "trials", "iteration", "curves", "summary")
        if not data["rounds"]:
            raise UsageError("data['rounds'] is empty: the slider needs at least one pruning round.")
        for part in ("curves", "summary"):
            if unknown := set(data[part]) - set(data["arms"]):
                raise UsageError(f"data[{part!r}] has arms that data['arms'] lacks: {', '.join(sorted(unknown))}.")
        trials, points = len(data["trials"]), len(data["iteration"])
        for arm, rounds in data["curves"].items():
            for r, curves in rounds.items():
                if len(curves) != trials or any(len(c) != points for c in curves):
                    raise UsageError(f"curves of {arm}, round {r}: give {points} values for each of {trials} trials.")
        for arm, rounds in data["summary"].items():
            for r, columns in rounds.items():
                if any(len(c) != trials for c in columns.values()):
                    raise UsageError(f"summary of {arm}, round {r}: give {trials} values, one a trial.")
        return {**data, "order": list(data["arms"])}  # a saved notebook sorts its keys

    @traitlets.validate("round")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        return self._nearest([stop["round"] for stop in self.data.get("rounds", [])], proposal["value"])

    @traitlets.validate("trial")
    def _known(self, proposal: dict[str, Any]) -> int | None:
        if proposal["value"] is not None and proposal["value"] not in self.data.get("trials", []):
            allowed = ", ".join(map(str, self.data.get("trials", [])))
            raise UsageError(f"trial = {proposal['value']} does not exist; allowed: None (the mean), {allowed}.")
        return proposal["value"]


def ticket(study: Study, figure: str, arms: list[str], points: int = 60) -> dict[str, Any]:
    """The data of a `TicketExplorer` about a figure's iterative tickets."""
    table, curves = iterative(study.table(figure)), iterative(study.curves(figure))
    n = EVALUATED[study.on]["test"]
    rounds = table[["round", "density"]].drop_duplicates().sort_values("round")
    trials = sorted(int(t) for t in table["trial"].unique())
    grid = np.sort(curves["iteration"].unique())
    grid = grid[np.unique(np.geomspace(1, len(grid) - 1, points).astype(int))]
    data: dict[str, Any] = {
        "rounds": [{"round": int(r), "percent": round(100 * d, 2)} for r, d in rounds.itertuples(index=False)],
        "arms": {a: {"label": NAMES[a], "color": plot.css(a)} for a in arms},
        "trials": trials, "iteration": grid.tolist(), "curves": {}, "summary": {},
        "caption": scale_note(study, figure),
    }  # fmt: skip
    shown = curves[curves["iteration"].isin(grid)].assign(accuracy=1e4 * curves["test_correct"] / n)
    for arm in arms:
        means = of_arm(shown, arm).groupby(["round", "trial", "iteration"])["accuracy"].mean()
        wide = means.unstack("iteration").reindex(columns=grid)
        own = of_arm(table, arm).groupby(["round", "trial"])[["stop_test", "stop_iteration"]].mean()
        data["curves"][arm], data["summary"][arm] = {}, {}
        for r in wide.index.unique("round"):
            data["curves"][arm][str(r)] = [whole(row) for row in wide.loc[r].reindex(trials).to_numpy()]
            stop = own.loc[r].reindex(trials)
            accuracy = whole(1e4 * stop["stop_test"].to_numpy())
            data["summary"][arm][str(r)] = {"accuracy": accuracy, "stop": whole(stop["stop_iteration"].to_numpy())}
    named = levelled(table, study.data(figure))
    data["printed"] = [
        {"column": name, "percent": p.x, "value": p.y, "arm": p.line, "says": p.statement}
        for name, column in (("accuracy", "stop_test"), ("stop", "stop_iteration"))
        for p in on_panel(figure, named, column, "percent", {a: {"arm": a} for a in arms})
    ]
    if inside := anatomy(study, [s for s in study.rows(figure) if nested(s, table)], trials):
        data["anatomy"] = inside
    return data


def nested(spec: Spec, table: pd.DataFrame) -> bool:
    """Whether a row is a ticket of the iterative chain, or unpruned."""
    return spec.round == 0 or (spec.arm == "ticket" and key_of(spec) in set(table["key"]))


def anatomy(study: Study, specs: Iterable[Spec], trials: list[int]) -> dict[str, Any] | None:
    """What the widget shows of the masks (see there); None where no masks are published."""
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
