"""Trust: stores, data and values from anyone. Each is used as what it is, or refused with one clear sentence."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import pickle
import shutil
import struct
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from record import tried
from strangers import opened, tensors, with_masks
from tiny import same_cells, tiny_rows

from lth_companion.commands import main
from lth_companion.commands.command_line import seconds, shard
from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.share import ticket_files
from lth_core import data
from lth_core.errors import StoreError, UsageError
from lth_core.models import MEASURED
from lth_core.spec import ALLOWED, Spec, from_dict
from lth_core.store import Store
from lth_core.store.cell import digest, key_of, own_digest

INPUTS = 500  # of each property; the slow run tries four times as many
MORE = 4


# --- Pickles ----------------------------------------------------------------------------------------------------------


class Bomb:
    """A pickle that leaves a mark where it is opened."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple:
        return os.mkdir, (str(self.mark),)


def test_no_pickle_is_opened_before_its_official_digest_agrees(tmp_path: Path, monkeypatch) -> None:
    """Forged CIFAR-10 batches and the pickle that older torchvisions left beside MNIST, each one a bomb."""
    from torchvision import datasets

    mark = tmp_path / "opened"
    bomb = pickle.dumps(Bomb(mark))
    for variable in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(datasets.CIFAR10, "url", "http://127.0.0.1:9/cifar.tar.gz")
    monkeypatch.setattr(datasets.MNIST, "mirrors", ["http://127.0.0.1:9/"])
    folder = tmp_path / "cifar-10-batches-py"
    folder.mkdir()
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta"]:
        (folder / name).write_bytes(bomb)
    processed = tmp_path / "MNIST" / "processed"
    processed.mkdir(parents=True)
    for name in ("training.pt", "test.pt"):
        (processed / name).write_bytes(bomb)
    for name in ("cifar10", "mnist"):
        with pytest.raises(UsageError, match="could not be downloaded"):
            data.load(name, tmp_path)
    assert not mark.exists()
    pickle.loads(bomb)
    assert mark.exists()  # the bomb was live
    tried("Hostile input", "pickles in place of CIFAR-10's batches and MNIST's files", 9, "none opened, exit 2")


# --- Hostile stores ---------------------------------------------------------------------------------------------------


def parquet(**columns: Any) -> bytes:
    buffer = io.BytesIO()
    pd.DataFrame(columns).to_parquet(buffer, compression="zstd")
    return buffer.getvalue()


def with_tensors(change: Callable[[dict[str, np.ndarray]], None]) -> Callable[[dict, dict[str, bytes]], None]:
    from safetensors.numpy import load, save

    def work(cell: dict, files: dict[str, bytes]) -> None:
        arrays = load(files["tensors.safetensors"])
        change(arrays)
        files["tensors.safetensors"] = save(arrays)

    return work


def with_tensor_file(content: bytes) -> Callable[[dict, dict[str, bytes]], None]:
    return lambda cell, files: files.update({"tensors.safetensors": content})


def with_curves(**changes: Any) -> Callable[[dict, dict[str, bytes]], None]:
    def work(cell: dict, files: dict[str, bytes]) -> None:
        curves = pd.read_parquet(io.BytesIO(files["curves.parquet"]))
        files["curves.parquet"] = parquet(**{**dict(curves.items()), **changes})

    return work


def with_spec(**changes: Any) -> Callable[[dict, dict[str, bytes]], None]:
    return lambda cell, files: cell["spec"].update(changes)


def with_made(**changes: Any) -> Callable[[dict, dict[str, bytes]], None]:
    return lambda cell, files: cell["made"].update(changes)


def with_cell(**changes: Any) -> Callable[[dict, dict[str, bytes]], None]:
    return lambda cell, files: cell.update(changes)


def _one_more(masks: dict[str, np.ndarray], by: bool = True) -> None:
    mask = masks["fc1.weight"]
    mask[tuple(np.argwhere(mask != by)[0])] = by


