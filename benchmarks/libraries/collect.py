"""Raw facts of each library, looked at and put together as `results/libraries.json`, which the book's page reads."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Any

import measured

from lth_companion.experiments.other_libraries import ROUNDS, SAVED
from lth_core.results import HERE, manifest
from lth_core.store.cell import device_details, provenance

RECIPE: dict[str, Any] = {"iterations": 1834, "eval_every": 917}  # of lth_core's rows: two epochs of 917 batches
NAMES = {  # file of facts -> what the page calls it, in the page's order
    "lth_core": "lth_core",
    "lth_core_own": "lth_core.own",
    "open_lth": "OpenLTH",
    "torch_prune": "torch.nn.utils.prune, by hand",
    "torch_ao": "torch.ao.pruning, by hand",
    "kd_lib": "kd-lib",
    "fasterai": "fasterai",
    "lightning": "pytorch-lightning",
    "keras2": "lottery-ticket-pruner, Keras 2",
    "keras3": "lottery-ticket-pruner, Keras 3",
}


def checked(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Raw facts that are whole: each trial has its rounds in order, each round its facts. Else a `ValueError`."""
    for trial, rounds in enumerate(raw["trials"]):
        if [r.get("round") for r in rounds] != list(range(len(rounds))) or len(rounds) != len(raw["trials"][0]):
            raise ValueError(f"{name}: trial {trial} has not every round once")
        for found in rounds:
            odd = [f for f, kind in measured.FACTS.items() if f not in found or not isinstance(found[f], kind)]
            if odd or set(found) != set(measured.FACTS):
                raise ValueError(f"{name}: round {found['round']} of trial {trial} lacks {', '.join(odd) or 'nothing'}")
            if sum(found["layers"].values()) != found["kept"] or set(found["layers"]) != set(measured.LAYERS):
                raise ValueError(f"{name}: layers of round {found['round']} do not add up to what is kept")
    if len(raw["saved"]) != len(raw["trials"]):
        raise ValueError(f"{name}: not every trial says what it saved")
    return raw


def entry(name: str, raw: dict[str, Any]) -> dict[str, Any]:
    """A library in the published file: texts, and its facts as columns."""
    control = raw.get("control")
    rows = [
        {"trial": t, **{f: x for f, x in r.items() if f != "layers"}, **r["layers"],
         "control": control[t][r["round"] - 1] if control and r["round"] else None}
        for t, rounds in enumerate(raw["trials"]) for r in rounds
    ]  # fmt: skip
    saved = [{"trial": t, **s} for t, files in enumerate(raw["saved"]) for s in files]
    versions = ", ".join(f"{package} {v}".strip() for package, v in raw["versions"].items())
    commit = f", commit {raw['commit'][:12]}" if "commit" in raw else ""
    return {
        "name": NAMES[name],
        "versions": versions + commit,
        "when": raw["when"],
        "rounds": {c: [r[c] for r in rows] for c in ROUNDS},
        "saved": {c: [s[c] for s in saved] for c in SAVED},
    }


def document(folder: Path) -> dict[str, Any]:
    """What is published of a folder of raw facts."""
    raw = {
        n: checked(n, json.loads((folder / f"{n}.json").read_text())) for n in NAMES if (folder / f"{n}.json").exists()
    }
    rounds = {len(r["trials"][0]) for r in raw.values()}
    if len(rounds) != 1:
        raise ValueError(f"libraries differ in rounds: {sorted(rounds)}")
    made = {**provenance(), **device_details("cpu"), "when": time.strftime("%Y-%m-%d", time.gmtime())}
    made |= {"rounds": rounds.pop() - 1, "iterations": RECIPE["iterations"], "batch_size": measured.BATCH}
    return {"made": made, "libraries": [entry(n, r) for n, r in raw.items()]}


def text(document: dict[str, Any]) -> str:
    """JSON with a line for each column."""
    lines = json.dumps(document, indent=1)
    return re.sub(r"\[\s+([^\[\]{}]*?)\s+\]", lambda column: f"[{' '.join(column[1].split())}]", lines) + "\n"


def publish(folder: Path) -> None:
    manifest.commit(HERE, {"libraries.json": text(document(folder)).encode()})
