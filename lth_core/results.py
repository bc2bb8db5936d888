"""Published measurements: what `results/` holds, and how notebooks read it without training.

results/SECTION/cells.parquet    one row a network: key, every field of its spec, provenance, summary
                curves.parquet   its evaluations, thinned to at most `POINTS`
                masks.parquet    one row a chain and layer: after which round each weight was pruned (uint8)
                weights.parquet  one row a ticket and parameter: how far training moved its values (float16)
results/MANIFEST.json            SHA-256 of each file, and of those beside them: verdicts.json, bench.json, reference/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lth_core import manifest, parquet
from lth_core.analyse import SUMMARY
from lth_core.manifest import Damaged
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.plaintext import MOST, NAME, PLAIN, fault, faults, label
from lth_core.prune import full, masked
from lth_core.spec import ALLOWED, KINDS, Spec, from_dict
from lth_core.store.cell import CURVES, MADE, UNREADABLE, StoreError, digest_arrays, key_of

HERE = Path(__file__).resolve().parent.parent / "results"
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes
BENCH = ("benchmark", "engine", "setting", "median", "unit", "ratio", "arch", "density", "cohort", "precision")
RESTORE = "restore results/ from git"
BYTES = ("pruned_at", "change")
SHAPES = {  # texts that are parsed or compared, never shown: pattern, characters at most
    "key": ("[0-9a-f]{20}", 20), "chain": ("[0-9a-f]{20}", 20), "spec": (r'\{".*', 5_000),
    "lr_drops": (r"\[[0-9, ]*\]", 500),
}  # fmt: skip
TEXTS = {
    *SHAPES, *(n for n, kind in KINDS.items() if kind is str), *(n for n, kinds in MADE.items() if kinds == (str,)),
}  # fmt: skip
NUMERIC = {
    *(n for n, kind in KINDS.items() if kind in (int, float)), "density", "seconds", "diverged", "rounds", *SUMMARY,
    *CURVES,
}  # fmt: skip
FINER = 2.0**10  # changes of weights are multiplied by this before they become float16, so that small ones stay


def chain_of(spec: Spec) -> str:
    """Names the chain of rounds whose masks nest and to which this row's mask belongs."""
    return key_of(spec.ticket(1))


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


def checked(part: pd.DataFrame, relative: str) -> pd.DataFrame:
    """A table of `results/` whose columns are named and typed as ours and whose texts are plain: anyone may have made
    it."""
    if not part.columns.is_unique:
        raise StoreError(f"results/{relative} has two columns of one name: {RESTORE}.")
    texts: dict[str, pa.Array] = {}
    for column, kind in part.dtypes.items():
        number, name = kind.kind in "biuf", str(column)
        odd = _odd(name, number)
        if not odd and not number:
            odd, texts[name] = _texts(name, part[column])
        if odd:
            raise StoreError(f"results/{relative}: {odd}; {RESTORE}.")
    # Of curves the type is enough: only keys that are asked for are read.
    if odd := "" if "iteration" in part else _odd_texts(texts):
        raise StoreError(f"results/{relative}: {odd}; {RESTORE}.")
    return part


def _odd(column: str, number: bool) -> str:
    """What is wrong with a column's name or type; "" if nothing is."""
    if not NAME.fullmatch(column) or column == "section":
        return f"no table has a column {label(column)}"
    if column in NUMERIC and not number:
        return f"{column} is no number"
    return f"{column} is no text" if number and column in {*TEXTS, *BYTES} else ""


def _texts(column: str, values: pd.Series) -> tuple[str, pa.Array]:
    """What is wrong with the type of a column that is no number, and its texts (in Arrow, where they lie)."""
    none = pa.array([], pa.large_string())
    if column in BYTES:
        return "" if all(type(v) is bytes for v in values) else f"{column} is not bytes", none
    try:
        texts = pa.array(values, from_pandas=True)
    except pa.ArrowException:  # of many types
        return f"{column} is no text", none
    if pa.types.is_null(texts.type):
        return f"{column} is empty" if column in SHAPES and len(texts) else "", none
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        return f"{column} is no text", none
    return "", texts.cast(pa.large_string())


def _odd_texts(texts: dict[str, pa.Array]) -> str:
    """What is wrong with columns of texts. Most hold few different ones: these are looked at together, once each."""
    plain = {column: found.unique() for column, found in texts.items() if column not in SHAPES}
    if plain and not _all(pa.concat_arrays([*plain.values()]), PLAIN.pattern, MOST):
        said = (fault(column, text) for column, found in plain.items() for text in found.to_pylist())
        return next(filter(None, said), "a text is not plain")
    for column in texts.keys() & SHAPES.keys():
        if texts[column].null_count or not _all(texts[column], *SHAPES[column]):
            return f"{column} holds what is none"
    for column in plain.keys() & ALLOWED.keys():
        if others := {*plain[column].to_pylist()} - {None, *ALLOWED[column]}:
            return f"{column} = {label(min(others))} does not exist"
    return ""


def _all(texts: pa.Array, pattern: str, most: int) -> bool:
    """Whether all texts are no longer than `most` and of this pattern."""
    if len(texts) == 0:
        return True
    if (pc.max(pc.binary_length(texts)).as_py() or 0) > most:
        return False
    return pc.all(pc.match_substring_regex(texts, rf"\A(?:{pattern})\z")).as_py() is not False


def bench(root: str | Path | None = None) -> tuple[dict[str, Any], pd.DataFrame]:
    """The published benchmark: who made it ("" for what it does not say), and its rows (`BENCH`); both empty where
    there is none."""
    folder = Path(root or HERE)
    if (found := manifest.document(folder, "bench.json")) is None:
        found = {"made": {}, "rows": []}
    try:
        made, rows = dict(found["made"]), [{name: row.get(name) for name in BENCH} for row in found["rows"]]
        odd = faults(made) or next(filter(None, map(faults, rows)), "")
        odd = odd or ("a row lacks its texts or its median" if not all(map(_timed, rows)) else "")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise Damaged(f"{folder / 'bench.json'} is no benchmark: {manifest.remedy('bench.json')}.") from error
    if odd:
        raise Damaged(f"{folder / 'bench.json'} cannot be shown ({odd}): {manifest.remedy('bench.json')}.")
    return made, pd.DataFrame(rows, columns=list(BENCH))


def _timed(row: dict[str, Any]) -> bool:
    numbers = isinstance(row["median"], int | float) and isinstance(row["ratio"], int | float | None)
    return numbers and all(isinstance(row[name], str) for name in ("benchmark", "engine", "setting", "unit"))


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
        said = " ".join(str(error).split())[:200]
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
