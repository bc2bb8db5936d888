"""Damages done to places, and what comes of them: refused in a sentence, harmless, silent, or a traceback."""

from __future__ import annotations

import hashlib
import random
import shutil
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from damage import in_bytes, in_place, of_another_type

from lth_core.errors import StoreError, UsageError

Files = dict[str, bytes]  # of a place: name in its folder -> content


def fingerprint(value: Any) -> str:
    """A digest of all that a reader hands out: equal for equal values, bit for bit."""
    made = hashlib.sha256()

    def add(v: Any) -> None:
        if isinstance(v, np.ndarray) and v.dtype != object:
            made.update(f"{v.dtype}{v.shape}".encode() + np.ascontiguousarray(v).tobytes())
        elif isinstance(v, pd.DataFrame):
            add({str(c): list(v[c]) for c in v.columns})
        elif is_dataclass(v) and not isinstance(v, type):
            add({f.name: getattr(v, f.name) for f in fields(v)})
        elif isinstance(v, Mapping):
            for name in sorted(v, key=repr):
                made.update(repr(name).encode())
                add(v[name])
        elif isinstance(v, list | tuple | np.ndarray):
            made.update(str(len(v)).encode())
            for x in v:
                add(x)
        else:
            made.update(repr(v).encode())

    add(value)
    return made.hexdigest()


OUTCOMES = ("refused", "harmless", "silent", "traceback")


@dataclass
class Tally:
    """How often what was tried, and what came of it. `found`: what passed in silence or ended in a traceback."""

    counts: Counter = field(default_factory=Counter)
    found: list[str] = field(default_factory=list)

    def add(self, kind: str, outcome: str, told: str = "") -> None:
        assert outcome in OUTCOMES
        self.counts[kind, outcome] += 1
        if outcome in OUTCOMES[2:]:
            self.found.append(f"{kind}: {outcome}: {told}")

    def tried(self, kind: str | None = None) -> int:
        return sum(n for (k, _), n in self.counts.items() if kind in (None, k))

    def table(self) -> str:
        kinds = sorted({k for k, _ in self.counts})
        rows = [[k, f"{self.tried(k):,}", *(f"{self.counts[k, o]:,}" for o in OUTCOMES)] for k in kinds]
        lines = [f"| {' | '.join(row)} |" for row in rows]
        return "\n".join([f"| Damage | tried | {' | '.join(OUTCOMES)} |", "|---|---:|---:|---:|---:|---:|", *lines])


@dataclass(frozen=True)
class Place:
    """A folder of files, and what is read of them.

    - `files`: names and content of the undamaged files
    - `read`: all that readers do, over the folder; what it hands out
    - `change`: damages of the content of a kind: kind -> (rng, files) -> files
    - `named`: what each refusal has to say one of
    - `wrong`: what is impossible in a value read after such a change ("" if nothing is); bytes may not change it at all
    - `sealed`: whether a checksum covers the content; what is not ours has none, and other bytes may be another thing
    """

    name: str
    files: Files
    read: Callable[[Path], Any]
    named: tuple[str, ...]
    change: Mapping[str, Callable[[random.Random, Files], Files]] = field(default_factory=dict)
    wrong: Callable[[Any], str] = lambda value: ""
    sealed: bool = True

    def lay(self, root: Path, files: Files) -> None:
        shutil.rmtree(root, ignore_errors=True)
        for name, data in files.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(data)


def outcome(place: Place, root: Path, good: str | None) -> tuple[str, str]:
    """What reading ends in: `good` is the print of what it has to be, None where it may be another possible thing."""
    try:
        value = place.read(root)
    except (StoreError, UsageError) as error:
        text = str(error)
        named = text.isprintable() and any(name in text for name in place.named)
        return ("refused", text) if named else ("traceback", f"no line that names it: {text!r}")
    except Exception:
        return "traceback", traceback.format_exc(limit=-4)
    if good is None:
        odd = place.wrong(value)
        return ("silent", odd) if odd else ("harmless", "")
    return ("harmless", "") if fingerprint(value) == good else ("silent", "another value is read")


def soak(places: list[Place], times: int, seed: int, root: Path) -> Tally:
    """So many damages, taken in turn from all places; the i-th is the same whenever it is made with this seed."""
    tally = Tally()
    prints: dict[str, str] = {}
    for place in places:
        place.lay(root, place.files)
        prints[place.name] = fingerprint(place.read(root))
        assert not place.wrong(place.read(root)), place.name
    for i in range(times):
        place = places[i % len(places)]
        rng = random.Random(f"{seed} {i}")
        kind = rng.choice(("bytes", "bytes", "in its place", "another type", *(3 * [*place.change])))
        told, good = "", prints[place.name] if place.sealed else None
        if kind in place.change:
            place.lay(root, place.change[kind](rng, place.files))
            good = None
        else:
            place.lay(root, place.files)
            file = rng.choice(sorted(place.files))
            if kind == "bytes":
                told, data = in_bytes(rng, place.files[file])
                (root / file).write_bytes(data)
            elif kind == "another type":
                told, data = of_another_type(rng)
                (root / file).write_bytes(data)
            else:
                told = in_place(rng, root / file)
                good = None if told == "missing" else good  # which may mean that there never was one
            told = f"{file} {told}"
        came, why = outcome(place, root, good)
        tally.add(f"{place.name}: {kind}", came, f"damage {i} of seed {seed}, {told}: {why}")
    return tally