def _moved(masks: dict[str, np.ndarray]) -> None:
    """As many in all as the plan keeps."""
    _one_more(masks, False)
    mask = masks["fc2.weight"]
    mask[tuple(np.argwhere(~mask)[0])] = True


HUGE = {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}
N = 3  # evaluations of a tiny row
HOSTILE: dict[str, Callable[[dict, dict[str, bytes]], None]] = {
    "path traversal in file names": with_cell(files={"../../../../etc/passwd": "0" * 64}),
    "absolute file name": with_cell(files={"/etc/passwd": "0" * 64}),
    "file list that is no table": with_cell(files=["curves.parquet"]),
    "a file too many": lambda c, f: c["files"].update({"run.sh": digest(b"")}),
    "a file too few": lambda c, f: c["files"].pop("curves.parquet"),
    "unknown field beside the spec": with_cell(hook="curl"),
    "unknown field in the spec": with_spec(hook="curl"),
    "missing field in the spec": lambda c, f: c["spec"].pop("lr"),
    "spec that is no table": with_cell(spec=[1, 2]),
    "spec of another row": with_spec(trial=77),
    "infinite number in the spec": with_spec(iterations=float("inf")),
    "text for a number": with_spec(lr="0.1; rm"),
    "unknown data set": with_spec(dataset="imagenet"),
    "data set that is no name": with_spec(dataset=["mnist"]),
    "architecture that is no name": with_spec(arch=7),
    "data checksum of other data": with_cell(data="0" * 16),
    "provenance that is no table": with_cell(made="me"),
    "provenance that overrides results": with_made(trial=99),
    "provenance with nested values": with_made(commit={"$": []}),
    "safetensors: shape of 4 TB": with_tensor_file(tensors({"w": HUGE})),
    "safetensors: header longer than the file": with_tensor_file(struct.pack("<Q", 2**62) + b"{}"),
    "safetensors: overlapping tensors": with_tensor_file(
        tensors({n: {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} for n in "ab"}, bytes(4))),
    "safetensors: not one": with_tensor_file(b"PK\x03\x04" + bytes(100)),
    "safetensors: empty": with_tensor_file(b""),
    "tensor of another dtype": with_tensors(lambda a: a.update({"fc1.bias": a["fc1.bias"].astype(np.float64)})),
    "tensor of another shape": with_tensors(lambda a: a.update({"fc1.bias": a["fc1.bias"][:1]})),
    "mask that declares a huge shape": with_tensors(
        lambda a: a.update({"fc1.weight.shape": np.array([2**31, 2**31], np.int64)})),
    "mask of negative shape": with_tensors(lambda a: a.update({"fc1.weight.shape": np.array([-1, -64], np.int64)})),
    "one value for all weights": with_tensors(lambda a: a.update({"fc1.weight": a["fc1.weight"][:1]})),
    "a tensor too many": with_tensors(lambda a: a.update({"evil": np.zeros(3, np.float32)})),
    "a tensor too few": with_tensors(lambda a: a.pop("out.bias")),
    "parquet of 50 million equal rows": with_curves(**dict.fromkeys(
        ("iteration", *MEASURED), np.zeros(5_000_000, np.int32))),
    "parquet with text for numbers": with_curves(val_loss=["a"] * N),
    "parquet with another dtype": with_curves(val_loss=np.zeros(N)),
    "parquet with a column too many": with_curves(evil=np.zeros(N, np.float32)),
    "parquet at other iterations": with_curves(iteration=np.array([0, 20, 41], np.int32)),
    "more right answers than images": with_curves(test_correct=np.full(N, 10_000, np.int32)),
    "fewer right answers than none": with_curves(val_correct=np.array([0, -1, 1], np.int32)),
    "a loss below zero": with_curves(train_loss=np.array([2, 1, -1], np.float32)),
    "losses that are no numbers, not diverged": with_curves(val_loss=np.full(N, np.nan, np.float32)),
    "diverged, with losses that are numbers": with_made(diverged=True),
    "infinite weights, not diverged": with_tensors(lambda a: a["fc1.bias"].fill(np.inf)),
    "a mask of other weights": with_tensors(lambda a: a.update({"fc1.weight.mask": np.roll(a["fc1.weight.mask"], 5)})),
    "masks that keep all": with_masks(lambda m: [x.fill(True) for x in m.values()]),
    "masks that keep nothing": with_masks(lambda m: [x.fill(False) for x in m.values()]),
    "one weight more than the plan": with_masks(_one_more),
    "a weight moved from one layer to another": with_masks(_moved),
    "the digest of other masks": with_made(masks="0" * 16),
    "parquet: not one": lambda c, f: f.update({"curves.parquet": b"PAR1" + bytes(50) + b"PAR1"}),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_forged_cell_is_refused(name: str, forged, tmp_path: Path, capsys) -> None:
    store = forged(HOSTILE[name])
    assert main(["merge", str(store.root), "--store", str(tmp_path / "target")]) == 1
    text = capsys.readouterr().err.strip()
    assert text.startswith("lth_core: cell ") and "\n" not in text and "delete" in text
    assert Store(tmp_path / "target").keys() == []
    if name == list(HOSTILE)[-1]:
        tried("Hostile input", "`merge` of a cell forged with right checksums", len(HOSTILE),
              "refused by name, exit 1: traversal, huge shapes and files, unknown fields, types")  # fmt: skip


def test_an_unpruned_network_has_no_pruned_weight(forged, tmp_path: Path, capsys) -> None:
    store = forged(with_masks(lambda m: _one_more(m, False)), next(s for s in tiny_rows() if s.round == 0))
    assert main(["merge", str(store.root), "--store", str(tmp_path / "target")]) == 1
    assert "its masks do not keep what round 0 keeps" in capsys.readouterr().err


def _not_nested(masks: dict[str, np.ndarray]) -> None:
    """As many weights in each layer, others than those that were alive."""
    for mask in masks.values():
        mask[:] = np.roll(mask.ravel(), 5).reshape(mask.shape)


@pytest.mark.parametrize("first", ["parent", "child", "both"])
def test_a_ticket_that_is_no_subset_of_its_parent_is_refused(first: str, whole: Store, forged, tmp_path: Path, capsys):
    """In whichever order the two arrive."""
    parent, child = (next(s for s in tiny_rows() if s.arm == "ticket" and s.round == r) for r in (1, 2))
    odd, target = forged(with_masks(_not_nested), child), Store(tmp_path / "target")
    odd.read(key_of(child))  # alone it is a possible one
    if first == "both":
        odd.adopt(whole, key_of(parent))
    else:
        target.adopt(*((whole, key_of(parent)) if first == "parent" else (odd, key_of(child))))
    assert main(["merge", str(whole.root if first == "child" else odd.root), "--store", str(target.root)]) == 1
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"cell {key_of(child)} keeps" in said and f"cell {key_of(parent)}" in said
    assert not (target.has(parent) and target.has(child))


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EACCES, errno.EIO, errno.ENOMEM, errno.ESTALE])
def test_what_the_machine_lacks_is_not_blamed_on_the_cell(error: int, whole: Store, monkeypatch, capsys) -> None:
    """Who follows the sentence must not delete good cells."""

    def lacking(*_: Any) -> Any:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr("lth_core.store.cell.read_bytes", lacking)
    with pytest.raises(StoreError, match="the machine lacks something") as said:
        whole.read(whole.keys()[0])
    assert os.strerror(error) in str(said.value) and "delete" not in str(said.value)


