"""A control's data, as small as they can be."""

from __future__ import annotations

from typing import Any


def small() -> dict[str, Any]:
    curves = {r: [[1000, 9000], [1000, None]] for r in ("0", "4", "8")}
    summary = {r: {"accuracy": [9000, 9100], "stop": [100, 200]} for r in ("0", "4", "8")}
    return {
        "rounds": [{"round": 0, "percent": 100.0}, {"round": 4, "percent": 41.2}, {"round": 8, "percent": 17.0}],
        "arms": {"ticket": {"label": "winning ticket", "color": "#0072b2"}},
        "trials": [0, 1],
        "iteration": [0, 100],
        "curves": {"ticket": curves},
        "summary": {"ticket": summary},
    }
