"""Controls that readers move: the same in the static book (no kernel) and live in Jupyter."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import anywidget
import traitlets

from lth_core.spec import UsageError

HERE = Path(__file__).parent


def _json(value: Any) -> Any:
    """The same with NaN and infinity (a diverged network) as null: browsers refuse JSON that spells them out."""
    if isinstance(value, dict):
        return {str(k): _json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_json(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


class RoundExplorer(anywidget.AnyWidget):
    """One slider over pruning rounds: learning curves of each arm, and where the round lies on the way down.

    Everything is computed beforehand and travels as JSON, so that a page without a kernel can show it.

    - `data["rounds"]`: `[{"round": 0, "percent": 100.0}, …]`, the slider's stops; percent of weights remaining
    - `data["arms"]`: `{"ticket": {"label": "winning ticket", "color": "#…"}, …}`
    - `data["curves"]`: `{"ticket": {"0": {"iteration": […], "mean": […], "low": […], "high": […]}, …}, …}`, test
      accuracy as a fraction; low and high are the lowest and highest trial
    - `data["summary"]`: `{"ticket": {"round": […], "percent": […], "accuracy": […], "stop": […]}, …}`, accuracy at the
      early-stopping iteration, and that iteration
    - `data["caption"]`: one sentence under the figure
    - `data["limits"]`: optional, `[lowest, highest]` accuracy of the curves' axis
    - `round`: the chosen round; a value between or beyond the stops moves to the nearest one
    """

    _esm = HERE / "explorer.js"
    _css = HERE / "explorer.css"

    data = traitlets.Dict().tag(sync=True)
    round = traitlets.Int(0).tag(sync=True)

    def __init__(self, data: dict[str, Any], round: int = 0, **traits: Any) -> None:
        super().__init__(data=data, **traits)
        self.round = round  # only now: the stops decide which values exist

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = _json(proposal["value"])
        if missing := {"rounds", "arms", "curves", "summary"} - set(data):
            raise UsageError(f"data lacks {', '.join(sorted(missing))}: give rounds, arms, curves and summary.")
        if not data["rounds"]:
            raise UsageError("data['rounds'] is empty: the slider needs at least one pruning round.")
        for part in ("curves", "summary"):
            if unknown := set(data[part]) - set(data["arms"]):
                raise UsageError(f"data[{part!r}] has arms that data['arms'] lacks: {', '.join(sorted(unknown))}.")
        columns = [(f"curves of {a}, round {r}", c) for a, rows in data["curves"].items() for r, c in rows.items()]
        for name, table in [*columns, *((f"summary of {a}", t) for a, t in data["summary"].items())]:
            if len({len(column) for column in table.values()}) > 1:
                raise UsageError(f"the columns of the {name} differ in length: give one value per row in each.")
        return {**data, "order": list(data["arms"])}  # a saved notebook sorts its keys

    @traitlets.validate("round")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        stops = [stop["round"] for stop in self.data.get("rounds", [])]
        return min(stops, key=lambda stop: abs(stop - proposal["value"]), default=proposal["value"])
