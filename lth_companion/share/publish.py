"""From a store to `results/` (see there for its files), all or nothing (see `manifest`).

A section is written whole. What is published stays as it is, so that a fresh clone adds a figure without training its
section again; a store replaces it where it holds all that grows from an unpruned network, in all sections.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from pyarrow import ArrowException

from lth_companion.experiments import catalogue
from lth_core.analyse import summary
from lth_core.errors import StoreError, UsageError
from lth_core.models import initial
from lth_core.prune import masked
from lth_core.results import FINER, HERE, NEVER, POINTS, Published, chain_of, manifest, parquet, possible, thinned
from lth_core.spec import MISTAKES, Spec
from lth_core.store import Store
from lth_core.store.cell import Cell, describe, key_of


@dataclass(frozen=True)
class Either:
    """A store and what is published already, by default nothing: where each network is taken from."""

    store: Store
    published: Published = field(default_factory=lambda: Published("nothing is published"))
    renewed: set[Spec] = field(default_factory=set)  # unpruned networks whose store holds all that grows from them

    def has(self, spec: Spec) -> bool:
        return self.published.has(spec) or self.store.has(spec)

    def stays(self, spec: Spec) -> bool:
        """Whether this network is kept as it is published."""
        return self.published.has(spec) and spec.at_round(0) not in self.renewed

    def masks(self, spec: Spec) -> dict[str, np.ndarray]:
        """A ticket's masks, of a round that is published or lies before one."""
        kept = spec.at_round(0) not in self.renewed and self.published.has_masks(spec)
        return (self.published if kept else self.store).masks(spec)

    def diverged(self, spec: Spec) -> bool:
        return (self.published if self.stays(spec) else self.store).diverged(spec)


def publish(
    asked: Iterable[catalogue.Figure], store: Store, root: str | Path = HERE, *, masks: bool = False, drop: bool = False
) -> list[Path]:
    """Write the sections of the figures that are `asked` for, with all that they had before; returns the files.

    - `masks`: also keep masks that no figure asks for
    - `drop`: published networks may go that no figure shows any more; else they are an error

    A section of `asked` that is damaged is made anew from the store.
    """
    with manifest.locked(Path(root)):
        manifest.finish(Path(root))  # what a killed process left
        return _publish(list(asked), store, Path(root), masks, drop)


def _publish(asked: list[catalogue.Figure], store: Store, root: Path, masks: bool, drop: bool) -> list[Path]:
    touched = {f.notebook for f in asked}
    published, rescued = _trusted(root, touched, drop)
    there = set(published.cells["key"]) | rescued

    def shows(figure: str) -> set[str]:
        return {key_of(s) for s in possible(catalogue.rows(figure, "published"), published)}

    declared = [f for f in catalogue.FIGURES.values() if f in asked or (f.notebook in touched and shows(f.id) <= there)]
    sections: dict[str, list[Spec]] = {}
    for figure in declared:
        sections.setdefault(figure.notebook, []).extend(catalogue.rows(figure.id, "published"))
    for figure in catalogue.FIGURES.values():  # networks of other pages that lie in a section stay there
        if figure.notebook not in touched and (keys := shows(figure.id)) <= there:
            for key in keys & set(published.cells.index[published.cells["section"].isin(touched)]):
                sections[published.cells.at[key, "section"]].append(published.spec(key))
    source = joined([s for rows in sections.values() for s in rows], store, published)
    sections = {s: possible(dict.fromkeys(rows), source) for s, rows in sections.items()}
    for section, rows in sections.items():
        if n := sum(not source.has(x) for x in rows):
            raise StoreError(
                f"{section} lacks {n} networks: run `python -m lth_core run {section} --profile published`"
                + (f", or restore it from git: in {root / section} files are damaged." if section in published.without
                   else ".")
            )  # fmt: skip
    written = {key_of(s) for rows in sections.values() for s in rows}
    lost = {k for k in there - written if k in rescued or published.cells.at[k, "section"] in touched}
    if lost and not drop:
        raise UsageError(
            f"{len(lost)} published networks of {', '.join(sorted(touched))} belong to no figure that would be "
            "written: name the figures that show them too, or give --drop."
        )
    opened = [
        s for f in declared if f.trained for s in catalogue.rows(f.id, "published")
        if s.round in f.trained and s == s.ticket(s.round)
    ]  # fmt: skip
    return write(sections, source, root, masks={f.notebook for f in declared if f.masks or masks}, weights=opened)


