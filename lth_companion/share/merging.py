"""Cells of one store taken into another, each checked whole, and tickets against the network that they grew from."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from lth_core.errors import StoreError
from lth_core.models import Masks
from lth_core.prerequisites import parent
from lth_core.spec import Spec, from_dict
from lth_core.store import Store
from lth_core.store.cell import MOST_BYTES, UNREADABLE, key_of, read_bytes


@dataclass(frozen=True)
class Taken:
    """How many cells a merge copied, found there already, and left because a runner here is training them."""

    added: int = 0
    kept: int = 0
    busy: int = 0

    def __add__(self, other: Taken) -> Taken:
        return Taken(self.added + other.added, self.kept + other.kept, self.busy + other.busy)


def merge(other: Store, target: Store) -> Taken:
    """Take all cells of `other` that `target` lacks. `StoreError` names the first that is damaged, impossible, or keeps
    a weight that its parent had pruned; what was taken before it stays."""
    target.refuse_links()
    other.refuse_links()
    keys = other.keys()
    lacking = [key for key in keys if not target.folder(key).exists()]
    told = {key: _told(other, key) for key in lacking}
    order = sorted(lacking, key=lambda key: _place(key, told[key]))  # chains one after the other, earlier rounds first
    nested, added = Nested(target, other), 0
    for key in order:
        added += target.adopt(other, key, nested.check)
    return Taken(added, len(keys) - len(lacking), len(lacking) - added)


def _told(store: Store, key: str) -> Spec | None:
    """The row that a cell says it is, not checked yet; None where it says nothing that is one."""
    try:
        return from_dict(json.loads(read_bytes(store.folder(key) / "cell.json", MOST_BYTES))["spec"])
    except UNREADABLE:
        return None  # whoever reads it whole says what is wrong


def _place(key: str, spec: Spec | None) -> tuple[str, int, str]:
    return (key, 0, key) if spec is None else (key_of(spec.ticket(1)), spec.round, key)


@dataclass
class Nested:
    """Masks against those of the round before, read once a chain where its cells come in order."""

    target: Store
    other: Store
    last: dict[str, Masks] = field(default_factory=dict)  # of the last ticket that was checked, by its key

    def check(self, spec: Spec, masks: Masks) -> None:
        """Refuse a ticket that keeps what its parent had pruned; also one whose next round, here already, does so."""
        if not masks:
            return
        if (above := parent(spec)) is not None and above.round:
            self._refuse(spec, masks, above, self._masks(above))
        if spec.round and self.target.has(below := spec.at_round(spec.round + 1)) and parent(below) == spec:
            self._refuse(below, self._masks(below), spec, masks)
        self.last = {key_of(spec): masks}

    def _masks(self, spec: Spec) -> Masks | None:
        key = key_of(spec)
        if key in self.last:
            return self.last[key]
        source = next((s for s in (self.target, self.other) if s.has(spec)), None)
        return None if source is None else source.read(key).masks

    def _refuse(self, spec: Spec, masks: Masks | None, above: Spec, before: Masks | None) -> None:
        if masks is None or before is None:
            return
        if odd := sum(int((mask & ~before[name]).sum()) for name, mask in masks.items()):
            raise StoreError(
                f"cell {key_of(spec)} keeps {odd:,} weights that cell {key_of(above)}, from which it grew, had pruned: "
                "they are not of one chain of trainings; leave out the store of one of the two, or delete the folder "
                f"{self._folder(spec)} to have it trained again."
            )

    def _folder(self, spec: Spec) -> Path:
        key = key_of(spec)
        return (self.target if self.target.has(spec) else self.other).folder(key)
