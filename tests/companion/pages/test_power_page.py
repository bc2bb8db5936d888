"""What the page about twenty trials says: with the paper's trials alone, and with more."""

from __future__ import annotations

import re

import pandas as pd
import pytest
from bs4 import BeautifulSoup
from places import ROOT

from lth_companion.claims import verdicts
from lth_companion.claims.power import Power
from lth_companion.claims.verdicts import CONTRADICTED, REPRODUCED, UNDECIDED
from lth_companion.experiments.study import Study
from lth_companion.pages import power, words

SURE, LUCK, NEVER, WRONG, OPEN = (
    "iclr-lenet-acc-hill", "iclr-lenet-reinit-ratio-2.51", "iclr-lenet-gap-smaller", "blog2-reinit-collapse",
    "iclr-lenet-es-return-3.6",
)  # fmt: skip
FINAL = {SURE: REPRODUCED, LUCK: REPRODUCED, NEVER: REPRODUCED, WRONG: CONTRADICTED, OPEN: UNDECIDED}
HITS = {SURE: 4, LUCK: 2, NEVER: 0, WRONG: 3, OPEN: 4}  # of the four draws of a shuffle


def simulated(trials: int, sizes: tuple[int, ...]) -> Power:
    """Each sentence's draws alike in every shuffle; of those that are not as all trials say, WRONG's are opposite."""
    first = {**FINAL, LUCK: UNDECIDED, NEVER: UNDECIDED}
    ledger = [
        {
            "claim": c,
            "verdict": v,
            "effect": 1.0,
            "p": 0.01,
            "pool": power.ICLR,
            "trials": trials,
            "papers": 5,
            "first": first[c],
        }
        for c, v in FINAL.items()
    ]
    other = {
        "claim": "v1-hypothesis",
        "verdict": UNDECIDED,
        "effect": 1.0,
        "p": 0.5,
        "pool": "",
        "trials": 0,
        "papers": 0,
        "first": "",
    }
    missed = {**dict.fromkeys(FINAL, UNDECIDED), WRONG: REPRODUCED}
    draws = [
        {"claim": c, "size": size, "shuffle": s, "verdict": v if i < HITS[c] else missed[c]}
        for c, v in FINAL.items() for size in sizes for s in range(50) for i in range(4)
    ]  # fmt: skip
    return Power(pd.DataFrame([*ledger, other]), pd.DataFrame(draws), 130.0)


@pytest.fixture(scope="module")
def table() -> pd.DataFrame:
    alike = {"effect": 1.5, "low": 1.0, "high": 2.0, "n": 20, "unit": "×", "but": None, "importance": "supporting"}
    row = {**dict.fromkeys(verdicts.Verdict.__dataclass_fields__, ""), **alike, "says": "says", "paper": "iclr"}
    return pd.DataFrame(
        [{**row, "id": i, "verdict": v, "statement": f"Sentence {i} & so on."} for i, v in FINAL.items()]
    )


@pytest.fixture
def twenty(table: pd.DataFrame) -> power.Told:
    return power.Told(simulated(20, (3, 5, 10)), table)


def test_the_first_sentence_counts_what_five_and_twenty_decide(twenty: power.Told, table: pd.DataFrame) -> None:
    assert (twenty.all, twenty.papers, twenty.size, len(twenty.table)) == (20, 5, 5, 5)
    said = power.result(twenty).data
    assert "Five trials decide 2 of the 5 sentences" in said and "twenty decide 4" in said
    assert "Another five would have decided 2 on average" in said, "1 + 1/2 + 0 + 1, the last also where wrong: 2.5"
    few = power.Told(simulated(5, (3,)), table)
    said = power.result(few).data
    assert (few.all, few.size) == (5, 3) and "beyond the paper's five trials" in said and "twenty" not in said


def test_sentences_that_more_trials_decide_are_listed_with_both_verdicts(
    twenty: power.Told, table: pd.DataFrame
) -> None:
    page = BeautifulSoup(power.settled(twenty).text, "html.parser")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in page.select("tbody tr")]
    assert [(r[0], r[2], r[3]) for r in rows] == [
        (f"Sentence {c} & so on.", UNDECIDED, REPRODUCED) for c in (LUCK, NEVER)
    ]  # fmt: skip
    assert all(r[4] == "1.5× (1 to 2)" for r in rows)
    assert page.select_one("a")["href"] == f"claims.html#claim-{LUCK}"
    assert "python -m lth_core run beyond-trials" in power.settled(power.Told(simulated(5, (3,)), table)).data


def test_a_sentence_is_carried_by_eighty_of_a_hundred_draws(twenty: power.Told) -> None:
    page = BeautifulSoup(power.carried(twenty).text, "html.parser")
    rows = [[cell.get_text() for cell in row.find_all(["th", "td"])] for row in page.select("tbody tr")]
    assert [(r[2], r[3], r[4]) for r in rows] == [
        ("100", "0", "yes"), ("75 ± 25", "25", "with luck"), ("50 ± 29", "0", "with luck"), ("0", "0", "hardly"),
    ]  # fmt: skip
    said = power.summary(twenty).data
    assert "Of the 3 sentences of the paper that twenty trials reproduce, **1** would have been reproduced" in said
    assert "1 in at most 20 of 100; for the other 1 it is luck" in said
    assert "gives 0.2 of the 4 decided sentences the opposite verdict" in said
    left = BeautifulSoup(power.still_open(twenty).text, "html.parser")
    assert left.summary.get_text() == "1 sentence that twenty trials leave open"
    assert [a["href"] for a in left.select("a")] == [f"claims.html#claim-{OPEN}"]


def test_the_picture_tells_its_numbers_in_words(twenty: power.Told) -> None:
    text = power.picture(twenty).text
    alt = re.search('aria-label="([^"]+)"', text)[1]
    assert "3, 5, 10, 20" in alt and "contradicted 1, 1, 1, 1" in alt and "4 sentences that all 20 trials decide" in alt
    assert power.COLORS[REPRODUCED] in text and 'id="power"' in text


def test_without_a_simulation_the_page_says_so() -> None:
    assert "python -m lth_core power" in power.result(None).data
    assert {
        power.picture(None).text,
        power.settled(None).text,
        power.carried(None).text,
        power.still_open(None).text,
    } == {""}


def test_a_page_says_where_its_sentences_rest_on_more_trials_than_it_draws() -> None:
    study = Study(notebook="iclr_2_lenet")
    found = pd.DataFrame(
        {"n": [20, 5, 15]}, index=["iclr-lenet-acc-hill", "iclr-f2-settings", "iclr-lenet-reinit-15-runs"]
    )
    said = words.trials(study, found)
    assert (
        said is not None and "draw the paper's 5 trials. Sentences on Figures 3 and 4 are judged on all 20" in said.data
    )
    assert words.trials(study, found.assign(n=[5, 5, 15])) is None, "networks that are counted are no trials"
    assert words.trials(Study(notebook="iclr_2_lenet", profile="quick"), found) is None
    assert words.trials(Study(notebook="iclr_3_conv"), found) is None


def test_the_page_reads_what_is_published() -> None:
    found = power.told()
    assert found is not None and len(found.table) >= 25
    assert set(found.table["verdict"]) <= {REPRODUCED, CONTRADICTED, UNDECIDED}
    assert (ROOT / "book" / "_toc.yml").read_text().count("beyond_trials") == 1
