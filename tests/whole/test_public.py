"""What others build on: public names, documented, typed and tried; data dictionary, reference curves, archive, docs."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import inspect
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
import torch
from places import ROOT

import lth_core
from lth_companion.build import archive
from lth_companion.claims import bounds, curves, sizes
from lth_companion.experiments import costs
from lth_companion.pages import faq
from lth_companion.share import publish
from lth_companion.share import reference as reference_make
from lth_core import own, reference, results
from lth_core.errors import StoreError, UsageError
from lth_core.results import manifest

NAMES = [(module, name) for module, names in lth_core.PUBLIC.items() for name in names]
# Every public function there has an example.
TRIED = (
    "own",
    "own.network",
    "own.state_dicts",
    "own.ticket",
    "own.experiment",
    "own.examples",
    "own.cost",
    "own.rounds",
    "own.statements",
    "torchprune",
    "torchprune.forms",
    "torchprune.kernels",
    "torchprune.modules",
    "analyse",
    "prune",
    "reference",
)


def functions(thing: Any) -> list[Any]:
    """A public function, or the public methods of a class."""
    if inspect.isclass(thing):
        return [f for n, f in vars(thing).items() if inspect.isfunction(f) and not n.startswith("_")]
    return [thing]


@pytest.mark.parametrize(("module", "name"), NAMES, ids=".".join)
def test_public_names_are_documented_and_typed(module: str, name: str) -> None:
    thing = getattr(importlib.import_module(f"lth_core.{module}"), name)
    assert thing.__doc__ and len(thing.__doc__) > 40
    for function in functions(thing):
        signature = inspect.signature(function)
        assert function.__doc__ or inspect.isclass(thing)
        assert signature.return_annotation is not inspect.Signature.empty, function
        untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty and p.name != "self"]
        assert not untyped, f"{function.__qualname__}: {untyped}"
    page = (ROOT / "book" / "api.md").read_text()
    assert re.search(rf"\b{name}\b", page.split("## Reference")[1]), f"{module}.{name} is not on the page"


@pytest.mark.parametrize("module", TRIED)
def test_examples_in_docstrings_are_true(module: str) -> None:
    found = doctest.testmod(importlib.import_module(f"lth_core.{module}"))
    assert found.attempted and not found.failed


def test_types_are_shipped() -> None:
    assert (Path(lth_core.__file__).parent / "py.typed").exists()
    assert "py.typed" in (ROOT / "pyproject.toml").read_text()


# --- Published data ---------------------------------------------------------------------------------------------------


def dictionary() -> dict[str, set[str]]:
    """File -> columns that the page describes."""
    found: dict[str, set[str]] = {}
    for part in re.split(r"^## ", (ROOT / "book" / "data.md").read_text(), flags=re.M)[1:]:
        if name := re.match(r"`(\w+)\.parquet`", part):
            found[name[1]] = set(re.findall(r"^\| `(\w+)` \|", part, flags=re.M))
    return found


def test_the_data_dictionary_names_every_column() -> None:
    described, files = dictionary(), sorted(results.HERE.glob("*/*.parquet"))
    assert files and set(described) == {"cells", "curves", "masks", "weights", "outcomes"}
    for file in files:
        columns = set(pq.read_schema(file).names)
        assert columns <= described[file.stem], f"{file.parent.name}/{file.name}: book/data.md lacks some"


def test_the_data_dictionary_names_nothing_else(tmp_path: Path) -> None:
    """What publishing writes today, from one tiny chain: every described column is there, except a GPU's
    and the dense engine's."""
    from lth_core import tickets
    from lth_core.spec import Spec
    from lth_core.store import Store

    base = Spec(dataset="digits", arch="lenet-8", iterations=20, eval_every=10)
    rows = [base.at_round(0), base.at_round(1)]
    store = Store(tmp_path / "store")
    tickets.run(rows, store)
    publish.write({"tiny": rows}, publish.Either(store), tmp_path / "results", masks=["tiny"], weights=rows[1:])
    (tmp_path / "results/tiny/outcomes.parquet").symlink_to(results.HERE / "v1_2_xor/outcomes.parquet")  # of seconds
    for name, described in dictionary().items():
        columns = set(pq.read_schema(tmp_path / "results" / "tiny" / f"{name}.parquet").names)
        assert described - {"cuda", "convolutions", "threads"} <= columns <= described, name


