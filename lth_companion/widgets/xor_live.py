"""XOR in the browser: what its widget needs beside its own networks, and the widget."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import pandas as pd
import traitlets

from lth_companion.experiments import xor_counts
from lth_companion.widgets.base import Widget, require, text
from lth_core import plot


class XorLive(Widget):
    """XOR networks that train in the reader's browser, beside what lth_core measured and the paper printed.

    - `data["rows"]`: `{"iterative product": {"2": {"zero": {"measured": 79.4, "low": …, "high": …, "n": 1000,
      "paper": null}, …}, …}, …}`, by strategy, hidden units and success: rates in percent with their 95% intervals
    - `data["lr"]`, `data["iterations"]`: of the measured networks; `data["zero_loss"]`, `data["tie"]`: what counts as
      success; `data["color"]`: of the lines
    - `hidden`: units at the start, 2 to 10; `networks`: how many; `lr`; `seed`, raised by each new draw
    - `criterion`: what a unit is kept for (`xor_counts.CRITERIA`); `schedule`: iterative, one-shot 4 or one-shot 2
    - `result`: what the page counted, one row a training: hidden, right, zero, n
    """

    _esm = f"const ENGINE = {json.dumps(text('xor_engine.js'))};\n{text('chart.js', 'xor_live.js')}"

    hidden = traitlets.Int(10).tag(sync=True)
    networks = traitlets.Int(300, min=1).tag(sync=True)
    criterion = traitlets.Enum(xor_counts.CRITERIA, "product").tag(sync=True)
    schedule = traitlets.Enum(("iterative", "one-shot 4", "one-shot 2"), "iterative").tag(sync=True)
    lr = traitlets.Float(1.0).tag(sync=True)
    seed = traitlets.Int(1).tag(sync=True)
    result: Any = traitlets.List().tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        return require(proposal["value"], "rows", "lr", "iterations", "zero_loss", "tie")

    @traitlets.validate("hidden")
    def _clamp(self, proposal: dict[str, Any]) -> int:
        return self._nearest([2, 4, 6, 8, 10], proposal["value"])


def live_xor(tables: Iterable[pd.DataFrame], lr: float = 1.0, iterations: int = 10_000) -> dict[str, Any]:
    """The data of an `XorLive`: rates of `tables` of judged networks (see `xor_counts.rates`)."""
    rows: dict[str, Any] = {}
    for r in pd.concat([xor_counts.rates(t) for t in tables]).itertuples():
        cell = {"measured": r.measured, "low": r.low, "high": r.high, "n": r.n}
        cell |= {"paper": None if pd.isna(r.paper) else r.paper}
        rows.setdefault(str(r.strategy), {}).setdefault(str(r.hidden), {})[str(r.success)] = cell
    return {
        "rows": rows, "lr": lr, "iterations": iterations, "zero_loss": xor_counts.ZERO_LOSS, "tie": xor_counts.TIE,
        "color": plot.css("ticket"),
    }  # fmt: skip