def test_an_honest_cell_passes_the_forger(forged, tmp_path: Path) -> None:
    store = forged(lambda cell, files: None)
    assert main(["merge", str(store.root), "--store", str(tmp_path / "target")]) == 0


def _json_bomb(folder: Path) -> None:
    (folder / "cell.json").write_text("[" * 400_000)


def _link(folder: Path) -> None:
    shutil.move(folder / "curves.parquet", folder.parents[2] / "elsewhere")
    (folder / "curves.parquet").symlink_to(folder.parents[2] / "elsewhere")


def _folder_link(folder: Path) -> None:
    shutil.move(folder, folder.parents[2] / "elsewhere")
    folder.symlink_to(folder.parents[2] / "elsewhere")


def _device(folder: Path) -> None:
    (folder / "curves.parquet").unlink()
    (folder / "curves.parquet").symlink_to("/dev/zero")


def _pipe(folder: Path) -> None:
    (folder / "cell.json").unlink()
    os.mkfifo(folder / "cell.json")


def _large(folder: Path) -> None:
    with open(folder / "tensors.safetensors", "wb") as f:
        f.truncate(2**40)  # a terabyte of nothing


def _not_text(folder: Path) -> None:
    (folder / "cell.json").write_bytes(b"\xff\xfe{}")


