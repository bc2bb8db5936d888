"""What is left of a network, for the explorer: connections of each pixel, and which initial weights survive."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from lth_companion.experiments.study import Study
from lth_core import results
from lth_core.models import init_sd, initial, layers
from lth_core.spec import Spec

SHADES = 64  # grey levels of a mask's map; as characters, code SHADE_0 is black
SHADE_0 = 48
BINS = 30  # of a histogram of initial weights, over REACH standard deviations to both sides
REACH = 3.0


def anatomy(study: Study, specs: Iterable[Spec], trials: list[int]) -> dict[str, Any] | None:
    """What the explorer shows of the masks of a chain of tickets and its unpruned network; None where no masks are
    published.

    - `layers`: name, number of weights, standard deviation of the initial weights
    - `weights[trial][round]`: per layer a histogram of the survivors' initial weights, `BINS` counts over ± `reach`
      standard deviations
    - `map[trial][round]`: `[most, text]`, a character per input: its outgoing connections as a share of `most`, in
      `shades` steps from the character with code `zero` on; `side` inputs a row, `units` in the first layer
    """
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
        "weights": [], "map": [],
    }  # fmt: skip
    for trial in trials:
        own = [s for s in shown if s.trial == trial]
        start = initial(own[0])
        position = {
            layer.weight: np.floor((start[layer.weight] / s / REACH + 1) * BINS / 2).astype(int).clip(0, BINS - 1)
            for layer, s in zip(table, sd, strict=True)
        }
        parts: dict[str, dict[str, Any]] = {"weights": {}, "map": {}}
        for spec in own:
            masks = results.masks(spec, study.source)
            r = str(spec.round)
            parts["weights"][r] = [
                np.bincount(position[w.weight][masks[w.weight]], minlength=BINS).tolist() for w in table
            ]
            out = masks[table[0].weight].sum(0)
            shade = np.round(out * (SHADES - 1) / max(int(out.max()), 1)).astype(int) + SHADE_0
            parts["map"][r] = [int(out.max()), "".join(map(chr, shade))]
        for name, part in parts.items():
            made[name].append(part)
    return made
