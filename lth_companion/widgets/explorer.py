"""The ticket explorer: pruning rate, round, schedule, arm and trial under the reader's hand, from measured networks."""

from __future__ import annotations

from typing import Any

import traitlets

from lth_companion.widgets.base import Widget, require, text
from lth_core.errors import UsageError

SCHEDULES = ("iterative", "one-shot")
MISSING = 65_535  # in packed curves: this network was not measured there, or diverged


class TicketExplorer(Widget):
    """Sliders over the pruning rate and the rounds: learning curves of each arm, accuracy and early stopping against
    size, and what is left of each layer.

    A *way* is one way down from the whole network: rounds of one rate, or one cut to each of several sizes. A *stop* of
    a way is one size on it, dense to sparse, without the unpruned network, which all ways begin with.

    - `data["arms"]`: `{"ticket": {"label": "winning ticket", "color": "#…"}, …}`
    - `data["trials"]`: `[0, 1, …]`; wherever there is a list over trials it has this order, null where one lacks
    - `data["iteration"]`: of the curves' points
    - `data["unpruned"]`: `curves` (see below, of one stop), `accuracy` and `stop`: lists over trials
    - `data["ways"]`: a list of
      - `schedule`: one of `SCHEDULES`; `rate`: percent that a round removes, null for one cut
      - `stops`: `[{"round": 1, "percent": 80.0}, …]`
      - `curves[arm]`: test accuracies in 1/10,000 by stop, trial and point, one after the other as little-endian uint16
        in base64; `MISSING` where one lacks. An arm that was not trained on this way is not there
      - `accuracy[arm]`, `stop[arm]`: by stop and trial, test accuracy (1/10,000) at the early-stopping iteration, and
        that iteration
      - `kept`: by stop and layer, the number of weights left
    - `data["layers"]`: name and number of weights
    - `data["titles"]`: optional, what `accuracy`, `stop` and the `size` axis are called where it is not ICLR's
    - `data["ticks"]`: optional, percentages that the axis of sizes marks before all others
    - `data["printed"]`: optional, what the paper prints: `[{"way": 0, "column": "stop", "percent": 21.1, "value": …,
      "arm": "ticket", "says": "…"}, …]`; accuracies as fractions
    - `data["anatomy"]`: optional, see `anatomy.anatomy`; `way`: whose networks it opens
    - `data["caption"]`: optional, one sentence under the figure
    - `schedule`, `rate`: the chosen way; a rate moves to the nearest one that was measured
    - `round` of iterative pruning and `percent` left by one cut: the chosen stop; both move to the nearest one
    - `arms`: those shown, with commas between
    - `trial`: the chosen trial, None for the mean of all
    """

    _esm = text("chart.js", "anatomy.js", "explorer.js")

    linked = traitlets.List(["schedule", "rate", "round", "percent", "arms", "trial"]).tag(sync=True)
    schedule = traitlets.Unicode("iterative").tag(sync=True)
    rate = traitlets.Int(20).tag(sync=True)
    round = traitlets.Int(0).tag(sync=True)
    percent = traitlets.Float(100.0).tag(sync=True)
    arms = traitlets.Unicode("").tag(sync=True)
    trial = traitlets.Int(None, allow_none=True).tag(sync=True)

    def __init__(self, data: dict[str, Any], **traits: Any) -> None:
        first = (data.get("ways") or [{}])[0]
        chosen = {"schedule": first.get("schedule", "iterative"), "rate": 20}
        every = ",".join(list(data.get("arms", []))[:2])  # more at once are a tangle
        super().__init__(data, **{**chosen, "arms": every, **traits})

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = require(proposal["value"], "ways", "arms", "trials", "iteration", "unpruned", "layers")
        if not data["ways"]:
            raise UsageError("data['ways'] is empty: the slider needs at least one way down.")
        trials, points = len(data["trials"]), len(data["iteration"])
        for way in data["ways"]:
            name, stops = told(way), len(way["stops"])
            if not stops:
                raise UsageError(f"{name} has no stops: the slider needs at least one size.")
            for part in ("curves", "accuracy", "stop"):
                if unknown := set(way[part]) - set(data["arms"]):
                    raise UsageError(
                        f"{part} of {name} has arms that data['arms'] lacks: {', '.join(sorted(unknown))}."
                    )
            for arm, packed in way["curves"].items():
                if len(packed) != -(-2 * stops * trials * points // 3) * 4:
                    raise UsageError(f"curves of {arm}, {name}: give {stops} x {trials} x {points} values.")
            for arm, column in [*way["accuracy"].items(), *way["stop"].items()]:
                if len(column) != stops or any(len(c) != trials for c in column):
                    raise UsageError(f"summary of {arm}, {name}: give {stops} stops of {trials} values, one a trial.")
        return {**data, "order": list(data["arms"])}  # a saved notebook sorts its keys

    def _ways(self, schedule: str) -> list[dict[str, Any]]:
        return [way for way in self.data.get("ways", []) if way["schedule"] == schedule]

    @traitlets.validate("schedule")
    def _measured(self, proposal: dict[str, Any]) -> str:
        there = [s for s in SCHEDULES if self._ways(s)]
        if proposal["value"] not in there:
            raise UsageError(f"schedule = {proposal['value']!r} is not shown here; allowed: {', '.join(there)}.")
        return proposal["value"]

    @traitlets.validate("rate")
    def _clamp_rate(self, proposal: dict[str, Any]) -> int:
        return self._nearest([way["rate"] for way in self._ways("iterative")], proposal["value"])

    @traitlets.validate("round")
    def _clamp_round(self, proposal: dict[str, Any]) -> int:
        own = [way for way in self._ways("iterative") if way["rate"] == self.rate]
        return self._nearest([0, *(stop["round"] for way in own for stop in way["stops"])], proposal["value"])

    @traitlets.observe("rate")
    def _follow(self, change: dict[str, Any]) -> None:
        self.round = self.round  # a faster rate has fewer rounds

    @traitlets.validate("percent")
    def _clamp_percent(self, proposal: dict[str, Any]) -> float:
        sizes = [stop["percent"] for way in self._ways("one-shot") for stop in way["stops"]]
        return self._nearest([100.0, *sizes], proposal["value"])

    @traitlets.validate("arms")
    def _allowed(self, proposal: dict[str, Any]) -> str:
        asked = [arm for arm in proposal["value"].split(",") if arm]
        if unknown := set(asked) - set(self.data.get("arms", [])):
            allowed = ", ".join(self.data.get("arms", []))
            raise UsageError(f"arms = {', '.join(sorted(unknown))} are not shown here; allowed: {allowed}.")
        return ",".join(asked)

    @traitlets.validate("trial")
    def _known(self, proposal: dict[str, Any]) -> int | None:
        if proposal["value"] is not None and proposal["value"] not in self.data.get("trials", []):
            allowed = ", ".join(map(str, self.data.get("trials", [])))
            raise UsageError(f"trial = {proposal['value']} does not exist; allowed: None (the mean), {allowed}.")
        return proposal["value"]


def told(way: dict[str, Any]) -> str:
    """How a message names a way."""
    return "one-shot" if way["rate"] is None else f"{way['rate']} percent a round"