def _renamed(folder: Path) -> None:
    folder.rename(folder.with_name(folder.name[:-1] + ("0" if folder.name[-1] != "0" else "1")))


def _screaming(folder: Path) -> None:
    folder.rename(folder.with_name("\x1b[31mnot a key\n"))


FILES = (_json_bomb, _link, _folder_link, _device, _pipe, _large, _not_text, _renamed, _screaming)


@pytest.mark.parametrize("change", FILES, ids=lambda f: f.__name__)
def test_hostile_files_are_refused(change: Callable[[Path], None], forged, tmp_path: Path, capsys) -> None:
    store = forged(lambda cell, files: None)
    change(store.folder(store.keys()[0]))
    assert main(["merge", str(store.root), "--store", str(tmp_path / "target")]) == 1
    text = capsys.readouterr().err.strip()
    assert text.startswith("lth_core: ") and text.isprintable() and "delete" in text
    assert Store(tmp_path / "target").keys() == []
    if change is FILES[-1]:
        tried("Hostile input", "`merge` of links, pipes, devices, sparse terabytes, nested JSON, odd names", len(FILES),
              "each refused, exit 1; nothing followed, opened or allocated")  # fmt: skip


def test_only_what_was_checked_is_copied(whole: Store, tmp_path: Path) -> None:
    """A file that cell.json does not list is left behind, whatever its name."""
    source = Store(tmp_path / "source")
    shutil.copytree(whole.root, source.root)
    control = next(s for s in tiny_rows() if s.arm == "reinit")
    (source.folder(key_of(control)) / "tensors.safetensors").write_bytes(b"unchecked")
    assert main(["merge", str(source.root), "--store", str(tmp_path / "target")]) == 0
    assert same_cells(whole, Store(tmp_path / "target"))
    assert not (Store(tmp_path / "target").folder(key_of(control)) / "tensors.safetensors").exists()


# --- Hostile tickets --------------------------------------------------------------------------------------------------


def with_header(change: Callable[[dict[str, Any]], object]) -> Callable[[bytes], bytes]:
    def work(content: bytes) -> bytes:
        header, body = opened(content)
        header["__metadata__"].pop("digest")  # as earlier versions wrote it: whoever forges leaves it out
        change(header)
        return tensors(header, body)

    return work


def with_row(**changes: Any) -> Callable[[bytes], bytes]:
    """Another row's fields, and the key that belongs to them where they make a row at all."""

    def change(header: dict[str, Any]) -> None:
        about = header["__metadata__"]
        fields = {**json.loads(about["spec"]), **changes}
        about["spec"] = json.dumps(fields)
        with contextlib.suppress(UsageError, KeyError):
            about["key"] = key_of(from_dict(fields))

    return with_header(change)


def with_arrays(change: Callable[[dict[str, np.ndarray]], object]) -> Callable[[bytes], bytes]:
    from safetensors.numpy import load, save

    def work(content: bytes) -> bytes:
        arrays = load(content)
        change(arrays)
        about = opened(content)[0]["__metadata__"]
        return save(arrays, {name: text for name, text in about.items() if name != "digest"})

    return work


