"""The published tables: schema, rows and sizes are checked before content is read, for they may come from anyone."""

from __future__ import annotations

import io
from collections.abc import Callable, Collection, Sequence
from dataclasses import fields

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pyarrow import types

from lth_core.models import MEASURED
from lth_core.spec import Spec

RATIO, FREE = 200, 64_000_000  # a file may unpack to so many times its bytes, and to so many in any case
MOST_COLUMNS = 200
BATCH = 16  # rows that `some` holds at once


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


def file_of(table: pd.DataFrame) -> bytes:
    """A table as the file that is published.

    Single-precision numbers are losses, of which no two are alike: without a dictionary and with their bytes apart
    (BYTE_STREAM_SPLIT), exponents beside exponents, curves take five eighths of the space."""
    split = list(table.select_dtypes("float32").columns)
    others = [name for name in table.columns if name not in split]
    made = io.BytesIO()
    table.to_parquet(
        made, compression="zstd", compression_level=15, index=False, use_dictionary=others, use_byte_stream_split=split
    )
    return made.getvalue()


def rows(data: bytes) -> int:
    """How many rows a file says it has."""
    return pq.ParquetFile(io.BytesIO(data)).metadata.num_rows


def read(kind: str, data: bytes, most: int | None = None, columns: Sequence[str] | None = None) -> pd.DataFrame:
    """A published table out of its file, or some `columns` of it; ValueError (or Arrow's own) says what is wrong: see
    `packed`."""
    return written_out(packed(kind, data, most, columns))


def some(kind: str, data: bytes, column: str, value: object) -> pd.DataFrame:
    """The rows of a published table in which a column has this value; the others are never held together."""
    file, allowed = _opened(kind, data, None)
    kept, size = [], 0
    for batch in file.iter_batches(BATCH, use_threads=False):
        if (size := size + batch.nbytes) > allowed:
            raise ValueError(f"it unpacks to more than {allowed:,} bytes")
        kept.append(batch.filter(pc.equal(batch[column], value)))
    return written_out(pa.Table.from_batches(kept, file.schema_arrow))


def packed(kind: str, data: bytes, most: int | None = None, columns: Sequence[str] | None = None) -> pa.Table:
    """A published table as Arrow keeps it, each different text once, and all that has to be known before it is written
    out looked at.

    `most`: rows that it can have. Without it the rows that its bytes can tell apart: each of them has a key or as many
    bits of masks or weights."""
    file, allowed = _opened(kind, data, most)
    texts = [f.name for f in file.schema_arrow if _text(f.type) or _bytes(f.type)]
    file = pq.ParquetFile(io.BytesIO(data), metadata=file.metadata, read_dictionary=texts)
    table = file.read(None if columns is None else list(columns), use_threads=False)
    if _unpacked(table) > allowed:
        raise ValueError(f"it unpacks to more than {allowed:,} bytes")
    named = [n for n in NAMED_BY[kind] if n in table.column_names]
    needed = {*named, *(n for n in COLUMNS[kind] if n in texts and n in table.column_names)}
    if any(table.column(n).null_count for n in needed):
        raise ValueError("a row has no name or no content")
    if named == NAMED_BY[kind] and written_out(table.select(named)).duplicated().any():
        raise ValueError(f"two rows have the same {' and '.join(named)}")
    return table


def written_out(table: pa.Table, categories: Collection[str] = ()) -> pd.DataFrame:
    """A packed table for pandas; these columns stay packed, as categories."""
    fields = [
        f.with_type(f.type.value_type) if types.is_dictionary(f.type) and f.name not in categories else f
        for f in table.schema
    ]
    found = table.unify_dictionaries().cast(pa.schema(fields, table.schema.metadata)).to_pandas()
    if list(found.columns) != table.column_names:  # what it tells pandas says otherwise
        raise ValueError("its columns are not what they seem")
    return found


def _opened(kind: str, data: bytes, most: int | None) -> tuple[pq.ParquetFile, int]:
    """A file whose schema and rows are looked at, and to how many bytes it may unpack."""
    file = pq.ParquetFile(io.BytesIO(data))
    about = file.metadata
    _check_columns(kind, file.schema_arrow)
    if about.num_rows > (len(data) // 8 if most is None else most):
        raise ValueError(f"{about.num_rows:,} rows are more than it can hold")
    size = sum(about.row_group(i).total_byte_size for i in range(about.num_row_groups))
    allowed = RATIO * len(data) + FREE
    if size > allowed:
        raise ValueError(f"it unpacks to more than {allowed:,} bytes")
    return file, allowed


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


def _unpacked(table: pa.Table) -> int:
    """Bytes of its texts written out, of which each different one is held once: a text of a megabyte may stand in a
    thousand rows."""
    total = 0
    for column in table.columns:
        for chunk in column.chunks:
            if types.is_dictionary(chunk.type):
                total += pc.sum(pc.take(pc.binary_length(chunk.dictionary), chunk.indices)).as_py() or 0
    return total
