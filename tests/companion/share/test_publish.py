"""`results/` is wholly old or wholly new: killed at any step, on a full disk, two at once, damaged, a stranger's."""

from __future__ import annotations

import io
import json
import os
import resource
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from killed import at_step, in_a_child
from record import tried
from tiny import SMALL, TINY

from lth_companion.build import archive
from lth_companion.claims import verdicts
from lth_companion.commands import main
from lth_companion.experiments import catalogue, timings
from lth_companion.share import publish, ticket_files
from lth_core import atomic_files, results, tickets
from lth_core.errors import StoreError
from lth_core.models import layers
from lth_core.prune import plan
from lth_core.results import manifest, parquet
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import describe, digest, digest_arrays, key_of

AT_ONCE = 50 if "LTH_SOAK" in os.environ else 5  # times that publications meet

OLD: dict[str, bytes | None] = {
    "a/cells.parquet": b"old cells", "a/curves.parquet": b"old curves", "a/masks.parquet": b"old masks",
    "b/cells.parquet": b"stays", "verdicts.json": b'{"old": 1}',
}  # fmt: skip
NEW: dict[str, bytes | None] = {
    "a/cells.parquet": b"new cells" * 900, "a/curves.parquet": b"new curves", "a/masks.parquet": None,
    "c/weights.parquet": b"more", "verdicts.json": b'{"new": 1}',
}  # fmt: skip
BEFORE, AFTER = dict(OLD), {n: d for n, d in {**OLD, **NEW}.items() if d is not None}


def whole(root: Path) -> dict[str, bytes | None]:
    """All that a reader finds."""
    listed = manifest.read(root)
    return {n: manifest.content(root, n, listed) for n in listed}


