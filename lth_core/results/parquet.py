"""The published tables: schema, rows and sizes are checked before content is read, for they may come from anyone."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import fields

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from lth_core.spec import Spec
from lth_core.store.cell import MEASURED

RATIO, FREE = 200, 64_000_000  # a file may unpack to so many times its bytes, and to so many in any case
MOST_COLUMNS = 200


def _text(t: pa.DataType) -> bool:
    return types.is_string(t) or types.is_large_string(t)


def _bytes(t: pa.DataType) -> bool:
    return types.is_binary(t) or types.is_large_binary(t)


def _number(t: pa.DataType) -> bool:
    return types.is_integer(t) or types.is_floating(t)


Kind = Callable[[pa.DataType], bool]
OF_SPEC: dict[str, Kind] = {"str": _text, "int": types.is_integer, "float": _number}
CELLS: dict[str, Kind] = {
    **{f.name: OF_SPEC.get(str(f.type), _text) for f in fields(Spec)},
    **dict.fromkeys(("key", "spec", "engine", "initial", "masks"), _text),
    **dict.fromkeys(("density", "seconds", "stop_iteration", "stop_test", "end_test"), _number),
    "diverged": types.is_boolean,
}
COLUMNS: dict[str, dict[str, Kind]] = {
    "cells": CELLS,  # and provenance: more columns of plain values
    "curves": {"key": _text, "iteration": types.is_integer, **dict.fromkeys(MEASURED, _number)},
    "masks": {"chain": _text, "rounds": types.is_integer, "layer": _text, "pruned_at": _bytes},
    "weights": {"key": _text, "parameter": _text, "change": _bytes},
    "outcomes": {
        **dict.fromkeys(("strategy", "made_from"), _text),
        **dict.fromkeys(("parent", "hidden", "trial"), types.is_integer),
        **dict.fromkeys(("loss", "margin", "product", "input", "output"), _number),
    },
}  # fmt: skip
NAMED_BY = {
    "cells": ["key"],
    "curves": ["key", "iteration"],
    "masks": ["chain", "layer"],
    "weights": ["key", "parameter"],
    "outcomes": ["strategy", "parent", "hidden", "trial"],
}


def rows(data: bytes) -> int:
    """How many rows a file says it has."""
    return pq.ParquetFile(io.BytesIO(data)).metadata.num_rows


def read(kind: str, data: bytes, most: int | None = None) -> pd.DataFrame:
    """A published table out of its file; ValueError (or Arrow's own) says what is wrong with it.

    `most`: rows that it can have. Without it the rows that its bytes can tell apart: each of them has a key or as many
    bits of masks or weights."""
    file = pq.ParquetFile(io.BytesIO(data))
    schema, about = file.schema_arrow, file.metadata
    _check_columns(kind, schema)
    if about.num_rows > (len(data) // 8 if most is None else most):
        raise ValueError(f"{about.num_rows:,} rows are more than it can hold")
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    allowed = RATIO * len(data) + FREE
    texts = [n for n in schema.names if _text(schema.field(n).type) or _bytes(schema.field(n).type)]
    if size > allowed or _unpacked(data, texts) > allowed:
        raise ValueError(f"it unpacks to more than {allowed:,} bytes")
    table = pd.read_parquet(io.BytesIO(data))
    if list(table.columns) != schema.names:  # what it tells pandas says otherwise
        raise ValueError("its columns are not what they seem")
    named = NAMED_BY[kind]
    if table[[n for n in COLUMNS[kind] if n in texts]].isna().any(axis=None) or table[named].isna().any(axis=None):
        raise ValueError("a row has no name or no content")
    if table.duplicated(named).any():
        raise ValueError(f"two rows have the same {' and '.join(named)}")
    return table


def _check_columns(kind: str, schema: pa.Schema) -> None:
    wanted, found = COLUMNS[kind], {n: schema.field(i).type for i, n in enumerate(schema.names)}
    if len(found) < len(schema.names) or len(found) > MOST_COLUMNS:
        raise ValueError("its columns are too many, or one is there twice")
    if missing := [n for n in wanted if n not in found or not wanted[n](found[n])]:
        raise ValueError(f"its column {missing[0]!r} is missing or of another type")
    more = {n: t for n, t in found.items() if n not in wanted}
    plain = all(_text(t) or _number(t) or types.is_boolean(t) or types.is_null(t) for t in more.values())
    if "section" in more or not plain or (more and kind != "cells"):
        raise ValueError(f"it has columns that no table of {kind} has")


def _unpacked(data: bytes, texts: list[str]) -> int:
    """Bytes of its texts written out, counted while each different one is held once: a text of a megabyte may stand in
    a thousand rows."""
    table = pq.ParquetFile(io.BytesIO(data), read_dictionary=texts).read(columns=texts)
    total = 0
    for column in table.columns:
        for chunk in column.chunks:
            if types.is_dictionary(chunk.type):
                total += pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
            else:
                total += chunk.nbytes
    return total
