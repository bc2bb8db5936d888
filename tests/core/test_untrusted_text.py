"""Text from strangers is text: refused on the way in where it is not plain, and never obeyed on the pages."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest
import torch
from bs4 import BeautifulSoup
from explored import small
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from pages import served
from places import ROOT
from safetensors.torch import save_file
from strangers import opened, tensors
from tiny import same_cells

from lth_companion import html
from lth_companion.build import book
from lth_companion.claims import verdicts as claims
from lth_companion.classroom import slides
from lth_companion.commands import main
from lth_companion.experiments import costs, timings
from lth_companion.figures import tables
from lth_companion.pages import ledger, status
from lth_companion.share import ticket_files
from lth_companion.widgets import TicketExplorer
from lth_core import analyse, own, reference, results, torchprune
from lth_core.errors import StoreError, UsageError, one_line
from lth_core.results import manifest
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import MADE, TAKEN, key_of
from lth_core.untrusted_text import code, fault, shown, tidied

# Harmless, and each piece would leave a trace if something obeyed it: 1337, a bold word, code, a formula, a link.
MARK = "{{ 7*191 }} <b data-mark>x</b> `y` | $z$ [l](t.example) www.mark.example *e* {doc}`intro` \\ &lt;"
NASTY = (MARK, "two\nlines", "a | b", "{{ 7*191 }}", "<b data-mark>", "`code`", "x" * 201, "\x1b[31m", "‮", "$x$", "é")
MACHINES = (
    "Intel(R) Xeon(R) Processor @ 2.50GHz", "Intel(R) Xeon(R) CPU           E5620  @ 2.40GHz", "NVIDIA H100 80GB HBM3",
    "AMD EPYC", "Intel Core Processor (Skylake, IBRS)", "QEMU Virtual CPU version 2.5+", "NVIDIA A100-SXM4-80GB",
    "Quadro RTX 6000/8000", "2.11.0+cu128", "030a1300a091+changes", "2026-11-21T05:59:18Z", "",
)  # fmt: skip


def one_sentence(error: Exception) -> str:
    text = str(error)
    assert text.isprintable() and len(text) < 700 and text.endswith("."), text
    assert "data-mark" not in text or "'" in text  # quoted at most
    return text


# --- The rule ---------------------------------------------------------------------------------------------------------


def test_plain_is_what_machines_are_called() -> None:
    assert not any(fault("device", name) for name in MACHINES)
    assert all(fault("device", text) for text in NASTY)
    assert all(not fault("device", tidied(text)) for text in NASTY)
    assert all(fault("x", odd) for odd in ([], {}, b"", float("nan"), 10**400))


def test_the_summary_has_the_columns_that_are_its_own() -> None:
    counts = {f"{part}_{what}": [1.0] for part in ("train", "val", "test") for what in ("loss", "correct")}
    row = analyse.summary(pd.DataFrame({"iteration": [0], **counts}), "mnist")
    assert sorted(row) == sorted(analyse.SUMMARY)
    assert {"spec", "section", *analyse.SUMMARY} <= TAKEN and not TAKEN & set(MADE)


# --- On the way in ----------------------------------------------------------------------------------------------------


def places(value: Any, path: tuple = ()) -> Iterator[tuple]:
    """The path of every text in a JSON value, and of every table's place for one more name."""
    if isinstance(value, dict):
        yield (*path, None)
        for name, inner in value.items():
            yield from places(inner, (*path, name))
    elif isinstance(value, str):
        yield path


def test_every_text_of_a_cell_is_plain_or_refused(forged, tmp_path: Path) -> None:
    found: list[tuple] = []
    forged(lambda cell, files: found.extend(p for p in places({**cell, "files": {}}) if p != ("digest",)))
    assert {("made", "device"), ("made", "engine"), ("spec", "arch"), ("made", None)} <= set(found)
    assert len(found) > 20
    for path in found:
        for text in NASTY if path == ("made", "device") else (MARK,):

            def change(cell: dict, files: dict, path: tuple = path, text: str = text) -> None:
                for name in path[:-1]:
                    cell = cell[name]
                cell[text if path[-1] is None else path[-1]] = text

            store = forged(change)
            with pytest.raises(StoreError) as refused:
                store.read(store.keys()[0])
            one_sentence(refused.value)


