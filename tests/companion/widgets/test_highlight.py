"""One line in front of the others, and a ticket opened round by round: what they pack, and how they are moved."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from opened import faultless, opened
from waits import until

from lth_companion.experiments.study import Study
from lth_companion.widgets import ByRound, Highlight, by_round, highlight
from lth_core import results
from lth_core.errors import UsageError
from lth_core.plot import Html

RESET, CONTINUED = ({"search": search, "arm": "ticket"} for search in ("reset", "continued"))


@pytest.fixture(scope="module")
def rates() -> Highlight:
    made = highlight.highlight(
        Study(notebook="iclr_g_lenet_hyperparameters"),
        [
            highlight.Sweep(figures=("iclr-fig26",), field="lr", name="Adam", start=0.0012),
            highlight.Sweep(figures=("iclr-fig27",), field="lr", name="SGD", start=0.8),
            highlight.Sweep(figures=("iclr-fig31",), field="arch", name="Size", start="lenet-300-100", x="weights"),
        ],
        {"stop_iteration": 0, "stop_val": 0.04},
    )
    assert isinstance(made, Highlight), "the page shows published networks"
    return made


@pytest.fixture(scope="module")
def inside() -> ByRound:
    made = by_round.by_round(Study(notebook="iclr_f_examining"), {"Adam": "iclr-fig15", "SGD": "iclr-fig16"})
    assert isinstance(made, ByRound), "the page opens published networks"
    return made


# --- What they pack ---------------------------------------------------------------------------------------------------


def test_a_line_is_the_mean_of_its_networks(rates: Highlight) -> None:
    study = Study(notebook="iclr_g_lenet_hyperparameters")
    sgd = rates.data["groups"][1]
    assert (
        sgd["start"] == "0.8"
        and sgd["ordered"]
        and [float(one["label"]) for one in sgd["lines"]]
        == sorted(study.table("iclr-fig27").query("round > 0")["lr"].unique())
    )
    (line,) = (one for one in sgd["lines"] if one["label"] == "0.8")
    own = study.table("iclr-fig27").query("lr == 0.8").groupby("density")[["stop_iteration", "stop_val"]]
    for column, digits in (("stop_iteration", 0.5), ("stop_val", 1e-5)):
        for part, values in zip(("mean", "min", "max"), zip(*line["values"][column], strict=True), strict=True):
            expected = getattr(own, part)().sort_index(ascending=False)[column]
            assert np.allclose(values, expected, atol=digits)
    assert np.allclose(line["x"], 100 * np.sort(own.mean().index)[::-1], atol=0.005)
    json.dumps(rates.data, allow_nan=False)


def test_networks_that_never_converge_are_gaps() -> None:
    study = Study(notebook="v1_6_parameters")
    sweep = highlight.Sweep(
        figures=("v1-fig11", "v1-fig12"), field="init_sd", name="Initial", start=0.1, x="hidden", log=False
    )
    made = highlight.highlight(study, [sweep], {"convergence_iteration": 0, "convergence_test": 0.13})
    assert isinstance(made, Highlight)
    (group,) = made.data["groups"]
    assert [line["label"] for line in group["lines"]] == ["0.0125", "0.025", "0.05", "0.1", "0.2", "0.4", "0.8"]
    table = study.table("v1-fig11").query("init_sd == 0.8")
    share = table["convergence_iteration"].notna().groupby(table["density"]).mean().sort_index(ascending=False)
    drawn = [value is not None for value in group["lines"][-1]["values"]["convergence_iteration"]]
    assert drawn == (share >= 0.5).tolist() and not all(drawn)


def test_a_main_value_that_a_profile_lacks_gives_way_to_the_first() -> None:
    sweep = highlight.Sweep(figures=("iclr-fig26",), field="lr", name="Adam", start=7.0)
    made = highlight.highlight(Study(notebook="iclr_g_lenet_hyperparameters"), [sweep], {"stop_val": 0.04})
    assert (
        isinstance(made, Highlight) and made.data["groups"][0]["start"] == made.data["groups"][0]["lines"][0]["label"]
    )


def test_what_is_not_measured_leaves_its_place_to_the_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Those further down say how to measure; nothing here says it again."""
    monkeypatch.setattr(Study, "lacking", lambda self, figure: 3)
    study = Study(notebook="iclr_g_lenet_hyperparameters")
    sweep = highlight.Sweep(figures=("iclr-fig26",), field="lr", name="Adam", start=0.0012)
    examined = by_round.by_round(Study(notebook="iclr_f_examining"), {"Adam": "iclr-fig15"})
    for made in (highlight.highlight(study, [sweep], {"stop_val": 0.04}), examined):
        assert isinstance(made, Html) and made.text == ""


def test_data_that_cannot_be_drawn_are_refused(rates: Highlight, inside: ByRound) -> None:
    group = rates.data["groups"][0]
    for wrong, said in (
        ({"groups": []}, "at least one group"),
        ({"groups": [{**group, "start": "7"}]}, "start = '7'"),
        (
            {"groups": [{**group, "lines": [{**group["lines"][0], "x": [1.0]}], "start": group["lines"][0]["label"]}]},
            "1 sizes",
        ),
    ):
        with pytest.raises(UsageError, match=said):
            Highlight({**rates.data, **wrong})
    for made in (rates, inside):
        with pytest.raises(UsageError, match="group = 'dog'"):
            type(made)(made.data, group="dog")
    with pytest.raises(UsageError, match="at least one kind"):
        ByRound({**inside.data, "groups": []})


