"""The ticket explorer: what it packs is what was measured; by key, touch and address it shows what is asked for."""

from __future__ import annotations

import base64
import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from accessible import violations
from explored import alone, packed, small
from pages import Files, served
from waits import PATIENCE, until

from lth_companion.experiments.study import Study
from lth_companion.widgets import TicketExplorer, explorer_data
from lth_companion.widgets.anatomy import REACH
from lth_core import prune, results
from lth_core.analyse import by_trial
from lth_core.errors import UsageError
from lth_core.models import initial
from lth_core.store.cell import key_of

FIGURE = "iclr-fig04"
V1 = {"accuracy": "convergence_test", "stop": "convergence_iteration", "size": "hidden"}
SCREENS = [(1280, 720), (375, 812)]


@pytest.fixture(scope="module")
def shown(study: Study) -> dict[str, Any]:
    return explorer_data.ticket(study, [FIGURE, "iclr-fig04c"], ["ticket", "reinit"])


@pytest.fixture(scope="module")
def rates() -> dict[str, Any]:
    study = Study(notebook="v1_6_parameters")
    return explorer_data.ticket(study, ["v1-fig15", "v1-fig11"], ["ticket"], where={"init_sd": 0.1}, **V1)


# --- Values -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "chosen"), [(4, 4), (5, 4), (-3, 0), (99, 8)])
def test_round_moves_to_the_nearest_stop(given: int, chosen: int) -> None:
    widget = TicketExplorer(small(), round=given)
    assert widget.round == chosen
    widget.round = 0
    widget.round = given
    assert widget.round == chosen


def test_a_rate_moves_to_the_nearest_measured_and_takes_the_round_along() -> None:
    widget = TicketExplorer(small(), rate=44)
    assert widget.rate == 50 and widget.schedule == "iterative"
    widget.rate, widget.round = 20, 8
    widget.rate = 50
    assert widget.round == 3, "at this rate there is no eighth round"
    widget.percent = 33
    assert widget.percent == 20.0 or widget.percent == 60.0
    assert TicketExplorer({**small(), "ways": small()["ways"][:1]}).rate == 20


def test_what_does_not_exist_is_said() -> None:
    for wrong in ({"trial": 7}, {"schedule": "never"}, {"arms": "ticket,dog"}):
        (name,) = wrong
        with pytest.raises(UsageError, match=name):
            TicketExplorer(small(), **wrong)


def test_the_explorer_refuses_data_that_it_could_not_draw() -> None:
    with pytest.raises(UsageError, match="unpruned"):
        TicketExplorer({k: v for k, v in small().items() if k != "unpruned"})
    with pytest.raises(UsageError, match="at least one way"):
        TicketExplorer({**small(), "ways": []})
    wrong: list[tuple[str, Callable[[dict], None]]] = [
        ("no stops", lambda w: w.update(stops=[])),
        ("shuffle", lambda w: w["stop"].update(shuffle=[[1, 1]] * 3)),
        ("curves of ticket, 20 percent", lambda w: w["curves"].update(ticket=packed(1, 2, 3))),
        ("summary of reinit", lambda w: w["accuracy"].update(reinit=[[1, 2]])),
    ]
    for said, spoil in wrong:
        data = small()
        spoil(data["ways"][0])
        with pytest.raises(UsageError, match=said):
            TicketExplorer(data)


def test_what_diverged_travels_as_null() -> None:
    bad = small()
    bad["ways"][0]["accuracy"]["ticket"] = [[float("nan"), 9000]] * 3
    widget = TicketExplorer(bad)
    assert widget.data["ways"][0]["accuracy"]["ticket"][0] == [None, 9000]
    json.dumps(widget.data, allow_nan=False)


# --- Data -------------------------------------------------------------------------------------------------------------


def unpacked(text: str, *shape: int) -> np.ndarray:
    return np.frombuffer(base64.b64decode(text), "<u2").reshape(shape)


