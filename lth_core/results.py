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
import re
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lth_core.analyse import SUMMARY, summary
from lth_core.cell import CURVES, MADE, StoreError, key_of
from lth_core.models import Masks, Parameters, initial, layers
from lth_core.plaintext import MOST, NAME, PLAIN, fault, faults, label
from lth_core.prune import density, full, masked
from lth_core.spec import ALLOWED, KINDS, Spec, from_dict
from lth_core.store import Store

HERE = Path(__file__).resolve().parent.parent / "results"
POINTS = 125  # evaluations kept of a curve; early stopping and convergence are computed from all of them first
NEVER = 255  # a weight that the chain never prunes
BENCH = ("benchmark", "engine", "setting", "median", "unit", "ratio")
RESTORE = "restore results/ from git"
LISTED = re.compile(r"(?:[a-z0-9_]{1,60}/)?[a-z0-9_]{1,60}\.(?:parquet|json)")  # files in MANIFEST.json
CHECKSUM = re.compile(r"[0-9a-f]{64}")
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


def describe(spec: Spec) -> dict[str, object]:
    """A row's fields as columns, with its density."""
    return {"key": key_of(spec), **asdict(spec), "lr_drops": json.dumps(spec.lr_drops), "density": density(spec)}


def thinned(curves: pd.DataFrame, points: int = POINTS) -> pd.DataFrame:
    """At most `points` evaluations plus the first: every k-th, always including the last."""
    last = len(curves) - 1
    step = max(1, -(-last // points))
    return curves.iloc[[*range(0, last, step), last]].reset_index(drop=True)


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


def masks(spec: Spec, source: Store | Published) -> Masks:
    """A ticket's masks; those of round 0 keep everything."""
    if spec.round == 0:
        return full(spec)
    return source.read(key_of(spec)).masks if isinstance(source, Store) else source.masks(spec)


def trained(spec: Spec, source: Store | Published) -> Parameters:
    """A ticket's parameters after its last iteration. Of published ones, the change since the first is rounded."""
    return source.read(key_of(spec)).weights if isinstance(source, Store) else source.trained(spec)


class Known(Protocol):
    """A source that can say of a row whether it is there, and whether it diverged."""

    def has(self, spec: Spec) -> bool: ...

    def diverged(self, spec: Spec) -> bool: ...


def possible(specs: Iterable[Spec], source: Known) -> list[Spec]:
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
    file = Path(root or HERE) / "bench.json"
    try:
        found = json.loads(file.read_text("utf-8")) if file.exists() else {"made": {}, "rows": []}
        made, rows = dict(found["made"]), [{name: row.get(name) for name in BENCH} for row in found["rows"]]
        odd = faults(made) or next(filter(None, map(faults, rows)), "")
        odd = odd or ("a row lacks its texts or its median" if not all(map(_timed, rows)) else "")
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read as a benchmark: restore it from git.") from error
    if odd:
        raise StoreError(f"{file} cannot be shown ({odd}): restore it from git.")
    return made, pd.DataFrame(rows, columns=list(BENCH))


def _timed(row: dict[str, Any]) -> bool:
    numbers = isinstance(row["median"], int | float) and isinstance(row["ratio"], int | float | None)
    return numbers and all(isinstance(row[name], str) for name in ("benchmark", "engine", "setting", "unit"))


class Published:
    """The committed results, read lazily and checked against their manifest. Needs neither torch nor data sets.

    `without`: sections to leave out."""

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
        if odd := [n for n, checksum in found.items() if not (LISTED.fullmatch(n) and CHECKSUM.fullmatch(checksum))]:
            raise StoreError(f"{file} lists {label(odd[0])}, which no publication has: restore it from git.")
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
            yield section, checked(pd.read_parquet(file), relative)

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

    def spec(self, key: str) -> Spec:
        try:
            found = from_dict(json.loads(self.cells.at[key, "spec"]))
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise StoreError(f"the row of {label(key)} in results/ cannot be read: {RESTORE}.") from error
        if key_of(found) != key:
            raise StoreError(f"the row of {label(key)} in results/ describes another network: {RESTORE}.")
        return found

    def table(self, specs: Iterable[Spec]) -> pd.DataFrame:
        keys = self._require(specs)
        return self.cells.loc[keys].reset_index(drop=True).drop(columns=["spec", "section"])

    def curves(self, specs: Iterable[Spec]) -> pd.DataFrame:
        found = self._curves[self._curves["key"].isin(self._require(specs))]
        return found.drop(columns="section").reset_index(drop=True)

    def has_masks(self, spec: Spec) -> bool:
        return self.rounds_of_masks.get(chain_of(spec), -1) >= spec.round

    @cached_property
    def rounds_of_masks(self) -> dict[str, int]:
        """Of each chain with masks the last round."""
        return self._masks.groupby("chain")["rounds"].max().to_dict() if len(self._masks) else {}

    def masks(self, spec: Spec) -> Masks:
        """The ticket's masks at this row's round: weights that were pruned in a later round or never."""
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
        start = masked(initial(spec), masks(spec, self))
        moved = {n: np.frombuffer(change[n], np.float16).astype(np.float32) / np.float32(FINER) for n in start}
        return {n: w + moved[n].reshape(w.shape) for n, w in start.items()}