def test_a_refusal_names_cell_and_field(forged, tmp_path: Path, capsys) -> None:
    store = forged(lambda cell, files: cell["made"].update(device=MARK))
    assert main(["merge", str(store.root), "--store", str(tmp_path / "target")]) == 1
    said = capsys.readouterr().err
    assert store.keys()[0] in said and "device" in said and "letters, digits" in said and len(said.splitlines()) == 1
    assert Store(tmp_path / "target").keys() == []


@pytest.mark.parametrize("name", ["spec", "section", "stop_test", "convergence_test", "loss_rise", "learned", "depth",
                                  "Device", "a b", "", "{{x}}", "test@1000"])  # fmt: skip
def test_provenance_cannot_stand_in_another_columns_place(name: str, forged) -> None:
    store = forged(lambda cell, files: cell["made"].update({name: "x"}))
    with pytest.raises(StoreError, match="name"):
        store.read(store.keys()[0])


@pytest.mark.parametrize(("name", "value"), [("seconds", "3"), ("diverged", 0), ("cores", True), ("torch", 2.11),
                                             ("device", None), ("seconds", float("inf"))])  # fmt: skip
def test_provenance_is_typed(name: str, value: Any, forged) -> None:
    store = forged(lambda cell, files: cell["made"].update({name: value}))
    with pytest.raises(StoreError, match=name):
        store.read(store.keys()[0])


@pytest.mark.parametrize("device", MACHINES)
def test_real_machines_pass(device: str, forged) -> None:
    store = forged(lambda cell, files: cell["made"].update(device=device))
    assert store.read(store.keys()[0]).made["device"] == device


def test_every_text_of_a_ticket_is_plain_or_refused(exported: bytes, tmp_path: Path) -> None:
    file = tmp_path / "ticket.safetensors"
    names = [*opened(exported)[0]["__metadata__"], "another"]
    assert {"commit", "engine", "spec", "density"} <= set(names)
    for name in names:
        header, body = opened(exported)
        header["__metadata__"][name] = MARK
        file.write_bytes(tensors(header, body))
        with pytest.raises(StoreError) as refused:
            ticket_files.read(file)
        one_sentence(refused.value)
    file.write_bytes(exported)
    assert ticket_files.read(file).facts


