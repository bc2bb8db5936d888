"""The book: built incrementally, equal builds equal, and working in a real browser with the network cut."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
import yaml
from accessible import violations
from bs4 import BeautifulSoup
from explored import EXPLORERS
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from pages import answers, slides
from places import ROOT
from waits import all_there, until

from lth_companion.build import book
from lth_companion.classroom import without_solutions
from lth_companion.pages import figure_index

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
    for folder in ("notebooks", "lth_core", "lth_companion", "results", "book"):
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


# --- The built pages --------------------------------------------------------------------------------------------------


def test_site_is_light(built_book: Path) -> None:
    assert sum(p.stat().st_size for p in built_book.rglob("*") if p.is_file()) < 25 * MEGABYTE


def targets(folder: Path, page: Path) -> Iterator[tuple[str, Path, str]]:
    """Each link of a page to somewhere in the book: as written, the file, the place in it."""
    soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
    for node in soup.select("[href], [src]"):
        link = str(node.get("href") or node.get("src"))
        parts = urlsplit(link)
        if not parts.scheme and not parts.netloc:
            path = (page.parent / unquote(parts.path)).resolve() if parts.path else page
            yield link, path, unquote(parts.fragment)


def test_an_address_that_does_not_exist_has_a_page_and_templates_have_none(built_book: Path) -> None:
    soup = BeautifulSoup((built_book / "404.html").read_text(), "html.parser")
    assert soup.h1 and soup.h1.text == "This page does not exist" and soup.find("nav")
    leads = {a["href"] for a in soup.select("article a[href], .bd-article-container a[href]")}
    assert {"figures.html", "intro.html"} <= leads
    assert not list(built_book.rglob("*macros.html"))


def test_internal_links_resolve(built_book: Path) -> None:
    names: dict[Path, set[str]] = {}
    for page in (p for p in built_book.rglob("*.html") if "_static" not in p.parts):
        soup = BeautifulSoup(page.read_text("utf-8"), "html.parser")
        names[page.resolve()] = {str(n.get("id") or n.get("name")) for n in soup.select("[id], a[name]")}
    broken = [
        f"{page.name}: {link}"
        for page in sorted(names)
        for link, path, place in targets(built_book, page)
        if not path.exists() or (place and path in names and place not in names[path])
    ]
    assert not broken


def test_a_name_with_a_dot_is_no_address(built_book: Path) -> None:
    """Files such as a.pt and modules such as torch.ao are named in sentences, and lead nowhere."""
    for page in (p for p in built_book.rglob("*.html") if "_static" not in p.parts):
        links = BeautifulSoup(page.read_text("utf-8"), "html.parser").select("article a[href^='http://']")
        assert not [a["href"] for a in links if a["href"] == f"http://{a.get_text()}"], page.name


def test_options_keep_their_two_hyphens(built_book: Path) -> None:
    text = BeautifulSoup((built_book / "faults.html").read_text("utf-8"), "html.parser").article.get_text()
    assert "--budget" in text and "–budget" not in text and "–resume" not in text


def seen(names: Sequence[str], screens: list[tuple[int, str]]) -> Any:
    """Each page on one of the screens in turn, on the others in the slow run."""
    made = []
    for i, name in enumerate(names):
        for j, screen in enumerate(screens):
            marks = () if j == i % len(screens) else pytest.mark.slow
            made.append(pytest.param(name, screen, marks=marks, id=f"{name} {screen[0]} {screen[1]}"))
    return pytest.mark.parametrize(("name", "tab"), made, indirect=["tab"])


CUT_OFF = """[...document.querySelectorAll("article svg text")].filter(t => {
    const own = t.getBoundingClientRect(), chart = t.ownerSVGElement.getBoundingClientRect();
    const beside = Math.max(own.right - chart.right, chart.left - own.left);
    return own.width && chart.width && Math.max(beside, own.bottom - chart.bottom, chart.top - own.top) > 2;
}).map(t => t.textContent)"""


PHONE = ("intro", "iclr_2_lenet", "search", "claims")  # whose header, menu or tables are others there


@contextmanager
def pictured(page: Any, path: Path, *, always: bool) -> Iterator[None]:
    """A picture of the whole page, which takes seconds where it is long: always, or where something is wrong."""
    path.parent.mkdir(exist_ok=True)
    path.unlink(missing_ok=True)
    try:
        yield
    except AssertionError:
        always = True
        raise
    finally:
        if always:
            page.screenshot(path=path, full_page=True)


@pytest.mark.browser
@seen(pages(), [(375, "dark"), (1280, "light"), (375, "light"), (1280, "dark")])
def test_page_works_offline_and_is_accessible(tab: Any, name: str, request: pytest.FixtureRequest) -> None:
    width, mode = request.node.callspec.params["tab"]
    tab.page.goto(f"/{name}.html", wait_until="load")
    until(tab.page, "!window.MathJax?.startup?.promise || MathJax.startup.promise.then(() => true)")
    tab.page.wait_for_timeout(200)  # late scripts
    assert tab.page.evaluate("document.documentElement.dataset.theme") == mode
    again = bool(request.node.get_closest_marker("slow"))  # on a second, third or fourth screen
    with pictured(tab.page, ARTEFACTS / f"{name.replace('/', '-')}-{width}-{mode}.png", always=not again):
        assert not tab.errors
        assert not tab.outside
        assert tab.page.evaluate("document.documentElement.scrollWidth") <= width, "the page scrolls sideways"
        ends = "[...document.querySelectorAll('article caption')].map(c => c.getBoundingClientRect().right)"
        assert all(x <= width for x in tab.page.evaluate(ends)), "a table's caption leaves the page"
        assert not (cut := tab.page.evaluate(CUT_OFF)), f"text in a chart is cut off: {cut}"
        # Colours take most of the checker's time and are of a mode, not of a width: again only with the sidebars.
        found = violations(tab.page, *(("color-contrast",) if again and width < 1280 and name not in PHONE else ()))
        assert not found, "\n".join(f"{v['id']}: {v['help']}: {n['html'][:200]}" for v in found for n in v["nodes"])


@pytest.mark.browser
@pytest.mark.parametrize("tab", [(375, "light"), (1280, "dark")], indirect=True, ids="{0[0]} {0[1]}".format)
def test_the_landing_page_begins_with_the_main_result(tab: Any) -> None:
    """Before any verdict, in letters that can be read: at the width the figure was drawn for, or wider."""
    tab.page.goto("/intro.html", wait_until="load")
    first = tab.page.locator("article figure").first
    assert "The main result, measured here" in first.inner_text()
    assert "winning tickets" in first.locator("svg").text_content()
    assert first.locator("svg").bounding_box()["width"] > 500


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


GRID = ("beyond_rates",) if figure_index.status(["beyond-rates"]) == figure_index.MEASURED else ()
VARIED = ("iclr_f_examining", "iclr_g_lenet_hyperparameters")
SLIDERS = (*EXPLORERS, "v1_2_xor", *GRID, *VARIED)  # pages with a slider of ours that moves a figure
# Sliders that move no figure: they say what will be trained (tests/companion/widgets/test_train_here.py), or two lines
# are chosen by name instead.
STILL = ("beyond_train_your_own", "iclr_b_iterative_strategies")


def weighed(built_book: Path, url: str) -> dict[str, int]:
    """The size of the file of the book that an address names; what a page makes itself weighs nothing more."""
    path = built_book / unquote(urlsplit(url).path).lstrip("/")
    return {url: path.stat().st_size} if url.startswith("http") and path.is_file() else {}


KEYDOWN = """() => {  // how many frames after a key the first change of a figure came; the theme's own come later
  window.seen = { frame: 0, key: 0, change: null };
  const next = () => { seen.frame += 1; requestAnimationFrame(next); };
  requestAnimationFrame(next);
  addEventListener("keydown", () => { seen.key = seen.frame; seen.change = null; }, true);
  const observer = new MutationObserver(() => (seen.change ??= seen.frame));
  for (const figure of document.querySelectorAll(".lth-widget"))
    observer.observe(figure, { subtree: true, childList: true, attributes: true, characterData: true });
}"""
SHOWN = """slider => {  // all that a slider's figure shows
  const figure = slider.closest(".lth-widget");
  return [...figure.querySelectorAll("svg, canvas")].map((s) => s.outerHTML + (s.toDataURL?.() ?? "")).join()
    + figure.textContent;
}"""


@pytest.mark.browser
def test_sliders_are_on_the_pages_that_promise_them(built_book: Path) -> None:
    assert {n for n in pages() if slides(built_book / f"{n}.html")} == {*SLIDERS, *STILL}


@pytest.mark.browser
@seen(SLIDERS, [(375, "light"), (1280, "dark")])
def test_each_slider_by_keyboard_changes_its_figure_at_once(tab: Any, name: str, built_book: Path) -> None:
    page = tab.page
    page.goto(f"/{name}.html", wait_until="load")
    sliders = page.locator("article input[type=range]")
    sliders.last.wait_for()
    page.wait_for_timeout(200)
    page.evaluate(KEYDOWN)
    for i in range(sliders.count()):
        slider = sliders.nth(i)
        slider.focus()
        page.keyboard.press("Home")
        page.wait_for_timeout(200)
        took = []
        for key in ("ArrowRight", "ArrowRight", "ArrowLeft", "End"):
            before, said = slider.evaluate(SHOWN), slider.get_attribute("aria-valuetext")
            page.keyboard.press(key)
            page.wait_for_timeout(150)
            assert slider.evaluate(SHOWN) != before, f"{name}: {key} on slider {i} changes nothing"
            assert slider.get_attribute("aria-valuetext") != said
            assert slider.get_attribute("data-lm-suppress-shortcuts") == "true"
            took.append(page.evaluate("seen.change - seen.key"))
        assert took == [0] * len(took), f"{name}: slider {i} took {took} frames"
        widget = slider.locator("xpath=ancestor::*[contains(@class, 'lth-widget')]")
        kind = widget.get_attribute("class").split()[-1]
        widget.screenshot(path=ARTEFACTS / f"{kind}-{page.viewport_size['width']}.png")
    assert not tab.errors and not tab.outside


@pytest.mark.browser
@pytest.mark.parametrize("name", pages())
def test_a_page_is_light_and_answers_before_all_is_there(tab: Any, name: str, built_book: Path) -> None:
    """What a page loads, and that a first key has its effect as soon as there is something to press it on (how soon:
    benchmarks/pages.py).

    Scripts, styles and fonts that all pages share are counted once for the book, not on each page."""
    sizes: dict[str, int] = {}
    tab.page.on("response", lambda r: sizes.update(weighed(built_book, r.url)))
    tab.page.goto(f"/{name}.html", wait_until="commit")
    assert answers(tab.page, slides(built_book / f"{name}.html"))
    all_there(tab.page, sizes)
    shared = sum(n for url, n in sizes.items() if "/_static/" in url or url.endswith("/searchindex.js"))
    own = sum(sizes.values()) - shared
    assert own < 1.5 * MEGABYTE and shared < 2 * MEGABYTE, f"{name}: {own:,} bytes, shared {shared:,}"


@pytest.mark.parametrize("name", pages())
def test_no_page_waits_for_a_script(built_book: Path, name: str) -> None:
    """But for two small ones: what the others read, and the host that shows controls while the page still comes."""
    page = BeautifulSoup((built_book / f"{name}.html").read_text("utf-8"), "html.parser")
    files = {Path(s["src"].split("?")[0]).name: s for s in page.select("script[src]")}
    waited_for = {n for n, s in files.items() if not (s.has_attr("defer") or s.has_attr("async"))}
    assert waited_for <= {"documentation_options.js", "widget-host.js"}
    assert ("searchindex.js" in files) == (name == "search")


@pytest.mark.browser
@pytest.mark.parametrize("tab", [(375, "light"), (1280, "dark")], indirect=True, ids="{0[0]} {0[1]}".format)
def test_search_finds_a_page(tab: Any) -> None:
    tab.page.goto("/search.html?q=winning+ticket")
    tab.page.wait_for_selector("#search-results li a")
    assert tab.page.locator("#search-results li").count() > 1
    assert not tab.errors and not tab.outside


def test_previous_and_next_lead_through_the_whole_book(built_book: Path) -> None:
    order = [name for name in pages() if name != "search"]
    for before, after in pairwise(order):
        for page, link, other in ((before, "a.right-next", after), (after, "a.left-prev", before)):
            soup = BeautifulSoup((built_book / f"{page}.html").read_text("utf-8"), "html.parser")
            leads = [(built_book / page).parent / a["href"] for a in soup.select(link)]
            assert [p.resolve() for p in leads] == [(built_book / f"{other}.html").resolve()], page


@pytest.mark.browser
def test_print_leaves_the_text_and_the_figures(tab: Any) -> None:
    tab.page.goto("/iclr_2_lenet.html")
    tab.page.emulate_media(media="print")
    for aside in (".bd-sidebar-primary", ".bd-header-article", ".lth-fold", "details.above-input", ".lth-widget input"):
        shown = tab.page.locator(aside).evaluate_all("all => all.filter(e => e.checkVisibility()).length")
        assert shown == 0, aside
    assert tab.page.locator("article figure svg").first.is_visible()
    assert tab.page.locator(".lth-widget svg").first.is_visible()
    tab.page.screenshot(path=ARTEFACTS / "print.png", full_page=True)


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


# --- The lesson -------------------------------------------------------------------------------------------------------


def test_students_versions_are_what_the_sources_say(built_book: Path) -> None:
    """The files behind the links of the lesson, byte for byte what `student` makes of the sources."""
    lesson = BeautifulSoup((built_book / "teach" / "lesson.html").read_text("utf-8"), "html.parser")
    files = [(built_book / "teach" / unquote(str(a["href"]))).resolve() for a in lesson.select("a.download")]
    assert len(files) == len(list(without_solutions.SOURCES.glob("*.ipynb"))) == 4
    for file in files:
        source = json.loads((without_solutions.SOURCES / file.name).read_text("utf-8"))
        assert json.loads(file.read_text("utf-8")) == without_solutions.student(source)
        nbformat.validate(nbformat.read(file, as_version=4))


def test_solutions_are_folded_and_checks_are_not(built_book: Path) -> None:
    for source in sorted(without_solutions.SOURCES.glob("*.ipynb")):
        page = BeautifulSoup((built_book / "teach" / f"{source.stem}.html").read_text("utf-8"), "html.parser")
        solutions = page.select("div.cell.tag_solution")
        assert solutions and all(cell.select_one("details") for cell in solutions)
        assert not any(cell.select_one("details") for cell in page.select("div.cell.tag_exercise, div.cell.tag_check"))
        assert not page.select("div.cell_output .traceback") and page.select("article details summary")


def test_the_first_use_of_a_term_links_to_the_glossary(built_book: Path) -> None:
    for page in ("intro.html", "iclr_2_lenet.html", "teach/lesson.html"):
        soup = BeautifulSoup((built_book / page).read_text("utf-8"), "html.parser")
        links = [str(a["href"]).split("#")[1] for a in soup.select("a[href*='glossary.html#term-']")]
        assert links and len(links) == len(set(links)), f"{page}: a term is linked once"
    glossary = BeautifulSoup((built_book / "glossary.html").read_text("utf-8"), "html.parser")
    assert len(glossary.select("dt[id^=term-]")) > 20


SMALL = """(least) => [...document.querySelectorAll(".slide.now .body *")].filter((e) => {
  const said = [...e.childNodes].some((n) => n.nodeType === 3 && n.data.trim()) && e.checkVisibility();
  const drawn = e.closest("svg") !== null;
  const high = drawn ? e.getBoundingClientRect().height : parseFloat(getComputedStyle(e).fontSize);
  return said && !["title", "desc"].includes(e.tagName) && high < innerHeight * (drawn ? least.drawn : least.said);
}).map((e) => `${e.tagName} ${e.textContent.slice(0, 40)}`)"""


@pytest.mark.browser
@pytest.mark.parametrize("height", [720, 1080])
def test_the_last_row_reads_the_slides(tab: Any, height: int) -> None:
    """Text is at least a thirtieth of the window's height, in figures a seventieth, and no slide has to be scrolled."""
    page = tab.page
    page.set_viewport_size({"width": height * 16 // 9, "height": height})
    page.goto("/teach/slides.html", wait_until="load")
    for number in range(1, page.locator(".slide").count() + 1):
        assert page.evaluate(SMALL, {"said": 1 / 30, "drawn": 1 / 70}) == [], number
        assert page.evaluate("document.documentElement.scrollHeight <= innerHeight"), number
        page.keyboard.press("ArrowRight")


@pytest.mark.browser
def test_the_presenters_window_has_the_notes_and_moves_the_slides(tab: Any) -> None:
    page = tab.page
    page.goto("/teach/slides.html", wait_until="load")
    with page.context.expect_page() as opened:
        page.keyboard.press("p")
    own = opened.value
    own.locator("#s1 .note").wait_for()
    assert not page.locator("#s1 .note").is_visible() and own.locator("#clock").inner_text() == "0 min"
    assert own.locator("#next").inner_text() == f"Next: {page.locator('#s2 h1').text_content()}"
    own.keyboard.press("ArrowRight")
    page.locator("#s2").wait_for()
    page.keyboard.press("End")
    own.wait_for_url(f"**#s{page.locator('.slide').count()}")
    assert violations(own) == [] and not tab.errors


@pytest.mark.browser
@pytest.mark.parametrize("tab", [(375, "dark"), (1280, "light")], indirect=True, ids="{0[0]} {0[1]}".format)
def test_slides_work_by_keyboard_and_are_accessible(tab: Any) -> None:
    page = tab.page
    page.goto("/teach/slides.html", wait_until="load")
    slides = page.locator(".slide")
    total = slides.count()
    assert total >= 12 and page.locator(".slide:visible").count() == 1
    found: list[Any] = []
    for number in range(1, total + 1):
        assert page.locator(".slide:visible").get_attribute("id") == f"s{number}"
        assert page.locator("#where").inner_text() == f"{number} / {total}"
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"], number
        found += violations(page) if number in (1, 3, 5, 8, 9, 11) else []
        page.keyboard.press("ArrowRight")
    assert page.locator(".slide:visible").get_attribute("id") == f"s{total}", "the last slide stays"
    page.keyboard.press("Home")
    assert page.locator("#s1").is_visible() and not page.locator("#s1 .note").is_visible()
    page.keyboard.press("n")
    assert page.locator("#s1 .note").is_visible()
    page.keyboard.press("End")
    page.keyboard.press("PageUp")
    page.wait_for_url(f"**#s{total - 1}")
    assert page.locator("figure svg").count() >= 4, "figures of the book"
    page.emulate_media(media="print")
    assert page.locator(".slide:visible").count() == total and page.locator(".note:visible").count() > 5
    page.screenshot(path=ARTEFACTS / f"slides-{page.viewport_size['width']}.png")
    assert not found, "\n".join(f"{v['id']}: {n['html'][:200]}" for v in found for n in v["nodes"])
    assert not tab.errors and not tab.outside