def _one_more_kept(arrays: dict[str, np.ndarray]) -> None:
    mask = arrays["fc1.weight.mask"]
    mask[tuple(np.argwhere(~mask)[0])] = True


def _other_weight(arrays: dict[str, np.ndarray]) -> None:
    kept = np.argwhere(arrays["fc1.weight.mask"])[0]
    arrays["fc1.weight"][tuple(kept)] += np.float32(1e-3)


TICKETS: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda c: b"",
    "three bytes": lambda c: c[:3],
    "half": lambda c: c[: len(c) // 2],
    "a byte too many": lambda c: c + b"\0",
    "zip file": lambda c: b"PK\x03\x04" + c,
    "pickle": lambda c: pickle.dumps(Bomb(Path("/nonexistent"))),
    "header longer than the file": lambda c: struct.pack("<Q", 2**62) + c[8:],
    "header of a megabyte of brackets": lambda c: struct.pack("<Q", 900_000) + b"[" * 900_000,
    "header that is no table": lambda c: tensors([1, 2]),  # type: ignore[arg-type]
    "no metadata": with_header(lambda h: h.pop("__metadata__")),
    "metadata that is no table": with_header(lambda h: h.update(__metadata__=["format"])),
    "another format": with_header(lambda h: h["__metadata__"].update(format="lth-ticket-0")),
    "key of another row": with_header(lambda h: h["__metadata__"].update(key="../../etc/passwd")),
    "row that is no JSON": with_header(lambda h: h["__metadata__"].update(spec="{")),
    "row that is no table": with_header(lambda h: h["__metadata__"].update(spec="[1]")),
    "unknown field in the row": with_row(hook="curl"),
    "another trial's row": with_row(trial=77),
    "another round's row": with_row(round=2),
    "a round of 10^18": with_row(round=10**18),
    "an architecture of a terabyte": with_row(arch="lenet-1000000-1000000"),
    "an architecture that is no name": with_row(arch=7),
    "a row whose start cannot be checked": with_row(arm="shuffle"),
    "tensor of 4 TB": with_header(lambda h: h.update(w=HUGE)),
    "overlapping tensors": with_header(lambda h: h.update({"fc1.bias": h["fc2.bias"]})),
    "tensor of another dtype": with_arrays(lambda a: a.update({"fc1.bias": a["fc1.bias"].astype(np.float64)})),
    "tensor of another shape": with_arrays(lambda a: a.update({"fc1.weight": a["fc1.weight"].T.copy()})),
    "mask that is no truth value": with_arrays(
        lambda a: a.update({"fc1.weight.mask": a["fc1.weight.mask"].astype(np.uint8)})),
    "a tensor too many": with_arrays(lambda a: a.update({"evil": np.zeros(3, np.float32)})),
    "a tensor too few": with_arrays(lambda a: a.pop("out.bias")),
    "half the trained weights": with_arrays(lambda a: a.update({"fc1.weight.trained": a["fc1.weight"]})),
    "one weight more kept": with_arrays(_one_more_kept),
    "a weight that its row does not draw": with_arrays(_other_weight),
    "weights that are no numbers": with_arrays(lambda a: a["fc1.weight"].fill(np.nan)),
}  # fmt: skip


def refused(file: Path, whole: Store, capsys: pytest.CaptureFixture) -> None:
    assert main(["import", str(file), "--from-store", "--store", str(whole.root)]) == 1
    text = capsys.readouterr().err.strip()
    assert text.startswith(f"lth_core: {file} is no ticket to be trusted (") and text.isprintable()


