"""What pages say: signs, readings, numbers and tables, whichever way the measurements fall."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from lth_companion import figures, html
from lth_companion.claims import verdicts
from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import panels, tables
from lth_companion.pages import status, words
from lth_core import analyse, levels
from lth_core.results import Published, possible
from lth_core.store.cell import describe, key_of


def row(**more: object) -> dict[str, object]:
    base = {
        "id": "a", "verdict": verdicts.REPRODUCED, "effect": 37.5, "low": 31.0, "high": 43.0, "n": 5,
        "unit": "% earlier",
        "but": None, "readings": {}, "says": "38 percent earlier", "number": 38.0, "scale": "", "reason": "",
        "statement": "Tickets are faster.", "kind": "ratio",
    }  # fmt: skip
    return {**base, **more}


def found(*rows: dict[str, object]) -> pd.DataFrame:
    return pd.DataFrame(rows).set_index("id", drop=False)


NOTHING = row(verdict=verdicts.UNMEASURED, effect=np.nan, low=np.nan, high=np.nan, n=0, reason="nothing is published")


def test_minus_signs_are_signs_and_hyphens_stay():
    assert words.signed("one-shot: -0.3 to 300-100, -2") == "one-shot: −0.3 to 300-100, −2"


@pytest.mark.parametrize("verdict", [verdict for verdict in verdicts.VERDICTS if verdict != verdicts.UNMEASURED])
def test_an_answer_reads_correctly_whatever_the_verdict(verdict):
    said = words.answer(found(row(verdict=verdict)), "a")
    assert said.startswith("The paper says: 38 percent earlier. Measured: 37.5% earlier (95% interval 31 to 43")
    assert "not measured here" not in said.lower()
    assert said.endswith(
        "; the direction is sure, the number undecided." if verdict == "undecided" else f"; {verdict}."
    )


@pytest.mark.parametrize(
    ("more", "ends"),
    [
        ({"low": -3.0}, "undecided: both answers are open."),
        ({"low": 0.8, "high": 1.4, "unit": "×"}, "undecided: both answers are open."),
        ({"low": 1.2, "high": 1.4, "unit": "×"}, "the direction is sure, the number undecided."),
        ({"low": np.nan, "high": np.nan}, "undecided: both answers are open."),
        ({"kind": "ordering"}, "undecided: both answers are open."),
        ({"kind": "ordering", "but": verdicts.Finding(0.1, -0.1, 0.3, 5, "points")}, "undecided."),
    ],
)
def test_an_answer_that_stays_open_says_what_does(more, ends):
    said = words.answer(found(row(**{"verdict": verdicts.UNDECIDED, "reason": "both answers are open", **more})), "a")
    assert said.endswith(f"; {ends}")
    assert ("points" in said) == ("but" in more), "what another part found"


def test_an_answer_tells_which_quantity_was_measured_where_its_unit_does_not() -> None:
    rounds = row(effect=9.18, low=4.8, high=13.6, unit="rounds", scale="1 of 3 redraws")
    said = words.answer(found(rounds), "a", "how many rounds longer tickets last")
    assert "Measured at 1 of 3 redraws, how many rounds longer tickets last: 9.18 rounds (95%" in said
    assert "Not measured here yet" in words.answer(found(NOTHING), "a", "how many rounds longer tickets last")


def test_a_number_of_the_other_sign_has_the_other_word():
    text = words.numbers(found(row(), row(id="b", effect=-8.0, low=-15.5, high=2.0)), caption="x").text
    assert "<td>37.5% earlier</td><td>31 to 43</td>" in text and "<td>8% later</td><td>−2 to 15.5</td>" in text


def test_nothing_measured_is_said_and_not_invented():
    study = Study(notebook="iclr_e_random_sparsity")
    empty = found(NOTHING)
    assert words.answer(empty, "a").endswith("Not measured here yet.")
    assert "Nothing can be said yet" in words.failed(study, empty).data
    text = words.numbers(empty, caption="x").text
    assert "<td>38 percent earlier</td><td>–</td><td>–</td><td>0</td><td>not measured yet</td>" in text
    assert "None is measured yet" in text and "nan" not in text
    assert words.numbers(found({**NOTHING, "number": np.nan}), caption="x").text == ""
    assert "nan" not in words.shapes(found({**NOTHING, "number": np.nan}), caption="x").text


def test_printed_numbers_that_wait_stand_below_those_measured():
    text = words.numbers(found({**NOTHING, "id": "b", "statement": "Waits."}, row()), caption="x").text
    assert text.index("Tickets are faster.") < text.index("<details>") < text.index("Waits.")
    assert "Intervals: 95%" in text and "<summary>1 printed number not measured here yet</summary>" in text


def test_statements_that_all_wait_are_folded_away():
    waits = found({**NOTHING, "number": np.nan, "says": "falls"})
    assert words.shapes(waits, caption="x").text.startswith("<details><summary>1 statement about order and shape, not")
    assert words.shapes(found(row(number=np.nan)), caption="x").text.startswith("<table")


def test_a_failed_claim_is_listed_first():
    study = Study(notebook="iclr_e_random_sparsity")
    text = words.failed(study, found(row(verdict=verdicts.CONTRADICTED), row(id="b", verdict=verdicts.REPRODUCED))).data
    assert text.startswith("**Contradicted: our networks show otherwise.**") and "Tickets are faster." in text
    assert "No claim that could be judged was contradicted" in words.failed(study, found(row())).data


@pytest.mark.parametrize(("verdict", "folded"), [(verdicts.CONTRADICTED, False), (verdicts.UNDECIDED, True)])
def test_long_lists_are_folded_but_never_what_failed(verdict, folded):
    study = Study(notebook="iclr_e_random_sparsity")
    text = words.failed(study, found(*[row(id=str(i), verdict=verdict) for i in range(9)])).data
    assert text.count("<details>") == text.count("</details>") == folded and text.count("Tickets are faster.") == 9


def test_readings_agree_or_not():
    table = pd.DataFrame({"same": [1.0, 20.0, 3.0], "differs": [1.0, -2.0, 3.0], "lost": [np.nan, np.nan, 1.0]})
    same, differs, lost = words.carries(table).data.splitlines()
    assert "the sign is the same" in same and "depends on the reading" in differs and "too few" in lost


def test_versus_keeps_three_digits_beside_a_unit():
    shown = pd.DataFrame(
        [{"quantity": "q", "paper": "0.5 points", "measured": 0.123, "low": -0.05, "high": 0.3, "n": 3,
          "matches": "undecided", "unit": "points"}]
    )  # fmt: skip
    text = html.versus(shown, caption="c").text
    assert "<td>0.5 points</td><td>0.123 points</td><td>−0.05 to 0.3</td><td>3</td><td>undecided</td>" in text
    plain = html.versus(shown.drop(columns="unit").assign(paper=0.5, matches=False), caption="c").text
    assert "<td>0.5</td><td>0.1</td>" in plain and "<strong>no</strong>" in plain


def test_a_line_ends_where_fewer_than_half_converge():
    table = pd.DataFrame({"x": [100, 100, 50, 50, 10, 10, 10], "y": [1, 2, 1, np.nan, 1, np.nan, np.nan]})
    assert sorted(set(analyse.settled(table, "y", "x")["x"])) == [50, 100]


class Never:
    """A study whose networks never converge, as v1's at too few iterations."""

    def __init__(self, real: Study) -> None:
        self.real = real

    def __getattr__(self, name: str) -> object:
        return getattr(self.real, name)

    def lacking(self, figure: str) -> int:
        return 0

    def possible(self, figure: str) -> object:
        return self.real.rows(figure)

    def table(self, figure: str) -> pd.DataFrame:
        made = {"commit": "c", "engine": "sparse", "device": "cpu", "seconds": 1.0}
        nan = {"convergence_iteration": np.nan, "convergence_test": np.nan, "end_test": 0.9}
        return pd.DataFrame([{**describe(s), **made, **nan} for s in self.real.rows(figure)])


