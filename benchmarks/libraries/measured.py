"""What is measured of a library while it looks for tickets. Runs in every environment: numpy is all it needs.

A script beside this file drives one library as its documentation says, and tells a `Record` where each round begins
and ends. Nothing that the library says of itself is believed: weights are compared bit for bit with those that the
network began with, zeros are counted, and accuracy is counted here, from the weights.
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib import metadata
from pathlib import Path

import numpy as np

LAYERS = ("fc1", "fc2", "out")
WEIGHTS = tuple(f"{layer}.weight" for layer in LAYERS)  # (out, in)
BIASES = tuple(f"{layer}.bias" for layer in LAYERS)
ROUNDS, TRIALS = (int(os.environ.get(f"LIBRARIES_{n}", default)) for n, default in (("ROUNDS", 10), ("TRIALS", 3)))
EPOCHS, BATCH, LR, RATE = 2, 60, 1.2e-3, 0.2  # of a round; the rate is that of one cut
FACTS = {  # of a round: field -> its kind
    "round": int,  # cuts so far
    "kept": int,  # weights that the library keeps when the round begins
    "layers": dict,  # of these, by layer
    "rewound": int,  # of these, how many are the initial weights bit for bit
    "biases": int,  # biases that it keeps
    "biases_rewound": int,
    "steps": int,  # steps that the optimizer remembers when the round begins
    "reported": (float, type(None)),  # share of weights that the library itself says it keeps
    "grown": int,  # pruned weights that are not 0 after the round's last step
    "correct": int,  # right answers of 10,000 after the round
    "seconds": float,  # of the processor, for the round
}


class Given:
    """What every library starts from: images in [0, 1], labels, and a trial's initial weights."""

    def __init__(self, file: str) -> None:
        self.file = np.load(file)
        self.images = (self.file["images"] / np.float32(255)).astype(np.float32)
        self.labels = self.file["labels"].astype(np.int64)
        self.test_images = (self.file["test_images"] / np.float32(255)).astype(np.float32)
        self.test_labels = self.file["test_labels"].astype(np.int64)

    def initial(self, trial: int) -> dict[str, np.ndarray]:
        return {name: self.file[f"{trial} {name}"] for name in (*WEIGHTS, *BIASES)}

    def train(self, trial: int) -> tuple[np.ndarray, np.ndarray]:
        """55,000 images and labels."""
        rows = self.file[f"{trial} train"]
        return self.images[rows], self.labels[rows]

    def val(self, trial: int) -> tuple[np.ndarray, np.ndarray]:
        """5,000 images and labels."""
        rows = np.setdiff1d(np.arange(len(self.labels)), self.file[f"{trial} train"])
        return self.images[rows], self.labels[rows]


def right(parameters: dict[str, np.ndarray], images: np.ndarray, labels: np.ndarray) -> int:
    """Right answers of LeNet-300-100 with these weights and biases."""
    x = images
    for layer in LAYERS:
        x = x @ parameters[f"{layer}.weight"].T + parameters[f"{layer}.bias"]
        x = x if layer == LAYERS[-1] else np.maximum(x, 0)
    return int((x.argmax(1) == labels).sum())


def same(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where two float32 arrays have the same bits; 0 and -0 count as one number."""
    a, b = (np.ascontiguousarray(x, np.float32) + np.float32(0) for x in (a, b))
    return a.view(np.uint32) == b.view(np.uint32)


class Trial:
    """One search: `begin` when a round's weights stand, `end` after its last step."""

    def __init__(self, given: Given, trial: int, initial: dict[str, np.ndarray] | None = None) -> None:
        self.initial = given.initial(trial) if initial is None else initial
        self.test = (given.test_images, given.test_labels)
        self.rounds: list[dict] = []
        self.saved: list[dict] = []

    def begin(
        self,
        parameters: dict[str, np.ndarray],
        masks: dict[str, np.ndarray] | None = None,
        steps: int = 0,
        reported: float | None = None,
    ) -> None:
        """Parameters that the round starts from (pruned ones as they are used: 0). Without `masks`, what is not 0 is
        kept; a bias without a mask is kept."""
        self.masks = {n: masks[n] != 0 if masks and n in masks else parameters[n] != 0 for n in WEIGHTS}
        biases = {n: masks[n] != 0 if masks and n in masks else np.ones(parameters[n].shape, bool) for n in BIASES}
        went_back = {n: same(parameters[n], self.initial[n]) for n in parameters}
        self.rounds.append(
            {
                "round": len(self.rounds),
                "kept": int(sum(m.sum() for m in self.masks.values())),
                "layers": {n.split(".")[0]: int(m.sum()) for n, m in self.masks.items()},
                "rewound": int(sum((went_back[n] & m).sum() for n, m in self.masks.items())),
                "biases": int(sum(m.sum() for m in biases.values())),
                "biases_rewound": int(sum((went_back[n] & m).sum() for n, m in biases.items())),
                "steps": int(steps),
                "reported": None if reported is None else float(reported),
            }
        )
        self.began = time.process_time()

    def end(self, parameters: dict[str, np.ndarray], grown: int | None = None) -> None:
        """Parameters after the last step; `grown` where it had to be counted earlier than that."""
        seconds = time.process_time() - self.began
        revived = sum(int((parameters[n][~m] != 0).sum()) for n, m in self.masks.items())
        self.rounds[-1] |= {
            "grown": revived if grown is None else grown,
            "correct": right(parameters, *self.test),
            "seconds": round(seconds, 2),
        }

    def file(self, form: str, says: float | None, parameters: dict[str, np.ndarray], kept: int) -> None:
        """A file that the library saved: what it holds ("mask", "zeros"), the share that its name says it keeps, its
        weights (or masks) as read back, and how many weights the network kept when it was saved."""
        holds = int(sum((parameters[n] != 0).sum() for n in WEIGHTS))
        self.saved.append({"form": form, "says": says, "holds": holds, "kept": int(kept)})


class Record:
    """All trials of a library, written as one file."""

    def __init__(self, **facts: object) -> None:
        """`library`, `call` (how it was called), `packages` (whose versions are told), `optimizer`."""
        self.given, self.out = Given(sys.argv[1]), Path(sys.argv[2])
        packages = [str(p) for p in facts.pop("packages", ())]  # type: ignore[attr-defined]
        self.facts = {**facts, "versions": {p: metadata.version(p) for p in packages}}
        self.facts["versions"]["python"] = ".".join(map(str, sys.version_info[:3]))
        self.trials: list[Trial] = []

    def trial(self, initial: dict[str, np.ndarray] | None = None) -> Trial:
        self.trials.append(Trial(self.given, len(self.trials), initial))
        return self.trials[-1]

    def write(self, **more: object) -> None:
        made = {
            **self.facts,
            **more,
            "when": time.strftime("%Y-%m-%d", time.gmtime()),
            "trials": [t.rounds for t in self.trials],
            "saved": [t.saved for t in self.trials],
        }
        temporary = self.out.with_suffix(f".{os.getpid()}")
        temporary.write_text(json.dumps(made, indent=1) + "\n")
        temporary.replace(self.out)
        print(json.dumps(made["trials"][0], indent=None)[:3000])
