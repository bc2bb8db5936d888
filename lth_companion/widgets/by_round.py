"""A ticket opened round by round: connections of each pixel, initial weights of the survivors, connections of units."""

from __future__ import annotations

from typing import Any

import numpy as np
import traitlets
from numpy.typing import NDArray

from lth_companion.experiments.study import Study
from lth_companion.figures import captions
from lth_companion.figures.vocabulary import NAMES
from lth_companion.widgets.anatomy import anatomy
from lth_companion.widgets.base import Widget, require, text
from lth_core import plot, results
from lth_core.errors import UsageError
from lth_core.models import layers
from lth_core.plot import Html
from lth_core.prune import density
from lth_core.spec import Spec

CONNECTION_BINS = 24  # of a histogram of connections per unit, from none to MOST times the mean
MOST = 4.0


class ByRound(Widget):
    """One slider over pruning rounds, with what is inside the ticket of each.

    - `data["groups"]`: one for each kind of ticket, such as Adam's and SGD's, with
      - `id`, `name`; `rounds`: `[{"round": 0, "percent": 100.0}, …]`; `trials`: `[0, 1, …]`
      - `arms`, `order`, `anatomy`: see `anatomy.anatomy`, of the arm "ticket"
      - `connections[direction][round]`: per layer a histogram of how many connections its units keep, all trials
        together: `CONNECTION_BINS` counts of units from 0 to `most` times the mean; `direction` is "incoming" or
        "outgoing"
      - `caption`: one sentence
    - `data["senders"]`: who has outgoing connections in each layer, as `receivers` have incoming ones; `data["most"]`
    - `group`: the chosen group's `id`; `round`: the chosen round, or the last one that the group has; `trial`: the
      chosen trial, None for all
    """

    _esm = text("chart.js", "anatomy.js", "by_round.js")

    linked = traitlets.List(traitlets.Unicode(), ["group", "round", "trial"]).tag(sync=True)
    group = traitlets.Unicode("").tag(sync=True)
    round = traitlets.Int(8, min=0).tag(sync=True)
    trial = traitlets.Int(None, allow_none=True).tag(sync=True)

    @traitlets.validate("data")
    def _check(self, proposal: dict[str, Any]) -> dict[str, Any]:
        data = require(proposal["value"], "groups", "senders", "receivers", "most")
        if not data["groups"]:
            raise UsageError("data['groups'] is empty: give at least one kind of ticket.")
        return data

    @traitlets.validate("group")
    def _known(self, proposal: dict[str, Any]) -> str:
        return self._of_groups(proposal["value"])


def by_round(study: Study, figures: dict[str, str]) -> ByRound | Html:
    """The widget over the tickets of some figures, name → figure; nothing while one of them is not measured.

    A figure may show some rounds only: the slider has every round of its chains whose masks are known."""
    if lacking := next((f for f in figures.values() if study.lacking(f)), ""):
        return captions.missing(lacking)
    groups = [group for name, figure in figures.items() if (group := _group(study, name, figure))]
    if not groups:
        return captions.missing(next(iter(figures.values())))
    return ByRound({
        "groups": groups, "senders": ["pixels", "layer 1", "layer 2"], "most": MOST,
        "receivers": ["layer 1", "layer 2", "output layer"],
    })  # fmt: skip


def _group(study: Study, name: str, figure: str) -> dict[str, Any] | None:
    """One kind of ticket; None where no masks are published."""
    shown = study.possible(figure)
    deepest = {t: max((s for s in shown if s.trial == t), key=lambda s: s.round) for t in {s.trial for s in shown}}
    chains = {trial: _chain(study, deepest[trial]) for trial in sorted(deepest)}
    rounds = min(len(chain) for chain in chains.values())
    specs = [spec for chain in chains.values() for spec in chain[:rounds]]
    opened = anatomy(study, specs, list(chains)) if rounds > 1 else None
    if opened is None:
        return None
    return {
        "id": figure, "name": name, "trials": list(chains), "caption": captions.scale_note(study, figure),
        "rounds": [
            {"round": s.round, "percent": round(100 * density(s), 2)} for s in next(iter(chains.values()))[:rounds]
        ],
        "arms": {"ticket": {"label": NAMES["ticket"], "color": plot.css("ticket")}}, "order": ["ticket"],
        "anatomy": opened, "connections": _connections(study, specs),
    }  # fmt: skip


def _chain(study: Study, deepest: Spec) -> list[Spec]:
    """The tickets from the unpruned network on for as long as their masks are known."""
    chain: list[Spec] = []
    while study.source.has_masks(spec := deepest.ticket(len(chain))):
        chain.append(spec)
    return chain


def _connections(study: Study, specs: list[Spec]) -> dict[str, dict[str, list[list[int]]]]:
    """Histograms of connections per unit, by direction, round and layer."""
    table = layers(specs[0].arch, specs[0].dataset)
    counts: dict[str, dict[str, list[NDArray]]] = {"incoming": {}, "outgoing": {}}
    for spec in specs:
        masks = results.masks(spec, study.source)
        for axis, direction in ((1, "incoming"), (0, "outgoing")):
            parts = counts[direction].setdefault(str(spec.round), [np.zeros(CONNECTION_BINS, int) for _ in table])
            for part, layer in zip(parts, table, strict=True):
                kept = masks[layer.weight].sum(axis)
                share = kept / max(kept.mean(), 1e-9) * CONNECTION_BINS / MOST
                part += np.bincount(share.astype(int).clip(0, CONNECTION_BINS - 1), minlength=CONNECTION_BINS)
    return {way: {r: [p.tolist() for p in parts] for r, parts in rounds.items()} for way, rounds in counts.items()}