def test_reference_curves_are_the_published_networks(tmp_path: Path) -> None:
    stored = json.loads(reference.FILE.read_text())
    assert stored == json.loads(reference_make.text()), "run python -m lth_companion.share.reference"
    assert reference.FILE.stat().st_size < 100_000
    assert stored["about"]["trials"] >= 3 and all(c["n"] >= 3 for x in stored["levels"] for c in (x["stop_test"],))


def test_an_implementation_is_compared_with_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    levels = json.loads(reference.FILE.read_text())["levels"]
    own = pd.DataFrame(
        [
            {"arm": x["arm"], "round": x["round"], "trial": t, "stop_test": x["stop_test"]["mean"]}
            for x in levels
            for t in (0, 1)
        ]
    )
    found = reference.compare(own)
    assert len(found) == len(levels) and found["agrees"].all()
    worse = own.assign(stop_test=np.where((own["arm"] == "ticket") & (own["round"] == 7), 0.9, own["stop_test"]))
    found = reference.compare(worse)
    assert found.loc[~found["agrees"], ["arm", "round"]].values.tolist() == [["ticket", 7]]
    for table, code in ((own, 0), (worse, 1), (own.drop(columns="trial"), 2), (own.drop(columns="stop_test"), 2)):
        table.to_csv(tmp_path / "own.csv")
        assert reference.main([str(tmp_path / "own.csv")]) == code
    assert reference.main([str(tmp_path / "none.csv")]) == 2
    assert reference.main([]) == 2
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "cannot be read as CSV (No columns to parse from file)"),
        (b"\x89PNG\r\n\x1a\n\x00\xff\xfe", "cannot be read as CSV ("),
        (b"arm,round\nticket,1\nticket,1,2,3\n", "cannot be read as CSV ("),
        (b"arm,round,trial,stop_test\nticket,7,0,0.9\nticket,7,1,97%\n", "stop_test = '97%' is not a number"),
        (b"arm,round,trial,stop_test\nreset,7,0,0.9\n", "no number at any level of the reference: arms reinit, ticket"),
        (b"arm,round,trial,stop_iteration\nticket,7,0,5k\n", "stop_iteration = '5k' is not a number"),
    ],
)
def test_a_table_that_cannot_be_compared_is_one_sentence(
    content: bytes, said: str, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "own.csv").write_bytes(content)
    assert reference.main([str(tmp_path / "own.csv")]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line and line.endswith(".")


def test_an_empty_place_in_a_table_is_left_out() -> None:
    table = pd.DataFrame({"arm": "ticket", "round": 7, "trial": [0, 1], "stop_test": [0.5, None]})
    assert reference.compare(table)["theirs"].tolist() == [0.5]


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[1]", b"3", b'{"a/cells.parquet": 3}', b"[" * 100_000])
def test_a_broken_manifest_is_named(
    content: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "cells.parquet").write_bytes(b"x")
    (tmp_path / "MANIFEST.json").write_bytes(content)
    with pytest.raises(StoreError, match=re.escape(str(tmp_path / "MANIFEST.json"))) as error:
        _ = results.Published(tmp_path).cells
    assert str(error.value).endswith("restore it from git.") and "\n" not in str(error.value)
    with pytest.raises(StoreError, match=r"MANIFEST\.json"):  # nothing is written over it
        publish.write({"a": []}, None, tmp_path)  # type: ignore[arg-type]
    assert (tmp_path / "MANIFEST.json").read_bytes() == content
    monkeypatch.setattr(reference_make, "write", lambda: results.Published(tmp_path).cells)
    assert reference_make.main() == 1 and "MANIFEST.json" in capsys.readouterr().err


# --- One's own network ------------------------------------------------------------------------------------------------


def untrained(**changes: Any) -> own.Experiment:
    """An experiment that must not get as far as training."""

    def never(parameters: Any) -> Any:
        raise AssertionError("it trains")

    some = (torch.zeros(4, 3), torch.zeros(4, dtype=torch.long))
    fields: dict[str, Any] = dict(
        model=lambda: torch.nn.Linear(3, 2), train=some, val=some, test=some, optimizer=never, rates={"weight": 0.5},
        iterations=2, eval_every=2, batch_size=2,
    )  # fmt: skip
    return own.Experiment(**{**fields, **changes})


@pytest.mark.parametrize(
    ("changes", "how", "said"),
    [
        ({"rates": {}}, {}, "rates is empty: name what is pruned"),
        ({"device": "gpu"}, {}, "device = 'gpu' does not exist; allowed: cpu, cuda"),
        ({"device": 1.5}, {}, "device = 1.5 does not exist"),
        ({"device": "cuda:99"}, {}, "device = 'cuda:99', but torch sees no such device here: use device cpu"),
        ({}, {"rounds": 1.5}, "rounds = 1.5 is not a whole number"),
        ({}, {"trials": "two"}, "trials = 'two' is not a whole number"),
        ({}, {"replicates": None}, "replicates = None is not a whole number"),
    ],
)
def test_a_run_that_cannot_be_is_refused_before_it_trains(
    changes: dict[str, Any], how: dict[str, Any], said: str
) -> None:
    with pytest.raises(UsageError) as error:
        own.run(untrained(**changes), **{"rounds": 1, "trials": 1, **how})
    assert said in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_run_without_a_gpu_says_so() -> None:
    with pytest.raises(UsageError, match="device = 'cuda', but torch sees no GPU here: use device cpu"):
        own.run(untrained(device="cuda"), rounds=1, trials=1)


def test_rates_are_numbers() -> None:
    with pytest.raises(UsageError, match="the rate of weight = 'half' is not a finite number"):
        untrained(rates={"weight": "half"})
    with pytest.raises(UsageError, match="rate = '20%' is not a finite number"):
        own.rates_of(torch.nn.Linear(3, 2), rate="20%")  # type: ignore[arg-type]


ONE, OTHER = {"arm": "ticket", "at": 1}, {"arm": "reinit", "at": 1}
AHEAD = {"test": "ahead", "column": "stop_test", "of": ONE, "to": OTHER}


def measured() -> pd.DataFrame:
    """Three trials of an unpruned network, a ticket and its control."""
    return pd.DataFrame(
        {"trial": [0, 0, 0, 1, 1, 1, 2, 2, 2], "round": [0, 1, 1] * 3, "prune_fc": [0.0, 0.2, 0.2] * 3,
         "prune_conv": 0.0, "density": [1.0, 0.8, 0.8] * 3, "arm": ["ticket", "ticket", "reinit"] * 3,
         "stop_test": [0.9, 0.91, 0.85, 0.9, 0.92, 0.86, 0.9, 0.915, 0.85]}
    )  # fmt: skip


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ({"column": "stop_test"}, "'mine' lacks test, the name of one; allowed: ratio, "),
        ("ahead", "'mine' lacks test"),
        ({**AHEAD, "test": ["ahead"]}, "test ['ahead'] does not exist; allowed: ratio, "),
        ({**AHEAD, "test": "everywhere"}, "test 'everywhere' does not exist; allowed: ratio, "),
        ({**AHEAD, "colum": "stop_test"}, "'colum' is nothing the test ahead takes; allowed: column, of, to, levels"),
        ({n: v for n, v in AHEAD.items() if n != "to"}, "'mine' lacks to: the test ahead takes column, of, to, levels"),
        ({**AHEAD, "column": "stop_tset"}, "no column 'stop_tset'; allowed: trial, round"),
        ({**AHEAD, "of": {"arm": "ticket"}}, "of lacks at: give a round, a percentage such as '25%', or 'best'"),
        ({**AHEAD, "to": {**OTHER, "lvl": 3}}, "to names 'lvl'; allowed: arm, at, path, trial"),
        ({**AHEAD, "of": "ticket"}, "of = 'ticket' is no side: give one such as {'arm': 'ticket', 'at': 1}"),
        ({**AHEAD, "of": {"at": "half"}}, "cannot use a value that it is given (ValueError: could not convert"),
        ({**AHEAD, "levels": [0, 1]}, "'mine' has levels, and at in each side: leave one of them out"),
        ({"test": "value", "column": "stop_test", "of": {}, "number": 90, "within": 1}, "of lacks at"),
        ({"test": "ratio", "column": "stop_test", "of": ONE, "to": OTHER, "number": 1, "within": 1, "form": "half"},
         "cannot use a value that it is given (KeyError: 'half')"),
        ({"test": "ordered", "column": "stop_test", "sides": [ONE, {"arm": "reinit"}]}, "side 2 lacks at"),
        ({"test": bounds.dip, "column": "stop_test", "amr": "ticket"}, "'amr' is nothing the test dip takes; allowed"),
        ({"test": curves.returns, "column": "stop_test"}, "'mine' lacks at: the test returns takes column, at, within"),
        ({"test": curves.together, "columns": ["stop_test", "stop_vla"]}, "no column 'stop_vla'"),
        ({"test": bounds.exists, "time": "when", "accuracy": "stop_test"}, "no column 'when'"),
        ({"test": sizes.grows, "column": "stop_test", "what": "best", "values": []}, "no column 'arch'"),
    ],
)  # fmt: skip
def test_a_statement_that_cannot_be_judged_is_one_sentence(how: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        own.judge(measured(), {"good": AHEAD, "mine": how})
    assert said in str(error.value) and str(error.value).endswith(".") and "\n" not in str(error.value)


def test_a_table_that_cannot_be_judged_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="the table lacks the columns trial, prune_fc: one row a network"):
        own.judge(measured().drop(columns=["trial", "prune_fc"]), {"mine": AHEAD})


