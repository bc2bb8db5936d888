"""From a store to `results/` (see there for its files).

A section is written whole. What the store lacks of it stays as it was published, so that a fresh clone adds a figure
without training its section again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd

from lth_core import paper
from lth_core.analyse import summary
from lth_core.cell import StoreError, key_of
from lth_core.models import initial
from lth_core.prune import masked
from lth_core.results import FINER, HERE, NEVER, Published, chain_of, describe, possible, thinned
from lth_core.spec import MISTAKES, Spec, UsageError
from lth_core.store import Store


@dataclass(frozen=True)
class Either:
    """What a store holds and, where it lacks a network, what is published."""

    store: Store
    published: Published

    def has(self, spec: Spec) -> bool:
        return self.store.has(spec) or self.published.has(spec)

    def diverged(self, spec: Spec) -> bool:
        return self.store.diverged(spec) if self.store.has(spec) else self.published.diverged(spec)


def publish(
    asked: Iterable[paper.Figure], store: Store, root: str | Path = HERE, *, masks: bool = False, drop: bool = False
) -> list[Path]:
    """Write the sections of the figures that are `asked` for, with all that they had before; returns the files.

    - `masks`: also keep masks that no figure asks for
    - `drop`: published networks may go that no figure shows any more; else they are an error
    """
    published, asked = Published(root), list(asked)
    there = set(published.cells["key"])
    touched = {f.notebook for f in asked}

    def shows(figure: str) -> set[str]:
        return {key_of(s) for s in possible(paper.rows(figure, "published"), published)}

    declared = [f for f in paper.FIGURES.values() if f in asked or (f.notebook in touched and shows(f.id) <= there)]
    sections: dict[str, list[Spec]] = {}
    for figure in declared:
        sections.setdefault(figure.notebook, []).extend(paper.rows(figure.id, "published"))
    for figure in paper.FIGURES.values():  # networks of other pages that lie in a section stay there
        if figure.notebook not in touched and (keys := shows(figure.id)) <= there:
            for key in keys & set(published.cells.index[published.cells["section"].isin(touched)]):
                sections[published.cells.at[key, "section"]].append(published.spec(key))
    source = Either(store, published)
    sections = {s: possible(dict.fromkeys(rows), source) for s, rows in sections.items()}
    for section, rows in sections.items():
        if n := sum(not source.has(x) for x in rows):
            raise StoreError(
                f"{section} lacks {n} networks: run `python -m lth_core run {section} --profile published`."
            )
    written = {key_of(s) for rows in sections.values() for s in rows}
    lost = {k for k in there - written if published.cells.at[k, "section"] in touched}
    if lost and not drop:
        raise UsageError(
            f"{len(lost)} published networks of {', '.join(sorted(touched))} belong to no figure that would be "
            "written: name the figures that show them too, or give --drop."
        )
    opened = [
        s for f in declared if f.trained for s in paper.rows(f.id, "published")
        if s.round in f.trained and s == s.ticket(s.round)
    ]  # fmt: skip
    return write(sections, store, root, masks={f.notebook for f in declared if f.masks or masks}, weights=opened)


def write(
    sections: dict[str, list[Spec]], store: Store, root: str | Path = HERE, *, masks: Iterable[str] = (),
    weights: Iterable[Spec] = (),
) -> list[Path]:  # fmt: skip
    """Write each section's networks from `store`, or as they are in `root`, to `root`; sections named in `masks`, or
    that have masks already, also keep their masks, and the networks in `weights` their trained weights.

    What an earlier section already holds is not written twice. Returns the files written."""
    root = Path(root)
    written: list[Path] = []
    seen: set[str] = set()
    done: dict[str, int] = {}  # chains whose masks an earlier section has written, and to which round
    kept: set[str] = set()  # networks whose trained weights one has; a chain is named by the key of such a network
    wanted = set(weights)
    published = Published(root)
    for section, specs in sections.items():
        others = published.cells[published.cells["section"] != section].index if len(published.cells) else []
        mine = [s for s in specs if key_of(s) not in seen and key_of(s) not in set(others)]
        seen.update(key_of(s) for s in mine)
        frames = _measurements(mine, store, published)
        if section in masks or (root / section / "masks.parquet").exists():
            frames["masks"] = _chains(specs, store, published, section, done)
        frames["weights"] = _trained([s for s in specs if s in wanted], store, published, section, kept)
        for name in ("cells", "curves", "masks", "weights"):
            file, frame = root / section / f"{name}.parquet", frames.get(name, pd.DataFrame())
            if frame.empty:  # what an earlier publication left would describe other networks
                file.unlink(missing_ok=True)
                continue
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(file, compression="zstd", compression_level=15, index=False)
            written.append(file)
    manifest = {
        str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(root.glob("*/*.parquet"))
    }
    (root / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return written


def _measurements(specs: list[Spec], store: Store, published: Published) -> dict[str, pd.DataFrame]:
    """A section's cells and curves."""
    old = [key for s in specs if not store.has(s) and (key := key_of(s)) in published.cells.index]
    as_before = {row["key"]: row for row in _rows(published.cells.loc[old])}
    rows, evaluations = [], []
    for spec in specs:
        if (key := key_of(spec)) in as_before:
            rows.append(as_before[key])
            continue
        cell = store.read(key)
        fields = json.dumps(asdict(spec), sort_keys=True)
        rows.append({**describe(spec), "spec": fields, **cell.made, **summary(cell.curves, spec.dataset)})
        evaluations.append(thinned(cell.curves).assign(key=key))
    if old:
        curves = published._curves
        evaluations.append(curves[curves["key"].isin(old)].drop(columns="section"))
    return {"cells": pd.DataFrame(rows), "curves": pd.concat(evaluations, ignore_index=True)} if rows else {}


