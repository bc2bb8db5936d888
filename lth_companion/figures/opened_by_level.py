"""A figure's tickets opened level by level, or a sentence about what is not published of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pandas as pd

from lth_companion.experiments import opened_tickets
from lth_companion.experiments.study import Study
from lth_companion.figures.captions import Unpublished
from lth_core import prune, results
from lth_core.spec import Spec

Level = list[opened_tickets.Opened]  # tickets of one round, one a trial


def rows(study: Study, figure: str, rounds: Iterable[int] = ()) -> dict[int, list[Spec]]:
    """A figure's tickets by round, one a trial."""
    found: dict[int, list[Spec]] = {}
    for s in sorted(study.possible(figure), key=lambda s: (s.round, s.trial)):
        if s == s.ticket(s.round) and (not rounds or s.round in rounds):
            found.setdefault(s.round, []).append(s)
    return found


def unpublished(study: Study, figure: str, specs: Iterable[Spec], trained: Iterable[Spec] = ()) -> str:
    """What results/ lacks to open a figure's networks, as a sentence; nothing where all is there."""
    source = study.source
    if not all(source.has_masks(s) for s in specs):
        return f"The masks of {figure} are not published yet."
    if not all(source.has_trained(s) for s in trained):
        return f"The trained weights of {figure} are not published yet."
    return ""


def opened(
    study: Study, figure: str, rounds: Iterable[int] = (), *, trained: bool = False, trial: int | None = None
) -> list[Level]:
    """A figure's tickets with their masks and initial weights, level by level; of one trial or of all.

    `trained`: their unpruned networks' trained weights are needed too."""
    found = rows(study, figure, rounds).values()
    levels = [[s for s in specs if trial is None or s.trial == trial] for specs in found]
    flat = [s for specs in levels for s in specs]
    if gone := unpublished(study, figure, flat, [s.ticket(0) for s in flat] if trained else ()):
        raise Unpublished(gone)
    return [opened_tickets.opened(specs, study.source) for specs in levels]


def available(study: Study, sources: dict[str, str], round: int, trained: bool = False) -> Iterator[tuple[str, Level]]:
    """Of figures by label, those that have tickets of a round and can be opened."""
    for label, figure in sources.items():
        if study.lacking(figure):
            continue
        try:
            yield from ((label, level) for level in opened(study, figure, (round,), trained=trained))
        except Unpublished:
            continue


def networks(study: Study, levels: Iterable[Level], unpruned: bool = False) -> pd.DataFrame:
    """The opened networks as rows of results; `unpruned`: those of round 0 as well."""
    specs = [o.spec for level in levels for o in level]
    return results.table([*(s.ticket(0) for s in specs if unpruned), *specs], study.source)


def percent(spec: Spec, hidden: bool = False) -> str:
    """A level as the papers write it: percent of all weights, in v1 of the hidden layers'."""
    share = (1 - spec.prune_fc) ** spec.round if hidden else prune.density(spec)
    return f"{100 * share:.3g}%"