def test_statements_that_can_be_judged_still_are() -> None:
    """Every test takes what it took: sides with fields of the table, levels for `share`, arguments left out."""
    side = {"arm": "ticket", "trial": [0, 1, 2], "path": "one-shot"}
    found = own.judge(
        measured(),
        {
            "ahead": AHEAD,
            "levels": {**AHEAD, "of": side, "to": {"arm": "reinit"}, "levels": [1, 1]},
            "share": {"test": bounds.share, "column": "stop_test", "number": 1, "levels": ["90%", "70%"], **side},
            "one level": {"test": bounds.share, "column": "stop_test", "number": 1, "at": 1},
            "copies": {"test": bounds.copies, "arm": "reinit", "number": 3},
            "best": {"test": "value", "column": "stop_test", "of": {"at": "best"}, "number": 91.5, "within": 2},
            "deeper": {"test": curves.deeper, "column": "stop_test", "of": {"arm": "ticket"}, "to": {"arm": "reinit"}},
        },
    )
    assert found["n"].tolist()[:6] == [3, 3, 3, 3, 3, 3] and found["verdict"].iat[5] == "holds"


# --- The archive ------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in archive.NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("{}\n" if name.endswith(".json") else f"{name}\n")
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], cwd=root, check=True)
    return root


def test_an_archive_has_checksums_of_all_that_is_committed(checkout: Path, tmp_path: Path) -> None:
    (checkout / "not-committed").write_text("x")
    (checkout / "LICENSE").write_text("changed, not committed")
    made = archive.write(checkout, tmp_path / "out")
    first = made.read_bytes()
    assert archive.write(checkout, tmp_path / "out").read_bytes() == first, "equal commits, equal bytes"
    with tarfile.open(made) as tar:
        tar.extractall(tmp_path / "in", filter="data")
    (folder,) = (tmp_path / "in").iterdir()
    names = {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names == {*archive.NEEDED, archive.SUMS}
    for line in (folder / archive.SUMS).read_text().splitlines():
        digest, name = line.split("  ")
        assert hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    assert len((folder / archive.SUMS).read_text().splitlines()) == len(archive.NEEDED)


def test_results_alone_are_an_archive_that_the_package_reads(checkout: Path, tmp_path: Path) -> None:
    made = archive.write(checkout, tmp_path / "out", results=True)
    assert made.name == f"lth-results-{lth_core.__version__}.tar.gz"
    with tarfile.open(made) as tar:
        tar.extractall(tmp_path, filter="data")
    folder = tmp_path / made.name.removesuffix(".tar.gz")
    assert {p.name for p in folder.iterdir()} == {"MANIFEST.json", archive.SUMS}
    ((digest, name),) = (line.split("  ") for line in (folder / archive.SUMS).read_text().splitlines())
    assert name == "MANIFEST.json" and hashlib.sha256((folder / name).read_bytes()).hexdigest() == digest
    code = "from lth_core import results; p = results.Published(); print(results.HERE, p.manifest, len(p.keys()))"
    own = {**os.environ, "LTH_RESULTS": str(folder)}
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=own, check=True)
    assert ran.stdout.strip() == f"{folder} {{}} 0"


