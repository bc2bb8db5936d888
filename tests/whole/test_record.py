"""The page of faults says what tests that exist have told, and nothing else."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import record
from places import ROOT


def test_every_listed_fault_has_its_test() -> None:
    rows = record.kept()
    assert len(rows) > 40
    assert [r["test"] for r in rows if not record.exists(r["test"])] == []
    assert not [r["fault"] for r in rows if r["counts"] and (r["counts"]["silent"] or r["counts"]["traceback"])]


def test_the_page_prints_what_is_recorded() -> None:
    text = record.PAGE.read_text("utf-8")
    assert record.on_the_page(text, record.kept()) == text, "run python tests/help/record.py"


def test_every_test_that_the_page_names_exists() -> None:
    named = set(re.findall(r"`(test_\w+)`", record.PAGE.read_text("utf-8")))
    files = [str(file.relative_to(ROOT)) for file in (ROOT / "tests").rglob("test_*.py")]
    there = {name for file in files for name in record.tests_in(file)}
    assert len(named) > 10 and named <= there, named - there


def test_what_is_told_again_replaces_and_what_has_no_test_goes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    own = f"{Path(__file__).relative_to(ROOT)}::test_what_is_told_again_replaces_and_what_has_no_test_goes"
    gone = own + "_any_more"

    def row(test: str, fault: str, times: int) -> record.Row:
        return {"group": "Disk", "fault": fault, "times": times, "happened": "", "counts": None, "test": test}

    assert record.exists(own) and not record.exists(gone)
    before = [row(own, "old words", 1), row(gone, "removed", 1)]
    assert record.joined(before, []) == before[:1]
    assert record.joined(before, [row(own, "new words", 2)]) == [row(own, "new words", 2)]
    monkeypatch.setattr(record, "FILE", tmp_path / "told")
    record.tried("Disk", "x", 3, counts={"refused": 3})
    assert f'"test": "{own}"' in record.FILE.read_text()
