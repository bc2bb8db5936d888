"""Measurements read from `results/`: each file checked against the manifest before a number of it counts."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from lth_core.errors import StoreError, one_line
from lth_core.models import Masks, Parameters, drawn, layers
from lth_core.prune import full, masked, planned
from lth_core.results import manifest, parquet
from lth_core.results.manifest import Damaged
from lth_core.results.schema import checked
from lth_core.spec import Spec, from_dict
from lth_core.store.cell import UNREADABLE, digest_arrays, key_of

# The clone's own results/, or an unpacked archive of them (`python -m lth_core archive --results`).
HERE = Path(os.environ.get("LTH_RESULTS") or Path(__file__).resolve().parents[2] / "results")
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes
FINER = 2.0**10  # changes of weights are multiplied by this before they become float16, so that small ones stay


def absent() -> StoreError:
    """What is said where this package was installed without the measurements, which lie beside it in the repository."""
    return StoreError(
        f"the published measurements are not here ({HERE}): they come with a copy of the repository, or as an archive "
        "(lth-results-VERSION.tar.gz); name its unpacked folder by LTH_RESULTS."
    )


def chain_of(spec: Spec) -> str:
    """Names the chain of rounds whose masks nest and to which this row's mask belongs."""
    return key_of(spec.ticket(1))


