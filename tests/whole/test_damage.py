"""Damage from a seed, counted: refused in a sentence or without effect; nothing silent, no traceback, nothing lost.

`make soak` tries a hundred times as much, of a seed of the day.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import damaged_places as places
import pytest
from handed_places import handed
from killed import KILLED, in_a_child, no_files, trouble
from record import tried
from soak import OUTCOMES, Place, Tally, fingerprint, soak
from tiny import tiny_rows

from lth_companion.experiments import catalogue
from lth_companion.share import ticket_files
from lth_core import data
from lth_core.results import manifest
from lth_core.store import Store
from lth_core.store.checkpoint import Shelf

DAMAGES, TROUBLES = 2_500, 100  # of the slow run; the fast one tries a tenth
TIMES = int(os.environ.get("LTH_SOAK", DAMAGES))
SEED = int(os.environ.get("LTH_SOAK_SEED", 28))


@pytest.fixture(scope="module")
def damageable(whole: Store, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Place]]:
    folder = tmp_path_factory.mktemp("places")
    figure = catalogue.Figure("iclr-fig03", "iclr_2_lenet", "", lambda s: tiny_rows(), masks=True, trained=(1,))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(catalogue, "FIGURES", {figure.id: figure})
        published = places.publication(whole, [figure], folder / "results")
    with pytest.MonkeyPatch.context() as patch:  # small data stand for the official ones
        patch.setattr(data, "KNOWN", dict(data.KNOWN))
        patch.setattr(data.cifar10, "EACH", data.cifar10.EACH)
        patch.setattr(data.cifar10, "BLOCKS", data.cifar10.BLOCKS)
        own = [places.cell(whole), places.ticket(whole), places.halfway(folder), published]
        yield own + handed(whole, folder)
    data.load.cache_clear()


def passed(tally: Tally, group: str) -> None:
    """Count on the page of faults, and fail for whatever was silent or ended in a traceback."""
    for kind in sorted({k for k, _ in tally.counts}):
        tried(group, kind, tally.tried(kind), counts={o: tally.counts[kind, o] for o in OUTCOMES})
    print(tally.table())
    assert not tally.found, f"{len(tally.found)} of {tally.tried()}:\n" + "\n".join(tally.found[:20])


def test_some_damage(damageable: list[Place], tmp_path: Path) -> None:
    passed(soak(damageable, DAMAGES // 10, SEED, tmp_path / "damaged"), "Damage")


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_much_damage(damageable: list[Place], tmp_path: Path) -> None:
    passed(soak(damageable, TIMES, SEED + 1, tmp_path / "damaged"), "Damage")


# --- Killed, and short of something -----------------------------------------------------------------------------------

OLD = {"a/cells.parquet": b"old" * 900, "a/curves.parquet": b"old curves", "verdicts.json": b"{}"}
NEW = {"a/cells.parquet": b"new" * 900, "b/masks.parquet": b"more" * 300, "verdicts.json": b'{"new": 1}'}


class Published:
    """A publication over an earlier one."""

    size = 4_500

    def prepare(self, root: Path) -> None:
        manifest.commit(root, OLD)

    def work(self, root: Path) -> None:
        manifest.commit(root, NEW)

    def state(self, root: Path) -> Any:
        listed = manifest.read(root)
        return {n: manifest.content(root, n, listed) for n in listed}


class Merged:
    """Two cells taken into a store that has one."""

    size = 12_000

    def __init__(self, whole: Store) -> None:
        self.whole, self.keys = whole, whole.keys()[:3]

    def prepare(self, root: Path) -> None:
        Store(root).adopt(self.whole, self.keys[0])

    def work(self, root: Path) -> None:
        for key in self.keys[1:]:
            if not Store(root).folder(key).exists():
                Store(root).adopt(self.whole, key)

    def state(self, root: Path) -> Any:
        return {key: fingerprint(Store(root).read(key)) for key in Store(root).keys()}


class Exported:
    """A ticket's file over another one of its name."""

    size = 12_000

    def __init__(self, whole: Store) -> None:
        self.ticket, self.earlier = (ticket_files.ticket(places.TICKET, whole, trained=t) for t in (True, False))

    def prepare(self, root: Path) -> None:
        ticket_files.write(self.earlier, root)

    def work(self, root: Path) -> None:
        ticket_files.write(self.ticket, root)

    def state(self, root: Path) -> Any:
        (file,) = (p for p in root.iterdir() if not p.name.startswith("."))
        return fingerprint(ticket_files.read(file))


class Shelved:
    """A training kept halfway over an earlier state of it."""

    size = 2_500

    def prepare(self, root: Path) -> None:
        Shelf(root).save(places.TICKET, places.unfinished(20))

    def work(self, root: Path) -> None:
        Shelf(root).save(places.TICKET, places.unfinished(20 + 20 // 2))

    def state(self, root: Path) -> Any:
        return fingerprint(Shelf(root).load(places.TICKET))


def troubled(times: int, whole: Store, root: Path) -> Tally:
    """So many times one of these, killed or short of something: all is old or new then, and new when done again."""
    tally = Tally()
    operations: dict[str, Any] = {
        "publish": Published(), "merge": Merged(whole), "export": Exported(whole), "halfway": Shelved(),
    }  # fmt: skip
    for i in range(times):
        name = [*operations][i % len(operations)]
        operation, rng = operations[name], random.Random(f"{SEED} {i}")
        shutil.rmtree(root, ignore_errors=True)
        operation.prepare(root)
        old = operation.state(root)
        kind, bring = trouble(rng, root, operation.size)

        def work(bring: Callable[[], None] = bring, operation: Any = operation) -> None:
            bring()
            operation.work(root)

        ended = in_a_child(work)
        left = operation.state(root)
        operation.work(root)
        new = operation.state(root)
        whole_ = left in (old, new) or (name == "merge" and old.items() <= left.items() <= new.items())
        rest = [p.name for p in root.rglob(".*") if p.name != manifest.LOCK]
        told = f"trouble {i} of seed {SEED}"
        if ended not in (0, 1, *KILLED):
            tally.add(f"{name}: {kind}", "traceback", told)
        elif not whole_ or rest or (ended == 0 and left != new):
            tally.add(f"{name}: {kind}", "silent", f"{told}: whole {whole_}, left behind {rest}, status {ended}")
        else:
            tally.add(f"{name}: {kind}", "refused" if ended == 1 else "harmless")
    return tally


def test_any_limit_of_open_files_is_a_sentence(whole: Store, tmp_path: Path) -> None:
    """Wherever a merge runs out of them: at a cell, at a lock, at a module that is imported late."""
    merged = Merged(whole)
    for more in range(10):
        root = tmp_path / str(more)
        merged.prepare(root)

        def work(root: Path = root, more: int = more) -> None:
            no_files(more)
            merged.work(root)

        assert in_a_child(work) in (0, 1), more


def test_some_trouble(whole: Store, tmp_path: Path) -> None:
    passed(troubled(TROUBLES // 5, whole, tmp_path / "troubled"), "Stopped")


@pytest.mark.slow
@pytest.mark.timeout(36_000)
def test_much_trouble(whole: Store, tmp_path: Path) -> None:
    passed(troubled(max(2 * TROUBLES, TIMES // 50), whole, tmp_path / "troubled"), "Stopped")
