"""More for the damage of `damage.py`: every other file that a user can hand over, or be handed.

Tickets and finished networks of one's own, files of other libraries, data sets in each layout, hand-ins, a table to be
compared, what a slice brings home.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import random
import shutil
import struct
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from damage import in_bytes, in_csv, in_header, in_json_file, in_tar, in_tensors, in_zip
from damaged_places import of_file
from PIL import Image
from safetensors.torch import save_file
from small_networks import experiment, net, ticket
from soak import Place

from lth_companion.classroom import handed_in
from lth_companion.share import gpu_slice
from lth_core import data, own, reference, torchprune
from lth_core.errors import UsageError
from lth_core.own.finished_networks import Finished
from lth_core.own.network import Trained
from lth_core.store import Store

N = 10  # images of each small file of data


def saved(write: Callable[[Path], object], folder: Path) -> bytes:
    """The content of a file that `write` makes."""
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "made")
    content = (folder / "made").read_bytes()
    (folder / "made").unlink()
    return content


def own_ticket(folder: Path) -> Place:
    name = "own.safetensors"
    made = ticket(net(), "0.weight")

    def read(root: Path) -> Any:
        found = own.load(root / name)
        return {
            **{n: t.numpy() for n, t in found.weights.items()},
            "masks": {n: m.numpy() for n, m in found.masks.items()},
        }

    changes = {"header": of_file(name, in_header), "tensors": of_file(name, in_tensors)}
    return Place("own.load", {name: saved(made.save, folder)}, read, (name,), changes)


def own_network(folder: Path) -> Place:
    """One finished network of an experiment of one's own."""
    started = experiment()
    kept = Finished(folder / "finished", started)
    curves = {"iteration": [0, 3], "val_loss": [1.5, 1.25], "val_correct": [3, 9]}
    weights = {n: w.clone() for n, w in net().state_dict().items()}
    kept.write("ticket-0-1-0", Trained(curves, weights, weights, True), 1.5, grows=True, first=True)
    file = kept._file("ticket-0-1-0")
    name = file.relative_to(folder / "finished").as_posix()

    def read(root: Path) -> Any:
        found = Finished(root, started).read("ticket-0-1-0")
        if found is None:
            return None
        parts = [{n: t.numpy() for n, t in part.items()} for part in (found[0].weights, found[0].rewound)]
        return [found[0].curves, *parts, found[0].finite, found[1]]

    changes = {"header": of_file(name, in_header), "tensors": of_file(name, in_tensors)}
    return Place("own.run(store=)", {name: file.read_bytes()}, read, (file.name,), changes)


def of_other_libraries(folder: Path) -> list[Place]:
    """One pruned network in each kind of file that `torchprune` reads."""
    module = net()
    masks = ticket(net(), "0.weight").masks
    torch.nn.utils.prune.custom_from_mask(module[0], "weight", masks["0.weight"])
    state = module.state_dict()
    checkpoint = {"epoch": 3, "state_dict": state, "hyper": {"lr": 0.1}}
    arrays = {n: t.numpy() for n, t in state.items()}
    content = {
        "a.pt": saved(lambda p: torch.save(checkpoint, p), folder),
        "old.pt": saved(lambda p: torch.save(checkpoint, p, _use_new_zipfile_serialization=False), folder),
        "a.safetensors": saved(lambda p: save_file(dict(state), p), folder),
        "a.npz": _npz(arrays),
    }

    def place(name: str) -> Place:
        def read(root: Path) -> Any:
            found, weights = torchprune.masks_of(root / name), torchprune.state_of(root / name)
            return [{n: m.numpy() for n, m in found.items()}, sorted(weights)]

        zipped = {} if name in ("old.pt", "a.safetensors") else {"zip": of_file(name, in_zip)}
        tensors = {"header": of_file(name, in_header), "tensors": of_file(name, in_tensors)} if "safe" in name else {}
        return Place(
            f"torchprune: {name}", {name: content[name]}, read, (name, "0.weight"), {**zipped, **tensors}, sealed=False
        )

    return [place(name) for name in content]


def _npz(arrays: dict[str, np.ndarray]) -> bytes:
    made = io.BytesIO()
    np.savez(made, **arrays)
    return made.getvalue()