def test_an_archive_lacks_nothing_and_needs_a_commit(
    checkout: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    subprocess.run(["git", "rm", "-q", "LICENSE"], cwd=checkout, check=True)
    subprocess.run(["git", "-c", "user.name=x", "-c", "user.email=x@x", "commit", "-qm", "-"], cwd=checkout, check=True)
    with pytest.raises(UsageError, match="not committed: LICENSE"):
        archive.write(checkout, tmp_path)
    (tmp_path / "plain").mkdir()
    assert archive.main([], root=tmp_path / "plain") == 2
    assert "no git checkout" in capsys.readouterr().err


def test_a_neurolibre_tree_is_written(tmp_path: Path) -> None:
    content, binder = archive.neurolibre(ROOT, tmp_path)
    assert (content / "_config.yml").exists() and (content / "_toc.yml").exists()
    toc = re.findall(r"file: (\S+)", (content / "_toc.yml").read_text())
    assert toc and all((content / f"{n}.ipynb").exists() or (content / f"{n}.md").exists() for n in toc)
    assert (binder / "requirements.txt").read_bytes() == (ROOT / "requirements.lock").read_bytes()
    assert re.fullmatch(r"python-3\.\d+\n", (binder / "runtime.txt").read_text())
    with pytest.raises(UsageError, match="already"):
        archive.neurolibre(ROOT, tmp_path)


def test_the_citation_is_ready_for_a_doi() -> None:
    import yaml

    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"title", "authors", "version", "license", "cff-version", "message"} <= set(cited)
    assert cited["version"] == lth_core.__version__
    assert "MIT" in (ROOT / "LICENSE").read_text()