def _trusted(root: Path, touched: set[str], drop: bool) -> tuple[Published, set[str]]:
    """What is published without damaged sections, and the keys of networks that these held.

    Those that are not published anew now are an error, and so are those whose networks nothing tells any more."""
    published = Published(root)
    damaged = published.damaged()
    rescued: set[str] = set()
    for section, names in damaged.items():
        if section not in touched:
            published._whole(section, names[0])  # says what is wrong
        whole = {"cells", "curves"} - set(names)
        known = next((n for n in sorted(whole) if f"{section}/{n}.parquet" in published.manifest), "")
        if known:
            rescued |= set(published._whole(section, known)["key"])
        elif not drop and f"{section}/cells.parquet" in published.manifest:
            raise UsageError(
                f"which networks {root / section} held cannot be read any more: restore it from git, or name the "
                "figures that it had and give --drop."
            )
    return Published(root, without=damaged), rescued


def joined(rows: Iterable[Spec], store: Store, published: Published) -> Either:
    """Where to take networks from, so that none stands beside masks or weights of another training.

    All that grows from an unpruned network is either the store's, if that holds all of it, or stays; then what the
    store has of it must be the same trainings, else it is refused."""
    trees: dict[Spec, set[Spec]] = {s.at_round(0): set() for s in rows if store.has(s)}
    for s in [*rows, *map(published.spec, published.cells["key"])]:
        if (tree := trees.get(s.at_round(0))) is not None:
            tree.add(s)
    renewed = {first for first, tree in trees.items() if all(store.has(s) for s in possible(tree, store))}
    both = [s for first in trees.keys() - renewed for s in trees[first] if published.has(s) and store.has(s)]
    curves = {key: own for key, own in published.curves(both).groupby("key")} if both else {}
    others = {s.at_round(0) for s in both if not _same(store.read(key_of(s)), published, curves[key_of(s)])}
    if others:
        raise StoreError(
            f"the store holds other trainings than those published of {len(others)} unpruned networks or of what grows "
            "from them, but not all of it (another machine or engine ends in other last bits): train all of it in one "
            "store, or publish from the store that made it."
        )
    return Either(store, published, renewed)


def _same(cell: Cell, published: Published, curves: pd.DataFrame) -> bool:
    """Whether a cell is the published training to the last bit: same start, same losses all along."""
    before, own = published.cells.loc[key_of(cell.spec)], thinned(cell.curves)
    starts = all(cell.made[name] == before[name] for name in ("initial", "masks"))
    return starts and own.equals(curves[own.columns].reset_index(drop=True))


def write(
    sections: dict[str, list[Spec]], source: Either, root: str | Path = HERE, *, masks: Iterable[str] = (),
    weights: Iterable[Spec] = (),
) -> list[Path]:  # fmt: skip
    """Write each section's networks to `root`; sections named in `masks`, or that have masks already, also keep their
    masks, and the networks in `weights` their trained weights.

    What another section already holds is not written twice. Returns the files written."""
    root = Path(root)
    source = source if isinstance(source, Either) else Either(source, Published(root / "nothing"))
    with manifest.locked(root):
        manifest.finish(root)
        return _write(sections, source, root, set(masks), set(weights))


def _write(
    sections: dict[str, list[Spec]], source: Either, root: Path, masks: set[str], wanted: set[Spec]
) -> list[Path]:
    elsewhere = Published(root, without=sections)
    seen = set(elsewhere.cells["key"])
    done = elsewhere.rounds_of_masks  # chains whose masks another section has, and to which round
    kept = set(elsewhere._weights["key"])  # networks whose trained weights one has
    files: dict[str, bytes | None] = {}  # all are made before one is written
    for section, specs in sections.items():
        mine = [s for s in dict.fromkeys(specs) if key_of(s) not in seen]
        seen.update(key_of(s) for s in mine)
        frames = _measurements(mine, source)
        if section in masks or f"{section}/masks.parquet" in elsewhere.manifest:
            frames["masks"] = _chains(specs, source, done)
        frames["weights"] = _trained([s for s in specs if s in wanted], source, kept)
        for name in ("cells", "curves", "masks", "weights"):  # what is empty goes: it would describe other networks
            files[f"{section}/{name}.parquet"] = _file(name, frames.get(name, pd.DataFrame()), len(mine))
    manifest.commit(root, files)
    return [root / name for name, data in files.items() if data is not None]


