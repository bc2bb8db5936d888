"""What others build on: public names, documented, typed and tried; data dictionary, reference curves, archive, docs."""

from __future__ import annotations

import doctest
import hashlib
import importlib
import inspect
import json
import re
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest

import lth_core
from lth_core import archive, faq, reference, results
from lth_core.spec import UsageError

ROOT = Path(__file__).resolve().parents[1]
NAMES = [(module, name) for module, names in lth_core.PUBLIC.items() for name in names]
TRIED = ("own", "plain", "torchprune", "analyse", "prune", "reference")  # every public function there has an example


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
    assert files and set(described) == {"cells", "curves", "masks", "weights"}
    for file in files:
        columns = set(pq.read_schema(file).names)
        assert columns <= described[file.stem], f"{file.parent.name}/{file.name}: book/data.md lacks some"


def test_the_data_dictionary_names_nothing_else(tmp_path: Path) -> None:
    """What publishing writes today, from one tiny chain: every described column is there, except a GPU's."""
    from lth_core import tickets
    from lth_core.spec import Spec
    from lth_core.store import Store

    base = Spec(dataset="digits", arch="lenet-8", iterations=20, eval_every=10)
    rows = [base.at_round(0), base.at_round(1)]
    store = Store(tmp_path / "store")
    tickets.run(rows, store)
    results.publish({"tiny": rows}, store, tmp_path / "results", masks=["tiny"], weights=rows[1:])
    for name, described in dictionary().items():
        columns = set(pq.read_schema(tmp_path / "results" / "tiny" / f"{name}.parquet").names)
        assert described - {"cuda", "driver"} <= columns <= described, name


def test_reference_curves_are_the_published_networks(tmp_path: Path) -> None:
    stored = json.loads(reference.FILE.read_text())
    assert stored == json.loads(reference.write(tmp_path / "new.json").read_text()), "run python -m lth_core.reference"
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
    assert "Traceback" not in capsys.readouterr().err


# --- The archive ------------------------------------------------------------------------------------------------------


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    for name in archive.NEEDED:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(f"{name}\n")
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
        if row["benchmark"] == "lenet steps" and row["engine"] == "sparse" and row["setting"] == "density 0.036":
            row["median"] *= 3
    (tmp_path / "bench.json").write_text(json.dumps(made))
    monkeypatch.setattr(results, "HERE", tmp_path)
    after = faq.faster()
    assert after != before and made["made"]["commit"] in after
    numbers = re.findall(r"\d[\d,.]*(?: times|%|kB| points)", (ROOT / "book" / "faq.md").read_text())
    assert not numbers, "a number typed into the page"


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


@pytest.mark.timeout(300)
def test_python_of_the_api_page_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """All of it, in one space and in order, as a reader would: a model that is not LeNet, end to end."""
    monkeypatch.chdir(tmp_path)
    code = blocks("book/api.md", "python")
    statements = [line for line in code[0].splitlines() if line.strip()]
    assert len(statements) <= 36, "thirty lines, and those that only close brackets"
    space: dict[str, Any] = {}
    for block in code:
        exec(block, space)
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
