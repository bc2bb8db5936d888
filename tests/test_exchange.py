"""Tickets as files: they come back bit for bit, and train in plain PyTorch to what is stored with them. Files that are
not to be trusted are in test_trust."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from test_store import tiny_rows

from lth_core import anatomy, data, exchange, paper, results, tickets
from lth_core.__main__ import main
from lth_core.audit import allowed_difference
from lth_core.cell import StoreError, key_of
from lth_core.spec import UsageError
from lth_core.store import Store

TICKET = next(s for s in tiny_rows() if s.arm == "ticket" and s.round == 2)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("whole") / "store")
    tickets.run(tiny_rows(), made, device="cpu")
    return made


@pytest.mark.parametrize("arm", ["ticket", "reinit"])
def test_a_ticket_comes_back_bit_for_bit(arm: str, store: Store, tmp_path: Path) -> None:
    spec = next(s for s in tiny_rows() if s.arm == arm and s.round == 2)
    before = exchange.ticket(spec, store, trained=arm == "ticket")
    after = exchange.read(exchange.write(before, tmp_path))
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


def test_published_tickets_are_those_of_the_store(store: Store, tmp_path: Path) -> None:
    """Initial weights are drawn anew, masks read off their chain, movement off its rounded change."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    results.publish({"some": rows}, store, tmp_path, masks=["some"], weights=[TICKET, TICKET.at_round(0)])
    published = results.Published(tmp_path)
    for spec in (TICKET, TICKET.at_round(0)):
        kept, whole = (exchange.ticket(spec, source, trained=True) for source in (published, store))
        assert exchange.agreement(kept, store) and exchange.agreement(whole, published)
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
    files = results.publish({"one": rows, "two": rows}, store, tmp_path, masks=["two"], weights=[TICKET])
    assert [str(f.relative_to(tmp_path)) for f in files] == [
        "one/cells.parquet", "one/curves.parquet", "one/weights.parquet", "two/masks.parquet",
    ]  # fmt: skip
    results.publish({"three": rows}, store, tmp_path, masks=["three"], weights=[TICKET])
    assert not (tmp_path / "three").exists()
    assert results.Published(tmp_path).has_masks(TICKET)


def test_masks_of_a_chain_in_two_sections(store: Store, tmp_path: Path) -> None:
    """One section opens a chain's early rounds, another all: either way each network has its own masks."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    early = [s for s in rows if s.round < 2]
    for sections in ({"early": early, "all": rows}, {"all": rows}, {"early": early}):
        results.publish(sections, store, tmp_path, masks=list(sections))
        published = results.Published(tmp_path)
        for spec in rows:
            own, whole = results.masks(spec, published), results.masks(spec, store)
            assert all(np.array_equal(own[name], whole[name]) for name in whole)


def test_published_again_nothing_old_remains(store: Store, tmp_path: Path) -> None:
    """Masks beside cells of a later publication would be those of networks that are no longer there."""
    rows = [s for s in tiny_rows() if s.arm == "ticket"]
    results.publish({"some": rows}, store, tmp_path, masks=["some"], weights=rows)
    results.publish({"some": [s for s in rows if s.trial == 0]}, store, tmp_path)
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
    assert main(["import", str(file), "--results", str(tmp_path / "none")]) == 0
    assert "masks not in results/" in capsys.readouterr().out
    assert main(["export", "no-such-figure", "--out", str(tmp_path), *where]) == 2
    assert "allowed" in capsys.readouterr().err
    assert main(["import", str(tmp_path / "gone.safetensors")]) == 1


def test_a_mask_that_differs_is_said(store: Store, tmp_path: Path, capsys) -> None:
    found = exchange.ticket(TICKET, store)
    masks = {n: m.copy() for n, m in found.network.masks.items()}
    flat = masks["fc1.weight"].reshape(-1)
    flat[[np.flatnonzero(flat)[0], np.flatnonzero(~flat)[0]]] = False, True
    moved = exchange.Ticket(tickets.start(TICKET, masks), {}, found.facts)
    file = exchange.write(moved, tmp_path)
    assert main(["import", str(file), "--store", str(store.root), "--from-store"]) == 1
    assert "OTHER MASKS" in capsys.readouterr().out


def test_what_has_no_initial_weights_of_its_own_is_not_exported(store: Store) -> None:
    control = next(s for s in tiny_rows() if s.arm == "reinit")
    with pytest.raises(UsageError, match="leave out --trained"):
        exchange.ticket(control, store, trained=True)
    with pytest.raises(StoreError, match="not measured"):
        exchange.ticket(TICKET.at_round(2, trial=9), store)


# --- In plain PyTorch -------------------------------------------------------------------------------------------------


def published_ticket(folder: Path) -> tuple[exchange.Ticket, Path]:
    """The ticket that the book's page takes out of results/."""
    spec = next(s for s in paper.rows("iclr-fig15", "published") if s.round == 8 and s.trial == 0)
    made = exchange.ticket(spec, results.Published())
    return made, exchange.write(made, folder)


def trained_plainly(file: Path, iterations: int) -> tuple[float, dict[str, int]]:
    """The page's five lines, then Adam on batches of 60: test accuracy, and weights of each layer that are not 0."""
    import torch

    torch.set_num_threads(1)  # layers this small gain nothing from a second one, and lose where cores are shared
    space: dict = {}
    exec(anatomy.RECIPE.format(file=file), space)
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


@pytest.mark.parametrize("iterations", [2_000, pytest.param(50_000, marks=pytest.mark.slow)])
@pytest.mark.timeout(900)
def test_five_lines_of_pytorch_train_to_the_stored_accuracy(iterations: int, mnist_dir: Path, tmp_path: Path) -> None:
    """To what is stored at that iteration, within four standard errors of two accuracies on 10,000 images (`audit`'s
    bound): batches come in another order."""
    made, file = published_ticket(tmp_path)
    spec = made.network.spec
    curve = results.curves([spec], results.Published()).set_index("iteration")["test_correct"] / 10_000
    found, alive = trained_plainly(file, iterations)
    assert abs(found - curve[iterations]) <= allowed_difference(curve[iterations], 10_000)
    assert all(alive[n] <= made.network.masks[f"{n}.weight"].sum() for n in alive)
    if iterations == 50_000:
        assert curve[iterations] == float(made.facts["end_test"])


def test_the_page_shows_these_lines() -> None:
    page = Path(__file__).resolve().parents[1] / "notebooks" / "iclr_f_examining.ipynb"
    assert "anatomy.recipe(" in page.read_text("utf-8")
    assert len(anatomy.RECIPE.splitlines()) == 5 and os.linesep in anatomy.RECIPE
