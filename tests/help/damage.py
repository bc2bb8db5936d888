"""Damages of files, made from a seed: bytes, JSON, tensors, tables, another thing in a file's place."""

from __future__ import annotations

import gzip
import io
import json
import os
import pickle
import random
import struct
import tarfile
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
from strangers import opened, tensors

# --- Damages ----------------------------------------------------------------------------------------------------------

ODD: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 7, 2**70, -(2**70), 1e308, 1e-320, float("nan"), float("inf"), "", "x", "1", "nan",
    "x" * 10_000, "{{ 7*191 }}", "<b>x</b>", "a\nb", "\x1b[2J", "../..", [], {}, [[]], [1, "a"], {"a": {}},
)  # fmt: skip


def _piece(rng: random.Random, size: int) -> tuple[int, int]:
    start = rng.randrange(max(size, 1))
    return start, min(size, start + rng.choice((1, 4, 16, 256)))


def in_bytes(rng: random.Random, data: bytes) -> tuple[str, bytes]:
    """A kind of damage and the content after it."""
    kind = rng.choice(("bits", "cut", "zeroed", "swapped", "written over", "put in", "twice", "grown"))
    made, (a, b) = bytearray(data), _piece(rng, len(data))
    if kind == "bits":
        for _ in range(rng.choice((1, 1, 2, 8)) if data else 0):
            made[rng.randrange(len(made))] ^= 1 << rng.randrange(8)
    elif kind == "cut":
        del made[rng.choice((a, 0, max(len(made) - 1, 0))) :]
    elif kind == "zeroed":
        made[a:b] = bytes(b - a)
    elif kind == "swapped":
        c = rng.randrange(max(len(made) - (b - a), 1))
        made[a:b], made[c : c + b - a] = made[c : c + b - a], made[a:b]
    elif kind == "written over":
        made[a:b] = rng.randbytes(b - a)
    elif kind == "put in":
        made[a:a] = rng.randbytes(rng.choice((1, 8, 64)))
    elif kind == "twice":
        made[b:b] = made[a:b]
    else:
        made += rng.choice((b"\0", b" ", b"\n", rng.randbytes(9)))
    return kind, bytes(made)


def in_json(rng: random.Random, value: Any) -> Any:
    """A copy in which one value is another one, is gone, or stands under another name."""
    made = json.loads(json.dumps(value))
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in list(node) if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ():
            places.append((node, key))
            walk(node[key])

    walk(made)
    if not places or rng.random() < 0.02:
        return rng.choice(ODD)
    node, key = rng.choice(places)
    kind = rng.choice(("odd", "odd", "odd", "gone", "renamed", "near"))
    if kind == "near" and isinstance(node[key], int | float) and not isinstance(node[key], bool):
        node[key] += rng.choice((-1, 1, 0.5))
    elif kind == "near" and isinstance(node[key], str) and node[key]:
        node[key] = node[key][:-1] + rng.choice("0aZ ")
    elif kind == "gone":
        del node[key]
    elif kind == "renamed" and isinstance(node, dict):
        node[rng.choice(("x", str(key) + "x", str(key)[1:]))] = node.pop(key)
    else:
        node[key] = rng.choice(ODD)
    return made


def in_json_file(rng: random.Random, data: bytes) -> bytes:
    return json.dumps(in_json(rng, json.loads(data)), indent=1).encode()


def in_header(rng: random.Random, data: bytes) -> bytes:
    """What a safetensors file says of itself."""
    header, body = opened(data)
    if rng.random() < 0.6 and "__metadata__" in header:
        return tensors({**header, "__metadata__": in_json(rng, header["__metadata__"])}, body)
    return tensors(in_json(rng, header), body)


def in_array(rng: random.Random, array: np.ndarray) -> np.ndarray:
    """Other values, another type or another shape."""
    kind = rng.choice(("rolled", "filled", "one", "type", "shape", "reversed"))
    flat = array.ravel().copy()
    if kind == "rolled":
        flat = np.roll(flat, rng.choice((1, 5)))
    elif kind == "reversed":
        flat = flat[::-1].copy()
    elif kind == "type":
        return array.astype(rng.choice((np.float64, np.float16, np.int32, np.uint8)))
    elif kind == "shape":
        return array.reshape(-1)[: max(array.size - rng.choice((0, 1)), 0)].copy()
    elif flat.size:
        values = (np.nan, np.inf, 1e30, -1.0, 0.0, 1.0) if flat.dtype.kind == "f" else (0, 1, 255)
        where = slice(None) if kind == "filled" else rng.randrange(flat.size)
        flat[where] = np.array(rng.choice(values)).astype(flat.dtype)
    return flat.reshape(array.shape)