def hand_in() -> Place:
    name = "handed_in.ipynb"
    known = handed_in.exercises()
    good = next(iter(known.values()))

    def read(root: Path) -> Any:
        made = handed_in.read(root / name)
        return handed_in.assembled(known[handed_in.which(made, known)], made)

    files = {name: json.dumps(good).encode()}
    return Place("grade", files, read, ("notebook", "exercises"), {"JSON": of_file(name, in_json_file)}, sealed=False)


def table_to_compare() -> Place:
    name = "table.csv"
    levels = reference.read()[0].to_dict("records")
    table = pd.DataFrame(
        [{"arm": x["arm"], "round": x["round"], "trial": 0, "stop_test": x["stop_test"]["mean"]} for x in levels]
    )

    def read(root: Path) -> Any:
        return reference.compare(reference.table(str(root / name)))

    files = {name: table.to_csv(index=False).encode()}
    return Place("reference", files, read, (name, "table", "give"), {"cells": of_file(name, in_csv)}, sealed=False)


def slice_brought_home(store: Store, target: Path) -> Place:
    """The tar of a store, unpacked into another."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as tar:
        for file in sorted(p for key in store.keys()[:2] for p in store.folder(key).iterdir()):
            tar.add(file, str(file.relative_to(store.root)))

    def read(root: Path) -> Any:
        shutil.rmtree(target, ignore_errors=True)
        gpu_slice.unpack(root, Store(target))
        return [[c.curves, c.masks, c.weights] for c in map(Store(target).read, Store(target).keys())]

    changes = {"tar": of_file("store-0.tar", in_tar)}
    return Place(
        "slice --resume", {"store-0.tar": made.getvalue()}, read, ("store-0.tar", "cell "), changes, sealed=False
    )


# --- Data sets --------------------------------------------------------------------------------------------------------


def no_network(where: Path) -> Any:
    raise UsageError(f"not in {where}, and could not be downloaded (no network).")


def known_as(name: str, arrays: list[np.ndarray]) -> None:
    """Small arrays stand for the official ones."""
    total = hashlib.sha256(b"".join(a.tobytes() for a in arrays)).hexdigest()[:16]
    data.KNOWN[name] = replace(data.KNOWN[name], checksum=total, fetch=no_network)


def idx(array: np.ndarray) -> bytes:
    shape = (len(array), 28, 28) if array.ndim == 2 else array.shape
    return struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + array.tobytes()


def png(pixels: np.ndarray) -> bytes:
    held = io.BytesIO()
    Image.fromarray(pixels).save(held, "PNG")
    return held.getvalue()


def _hub(column: str, images: np.ndarray, labels: np.ndarray) -> bytes:
    made = io.BytesIO()
    cells = [{"bytes": png(i), "path": None} for i in images]
    pq.write_table(pa.table({column: cells, "label": labels.astype(np.int64)}), made)
    return made.getvalue()


def _loads(name: str) -> Callable[[Path], Any]:
    def read(root: Path) -> Any:
        data.load.cache_clear()
        found = data.load(name, root)
        return [found.pool_images, found.pool_labels, found.test_images, found.test_labels]

    return read


def in_png(rng: random.Random, data_: bytes) -> bytes:
    """A picture of the hub's Parquet file: another one, of another kind, or none."""
    table = pq.read_table(io.BytesIO(data_)).to_pandas()
    column = next(c for c in table if c != "label")
    i = rng.randrange(len(table))
    good = table[column][i]["bytes"]
    odd = rng.choice((b"", good[:-20], good[: len(good) // 2], b"\x89PNG\r\n\x1a\n" + bytes(20),
                      png(np.zeros((28, 28, 4), np.uint8)), png(np.zeros((9, 9), np.uint8)),
                      good[:16] + struct.pack(">II", 2**30, 2**30) + good[24:],
                      in_bytes(rng, good)[1], in_bytes(rng, good)[1], None))  # fmt: skip
    cells = [{"bytes": odd if k == i else v["bytes"], "path": None} for k, v in enumerate(table[column])]
    made = io.BytesIO()
    pq.write_table(pa.table({column: cells, "label": table["label"]}), made)
    return made.getvalue()


def data_sets() -> list[Place]:
    """MNIST and CIFAR-10 in small, in each layout that is not a pickle; the data that stand for them are known."""
    rng = np.random.default_rng(0)
    digits = [rng.integers(0, 256, (n, 784), np.uint8) if flat else rng.integers(0, 10, n).astype(np.uint8)
              for n in (60, N) for flat in (True, False)]  # fmt: skip
    photos = [rng.integers(0, 256, (n, 3, 32, 32), np.uint8) if big else rng.integers(0, 10, n).astype(np.uint8)
              for n in (5 * N, N) for big in (True, False)]  # fmt: skip
    known_as("mnist", digits)
    known_as("cifar10", photos)
    data.cifar10.EACH = N  # type: ignore[attr-defined]
    blocks = [photos[0][i : i + N] for i in range(0, 5 * N, N)]
    data.cifar10.BLOCKS = tuple(hashlib.sha256(b.tobytes()).hexdigest()[:16] for b in blocks)  # type: ignore[attr-defined]
    x, y, tx, ty = digits
    four = dict(zip(data.mnist.NAMES, map(idx, digits), strict=True))
    raw = {f"MNIST/raw/{n}-ubyte": d for n, d in four.items()}
    packed = {f"{n}-ubyte.gz": gzip.compress(d) for n, d in four.items()}
    square = (-1, 28, 28)
    keras = {"mnist.npz": _npz(dict(x_train=x.reshape(square), y_train=y, x_test=tx.reshape(square), y_test=ty))}
    names = ("train-00000-of-00001.parquet", "test-00000-of-00001.parquet")
    of_hub = dict(zip(names, (_hub("image", x.reshape(square), y), _hub("image", tx.reshape(square), ty)), strict=True))
    (ax, ay, bx, by), axes = photos, (0, 2, 3, 1)
    in_colour = dict(
        zip(names, (_hub("img", ax.transpose(axes), ay), _hub("img", bx.transpose(axes), by)), strict=True)
    )
    parts = np.split(np.concatenate([np.c_[ay, ax.reshape(5 * N, -1)], np.c_[by, bx.reshape(N, -1)]]), 6)
    binary = dict(zip(data.cifar10.BINARY, (p.tobytes() for p in parts), strict=True))
    in_folder = {f"cifar-10-batches-bin/{n}": d for n, d in binary.items()}
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w:gz") as archive:
        for name, content in binary.items():
            info = tarfile.TarInfo(f"cifar-10-batches-bin/{name}")
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    pictures = {"pictures": of_file(names[0], in_png), "table": of_file(names[1], in_hub)}
    mnist, cifar = ("MNIST", "mnist", "idx", *names), ("CIFAR-10", "cifar", *names)
    return [
        Place("MNIST, four files", raw, _loads("mnist"), mnist),
        Place("MNIST, packed", packed, _loads("mnist"), mnist),
        Place("MNIST, npz", keras, _loads("mnist"), mnist, {"zip": of_file("mnist.npz", in_zip)}),
        Place("MNIST, hub", of_hub, _loads("mnist"), mnist, pictures),
        Place("CIFAR-10, binary", in_folder, _loads("cifar10"), cifar),
        Place("CIFAR-10, archive", {"cifar-10-binary.tar.gz": tar.getvalue()}, _loads("cifar10"), cifar,
              {"tar": of_file("cifar-10-binary.tar.gz", in_tar)}),
        Place("CIFAR-10, hub", in_colour, _loads("cifar10"), cifar, pictures),
    ]  # fmt: skip


def in_hub(rng: random.Random, data_: bytes) -> bytes:
    """Labels and columns of the hub's Parquet file: as of any table, where pandas can hold them."""
    table = pq.read_table(io.BytesIO(data_))
    column = next(c for c in table.column_names if c != "label")
    odd: list[Any] = [
        table.drop_columns("label"), table.drop_columns(column), table.slice(0, 0), table.slice(1),
        table.set_column(1, "label", pa.array(["x"] * len(table))),
        table.set_column(1, "label", pa.array([None] * len(table), pa.int64())),
        table.set_column(1, "label", pa.array([2**40] * len(table))),
        table.set_column(1, "label", pa.array([float("nan")] * len(table))),
        table.set_column(0, column, pa.array([b"x"] * len(table))),
        table.set_column(0, column, pa.array([{"path": "x"}] * len(table))),
        table.set_column(0, column, pa.array([1] * len(table))),
    ]  # fmt: skip
    made = io.BytesIO()
    pq.write_table(rng.choice(odd), made)
    return made.getvalue()


def handed(store: Store, folder: Path) -> list[Place]:
    """All of them. Small data stand for the official ones from here on: who calls puts `data.KNOWN` back."""
    return [
        own_ticket(folder), own_network(folder), *of_other_libraries(folder), hand_in(), table_to_compare(),
        slice_brought_home(store, folder / "target"), *data_sets(),
    ]  # fmt: skip
