"""Measurements read from `results/`: each file checked against the manifest before a number of it counts."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from lth_core.errors import StoreError, one_line
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.prune import full, masked
from lth_core.results import manifest, parquet
from lth_core.results.manifest import Damaged
from lth_core.results.schema import checked
from lth_core.spec import Spec, from_dict
from lth_core.store.cell import UNREADABLE, digest_arrays, key_of

HERE = Path(__file__).resolve().parents[2] / "results"
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes
FINER = 2.0**10  # changes of weights are multiplied by this before they become float16, so that small ones stay


def chain_of(spec: Spec) -> str:
    """Names the chain of rounds whose masks nest and to which this row's mask belongs."""
    return key_of(spec.ticket(1))


def thinned(curves: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` evaluations plus the first: every k-th, always including the last."""
    last = len(curves) - 1
    step = max(1, -(-last // points))
    return curves.iloc[[*range(0, last, step), last]].reset_index(drop=True)


class Published:
    """The committed results, read lazily and checked against their manifest. Needs neither torch nor data sets.

    `without`: sections to leave out."""

    exact: ClassVar[bool] = False

    def __init__(self, root: str | Path = HERE, without: Iterable[str] = ()) -> None:
        self.root, self.without = Path(root), set(without)

    @cached_property
    def manifest(self) -> dict[str, str]:
        return manifest.read(self.root)

    def parts(self, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each section's file of this name: cells, curves, masks or weights."""
        for relative in self.manifest:
            section = relative.split("/")[0]
            if relative.endswith(f"/{name}.parquet") and section not in self.without:
                yield section, self._whole(section, name)

    def _whole(self, section: str, name: str) -> pd.DataFrame:
        """A file that is listed, its checksum, schema and size checked."""
        relative = f"{section}/{name}.parquet"
        try:
            data = manifest.content(self.root, relative, self.manifest)
            return checked(parquet.read(name, data or b"", self._most(section, name)), relative)
        except UNREADABLE as error:
            if isinstance(error, MemoryError):
                raise
            raise self._odd(relative, error) from error

    def _most(self, section: str, name: str) -> int | None:
        """How many rows a file can have at most, where another one tells it."""
        if name != "curves":
            return None
        try:
            cells = manifest.content(self.root, f"{section}/cells.parquet", self.manifest)
            return (POINTS + 2) * (parquet.rows(cells) if cells else 0)
        except (Damaged, *UNREADABLE):  # who reads cells is told
            return None

    def _odd(self, relative: str, error: object) -> Damaged:
        said = one_line(" ".join(str(error).split()))[:200]
        return Damaged(f"{self.root / relative} is not what is published there ({said}): {manifest.remedy(relative)}.")

    def damaged(self) -> dict[str, list[str]]:
        """Of each section the tables that cannot be read as they were published."""
        found: dict[str, list[str]] = {}
        for relative in (n for n in self.manifest if n.endswith(".parquet")):
            section, name = relative.removesuffix(".parquet").split("/")
            try:
                self._whole(section, name)
            except Damaged:
                found.setdefault(section, []).append(name)
        return found

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
        try:
            spec = from_dict(json.loads(self.cells.at[key, "spec"]))
            if key_of(spec) != key:
                raise ValueError("its spec is another network's")
        except UNREADABLE as error:
            raise self._odd(f"{self.cells.at[key, 'section']}/cells.parquet", f"{key}: {error}") from error
        return spec

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame:
        keys = self._require(specs)
        return self.cells.loc[keys].reset_index(drop=True).drop(columns=["spec", "section"])

    @cached_property
    def _places(self) -> dict[str, tuple[int, int]]:
        """Where each network's evaluations stand among all: they follow each other in their file."""
        codes, keys = pd.factorize(self._curves["key"])
        starts = np.flatnonzero(np.diff(codes, prepend=-1))
        runs = zip(starts, [*starts[1:], len(codes)][: len(starts)], strict=True)
        return {keys[codes[a]]: (int(a), int(b)) for a, b in reversed([*runs])}  # published twice: the first

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        places = [self._places[k] for k in dict.fromkeys(self._require(specs)) if k in self._places]
        rows = np.concatenate([np.arange(a, b) for a, b in places]) if places else np.arange(0)
        return self._curves.drop(columns="section").iloc[rows].reset_index(drop=True)

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
        chain = self._masks[self._masks["chain"] == chain_of(spec)].set_index("layer")
        shapes = {layer.weight: layer.shape for layer in layers(spec.arch, spec.dataset)}
        pruned_at, ticket = chain["pruned_at"], key_of(spec.ticket(spec.round))
        try:
            found = {n: (np.frombuffer(pruned_at[n], np.uint8) > spec.round).reshape(shapes[n]) for n in shapes}
            if ticket in self.cells.index and digest_arrays(found) != self.cells.at[ticket, "masks"]:
                raise ValueError(f"its masks are not those that {ticket} was trained with")
        except (KeyError, ValueError) as error:
            raise self._odd(f"{chain['section'].iat[0]}/masks.parquet", error) from error
        return found

    def has_trained(self, spec: Spec) -> bool:
        return key_of(spec) in set(self._weights["key"])

    def trained(self, spec: Spec) -> Parameters:
        """Parameters after the last iteration: see `trained`."""
        if not self.has_trained(spec):
            raise StoreError(f"no trained weights are published for {key_of(spec)}: train it with `run`.")
        own = self._weights[self._weights["key"] == key_of(spec)].set_index("parameter")
        start, change = masked(initial(spec), self.masks(spec)), own["change"]
        try:
            moved = {n: np.frombuffer(change[n], np.float16).astype(np.float32) / np.float32(FINER) for n in start}
            return {n: w + moved[n].reshape(w.shape) for n, w in start.items()}
        except (KeyError, ValueError) as error:
            raise self._odd(f"{own['section'].iat[0]}/weights.parquet", error) from error
