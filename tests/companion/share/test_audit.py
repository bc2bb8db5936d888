"""A stored number can be measured again: on the engine that made it, on the other one, from results/ alone."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_companion.share import publish
from lth_companion.share.audit import FIRST, audit
from lth_core import prerequisites, results, starts, tickets
from lth_core.data import load
from lth_core.engines import choose
from lth_core.engines.dense import engine as train
from lth_core.engines.dense.images import keyed_uniform
from lth_core.errors import UsageError
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

TINY = catalogue.Scale(dataset="digits", iterations=200, trials=1, rounds=2, replicates=1)


def rows() -> list[Spec]:
    return catalogue.iterative(TINY, ("ticket", "reinit"), arch="lenet-30-20")


@pytest.fixture(scope="module", params=["sparse", "dense"])
def store(request, tmp_path_factory) -> Store:
    made = Store(tmp_path_factory.mktemp(request.param))
    tickets.run(rows(), made, device="cpu", engine=request.param)
    return made


def test_the_same_engine_measures_the_same_bits(store, tmp_path):
    engine = store.read(key_of(rows()[0])).made["engine"].split("-")[0]
    for spec in rows():
        verdict = audit(spec, store, Store(tmp_path), device="cpu", engine=engine)
        assert verdict.identical and verdict.same_start and verdict.agrees


def test_the_other_engine_agrees(store, tmp_path):
    engine = store.read(key_of(rows()[0])).made["engine"].split("-")[0]
    other = {"sparse": "dense", "dense": "sparse"}[engine]
    for spec in rows():
        verdict = audit(spec, store, Store(tmp_path), device="cpu", engine=other)
        assert verdict.same_start and verdict.agrees and verdict.engine != verdict.stored_engine


@pytest.mark.parametrize("masks", [True, False])
def test_published_cells_are_audited_without_the_store(store, tmp_path, masks):
    """With published masks the start is rebuilt from them, without them the chain is trained again."""
    publish.write({"section": rows()}, publish.Either(store), tmp_path / "results", masks=["section"] if masks else [])
    published = results.Published(tmp_path / "results")
    last = rows()[-1]
    verdict = audit(last, published, Store(tmp_path / "scratch"), device="cpu", engine="sparse")
    assert verdict.agrees
    assert bool(Store(tmp_path / "scratch").keys()) is not masks


@pytest.mark.parametrize("masks", [True, False])
def test_another_start_disagrees_also_where_the_chain_was_trained_again(store, tmp_path, masks):
    """Masks that are not those of the stored network; the verdict says where its chain was made anew."""
    publish.write({"section": rows()}, publish.Either(store), tmp_path / "results", masks=["section"] if masks else [])
    published, last = results.Published(tmp_path / "results"), rows()[-1]
    published.cells.loc[key_of(last), "masks"] = "other"
    verdict = audit(last, published, Store(tmp_path / "scratch"), device="cpu", engine="sparse")
    assert not verdict.same_start and verdict.rebuilt is not masks and not verdict.agrees


def accuracy(curves: dict[str, np.ndarray]) -> None:
    curves["test_correct"][1:] -= 60


def loss(curves: dict[str, np.ndarray]) -> None:
    curves["val_loss"][1] *= 1.5


def forged(store: Store, folder: Path, change: Callable[[dict[str, np.ndarray]], None]) -> tuple[Spec, Store]:
    """A store whose last network has other curves than its training made."""
    spec, changed = rows()[-1], Store(folder)
    network = tickets.from_store(spec, store)
    ((_, trained),) = choose.train_all([network], load("digits"), device="cpu")
    change(trained.curves)
    for need in prerequisites.with_ancestors([spec]):
        if need != spec:
            changed.adopt(store, key_of(need))
    changed.save(network, trained)
    return spec, changed


@pytest.mark.parametrize("change", [accuracy, loss])
def test_a_number_changed_by_hand_disagrees(store, tmp_path, change):
    spec, changed = forged(store, tmp_path / "changed", change)
    verdict = audit(spec, changed, Store(tmp_path / "scratch"), device="cpu")
    assert verdict.same_start and not verdict.agrees
    assert (verdict.first_difference < FIRST) is (change is accuracy)
    assert (verdict.test_difference > verdict.allowed) is (change is accuracy)


@pytest.mark.parametrize(
    "column", [f"{part}_{what}" for part in ("train", "val", "test") for what in ("loss", "correct")]
)
def test_each_of_the_six_columns_is_compared(store, tmp_path, column):
    """One column changed where the training is well under way, by no more than a few images or a tenth of a loss."""

    def change(curves: dict[str, np.ndarray]) -> None:
        values = curves[column]
        values[-1] = values[-1] * 1.1 if column.endswith("loss") else values[-1] - 4

    spec, changed = forged(store, tmp_path / "changed", change)
    verdict = audit(spec, changed, Store(tmp_path / "scratch"), device="cpu")
    assert verdict.same_start and not verdict.agrees and verdict.odd == (column,)


def test_the_command_says_and_returns_that_a_number_was_changed(store, tmp_path, capsys):
    spec, changed = forged(store, tmp_path / "changed", accuracy)
    assert main(["audit", key_of(spec), "--from-store", "--store", str(changed.root), "--device", "cpu"]) == 1
    assert "DISAGREES; same start" in capsys.readouterr().out


def test_the_command_audits_a_sample_for_as_long_as_it_is_told(store, capsys, monkeypatch):
    module, asked = importlib.import_module("lth_companion.share.audit"), []
    monkeypatch.setattr(module, "audit", lambda *a, **k: asked.append(k["iterations"]) or audit(*a, **k))
    here = ["--from-store", "--store", str(store.root), "--device", "cpu"]
    main(["audit", "all", *here, "--sample", "2", "--iterations", "100", "--json"])
    assert len(json.loads(capsys.readouterr().out)) == 2 and asked == [100, 100]


def test_bf16_stays_near_fp32():
    """bf16 has 8 bits of mantissa: after 40 steps losses agree to a few percent, and the parameters stay fp32."""
    base = replace(rows()[0], iterations=40, eval_every=20)
    found = {}
    for precision in ("fp32", "bf16"):
        network = starts.network(replace(base, precision=precision))
        ((_, trained),) = train.train([network], load("digits"), device="cpu")
        found[precision] = trained
    a, b = found["fp32"], found["bf16"]
    assert all(w.dtype == np.float32 for w in b.weights.values())
    np.testing.assert_allclose(a.curves["val_loss"], b.curves["val_loss"], rtol=0.05)
    assert not np.array_equal(a.weights["fc1.weight"], b.weights["fc1.weight"])


def test_dropout_does_not_depend_on_the_cohort():
    base = replace(rows()[0], iterations=40, eval_every=20, dropout=0.5)
    networks = [starts.network(replace(base, trial=t)) for t in range(3)]
    together = {i: t for i, t in train.train(networks, load("digits"), device="cpu")}
    for i, network in enumerate(networks):
        ((_, alone),) = train.train([network], load("digits"), device="cpu")
        assert all(np.array_equal(alone.curves[c], together[i].curves[c]) for c in alone.curves)
        assert all(np.array_equal(w, together[i].weights[n]) for n, w in alone.weights.items())
    without = next(train.train([starts.network(replace(base, dropout=0.0))], load("digits"), device="cpu"))[1]
    assert abs(without.curves["train_loss"][-1] - together[0].curves["train_loss"][-1]) > 1e-3


def test_dropped_share_is_the_rate():
    import torch

    draws = keyed_uniform(torch.tensor([1, 2]), torch.tensor([7]), 100_000)
    for p in (0.1, 0.5, 0.9):
        share = (draws < int(p * 2**24)).double().mean(1)
        assert torch.all((share - p).abs() < 5 * (p * (1 - p) / 100_000) ** 0.5)
    assert not torch.equal(draws, keyed_uniform(torch.tensor([1, 2]), torch.tensor([8]), 100_000))
    assert abs(float(torch.corrcoef(draws.double())[0, 1])) < 0.02


def test_convolutional_networks_train_by_the_cohort():
    """Conv-2 on the enlarged digits: a row alone equals the row in a cohort, masked weights stay 0, loss falls."""
    base = Spec(dataset="digits32", arch="conv-2", iterations=2, eval_every=2, lr=2e-4, batch_size=20)
    pruned = base.at_round(1, prune_conv=0.1, prune_fc=0.2, prune_out=0.1, arm="prune_at_init")
    networks = [starts.network(replace(pruned, trial=t)) for t in range(2)]
    together = {i: t for i, t in train.train(networks, load("digits32"), device="cpu")}
    ((_, alone),) = train.train(networks[1:], load("digits32"), device="cpu")
    assert all(np.array_equal(w, together[1].weights[n]) for n, w in alone.weights.items())
    for name, mask in networks[1].masks.items():
        assert np.all(alone.weights[name][~mask] == 0)
    assert alone.curves["train_loss"][-1] < alone.curves["train_loss"][0]


def test_command_line_audits(store, capsys):
    from lth_companion.commands import main

    key = key_of(rows()[-1])
    arguments = ["audit", key, "--from-store", "--store", str(store.root), "--device", "cpu", "--json"]
    assert main(arguments) == 0
    (said,) = json.loads(capsys.readouterr().out)
    assert said["key"] == key and said["agrees"]


def test_too_few_iterations_to_compare_are_refused(store, tmp_path):
    """Published curves are thinned: an audit that ends before the second evaluation would compare nothing."""
    with pytest.raises(UsageError, match="first kept evaluation"):
        audit(rows()[-1], store, Store(tmp_path), device="cpu", iterations=rows()[-1].eval_every // 2)