def die_at(step: int, root: Path) -> None:
    """Kill this process at the n-th thing that it does to the folder; half of what it was about to write is written."""
    real, steps = atomic_files.write, at_step(step, root)

    def half(path: Path, data: bytes) -> None:
        if next(steps) == step:
            path.write_bytes(data[: len(data) // 2])
            os.kill(os.getpid(), signal.SIGKILL)
        real(path, data)

    manifest.write = half  # type: ignore[attr-defined]


def test_a_publication_that_is_killed_is_wholly_old_or_wholly_new(tmp_path: Path) -> None:
    """At every step of it; read as it was left, and published again over it."""
    found: list[bool] = []
    for step in range(200):
        root = tmp_path / str(step)
        manifest.commit(root, OLD)

        def work(step: int = step, root: Path = root) -> None:
            die_at(step, root)
            manifest.commit(root, NEW)

        ended = in_a_child(work)
        now = whole(root)
        assert now in (BEFORE, AFTER), step
        found.append(now == AFTER)
        manifest.commit(root, {"bench.json": b"{}"})  # whoever publishes next brings it to its end
        assert whole(root) == {**now, "bench.json": b"{}"}
        there = {p.relative_to(root).as_posix() for p in root.rglob("*") if p.is_file()}
        assert there == {*now, "bench.json", manifest.MANIFEST, manifest.LOCK}, step
        if ended == 0:
            break
        assert ended == signal.SIGKILL
    assert ended == 0 and len(found) > 25 and found == sorted(found) and not found[0]


def test_the_first_publication_that_is_killed_is_none_or_all(tmp_path: Path) -> None:
    for step in range(0, 200, 3):
        root = tmp_path / str(step)
        root.mkdir()
        ended = in_a_child(lambda: (die_at(step, root), manifest.commit(root, OLD)))  # noqa: B023
        assert whole(root) in ({}, BEFORE)
        manifest.commit(root, OLD)
        assert whole(root) == BEFORE
        if ended == 0:
            return
        assert ended == signal.SIGKILL
    pytest.fail("it never ended")


def test_an_error_in_the_middle_leaves_what_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full disk, at every flush: one sentence, nothing temporary left, and the same again works."""
    real = os.fsync
    for step in range(100):
        root = tmp_path / str(step)
        manifest.commit(root, OLD)
        steps = iter(range(step, -1, -1))

        def full(descriptor: int, steps: Any = steps) -> None:
            if next(steps, 1) == 0:
                raise OSError(28, "No space left on device")
            real(descriptor)

        monkeypatch.setattr(os, "fsync", full)
        try:
            manifest.commit(root, NEW)
        except StoreError as error:
            assert "No space left on device" in str(error) and str(root) in str(error)
            monkeypatch.setattr(os, "fsync", real)
            assert whole(root) in (BEFORE, AFTER) and not (root / manifest.STAGE).exists()
            manifest.commit(root, NEW)
            assert whole(root) == AFTER
        else:
            break
    assert step > 5


def test_a_quota_leaves_what_was(tmp_path: Path) -> None:
    manifest.commit(tmp_path, OLD)

    def work() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        manifest.commit(tmp_path, NEW)

    assert in_a_child(work) == 1 and whole(tmp_path) == BEFORE
    assert not (tmp_path / manifest.STAGE).exists()


@pytest.mark.parametrize("at_once", [2, 4])
def test_several_publications_at_once_never_mix(at_once: int, tmp_path: Path) -> None:
    """Nor does who reads meanwhile see two at once."""
    names = ("a/cells.parquet", "a/curves.parquet", "verdicts.json")
    manifest.commit(tmp_path, dict.fromkeys(names, b"0"))

    def work(number: int) -> None:
        for turn in range(12):
            manifest.commit(tmp_path, dict.fromkeys(names, f"{number} {turn}".encode() * 500))

    children = []
    for number in range(at_once):
        child = os.fork()
        if child == 0:
            try:
                work(number)
                os._exit(0)
            finally:
                os._exit(3)
        children.append(child)
    read = 0
    while children:
        with_error = False
        try:
            assert len(set(whole(tmp_path).values())) == 1
        except StoreError as error:
            with_error = True
            assert "published anew while it was read" in str(error)
        read += not with_error
        done, status = os.waitpid(children[0], os.WNOHANG)
        if done:
            assert status == 0
            children.pop(0)
    assert len(set(whole(tmp_path).values())) == 1 and read
    assert not (tmp_path / manifest.STAGE).exists()


def test_who_waits_too_long_is_told_and_a_dead_holder_frees_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready, child = tmp_path / "ready", os.fork()
    if child == 0:
        with manifest.locked(tmp_path):
            ready.touch()
            time.sleep(600)
    try:
        while not ready.exists():
            time.sleep(0.01)
        monkeypatch.setattr(manifest, "PATIENCE", 0.1)
        with pytest.raises(StoreError, match="another process is publishing"):
            manifest.commit(tmp_path, OLD)
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    manifest.commit(tmp_path, OLD)
    assert whole(tmp_path) == BEFORE


def test_a_folder_that_cannot_be_written_is_read_through(tmp_path: Path) -> None:
    """A publication that was switched to and not moved: readers find it and leave the folder as it is."""
    manifest.commit(tmp_path, OLD)
    real = manifest.finish
    ended = in_a_child(lambda: (setattr(manifest, "finish", lambda root: None), manifest.commit(tmp_path, NEW)))
    assert ended == 0 and manifest.finish is real and (tmp_path / manifest.STAGE).exists()
    before = sorted(tmp_path.rglob("*"))
    assert whole(tmp_path) == AFTER and sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "a/cells.parquet").read_bytes() == OLD["a/cells.parquet"]
    assert manifest.content(tmp_path, "a/masks.parquet") is None  # lies there still, and goes next


# --- MANIFEST ---------------------------------------------------------------------------------------------------------


def without(name: str) -> Callable[[dict], str]:
    return lambda m: json.dumps({n: s for n, s in m.items() if n != name})


def renamed(before: str, after: str) -> Callable[[dict], str]:
    return lambda m: json.dumps({n.replace(before, after): s for n, s in m.items()})


BROKEN: dict[str, Callable[[dict], str]] = {
    "emptied": lambda m: "{}",
    "a line lost": without("b/cells.parquet"),
    "a line lost of a JSON file": without("verdicts.json"),
    "a bit in a kind": renamed("a/cells", "a/cellr"),
    "a bit in a section": renamed("b/", "c/"),
    "a bit in a slash": renamed("b/", "b."),
    "a bit in the suffix": renamed("a/curves.parquet", "a/curves.parquev"),
    "a bit in a checksum": lambda m: json.dumps({**m, "b/cells.parquet": "0" + m["b/cells.parquet"][1:]}),
    "a checksum that is none": lambda m: json.dumps({**m, "b/cells.parquet": "x"}),
    "out of the folder": lambda m: json.dumps({**m, "../cells.parquet": m["b/cells.parquet"]}),
    "absolute": lambda m: json.dumps({**m, "/b/cells.parquet": m["b/cells.parquet"]}),
    "a file that is missing": lambda m: json.dumps({**m, "z/cells.parquet": m["b/cells.parquet"]}),
    "a name twice": lambda m: json.dumps(m)[:-1] + f', "b/cells.parquet": "{m["b/cells.parquet"]}"}}',
    "cut short": lambda m: json.dumps(m)[:-9],
}


def everything(root: Path) -> None:
    """Read what the book reads."""
    listed = manifest.read(root)
    for name in {*listed, *(p.relative_to(root).as_posix() for p in root.rglob("*.json") if p.name != "MANIFEST.json")}:
        manifest.content(root, name, listed)


@pytest.mark.parametrize("how", [*BROKEN, "gone"])
def test_a_damaged_manifest_is_an_error_and_never_not_measured(how: str, tmp_path: Path) -> None:
    manifest.commit(tmp_path, OLD)
    file = tmp_path / manifest.MANIFEST
    everything(tmp_path)
    if how == "gone":
        file.unlink()
    else:
        file.write_text(BROKEN[how](json.loads(file.read_text())))
    with pytest.raises(StoreError) as error:
        everything(tmp_path)
    assert str(tmp_path) in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


def test_links_are_not_followed(tmp_path: Path) -> None:
    root = tmp_path / "results"
    manifest.commit(root, OLD)
    (root / "b").rename(tmp_path / "elsewhere")
    (root / "b").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StoreError, match=r"b/cells\.parquet"):
        whole(root)
    (root / "b").unlink()
    (tmp_path / "elsewhere").rename(root / "b")
    (root / "verdicts.json").rename(tmp_path / "v.json")
    (root / "verdicts.json").symlink_to(tmp_path / "v.json")
    with pytest.raises(StoreError, match=r"verdicts\.json"):
        whole(root)


def test_only_names_of_ours_are_published(tmp_path: Path) -> None:
    for name in ("../x/cells.parquet", "/x/cells.parquet", ".publishing/cells.parquet", "x/y.txt", "reference/.x.json"):
        with pytest.raises(ValueError, match="no name"):
            manifest.commit(tmp_path, {name: b""})


def test_what_the_machine_cannot_read_is_not_called_damaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest.commit(tmp_path, OLD)

    def broken(file: Path, most: int) -> bytes:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(manifest, "read_bytes", broken)
    with pytest.raises(StoreError, match="Input/output error") as error:
        whole(tmp_path)
    assert not isinstance(error.value, manifest.Damaged) and "git" not in str(error.value)


def test_the_committed_manifest_covers_every_file() -> None:
    listed = manifest.read(results.HERE)
    there = {p.relative_to(results.HERE).as_posix() for p in results.HERE.rglob("*") if p.is_file()}
    assert set(listed) == there - {manifest.MANIFEST, manifest.LOCK, "CHANGELOG.md"}
    assert all(digest((results.HERE / n).read_bytes()) == s for n, s in listed.items())


# --- Content ----------------------------------------------------------------------------------------------------------


def chain() -> list[Spec]:
    return [s for s in catalogue.iterative(TINY, rate=0.5, **SMALL) if s.trial == 0]


def tables() -> dict[str, pd.DataFrame]:
    """What a publication of one chain is made of, without training it."""
    rows, cells, masks = chain(), [], {}
    shapes = {x.weight: x.shape for x in layers(rows[0].arch, rows[0].dataset)}
    gone = {n: np.full(int(np.prod(s)), results.NEVER, np.uint8) for n, s in shapes.items()}
    for spec in rows:
        for n, keep in plan(spec).items():
            gone[n][keep:][gone[n][keep:] == results.NEVER] = spec.round
        masks = {n: (g > spec.round).reshape(shapes[n]) for n, g in gone.items()}
        numbers = dict.fromkeys(("seconds", "stop_iteration", "stop_test", "end_test"), 1.0)
        made = {"engine": "sparse", "initial": "0", "masks": digest_arrays(masks), "diverged": False}
        cells.append({**describe(spec), "spec": json.dumps(asdict(spec)), **made, **numbers})
    curves = [{"key": c["key"], "iteration": i, **dict.fromkeys(parquet.MEASURED, 1)} for c in cells for i in (0, 20)]
    kept = [{"chain": results.chain_of(rows[1]), "rounds": 2, "layer": n, "pruned_at": g.tobytes()}
            for n, g in gone.items()]  # fmt: skip
    change = [{"key": cells[1]["key"], "parameter": n, "change": bytes(4)} for n in shapes]
    names = ("cells", "curves", "masks", "weights")
    return dict(zip(names, map(pd.DataFrame, (cells, curves, kept, change)), strict=True))


def as_file(table: pd.DataFrame) -> bytes:
    made = io.BytesIO()
    table.to_parquet(made, compression="zstd", index=False)
    return made.getvalue()


def put(root: Path, **changed: pd.DataFrame | bytes) -> results.Published:
    content = {**tables(), **changed}
    made = {f"a/{n}.parquet": t if isinstance(t, bytes) else as_file(t) for n, t in content.items()}
    manifest.commit(root, made)
    return results.Published(root)


def use(published: results.Published) -> None:
    """All that readers do with a publication."""
    published.table(chain())
    for key in published.cells["key"]:
        published.spec(key)
    published.curves(chain())
    for spec in chain()[1:]:
        published.masks(spec)
    published.has_trained(chain()[1])


def set_in(name: str, **columns: Any) -> Callable[[], dict]:
    return lambda: {name: tables()[name].assign(**columns)}


def forged_masks() -> dict:
    """Masks that keep everything, with a right checksum."""
    made = tables()["masks"]
    return {"masks": made.assign(pruned_at=[b"\xff" * len(x) for x in made["pruned_at"]])}


HOSTILE: dict[str, Callable[[], dict]] = {
    "no key": lambda: {"cells": tables()["cells"].drop(columns="key")},
    "no spec": lambda: {"cells": tables()["cells"].drop(columns="spec")},
    "spec is no JSON": set_in("cells", spec="{"),
    "spec is empty": set_in("cells", spec="{}"),
    "spec of another row": lambda: {"cells": tables()["cells"].assign(spec=lambda t: list(t["spec"])[::-1])},
    "a key twice": set_in("cells", key="0" * 20),
    "a column section": set_in("cells", section="x"),
    "a column of lists": lambda: {"cells": tables()["cells"].assign(more=[[1]] * 3)},
    "rounds as text": set_in("masks", rounds="two"),
    "masks short": lambda: {"masks": tables()["masks"].assign(pruned_at=b"\x01")},
    "a layer's masks missing": lambda: {"masks": tables()["masks"].iloc[1:]},
    "masks that keep everything": forged_masks,
    "cells are text": lambda: {"cells": b"key,spec\n"},
    "curves are text": lambda: {"curves": b""},
    "curves cut short": lambda: {"curves": as_file(tables()["curves"])[:-30]},
    "curves of too many rows": lambda: {"curves": tables()["curves"].merge(pd.DataFrame({"more": range(200)}), "cross")
                                        .assign(iteration=lambda t: 20 * t.pop("more") + t["iteration"] // 2)},
    "losses as text": set_in("curves", val_loss="x"),
    "weights without a key": lambda: {"weights": tables()["weights"].drop(columns="key")},
}  # fmt: skip


@pytest.mark.parametrize("how", HOSTILE)
def test_hostile_content_with_right_sums_is_refused_by_name(how: str, tmp_path: Path) -> None:
    use(put(tmp_path / "fine"))
    changed = HOSTILE[how]()
    with pytest.raises(StoreError) as error:
        use(put(tmp_path / "bad", **changed))
    (name,) = changed
    assert f"a/{name}.parquet" in str(error.value) and "\n" not in str(error.value)


def test_trained_weights_that_are_short_are_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"a/weights\.parquet"):
        put(tmp_path).trained(chain()[1])


def bomb() -> bytes:
    """Some kilobytes in which a text of two megabytes stands in two thousand rows."""
    n = 2_000
    index = pa.array(np.zeros(n, np.int32))
    names = pa.array([str(i) for i in range(n)], pa.large_string())
    content = pa.DictionaryArray.from_arrays(index, pa.array([bytes(2_000_000)]))
    columns = {"chain": names, "rounds": pa.array([2] * n), "layer": names, "pruned_at": content}
    made = io.BytesIO()
    pq.write_table(pa.table(columns), made, compression="zstd", dictionary_pagesize_limit=10_000_000,
                   store_schema=False)  # fmt: skip
    return made.getvalue()


def test_a_small_file_does_not_take_gigabytes(tmp_path: Path) -> None:
    published = put(tmp_path, masks=bomb())
    assert (tmp_path / "a/masks.parquet").stat().st_size < 800_000

    def work() -> None:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        try:
            with pytest.raises(ValueError, match=r"unpacks|more than it can hold"):
                parquet.some("masks", bomb(), "rounds", 2)
            published._whole("a", "masks")
        except manifest.Damaged:
            os._exit(40 + min(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, 400_000) // 10_000)

    took = 10 * (in_a_child(work) - 40)
    assert 0 <= took < 250, f"{took} MB, or not refused"


# --- Publishing networks ----------------------------------------------------------------------------------------------


def rows() -> list[Spec]:
    return catalogue.iterative(TINY, ("ticket", "reinit"), rate=0.5, **SMALL)


@pytest.fixture(scope="module")
def stores(tmp_path_factory: pytest.TempPathFactory) -> list[Store]:
    """The same rows trained by both engines: other last bits."""
    made = []
    for engine in ("sparse", "dense"):
        made.append(Store(tmp_path_factory.mktemp(engine)))
        tickets.run(rows(), made[-1], device="cpu", engine=engine)
    return made


@pytest.fixture
def figure(monkeypatch: pytest.MonkeyPatch) -> str:
    """The only one there is, beside one of another page."""
    made = catalogue.Figure("iclr-fig03", "iclr_2_lenet", "", lambda s: rows(), masks=True)
    other = catalogue.Figure("iclr-fig12", "iclr_e_random_sparsity", "", lambda s: rows()[:1])
    monkeypatch.setattr(catalogue, "FIGURES", {f.id: f for f in (made, other)})
    return made.id


def engines(root: Path) -> set[str]:
    """Whose networks are published, after all of it was read."""
    published = results.Published(root)
    published.curves(rows())
    for spec in rows():
        if spec.round and spec.arm == "ticket":
            published.masks(spec)
    assert len(published.cells) == len(rows())
    return set(published.cells["engine"])


@pytest.mark.parametrize("name", ["cells", "curves", "masks", "cells curves"])
@pytest.mark.parametrize("how", ["flipped", "missing"])
def test_publishing_again_mends_what_is_damaged(
    name: str, how: str, stores: list[Store], figure: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    again = ["publish", figure, "--results", str(tmp_path), "--store", str(stores[0].root)]
    assert main(again) == 0
    before, other = whole(tmp_path), "iclr-fig12"
    for one in name.split():
        file = tmp_path / "iclr_2_lenet" / f"{one}.parquet"
        if how == "missing":
            file.unlink()
        else:
            file.write_bytes(file.read_bytes()[:-9] + bytes(9))
    capsys.readouterr()
    assert main(["publish", other, "--results", str(tmp_path), "--store", str(stores[0].root)]) == 1
    said = capsys.readouterr().err
    assert "python -m lth_core publish iclr_2_lenet" in said and said.count("\n") == 1
    assert main([*again[:-1], str(tmp_path / "empty")]) == (2 if " " in name else 1)
    assert ("--drop" if " " in name else "files are damaged") in capsys.readouterr().err
    assert main([*again, *(["--drop"] if " " in name else [])]) == 0
    assert whole(tmp_path) == before


@pytest.mark.parametrize("shown", [lambda r: True, lambda r: r.round in (0, TINY.rounds)], ids=["all", "some rounds"])
def test_publishing_again_without_the_store_changes_nothing(
    shown: Callable[[Spec], bool], stores: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a fresh clone, whose store is empty; also where no figure shows the rounds between, whose masks are in
    those of the last."""
    made = catalogue.Figure("iclr-fig03", "iclr_2_lenet", "", lambda s: [*filter(shown, rows())], masks=True)
    monkeypatch.setattr(catalogue, "FIGURES", {made.id: made})
    publish.publish([made], stores[0], tmp_path)
    before = whole(tmp_path)
    publish.publish([made], Store(tmp_path / "empty"), tmp_path)
    assert whole(tmp_path) == before
    assert {Path(name).stem for name in before} == {"cells", "curves", "masks"}


@pytest.mark.slow
def test_killed_at_any_time_publishing_again_works(stores: list[Store], figure: str, tmp_path: Path) -> None:
    whole_time = 0.0
    for turn in range(11):
        root = tmp_path / str(turn)
        publish.publish(catalogue.figures_of(figure), stores[0], root)
        child = os.fork()
        start = time.perf_counter()
        if child == 0:
            publish.publish(catalogue.figures_of(figure), stores[1], root)
            os._exit(0)
        if turn:
            time.sleep(whole_time * turn / 10)
            os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        whole_time = whole_time or time.perf_counter() - start
        assert engines(root) in ({"sparse"}, {"dense-cpu"})
        publish.publish(catalogue.figures_of(figure), stores[1], root)
        assert engines(root) == {"dense-cpu"} and not (root / manifest.STAGE).exists()


@pytest.mark.slow
@pytest.mark.parametrize("at_once", [2, 4])
def test_publishing_at_once_from_two_stores(at_once: int, stores: list[Store], figure: str, tmp_path: Path) -> None:
    for turn in range(AT_ONCE):
        root, children = tmp_path / str(turn), []
        for i in range(at_once):
            child = os.fork()
            if child == 0:
                try:
                    publish.publish(catalogue.figures_of(figure), stores[i % 2], root)
                    os._exit(0)
                finally:
                    os._exit(3)
            children.append(child)
        assert [os.waitpid(c, 0)[1] for c in children] == [0] * at_once
        assert engines(root) in ({"sparse"}, {"dense-cpu"})
        assert {p.name for p in root.glob(".*")} <= {manifest.LOCK}
    tried("Several at once", f"{at_once} publications of two stores to one `results/`", AT_ONCE,
          "each waits for the other; one of them whole at the end")  # fmt: skip


# --- What is written elsewhere ----------------------------------------------------------------------------------------


def test_a_file_is_replaced_or_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, dead = tmp_path / "x[1].json", 2**22 + 1
    file.write_text("old")
    (tmp_path / f".{file.name}.{os.uname().nodename}.{dead}").write_text("left by a killed process")
    with pytest.raises(ZeroDivisionError), atomic_files.replaced(file) as temporary:
        temporary.write_text("half")
        _ = 1 / 0
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch, pytest.raises(StoreError, match=r"x\[1\]\.json cannot be written \(No space"):
        patch.setattr(os, "fsync", full)
        with atomic_files.replaced(file) as temporary:
            temporary.write_text("new")
    assert file.read_text() == "old" and list(tmp_path.iterdir()) == [file]
    with atomic_files.replaced(file) as temporary:
        temporary.write_text("new")
    assert file.read_text() == "new" and list(tmp_path.iterdir()) == [file]


def test_scratch_of_a_killed_process_is_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    host, alive = os.uname().nodename, os.getppid()
    for name in (
        f"lth-x.{host}.{2**22 + 1}.ab",
        f"lth-x.{host}.{alive}.ab",
        f"lth-x.elsewhere.{2**22 + 1}.ab",
        "other",
    ):
        (tmp_path / name / "cells").mkdir(parents=True)
    with atomic_files.scratch("lth-x") as folder:
        (folder / "made").write_text("x")
        left = {p.name for p in tmp_path.iterdir()} - {folder.name}
    assert left == {f"lth-x.{host}.{alive}.ab", f"lth-x.elsewhere.{2**22 + 1}.ab", "other"} and not folder.exists()


def test_export_gives_equal_bytes_and_leaves_nothing_half(
    stores: list[Store], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    spec = next(s for s in rows() if s.round == 2 and s.arm == "ticket")
    made = ticket_files.ticket(spec, stores[0])
    assert len({ticket_files.pack(made) for _ in range(8)}) == 1
    back = ticket_files.read(ticket_files.write(made, tmp_path))
    assert back.facts == made.facts and back.network.spec == spec

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    out = tmp_path / "full"
    assert main(["export", key_of(spec), "--from-store", "--store", str(stores[0].root), "--out", str(out)]) == 1
    said = capsys.readouterr().err
    assert f"{key_of(spec)}.safetensors cannot be written (No space left" in said and list(out.iterdir()) == []


def test_accepted_verdicts_are_under_the_manifest(tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    assert verdicts.accepted(file) == {}
    table = pd.DataFrame({"id": ["x"], "verdict": [verdicts.UNDECIDED]})
    verdicts.accept(table, file)
    assert verdicts.accepted(file) == {"x": verdicts.UNDECIDED} and list(manifest.read(tmp_path)) == ["verdicts.json"]
    file.write_text(json.dumps({"x": verdicts.REPRODUCED}))
    with pytest.raises(manifest.Damaged, match="claims --accept"):
        verdicts.accepted(file)
    verdicts.accept(table, file)  # which is what the sentence says
    assert verdicts.accepted(file) == {"x": verdicts.UNDECIDED}
    file.unlink()
    with pytest.raises(manifest.Damaged, match=r"verdicts\.json"):
        verdicts.accepted(file)


@pytest.mark.parametrize("content", [b"[]", b"0", b"null", b'""', b'{"x": []}', b'{"x": {}}', b'{"x": null}'])
def test_verdicts_that_are_none_are_an_error_and_never_none(content: bytes, tmp_path: Path) -> None:
    manifest.commit(tmp_path, {"verdicts.json": content})
    with pytest.raises(manifest.Damaged, match=r"verdicts\.json"):
        verdicts.accepted(tmp_path / "verdicts.json")


@pytest.mark.parametrize("content", [b"[]", b'{"made": 3, "rows": []}', b'{"made": {}, "rows": [{}]}', b"{", b"\xff"])
def test_a_benchmark_that_is_none_is_named(content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lth_companion.experiments.timings.HERE", tmp_path)
    assert timings.bench()[1].empty
    manifest.commit(tmp_path, {"bench.json": content})
    with pytest.raises(StoreError, match=r"bench\.json"):
        timings.bench()


def test_an_archive_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "committed", lambda root: dict.fromkeys(archive.NEEDED, b"x"))
    archive.write(tmp_path, tmp_path / "out")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StoreError, match=r"tar\.gz cannot be written"):
        archive.write(tmp_path, tmp_path / "out")
    assert len(list((tmp_path / "out").iterdir())) == 1
