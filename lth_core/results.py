"""Published measurements: what `results/` holds, how a store becomes it, and how notebooks read it without training.

results/SECTION/cells.parquet    one row a network: key, every field of its spec, provenance, summary
                curves.parquet   its evaluations, thinned to at most `POINTS`
                masks.parquet    one row a chain and layer: after which round each weight was pruned (uint8)
results/MANIFEST.json            SHA-256 of each file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pandas as pd

from lth_core.analyse import summary
from lth_core.models import Masks, layers
from lth_core.prune import density
from lth_core.spec import MISTAKES, Spec, from_dict
from lth_core.store import Store, StoreError, key_of

HERE = Path(__file__).resolve().parent.parent / "results"
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes


def chain_of(spec: Spec) -> str:
    """Names the chain of rounds whose masks nest and to which this row's mask belongs."""
    arm = "continued" if spec.search == "continued" else "ticket"
    return key_of(spec.at_round(1, arm=arm, replicate=0, sigma=0.0, rescale=0.0))


def describe(spec: Spec) -> dict[str, object]:
    """A row's fields as columns, with its density."""
    return {"key": key_of(spec), **asdict(spec), "lr_drops": json.dumps(spec.lr_drops), "density": density(spec)}


def thinned(curves: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` evaluations plus the first: every k-th, always including the last."""
    step = -(-(len(curves) - 1) // points)
    return curves.iloc[::step].reset_index(drop=True)


def table(specs: Iterable[Spec], source: Store | Published) -> pd.DataFrame:
    """One row per network: fields, density, provenance and `analyse.summary`. A missing cell is an error."""
    if isinstance(source, Published):
        return source.table(specs)
    rows = []
    for spec in specs:
        cell = source.read(key_of(spec))
        rows.append({**describe(spec), **cell.made, **summary(cell.curves, spec.dataset)})
    return pd.DataFrame(rows)


def curves(specs: Iterable[Spec], source: Store | Published) -> pd.DataFrame:
    """Evaluations of all networks, one row each: key, iteration, losses and counts."""
    if isinstance(source, Published):
        return source.curves(specs)
    parts = [source.read(key_of(s)).curves.assign(key=key_of(s)) for s in specs]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


class Published:
    """The committed results, read lazily and checked against their manifest. Needs neither torch nor data sets."""

    def __init__(self, root: str | Path = HERE) -> None:
        self.root = Path(root)

    @cached_property
    def manifest(self) -> dict[str, str]:
        file = self.root / "MANIFEST.json"
        return json.loads(file.read_text()) if file.exists() else {}

    def _read(self, name: str) -> pd.DataFrame:
        parts = []
        for relative, expected in self.manifest.items():
            if not relative.endswith(f"/{name}.parquet"):
                continue
            file = self.root / relative
            found = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "nothing"
            if found != expected:
                raise StoreError(
                    f"results/{relative} is not what MANIFEST.json says ({found[:12]}, expected {expected[:12]}): "
                    "restore it from git, or publish again."
                )
            parts.append(pd.read_parquet(file).assign(section=relative.split("/")[0]))
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"key": []})

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every published network: see `table`."""
        return self._read("cells").drop_duplicates("key").set_index("key", drop=False)

    @cached_property
    def _curves(self) -> pd.DataFrame:
        return self._read("curves")

    @cached_property
    def _masks(self) -> pd.DataFrame:
        return self._read("masks")

    def has(self, spec: Spec) -> bool:
        return key_of(spec) in self.cells.index

    def _require(self, specs: Iterable[Spec]) -> list[str]:
        keys = [key_of(s) for s in specs]
        lacking = [k for k in keys if k not in self.cells.index]
        if lacking:
            raise StoreError(
                f"{len(lacking)} of {len(keys)} networks are not in {self.root.name}/ (the first is {lacking[0]}): "
                "train them with `python -m lth_core run FIGURE`, or use profile quick or paper."
            )
        return keys

    def spec(self, key: str) -> Spec:
        return from_dict(json.loads(self.cells.loc[key, "spec"]))

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame:
        keys = self._require(specs)
        return self.cells.loc[keys].reset_index(drop=True).drop(columns=["spec", "section"])

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        found = self._curves[self._curves["key"].isin(self._require(specs))]
        return found.drop(columns="section").reset_index(drop=True)

    def has_masks(self, spec: Spec) -> bool:
        chain = self._masks[self._masks["chain"] == chain_of(spec)] if len(self._masks) else self._masks
        return len(chain) > 0 and int(chain["rounds"].iat[0]) >= spec.round

    def masks(self, spec: Spec) -> Masks:
        """The ticket's masks at this row's round: weights that were pruned in a later round or never."""
        if not self.has_masks(spec):
            raise StoreError(f"no masks are published for {key_of(spec)}: train its chain with `run`.")
        chain = self._masks[self._masks["chain"] == chain_of(spec)].set_index("layer")["pruned_at"]
        shapes = {layer.weight: layer.shape for layer in layers(spec.arch, spec.dataset)}
        return {n: (np.frombuffer(chain[n], np.uint8) > spec.round).reshape(shapes[n]) for n in shapes}


def publish(
    sections: dict[str, list[Spec]], store: Store, root: str | Path = HERE, *, masks: Iterable[str] = ()
) -> list[Path]:
    """Write each section's networks from `store` to `root`; sections named in `masks` also keep their masks.

    Networks that an earlier section already holds are not written twice. Returns the files written."""
    root = Path(root)
    written: list[Path] = []
    seen: set[str] = set()
    published = Published(root)
    for section, specs in sections.items():
        others = published.cells[published.cells["section"] != section].index if len(published.cells) else []
        mine = [s for s in specs if key_of(s) not in seen and key_of(s) not in set(others)]
        seen.update(key_of(s) for s in mine)
        rows, evaluations = [], []
        for spec in mine:
            cell = store.read(key_of(spec))
            fields = json.dumps(asdict(spec), sort_keys=True)
            rows.append({**describe(spec), "spec": fields, **cell.made, **summary(cell.curves, spec.dataset)})
            evaluations.append(thinned(cell.curves).assign(key=key_of(spec)))
        frames = {"cells": pd.DataFrame(rows), "curves": pd.concat(evaluations, ignore_index=True)} if rows else {}
        if section in masks and rows:
            frames["masks"] = _chains(specs, store)
        for name, frame in frames.items():
            file = root / section / f"{name}.parquet"
            file.parent.mkdir(parents=True, exist_ok=True)
            frame.to_parquet(file, compression="zstd", compression_level=15, index=False)
            written.append(file)
    manifest = {
        str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in sorted(root.glob("*/*.parquet"))
    }
    (root / "MANIFEST.json").write_text(json.dumps(manifest, indent=1) + "\n")
    return written


def _chains(specs: list[Spec], store: Store) -> pd.DataFrame:
    """Nested masks of each chain as the round in which every weight was pruned: about 4 bits a weight compressed."""
    deepest: dict[str, Spec] = {}
    for s in specs:
        carries = s == s.ticket(s.round) and s.search not in MISTAKES  # a mistake's masks need not nest
        if s.round and carries and s.round > deepest.get(chain_of(s), s.at_round(0)).round:
            deepest[chain_of(s)] = s
    rows = []
    for chain, last in deepest.items():
        gone: dict[str, np.ndarray] = {}
        for r in range(1, last.round + 1):
            for name, mask in store.read(key_of(replace(last, round=r))).masks.items():
                at = gone.setdefault(name, np.full(mask.size, NEVER, np.uint8))
                at[(at == NEVER) & ~mask.ravel()] = r
        rows += [{"chain": chain, "rounds": last.round, "layer": n, "pruned_at": a.tobytes()} for n, a in gone.items()]
    return pd.DataFrame(rows)
