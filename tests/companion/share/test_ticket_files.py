"""Tickets as files: they come back bit for bit, and train in plain PyTorch to what is stored with them. Files that are
not to be trusted are in test_trust."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from places import ROOT
from tiny import SMALL, TINY, tiny_rows

from lth_companion.commands import main
from lth_companion.experiments import catalogue
from lth_companion.figures import opened_tickets
from lth_companion.share import publish, ticket_files
from lth_companion.share.audit import allowed_difference
from lth_core import data, prune, results, starts, tickets
from lth_core.errors import StoreError, UsageError
from lth_core.models import Network, initial
from lth_core.spec import MISTAKES, Spec
from lth_core.store import Store
from lth_core.store.cell import digest_arrays, key_of

TICKET = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("whole") / "store")
    tickets.run(tiny_rows(), made, device="cpu")
    return made


def nothing_in(folder: Path) -> Path:
    """A folder of results in which nothing is published yet."""
    folder.mkdir()
    (folder / "MANIFEST.json").write_text("{}")
    return folder


@pytest.mark.parametrize("arm", ["ticket", "reinit"])
def test_a_ticket_comes_back_bit_for_bit(arm: str, store: Store, tmp_path: Path) -> None:
    spec = next(s for s in tiny_rows() if s.arm == arm and s.round == 2)
    before = ticket_files.ticket(spec, store, trained=arm == "ticket")
    after = ticket_files.read(ticket_files.write(before, tmp_path))
    assert after.network.spec == spec and after.facts == before.facts
    for one, other in (
        (before.network.weights, after.network.weights),
        (before.network.masks, after.network.masks),
        (before.trained, after.trained),
    ):
        assert one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)
    start = tickets.from_store(spec, store)
    assert all(np.array_equal(start.weights[n], w) for n, w in after.network.weights.items())
    assert bool(after.trained) == (arm == "ticket")


def test_arrays_that_are_not_in_c_order_come_back(tmp_path: Path) -> None:
    spec = Spec(dataset="digits", arch="lenet-12-8").at_round(2)
    begin = starts.start(spec.at_round(0), prune.full(spec))
    network = starts.start(spec, prune.cut(spec, begin.weights, prune.full(spec)))
    trained = prune.masked(begin.weights, network.masks)
    fortran = {n: np.asfortranarray(w) for n, w in trained.items()}
    odd = Network(spec, network.weights, {n: np.asfortranarray(m) for n, m in network.masks.items()})
    assert not any(m.flags.c_contiguous for m in odd.masks.values())
    back = ticket_files.read(ticket_files.write(ticket_files.Ticket(odd, fortran, {}), tmp_path))
    assert all(np.array_equal(back.trained[n], w) for n, w in trained.items())
    assert all(np.array_equal(back.network.masks[n], m) for n, m in network.masks.items())


def test_published_tickets_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    """Initial weights are drawn anew, masks read off their chain, movement off its rounded change."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    publish.write({"some": rows}, publish.Either(store), tmp_path, masks=["some"], weights=[TICKET, TICKET.at_round(0)])
    published = results.Published(tmp_path)
    for spec in (TICKET, TICKET.at_round(0)):
        kept, whole = (ticket_files.ticket(spec, source, trained=True) for source in (published, store))
        assert ticket_files.agreement(kept, store) and ticket_files.agreement(whole, published)
        for name, w in whole.network.weights.items():
            assert np.array_equal(kept.network.weights[name], w)
            np.testing.assert_allclose(kept.trained[name] - w, whole.trained[name] - w, rtol=6e-4, atol=1e-7)
    assert (tmp_path / "some" / "weights.parquet").stat().st_size < 40_000
    other = next(s for s in rows if s.round == 1)
    with pytest.raises(StoreError, match="no trained weights"):
        published.trained(other)


def test_nothing_is_published_twice(store: Store, tmp_path: Path) -> None:
    """A section whose networks an earlier one holds still keeps the masks that the earlier one does not."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    files = publish.write({"one": rows, "two": rows}, publish.Either(store), tmp_path, masks=["two"], weights=[TICKET])
    assert [str(f.relative_to(tmp_path)) for f in files] == [
        "one/cells.parquet", "one/curves.parquet", "one/weights.parquet", "two/masks.parquet",
    ]  # fmt: skip
    publish.write({"three": rows}, publish.Either(store), tmp_path, masks=["three"], weights=[TICKET])
    assert not (tmp_path / "three").exists()
    assert results.Published(tmp_path).has_masks(TICKET)


def test_masks_of_a_chain_in_two_sections(store: Store, tmp_path: Path) -> None:
    """One section opens a chain's early rounds, another all: either way each network has its own masks."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    early = [s for s in rows if s.round < 2]
    for sections in ({"early": early, "all": rows}, {"all": rows}, {"early": early}):
        publish.write(sections, publish.Either(store), tmp_path, masks=list(sections))
        published = results.Published(tmp_path)
        for spec in rows:
            own, whole = results.masks(spec, published), results.masks(spec, store)
            assert all(np.array_equal(own[name], whole[name]) for name in whole)


