"""What a published table may hold: columns, types and texts, looked at before anything is shown or computed."""

from __future__ import annotations

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from lth_core.analyse import SUMMARY
from lth_core.errors import StoreError
from lth_core.spec import ALLOWED, KINDS
from lth_core.store.cell import CURVES, MADE
from lth_core.untrusted_text import MOST, NAME, PLAIN, fault, label

RESTORE = "restore results/ from git"
BYTES = ("pruned_at", "change")
SHAPES = {  # texts that are parsed or compared, never shown: pattern, characters at most
    "key": ("[0-9a-f]{20}", 20), "chain": ("[0-9a-f]{20}", 20), "made_from": ("[0-9a-f]{20}", 20),
    "spec": (r'\{".*', 5_000),
    "lr_drops": (r"\[[0-9, ]*\]", 500),
}  # fmt: skip
TEXTS = {
    *SHAPES, *(n for n, kind in KINDS.items() if kind is str), *(n for n, kinds in MADE.items() if kinds == (str,)),
}  # fmt: skip
NUMERIC = {
    *(n for n, kind in KINDS.items() if kind in (int, float)), "density", "seconds", "diverged", "rounds", *SUMMARY,
    *CURVES,
}  # fmt: skip


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
    if isinstance(values.dtype, pd.CategoricalDtype):
        values = values.cat.categories.to_series()
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
