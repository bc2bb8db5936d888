"""Where measured networks are read from, and what every such place answers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Protocol

import pandas as pd

from lth_core.models import Masks, Parameters
from lth_core.spec import Spec
from lth_core.store.cell import key_of


class Measured(Protocol):
    """What can say of a row whether it is there, and then whether it diverged: all that `possible` asks."""

    def has(self, spec: Spec) -> bool: ...

    def diverged(self, spec: Spec) -> bool: ...


class Source(Measured, Protocol):
    """Where measured networks are read from: a `Store` of trainings, or `Published` results.

    What is asked of a row that is not there, or of masks or weights that are not, is a `StoreError`.
    `exact`: trained weights are those of the training to the last bit, so that a next round can be cut from them.
    """

    exact: ClassVar[bool]

    def __hash__(self) -> int: ...

    def keys(self) -> list[str]: ...

    def spec(self, key: str) -> Spec: ...

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame: ...

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame: ...

    def has_masks(self, spec: Spec) -> bool: ...

    def masks(self, spec: Spec) -> Masks: ...

    def has_trained(self, spec: Spec) -> bool: ...

    def trained(self, spec: Spec) -> Parameters: ...


class Listed:
    """A source whose keys are listed once: whether each of thousands of rows is there needs no look at the disk."""

    def __init__(self, source: Source) -> None:
        self.source, self.keys = source, frozenset(source.keys())

    def has(self, spec: Spec) -> bool:
        return bool(self.keys) and key_of(spec) in self.keys

    def diverged(self, spec: Spec) -> bool:
        return self.source.diverged(spec)


def table(specs: Iterable[Spec], source: Source) -> pd.DataFrame:
    """One row per network: fields, density, provenance and `analyse.summary`. A missing cell is an error."""
    return source.table(specs)


def curves(specs: Iterable[Spec], source: Source) -> pd.DataFrame:
    """Evaluations of all networks, one row each: key, iteration, losses and counts."""
    return source.curves(specs)


def masks(spec: Spec, source: Source) -> Masks:
    """The masks of a row's ticket, each of its weights' shape; those of round 0 keep everything."""
    return source.masks(spec)


def trained(spec: Spec, source: Source) -> Parameters:
    """A ticket's parameters after its last iteration. Of published ones, the change since the first is rounded."""
    return source.trained(spec)


def possible(specs: Iterable[Spec], source: Measured) -> list[Spec]:
    """The rows that can be: a network that diverged has no magnitudes to prune by, so its chain of rounds ends."""
    ended: dict[Spec, bool] = {}  # of a chain's tickets: whether this one or an earlier one diverged

    def ends(above: Spec) -> bool:
        if above not in ended:
            diverged = source.has(above) and source.diverged(above)
            ended[above] = diverged or (above.round > 0 and ends(above.ticket(above.round - 1)))
        return ended[above]

    def lost(s: Spec) -> bool:
        return s.grown and ends(s.ticket(s.round - 1))

    return [s for s in specs if source.has(s) or not lost(s)]