def listed(root: Path) -> None:
    """Set every sum of a results folder right."""
    sums = {str(f.relative_to(root)): hashlib.sha256(f.read_bytes()).hexdigest() for f in root.glob("*/*.parquet")}
    (root / "MANIFEST.json").write_text(json.dumps(sums))


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A results folder of one section, a few networks of it."""
    root, section = tmp_path / "results", "iclr_f_examining"
    (root / section).mkdir(parents=True)
    keys = pd.read_parquet(ROOT / "results" / section / "cells.parquet")["key"].head(3)
    for name in ("cells", "curves", "masks", "weights"):
        table = pd.read_parquet(ROOT / "results" / section / f"{name}.parquet")
        table = table[table["key"].isin(keys)] if name in ("cells", "curves") else table.head(2)
        table.to_parquet(root / section / f"{name}.parquet", index=False)
    listed(root)
    return root


def everything(root: Path) -> results.Published:
    found = results.Published(root)
    assert len(found.cells) and len(found._weights)
    assert len(found._whole("iclr_f_examining", "masks")) and len(found._whole("iclr_f_examining", "curves"))
    for key in found.cells["key"]:
        found.spec(key)
    return found


def test_every_text_of_results_is_plain_or_refused(published: Path) -> None:
    everything(published)
    tried = 0
    for file in sorted(published.glob("*/*.parquet")):
        good = file.read_bytes()
        table = pd.read_parquet(file)
        texts = [c for c in table if table[c].dtype.kind not in "biuf"]
        for column in [*texts, None]:
            if (file.stem, column) == ("curves", "key"):  # only keys that are asked for are ever read
                continue
            changed = table.assign(**{column: [MARK] * len(table)}) if column else table.assign(**{MARK: "x"})
            changed.to_parquet(file, index=False)
            listed(published)
            with pytest.raises(StoreError, match=f"{file.parent.name}/{file.stem}") as refused:
                everything(published)
            assert (column or "no table") in one_sentence(refused.value)
            tried += 1
        file.write_bytes(good)
    assert tried > 25
    listed(published)
    everything(published)


def test_a_published_row_is_the_network_that_its_key_names(published: Path) -> None:
    file = next(published.glob("*/cells.parquet"))
    table = pd.read_parquet(file)
    for text in (table["spec"].iat[1], "{}", "{1}"):
        table.assign(spec=text).to_parquet(file, index=False)
        listed(published)
        with pytest.raises(StoreError, match="restore"):
            everything(published)


@pytest.mark.parametrize("name", [MARK, "../iclr/cells.parquet", "<b>/cells.parquet"])
def test_the_manifest_lists_files_of_ours(published: Path, name: str) -> None:
    (published / "MANIFEST.json").write_text(json.dumps({name: "0" * 64}))
    with pytest.raises(StoreError) as refused:
        _ = results.Published(published).cells
    one_sentence(refused.value)


def test_every_text_of_the_benchmark_and_the_verdicts(tmp_path: Path) -> None:
    good = (ROOT / "results" / "bench.json").read_text()
    manifest.commit(tmp_path, {"bench.json": good.encode()})
    made, rows = timings.bench(tmp_path)
    assert made["device"] and len(rows) > 20
    for part in ("made", "rows"):
        table = json.loads(good)[part]
        for name, value in (table if part == "made" else table[0]).items():
            if isinstance(value, str):
                bad = json.loads(good)
                (bad[part] if part == "made" else bad[part][0])[name] = MARK
                manifest.commit(tmp_path, {"bench.json": json.dumps(bad).encode()})
                with pytest.raises(StoreError, match=name) as refused:
                    timings.bench(tmp_path)
                one_sentence(refused.value)
    for cut in (good[:-20], "[]", '{"made": 3, "rows": 4}', "[" * 100_000):
        manifest.commit(tmp_path, {"bench.json": cut.encode()})
        with pytest.raises(StoreError, match=r"bench\.json"):
            timings.bench(tmp_path)
    assert timings.bench(tmp_path / "nowhere")[1].empty
    for verdicts in ({MARK: "reproduced"}, {"v1-hypothesis": MARK}, [MARK], {"v1-hypothesis": [1]}):
        manifest.commit(tmp_path, {"verdicts.json": json.dumps(verdicts).encode()})
        with pytest.raises(StoreError, match=r"verdicts\.json") as refused:
            claims.accepted(tmp_path / "verdicts.json")
        one_sentence(refused.value)
    assert claims.accepted()


def test_every_text_and_number_of_the_reference(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counts and means are shown on the landing page."""
    good = reference.FILE.read_text()
    monkeypatch.setattr(reference, "FILE", tmp_path / "reference" / reference.FILE.name)

    def put(text: str) -> None:
        manifest.commit(tmp_path, {f"reference/{reference.FILE.name}": text.encode()})

    put(good)
    levels, about = reference.read()
    assert len(levels) > 20 and about["trials"]
    shown = [("about", "trials"), ("about", "iterations"), ("levels", 0, "arm"), ("levels", 0, "round"),
             ("levels", 0, "density"), ("levels", 0, "stop_test", "mean"), ("levels", 0, "stop_test", "tolerance"),
             ("levels", 0, "end_test", "max")]  # fmt: skip
    for path in shown:
        for odd in (MARK, None, [], float("nan"), True):
            made = json.loads(good)
            place = made
            for name in path[:-1]:
                place = place[name]
            place[path[-1]] = odd
            put(json.dumps(made))
            with pytest.raises(StoreError, match="no reference") as refused:
                reference.read()
            one_sentence(refused.value)
    for text in ("[]", "{}", '{"about": 3, "levels": 4}', "null", "[" * 100_000):
        put(text)
        with pytest.raises(StoreError, match=reference.FILE.name):
            reference.read()