def thinned(curves: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` evaluations plus the first: every k-th, always including the last."""
    last = len(curves) - 1
    step = max(1, -(-last // points))
    return curves.iloc[[*range(0, last, step), last]].reset_index(drop=True)


def runs(keys: pd.Categorical) -> dict[str, tuple[int, int]]:
    """Where each network's evaluations stand: they follow each other in their file. One that stands there twice: the
    first."""
    starts = np.flatnonzero(np.diff(keys.codes, prepend=-1))
    names = keys.categories[keys.codes[starts]]
    ends = [*starts, len(keys)][1:]
    return {k: (int(a), int(b)) for k, a, b in [*zip(names, starts, ends, strict=True)][::-1]}


class Published:
    """The committed results, read lazily and checked against their manifest. Needs neither torch nor data sets.

    `without`: sections to leave out."""

    exact: ClassVar[bool] = False

    def __init__(self, root: str | Path = HERE, without: Iterable[str] = ()) -> None:
        self.root, self.without = Path(root), set(without)

    @cached_property
    def manifest(self) -> dict[str, str]:
        if self.root == HERE and not HERE.is_dir():
            raise absent()
        return manifest.read(self.root)

    def parts(self, name: str) -> Iterator[tuple[str, pd.DataFrame]]:
        """Each section's file of this name: cells, curves, masks, weights or outcomes."""
        for section in self._sections(name):
            yield section, self._whole(section, name)

    def _sections(self, name: str) -> list[str]:
        """Which sections have a file of this name."""
        having = (n.split("/")[0] for n in self.manifest if n.endswith(f"/{name}.parquet"))
        return [section for section in having if section not in self.without]

    def _whole(self, section: str, name: str, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A file that is listed (or some of its columns), its checksum, schema and size checked."""
        most = self._most(section, name)
        return self._table(section, name, lambda kind, data: parquet.read(kind, data, most, columns))

    def _table(self, section: str, name: str, read: Callable[[str, bytes], pd.DataFrame]) -> pd.DataFrame:
        """What `read` makes of a file that is listed, its checksum and columns checked."""
        relative = f"{section}/{name}.parquet"
        try:
            return checked(read(name, manifest.content(self.root, relative, self.manifest) or b""), relative)
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
    def _evaluations(self) -> dict[str, tuple[pd.DataFrame, dict[str, tuple[int, int]]]]:
        """Curves of the sections that were asked for, keys as categories, and where each network's stand."""
        return {}

    @cached_property
    def _chains(self) -> dict[str, tuple[int, str]]:
        """Of each chain with masks the last round, and the section that holds it: of two sections the one that reaches
        further, which holds all rounds of the other. The masks themselves, most of all bytes, stay unread."""
        found: dict[str, tuple[int, str]] = {}
        for section in self._sections("masks"):
            chains = self._whole(section, "masks", ("chain", "rounds", "layer")).drop_duplicates("chain")
            for chain, rounds in zip(chains["chain"], chains["rounds"], strict=True):
                if rounds > found.get(chain, (0, ""))[0]:
                    found[chain] = rounds, section
        return found

    @cached_property
    def _opened(self) -> dict[tuple[str, int], dict[str, pd.Series]]:
        """Masks that were asked for, by section and last round: of each chain `pruned_at` by layer."""
        return {}

    def _pruned_at(self, chain: str) -> pd.Series:
        rounds, section = self._chains[chain]
        if (section, rounds) not in self._opened:  # chains that end alike are asked for together
            found = self._table(section, "masks", lambda kind, data: parquet.some(kind, data, "rounds", rounds))
            own = found.set_index("layer").groupby("chain")["pruned_at"]
            self._opened[section, rounds] = dict(iter(own))
        return self._opened[section, rounds][chain]

    @cached_property
    def _weights(self) -> pd.DataFrame:
        return self._read("weights")

    @cached_property
    def _moved(self) -> dict[str, pd.DataFrame]:
        """Of each network with trained weights its rows of them."""
        return {key: own.set_index("parameter") for key, own in self._weights.groupby("key")}

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
                "train them with `python -m lth_core run FIGURE`, or use another profile."
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
        return self.whole_table.take(self.cells.index.get_indexer(keys)).reset_index(drop=True)

    @cached_property
    def whole_table(self) -> pd.DataFrame:
        """`table` of every published network."""
        return self.cells.reset_index(drop=True).drop(columns=["spec", "section"])

    def _curves(self, section: str) -> tuple[pd.DataFrame, dict[str, tuple[int, int]]]:
        if section not in self._evaluations:
            most = self._most(section, "curves")
            if f"{section}/curves.parquet" not in self.manifest:
                return pd.DataFrame({"key": pd.Categorical([])}), {}
            table = self._table(
                section, "curves", lambda kind, data: parquet.written_out(parquet.packed(kind, data, most), ["key"])
            )
            self._evaluations[section] = table, runs(table["key"].array)
        return self._evaluations[section]

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        keys = list(dict.fromkeys(self._require(specs)))
        sections = self.cells["section"].to_numpy(object)[self.cells.index.get_indexer(keys)]
        parts = []
        for section in dict.fromkeys(sections):
            table, places = self._curves(section)
            own = [(i, *places[k]) for i, k in enumerate(keys) if sections[i] == section and k in places]
            rows = np.concatenate([np.arange(a, b) for _, a, b in own]) if own else np.arange(0)
            order = np.repeat([i for i, _, _ in own], [b - a for _, a, b in own])
            parts.append(table.iloc[rows].assign(key=lambda t: t["key"].astype(str)).set_index(order))
        found = pd.concat(parts) if parts else pd.DataFrame({"key": []})
        return found.sort_index(kind="stable").reset_index(drop=True)

    def has_masks(self, spec: Spec) -> bool:
        return spec.round == 0 or self._chains.get(chain_of(spec), (0, ""))[0] >= spec.round

    @property
    def rounds_of_masks(self) -> dict[str, int]:
        """Of each chain with masks the last round."""
        return {chain: rounds for chain, (rounds, _) in self._chains.items()}

    def masks(self, spec: Spec) -> Masks:
        """The ticket's masks at this row's round: weights that were pruned in a later round or never."""
        if spec.round == 0:
            return full(spec)
        if not self.has_masks(spec):
            raise StoreError(f"no masks are published for {key_of(spec)}: train its chain with `run`.")
        shapes = {layer.weight: layer.shape for layer in layers(spec.arch, spec.dataset)}
        pruned_at, ticket = self._pruned_at(chain_of(spec)), key_of(spec.ticket(spec.round))
        try:
            found = {n: (np.frombuffer(pruned_at[n], np.uint8) > spec.round).reshape(shapes[n]) for n in shapes}
            if ticket in self.cells.index and digest_arrays(found) != self.cells.at[ticket, "masks"]:
                raise ValueError(f"its masks are not those that {ticket} was trained with")
            if not planned(spec, found):
                raise ValueError(f"its masks do not keep what round {spec.round} keeps")
        except (KeyError, ValueError) as error:
            raise self._odd(f"{self._chains[chain_of(spec)][1]}/masks.parquet", error) from error
        return found

    def has_trained(self, spec: Spec) -> bool:
        return key_of(spec) in self._moved

    def trained(self, spec: Spec) -> Parameters:
        """Parameters after the last iteration: see `trained`."""
        if not self.has_trained(spec):
            raise StoreError(f"no trained weights are published for {key_of(spec)}: train it with `run`.")
        own = self._moved[key_of(spec)]
        start, change = masked(drawn(spec), self.masks(spec)), own["change"]
        try:
            moved = {n: np.frombuffer(change[n], np.float16).astype(np.float32) / np.float32(FINER) for n in start}
            return {n: w + moved[n].reshape(w.shape) for n, w in start.items()}
        except (KeyError, ValueError) as error:
            raise self._odd(f"{own['section'].iat[0]}/weights.parquet", error) from error