def test_published_again_nothing_old_remains(store: Store, tmp_path: Path) -> None:
    """Masks beside cells of a later publication would be those of networks that are no longer there."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    publish.write({"some": rows}, publish.Either(store), tmp_path, masks=["some"], weights=rows)
    publish.write({"some": [s for s in rows if s.trial == 0]}, publish.Either(store), tmp_path)
    published = results.Published(tmp_path)
    assert [published.has_masks(s) for s in rows if s.round] == [s.trial == 0 for s in rows if s.round]
    assert not any(published.has_trained(s) for s in rows)


def test_export_and_import_from_the_command_line(store: Store, tmp_path: Path, capsys) -> None:
    where = ["--store", str(store.root), "--from-store"]
    assert main(["export", key_of(TICKET), "--out", str(tmp_path / "out"), *where]) == 0
    (file,) = (tmp_path / "out").iterdir()
    assert file.name == f"{key_of(TICKET)}.safetensors" and "ticket round 2" in capsys.readouterr().out
    assert main(["import", str(file), *where]) == 0
    assert "masks as in the store" in capsys.readouterr().out
    assert main(["import", str(file), "--results", str(nothing_in(tmp_path / "none"))]) == 0
    assert "masks not in results/" in capsys.readouterr().out
    assert main(["export", "no-such-figure", "--out", str(tmp_path), *where]) == 2
    assert "allowed" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "gone.safetensors")]) == 2


def test_a_mask_that_differs_is_said(store: Store, tmp_path: Path, capsys) -> None:
    found = ticket_files.ticket(TICKET, store)
    masks = {n: m.copy() for n, m in found.network.masks.items()}
    flat = masks["fc1.weight"].reshape(-1)
    flat[[np.flatnonzero(flat)[0], np.flatnonzero(~flat)[0]]] = False, True
    moved = ticket_files.Ticket(starts.start(TICKET, masks), {}, found.facts)
    file = ticket_files.write(moved, tmp_path)
    assert main(["import", str(file), "--store", str(store.root), "--from-store"]) == 1
    assert "OTHER MASKS" in capsys.readouterr().out


def test_masks_that_do_not_follow_from_the_round_before_are_said(store: Store, tmp_path: Path, capsys) -> None:
    """Where the ticket's own masks are not there to compare with, those of its parent are."""
    above, spec = (next(s for s in tiny_rows() if s.arm == "ticket" and s.round == r) for r in (1, 2))
    known = Store(tmp_path / "known")
    known.adopt(store, key_of(above))
    honest = ticket_files.ticket(spec, store)
    odd = {n: np.roll(m.ravel(), 5).reshape(m.shape) for n, m in honest.network.masks.items()}
    forged = replace(honest, network=starts.start(spec, odd))
    asked = ["--from-store", "--store", str(known.root)]
    assert main(["import", str(ticket_files.write(honest, tmp_path / "a")), *asked]) == 0
    assert "masks not in the store" in capsys.readouterr().out
    assert main(["import", str(ticket_files.write(forged, tmp_path / "b")), *asked]) == 1
    assert "OTHER MASKS" in capsys.readouterr().out


def test_what_has_no_initial_weights_of_its_own_is_not_exported(store: Store) -> None:
    control = next(s for s in tiny_rows() if s.arm == "reinit")
    with pytest.raises(UsageError, match="leave out --trained"):
        ticket_files.ticket(control, store, trained=True)
    with pytest.raises(StoreError, match="not measured"):
        ticket_files.ticket(TICKET.at_round(2, trial=9), store)


RATES: dict[str, float] = dict(prune_conv=0.3, prune_fc=0.3, prune_out=0.3)


def cut_once(arch: str, **changes: Any) -> Network:
    """The network of a row whose masks come from its initial weights, so that nothing is trained for it."""
    dataset = "digits" if arch.startswith("lenet") else "digits32"
    spec = Spec(dataset=dataset, arch=arch, round=2, **{**RATES, **changes})
    return starts.start(spec, starts.steps_of(spec).cut(spec, initial(spec), prune.full(spec)))