OWN = own.Ticket({"0.weight": torch.eye(3), "0.bias": torch.zeros(3)}, {"0.weight": torch.eye(3).bool()})


@pytest.mark.parametrize("place", ["name of a tensor", "format", "a word about it", "name of the file", "digest"])
def test_text_of_a_ticket_of_ones_own_is_one_printable_line(place: str, tmp_path: Path) -> None:
    """Names and words of a stranger's file are never obeyed: they can stand in a sentence alone, and as one line."""
    nasty = MARK + "\n\x1b[2J\x85"
    named_, words = (
        {"0.weight": OWN.weights["0.weight"], "0.weight.mask": OWN.masks["0.weight"]},
        {"format": own.ticket.FORMAT},
    )
    file = tmp_path / "ticket.safetensors"
    if place == "name of a tensor":
        named_ |= {nasty: torch.full((2,), 7.0), f"{nasty}.mask": torch.full((2,), 7.0)}
    elif place == "format":
        words["format"] = f"lth-{nasty}"
    elif place == "digest":
        words["digest"] = nasty
    elif place == "a word about it":
        words[nasty] = nasty
    else:
        file = tmp_path / nasty.replace("/", " ")
    save_file(named_, file, words)
    refusals = 0
    for use in (own.load, torchprune.masks_of, lambda f: own.load(f).fits(torch.nn.Linear(3, 3))):
        try:
            use(file)
        except UsageError as refused:
            refusals += 1
            assert one_line(str(refused)) == str(refused)
    assert refusals


@pytest.mark.parametrize("side", ["source", "target"])
@pytest.mark.parametrize("inner", [False, True], ids=["cells", "cells/ab"])
def test_merge_does_not_follow_a_linked_folder(side: str, inner: bool, whole: Store, tmp_path: Path, capsys) -> None:
    source, target = Store(tmp_path / "source"), Store(tmp_path / "target")
    shutil.copytree(whole.root, source.root)
    if side == "target":
        shutil.copytree(source.root, target.root)
    place = (source if side == "source" else target).root / "cells"
    place = next(place.iterdir()) if inner else place
    place.rename(tmp_path / "elsewhere")
    place.symlink_to(tmp_path / "elsewhere")
    assert main(["merge", str(source.root), "--store", str(target.root)]) == 1
    said = capsys.readouterr().err
    assert "is a link" in said and len(said.splitlines()) == 1
    place.unlink()
    (tmp_path / "elsewhere").rename(place)
    assert main(["merge", str(source.root), "--store", str(target.root)]) == 0 and same_cells(source, target)


def head_of_the_workflow(**settings: Any) -> dict[str, Any]:
    """The part of the Snakefile that is plain Python, run with these settings."""
    text = (ROOT / "workflow" / "Snakefile").read_text().split("wildcard_constraints:")[0]
    text = text.replace('configfile: "workflow/config.yaml"', "")
    config = dict(figures=["all"], shards=1, profile="published", dataset="own", trials=0, device="auto", store="s",
                  results="r", python="")  # fmt: skip
    names: dict[str, Any] = {"config": {**config, **settings}}
    exec(text, names)
    return names


