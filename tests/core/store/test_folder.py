"""The store: whole or absent, checked when read, never trained twice, and resumed where it stopped."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from tiny import SMALL, TINY, same_cells, tiny_rows

from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_companion.share import publish
from lth_core import prerequisites, results, tickets
from lth_core.errors import StoreError, UsageError
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import device_details, key_of


@pytest.fixture
def store(tmp_path) -> Store:
    made = Store(tmp_path / "store")
    tickets.run(tiny_rows(), made, device="cpu")
    return made


def test_run_again_trains_nothing(store):
    report = tickets.run(tiny_rows(), store, device="cpu")
    assert report.trained == [] and report.stored == len(tiny_rows())


def test_a_cell_remembers_who_made_it(store):
    made = store.read(store.keys()[0]).made
    for field in ("commit", "engine", "device", "seconds", "numpy", "torch", "initial", "masks"):
        assert made[field] not in ("", None)


def test_key_depends_on_every_field():
    base = Spec(dataset="digits", prune_fc=0.2, round=2)
    other = dict(
        inputs="standard", arch="lenet-20-10", init="truncated", init_sd=0.1, rescale=0.5, dropout=0.5, optimizer="sgd",
        lr=0.1, weight_decay=0.1, warmup=5, lr_drops=(5,), batch_size=10, iterations=200, eval_every=50,
        augment="flip_crop", precision="bf16", prune_conv=0.1, prune_fc=0.3, prune_out=0.2, scope="global",
        search="continued", rewind=100, round=3, arm="reinit", sigma=1.0, replicate=1, trial=1, seed=1,
    )  # fmt: skip
    needs = {"init": {"init_sd": 0.1}}  # what a value asks of another field
    changed = [{name: value, **needs.get(name, {})} for name, value in other.items()]
    keys = {key_of(base)} | {key_of(replace(base, **fields)) for fields in changed}
    assert len(keys) == len(other) + 1
    fixed = {"dataset", "criterion"}  # the one is in the key as its checksum too, the other has one value so far
    assert set(other) | fixed == set(base.__dataclass_fields__)


@pytest.mark.parametrize("name", ["curves.parquet", "tensors.safetensors", "cell.json"])
def test_a_cell_that_lacks_a_file_is_named_and_refused(store, name):
    key = key_of(tiny_rows()[0])
    (store.folder(key) / name).unlink()
    with pytest.raises(StoreError, match=key):
        store.read(key)


def test_hostile_cells_are_refused(store, tmp_path):
    key = store.keys()[0]
    file = store.folder(key) / "cell.json"
    cell = json.loads(file.read_text())
    del cell["digest"]  # older cells have none, so a forger may leave it out
    for files in ({"../../../etc/passwd": "0" * 64}, {"/etc/passwd": "0" * 64}):
        file.write_text(json.dumps({**cell, "files": files}))
        with pytest.raises(StoreError, match="does not have"):
            store.read(key)
    file.write_text(json.dumps({**cell, "spec": {**cell["spec"], "evil": 1}}))
    with pytest.raises(StoreError, match="unknown fields"):
        Store(tmp_path / "other").adopt(store, key)


def test_a_read_only_store_says_so(tmp_path, capsys):
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    arguments = ["run", "iclr-fig03", "--quiet", "--dataset", "digits", "--profile", "quick"]
    assert main([*arguments, "--store", str(blocked / "store")]) == 1
    assert "cannot be written" in capsys.readouterr().err
    assert main([*arguments, "--store", str(blocked)]) == 2
    assert "is a file: give a folder" in capsys.readouterr().err


def test_budget_stops_and_resume_equals_uninterrupted(store, tmp_path):
    other = Store(tmp_path / "other")
    report = tickets.run(tiny_rows(), other, device="cpu", budget=0.0)
    assert report.trained == [] and report.missing
    while report.missing:
        report = tickets.run(tiny_rows(), other, device="cpu", budget=0.3)
    assert same_cells(store, other)


def test_merge_verifies(store, tmp_path, capsys):
    target = tmp_path / "target"
    assert main(["merge", str(store.root), "--store", str(target)]) == 0
    assert same_cells(store, Store(target))
    file = store.folder(store.keys()[0]) / "curves.parquet"
    file.write_bytes(file.read_bytes()[:-1])
    assert main(["merge", str(store.root), "--store", str(tmp_path / "third")]) == 1
    assert store.keys()[0] in capsys.readouterr().err


def test_published_results_equal_the_store(store, tmp_path):
    specs = tiny_rows()
    publish.write({"section": specs}, publish.Either(store), tmp_path, masks=["section"])
    published = results.Published(tmp_path)
    a, b = results.table(specs, store), results.table(specs, published)
    for column in ("key", "stop_iteration", "stop_test", "end_val", "density", "engine", "commit"):
        assert list(a[column]) == list(b[column])
    for spec in specs:
        if spec.round:
            expected = tickets.from_store(spec, store).masks
            found = published.masks(spec)
            assert all(np.array_equal(expected[n], found[n]) for n in expected)
    assert len(published.curves(specs)) == 3 * len(specs)


def test_a_store_and_published_results_answer_alike(store, tmp_path):
    """`results.Source`: who reads networks need not ask which of the two it has."""
    specs, other = tiny_rows(), replace(tiny_rows()[0], trial=7)
    publish.write({"section": specs}, publish.Either(store), tmp_path, masks=["section"], weights=specs)
    published = results.Published(tmp_path)
    assert store.exact and not published.exact, "weights are published as rounded changes"
    assert sorted(store.keys()) == sorted(published.keys()) == sorted(map(key_of, specs))
    assert store.curves([]).empty and published.curves([]).empty and store.table([]).empty
    for spec in specs:
        a, b = results.masks(spec, store), results.masks(spec, published)
        assert all(np.array_equal(a[n], b[n]) for n in a.keys() | b.keys()), "a control has its ticket's masks"
        assert store.spec(key_of(spec)) == published.spec(key_of(spec)) == spec
        for asked in ("has", "diverged", "has_masks", "has_trained"):
            assert getattr(store, asked)(spec) == getattr(published, asked)(spec), asked
        if store.has_trained(spec):
            a, b = results.trained(spec, store), results.trained(spec, published)
            assert all(np.allclose(a[n], b[n], atol=1e-3) for n in a.keys() | b.keys())
    for source in (store, published):
        assert not source.has(other) and not source.has_trained(other) and source.has_masks(other.at_round(0))
        with pytest.raises(StoreError):
            source.table([other])
        with pytest.raises(StoreError):
            source.trained(other)


def test_published_results_are_read_without_a_store():
    """Locks of files, which a store needs, are not everywhere; nor is torch needed to read tables."""
    ask = "import sys, lth_core.results; print(*{'torch', 'lth_core.store.folder'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True).stdout == "\n"


def test_a_section_goes_on_keeping_the_masks_of_its_chains(store, tmp_path):
    """Published again without asking for masks, it has those of new networks too: audits start from them."""
    chain, cut = tiny_rows(), catalogue.iterative(replace(TINY, rounds=1), rate=0.25, **SMALL)
    assert max(s.round for s in chain) > 1
    tickets.run(cut, store, device="cpu")
    publish.write({"section": chain}, publish.Either(store), tmp_path, masks=["section"])
    publish.write({"section": chain + cut}, publish.Either(store), tmp_path)
    published = results.Published(tmp_path)
    assert published.has_masks(chain[-1]) and published.has_masks(cut[-1])


@pytest.mark.parametrize("arm", ["ticket", "reinit", "shuffle"])
def test_a_network_of_published_masks_needs_no_chain(arm, store, tmp_path):
    """Bit for bit the network that its chain leads to; what masks cannot spare is trained as before."""
    publish.write({"section": tiny_rows()}, publish.Either(store), tmp_path, masks=["section"])
    published = results.Published(tmp_path)
    row = replace(tiny_rows()[-1], arm=arm, replicate=0 if arm == "ticket" else 1)
    tickets.run([row], store, device="cpu")
    alone, key = Store(tmp_path / "alone"), key_of(row)
    report = tickets.run([row], alone, device="cpu", known=published)
    assert report.trained == [row] and alone.keys() == [key]
    a, b = alone.read(key), store.read(key)
    assert a.curves.equals(b.curves)
    assert all(a.made[name] == b.made[name] for name in ("initial", "masks"))
    assert all(np.array_equal(a.weights[n], b.weights[n]) for n in b.weights)
    beyond = replace(row, round=3)
    assert row.round == 2 and prerequisites.needs(beyond, published) == prerequisites.needs(beyond) != []


@pytest.mark.parametrize("changed", [{"rewind": 20}, {"search": "continued", "arm": "continued"}, {"prune_fc": 0.3}])
def test_masks_of_another_search_spare_nothing(changed, store, tmp_path):
    publish.write({"section": tiny_rows()}, publish.Either(store), tmp_path, masks=["section"])
    published, other = results.Published(tmp_path), replace(tiny_rows()[-1], **changed)
    assert prerequisites.needs(tiny_rows()[-1], published) == []
    assert prerequisites.needs(other, published) == prerequisites.needs(other) != []


def test_a_changed_result_is_refused(store, tmp_path):
    publish.write({"section": tiny_rows()}, publish.Either(store), tmp_path)
    file = tmp_path / "section" / "cells.parquet"
    data = bytearray(file.read_bytes())
    data[100] ^= 1
    file.write_bytes(data)
    with pytest.raises(StoreError, match=r"section/cells\.parquet"):
        results.Published(tmp_path).cells  # noqa: B018


def test_a_missing_result_names_the_command(tmp_path):
    with pytest.raises(StoreError, match="python -m lth_core run"):
        results.Published(tmp_path).table(tiny_rows())


def test_a_network_that_was_never_trained_is_not_called_unreadable(tmp_path):
    with pytest.raises(StoreError, match=r"is not in the store .*: train it with `run`") as told:
        Store(tmp_path).masks(tiny_rows()[-1])
    assert "delete" not in str(told.value)


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "no-such-figure"],
        ["run", "iclr-fig03", "--budget", "soon"],
        ["run", "iclr-fig03", "--shard", "3/2"],
        ["run", "iclr-fig03", "--engine", "steam", "--dataset", "digits"],
        ["run", "iclr-fig03", "--device", "abacus", "--dataset", "digits", "--engine", "dense"],
        ["status", "iclr-fig99"],
        ["merge", "/no/such/folder"],
    ],
)
def test_a_users_mistake_gets_one_sentence(arguments, tmp_path, capsys):
    assert main([*arguments, "--store", str(tmp_path)]) == 2
    said = capsys.readouterr().err.strip()
    assert said.startswith("lth_core: ") and "\n" not in said and "Traceback" not in said


def test_status_counts(store, capsys, monkeypatch):
    assert main(["status", "iclr-fig03", "--json", "--store", str(store.root)]) == 1
    (line,) = json.loads(capsys.readouterr().out)
    assert line["have"] == 0 and line["of"] == 60


@pytest.mark.parametrize(
    "bad", [dict(prune_fc=1.0), dict(iterations=0), dict(optimizer="adamw"), dict(round=-1), dict(iterations=150)]
)
def test_impossible_rows_are_refused(bad):
    with pytest.raises(UsageError):
        Spec(**bad)


def test_shards_split_chains_whole():
    rows = catalogue.rows("iclr-fig04")
    parts = [tickets.shard_of(rows, i, 3) for i in (1, 2, 3)]
    assert sorted(key_of(s) for p in parts for s in p) == sorted(key_of(s) for s in rows)
    assert all(not ({s.trial for s in a} & {s.trial for s in b}) for a, b in itertools.pairwise(parts))


def test_a_chain_that_diverged_is_published_as_far_as_it_goes(tmp_path, monkeypatch, capsys):
    """The rounds after it cannot be: neither publishing nor `status` waits for them."""
    fine = catalogue.iterative(TINY, **SMALL)
    broken = catalogue.iterative(TINY, optimizer="sgd", lr=1e30, **SMALL)
    store = Store(tmp_path / "store")
    tickets.run([*fine, *broken], store, device="cpu")
    assert results.possible([*fine, *broken], store) == [*fine, *(s for s in broken if s.round == 0)]
    figure = replace(catalogue.FIGURES["iclr-fig03"], rows=lambda scale: [*fine, *broken])
    monkeypatch.setitem(catalogue.FIGURES, "iclr-fig03", figure)
    here = ["--store", str(store.root)]
    assert main(["publish", "iclr-fig03", "--results", str(tmp_path / "results"), *here]) == 0
    assert len(results.Published(tmp_path / "results").cells) == len(fine) + TINY.trials
    assert main(["status", "iclr-fig03", *here]) == 0
    assert f"({len(broken) - TINY.trials} cannot be: their chains diverged)" in capsys.readouterr().out


def test_a_cell_says_what_its_last_bits_depend_on():
    """In which order a dense step adds numbers depends on its threads; the sparse engine has one a network."""
    import torch

    assert device_details("dense-cpu")["threads"] == torch.get_num_threads()
    assert "threads" not in device_details("sparse")