def in_tensors(rng: random.Random, data: bytes) -> bytes:
    from safetensors.numpy import load, save

    arrays = dict(load(data))
    name = rng.choice(sorted(arrays))
    if rng.random() < 0.15:
        arrays.pop(name)
    elif rng.random() < 0.1:
        arrays[name], other = arrays[rng.choice(sorted(arrays))], arrays[name]
        arrays["more"] = other
    else:
        arrays[name] = in_array(rng, arrays[name])
    about = opened(data)[0].get("__metadata__")
    return save({n: np.ascontiguousarray(a) for n, a in arrays.items()}, about)


def in_table(rng: random.Random, data: bytes) -> bytes:
    """A Parquet file with another value, column, type, or order."""
    table = pd.read_parquet(io.BytesIO(data))
    column = rng.choice(list(table.columns))
    kind = rng.choice(("value", "value", "value", "all", "gone", "more", "rows", "turned", "index"))
    if kind == "gone":
        table = table.drop(columns=column)
    elif kind == "more":
        table[rng.choice(("x", "section", "{{ 1 }}", "seconds"))] = rng.choice((1, "x", None, "<b>"))
    elif kind == "rows":
        table = rng.choice((table.iloc[:-1], pd.concat([table, table.iloc[:1]]), table.iloc[:0], table.iloc[::-1]))
    elif kind == "turned":
        table[column] = list(table[column])[::-1]
    elif kind == "index":
        table = table.set_index(column)
    else:
        odd = rng.choice((*ODD[:19], b"", b"\xff", np.float32(-1), 10**6))
        values = table[column].astype(object).to_numpy(copy=True)
        if isinstance(values[0], bytes) and rng.random() < 0.7:
            odd = in_bytes(rng, values[0])[1]
        elif isinstance(values[0], str) and rng.random() < 0.5:
            odd = str(odd)
        elif kind == "value" and isinstance(odd, int | float | None) and table[column].dtype.kind in "iuf":
            odd = odd if odd is not None and abs(odd) < 2**31 else -1  # a type that Parquet has
        for i in range(len(values)) if kind == "all" else [rng.randrange(len(values))]:
            values[i] = odd
        table[column] = values
        if table[column].dtype == object:
            table[column] = table[column].infer_objects()
    made = io.BytesIO()
    try:
        table.to_parquet(made, compression="zstd", index=kind == "index")
    except (pa.ArrowException, OverflowError, TypeError, ValueError):  # values of one type are all that it can hold
        made = io.BytesIO()
        table.assign(**{column: table[column].map(repr)}).to_parquet(made, compression="zstd")
    return made.getvalue()


def of_another_type(rng: random.Random) -> tuple[str, bytes]:
    """The content of a file of another type altogether, and what it is."""
    zipped, tarred = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(zipped, "w") as made:
        made.writestr("data.pkl", pickle.dumps({"a": 1}))
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("empty"))
    contents = {
        "zip": zipped.getvalue(), "tar": tarred.getvalue(), "gzip": gzip.compress(b"x" * 99),
        "pickle": pickle.dumps([1]), "text": b"a,b\n1,2\n", "JSON": b'{"a": [NaN, Infinity, -1e999]}', "nothing": b"",
        "zeros": bytes(5_000), "nested JSON": b"[" * 100_000, "nested tables": b'{"a":' * 50_000,
        "not UTF-8": b"\xff\xfe{}", "null": b"null",
        "safetensors": tensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, bytes(4)),
        "safetensors of a terabyte": tensors({"w": {"dtype": "F32", "shape": [2**38], "data_offsets": [0, 2**40]}}),
        "Parquet of no rows": _as_parquet(pd.DataFrame({"key": pd.Series([], dtype=str)})), "magic": b"PAR1" * 9,
        "npy of a terabyte": _npy((2**20, 2**20)), "PNG": b"\x89PNG\r\n\x1a\n" + bytes(40), "NUL": b"\0" * 8,
    }  # fmt: skip
    kind = rng.choice(sorted(contents))
    return kind, contents[kind]


def _as_parquet(table: pd.DataFrame) -> bytes:
    made = io.BytesIO()
    table.to_parquet(made, index=False)
    return made.getvalue()


def _npy(shape: tuple[int, ...], kind: str = "<f4") -> bytes:
    """The head of an array that says this of itself, and no values."""
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text) + 1) + text + b"\n"