@pytest.fixture
def workflow_error(monkeypatch: pytest.MonkeyPatch) -> type[Exception]:
    """Snakemake's own error, in whose place this stands where only the book is installed."""
    module = types.ModuleType("snakemake.exceptions")
    module.WorkflowError = type("WorkflowError", (Exception,), {})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "snakemake", types.ModuleType("snakemake"))
    monkeypatch.setitem(sys.modules, "snakemake.exceptions", module)
    return module.WorkflowError


@pytest.mark.parametrize("name", ["figures", "profile", "dataset", "trials", "device"])
def test_a_setting_of_the_workflow_is_a_name_or_refused(name: str, workflow_error: type[Exception]) -> None:
    honest = head_of_the_workflow(
        figures="iclr-fig03,v1_3_mnist_oneshot", profile="quick", dataset="digits", trials="2"
    )
    assert honest["FIGURES"] == ["iclr-fig03", "v1_3_mnist_oneshot"] and "--trials 2" in honest["SCALE"]
    for text in ("iclr-fig03;echo mark", "$(echo mark)", "a b", "-x", "", "a\nb", "`x`"):
        for value in (text, [text]):
            with pytest.raises(workflow_error, match=name):
                head_of_the_workflow(**{name: value})


# --- On the way out ---------------------------------------------------------------------------------------------------


def hostile_cells() -> pd.DataFrame:
    """Published networks whose every text is marked, as if nobody had looked on the way in."""
    published_ = results.Published()
    cells = published_.cells
    cells = cells[cells["section"].isin(["iclr_3_conv", "iclr_f_examining"])].astype({"diverged": bool}).copy()
    for column in ("device", "torch", "commit", "section", "engine"):
        cells[column] = MARK
    return cells


def hostile_markdown(monkeypatch: pytest.MonkeyPatch) -> str:
    """All that the library gives to Markdown pages about networks, of marked ones."""
    cells = hostile_cells()
    whose = cells.assign(engine=cells["arch"].str.startswith("lenet").map({True: "sparse", False: "dense-cpu"}))
    own = results.Published()
    fake = types.SimpleNamespace(cells=whose, spec=own.spec, has=own.has, diverged=own.diverged)
    monkeypatch.setattr(results, "Published", lambda *a, **k: fake)
    pieces = html.provenance("python -m lth_core run x", device=MARK, commit=MARK, **{MARK: MARK})
    table = tables.frame(pd.DataFrame({MARK: [MARK], "n": [MARK]}), "A table.")
    versus = html.versus(
        pd.DataFrame([dict(quantity=MARK, paper=MARK, measured=1.0, low=0.5, high=2.0, n=3, matches=True, unit=MARK)]),
        caption="Both.",
    )
    return "\n\n".join([
        status.told(cells), costs.lenet(), costs.conv(), html.in_markdown(pieces, table, versus),
        f"A sentence with {shown(MARK)} and {code(MARK)}.", f"{shown('- ' + MARK)}",
    ])  # fmt: skip