@pytest.mark.parametrize(
    "network",
    [
        cut_once("resnet-18-4", scope="global"), cut_once("vgg-19-4", scope="global"), cut_once("resnet-18-4"),
        cut_once("lenet-12-8", scope="global"), cut_once("lenet-12-8", search="one_threshold"),
    ],
    ids=lambda n: f"{n.spec.arch} {n.spec.scope} {n.spec.search}",
)  # fmt: skip
def test_batch_normalisation_and_one_threshold_come_back(network: Network, tmp_path: Path, capsys) -> None:
    """Layers whose other parameters are not one bias, and masks that follow no plan of each layer."""
    trained = prune.masked({n: w + np.float32(1) for n, w in network.weights.items()}, network.masks)
    file = ticket_files.write(ticket_files.Ticket(network, trained, {}), tmp_path)
    found = ticket_files.read(file)
    assert found.network.spec == network.spec
    for one, other in ((network.weights, found.network.weights), (trained, found.trained)):
        assert one.keys() == other.keys() and all(np.array_equal(one[n], other[n]) for n in one)
    assert main(["import", str(file), "--results", str(nothing_in(tmp_path / "none"))]) == 0
    assert "masks not in results/" in capsys.readouterr().out


def test_one_weight_more_than_one_threshold_keeps_is_refused(tmp_path: Path) -> None:
    network = cut_once("resnet-18-4", scope="global")
    masks = {n: m.copy() for n, m in network.masks.items()}
    masks["conv1.weight"].reshape(-1)[np.flatnonzero(~masks["conv1.weight"])[0]] = True
    file = ticket_files.write(ticket_files.Ticket(starts.start(network.spec, masks), {}, {}), tmp_path)
    with pytest.raises(StoreError, match="keep what round 2 keeps"):
        ticket_files.read(file)


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, list[Spec]]:
    """Tickets of every search, beside what a figure shows that no file can hold."""
    rows = catalogue.iterative(TINY, ("ticket", "reinit"), rate=0.5, **SMALL)
    for search in ("continued", *MISTAKES):
        arms = ("continued", "ticket") if search == "continued" else ("ticket",)
        rows += catalogue.iterative(TINY, arms, rate=0.5, each={"search": search}, **SMALL)
    for each in ({"rewind": 20}, {"rescale": 0.5}):
        rows += catalogue.iterative(TINY, rate=0.5, each=each, **SMALL)
    made = Store(tmp_path_factory.mktemp("searched") / "store")
    tickets.run(rows, made, device="cpu")
    return made, list(dict.fromkeys(rows))


def test_what_is_exported_is_what_was_trained(searched: tuple[Store, list[Spec]], tmp_path: Path) -> None:
    """Whatever the search: weights and masks are those that the cell remembers, or nothing is exported."""
    store, rows = searched
    exported = set()
    for spec in rows:
        if spec.round and not ticket_files.portable(spec):
            with pytest.raises(UsageError, match="cannot be exported"):
                ticket_files.ticket(spec, store)
            continue
        held = ticket_files.ticket(spec, store, trained=spec.arm == "ticket")
        found = ticket_files.read(ticket_files.write(held, tmp_path))
        made = store.read(key_of(spec)).made
        assert digest_arrays(found.network.weights) == made["initial"], spec
        assert digest_arrays(found.network.masks) == made["masks"], spec
        exported.add(spec.search)
    assert set(MISTAKES) - exported == {
        "not_rewound", "rewound_once", "biases_once", "drawn_again", "unmasked", "own_masks",
    }  # fmt: skip
    assert {"reset", "continued"} <= exported


def exports(rows: list[Spec], monkeypatch: pytest.MonkeyPatch, folder: Path, *options: str) -> tuple[int, set[str]]:
    """Exit code, and keys of the files, of exporting a figure that shows `rows`."""
    monkeypatch.setattr(catalogue, "rows", lambda *a, **k: rows)
    code = main(["export", "iclr-fig09", "--out", str(folder), *options])
    return code, {f.stem for f in folder.glob("*.safetensors")}