def _file(kind: str, frame: pd.DataFrame, networks: int) -> bytes | None:
    """A table as its file, which has to be one that readers accept; None if it has no rows."""
    if frame.empty:
        return None
    made = parquet.file_of(frame)
    try:
        parquet.read(kind, made, (POINTS + 2) * networks if kind == "curves" else None)
    except (ValueError, ArrowException) as error:
        raise StoreError(f"the store holds what cannot be published ({error}): nothing was written.") from error
    return made


def _measurements(specs: list[Spec], source: Either) -> dict[str, pd.DataFrame]:
    """A section's cells and curves."""
    kept = {key_of(s) for s in specs if source.stays(s)}
    before = {row["key"]: row for _, part in source.published.parts("cells") for row in _rows(part, "key", kept)}
    evaluations = [part[part["key"].isin(kept)] for _, part in source.published.parts("curves")]
    rows = []
    for spec in specs:
        if (key := key_of(spec)) in before:
            rows.append(before[key])
            continue
        cell = source.store.read(key)
        own = {**describe(spec), "spec": json.dumps(asdict(spec), sort_keys=True)}
        found = summary(cell.curves, spec.dataset)
        if odd := set(cell.made) & {*own, *found, "section"}:
            raise StoreError(f"cell {key} has provenance under names of ours ({sorted(odd)}): train it again.")
        rows.append({**own, **cell.made, **found})
        evaluations.append(thinned(cell.curves).assign(key=key))
    return {"cells": pd.DataFrame(rows), "curves": pd.concat(evaluations, ignore_index=True)} if rows else {}


def _rows(part: pd.DataFrame, column: str, values: set[str]) -> list[dict[str, Any]]:
    return part[part[column].isin(values)].to_dict("records")


def _chains(specs: list[Spec], source: Either, done: dict[str, int]) -> pd.DataFrame:
    """Nested masks of each chain as the round in which every weight was pruned: about 4 bits a weight compressed.

    With them an audit starts where the stored network did, even where another version of an engine, or another
    machine, trains the chain to other last bits and so prunes a few other weights."""
    deepest: dict[str, Spec] = {}
    for s in specs:
        carries = s == s.ticket(s.round) and s.search not in MISTAKES  # a mistake's masks need not nest
        if s.round and carries and s.round > deepest.get(chain_of(s), s.at_round(0)).round:
            deepest[chain_of(s)] = s
    rows = []
    for chain, last in deepest.items():
        if done.get(chain, 0) >= last.round:
            continue
        done[chain] = last.round
        gone: dict[str, np.ndarray] = {}
        for s in (replace(last, round=r) for r in range(1, last.round + 1)):
            for name, mask in source.masks(s).items():
                at = gone.setdefault(name, np.full(mask.size, NEVER, np.uint8))
                at[(at == NEVER) & ~mask.ravel()] = s.round
        rows += [{"chain": chain, "rounds": last.round, "layer": n, "pruned_at": a.tobytes()} for n, a in gone.items()]
    return pd.DataFrame(rows)


def _trained(specs: list[Spec], source: Either, done: set[str]) -> pd.DataFrame:
    """What training added to each parameter, in float16: eleven bits are enough for every statistic that the book makes
    of it. Not the trained values: rounding those would seem to move the weights of pixels that are always black."""
    rows = []
    for spec in specs:
        key = key_of(spec)
        if key in done:
            continue
        done.add(key)
        if source.stays(spec) and source.published.has_trained(spec):
            rows += _rows(source.published._weights.drop(columns="section"), "key", {key})
            continue
        cell = source.store.read(key)
        start = masked(initial(spec), cell.masks)
        changes = {n: (FINER * (w - start[n])).astype(np.float16) for n, w in cell.weights.items()}
        rows += [{"key": key, "parameter": n, "change": c.tobytes()} for n, c in changes.items()]
    return pd.DataFrame(rows)