@pytest.mark.parametrize("name", TICKETS)
def test_a_forged_ticket_is_refused(name: str, exported: bytes, whole: Store, tmp_path: Path, capsys) -> None:
    file = tmp_path / "ticket.safetensors"
    file.write_bytes(TICKETS[name](exported))
    refused(file, whole, capsys)
    if name == list(TICKETS)[-1]:
        tried("Hostile input", "`import` of a forged ticket", len(TICKETS),
              "refused, exit 1: sizes, shapes, types, rows, masks and weights that do not belong together")  # fmt: skip


def test_what_no_row_draws_is_under_the_files_own_checksum(whole: Store, tmp_path: Path) -> None:
    """Trained weights and facts: one bit of them, or a word."""
    spec = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 1)
    good = ticket_files.pack(ticket_files.ticket(spec, whole, trained=True))
    file = tmp_path / "ticket.safetensors"
    header, body = opened(good)
    at = header["out.bias.trained"]["data_offsets"][0]
    flipped = body[:at] + bytes([body[at] ^ 1]) + body[at + 1 :]
    header["__metadata__"]["end_test"] = "1"
    for content in (tensors(opened(good)[0], flipped), tensors(header, body)):
        file.write_bytes(content)
        with pytest.raises(StoreError, match="it does not have its checksum"):
            ticket_files.read(file)
    file.write_bytes(tensors(opened(good)[0], body))
    assert ticket_files.read(file).facts["end_test"] != "1"


def test_an_honest_ticket_passes(exported: bytes, whole: Store, tmp_path: Path, capsys) -> None:
    for name, forge in (("as it is", lambda c: c), ("forged", with_arrays(lambda a: None)), ("row", with_row())):
        file = tmp_path / name
        file.write_bytes(forge(exported))
        assert main(["import", str(file), "--from-store", "--store", str(whole.root)]) == 0, capsys.readouterr().err


def test_a_ticket_that_is_no_file_is_refused(exported: bytes, whole: Store, tmp_path: Path, capsys) -> None:
    (tmp_path / "real").write_bytes(exported)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    (tmp_path / "device").symlink_to("/dev/zero")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    with open(tmp_path / "terabyte", "wb") as f:
        f.write(exported)
        f.truncate(2**40)
    names = ("link", "device", "pipe", "folder", "terabyte", "absent")
    for name in names[:-1]:
        refused(tmp_path / name, whole, capsys)
    assert main(["import", str(tmp_path / "absent"), "--from-store", "--store", str(whole.root)]) == 2
    assert "absent does not exist" in capsys.readouterr().err
    tried("Hostile input", "`import` of links, pipes, devices, folders, sparse terabytes", len(names),
          "each refused, exit 1 or 2; nothing followed, opened or allocated")  # fmt: skip


# --- Any input --------------------------------------------------------------------------------------------------------


def property_of(*strategies: Any) -> Callable:
    """A property over `INPUTS` inputs; `work(n)` runs it over n, counted."""

    def decorate(check: Callable) -> Callable[[int], None]:
        def work(n: int) -> None:
            count = [0]

            @settings(max_examples=n, deadline=None, database=None, derandomize=n <= INPUTS or "LTH_CI" in os.environ,
                      suppress_health_check=list(HealthCheck))  # fmt: skip
            @given(st.tuples(*strategies))
            def counted(values: tuple) -> None:
                count[0] += 1
                check(*values)

            counted()
            title, happened = (check.__doc__ or "").split(": ", 1)
            tried("Any input", title, count[0], happened)

        return work

    return decorate


NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
FRACTIONS = st.floats(0, 1, exclude_max=True)
NATURAL = st.integers(0, 2**70)


POSITIVE = st.floats(min_value=0, exclude_min=True, allow_infinity=False)