def _rows(published: pd.DataFrame) -> list[dict]:
    """Rows as they are in `results/`, where no file names its own section."""
    return published.drop(columns="section", errors="ignore").to_dict("records")


def _chains(specs: list[Spec], store: Store, published: Published, section: str, done: dict[str, int]) -> pd.DataFrame:
    """Nested masks of each chain as the round in which every weight was pruned: about 4 bits a weight compressed.

    With them an audit starts where the stored network did, even where another version of an engine, or another
    machine, trains the chain to other last bits and so prunes a few other weights."""
    old = published._masks
    there = {} if old.empty else old[old["section"] != section].groupby("chain")["rounds"].max().to_dict()
    deepest: dict[str, Spec] = {}
    for s in specs:
        carries = s == s.ticket(s.round) and s.search not in MISTAKES  # a mistake's masks need not nest
        if s.round and carries and s.round > deepest.get(chain_of(s), s.at_round(0)).round:
            deepest[chain_of(s)] = s
    rows = []
    for chain, last in deepest.items():
        if max(done.get(chain, 0), there.get(chain, 0)) >= last.round:
            continue
        done[chain] = last.round
        rounds = [replace(last, round=r) for r in range(1, last.round + 1)]
        if published.has_masks(last) and not all(store.has(s) for s in rounds):
            rows += _rows(old[old["chain"] == chain])
            continue
        gone: dict[str, np.ndarray] = {}
        for s in rounds:
            for name, mask in store.read(key_of(s)).masks.items():
                at = gone.setdefault(name, np.full(mask.size, NEVER, np.uint8))
                at[(at == NEVER) & ~mask.ravel()] = s.round
        rows += [{"chain": chain, "rounds": last.round, "layer": n, "pruned_at": a.tobytes()} for n, a in gone.items()]
    return pd.DataFrame(rows)


def _trained(specs: list[Spec], store: Store, published: Published, section: str, done: set[str]) -> pd.DataFrame:
    """What training added to each parameter, in float16: eleven bits are enough for every statistic that the book makes
    of it. Not the trained values: rounding those would seem to move the weights of pixels that are always black."""
    old = published._weights
    there = set() if old.empty else set(old.loc[old["section"] != section, "key"])
    rows = []
    for spec in specs:
        key = key_of(spec)
        if key in done | there:
            continue
        done.add(key)
        if published.has_trained(spec) and not store.has(spec):
            rows += _rows(old[old["key"] == key])
            continue
        cell = store.read(key)
        start = masked(initial(spec), cell.masks)
        changes = {n: (FINER * (w - start[n])).astype(np.float16) for n, w in cell.weights.items()}
        rows += [{"key": key, "parameter": n, "change": c.tobytes()} for n, c in changes.items()]
    return pd.DataFrame(rows)
