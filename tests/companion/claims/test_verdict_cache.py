"""Verdicts that a build keeps: the same as judged, and never stale or damaged."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from places import ROOT

from lth_companion.claims import verdict_cache, verdicts
from lth_companion.claims.statements import Finding
from lth_core import results


@pytest.fixture
def judged() -> pd.DataFrame:
    both = Finding(1 / 3, 0.1, 0.1 + 0.2, 5, "%")
    row = dict.fromkeys(verdicts.Verdict.__dataclass_fields__, "x")
    row |= {"effect": 0.1 + 0.2, "low": np.nan, "n": 5, "but": None, "tests": ["a", "b"], "readings": {"r": "s"}}
    return pd.DataFrame([{**row, "id": "one"}, {**row, "id": "two", "but": both, "n": 3}])


def test_kept_verdicts_are_those_that_were_judged(judged: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "_build" / "verdicts.json"
    verdict_cache.keep(judged, "inputs", file)
    pd.testing.assert_frame_equal(verdict_cache.read("inputs", file), judged)
    assert verdict_cache.read("inputs", file)["but"].iat[1].effect == 1 / 3


def test_stale_or_damaged_ones_are_not_read(judged: pd.DataFrame, tmp_path: Path) -> None:
    file = tmp_path / "verdicts.json"
    assert verdict_cache.read("inputs", file) is None
    verdict_cache.keep(judged, "inputs", file)
    assert verdict_cache.read("others", file) is None
    whole = json.loads(file.read_text())
    for damage in ({**whole, "rows": whole["rows"][:1]}, {**whole, "sum": ""}, {"inputs": "inputs"}, []):
        file.write_text(json.dumps(damage))
        assert verdict_cache.read("inputs", file) is None
    file.write_text("{")
    assert verdict_cache.read("inputs", file) is None


def test_all_that_decides_is_in_their_name(tmp_path: Path) -> None:
    for name in ("lth_core/a.py", "lth_companion/claims.yaml", "results/s/cells.parquet", "results/MANIFEST.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    seen = {verdict_cache.made_from(tmp_path)}
    for name in ("lth_core/a.py", "lth_companion/claims.yaml", "results/s/cells.parquet", "results/MANIFEST.json"):
        (tmp_path / name).write_text("changed")
        seen.add(verdict_cache.made_from(tmp_path))
    (tmp_path / "lth_core/b.py").write_text("")
    seen.add(verdict_cache.made_from(tmp_path))
    assert len(seen) == 6
    (tmp_path / "book.md").write_text("")
    assert verdict_cache.made_from(tmp_path) in seen


def test_measurements_that_lie_elsewhere_decide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LTH_RESULTS names another folder: what is judged there is neither taken for the clone's own nor kept as it."""
    own = verdict_cache.made_from()
    (tmp_path / "MANIFEST.json").write_text("{}")
    monkeypatch.setattr(results, "HERE", tmp_path)
    there = verdict_cache.made_from()
    (tmp_path / "MANIFEST.json").write_text("{ }")
    assert len({own, there, verdict_cache.made_from()}) == 3


def test_a_build_judges_once(judged: pd.DataFrame, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    monkeypatch.setattr(verdicts, "judge", lambda: calls.append(1) or judged)
    monkeypatch.setattr(verdict_cache, "FILE", tmp_path / "verdicts.json")
    fresh = verdicts.ledger.__wrapped__  # as in another process
    pd.testing.assert_frame_equal(fresh(), judged)
    pd.testing.assert_frame_equal(fresh(write=True), judged)
    assert len(calls) == 2
    pd.testing.assert_frame_equal(fresh(), judged)
    assert len(calls) == 2 and verdict_cache.ROOT == ROOT
    (tmp_path / "verdicts.json").write_text("{")
    fresh()
    assert len(calls) == 3, "a damaged file is judged anew"