@st.composite
def honest(draw: Any) -> Spec:
    """Any row that the rules allow."""
    round_ = draw(st.integers(0, 40))
    every = draw(st.integers(1, 10**6))
    iterations = every * draw(st.integers(1, 1000))
    chosen = {name: draw(st.sampled_from(values)) for name, values in ALLOWED.items()}
    if round_ == 0:
        chosen["arm"] = draw(st.sampled_from(("ticket", "continued")))
    return Spec(
        **chosen, arch=draw(st.text(max_size=20)), round=round_,
        eval_every=every, iterations=iterations, batch_size=draw(st.integers(1, 10**6)),
        lr=draw(POSITIVE), weight_decay=draw(POSITIVE | st.just(0.0)), init_sd=draw(POSITIVE), rescale=draw(NUMBERS),
        sigma=draw(NUMBERS),
        dropout=draw(FRACTIONS), prune_conv=draw(FRACTIONS), prune_fc=draw(FRACTIONS), prune_out=draw(FRACTIONS),
        warmup=draw(NATURAL), rewind=draw(st.integers(0, iterations)),
        replicate=draw(NATURAL), trial=draw(NATURAL), seed=draw(NATURAL),
        lr_drops=tuple(draw(st.lists(NATURAL, max_size=4))),
    )  # fmt: skip


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30) | st.binary(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=6,
)
FIELDS = st.sampled_from(list(Spec.__dataclass_fields__))


@property_of(honest())
def spec_round_trip(spec: Spec) -> None:
    """a row through JSON and back: the same row, the same key"""
    again = from_dict(json.loads(json.dumps(asdict(spec))))
    assert again == spec and key_of(again) == key_of(spec)
    assert spec.at_round(spec.round) == (spec if spec.round else spec.at_round(0))


@property_of(honest(), st.dictionaries(FIELDS | st.text(max_size=9), ANYTHING, max_size=3))
def any_spec(spec: Spec, changes: dict) -> None:
    """a row with any values in its fields: a row, or one sentence"""
    try:
        made = from_dict({**asdict(spec), **changes})
    except UsageError as error:
        assert str(error) and len(str(error).splitlines()) == 1
    else:
        assert from_dict(json.loads(json.dumps(asdict(made)))) == made


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture(scope="module")
def one_cell(whole: Store) -> tuple[str, dict[str, bytes]]:
    key = key_of(next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 1))
    return key, {f.name: f.read_bytes() for f in whole.folder(key).iterdir()}


def any_cell_of(key: str, good: dict[str, bytes]) -> Callable[[int], None]:
    """The property of reading a cell whose cell.json holds anything, with right checksums. (Bytes: test_damage.py.)"""
    store = Store(tempfile.mkdtemp())
    folder = store.folder(key)
    folder.mkdir(parents=True)
    cell = json.loads(good["cell.json"])
    del cell["digest"]

    def reads(files: dict[str, bytes]) -> bool:
        for name, content in files.items():
            (folder / name).write_bytes(content)
        try:
            store.read(key)
        except StoreError as error:
            assert key in str(error) and str(error).isprintable()
            return False
        return True

    paths = st.sampled_from(
        [(n,) for n in cell] + [("spec", n) for n in cell["spec"]] + [("made", n) for n in cell["made"]]
    )

    @property_of(paths, JSON)
    def any_cell(path: tuple[str, ...], value: Any) -> None:
        """a cell.json with any JSON in any place: the cell, or one sentence that names it"""
        forged = json.loads(json.dumps(cell))
        place = forged
        for name in path[:-1]:
            place = place[name]
        place[path[-1]] = value
        text = json.dumps({**forged, "digest": own_digest(forged)} if isinstance(forged, dict) else forged)
        reads({**good, "cell.json": text.encode()})

    return any_cell


WORDS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=12)
VALUES = WORDS | st.integers().map(str) | st.sampled_from(
    ["", "-1", "1e9", "nan", "1/0", "2/1", "1/2", "0", "9m", "9" * 5000, "٣m", "²/³", "all", "iclr-fig03", "v1-fig05"]
)  # fmt: skip


@property_of(VALUES)
def durations_and_shards(text: str) -> None:
    """any text as --budget or --shard: a value, or one sentence"""
    for reads in (seconds, shard):
        with contextlib.suppress(UsageError):
            reads(text)


