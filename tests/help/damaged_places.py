"""What the damage of `damage.py` is done to: a cell, a ticket's file, a training stopped halfway, a publication."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import library_facts
import numpy as np
from damage import in_bytes, in_header, in_json_file, in_table, in_tensors
from soak import Files, Place, fingerprint
from strangers import opened, tensors
from tiny import tiny_rows

from lth_companion.claims import verdicts
from lth_companion.experiments import other_libraries, timings
from lth_companion.share import publish, ticket_files
from lth_core import results
from lth_core.data import EVALUATED
from lth_core.prune import plan
from lth_core.results import manifest
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import Cell, digest, digest_arrays, key_of, own_digest
from lth_core.store.checkpoint import Halfway, Shelf

TICKET = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 1)
Change = Callable[[random.Random, Files], Files]


def of_file(name: str, change: Callable[[random.Random, bytes], bytes]) -> Change:
    return lambda rng, files: {**files, name: change(rng, files[name])}


def blind(rng: random.Random, data: bytes) -> bytes:
    return in_bytes(rng, data)[1]


# --- A cell -----------------------------------------------------------------------------------------------------------


def impossible(cell: Cell) -> str:
    """What no training can have left in a cell: counts, losses, weights, masks."""
    curves, spec = cell.curves, cell.spec
    for part, images in EVALUATED[spec.dataset].items():
        if not curves[f"{part}_correct"].between(0, images).all():
            return f"{part}_correct is no count of {images}"
        if (curves[f"{part}_loss"] < 0).any():
            return f"{part}_loss is negative"
    if cell.made["diverged"] != bool(~np.isfinite(curves["val_loss"]).all()):
        return "diverged is not what its losses say"
    if not cell.made["diverged"] and not all(np.isfinite(w).all() for w in cell.weights.values()):
        return "weights are no numbers in a network that did not diverge"
    if cell.masks and digest_arrays(cell.masks) != cell.made["masks"]:
        return "masks are not those of its digest"
    kept = {n: int(m.sum()) for n, m in cell.masks.items()}
    return "" if kept == plan(spec) else "masks do not keep what they should"


def cell(store: Store) -> Place:
    key = key_of(TICKET)
    folder = Path("cells") / key[:2] / key
    names = {n: (folder / n).as_posix() for n in ("cell.json", "curves.parquet", "tensors.safetensors")}
    cell_json, curves, kept = names.values()

    def right(change: Change) -> Change:
        """The same, with checksums set right after it."""

        def work(rng: random.Random, files: Files) -> Files:
            made = change(rng, files)
            about = json.loads(made[cell_json])
            if isinstance(about, dict):
                about.pop("digest", None)
                if isinstance(about.get("files"), dict):
                    sums = {n: digest(made[f]) for n, f in names.items() if n in about["files"] and made[f] != files[f]}
                    about["files"].update(sums)
                about["digest"] = own_digest(about)
            return {**made, cell_json: json.dumps(about, indent=1).encode()}

        return work

    return Place(
        "cell",
        {f: (store.root / f).read_bytes() for f in names.values()},
        lambda root: Store(root).read(key),
        (key,),
        {
            "cell.json, sums right": right(of_file(cell_json, in_json_file)),
            "tensors, sums right": right(of_file(kept, in_tensors)),
            "curves, sums right": right(of_file(curves, in_table)),
            "bytes, sums right": right(lambda rng, f: of_file(rng.choice((curves, kept)), blind)(rng, f)),
        },
        impossible,
    )


# --- A ticket's file --------------------------------------------------------------------------------------------------


def unsigned(data: bytes) -> bytes:
    """A ticket's file as earlier versions wrote it, without a checksum of its own."""
    header, body = opened(data)
    header["__metadata__"].pop("digest", None)
    return tensors(header, body)


def impossible_ticket(ticket: ticket_files.Ticket) -> str:
    masks, trained = ticket.network.masks, ticket.trained
    if any((trained[n][~m] != 0).any() for n, m in masks.items() if trained):
        return "trained weights where nothing is kept"
    return "" if {n: int(m.sum()) for n, m in masks.items()} == plan(ticket.network.spec) else "other masks"


