"""XOR's published networks: of this code, trained again they are the same, and nothing stale or damaged is judged."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from lth_companion import ROOT
from lth_companion.experiments import xor, xor_published
from lth_companion.experiments.xor_counts import NETWORK, judge
from lth_companion.imported_files import Code
from lth_core import results
from lth_core.results.manifest import Damaged

SAMPLE = 64  # trials that are trained again


@pytest.fixture(scope="module")
def again() -> pd.DataFrame:
    return xor.networks(SAMPLE)


def published() -> pd.DataFrame:
    (table,) = (part for _, part in results.Published().parts(xor_published.KIND))
    return table


def test_the_published_networks_are_of_this_code() -> None:
    made = set(published()["made_from"])
    assert made == {xor_published.made_from()}, "run python -m lth_core publish v1_2_xor, then claims --strict"


def test_the_hash_is_of_all_code_that_decides_the_table() -> None:
    """All modules of the project that these import, but for the words of errors and tables that XOR has none of."""
    code = Code(ROOT, ("lth_core", "lth_companion"))
    imported = [code.imports(file.read_text(), code.names[file]) for file in xor_published.CODE]
    assert None not in imported, "what a module imports cannot be told"
    reached = set().union(*imported) - set(xor_published.CODE)
    assert {p.name for p in reached} <= {"__init__.py", "errors.py", "networks.py"}


def test_trained_again_they_are_the_published_ones(again: pd.DataFrame) -> None:
    """On the machine that published them to the last bit; elsewhere a network in a hundred may end in another place."""
    index = ["strategy", "parent", "hidden", "trial"]
    table = published()
    there = table[table["trial"] < SAMPLE].set_index(index)[NETWORK[4:]].sort_index()
    here = again.set_index(index)[NETWORK[4:]].sort_index()
    assert there.index.equals(here.index) and len(here) == 22 * SAMPLE
    ours, theirs = (judge(t)[["right", "zero"]].to_numpy() for t in (here, there))
    assert (ours == theirs).mean() > 0.98
    assert (np.abs(here["loss"] - there["loss"]) < 1e-3).mean() > 0.98
    ranked = here["product"].notna()
    assert ranked.sum() == SAMPLE and ranked.equals(there["product"].notna())


def test_they_are_those_of_both_figures(again: pd.DataFrame) -> None:
    found = xor_published.Networks(again)
    one, two = xor.figure1(SAMPLE), xor.figure2(SAMPLE, controls=False)
    for table in (one, two):
        for (strategy, hidden), own in table.groupby(["strategy", "hidden"]):
            for success in ("right", "zero"):
                assert np.array_equal(found.success(strategy, hidden, success), own[success])
    strict = xor.judge(one, tie=0.0)
    small = strict[strict["hidden"] == 2]
    assert np.array_equal(found.success("random networks", 2, "right", tie=0.0), small["right"])
    parents = two[(two["strategy"] == "iterative product") & (two["hidden"] == 2)]
    given = parents[parents["parent_zero"]]["zero"]
    assert np.array_equal(found.success("iterative product", 2, "zero", given_parent=True), given)


def copied(tmp_path: Path) -> Path:
    root = tmp_path / "results"
    (root / xor_published.SECTION).mkdir(parents=True)
    name = f"{xor_published.SECTION}/{xor_published.KIND}.parquet"
    shutil.copyfile(results.HERE / name, root / name)
    line = {name: results.Published().manifest[name]}
    (root / "MANIFEST.json").write_text(str(line).replace("'", '"'))
    return root


def test_networks_of_other_code_are_trained_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    root, trained = copied(tmp_path), []
    monkeypatch.setattr(xor, "networks", lambda: trained.append(1) or published()[NETWORK])
    xor_published.networks.__wrapped__(root)
    assert not trained
    monkeypatch.setattr(xor_published, "made_from", lambda: "0" * 20)
    xor_published.networks.__wrapped__(root)
    assert trained


def test_every_file_that_decides_them_is_in_their_name(monkeypatch: pytest.MonkeyPatch) -> None:
    before, files = xor_published.made_from(), []
    read = Path.read_bytes
    monkeypatch.setattr(Path, "read_bytes", lambda file: files.append(file) or read(file))
    assert xor_published.made_from() == before and files == [*xor_published.CODE]
    monkeypatch.setattr(Path, "read_bytes", lambda file: read(file) + b" " * (file.name == "xor_nets.py"))
    assert xor_published.made_from() != before


def test_a_damaged_table_is_refused(tmp_path: Path) -> None:
    root = copied(tmp_path)
    file = root / xor_published.SECTION / f"{xor_published.KIND}.parquet"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(Damaged, match="publish v1_2_xor"):
        xor_published.networks.__wrapped__(root)
