"""Controls that readers move: the same in the static book (no kernel) and live in Jupyter.

What they show is computed beforehand (`sliders`) and travels as JSON; every choice is a trait, so that Python sees what
a reader chose, and a value set from Python moves the control. `live` has the one that needs a kernel.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from lth_core import plot
from lth_core.spec import UsageError
from lth_core.xor import CRITERIA

HERE = Path(__file__).parent


def _text(*names: str) -> str:
    return "\n".join((HERE / name).read_text("utf-8") for name in names)


def _json(value: Any) -> Any:
    """The same with NaN and infinity (a diverged network) as null: browsers refuse JSON that spells them out."""
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _require(data: dict[str, Any], *names: str) -> dict[str, Any]:
    if missing := set(names) - set(data):
        raise UsageError(f"data lacks {', '.join(sorted(missing))}: give {', '.join(names)}.")
    return _json(data)


class _Widget(anywidget.AnyWidget):
    _css = f"{plot._sheet()}\n{_text('widgets.css')}"

    data = traitlets.Dict().tag(sync=True)

    def __init__(self, data: dict[str, Any], **traits: Any) -> None:
        super().__init__(data=data)
        for name, value in traits.items():  # only now: the data decide which values exist
            setattr(self, name, value)

    def _nearest(self, stops: list[int], value: int) -> int:
        return min(stops, key=lambda stop: abs(stop - value), default=value)


class TicketExplorer(_Widget):
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
    - `data["anatomy"]`: optional, see `sliders._anatomy`; `data["caption"]`: one sentence under the figure
    - `round`: the chosen round; a value between or beyond the stops moves to the nearest one
    - `trial`: the chosen trial, None for the mean of all
    """

    _esm = _text("chart.js", "anatomy.js", "ticket.js")

    round = traitlets.Int(0).tag(sync=True)
    trial = traitlets.Int(None, allow_none=True).tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = _require(proposal["value"], "rounds", "arms", "trials", "iteration", "curves", "summary")
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


class XorLive(_Widget):
    """XOR networks that train in the reader's browser, beside what lth_core measured and the paper printed.

    - `data`: as `sliders.live_xor` makes it
    - `hidden`: units at the start, 2 to 10; `networks`: how many; `lr`; `seed`, raised by each new draw
    - `criterion`: what a unit is kept for (`xor.CRITERIA`); `schedule`: iterative, one-shot 4 or one-shot 2
    - `result`: what the page counted, one row a training: hidden, right, zero, n
    """

    _esm = f"const ENGINE = {json.dumps(_text('xor_engine.js'))};\n{_text('chart.js', 'xor_live.js')}"

    hidden = traitlets.Int(10).tag(sync=True)
    networks = traitlets.Int(300, min=1).tag(sync=True)
    criterion = traitlets.Enum(CRITERIA, "product").tag(sync=True)
    schedule = traitlets.Enum(("iterative", "one-shot 4", "one-shot 2"), "iterative").tag(sync=True)
    lr = traitlets.Float(1.0).tag(sync=True)
    seed = traitlets.Int(1).tag(sync=True)
    result: Any = traitlets.List().tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        return _require(proposal["value"], "rows", "lr", "iterations", "zero_loss", "tie")

    @traitlets.validate("hidden")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        return self._nearest([2, 4, 6, 8, 10], proposal["value"])


class Conclude(_Widget):
    """One slider over the number of trials: how intervals, and what they conclude, move with it.

    - `data`: as `sliders.conclude` makes it
    - `trials`: the chosen number, one of `data["counts"]`; `level`: which of `data["levels"]`
    - `against`: reinit or unpruned, whom the ticket is compared with
    """

    _esm = _text("chart.js", "conclude.js")

    trials = traitlets.Int(3).tag(sync=True)
    level = traitlets.Int(0).tag(sync=True)
    against = traitlets.Enum(("reinit", "unpruned"), "unpruned").tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        names = ("levels", "counts", "titles", "against", "nothing", "trials", "paper_trials", "resamples", "color")
        return _require(proposal["value"], *names)

    @traitlets.validate("trials")
    def _stop(self, proposal: dict[str, Any]) -> int:
        return self._nearest(self.data.get("counts", []), proposal["value"])

    @traitlets.validate("level")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        return self._nearest(list(range(len(self.data.get("levels", [])))), proposal["value"])
