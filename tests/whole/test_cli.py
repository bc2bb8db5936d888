"""The command line does what its options say; what it trains, publishes and exports is small here."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from lth_companion.commands import main
from lth_companion.commands.command_line import seconds
from lth_companion.experiments import catalogue
from lth_companion.share import publish, ticket_files
from lth_core import results, tickets
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

TINY = catalogue.Scale(dataset="digits", iterations=400, trials=1, rounds=2, replicates=1)


def rows(*arms: str) -> list[Spec]:
    return catalogue.iterative(TINY, arms or ("ticket", "reinit"), rate=0.5, arch="lenet-20-10", eval_every=100)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    made = Store(tmp_path_factory.mktemp("store"))
    tickets.run(rows("ticket", "reinit", "shuffle"), made, device="cpu")
    return made


@pytest.fixture
def two_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two figures of one section, each with a control of its own."""
    few = dict.fromkeys(f for f, figure in catalogue.FIGURES.items() if figure.notebook == "iclr_2_lenet")
    for figure in few:
        monkeypatch.delitem(catalogue.FIGURES, figure)
    for figure, control in (("iclr-fig03", "reinit"), ("iclr-fig04", "shuffle")):
        made = catalogue.Figure(figure, "iclr_2_lenet", "", lambda s, c=control: rows("ticket", c))
        monkeypatch.setitem(catalogue.FIGURES, figure, made)


@pytest.mark.parametrize(("text", "value"), [("90", 90), ("90s", 90), ("9m", 540), ("1.5h", 5400)])
def test_a_budget_is_in_seconds(text: str, value: float) -> None:
    assert seconds(text) == value