def test_the_explorer_shows_what_is_published(study: Study, shown: dict[str, Any]) -> None:
    table = study.table(FIGURE)
    tickets = table[(table["arm"] == "ticket") & np.isclose(table["prune_fc"], 0.2)]
    last = int(tickets["round"].max())
    rounds, once = shown["ways"]
    assert [r["round"] for r in rounds["stops"]] == list(range(1, last + 1)) and once["rate"] is None
    means = by_trial(tickets[tickets["round"] == last], "stop_test")
    assert np.allclose(rounds["accuracy"]["ticket"][-1], 1e4 * means, atol=0.5)
    curves = study.curves(FIGURE)
    key = tickets[(tickets["round"] == 7) & (tickets["trial"] == 2)]["key"].item()
    own = curves[(curves["key"] == key) & curves["iteration"].isin(shown["iteration"])].sort_values("iteration")
    drawn = unpacked(rounds["curves"]["ticket"], last, len(shown["trials"]), len(shown["iteration"]))
    assert np.array_equal(drawn[6, 2], own["test_correct"]), "of 10,000 test images"
    sizes = [stop["percent"] for stop in once["stops"]]
    assert sizes == sorted(sizes, reverse=True) and len(set(sizes)) == len(sizes)
    assert len(json.dumps(shown, allow_nan=False)) < 300_000


def test_ways_are_the_rates_and_one_cut(rates: dict[str, Any]) -> None:
    """v1 Figure 15's rates, and the one-shot tickets of Figure 11 with the same initial weights."""
    assert [(w["schedule"], w["rate"]) for w in rates["ways"]] == [
        *(("iterative", r) for r in (10, 20, 30, 50, 70)), ("one-shot", None),
    ]  # fmt: skip
    for way in rates["ways"][:-1]:
        left = [100 * (1 - way["rate"] / 100) ** stop["round"] for stop in way["stops"]]
        assert [stop["percent"] for stop in way["stops"]] == pytest.approx(left, abs=0.01)
    assert rates["titles"]["size"] == "hidden weights" and len(json.dumps(rates)) < 60_000


def test_what_is_left_of_each_layer_is_what_the_masks_keep(study: Study, shown: dict[str, Any]) -> None:
    source, anatomy = study.source, shown["anatomy"]
    assert isinstance(source, results.Published)
    keys = set(study.table(FIGURE)["key"])
    chain = [s for s in study.rows(FIGURE) if s.arm == "ticket" and s.trial == 1 and math.isclose(s.prune_fc, 0.2)]
    spec = max((s for s in chain if key_of(s) in keys), key=lambda s: s.round)
    masks, start, r = source.masks(spec), initial(spec), str(spec.round)
    kept = shown["ways"][anatomy["way"]]["kept"][spec.round - 1]
    assert kept == list(prune.plan(spec).values()) == [int(m.sum()) for m in masks.values()]
    assert [sum(h) for h in anatomy["weights"][1][r]] == kept
    for i, (name, layer) in enumerate(zip(masks, anatomy["layers"], strict=True)):
        inside = start[name][masks[name]]
        middle = np.abs(inside) < 0.2 * REACH * layer["sd"]  # the 6 bins in the middle of 30
        counts = anatomy["weights"][1][r][i]
        assert abs(sum(counts[12:18]) - middle.sum()) <= max(5, 0.01 * len(inside))
    most, text = anatomy["map"][1][r]
    out = masks["fc1.weight"].sum(0)
    assert most == out.max() and len(text) == out.size == anatomy["side"] ** 2
    drawn = np.array([ord(c) - anatomy["zero"] for c in text]) * most / (anatomy["shades"] - 1)
    assert np.abs(drawn - out).max() <= most / anatomy["shades"]


# --- In a browser, without the book -----------------------------------------------------------------------------------


class Shown:
    """A page with one explorer, under the book's policy."""

    def __init__(self, page: Any, address: str) -> None:
        self.page, self.address, self.errors = page, address, []
        page.on("pageerror", lambda e: self.errors.append(str(e)))
        page.on("console", lambda m: self.errors.append(m.text) if m.type == "error" and "404" not in m.text else None)

    def go(self, query: str = "") -> None:
        self.page.goto(f"{self.address}/index.html{query}")
        self.page.locator("input[type=range]").last.wait_for()
        self.page.wait_for_timeout(50)

    @property
    def said(self) -> list[str]:
        """What the sliders say they are at: rate, size."""
        return [s.get_attribute("aria-valuetext") for s in self.page.locator("input[type=range]").all()]


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Shown]]:
    open_now: list[Any] = []

    def make(widget: TicketExplorer, width: int = 1280, height: int = 720, theme: str = "light") -> Shown:
        server = served(alone(tmp_path / "page", widget, theme=theme))
        context = browser.new_context(viewport={"width": width, "height": height}, has_touch=width < 600)
        context.set_default_timeout(PATIENCE * 1000)
        open_now.extend([server, context])
        return Shown(context.new_page(), server.__enter__())

    yield make
    for one in reversed(open_now):
        one.close() if hasattr(one, "close") else one.__exit__(None, None, None)