def ticket(store: Store) -> Place:
    def forged(change: Callable[[random.Random, bytes], bytes]) -> Change:
        return of_file("ticket.safetensors", lambda rng, data: change(rng, unsigned(data)))

    return Place(
        "ticket",
        {"ticket.safetensors": ticket_files.pack(ticket_files.ticket(TICKET, store, trained=True))},
        lambda root: ticket_files.read(root / "ticket.safetensors"),
        ("ticket.safetensors",),
        {"header, sums right": forged(in_header), "tensors, sums right": forged(in_tensors)},
        impossible_ticket,
    )


# --- A training stopped halfway ---------------------------------------------------------------------------------------


def unfinished(iteration: int) -> Halfway:
    """As the dense engine leaves one, in small."""
    rng = np.random.default_rng(iteration)
    sizes = {"flat": 200, "first": 200, "record": (2, 6)}
    arrays = {name: rng.normal(size=size).astype(np.float32) for name, size in sizes.items()}
    return Halfway(iteration, arrays, 1.5)


def halfway(folder: Path) -> Place:
    Shelf(folder).save(TICKET, unfinished(20))
    name = f"halfway/{key_of(TICKET)}.safetensors"
    return Place(
        "halfway",
        {name: (folder / name).read_bytes()},
        lambda root: (Shelf(root).iteration(TICKET), Shelf(root).load(TICKET)),
        (key_of(TICKET),),
        {
            "header": of_file(name, in_header),
            "tensors": of_file(name, in_tensors),
        },
        lambda value: "" if value == (0, None) or _same(*value) else "trains on from elsewhere",
    )


def _same(iteration: int, kept: Halfway | None) -> bool:
    good = unfinished(20)
    return kept is not None and iteration == 20 and fingerprint(kept) == fingerprint(good)


# --- A publication ----------------------------------------------------------------------------------------------------

BENCH = {
    "made": {"commit": "abc", "device": "cpu"},
    "rows": [{"benchmark": "step", "engine": "dense", "setting": "one", "median": 1.5, "unit": "ms", "ratio": 2.0}],
}
TABLES = ("cells", "curves", "masks", "weights")


def everything(root: Path) -> Any:
    """All that readers do with a publication."""
    published = results.Published(root)
    rows: list[Spec] = [published.spec(key) for key in published.keys()]
    masks = {key_of(s): published.masks(s) for s in rows if s.round and published.has_masks(s)}
    trained = {key_of(s): published.trained(s) for s in rows if published.has_trained(s)}
    read = [published.table(rows), published.curves(rows), masks, trained]
    timed = [timings.bench(root, file) for file in (timings.FILE, timings.FILE_AVX2)]
    return [*read, verdicts.accepted(root / "verdicts.json"), *timed, *other_libraries.libraries(root)]


def publication(store: Store, figures: list, folder: Path) -> Place:
    publish.publish(figures, store, folder)
    given = {"fig03-shape": verdicts.UNDECIDED, "fig04-speed": verdicts.REPRODUCED}
    seen = library_facts.collected(folder.parent, kd_lib=library_facts.raw_facts(trials=1))
    documents = {timings.FILE: BENCH, timings.FILE_AVX2: BENCH, "verdicts.json": given, "libraries.json": seen}
    manifest.commit(folder, {name: json.dumps(what).encode() for name, what in documents.items()})
    files = {n: (folder / n).read_bytes() for n in (*manifest.read(folder), manifest.MANIFEST)}

    def right(change: Change) -> Change:
        def work(rng: random.Random, files: Files) -> Files:
            made = change(rng, files)
            sums = {n: digest(data) for n, data in made.items() if n != manifest.MANIFEST}
            return {**made, manifest.MANIFEST: json.dumps(sums, indent=1).encode()}

        return work

    def table(name: str) -> str:
        return next(n for n in files if n.endswith(f"/{name}.parquet"))

    assert all(map(table, TABLES))

    return Place(
        "results",
        files,
        everything,
        (*TABLES, timings.FILE, timings.FILE_AVX2, "libraries.json", "verdicts.json", manifest.MANIFEST),
        {
            **{f"{n}, sums right": right(of_file(table(n), in_table)) for n in TABLES},
            "bytes, sums right": right(lambda rng, f: of_file(table(rng.choice(TABLES)), blind)(rng, f)),
            "bench.json, sums right": right(of_file("bench.json", in_json_file)),
            "libraries.json, sums right": right(of_file("libraries.json", in_json_file)),
            "verdicts.json, sums right": right(of_file("verdicts.json", in_json_file)),
            "MANIFEST.json": of_file(manifest.MANIFEST, in_json_file),
        },
    )
