"""The book: built incrementally, equal builds equal, and working in a real browser with the network cut."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from axe_playwright_python.sync_playwright import Axe
from bs4 import BeautifulSoup
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from lth_core import book
from lth_core.spec import UsageError
from lth_core.widgets import RoundExplorer

ROOT = Path(__file__).resolve().parents[1]
ARTEFACTS = ROOT / "_artefacts"
MEGABYTE = 1_000_000


def pages() -> list[str]:
    """Every page of the table of contents, and the search page."""
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())
    return [toc["root"], *(c["file"] for part in toc["parts"] for c in part["chapters"]), "search"]


# --- Building ---------------------------------------------------------------------------------------------------------


def notebook(*sources: str) -> Any:
    cells = [new_markdown_cell("# Title"), *(new_code_cell(s) for s in sources)]
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    return new_notebook(cells=cells, metadata={"kernelspec": kernel})


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of one notebook, and all that a page depends on."""
    for folder in ("notebooks", "lth_core", "results", "book"):
        (tmp_path / folder).mkdir()
    (tmp_path / "requirements.lock").write_text("")
    nbformat.write(notebook("print('page')"), tmp_path / "notebooks" / "page.ipynb")
    return tmp_path


def test_a_notebook_is_executed_again_only_if_its_inputs_changed(project: Path, capsys: pytest.CaptureFixture) -> None:
    page = project / "book" / "page.ipynb"
    assert book.execute_all(project, page.parent, {})
    first = page.read_bytes()
    assert "page.ipynb done" in capsys.readouterr().out
    assert book.execute_all(project, page.parent, {})
    assert capsys.readouterr().out == ""
    assert book.execute_all(project, page.parent, {}, force=True)
    assert page.read_bytes() == first, "two equal runs must give the same bytes"
    capsys.readouterr()
    (project / "results" / "cell.json").write_text("{}")
    assert book.execute_all(project, page.parent, {})
    assert "page.ipynb done" in capsys.readouterr().out
    (project / "notebooks" / "page.ipynb").unlink()
    assert book.execute_all(project, page.parent, {})
    assert not page.exists(), "the page of a notebook that is no more"


def test_a_failing_notebook_is_named_with_its_last_line(project: Path, capsys: pytest.CaptureFixture) -> None:
    source = "from lth_core.spec import UsageError\nraise UsageError('profile = 3 does not exist.')"
    nbformat.write(notebook(source), project / "notebooks" / "broken.ipynb")
    assert book.main(["--root", str(project)]) == 1
    error = capsys.readouterr().err
    assert "notebooks/broken.ipynb" in error and "UsageError: profile = 3 does not exist." in error
    assert "Traceback" not in error
    assert not (project / "book" / "broken.ipynb").exists()
    assert (project / "book" / "page.ipynb").exists(), "one failure does not take the other pages along"


def test_tidy_folds_code_and_drops_what_differs_between_runs() -> None:
    model = "0123456789abcdef0123456789abcdef"
    made = notebook("1", "2")
    made.cells[1].metadata.update(tags=["parameters"], execution={"started": "now"}, papermill={"duration": 1.0})
    made.cells[2].metadata.update(tags=["hide-cell"])
    made.metadata.update(
        papermill={"input_path": "x"},
        widgets={"application/vnd.jupyter.widget-state+json": {"state": {model: {}}}},
    )
    tidied = book.tidy(made, "page")
    text = json.dumps(tidied)
    assert not any(word in text for word in ("papermill", "started", model))
    assert [c.metadata.get("tags") for c in tidied.cells] == [None, ["parameters", "hide-input"], ["hide-cell"]]


# --- The widget in Python ---------------------------------------------------------------------------------------------


def explorer_data() -> dict[str, Any]:
    curve = {"iteration": [0, 100], "mean": [0.1, 0.9], "low": [0.1, 0.8], "high": [0.1, float("nan")]}
    return {
        "rounds": [{"round": 0, "percent": 100.0}, {"round": 4, "percent": 41.2}, {"round": 8, "percent": 17.0}],
        "arms": {"ticket": {"label": "winning ticket", "color": "#0072b2"}},
        "curves": {"ticket": {"0": curve, "4": curve, "8": curve}},
        "summary": {"ticket": {"round": [0], "percent": [100.0], "accuracy": [0.9], "stop": [100]}},
    }


@pytest.mark.parametrize(("given", "chosen"), [(4, 4), (5, 4), (-3, 0), (99, 8)])
def test_round_moves_to_the_nearest_stop(given: int, chosen: int) -> None:
    widget = RoundExplorer(explorer_data(), round=given)
    assert widget.round == chosen
    widget.round = 0
    widget.round = given
    assert widget.round == chosen


def test_explorer_refuses_data_that_it_could_not_draw() -> None:
    with pytest.raises(UsageError, match="summary"):
        RoundExplorer({k: v for k, v in explorer_data().items() if k != "summary"})
    with pytest.raises(UsageError, match="shuffle"):
        RoundExplorer({**explorer_data(), "curves": {"shuffle": {}}})
    short = explorer_data()
    short["curves"]["ticket"]["4"] = {"iteration": [0, 100], "mean": [0.1]}
    with pytest.raises(UsageError, match="curves of ticket, round 4"):
        RoundExplorer(short)


def test_a_diverged_curve_travels_as_null() -> None:
    widget = RoundExplorer(explorer_data())
    assert widget.data["curves"]["ticket"]["0"]["high"] == [0.1, None]
    json.dumps(widget.data, allow_nan=False)


