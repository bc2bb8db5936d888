"""The folder `results/` as one whole: MANIFEST.json names every file that the book reads, with its SHA-256.

`commit` is the only way in. New content is written under `.publishing/`, flushed, and then MANIFEST.json is renamed
over the old one: that is the switch. Only after it files move to their places. Whoever reads looks for what MANIFEST
says, first in a file's place, then under `.publishing/`: so a process that is killed leaves all old or all new, and
readers write nothing (a folder may be read-only). The next `commit` moves what was left, or sweeps what was not
switched to. A lock on the folder, which the system frees when its holder dies, lets one at a time do so.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from lth_core.atomic_files import flush, unwritable, write
from lth_core.errors import StoreError, one_line
from lth_core.store.cell import digest, read_bytes

MANIFEST, STAGE, PLAN, LOCK = "MANIFEST.json", ".publishing", "PLAN.json", ".lock"
NAME = re.compile(
    r"[\w-]+/(?:cells|curves|masks|weights|outcomes)\.parquet|(?:verdicts|bench|bench_avx2|libraries|power)\.json|reference/[\w-]+\.(?:json|svg)",
    re.ASCII,
)
MOST_BYTES = 1_000_000_000  # of a file: it is read before its checksum can be compared
MOST_NAMES = 10_000_000  # bytes of MANIFEST.json
PATIENCE = 300.0  # seconds that a publication waits for another one


class Damaged(StoreError):
    """The content of a published file is wrong, which writing it again mends. (Not: the machine cannot read it.)"""


def read(root: Path) -> dict[str, str]:
    """The checksum of every published file by its name in the folder; nothing where nothing is published.

    Tables that lie there unlisted are an error: what has lost its line would silently not be measured."""
    while True:
        data = _bytes(root)
        gone = _plan(root, data)  # asked before the folder is listed, in which they may vanish at any time
        listed = _parsed(root, data)
        odd = [n for n in _tables(root) if n not in listed and n not in gone]
        if not odd:
            return listed
        if _bytes(root) == data:  # else it was published meanwhile
            raise _unlisted(root, odd[0])


def content(root: Path, name: str, listed: Mapping[str, str] | None = None) -> bytes | None:
    """What was published under this name; None where nothing was. Anything else that lies there is refused."""
    listed = read(root) if listed is None else listed
    if name not in listed:
        if os.path.lexists(root / name) and name not in _plan(root, _bytes(root)):
            raise _unlisted(root, name)
        return None
    found = "nothing"
    for file in (root / name, root / STAGE / name, root / name):  # again: it may just have moved
        if (data := _file(file, MOST_BYTES)) is not None:
            found = digest(data)
            if found == listed[name]:
                return data
    if _parsed(root, _bytes(root)).get(name) != listed[name]:
        raise StoreError(f"{root} was published anew while it was read: run the same command again.")
    raise Damaged(
        f"{root / name} is not what {MANIFEST} says ({found[:12]}, expected {listed[name][:12]}): {remedy(name)}."
    )


def document(root: Path, name: str) -> Any:
    """A published JSON file, read; None where it is not published."""
    if (data := content(root, name)) is None:
        return None
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Damaged(f"{root / name} is no JSON ({one_line(str(error))}): {remedy(name)}.") from error


def remedy(name: str) -> str:
    """What makes a published file anew."""
    command = {
        "verdicts.json": "python -m lth_core claims --accept",
        "power.json": "python -m lth_core power",
        "bench.json": "python benchmarks/bench.py --publish",
        "bench_avx2.json": "python benchmarks/bench.py --publish",
        "libraries.json": "python benchmarks/libraries/run.py --publish",
        "reference": "python -m lth_companion.share.reference",
    }.get(name.split("/")[0], f"python -m lth_core publish {name.split('/')[0]}")
    return f"restore it from git, or write it again with `{command}`"


@contextmanager
def locked(root: Path) -> Iterator[None]:
    """Nobody else publishes to the folder while in the block. Blocks within blocks are one."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = FileLock(root.resolve() / LOCK, is_singleton=True)
        lock.acquire(timeout=PATIENCE)
    except Timeout as error:
        raise StoreError(
            f"another process is publishing to {root}: run the same command again when it has ended."
        ) from error
    except OSError as error:
        raise unwritable(root, error) from error
    try:
        yield
    finally:
        lock.release()


def commit(root: Path, changes: Mapping[str, bytes | None]) -> None:
    """Write files (None: remove one) and their lines in MANIFEST.json: all of it or nothing."""
    if odd := [n for n in changes if not NAME.fullmatch(n)]:
        raise ValueError(f"{odd[0]!r} is no name of a published file")
    with locked(root):
        try:
            finish(root)
            listed = read(root)
            kept = {n: s for n, s in listed.items() if n not in changes}
            new = kept | {n: digest(d) for n, d in changes.items() if d is not None}
            if new != listed or not all(_there(root, n, new[n]) for n in changes if n in new):
                _stage(root, changes, new)
                os.replace(root / STAGE / MANIFEST, root / MANIFEST)  # the switch
                flush(root)
                finish(root)
        except BaseException as error:
            with suppress(OSError, StoreError):
                finish(root)
            if isinstance(error, OSError):
                raise unwritable(root, error) from error
            raise