@pytest.fixture(scope="module")
def small_book(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A book of the project's settings and three pages: marked text, a slider of ours, and a stranger's widget."""
    root = tmp_path_factory.mktemp("small")
    (root / "book").mkdir()
    shutil.copy(ROOT / "_config.yml", root)
    for name in ("_ext", "_assets", "_templates"):
        shutil.copytree(ROOT / "book" / name, root / "book" / name, ignore=shutil.ignore_patterns("__pycache__"))
    book.vendor(root / "book" / "_vendor" / "mathjax")
    (root / "book" / "_slides").mkdir()
    (root / "book" / "references.bib").write_text("")
    shutil.copy(ROOT / "book" / "glossary.md", root / "book")
    chapters = "".join(f"  - file: {name}\n" for name in ("glossary", "slider"))
    (root / "book" / "_toc.yml").write_text(
        f"format: jb-book\nroot: intro\nparts:\n- caption: All\n  chapters:\n{chapters}"
    )
    with pytest.MonkeyPatch.context() as patch:
        text = hostile_markdown(patch)
    (root / "book" / "intro.md").write_text(f"# Marked\n\nA formula $x^2$.\n\n{text}\n")
    widget = TicketExplorer(small())
    view = {"model_id": widget.model_id, "version_major": 2, "version_minor": 1}
    states: dict[str, Any] = {
        widget.model_id: {"model_module": "anywidget", "model_name": "AnyModel", "model_module_version": "~0.11.*",
                          "state": {k: v for k, v in widget.get_state().items() if k != "layout"}}
    }  # fmt: skip
    nothing = pd.DataFrame(columns=["id", "verdict", "paper", "notebook", "dataset", "importance", "total"])
    cell = new_code_cell("1", outputs=[
        new_output("display_data", {"application/vnd.jupyter.widget-view+json": view, "text/plain": "slider"}),
        new_output("display_data", {"text/markdown": f"Measured on {shown(MARK)}.", "text/plain": ""}),
        new_output("display_data", {"text/html": html.provenance("x", device=MARK).text, "text/plain": ""}),
        new_output("display_data", {"text/html": ledger.table(nothing).text, "text/plain": ""}),
    ])  # fmt: skip
    states_of = {"application/vnd.jupyter.widget-state+json": {"state": states, "version_major": 2, "version_minor": 0}}
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    page = new_notebook(
        cells=[new_markdown_cell("# A slider"), cell], metadata={"kernelspec": kernel, "widgets": states_of}
    )
    nbformat.write(page, root / "book" / "slider.ipynb")
    build = [str(Path(sys.executable).with_name("jupyter-book")), "build", "book", "--config", "_config.yml"]
    run = subprocess.run(
        [*build, "--path-output", ".", "--keep-going", "-q"], cwd=root, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert run.returncode == 0, run.stdout + run.stderr
    assert "none of the book's" not in run.stdout + run.stderr
    return root / "_build" / "html"


def test_marked_text_is_only_text_on_the_built_pages(small_book: Path) -> None:
    for name, least in (("intro", 15), ("slider", 2)):
        soup = BeautifulSoup((small_book / f"{name}.html").read_text("utf-8"), "html.parser")
        article = soup.select_one("article")
        assert article and not article.select("[data-mark], a[href*=example]")
        said = " ".join(article.get_text().split())
        assert "1337" not in said and said.count("{{ 7*191 }} <b data-mark>x</b> `y` | $z$") >= least
        assert said.count("www.mark.example *e* {doc}`intro` \\ &lt;") >= least
        marked = [
            n for n in article.select("code, em, strong, .math") if "mark" in n.get_text() or "7*191" in n.get_text()
        ]
        assert not marked


def test_what_a_page_runs_is_listed(small_book: Path) -> None:
    for file in small_book.glob("*.html"):
        text = file.read_text("utf-8")
        if 'http-equiv="Refresh"' in text or "<head>" not in text:
            continue
        head = text.split("<script", 1)[0]
        assert 'http-equiv="Content-Security-Policy"' in head and "'sha256-" in head
        policy = head.split("Security-Policy", 1)[1].split("/>")[0]
        assert "script-src 'self' file: blob: 'sha256-" in policy and "default-src 'none'" in policy
        soup = BeautifulSoup(text, "html.parser")
        assert not [n for n in soup.find_all(True) if any(a.startswith("on") for a in n.attrs)], file.name


@pytest.mark.parametrize(
    "strange",
    [
        "<script>document.title = 'mark'</script>", "<SCRIPT src=x.js></SCRIPT>",
        '<script src="//a.example/x.js"></script>',
        '<script type="module">1</script>', "<script>", '<script src="x.js" onerror="1"></script>',
        '<script type="application/vnd.jupyter.widget-state+json">{"state": {"a": {"state": {"_esm": "1"}}}}</script>',
    ],
)  # fmt: skip
def test_a_script_that_is_none_of_the_books_is_left_as_text(strange: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "book" / "_ext"))
    import lth_book

    slide, none = lth_book.guarded(slides.make("# Title", ROOT, str), lth_book.carried(), set())
    assert not none and slide.count("sha256-") == 1
    page = '<head><meta charset="utf-8" /><script>let own;</script></head><p>text</p>'
    good, none = lth_book.guarded(page, {"let own;"}, lth_book.own_modules())
    assert not none and "<script>let own;</script>" in good
    made, found = lth_book.guarded(page.replace("<p>", f"<p>{strange}"), {"let own;"}, lth_book.own_modules())
    assert len(found) == 1 and made.lower().count("<script") == 1 and made.count("sha256-") == 1


INJECTED = (
    "<script>document.documentElement.dataset.mark = 'inline'</script>"
    '<img src="data:image/png;base64,x" onerror="document.documentElement.dataset.mark = \'handler\'">'
    '<a id="injected" href="javascript:document.documentElement.dataset.mark = \'link\'">x</a>'
)


WORKER = """() => new Promise(done => {
  const worker = new Worker(URL.createObjectURL(new Blob(["postMessage(191)"], { type: "text/javascript" })));
  worker.onmessage = (message) => done(message.data);
  worker.onerror = () => done("no worker");
})"""


@pytest.mark.browser
@pytest.mark.parametrize("opened_from", ["server", "disk"])
def test_the_policy_stops_what_is_injected_and_nothing_else(small_book: Path, browser: Any, opened_from: str) -> None:
    hurt = small_book / "hurt.html"
    hurt.write_text((small_book / "slider.html").read_text("utf-8").replace("</h1>", f"</h1>{INJECTED}", 1), "utf-8")
    free = small_book / "free.html"  # the same without a policy, as a proof that the marks would be made
    text = hurt.read_text("utf-8")
    free.write_text(text.replace('http-equiv="Content-Security-Policy"', 'name="none"'), "utf-8")
    with served(small_book) as address:
        base = address if opened_from == "server" else small_book.as_uri()
        page = browser.new_context().new_page()
        errors: list[str] = []
        page.on("pageerror", lambda error: errors.append(str(error)))
        told = ("error", "warning")  # but of a picture for the tab, which browsers ask for unasked
        page.on(
            "console",
            lambda line: line.type in told and "favicon" not in str(line.location) and errors.append(line.text),
        )
        mark = "document.documentElement.dataset.mark ?? ''"
        for name in ("slider", "intro", "search", "glossary"):
            page.goto(f"{base}/{name}.html", wait_until="load")
            page.wait_for_timeout(300)
        assert not errors, errors
        page.goto(f"{base}/intro.html")
        page.wait_for_selector("mjx-container")  # MathJax runs, with its fonts
        page.goto(f"{base}/slider.html")
        slider = page.locator(".lth-widget input").first
        before = slider.input_value()
        slider.focus()
        page.keyboard.press("ArrowRight")
        assert slider.input_value() != before  # alive
        assert page.evaluate(WORKER) == 191  # as XOR's live networks have one
        page.goto(f"{base}/free.html", wait_until="load")
        page.wait_for_timeout(200)
        assert page.evaluate(mark) == "handler"
        page.goto(f"{base}/hurt.html", wait_until="load")
        page.wait_for_timeout(200)
        page.evaluate("document.querySelector('#injected').click()")
        page.wait_for_timeout(100)
        assert page.evaluate(mark) == ""
        page.context.close()


def test_keys_and_plain_names_stay_as_they_are() -> None:
    key = key_of(Spec())
    assert (
        shown(key) == key
        and code("iclr_2_lenet") == "`iclr_2_lenet`"
        and shown("AMD EPYC, 2.11.0") == "AMD EPYC, 2.11.0"
    )