# --- The built pages --------------------------------------------------------------------------------------------------


def test_site_is_light(built_book: Path) -> None:
    assert sum(p.stat().st_size for p in built_book.rglob("*") if p.is_file()) < 25 * MEGABYTE
    for page in built_book.glob("*.html"):
        assert page.stat().st_size < 1.5 * MEGABYTE, page.name


def targets(folder: Path, page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link of a page to somewhere in the book: as written, the file, the place in it."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for node in soup.select("[href], [src]"):
        link = str(node.get("href") or node.get("src"))
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            yield link, path, unquote(parts.fragment)


def test_internal_links_resolve(built_book: Path) -> None:
    names: dict[Path, set[str]] = {}
    for page in built_book.glob("*.html"):
        soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
        names[page.resolve()] = {str(n.get("id") or n.get("name")) for n in soup.select("[id], a[name]")}
    broken = [
        f"{page.name}: {link}"
        for page in sorted(names)
        for link, path, place in targets(built_book, page)
        if not path.exists() or (place and path in names and place not in names[path])
    ]
    assert not broken


@pytest.mark.browser
@pytest.mark.parametrize("name", pages())
@pytest.mark.parametrize(
    "tab", [(w, m) for w in (375, 1280) for m in ("light", "dark")], indirect=True, ids="{0[0]} {0[1]}".format
)
def test_page_works_offline_and_is_accessible(tab: Any, name: str, request: pytest.FixtureRequest) -> None:
    width, mode = request.node.callspec.params["tab"]
    tab.page.goto(f"/{name}.html", wait_until="load")
    tab.page.wait_for_function("!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")
    tab.page.wait_for_timeout(200)  # late scripts
    assert tab.page.evaluate("document.documentElement.dataset.theme") == mode
    ARTEFACTS.mkdir(exist_ok=True)
    tab.page.screenshot(path=ARTEFACTS / f"{name}-{width}-{mode}.png", full_page=True)
    assert not tab.errors
    assert not tab.outside
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
    found = Axe().run(tab.page).response["violations"]
    assert not found, "\n".join(f"{v['id']}: {v['help']}: {n['html'][:200]}" for v in found for n in v["nodes"])


@pytest.mark.browser
def test_mathematics_is_rendered(tab: Any) -> None:
    tab.page.goto("/intro.html")
    tab.page.wait_for_selector("mjx-container")
    tab.page.evaluate("MathJax.startup.promise")
    written = tab.page.locator(".math").count()
    assert written > 5
    assert tab.page.locator(".math mjx-container").count() >= written
    assert tab.page.locator("mjx-merror").count() == 0
    assert not re.search(r"\\\(|\\\[", tab.page.inner_text("article"))


CURVE = ".lth-explorer .line[data-arm]"


@pytest.mark.browser
@pytest.mark.parametrize("tab", [(375, "light"), (1280, "dark")], indirect=True, ids="{0[0]} {0[1]}".format)
def test_slider_by_keyboard_pointer_and_checkbox(tab: Any) -> None:
    page = tab.page
    page.goto("/iclr_2_lenet.html")
    slider = page.locator(".lth-explorer input[type=range]").first
    slider.scroll_into_view_if_needed()

    def state() -> tuple[str, str]:
        lines = page.locator(CURVE).evaluate_all("lines => lines.map(l => l.getAttribute('d')).join()")
        return lines, slider.get_attribute("aria-valuetext")

    seen = [state()]
    slider.focus()
    for key in ("ArrowRight", "ArrowRight", "End", "Home", "ArrowRight"):
        page.keyboard.press(key)
        seen.append(state())
    for before, after in pairwise(seen):
        assert before[0] != after[0] and before[1] != after[1]
    assert "of weights remaining" in seen[-1][1]
    assert seen[-1] == seen[1], "the same round is the same picture"

    box = slider.bounding_box()
    (page.touchscreen.tap if box["width"] < 400 else page.mouse.click)(
        box["x"] + box["width"] * 0.7, box["y"] + box["height"] / 2
    )
    assert state()[1] != seen[-1][1]

    shown = page.locator(CURVE).count()
    page.locator(".lth-explorer input[type=checkbox]").last.uncheck()
    assert page.locator(CURVE).count() == shown - 1

    took = slider.evaluate(
        "s => { const t = performance.now(); s.value = 0; s.dispatchEvent(new Event('input'));"
        " document.body.offsetHeight; return performance.now() - t; }"
    )
    assert took < 100, f"{took:.0f} ms for one step"
    page.screenshot(path=ARTEFACTS / f"explorer-{page.viewport_size['width']}.png")
    assert not tab.errors and not tab.outside


@pytest.mark.browser
def test_one_switch_unfolds_all_code(tab: Any) -> None:
    tab.page.goto("/iclr_2_lenet.html")
    folded = tab.page.locator("details.hide")
    assert folded.count() and not tab.page.locator("details.hide[open]").count()
    tab.page.get_by_role("button", name="Show all code").click()
    assert tab.page.locator("details.hide[open]").count() == folded.count()


@pytest.mark.browser
def test_each_notebook_page_offers_itself_as_a_notebook(built_book: Path, tab: Any) -> None:
    for source in sorted((ROOT / "notebooks").glob("*.ipynb")):
        tab.page.goto(f"/{source.stem}.html")
        assert tab.page.locator(f"a[href$='_sources/{source.name}'][download]").count() == 1
        nbformat.read(built_book / "_sources" / source.name, as_version=4)