# --- Answers ----------------------------------------------------------------------------------------------------------


def test_answers_come_from_results(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    before = faq.faster()
    made = json.loads((results.HERE / "bench.json").read_text())
    for row in made["rows"]:
        if row["benchmark"] == "lenet steps" and row["engine"] == "sparse" and row["density"] == 0.036:
            row["median"] *= 3
    manifest.commit(tmp_path, {"bench.json": json.dumps(made).encode()})
    monkeypatch.setattr("lth_companion.experiments.timings.HERE", tmp_path)
    after = faq.faster()
    assert after != before and made["made"]["commit"] in after
    numbers = re.findall(r"\d[\d,.]*(?: times|%|kB| points)", (ROOT / "book" / "faq.md").read_text())
    assert not numbers, "a number typed into the page"


def test_a_benchmark_row_is_found_by_its_fields_and_not_by_its_words(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = faq.faster(), costs.rate.__wrapped__("fp32"), costs.rate.__wrapped__("bf16")
    made = json.loads((results.HERE / "bench.json").read_text())
    reworded = [{**row, "setting": f"setting {i}"} for i, row in enumerate(made["rows"])]
    manifest.commit(tmp_path, {"bench.json": json.dumps({**made, "rows": reworded}).encode()})
    monkeypatch.setattr("lth_companion.experiments.timings.HERE", tmp_path)
    assert (faq.faster(), costs.rate.__wrapped__("fp32"), costs.rate.__wrapped__("bf16")) == before


def test_answers_tell_what_is_published_and_say_when_nothing_is() -> None:
    for answer, figure in ((faq.rewound, "beyond-rewind"), (faq.disagreeing, "beyond-mistakes")):
        said = answer()
        assert ("Not measured yet" in said and figure in said) or "points" in said
    trials, rounds = range(3), (1, 2)
    table = pd.DataFrame(
        [{"trial": t, "round": r, "arm": "ticket", "rewind": k, "density": 0.8**r, "stop_test": 0.9 + 0.01 * (k > 0),
          "search": s} for t in trials for r in rounds for k, s in ((0, "reset"), (500, "reset"), (0, "signed"))]
    )  # fmt: skip
    assert "+1.00 points" in faq.told_rewound(table[table["search"] == "reset"])
    assert "rewound to 500" in faq.told_rewound(table)
    table.loc[table["search"] == "signed", "stop_test"] = 0.5
    assert "prunes by sign | −40.00 points" in faq.told_disagreeing(table[table["rewind"] == 0])


# --- Code blocks ------------------------------------------------------------------------------------------------------


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / page).read_text(), flags=re.M | re.S)


@pytest.mark.slow
def test_python_of_the_api_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """All of it, in one space and in order, as a reader would: a model that is not LeNet, end to end."""
    monkeypatch.chdir(tmp_path)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # two threads of a tiny network wait for each other where other tests have the cores
    code = blocks("book/api.md", "python")
    statements = [line for line in code[0].splitlines() if line.strip()]
    assert len(statements) <= 36, "thirty lines, and those that only close brackets"
    space: dict[str, Any] = {}
    try:
        for block in code:
            exec(block, space)
    finally:
        torch.set_num_threads(threads)
    assert len(space["found"].cells) == 3 * (1 + 4 * 3)
    said = capsys.readouterr().out
    assert "Tickets are more accurate." in said and "not measured" not in said
    assert (tmp_path / "ticket.safetensors").exists() and "<svg" in space["drawing"].text
    for name, mask in space["back"].masks.items():
        assert bool((mask == space["ticket"].masks[name]).all())


def test_python_of_the_data_page_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    for block in blocks("book/data.md", "python"):
        exec(block, {})