def _stage(root: Path, changes: Mapping[str, bytes | None], new: dict[str, str]) -> None:
    """All that the switch needs, on the disk. PLAN.json names the MANIFEST that it belongs to and what goes with it."""
    stage = root / STAGE
    stage.mkdir()
    for name, data in changes.items():
        if data is not None and not _there(root, name, new[name]):
            (stage / name).parent.mkdir(exist_ok=True)
            write(stage / name, data)
            (root / name).parent.mkdir(exist_ok=True)
    manifest = f"{json.dumps(dict(sorted(new.items())), indent=1)}\n".encode()
    plan = {"manifest": digest(manifest), "gone": [n for n, data in changes.items() if data is None]}
    write(stage / MANIFEST, manifest)
    write(stage / PLAN, json.dumps(plan).encode())
    for folder in {stage, *((stage / n).parent for n in changes)}:
        if folder.is_dir():
            flush(folder)


def finish(root: Path) -> None:
    """Bring a publication that was switched to into place, and sweep one that was not; under the lock."""
    stage, data = root / STAGE, _bytes(root)
    if not os.path.lexists(stage):
        return
    gone = _plan(root, data)
    if _switched(root, data):
        listed, folders = _parsed(root, data), {root}
        for name, checksum in listed.items():
            if _there(stage, name, checksum):
                (root / name).parent.mkdir(exist_ok=True)
                os.replace(stage / name, root / name)
                folders.add((root / name).parent)
        for name in gone - set(listed):
            (root / name).unlink(missing_ok=True)
            with suppress(OSError):  # other files are in it
                (root / name).parent.rmdir()
        for folder in folders:
            flush(folder)
    shutil.rmtree(stage)


def _there(folder: Path, name: str, checksum: str) -> bool:
    try:
        data = _file(folder / name, MOST_BYTES)
    except Damaged:
        return False
    return data is not None and digest(data) == checksum


def _plan(root: Path, data: bytes) -> set[str]:
    """Names that went with the publication of this MANIFEST, and may still lie there."""
    plan = _read_plan(root)
    gone = plan.get("gone") if plan.get("manifest") == digest(data) else []
    return {n for n in gone if isinstance(n, str) and NAME.fullmatch(n)} if isinstance(gone, list) else set()


def _switched(root: Path, data: bytes) -> bool:
    return _read_plan(root).get("manifest") == digest(data)


def _read_plan(root: Path) -> dict[str, Any]:
    try:
        plan = json.loads(_file(root / STAGE / PLAN, MOST_NAMES) or b"{}")
    except (ValueError, RecursionError, Damaged):  # half written: nothing was switched
        return {}
    return plan if isinstance(plan, dict) else {}


def _bytes(root: Path) -> bytes:
    """MANIFEST.json; nothing where there is none."""
    return _file(root / MANIFEST, MOST_NAMES) or b""


def _parsed(root: Path, data: bytes) -> dict[str, str]:
    file = root / MANIFEST

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        if len(dict(pairs)) < len(pairs):
            raise ValueError("a name stands there twice")
        return dict(pairs)

    if not data and not os.path.lexists(file):
        return {}
    try:
        found = json.loads(data, object_pairs_hook=once)
    except (ValueError, RecursionError) as error:
        raise StoreError(f"{file} cannot be read ({one_line(str(error))}): restore it from git.") from error
    if not isinstance(found, dict) or not all(isinstance(c, str) for c in found.values()):
        raise StoreError(f"{file} does not hold a checksum for each file: restore it from git.")
    for name, checksum in found.items():
        if not NAME.fullmatch(name) or not re.fullmatch("[0-9a-f]{64}", checksum):
            raise StoreError(f"{file} lists {name[:100]!r}, which is no published file: restore it from git.")
    return found


def _tables(root: Path) -> list[str]:
    """Parquet files in the sections' folders; any of them may vanish meanwhile."""
    found: list[str] = []
    for section in _names(root):
        found += [f"{section}/{n}" for n in _names(root / section) if n.endswith(".parquet")]
    return found


def _names(folder: Path) -> list[str]:
    try:
        return sorted(n for n in os.listdir(folder) if not n.startswith("."))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise StoreError(f"{folder} cannot be read: {error.strerror or error}.") from error


def _unlisted(root: Path, name: str) -> StoreError:
    if not os.path.lexists(root / MANIFEST):
        return StoreError(f"{root / name} lies there without {MANIFEST}: restore that from git.")
    return StoreError(
        f"{root / name} is not listed in {MANIFEST}: restore {MANIFEST} from git, or move that file away."
    )


def _file(file: Path, most: int) -> bytes | None:
    """A regular file's bytes, None where there is none. What stands there instead is damage; what the machine cannot
    do is not."""
    try:
        if file.parent.is_symlink() and NAME.fullmatch(f"{file.parent.name}/{file.name}"):
            raise ValueError("its folder is a link")
        return read_bytes(file, most)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise Damaged(f"{file} cannot be read ({error}): restore it from git.") from error
    except OSError as error:
        if file.is_symlink() or file.is_dir():
            raise Damaged(f"{file} is no regular file: restore it from git.") from error
        raise StoreError(f"{file} cannot be read: {error.strerror or error}.") from error