def test_pages_of_networks_that_never_converge_are_drawn():
    study: Any = Never(Study(notebook="v1_6_parameters", profile="quick", dataset="mnist"))
    columns = ["convergence_iteration", "convergence_test"]
    swept = panels.sweep(study, "v1-fig13", "arch", columns, alt="a", caption="c", x="weights")
    assert swept.text.count("no network converges") == 2
    told = tables.pattern(study, "v1-fig13", "arch", time=columns[0], accuracy=columns[1], rule="convergence")
    assert "300-100" in told.text and "nan" not in told.text
    sides = {"search": "reset", "arm": "ticket"}, {"search": "continued", "arm": "ticket"}
    lines = {"one": ("ticket", sides[0]), "other": ("continued", sides[1])}
    assert "<svg" in panels.against_size(study, "v1-fig16", columns, lines, alt="a", caption="c", x="hidden").text
    assert "<svg" in panels.gaps(study, "v1-fig16", columns, {"g": ("ticket", *sides)}, alt="a", caption="c").text


def cells(told: str) -> list[list[str]]:
    """Rows of a table, as text."""
    rows = re.findall(r"<tr>(.*?)</tr>", told)
    return [re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", r) for r in rows]


class Invented(Never):
    """A study of some trials whose networks have the accuracy that a function of trial and round says, and stop at a
    thousand iterations less a tenth a round."""

    def __init__(self, real: Study, accuracy: Any) -> None:
        super().__init__(real)
        self.accuracy = accuracy

    def table(self, figure: str) -> pd.DataFrame:
        rows = self.real.rows(figure)
        right = np.array([self.accuracy(s.trial, s.round) for s in rows])
        stop = np.where(right > 0.2, [1000 - 100 * s.round for s in rows], 0)
        return super().table(figure).assign(stop_iteration=stop, stop_val=right, stop_test=right, end_train=right)


def test_networks_that_learn_nothing_are_left_out_of_the_pattern():
    """Found in review: by early stopping a network that never learns is the fastest of all."""
    real = Study(notebook="iclr_g_lenet_hyperparameters", profile="quick", dataset="mnist", trials=3)
    sound = cells(tables.pattern(Invented(real, lambda t, r: 0.9 + 0.01 * (r == 1)), "iclr-fig26", "lr").text)
    assert all(row[1:4] == ["1,000", "90.00", sound[1][3]] and "(" not in row[0] for row in sound[1:])
    last = cells(tables.pattern(Invented(real, lambda t, r: 0.1 if r > 1 else 0.9 + 0.01 * r), "iclr-fig26", "lr").text)
    assert all(row[3].startswith("10% sooner at 80") and row[4].startswith("+1.00 at 80") for row in last[1:])
    one = cells(tables.pattern(Invented(real, lambda t, r: 0.1 if t and r == 0 else 0.9), "iclr-fig26", "lr").text)
    assert all("(1 of 3 trials learn)" in row[0] and row[4].startswith("+0.00") for row in one[1:])
    none = cells(tables.pattern(Invented(real, lambda t, r: 0.1), "iclr-fig26", "lr").text)
    assert all(row[1:] == ["–"] * 5 for row in none[1:])


def test_the_pattern_tells_each_networks_own_percentages():
    """Found on the page: Conv-2's levels were given the mean of its percentages and Conv-4's."""
    study = Study(notebook="iclr_3_conv", profile="published")
    table = levels.with_depth(study.table("iclr-fig05"))
    text = tables.pattern(study, "iclr-fig05", "arch", accuracy="stop_test", where={"arm": "ticket"}).text
    _, *rows = cells(text)
    assert len(rows) == table["arch"].nunique() > 1 and "Means over 1 to 2 trials" in text
    for row in rows:
        own = {f"{p:.3g}%" for p in table.loc[table["arch"] == row[0], "percent"]}
        assert {re.search(r"[\d.]+%$", x)[0] for x in row[3:]} <= own


@pytest.mark.parametrize("trials", [1, 3])
def test_differences_from_the_unpruned_network_are_told(trials):
    """Found in review: this column was a dash in every row. One trial has no interval."""
    real = Study(notebook="iclr_2_lenet", profile="quick", dataset="mnist", trials=trials)
    study: Any = Invented(real, lambda t, r: 0.9 + 0.01 * r + 0.001 * t)
    pairs = {"ticket − unpruned": ({"arm": "ticket"}, {"round": 0})}
    told = cells(tables.differences(study, "iclr-fig04", "stop_test", pairs, caption="c", every=1).text)[1:]
    assert [row[1].startswith(f"{r}.00") for r, row in enumerate(told, 1)] == [True] * len(told)
    assert all(("(" in row[1]) is (trials > 1) for row in told)


def test_what_cannot_be_measured_is_a_dash_and_not_a_record():
    study: Any = Never(Study(notebook="v1_6_parameters", profile="quick", dataset="mnist"))
    told = cells(tables.last_good(study, "v1-fig16", {"q": {}}, {"convergence_iteration": "w"}, caption="c").text)
    assert told[1][1] == "–"


def test_a_caption_says_which_arm_has_fewer_rounds():
    noisy = figures.scale_note(Study(notebook="iclr_f_examining"), "iclr-fig25")
    assert "ticket plus noise at 14 of 27 rounds." in noisy


def test_a_chain_ends_where_a_network_diverged():
    """SGD at 1.2 may diverge: its later rounds are not asked for, and the caption says so."""
    study = Study(notebook="iclr_g_lenet_hyperparameters", profile="quick", dataset="digits")
    rows = study.rows("iclr-fig27")

    class Diverged:
        def has(self, spec: Any) -> bool:
            return not (spec.lr == 1.2 and spec.trial == 1 and spec.round)

        def diverged(self, spec: Any) -> bool:
            return spec.lr == 1.2 and spec.trial == 1

    study.__dict__["source"] = type("Source", (Diverged, Published), {})()
    assert set(rows) - set(study.possible("iclr-fig27")) == {s for s in rows if not study.source.has(s)}
    assert "8 networks could not be made" in figures.scale_note(study, "iclr-fig27")


def test_a_caption_says_that_rounds_are_left_out() -> None:
    published = Study(notebook="iclr_f_examining", profile="published")
    assert "50,000 iterations), at 5 of 27 rounds." in figures.scale_note(published, "iclr-unplotted-f3-sgd")
    assert "rounds" not in figures.scale_note(published, "iclr-fig17")


def test_a_caption_counts_the_redraws_of_each_control():
    """Random networks are two a ticket in the paper (Figure 1), reinitialised ones three; some arms draw nothing."""
    random = Study(notebook="iclr_e_random_sparsity")
    assert "Controls: 1 of the paper's 2 to 3 redraws of each ticket." in figures.scale_note(random, "iclr-fig14-conv")
    pruned = figures.scale_note(Study(notebook="iclr_f_examining"), "iclr-unplotted-f4-sgd")
    assert "Controls: 1 of the paper's 3 redraws of each ticket." in pruned
    assert "Controls" not in figures.scale_note(Study(notebook="iclr_2_lenet"), "iclr-fig04")


def test_costs_are_the_papers():
    """v1: 14 trainings at 20 percent, and about 28 at 10 percent, until 5 percent remain."""
    text = tables.cost(Study(notebook="v1_6_parameters", profile="paper"), "v1-fig15", caption="c").text
    assert '<th scope="row">20%</th><td>4</td><td>8</td><td>14</td>' in text


def test_every_published_network_belongs_to_a_whole_figure() -> None:
    """Found on the landing page: cells that two sections shared went when one of them was published anew, and the other
    page stood empty."""
    published = Published()
    there, whole = set(published.cells["key"]), set()
    for figure in catalogue.FIGURES:
        keys = {key_of(s) for s in possible(catalogue.rows(figure, "published"), published)}
        whole |= keys if keys <= there else set()
    assert there == whole


def test_the_landing_page_lists_every_figure_on_its_page() -> None:
    lines = dict(re.findall(r"\| \{doc\}`(\w+)` \|(.*)\|$", status.sections(), flags=re.M))
    for page in catalogue.NOTEBOOKS:
        named = lines[page].replace(" (part)", "")
        listed = [x.strip() for half in named.split("|") for x in half.split(",") if x.strip(" –")]
        assert sorted(listed) == sorted(status.numbered(f.id) for f in catalogue.figures_of(page))
    measured, waiting = lines["iclr_f_examining"].split("|")
    assert "25" in measured and not waiting.strip()
    assert [status.numbered(x) for x in ("iclr-fig04c", "iclr-fig14-conv", "v1-fig03", "iclr-unplotted-f3-sgd")] == [
        "4c", "14 (conv)", "3", "F.3 (SGD)",
    ]  # fmt: skip
