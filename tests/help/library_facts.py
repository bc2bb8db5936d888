"""Raw facts of libraries that never ran, as a script under `benchmarks/libraries/` leaves them."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from places import ROOT

sys.path.insert(0, str(ROOT / "benchmarks" / "libraries"))

import collect

SIZES = ({"fc1": 80, "fc2": 15, "out": 5}, {"fc1": 64, "fc2": 12, "out": 4}, {"fc1": 51, "fc2": 10, "out": 3})


def raw_facts(*, trials: int = 2, rounds: int = 2, **changes: Any) -> dict[str, Any]:
    """A library that does as the method says; `changes` to every round after the first cut, by name."""

    def found(at: int) -> dict[str, Any]:
        kept = sum(SIZES[at].values())
        right = {
            "round": at, "kept": kept, "layers": dict(SIZES[at]), "rewound": kept, "biases": 20, "biases_rewound": 20,
            "steps": 0, "reported": None, "grown": 0, "correct": 9700 + 10 * at, "seconds": 1.5,
        }  # fmt: skip
        return right | (changes if at > 1 else {})

    return {
        "library": "a",
        "versions": {"a": "1.0", "python": "3.11.7"},
        "when": "2026-11-28",
        "trials": [[found(at) for at in range(rounds + 1)] for _ in range(trials)],
        "saved": [[{"form": "zeros", "says": None, "holds": 64, "kept": 64}] for _ in range(trials)],
    }


def collected(folder: Path, **raw: dict[str, Any]) -> dict[str, Any]:
    """What would be published of these facts, by the name of their file."""
    for name, facts in raw.items():
        (folder / f"{name}.json").write_text(json.dumps(facts))
    return collect.document(folder)