def test_run_is_asked_for_what_the_options_say(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict = {}
    monkeypatch.setattr(tickets, "run", lambda rows, store, **how: seen.update(rows=rows, **how) or tickets.Report())
    scale = ["--profile", "quick", "--dataset", "digits", "--trials", "4", "--seed", "3"]
    how = ["--device", "cpu", "--engine", "dense", "--shard", "2/3", "--budget", "9m", "--store", str(tmp_path)]
    assert main(["run", "iclr-fig03", "iclr-fig04", *scale, *how, "--quiet"]) == 0
    both = [
        s for f in ("iclr-fig03", "iclr-fig04") for s in catalogue.rows(f, "quick", trials=4, seed=3, dataset="digits")
    ]
    assert seen["rows"] == tickets.shard_of(list(dict.fromkeys(both)), 2, 3)
    assert seen["budget"] == 540 and (seen["device"], seen["engine"]) == ("cpu", "dense")
    assert {s.seed for s in seen["rows"]} == {3} and seen["known"] is None
    assert main(["run", "iclr-fig04c", "--quiet", "--store", str(tmp_path), "--published"]) == 0
    published = seen["known"]
    assert (
        seen["rows"]
        == [s for s in catalogue.rows("iclr-fig04c") if not published.has(s)]
        != catalogue.rows("iclr-fig04c")
    )


def test_too_little_memory_is_one_sentence(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture) -> None:
    def full(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr(tickets, "run", full)
    assert main(["run", "iclr-fig03", "--profile", "quick", "--dataset", "digits", "--quiet", "--device", "cpu"]) == 1
    said = capsys.readouterr().err
    assert said.startswith("lth_core: ") and said.count("\n") == 1 and "too little memory" in said


def test_run_trains_once(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalogue, "rows", lambda *_, **__: rows())
    run = ["run", "iclr-fig03", "--quiet", "--device", "cpu", "--store", str(tmp_path)]
    assert main(run) == 0 and f"{len(rows())} trained, 0 were there, 0 missing" in capsys.readouterr().out
    assert main(run) == 0 and f"0 trained, {len(rows())} were there" in capsys.readouterr().out


@pytest.mark.parametrize("masks", [False, True])
def test_publish_keeps_masks_when_asked(masks: bool, store: Store, tmp_path: Path, two_figures: None) -> None:
    more = ["--masks"] if masks else []
    assert main(["publish", "iclr-fig03", "--results", str(tmp_path), "--store", str(store.root), *more]) == 0
    ticket = next(s for s in rows() if s.round and s.arm == "ticket")
    assert results.Published(tmp_path).has_masks(ticket) is masks


def test_publishing_a_figure_keeps_the_rest_of_its_section(store: Store, tmp_path: Path, two_figures: None) -> None:
    """Found in review: a section is written whole, and the other figures' networks were gone without a word."""
    again = ["publish", "--results", str(tmp_path), "--store", str(store.root)]
    assert main([*again, "iclr_2_lenet"]) == 0
    whole = set(results.Published(tmp_path).cells["key"])
    assert whole == {key_of(s) for s in rows("ticket", "reinit", "shuffle")}
    assert main([*again, "iclr-fig03"]) == 0
    assert set(results.Published(tmp_path).cells["key"]) == whole


def adopted(store: Store, root: Path, specs: list[Spec]) -> Store:
    """A store with some cells of another."""
    made = Store(root)
    for spec in specs:
        made.adopt(store, key_of(spec))
    return made


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """The same rows trained by the other engine: other last bits, so a few other weights are pruned."""
    made = Store(tmp_path_factory.mktemp("elsewhere"))
    tickets.run(rows("ticket", "reinit", "shuffle"), made, device="cpu", engine="dense")
    return made


@pytest.mark.parametrize("chain", [True, False])
def test_a_figure_is_added_without_training_its_section_again(
    chain: bool, store: Store, tmp_path: Path, two_figures: None, capsys: pytest.CaptureFixture
) -> None:
    """Found on a fresh machine: the store was gone, and no figure could join those in results/ any more. With its chain
    trained again, or from the masks in results/ alone."""
    root = tmp_path / "results"
    assert main(["publish", "iclr-fig03", "--masks", "--results", str(root), "--store", str(store.root)]) == 0
    before = results.Published(root)
    table, curves = before.table(rows()), before.curves(rows())
    new = [s for s in rows("shuffle") if s.round]
    add = ["publish", "iclr-fig04", "--results", str(root), "--store", str(tmp_path / "fresh")]
    assert main(add) == 1 and "iclr_2_lenet lacks 2 networks" in capsys.readouterr().err
    if chain:
        adopted(store, tmp_path / "fresh", [*new, rows()[0]])
    else:
        tickets.run(new, Store(tmp_path / "fresh"), device="cpu", known=before)
    assert main(add) == 0
    after = results.Published(root)
    assert set(after.cells["key"]) == {key_of(s) for s in rows("ticket", "reinit", "shuffle")}
    assert after.table(rows()).equals(table) and after.curves(rows()).equals(curves)
    assert len(after.curves(new)) == len(results.curves(new, store))
    last = rows("ticket")[-1]
    assert all((mask == after.masks(last)[name]).all() for name, mask in store.read(key_of(last)).masks.items())


@pytest.mark.parametrize("held", [("ticket", "shuffle"), ("shuffle",)])
def test_trainings_of_another_machine_do_not_mix_with_those_published(
    held: tuple[str, ...], store: Store, elsewhere: Store, tmp_path: Path, two_figures: None,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    root = tmp_path / "results"
    assert main(["publish", "iclr-fig03", "--masks", "--results", str(root), "--store", str(store.root)]) == 0
    before = (root / "MANIFEST.json").read_bytes()
    fresh = adopted(elsewhere, tmp_path / "fresh", rows(*held))
    add = ["publish", "iclr-fig04", "--results", str(root), "--store"]
    assert main([*add, str(fresh.root)]) == 1 and "other trainings than those published" in capsys.readouterr().err
    assert (root / "MANIFEST.json").read_bytes() == before
    assert main([*add, str(elsewhere.root)]) == 0  # it holds all that grows from that network
    after = results.Published(root)
    assert set(after.cells["engine"]) == {"dense-cpu"}
    for spec in rows("ticket", "reinit", "shuffle"):
        assert after.cells.at[key_of(spec), "masks"] == elsewhere.read(key_of(spec)).made["masks"]
    last = rows("ticket")[-1]
    assert all((m == after.masks(last)[n]).all() for n, m in elsewhere.read(key_of(last)).masks.items())


def test_rounds_that_cannot_be_do_not_keep_a_store_from_replacing_what_is_published(tmp_path: Path) -> None:
    """Found on the last read: a chain that diverged would have refused the whole of another machine's training."""
    broken = catalogue.iterative(TINY, rate=0.5, arch="lenet-20-10", eval_every=100, optimizer="sgd", lr=1e30)
    store = Store(tmp_path / "store")
    tickets.run(broken, store, device="cpu")
    publish.write({"a": results.possible(broken, store)}, publish.Either(store), tmp_path / "results")
    assert publish.joined(broken, store, results.Published(tmp_path / "results")).renewed == {broken[0]}


def test_sections_written_together_keep_and_exchange_networks(store: Store, tmp_path: Path) -> None:
    """Found in review: what one section gave up to another was lost, and a file read after it was written anew."""
    root, fresh = tmp_path / "results", Store(tmp_path / "fresh")
    chain = rows("ticket")
    controls = [s for s in rows("reinit", "shuffle") if s.round]
    publish.write({"a": chain, "b": controls}, publish.Either(store), root, masks=["a"], weights=chain[1:])
    before = results.Published(root)
    table, curves = before.table(chain + controls), before.curves(chain + controls)
    for sections in ({"a": [*chain, *controls], "b": []}, {"a": [], "b": [*chain, *controls]}):
        every = [s for specs in sections.values() for s in specs]
        publish.write(sections, publish.joined(every, fresh, results.Published(root)), root, weights=chain[1:])
        after = results.Published(root)
        assert after.table(chain + controls).equals(table) and after.has_trained(chain[1])
        assert len(after.curves(every)) == len(curves)
        assert [len(part) for _, part in after.parts("cells")] == [len(every)]


def test_publish_loses_nothing_unasked(
    store: Store, tmp_path: Path, two_figures: None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    again = ["publish", "iclr_2_lenet", "--results", str(tmp_path), "--store", str(store.root)]
    assert main(again) == 0
    whole = set(results.Published(tmp_path).cells["key"])
    smaller = replace(catalogue.FIGURES["iclr-fig04"], rows=lambda s: rows("ticket"))
    monkeypatch.setitem(catalogue.FIGURES, "iclr-fig04", smaller)
    assert main(again) == 2 and "2 published networks of iclr_2_lenet" in capsys.readouterr().err
    assert set(results.Published(tmp_path).cells["key"]) == whole
    assert main([*again, "--drop"]) == 0
    assert set(results.Published(tmp_path).cells["key"]) == {key_of(s) for s in rows()}


def test_publishing_a_section_keeps_what_another_page_shows(
    store: Store, tmp_path: Path, two_figures: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Networks that two sections share lie in one of them. Found on the landing page: publishing that lost them."""
    again = ["publish", "iclr_2_lenet", "--results", str(tmp_path), "--store", str(store.root), "--drop"]
    shared = replace(catalogue.FIGURES["beyond-mistakes"], rows=lambda s: rows("ticket"), published_rows=None)
    monkeypatch.setitem(catalogue.FIGURES, "beyond-mistakes", shared)
    assert main(again) == 0
    for figure in ("iclr-fig03", "iclr-fig04"):
        reinits = replace(catalogue.FIGURES[figure], rows=lambda s: [x for x in rows() if x.arm == "reinit"])
        monkeypatch.setitem(catalogue.FIGURES, figure, reinits)
    assert main(again) == 0
    there = set(results.Published(tmp_path).cells["key"])
    assert {key_of(s) for s in rows("ticket")} <= there
    shared = replace(shared, rows=lambda s: [])
    monkeypatch.setitem(catalogue.FIGURES, "beyond-mistakes", shared)
    assert main(again) == 0
    assert set(results.Published(tmp_path).cells["key"]) == {key_of(x) for x in rows() if x.arm == "reinit"}


@pytest.mark.parametrize("trained", [False, True])
def test_export_adds_trained_weights_when_asked(trained: bool, store: Store, tmp_path: Path) -> None:
    key = key_of(next(s for s in rows() if s.round and s.arm == "ticket"))
    more = ["--trained"] if trained else []
    assert main(["export", key, "--out", str(tmp_path), "--from-store", "--store", str(store.root), *more]) == 0
    (file,) = tmp_path.iterdir()
    assert bool(ticket_files.read(file).trained) is trained


@pytest.mark.parametrize(
    ("command", "said"),
    [
        ("claims --results DIR", "DIR holds no published measurements"),
        ("claims --results DIR/none", "DIR/none holds no published measurements"),
        ("claims --results DIR/none --accept", "DIR/none holds no published measurements"),
        ("power --results DIR/none --quiet", "DIR/none holds no published measurements"),
        ("export all --results DIR/none --out DIR/out", "DIR/none holds no published measurements"),
        ("claims --from-store --store DIR/none", "there is no store DIR/none"),
        ("audit all --from-store --store DIR/none", "there is no store DIR/none"),
        ("export all --from-store --store DIR/none --out DIR/out", "there is no store DIR/none"),
        ("status iclr-fig04 --store DIR/file", "--store DIR/file is a file: give a folder"),
        ("run iclr-fig04 --budget 0 --store DIR/file", "--store DIR/file is a file: give a folder"),
        ("import DIR/none", "DIR/none does not exist"),
        ("run --budget 0 --store DIR/none", "name a figure, a notebook, or all"),
        ("run IClr-Fg04 --budget 0 --store DIR/none", "figure 'IClr-Fg04' does not exist: perhaps iclr-fig04"),
        ("status v1_3 --store DIR/none", "figure 'v1_3' does not exist: perhaps v1_3_mnist_oneshot"),
        ("status lenet --store DIR/none", "or a figure's name, which `status` lists"),
        ("audit deadbeef", "figure 'deadbeef' does not exist"),
    ],
)
def test_a_name_with_a_mistake_in_it_is_one_sentence(
    command: str, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """No folder is made of it, and none that is not there passes for one in which nothing is measured."""
    (tmp_path / "file").write_text("x")
    assert main(command.replace("DIR", str(tmp_path)).split()) == 2
    out, err = capsys.readouterr()
    assert err.startswith("lth_core: ") and said.replace("DIR", str(tmp_path)) in err
    assert err.count("\n") == 1 and err.endswith(".\n") and len(err) < 500 and not out
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


def test_a_store_that_is_not_there_yet_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "iclr-fig04", "--store", str(tmp_path / "_stor")]) == 1
    assert capsys.readouterr().err == f"lth_core: there is no store {tmp_path / '_stor'} yet.\n"
