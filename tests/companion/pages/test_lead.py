"""What pages begin with, and the index of the papers' figures."""

from __future__ import annotations

import json
import re

import pandas as pd
import pytest
import yaml
from places import ROOT

from lth_companion.claims import verdicts as claims
from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import captions
from lth_companion.pages import figure_index, landing, lead
from lth_companion.widgets import TicketExplorer
from lth_core import results

CHAPTERS = [c for p in yaml.safe_load((ROOT / "book" / "_toc.yml").read_text())["parts"] for c in p["chapters"]]


# --- First results ----------------------------------------------------------------------------------------------------


def test_a_page_without_measurements_says_so_and_counts_nothing() -> None:
    study = Study(notebook="iclr_4_vgg_resnet")
    waiting = pd.DataFrame({"verdict": [claims.UNMEASURED] * 3})
    assert lead.result(waiting, "Is it?", "any").data == lead.NOTHING
    assert lead.counts(study, waiting) is None
    held = results.Published()
    measured = {f: results.possible(catalogue.rows(f, "published"), held) for f in catalogue.FIGURES}  # read once
    lacking = next(f for f, rows in measured.items() if not all(map(held.has, rows)))
    own = Study(notebook=catalogue.FIGURES[lacking].notebook)
    assert lead.figure(own, lacking, "end_test", {}, caption="").text == "", "the box further down says how to measure"
    assert f'id="{lacking}"' in captions.waiting(own, lacking).text


def test_a_question_is_answered_by_its_claim() -> None:
    study = Study(notebook="iclr_b_iterative_strategies")
    said = lead.result(lead.words.verdicts(study), "Is resetting better?", "iclr-b-reset-beats-continue-lenet").data
    assert said.startswith("**Is resetting better?** ") and len(said) > 60


def test_the_grid_of_rates_is_shown_only_where_it_is_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the page's own networks are: 20 percent a round, and one cut."""
    monkeypatch.setattr(lead, "GRIDS", ("iclr-fig37", "iclr-fig35"))  # stand for figures that are not published
    shown = lead.every_rate(Study(notebook="iclr_2_lenet"))
    assert isinstance(shown, TicketExplorer)
    assert [(w["schedule"], w["rate"]) for w in shown.data["ways"]] == [("iterative", 20), ("one-shot", None)]
    assert (
        shown.round == 7
        and "not measured"
        in getattr(lead.every_rate(Study(notebook="iclr_h_conv_hyperparameters")), "text", "").lower()
    )
    text = landing.embedded(shown, "landing")
    state, view = re.findall(r"<script [^>]*>(.*?)</script>", text, re.S)
    assert json.loads(view) == {"model_id": "landing"}
    kept = json.loads(state)["state"]["landing"]["state"]
    assert kept["_esm"] == str(TicketExplorer._esm) and kept["data"]["ways"] and "layout" not in kept


def test_the_landing_page_tells_the_main_result() -> None:
    said = landing.answer()
    assert said.startswith("**With 21% of its weights**") and "5 trials" in said and len(said) < 350


# --- Figures ----------------------------------------------------------------------------------------------------------


def test_every_figure_of_both_papers_is_in_the_index() -> None:
    for paper, last in figure_index.LAST.items():
        for n in range(1, last + 1):
            assert figure_index.entries(paper, n), f"{paper} Figure {n}"
    text = figure_index.markdown()
    assert text.count("\n### ") == sum(figure_index.LAST.values())
    beyond = {n for f in catalogue.FIGURES if (n := figure_index.number(f))}
    assert all(n <= figure_index.LAST[paper] for paper, n in beyond)


def test_the_index_says_what_is_measured() -> None:
    source = results.Published()
    for figure in ("iclr-fig04", "v1-fig15", "iclr-fig37"):
        there = all(map(source.has, results.possible(catalogue.rows(figure, "published"), source)))
        assert figure_index.status([figure]) == (figure_index.MEASURED if there else figure_index.NOT)
    assert figure_index.status(["iclr-fig04", "iclr-fig37"]) == figure_index.PART
    assert figure_index.status(["iclr-fig06"]) == figure_index.PART, "Conv-2 of three networks"
    assert figure_index.status(["iclr-fig08", "iclr-fig29"]) == figure_index.MEASURED, "all lines, at a smaller scale"


@pytest.mark.parametrize(
    ("page", "said"),
    [("iclr_2_lenet", "Figs 1, 3, 4"), ("v1_6_parameters", "Figs 11–16"), ("v1_2_xor", "Figs 1, 2"), ("howto", "")],
)
def test_the_sidebar_names_figures(page: str, said: str) -> None:
    assert figure_index.sidebar(page) == said


def test_the_sidebar_says_what_is_not_measured() -> None:
    for page in catalogue.NOTEBOOKS:
        how = figure_index.status([f.id for f in catalogue.figures_of(page)])
        assert how == figure_index.MEASURED or figure_index.sidebar(page).endswith(how)


def test_every_page_of_figures_has_a_short_name_in_the_sidebar() -> None:
    titles = {c["file"]: c.get("title", "") for c in CHAPTERS}
    for page in (*catalogue.NOTEBOOKS, "v1_2_xor"):
        assert 0 < len(titles[page]) <= 26, page