def test_connections_are_those_of_the_masks(inside: ByRound) -> None:
    study = Study(notebook="iclr_f_examining")
    adam, sgd = inside.data["groups"]
    assert [r["round"] for r in adam["rounds"]] == list(range(28)) and sgd["rounds"][-1]["round"] == 12
    tickets = [s for s in study.possible("iclr-fig15") if s.round == 8]
    masks = [results.masks(s, study.source)["fc2.weight"] for s in tickets]
    for direction, axis in (("incoming", 1), ("outgoing", 0)):
        counts = adam["connections"][direction]["8"][1]
        kept = [m.sum(axis) / m.sum(axis).mean() for m in masks]
        edges = np.linspace(0, by_round.MOST, by_round.CONNECTION_BINS + 1)
        assert counts == np.histogram(np.clip(np.concatenate(kept), 0, by_round.MOST - 1e-9), edges)[0].tolist()
    unpruned = adam["connections"]["incoming"]["0"][0]
    assert max(unpruned) == sum(unpruned) == 300 * len(tickets), "an unpruned unit has as many as its neighbours"


# --- In a browser -----------------------------------------------------------------------------------------------------


def front(page: Any) -> set[str]:
    """The lines in front, over all panels."""
    return {line.get_attribute("data-line") for line in page.locator("path.front").all()}


@pytest.mark.browser
def test_a_key_brings_another_line_to_the_front(browser: Any, tmp_path: Path, rates: Highlight) -> None:
    with opened(browser, tmp_path / "page", rates) as page:
        slider = page.locator("input[type=range]")
        assert front(page) == {"0.0012"} and slider.get_attribute("aria-valuetext") == "learning rate 0.0012"
        before = page.locator(".says").inner_text()
        slider.press("ArrowRight")
        assert front(page) == {"0.002"} and page.locator(".says").inner_text() != before
        assert page.locator("path.other").count() == 2 * (len(rates.data["groups"][0]["lines"]) - 1)
        slider.press("Home")
        assert front(page) == {"2.5e-05"}
        until(page, "location.search === '?line=2.5e-05'")
        page.get_by_label("What varies").select_option("iclr-fig31")
        assert front(page) == {"300-100"}, "a group without this line shows its own first"
        assert "weights" in page.locator(".says").inner_text()
        faultless(page)


@pytest.mark.browser
def test_a_line_is_touched_and_the_address_brings_it_back(browser: Any, tmp_path: Path, rates: Highlight) -> None:
    slow, *_, fastest = (line["label"] for line in rates.data["groups"][1]["lines"])
    asked = f"?group=iclr-fig27&line={slow}"
    with opened(browser, tmp_path / "page", rates, query=asked, width=375, height=812, theme="dark") as page:
        assert front(page) == {slow}
        line = page.locator(f"path.other[data-line='{fastest}']").first  # of early stopping
        line.scroll_into_view_if_needed()
        x, y = line.evaluate("""(path) => {
          const middle = path.getPointAtLength(0), to = path.getScreenCTM();
          return [to.a * middle.x + to.e, to.d * middle.y + to.f];
        }""")
        page.touchscreen.tap(x, y)
        assert front(page) == {fastest}
        faultless(page)


@pytest.mark.browser
def test_strategies_are_chosen_by_name(browser: Any, tmp_path: Path) -> None:
    lines = {"resetting": ("ticket", RESET), "continued training": ("continued", CONTINUED)}
    group = highlight.Strategies(figures=("iclr-fig09",), lines=lines, name="Figure 9", of="strategy")
    made = highlight.highlight(Study(notebook="iclr_b_iterative_strategies"), [group], {"stop_test": 0.05})
    with opened(browser, tmp_path / "page", made) as page:
        assert front(page) == {"resetting"} and not page.locator("input[type=range]").is_visible()
        page.get_by_label("Strategy", exact=True).select_option("continued training")
        assert front(page) == {"continued training"}
        faultless(page)


@pytest.mark.browser
@pytest.mark.parametrize(("width", "theme"), [(1280, "light"), (375, "dark")])
def test_rounds_are_opened_by_key(browser: Any, tmp_path: Path, inside: ByRound, width: int, theme: str) -> None:
    with opened(browser, tmp_path / "page", inside, query="?round=20", width=width, theme=theme) as page:
        slider, weights = page.locator("input[type=range]"), page.locator(".weights svg:visible")
        assert slider.get_attribute("aria-valuetext").startswith("Round 20")
        before = weights.get_attribute("aria-label")
        slider.press("ArrowLeft")
        assert slider.get_attribute("aria-valuetext").startswith("Round 19")
        assert weights.get_attribute("aria-label") != before
        page.get_by_label("Trained with").select_option("iclr-fig16")
        assert slider.get_attribute("aria-valuetext").startswith("Round 12"), "the last that SGD has"
        assert page.locator(".map svg:visible").count() == 1
        faultless(page)
