"""The list of files on the architecture page."""

from __future__ import annotations

from places import ROOT

from lth_companion.pages import architecture


def test_every_module_stands_on_the_page_with_what_it_is_for() -> None:
    found, page = architecture.modules(), architecture.files()
    assert len(found) > 100 and all(found.values()), [path for path, said in found.items() if not said]
    for path in found:
        assert path.endswith("__init__.py") or f"- `{path.rsplit('/', 1)[1]}`: " in page


def test_the_ways_through_the_code_name_files_that_are_there() -> None:
    """Each of the four passes eight files at most, and each of these exists."""
    text = (ROOT / "book" / "architecture.md").read_text("utf-8")
    ways = [w for w in text.split("## Four ways")[1].split("## Every file")[0].split("\n- **")[1:]]
    assert len(ways) == 4
    names = {path.removesuffix(".py") for path in architecture.modules()}
    for way in ways:
        told = [t for t in way.replace("\n", " ").split("`")[1::2] if t not in ("Spec",)]
        assert 4 <= len(dict.fromkeys(told)) <= 9, told
        for file in told:
            known = any(n == file or n.endswith(f"/{file}") for n in names)
            assert known or any(ROOT.rglob(file.rsplit("/", 1)[-1])), file
