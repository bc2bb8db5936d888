"""The handout: the marked slides and nothing else, on one page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from places import ROOT

from lth_companion.classroom import handout, without_solutions

SLIDES = "# Talk\n\nBegin.\n\n---\n\n<!-- handout -->\n## Why\n\nIt is **so**, {{id}}.\n\nNote:\nWait.\n\n---\n\n## No"


def test_marked_slides_are_taken_without_their_notes() -> None:
    (slide,) = handout.marked(SLIDES, lambda name: f"{name}: 3")
    assert slide == "## Why\n\nIt is **so**, id: 3."
    assert list(handout.blocks(slide)) == [
        ("head", [("Why", "normal")]),
        ("text", [("It", "normal"), ("is", "normal"), ("so,", "bold"), ("id:", "normal"), ("3.", "normal")]),
    ]


def test_lists_and_tables_are_known() -> None:
    kinds = [*handout.blocks("1. One\n   more\n2. Two"), *handout.blocks("| a | b |\n|---|---|\n| c | **d** |")]
    one, two = [("One", "normal"), ("more", "normal")], [("Two", "normal")]
    assert kinds == [
        ("item", ("1.", one)), ("item", ("2.", two)),
        ("row", [[("a", "bold")], [("b", "bold")]]), ("row", [[("c", "normal")], [("d", "bold")]]),
    ]  # fmt: skip


def test_rows_fit_and_a_second_page_is_refused() -> None:
    line = handout.words("A sentence that is longer than the room that it is given here.")
    rows = handout.broken(line, 120, 10)
    assert [word for row in rows for word in row] == line and len(rows) > 1
    assert all(handout.width(" ".join(w for w, _ in row), 10, "normal") <= 120 for row in rows)
    with pytest.raises(ValueError, match="longer than a page"):
        handout.drawn(["## Again\n\nA paragraph."] * 40, "Title", [])


def test_the_lessons_handout_is_one_page_and_repeats(tmp_path: Path) -> None:
    (tmp_path / "teach").mkdir()
    (tmp_path / "teach" / "slides.md").write_text((ROOT / "book" / "teach" / "slides.md").read_text("utf-8"), "utf-8")
    made = handout.write(tmp_path, without_solutions.SOURCES)
    first = made.read_bytes()
    assert len(re.findall(rb"/Type /Page\b", first)) == 1
    assert handout.write(tmp_path, without_solutions.SOURCES).read_bytes() == first
