"""The page about the code: its list of files, its ways through them, and how long a file may be."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from places import ROOT

from lth_companion.pages import architecture

TEXT = (ROOT / "book" / "architecture.md").read_text("utf-8")
WAYS = TEXT.split("## Four ways")[1].split("## Every file")[0].split("\n- **")[1:]
LONGEST, LONGEST_KERNELS = 300, 450  # lines of a file; of one that is compiled, whose loops would be torn apart
COMPILED = ("lth_core/engines/sparse/", "lth_core/engines/convolutional/")


def test_every_module_stands_on_the_page_with_what_it_is_for() -> None:
    found, page = architecture.modules(), architecture.files()
    assert len(found) > 100 and all(found.values()), [path for path, said in found.items() if not said]
    for path in found:
        assert path.endswith("__init__.py") or f"- `{path.rsplit('/', 1)[1]}`: " in page


def file_of(name: str) -> Path:
    """The one file (or package) that a way names."""
    places = [ROOT, ROOT / "lth_core", ROOT / "lth_companion"]
    found = [place / f"{name}{end}" for place in places for end in ("", ".py", "/__init__.py")]
    there = [path for path in found if path.is_file()]
    assert len(there) == 1, f"{name}: {there or 'no file'}"
    return there[0]


@cache
def told_by(file: Path) -> str:
    """What a file says, and of a package all its files."""
    files = file.parent.glob("*.py") if file.name == "__init__.py" else (file,)
    return "\n".join(path.read_text("utf-8") for path in sorted(files))


def names(text: str, file: Path) -> bool:
    """Whether a text imports a module or names a file."""
    if file.suffix != ".py":
        return file.name in text
    dotted = ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
    package, _, module = dotted.rpartition(".")
    return bool(
        re.search(rf"\b{re.escape(dotted)}\b", text)
        or re.search(rf"^\s*from {re.escape(package)} import [^\n]*\b{module}\b", text, re.M)
    )


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.split("**")[0])
def test_a_way_through_the_code_is_short_and_never_goes_back(way: str) -> None:
    """Eight files at most, none twice, and each imports, or is imported by, one that the way has passed.

    What a page has for every widget (`book/_assets`) names none of them."""
    told = [file_of(name) for name in way.replace("\n", " ").split("`")[1::2]]
    assert 4 <= len(told) <= 8 and len(set(told)) == len(told), told
    for i, file in enumerate(told[1:], 1):
        passed = told[:i]
        assert (
            any(names(told_by(file), one) or names(told_by(one), file) for one in passed)
            or file.parent.name == "_assets"
        ), file


def test_there_are_four_ways() -> None:
    assert [way.split("**")[0] for way in WAYS] == ["A mask", "A row", "A claim", "A slider's data"]


def test_a_way_that_names_no_file_is_found() -> None:
    with pytest.raises(AssertionError, match="no file"):
        file_of("engines/nowhere")
    assert not names(told_by(file_of("lth_core/prune")), file_of("lth_core/tickets"))


def test_files_are_read_in_one_sitting() -> None:
    """Python and scripts of both packages, and how long the longest may be."""
    lines = {
        str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines())
        for package in architecture.PACKAGES
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".js", ".css", ".html")
    }
    assert len(lines) > 150
    assert {f: n for f, n in lines.items() if n > (LONGEST_KERNELS if f.startswith(COMPILED) else LONGEST)} == {}
