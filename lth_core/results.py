"""Published measurements: what `results/` holds, and how notebooks read it without training.

results/SECTION/cells.parquet    one row a network: key, every field of its spec, provenance, summary
                curves.parquet   its evaluations, thinned to at most `POINTS`
                masks.parquet    one row a chain and layer: after which round each weight was pruned (uint8)
                weights.parquet  one row a ticket and parameter: how far training moved its values (float16)
results/MANIFEST.json            SHA-256 of each file
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import ClassVar, Protocol

import numpy as np
import pandas as pd

from lth_core.cell import StoreError, key_of
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.prune import density, full, masked
from lth_core.spec import Spec, from_dict

HERE = Path(__file__).resolve().parent.parent / "results"
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes
FINER = 2.0**10  # changes of weights are multiplied by this before they become float16, so that small ones stay


def chain_of(spec: Spec) -> str:
    """Names the chain of rounds whose masks nest and to which this row's mask belongs."""
    return key_of(spec.ticket(1))


def describe(spec: Spec) -> dict[str, object]:
    """A row's fields as columns, with its density."""
    return {"key": key_of(spec), **asdict(spec), "lr_drops": json.dumps(spec.lr_drops), "density": density(spec)}


def thinned(curves: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` evaluations plus the first: every k-th, always including the last."""
    last = len(curves) - 1
    step = max(1, -(-last // points))
    return curves.iloc[[*range(0, last, step), last]].reset_index(drop=True)


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

    def keys(self) -> list[str]: ...

    def spec(self, key: str) -> Spec: ...

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame: ...

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame: ...

    def has_masks(self, spec: Spec) -> bool: ...

    def masks(self, spec: Spec) -> Masks: ...

    def has_trained(self, spec: Spec) -> bool: ...

    def trained(self, spec: Spec) -> Parameters: ...


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


class Published:
    """The committed results, read lazily and checked against their manifest. Needs neither torch nor data sets.

    `without`: sections to leave out."""

    exact: ClassVar[bool] = False

    def __init__(self, root: str | Path = HERE, without: Iterable[str] = ()) -> None:
        self.root, self.without = Path(root), set(without)

    @cached_property
    def manifest(self) -> dict[str, str]:
        file = self.root / "MANIFEST.json"
        if not file.exists():
            return {}
        try:
            found = json.loads(file.read_text())
        except (OSError, ValueError, RecursionError) as error:
            raise StoreError(f"{file} cannot be read ({error}): restore it from git.") from error
        if not isinstance(found, dict) or not all(isinstance(checksum, str) for checksum in found.values()):
            raise StoreError(f"{file} does not hold a checksum for each file: restore it from git.")
        return found

    def parts(self, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each section's file of this name: cells, curves, masks or weights."""
        for relative, expected in self.manifest.items():
            section = relative.split("/")[0]
            if not relative.endswith(f"/{name}.parquet") or section in self.without:
                continue
            file = self.root / relative
            found = hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "nothing"
            if found != expected:
                raise StoreError(
                    f"results/{relative} is not what MANIFEST.json says ({found[:12]}, expected {expected[:12]}): "
                    "restore it from git, or publish again."
                )
            yield section, pd.read_parquet(file)

    def _read(self, name: str) -> pd.DataFrame:
        parts = [part.assign(section=section) for section, part in self.parts(name)]
        return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame({"key": [], "section": []})

    @cached_property
    def cells(self) -> pd.DataFrame:
        """Every published network: see `table`."""
        return self._read("cells").drop_duplicates("key").set_index("key", drop=False)

    @cached_property
    def _curves(self) -> pd.DataFrame:
        return self._read("curves")

    @cached_property
    def _masks(self) -> pd.DataFrame:
        """Each chain once: of two sections' the one that reaches further, which holds all rounds of the other."""
        found = self._read("masks")
        return found.sort_values("rounds").drop_duplicates(["chain", "layer"], keep="last") if len(found) else found

    @cached_property
    def _weights(self) -> pd.DataFrame:
        return self._read("weights")

    def has(self, spec: Spec) -> bool:
        return key_of(spec) in self.cells.index

    def diverged(self, spec: Spec) -> bool:
        return bool(self.cells.at[key_of(spec), "diverged"])

    def _require(self, specs: Iterable[Spec]) -> list[str]:
        keys = [key_of(s) for s in specs]
        lacking = [k for k in keys if k not in self.cells.index]
        if lacking:
            raise StoreError(
                f"{len(lacking)} of {len(keys)} networks are not in {self.root.name}/ (the first is {lacking[0]}): "
                "train them with `python -m lth_core run FIGURE`, or use profile quick or paper."
            )
        return keys

    def keys(self) -> list[str]:
        return list(self.cells.index)

    def spec(self, key: str) -> Spec:
        return from_dict(json.loads(self.cells.loc[key, "spec"]))

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame:
        keys = self._require(specs)
        return self.cells.loc[keys].reset_index(drop=True).drop(columns=["spec", "section"])

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        found = self._curves[self._curves["key"].isin(self._require(specs))]
        return found.drop(columns="section").reset_index(drop=True)

    def has_masks(self, spec: Spec) -> bool:
        return spec.round == 0 or self.rounds_of_masks.get(chain_of(spec), 0) >= spec.round

    @cached_property
    def rounds_of_masks(self) -> dict[str, int]:
        """Of each chain with masks the last round."""
        return self._masks.groupby("chain")["rounds"].max().to_dict() if len(self._masks) else {}

    def masks(self, spec: Spec) -> Masks:
        """The ticket's masks at this row's round: weights that were pruned in a later round or never."""
        if spec.round == 0:
            return full(spec)
        if not self.has_masks(spec):
            raise StoreError(f"no masks are published for {key_of(spec)}: train its chain with `run`.")
        chain = self._masks[self._masks["chain"] == chain_of(spec)].set_index("layer")["pruned_at"]
        shapes = {layer.weight: layer.shape for layer in layers(spec.arch, spec.dataset)}
        return {n: (np.frombuffer(chain[n], np.uint8) > spec.round).reshape(shapes[n]) for n in shapes}

    def has_trained(self, spec: Spec) -> bool:
        return key_of(spec) in set(self._weights["key"])

    def trained(self, spec: Spec) -> Parameters:
        """Parameters after the last iteration: see `trained`."""
        if not self.has_trained(spec):
            raise StoreError(f"no trained weights are published for {key_of(spec)}: train it with `run`.")
        change = self._weights[self._weights["key"] == key_of(spec)].set_index("parameter")["change"]
        start = masked(initial(spec), self.masks(spec))
        moved = {n: np.frombuffer(change[n], np.float16).astype(np.float32) / np.float32(FINER) for n in start}
        return {n: w + moved[n].reshape(w.shape) for n, w in start.items()}
