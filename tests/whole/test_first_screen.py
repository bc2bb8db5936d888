"""Every page begins with its result, the explorer is on the first screen, and figures are found by their numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from bs4 import BeautifulSoup
from explored import EXPLORERS
from places import ROOT
from waits import until

from lth_companion.experiments import catalogue
from lth_companion.pages import figure_index, lead

ARTEFACTS = ROOT / "_artefacts"
FIRST = """() => {  // tops of the sentence that nothing is measured, and of the first figure, control or table
  const top = (nodes) => Math.round(Math.min(...nodes.map((e) => e.getBoundingClientRect().top + scrollY)));
  const article = document.querySelector("article"), nothing = "Nothing on this page";
  return [top([...article.querySelectorAll("p")].filter((p) => p.textContent.startsWith(nothing))),
    top([...article.querySelectorAll(".lth-widget, figure, .cell_output table, .ledger")])];
}"""
BEGINS = (*EXPLORERS, *(p.stem for p in sorted((ROOT / "notebooks").glob("*.ipynb")) if p.stem not in EXPLORERS))
WAITING = (*(n for n in catalogue.NOTEBOOKS if figure_index.sidebar(n).endswith(figure_index.NOT)),)


@pytest.mark.browser
@pytest.mark.parametrize("name", BEGINS)
def test_a_page_begins_with_its_result(tab: Any, name: str) -> None:
    """At most 700 px from the top at 1280; a page without one says so there. The table: _artefacts/first-results.md."""
    tab.page.set_viewport_size({"width": 1280, "height": 720})
    tab.page.goto(f"/{name}.html", wait_until="load")
    if name in EXPLORERS:
        tab.page.locator(".lth-widget").first.wait_for()
    sentence, first = tab.page.evaluate(FIRST)
    ARTEFACTS.mkdir(exist_ok=True)
    with (ARTEFACTS / "first-results.md").open("a") as table:
        table.write(f"| {name} | {sentence if name in WAITING else first} |\n")
    assert (sentence if name in WAITING else first) <= 700
    assert "code cell source" not in tab.page.locator("article").inner_text()


@pytest.mark.browser
@pytest.mark.parametrize("name", EXPLORERS)
@pytest.mark.parametrize(("width", "height"), [(1280, 720), (375, 812)])
def test_the_explorer_stands_on_the_first_screen(tab: Any, name: str, width: int, height: int) -> None:
    """Its sliders and its curves, before anybody scrolls."""
    tab.page.set_viewport_size({"width": width, "height": height})
    tab.page.goto(f"/{name}.html", wait_until="load")
    curves = tab.page.locator(".lth-ticket .charts > .chart").first
    curves.locator("svg").wait_for()
    box = curves.bounding_box()
    tab.page.screenshot(path=ARTEFACTS / f"first-screen-{name}-{width}.png")
    assert box["y"] + box["height"] <= height and not tab.errors


@pytest.mark.browser
def test_a_link_opens_the_landing_page_at_a_size(tab: Any) -> None:
    tab.page.goto("/intro.html?round=5")
    slider = tab.page.locator(".lth-ticket input[type=range]").last
    slider.wait_for()
    assert slider.get_attribute("aria-valuetext").endswith("pruning round 5")
    slider.press("ArrowRight")
    until(tab.page, "location.search.includes('round=6')")
    assert not tab.errors and not tab.outside


@pytest.mark.browser
def test_search_finds_a_figure_by_its_number(tab: Any) -> None:
    tab.page.goto("/search.html?q=ICLR+Figure+14")
    first = tab.page.locator("#search-results li a").first
    first.wait_for()
    assert "figures.html#iclr-figure-14" in first.get_attribute("href")


def test_headings_of_figures_link_to_the_paper(built_book: Path) -> None:
    soup = BeautifulSoup((built_book / "iclr_2_lenet.html").read_text("utf-8"), "html.parser")
    links = [str(a["href"]) for a in soup.select("p.lth-printed a")]
    assert [link.split("#")[1] for link in links] == ["page=4", "page=5", "page=2"]


def test_a_page_that_is_not_measured_says_so(built_book: Path) -> None:
    for name in WAITING:
        soup = BeautifulSoup((built_book / f"{name}.html").read_text("utf-8"), "html.parser")
        assert lead.NOTHING.split("**")[1] in soup.select_one("article").get_text()
        assert "not measured" in soup.select_one(".bd-sidebar-primary li.current.active").get_text()