@pytest.mark.browser
def test_a_control_answers_before_the_end_of_its_page_has_come(browser: Any, tmp_path: Path) -> None:
    """A page that comes in pieces, cut within the control's data and within its place."""
    text = (alone(tmp_path, TicketExplorer(small())) / "index.html").read_bytes()
    cuts = [text.index(b"widget-state+json") + 500, text.index(b"widget-view+json") + 30, text.index(b"</article>")]
    pieces = [text[i:j] for i, j in pairwise([0, *cuts])]
    moved = threading.Event()

    class InPieces(Files):
        def do_GET(self) -> None:
            if self.path != "/":
                return super().do_GET()
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            for piece in pieces:
                self.wfile.write(piece)
                self.wfile.flush()
                time.sleep(0.5)
            moved.wait(PATIENCE)
            self.wfile.write(text[cuts[-1] :])

    with served(tmp_path, InPieces) as site, closing(browser.new_page()) as page:
        wrong: list[str] = []
        page.on("pageerror", lambda error: wrong.append(str(error)))
        page.goto(site, wait_until="commit")
        slider = page.locator(".lth-widget input[type=range]").first
        slider.wait_for(timeout=1000 * PATIENCE)
        before = slider.input_value()
        slider.press("ArrowRight")
        assert slider.input_value() != before and page.evaluate("document.readyState") == "loading"
        moved.set()
        until(page, "document.readyState === 'complete'")
        assert page.locator(".lth-widget").count() == 1 and wrong == []


@pytest.mark.browser
def test_keys_change_rate_and_round_and_the_address_brings_both_back(
    show: Callable[..., Shown], rates: dict[str, Any]
) -> None:
    tab = show(TicketExplorer(rates, round=7))
    tab.go()
    speed, size = tab.page.locator("input[type=range]").all()
    assert tab.said == ["20% pruned per round", "21% of hidden weights remaining, pruning round 7"]
    assert "?" not in tab.page.url, "the page's own choice needs no address"
    speed.focus()
    tab.page.keyboard.press("ArrowRight")
    assert tab.said == ["30% pruned per round", "24% of hidden weights remaining, pruning round 4"], "at about its size"
    size.focus()
    tab.page.keyboard.press("ArrowRight")
    until(tab.page, "location.search === '?round=5&rate=30' || location.search === '?rate=30&round=5'")
    before = tab.said
    tab.page.reload()
    size.wait_for()
    assert tab.said == before
    tab.go("?rate=30&round=5")
    assert tab.said == before == ["30% pruned per round", "16.8% of hidden weights remaining, pruning round 5"]
    assert not tab.errors


@pytest.mark.browser
@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("?rate=44&round=99", ["50% pruned per round", "3.1% of hidden weights remaining, pruning round 5"]),
        ("?round=dog&rate=&arms=cat", ["10% pruned per round", "47.8% of hidden weights remaining, pruning round 7"]),
        ("?schedule=one-shot&percent=26", ["one cut instead of rounds", "25% of hidden weights remaining, one cut"]),
        ("?schedule=never", ["20% pruned per round", "21% of hidden weights remaining, pruning round 7"]),
    ],
)  # fmt: skip
def test_any_address_shows_what_is_nearest(
    show: Callable[..., Shown], rates: dict[str, Any], query: str, said: list[str]
) -> None:
    tab = show(TicketExplorer(rates, round=7))
    tab.go(query)
    assert tab.said == said and not tab.errors