def in_zip(rng: random.Random, data: bytes) -> bytes:
    """A zip (of numpy or torch) with a member gone, twice, renamed, of another content or of a huge declared shape."""
    with zipfile.ZipFile(io.BytesIO(data)) as held:
        members = [(i.filename, held.read(i)) for i in held.infolist()]
    at = rng.randrange(len(members))
    name, content = members[at]
    kind = rng.choice(("gone", "twice", "renamed", "other", "bytes", "huge", "objects", "exchanged", "outside"))
    if kind == "gone":
        del members[at]
    elif kind == "twice":
        members.append((name, in_bytes(rng, content)[1]))
    elif kind == "exchanged":
        other = rng.randrange(len(members))
        members[at], members[other] = (name, members[other][1]), (members[other][0], content)
    elif kind in ("renamed", "outside"):
        members[at] = rng.choice(("x", name + "x", ".")) if kind == "renamed" else f"../../{name}", content
    else:
        odd = {"other": of_another_type(rng)[1], "bytes": in_bytes(rng, content)[1], "objects": _npy((3,), "|O"),
               "huge": _npy(rng.choice(((2**40,), (2**62, 2**62), (-1,), ())))}  # fmt: skip
        members[at] = name, odd[kind]
    made = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of a name that stands there twice
        with zipfile.ZipFile(made, "w", rng.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as zipped:
            for each, inner in members:
                zipped.writestr(each, inner)
    return made.getvalue()


def in_tar(rng: random.Random, data: bytes) -> bytes:
    """A tar with a member gone, twice, renamed, of another content, a link or a device."""
    packed = "gz" if data[:2] == b"\x1f\x8b" else ""
    with tarfile.open(fileobj=io.BytesIO(data)) as held:
        members = [(i.name, held.extractfile(i).read()) for i in held.getmembers() if i.isfile()]  # type: ignore[union-attr]
    at = rng.randrange(len(members))
    name, content = members[at]
    kind = rng.choice(
        ("gone", "twice", "outside", "absolute", "bytes", "other", "link", "hard link", "pipe", "device", "long")
    )
    if kind == "gone":
        del members[at]
    elif kind == "twice":
        members.append((name, in_bytes(rng, content)[1]))
    elif kind in ("outside", "absolute", "long"):
        members[at] = (
            {"outside": f"../{name}", "absolute": f"/nonexistent/{name}", "long": "x/" * 200 + name}[kind],
            content,
        )
    elif kind in ("bytes", "other"):
        members[at] = name, in_bytes(rng, content)[1] if kind == "bytes" else of_another_type(rng)[1]
    types = {"link": tarfile.SYMTYPE, "hard link": tarfile.LNKTYPE, "pipe": tarfile.FIFOTYPE, "device": tarfile.CHRTYPE}
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=f"w:{packed}") as tar:
        for i, (each, inner) in enumerate(members):
            info = tarfile.TarInfo(each)
            info.size = len(inner)
            if i == at and kind in types:
                info.type, info.size, info.linkname = types[kind], 0, "/etc/hostname"
            tar.addfile(info, io.BytesIO(inner))
    return made.getvalue()


def in_csv(rng: random.Random, data: bytes) -> bytes:
    """A table of text with another cell, head, row or separator."""
    lines = [line.split(",") for line in data.decode().splitlines()]
    row = rng.randrange(len(lines))
    column = rng.randrange(len(lines[row]))
    kind = rng.choice(("cell", "cell", "cell", "gone", "more", "twice", "separator", "quote", "head"))
    if kind == "cell":
        lines[row][column] = rng.choice(
            ("", "nan", "inf", "-1", "1e999", "x", "{{ 7*191 }}", "9" * 400, "1,5", "\0", "\x85")
        )
    elif kind == "gone":
        del lines[row][column]
    elif kind == "more":
        lines[row] += ["x"] * rng.choice((1, 50))
    elif kind == "twice":
        lines.append(lines[row])
    elif kind == "quote":
        lines[row][column] = '"' + lines[row][column]
    elif kind == "head":
        lines[0][rng.randrange(len(lines[0]))] = rng.choice(("x", "", "arm", "round"))
    return "\n".join((";" if kind == "separator" else ",").join(line) for line in lines).encode()


def in_place(rng: random.Random, file: Path) -> str:
    """Something else where the file was: its kind. What it moves aside lies beside the folder."""
    kind = rng.choice(("missing", "link", "folder", "pipe", "device", "terabyte", "empty"))
    if kind == "terabyte":
        os.truncate(file, 2**40)
    elif kind == "link":
        aside = file.parent / ".aside"
        file.rename(aside)
        file.symlink_to(aside)
    else:
        file.unlink()
        if kind == "folder":
            file.mkdir()
        elif kind == "pipe":
            os.mkfifo(file)
        elif kind == "device":
            file.symlink_to("/dev/zero")
        elif kind == "empty":
            file.touch()
    return kind
