"""Tickets that train in the reader's browser, without a kernel: scikit-learn's digits, a small network, its own worker.

The browser draws what `lth_core` draws (splits, initial weights, batches), to the bit, and cuts and trains by the same
formulas. So every network of the control is a row, which `chains` names and `train_your_own.grow` trains in Python.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
import traitlets
from numpy.typing import NDArray

from lth_companion.figures.vocabulary import NAMES
from lth_companion.widgets import train_your_own
from lth_companion.widgets.base import Widget, require, text
from lth_core import data, plot
from lth_core.errors import UsageError
from lth_core.models import Trained
from lth_core.prune import density
from lth_core.spec import Spec

RATES = tuple(round(r / 20, 2) for r in range(2, 17))  # fraction of the surviving weights pruned per round
ROUNDS = tuple(range(1, 13))
LEARNING_RATES = (0.0005, 0.001, 0.002, 0.004, 0.008, 0.016, 0.032)
WIDTHS = ("24-16", "32-24", "48-32", "64-32", "96-48")  # units of the two hidden layers
TRIALS = (1, 2, 3, 5)
EVERY = 20  # iterations between evaluations
ZERO = 48  # character of the darkest pixel
BETWEEN = {"rewind": ("reset", "ticket"), "continue": ("continued", "continued")}  # rounds: search and arm
BESIDE = ("reinit", "nothing")
SETTINGS = ("rate", "rounds", "lr", "width", "between", "beside", "trials")  # what readers choose
Chain = list[tuple[Spec, ...]]


def chains(
    rate: float = 0.3, rounds: int = 8, lr: float = 0.004, width: str = "48-32", between: str = "rewind",
    beside: str = "reinit", trials: int = 1, iterations: int = 1_000, seed: int = 0,
) -> list[Chain]:  # fmt: skip
    """The rows that the control trains with these settings: a chain of rounds for each trial, and for each round its
    ticket (with `between` = "continue" the network whose training went on) and, unless `beside` is "nothing", a
    reinitialised copy. UsageError for a rate by which nothing or everything is pruned, and for names that do not exist.
    """
    if not 0 < rate < 1:
        raise UsageError(f"rate = {rate!r} is not between 0 and 1: give a fraction, such as 0.3.")
    for name, value, allowed in (("between", between, BETWEEN), ("beside", beside, BESIDE)):
        if value not in allowed:
            raise UsageError(f"{name} = {value!r} does not exist; allowed: {', '.join(allowed)}.")
    search, arm = BETWEEN[between]
    made = []
    for trial in range(trials):
        base = Spec(
            dataset="digits", arch=f"lenet-{width}", lr=lr, iterations=iterations, eval_every=EVERY, trial=trial,
            seed=seed,
        ).at_round(0)  # fmt: skip
        chain: Chain = [(base,)]
        for r in range(1, rounds + 1):
            pruned = base.at_round(r, prune_fc=rate, prune_out=rate / 2, search=search)
            copies = [pruned.at_round(r, arm="reinit")] if beside == "reinit" else []
            chain.append((pruned.at_round(r, arm=arm), *copies))
        made.append(chain)
    return made


class TrainHere(Widget):
    """A chain of tickets that trains in the page: sliders for the pruning rate and the rounds, live curves and masks.

    - `data["pool"]`, `data["test"]`: `pixels`, a character a pixel, image after image, its place in `data["levels"]`
      from character `ZERO` on; `labels`, a digit an image
    - `data["levels"]`: values of pixels, of 255; `data["counts"]`, `data["recipe"]`: words for the caption
    - `data["rates"]`, `data["rounds"]`, `data["lrs"]`, `data["widths"]`, `data["trials"]`: what can be chosen
    - `data["percents"]`: `{"48-32": {"0.3": [100.0, 71.0, …], …}, …}`, percent of weights remaining by round
    - `data["every"]`: iterations between evaluations; `data["colors"]`, `data["names"]`: by arm
    - `data["measured"]`: optional, what lth_core measured: `settings`, `rows` (as `result`) and its `label`
    - `rate`, `rounds`, `lr`, `width`, `between`, `beside`, `trials`, `iterations`, `seed`: as `chains` takes them
    - `result`: the networks that are done: trial, round, arm, percent, stop_iteration, stop_test, end_test
    """

    _esm = "\n".join([
        f"const ENGINE = {json.dumps(text('keyed_draws.js', 'lenet_engine.js', 'lenet_worker.js'))};",
        text("chart.js", "mask_pictures.js", "train_here.js"),
    ])  # fmt: skip

    linked = traitlets.List(traitlets.Unicode(), list(SETTINGS)).tag(sync=True)
    rate = traitlets.Float(0.3).tag(sync=True)
    rounds = traitlets.Int(8).tag(sync=True)
    lr = traitlets.Float(0.004).tag(sync=True)
    width = traitlets.Enum(WIDTHS, "48-32").tag(sync=True)
    between = traitlets.Enum(("rewind", "continue"), "rewind").tag(sync=True)
    beside = traitlets.Enum(BESIDE, "reinit").tag(sync=True)
    trials = traitlets.Int(1).tag(sync=True)
    iterations = traitlets.Int(1_000, min=EVERY).tag(sync=True)
    seed = traitlets.Int(0, min=0).tag(sync=True)
    result: Any = traitlets.List().tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        return require(proposal["value"], "pool", "test", "levels", "rates", "percents")

    @traitlets.validate("rate", "rounds", "lr", "trials")
    def _clamp(self, proposal: dict[str, Any]) -> float:
        stops = {"rate": RATES, "rounds": ROUNDS, "lr": LEARNING_RATES, "trials": TRIALS}[proposal["trait"].name]
        return min(stops, key=lambda stop: abs(stop - proposal["value"]))

    @property
    def chains(self) -> list[Chain]:
        """The rows of the chosen settings."""
        return chains(**{name: getattr(self, name) for name in (*SETTINGS, "iterations", "seed")})


def digits(measured: dict[str, Any] | None = None) -> dict[str, Any]:
    """The data of a `TrainHere`."""
    d = data.load("digits")
    levels = np.unique(d.pool_images)
    arms = ("unpruned", "ticket", "continued", "reinit")
    fractions = {w: {r: chains(rate=r, rounds=ROUNDS[-1], width=w, beside="nothing")[0] for r in RATES} for w in WIDTHS}
    n = data.EVALUATED["digits"]
    return {
        "pool": _written(d.pool_images, d.pool_labels, levels), "test": _written(d.test_images, d.test_labels, levels),
        "levels": levels.tolist(), "rates": list(RATES), "rounds": list(ROUNDS), "lrs": list(LEARNING_RATES),
        "widths": list(WIDTHS), "trials": list(TRIALS), "every": EVERY,
        "percents": {
            w: {str(r): [round(100 * density(one[0]), 2) for one in chain] for r, chain in by_rate.items()}
            for w, by_rate in fractions.items()
        },
        "counts": f"{n['train']:,} to train on, {n['val']} for validation, {n['test']} for the test",
        "recipe": f"Adam, batches of {Spec().batch_size}; the output layer is pruned at half the rate",
        "colors": {a: plot.css(a) for a in arms}, "names": {a: NAMES[a] for a in arms},
        **({"measured": measured} if measured else {}),
    }  # fmt: skip


def _written(images: NDArray[np.uint8], labels: NDArray[np.uint8], levels: NDArray[np.uint8]) -> dict[str, str]:
    """Images and labels as text, a character a pixel."""
    places = np.searchsorted(levels, images).ravel() + ZERO
    return {"pixels": "".join(map(chr, places)), "labels": "".join(map(str, labels.tolist()))}


def measured(**settings: Any) -> dict[str, Any]:
    """What lth_core's sparse engine finds for settings of `chains`: for `data["measured"]`, trained now, in seconds."""
    made = chains(**settings)
    rows = [_row(*one) for chain in made for one in train_your_own.grow(chain, data.load("digits"))]
    base = made[0][0][0]
    first = made[0][-1][0]
    return {
        "settings": {
            "rate": first.prune_fc, "lr": base.lr, "width": base.arch.removeprefix("lenet-"),
            "between": "rewind" if first.search == "reset" else "continue", "seed": base.seed,
            "iterations": base.iterations,
        },
        "rows": rows, "label": f"the same in lth_core, mean of {len(made)} trials",
    }  # fmt: skip


def _row(spec: Spec, trained: Trained) -> dict[str, Any]:
    found = train_your_own.row(spec, trained)
    kept = {name: found[name] for name in ("trial", "round", "arm", "stop_iteration", "stop_test", "end_test")}
    return {**kept, "percent": round(100 * density(spec), 2)}


def table(rows: Iterable[dict[str, Any]]) -> pd.DataFrame:
    """Rows of `TrainHere.result`, or of `measured`, as `train_your_own.draw` takes them: sizes as fractions."""
    made = pd.DataFrame(list(rows))
    return made.assign(density=made["percent"] / 100)