@pytest.mark.browser
@pytest.mark.parametrize(("width", "height"), SCREENS)
@pytest.mark.parametrize("theme", ["light", "dark"])
def test_sliders_and_curves_share_one_screen(
    show: Callable[..., Shown], shown: dict[str, Any], width: int, height: int, theme: str
) -> None:
    tab = show(TicketExplorer(shown, round=7), width, height, theme)
    tab.go()
    boxes = [tab.page.locator(s).bounding_box() for s in (".sliders", ".charts > .chart >> nth=0")]
    assert max(b["y"] + b["height"] for b in boxes) - boxes[0]["y"] < 0.7 * height
    assert tab.page.evaluate("document.documentElement.scrollWidth") <= width
    found = violations(tab.page)
    assert not found, found
    slider = tab.page.locator("input[type=range]").last
    before = slider.get_attribute("aria-valuetext")
    box = slider.bounding_box()
    if width < 600:
        tab.page.touchscreen.tap(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    else:
        tab.page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + box["height"] / 2)
    assert slider.get_attribute("aria-valuetext") != before and not tab.errors


ON_CURVE = """() => [...document.querySelectorAll(".chart circle.stop")].map((dot) => {
  const line = dot.parentNode.querySelector(`path.line[data-arm="${dot.dataset.arm}"]`), long = line.getTotalLength();
  let least = Infinity;
  for (let at = 0; at <= long; at += 0.5) {
    const p = line.getPointAtLength(at);
    least = Math.min(least, Math.hypot(p.x - dot.getAttribute("cx"), p.y - dot.getAttribute("cy")));
  }
  return least;
})"""
OFF_AXES = """() => [...document.querySelectorAll(".chart circle[stroke]")].filter((dot) => {
  const box = dot.ownerSVGElement.viewBox.baseVal, y = +dot.getAttribute("cy"), x = +dot.getAttribute("cx");
  return !(y > 18 && y < box.height - 36 && x > 45 && x < box.width);
}).length"""


@pytest.mark.browser
@pytest.mark.parametrize("round", [0, 7, 27])
def test_axes_follow_the_data_and_the_dot_stands_on_its_curve(
    show: Callable[..., Shown], shown: dict[str, Any], round: int
) -> None:
    tab = show(TicketExplorer(shown, round=round))
    tab.go()
    distances = tab.page.evaluate(ON_CURVE)
    assert len(distances) == 2 and max(distances) < 1.5
    assert tab.page.evaluate(OFF_AXES) == 0 and tab.page.locator(".chart circle[stroke]").count() == 6
    assert not tab.errors


@pytest.mark.browser
def test_arms_trials_and_schedule_are_chosen(show: Callable[..., Shown], shown: dict[str, Any]) -> None:
    tab = show(TicketExplorer(shown, round=7))
    tab.go()
    lines = tab.page.locator(".chart >> nth=0 >> path.line[data-arm]")
    assert lines.count() == 2
    tab.page.get_by_role("checkbox", name="reinitialised").uncheck()
    assert lines.count() == 1
    tab.page.get_by_label("Trials").select_option("3")
    tab.page.get_by_label("Schedule").select_option("one-shot")
    assert "one cut" in tab.said[-1]
    until(tab.page, "location.search.includes('trial=3') && location.search.includes('arms=ticket')")
    tab.page.reload()
    tab.page.locator("input[type=range]").last.wait_for()
    assert "one cut" in tab.said[-1] and tab.page.get_by_label("Trials").input_value() == "3" and lines.count() == 1
    assert not tab.errors


@pytest.mark.browser
def test_the_explorer_says_what_the_paper_prints_of_a_size(
    show: Callable[..., Shown], study: Study, shown: dict[str, Any]
) -> None:
    """Section 2: 38% earlier at 21%. Our unpruned networks' mean stands at the other side of the comparison."""
    stop = study.table(FIGURE).query("round == 0")["stop_iteration"].mean()
    own = [p for p in shown["printed"] if p["way"] == 0]
    (sooner,) = (p for p in own if p["column"] == "stop" and p["arm"] == "ticket" and p["percent"] > 20)
    assert sooner["value"] == pytest.approx(0.62 * stop)
    tab = show(TicketExplorer(shown, round=7))
    tab.go()
    told, diamonds = tab.page.locator(".told"), tab.page.locator(".pick .printed")
    assert "38 percent" in told.inner_text() and diamonds.count() == len(own) >= 5
    tab.page.locator("input[type=range]").press("ArrowRight")
    assert told.inner_text() == "" and diamonds.count() == len(own)
    assert tab.page.get_by_text("printed in the paper").is_visible()
    tab.page.get_by_label("Trials").select_option("1")  # one trial is no mean to start from
    assert diamonds.count() == 0 and not tab.page.get_by_text("printed in the paper").is_visible() and not tab.errors