OPTIONS = ("--profile", "--trials", "--seed", "--dataset", "--data-dir", "--device", "--engine", "--budget", "--shard",
           "--iterations", "--sample", "--json", "--published", "--from-store", "--store", "--verdict")  # fmt: skip
FLAGS = ("--json", "--published", "--from-store")  # take no value


@property_of(
    st.sampled_from(["status", "audit", "run", "merge", "import", "claims", "data"]), st.lists(VALUES, max_size=2),
    st.lists(st.tuples(st.sampled_from(OPTIONS), VALUES), max_size=3),
)  # fmt: skip
def any_command(name: str, words: list[str], options: list[tuple[str, str]]) -> None:
    """any values on the command line: a result, or one sentence and exit 2"""
    out, err = io.StringIO(), io.StringIO()
    harmless = {"run": ["--budget=0"], "audit": ["--from-store"], "data": ["--no-fetch"]}.get(name, [])
    given = [o if o in FLAGS else f"{o}={v}" for o, v in options]
    with tempfile.TemporaryDirectory() as folder, contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        before = os.getcwd()
        os.chdir(folder)
        try:
            code: Any = main([name, *words, *given, f"--store={folder}", *harmless])
        except SystemExit as stop:  # argparse: its usage and one line
            code = stop.code
        finally:
            os.chdir(before)
    assert code in (0, 1, 2)
    said = err.getvalue().strip().splitlines()
    if code == 2:
        assert said and (said[-1].startswith("lth_core: ") or ": error: " in err.getvalue())


def test_a_name_cannot_break_a_sentence_in_two(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    """Found by `any_command`: a line break by another name, in an argument that the sentence repeats."""
    for name in ("\x85", "a\nlth_core: all is well", "\x1b[2J"):
        assert main(["merge", name, f"--store={tmp_path}"]) == 2
        said = capsys.readouterr().err
        assert len(said.splitlines()) == 1 and said.rstrip("\n").isprintable()


@property_of(
    st.sampled_from(catalogue.NOTEBOOKS) | WORDS,
    st.dictionaries(
        st.sampled_from(["profile", "trials", "device", "seed", "data_dir", "dataset"]),
        ANYTHING | st.sampled_from(["smoke", "quick", "paper", "published", "cpu", "digits", "~nobody-here", "/"]),
    ),
)  # fmt: skip
def any_parameters(notebook: str, parameters: dict) -> None:
    """any notebook parameters: its rows, or one sentence"""
    try:
        rows = Study(notebook=notebook, **parameters).rows(notebook)
    except UsageError as error:
        assert len(str(error).splitlines()) == 1
    else:
        assert all(isinstance(s, Spec) for s in rows)


@pytest.mark.parametrize(
    "check", [spec_round_trip, any_spec, durations_and_shards, any_command, any_parameters], ids=range(5)
)
def test_any_input(check: Callable[[int], None]) -> None:
    check(INPUTS if check not in (any_command, any_parameters) else INPUTS // 5)


def test_any_store(one_cell: tuple[str, dict[str, bytes]]) -> None:
    any_cell_of(*one_cell)(INPUTS)


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.parametrize(
    "check", [spec_round_trip, any_spec, durations_and_shards, any_command, any_parameters], ids=range(5)
)
def test_any_input_longer(check: Callable[[int], None]) -> None:
    check(INPUTS * MORE if check not in (any_command, any_parameters) else INPUTS * MORE // 5)


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_any_store_longer(one_cell: tuple[str, dict[str, bytes]]) -> None:
    any_cell_of(*one_cell)(INPUTS * MORE)


def test_impossible_numbers_are_refused() -> None:
    for bad in (dict(lr=float("nan")), dict(lr=float("inf")), dict(trial=1.5), dict(round="2"), dict(arch=None)):
        with pytest.raises(UsageError):
            replace(Spec(), **bad)  # type: ignore[arg-type]