def test_a_figure_is_exported_whole_and_says_what_it_leaves_out(
    searched: tuple[Store, list[Spec]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    """Tickets of every search that starts from initial weights, whatever stands between them."""
    store, rows = searched
    where = ["--from-store", "--store", str(store.root), "--trained"]
    code, keys = exports(rows, monkeypatch, tmp_path, *where)
    wanted = [s for s in rows if s.round and s.arm == "ticket" and ticket_files.portable(s)]
    assert code == 0 and keys == {key_of(s) for s in wanted}
    assert sum(s.search == "continued" for s in wanted) == 4 and any(s.rescale for s in wanted)
    said = capsys.readouterr().err.splitlines()
    others, trained = (
        sum(bool(s.round) and (s.arm != "ticket") is other for s in rows if s not in wanted) for other in (True, False)
    )
    assert said == [
        f"lth_core: left out of iclr-fig09: 2 unpruned, {others} of other arms than 'ticket', {trained} that "
        "did not start from their initial values under a mask."
    ]
    left = next(s for s in rows if s.rewind)
    assert main(["export", key_of(left), "--out", str(tmp_path), *where]) == 2
    assert "cannot be exported" in capsys.readouterr().err


def test_a_figure_of_results_is_exported_as_far_as_masks_are_there(
    searched: tuple[Store, list[Spec]], monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys
) -> None:
    store, rows = searched
    continued = [s for s in rows if s.search == "continued"]
    reset = [s for s in rows if s.search == "reset" and s.arm == "ticket" and not s.rewind]
    publish.write({"a": reset, "b": continued}, publish.Either(store), tmp_path / "results", masks=["a"])
    where = ["--results", str(tmp_path / "results")]
    code, keys = exports(reset + continued, monkeypatch, tmp_path / "out", *where)
    assert code == 0 and keys == {key_of(s) for s in reset if s.round}
    said = capsys.readouterr().err
    assert "4 of other arms" in said and "4 whose masks are not in results/" in said and said.count("\n") == 1
    code, keys = exports(continued, monkeypatch, tmp_path / "none", *where)
    assert code == 1 and not keys
    assert "no ticket to export" in capsys.readouterr().err


# --- In plain PyTorch -------------------------------------------------------------------------------------------------


def published_ticket(folder: Path) -> tuple[ticket_files.Ticket, Path]:
    """The ticket that the book's page takes out of results/."""
    spec = next(s for s in catalogue.rows("iclr-fig15", "published") if s.round == 8 and s.trial == 0)
    made = ticket_files.ticket(spec, results.Published())
    return made, ticket_files.write(made, folder)


def trained_plainly(file: Path, iterations: int) -> tuple[float, dict[str, int]]:
    """The page's five lines, then Adam on batches of 60: test accuracy, and weights of each layer that are not 0."""
    import torch

    torch.set_num_threads(1)  # layers this small gain nothing from a second one, and lose where cores are shared
    space: dict = {}
    exec(opened_tickets.RECIPE.format(file=file), space)
    net, mnist = space["net"], data.load("mnist")
    train, _ = mnist.split(0, 0)
    x, y = (torch.tensor(a[train]) for a in (mnist.pool_images, mnist.pool_labels))
    optimizer = torch.optim.Adam(net.parameters(), lr=1.2e-3)
    torch.manual_seed(0)
    for i in range(iterations):
        if i % (len(x) // 60) == 0:
            order = torch.randperm(len(x))
        batch = order[60 * (i % (len(x) // 60)) :][:60]
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(net(x[batch] / 255), y[batch].long()).backward()
        optimizer.step()
    with torch.no_grad():
        right = net(torch.tensor(mnist.test_images) / 255).argmax(1) == torch.tensor(mnist.test_labels)
    alive = {n: int((layer.weight != 0).sum()) for n, layer in zip(space["names"], net[::2], strict=True)}
    return float(right.float().mean()), alive


@pytest.mark.parametrize("iterations", [2_000, pytest.param(10_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(3600)
def test_five_lines_of_pytorch_train_to_the_stored_accuracy(iterations: int, mnist_dir: Path, tmp_path: Path) -> None:
    """To what is stored at that iteration, within four standard errors of two accuracies on 10,000 images (`audit`'s
    bound): batches come in another order. After 10,000 of 50,000 iterations the curve is flat."""
    made, file = published_ticket(tmp_path)
    spec = made.network.spec
    curve = results.curves([spec], results.Published()).set_index("iteration")["test_correct"] / 10_000
    found, alive = trained_plainly(file, iterations)
    assert abs(found - curve[iterations]) <= allowed_difference(curve[iterations], 10_000)
    assert all(alive[n] <= made.network.masks[f"{n}.weight"].sum() for n in alive)
    assert curve[spec.iterations] == float(made.facts["end_test"])


def test_the_page_shows_these_lines() -> None:
    page = ROOT / "notebooks" / "iclr_f_examining.ipynb"
    assert "opened_tickets.recipe(" in page.read_text("utf-8")
    assert len(opened_tickets.RECIPE.splitlines()) == 5 and os.linesep in opened_tickets.RECIPE
