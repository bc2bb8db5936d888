"""Diamonds on panels are what the papers print, from our own means on the other side of a comparison."""

from __future__ import annotations

import re

import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from lth_companion import figures
from lth_companion.claims import statements, tests
from lth_companion.experiments.study import Study
from lth_companion.figures import one_panel, panels
from lth_companion.figures import printed_points as points
from lth_core import plot

ARMS = {arm: {"arm": arm} for arm in ("ticket", "reinit")}


@pytest.fixture(scope="module")
def lenet() -> pd.DataFrame:
    study = Study(notebook="iclr_2_lenet")
    return figures.levelled(study.table("iclr-fig04"), study.data("iclr-fig04"))


def at(table: pd.DataFrame, column: str, round: int, arm: str = "ticket") -> float:
    own = table[(table["round"] == round) & ((table["arm"] == arm) | (round == 0))]
    return float(own.groupby("trial")[column].mean().mean())


def places(found: list[points.Point]) -> set[tuple[float, float, str]]:
    return {(round(p.x, 1), round(p.y, 4), p.line) for p in found}


def test_comparisons_start_from_our_own_networks(lenet: pd.DataFrame) -> None:
    """Section 2: 38% earlier at 21.1%, back at 3.6%; at 21.1% reinitialised ones take 2.51 times as long."""
    unpruned, ticket = at(lenet, "stop_iteration", 0), at(lenet, "stop_iteration", 7)
    own = {(21.1, round(0.62 * unpruned, 4), "ticket"), (3.6, round(unpruned, 4), "ticket")}
    assert places(points.on_panel("iclr-fig04", lenet, "stop_iteration", "percent", ARMS)) == {
        *own, (21.1, round(2.51 * ticket, 4), "reinit"),
    }  # fmt: skip
    alone = {"ticket": ARMS["ticket"]}
    assert places(points.on_panel("iclr-fig04", lenet, "stop_iteration", "percent", alone)) == own


def test_differences_are_in_points(lenet: pd.DataFrame) -> None:
    """Section 2: 0.3 points more at 13.5%; at 21.1% half a point more than reinitialised ones."""
    found = places(points.on_panel("iclr-fig04", lenet, "stop_test", "percent", ARMS))
    assert (13.5, round(at(lenet, "stop_test", 0) + 0.003, 4), "ticket") in found
    assert (21.1, round(at(lenet, "stop_test", 7, "reinit") + 0.005, 4), "ticket") in found


def test_a_level_that_is_not_measured_has_no_point(lenet: pd.DataFrame) -> None:
    dense = lenet[lenet["round"] < 9]
    assert {x for x, *_ in places(points.on_panel("iclr-fig04", dense, "stop_test", "percent", ARMS))} == {21.1}
    assert points.on_panel("iclr-fig04", lenet[lenet["round"] == 0], "stop_test", "percent", ARMS) == []


def test_other_data_have_no_printed_numbers(lenet: pd.DataFrame) -> None:
    digits = lenet.assign(dataset="digits")
    assert points.on_panel("iclr-fig04", digits, "stop_test", "percent", ARMS) == []


def test_only_printed_numbers_are_drawn() -> None:
    """Thresholds of our own, derived numbers and the commentaries stay out."""
    drawn = [part.arguments["number"] for _, part in points.printed("iclr-fig05", "stop_iteration")]
    assert drawn == [3.5, 3.5, 2.5]  # of Conv-2, -4, -6; not 1.61, LeNet's effect
    for claim in statements.load():
        for part in claim.parts if claim.paper != "blog" and not claim.marks and not claim.own_numbers else []:
            number = part.arguments.get("number")
            if part.test in points.PLACES and number is not None and "column" in part.arguments:
                printed = rf"(?<![\d.]){re.escape(f'{abs(number):g}')}(?!\.?\d)"
                assert re.search(printed, claim.says), f"{claim.id} prints no {number}: own_numbers?"
    assert 1.56 not in [p.arguments.get("number") for _, p in points.printed("iclr-fig04", "stop_iteration")]


def test_best_levels_are_where_the_paper_finds_them() -> None:
    """Beyond what is measured too: the axis then reaches there."""
    study = Study(notebook="iclr_3_conv")
    table = figures.levelled(study.table("iclr-fig05"), study.data("iclr-fig05"))
    own = table[table["arch"] == "conv-2"]
    (gain,) = points.on_panel("iclr-fig05", own, "stop_test", "percent", ARMS)
    assert (gain.x, round(gain.y, 4)) == (4.6, round(at(own, "stop_test", 0) + 0.034, 4))
    assert own["percent"].min() > 4.6
    for claim in statements.load():
        for part in claim.parts:
            assert not part.near or tests.traits(part).seeks_level(part.arguments), claim.id


def test_a_figure_says_what_its_diamonds_are() -> None:
    study = Study(notebook="iclr_2_lenet")
    look = {figures.NAMES[arm]: (arm, fields) for arm, fields in ARMS.items()}

    def drawn(columns: list[str]) -> str:
        return panels.against_size(study, "iclr-fig04", columns, look, alt="", caption="").text

    assert points.LABEL in drawn(["stop_iteration"]) and points.NOTE in drawn(["stop_iteration"])
    assert points.LABEL not in drawn(["stop_train"]) and points.NOTE not in drawn(["stop_train"])


# --- On a table made by hand ------------------------------------------------------------------------------------------


def made(**columns: object) -> pd.DataFrame:
    """Three trials of a network pruned by a fifth in each of ten rounds; other columns as given, by round."""
    rows = [
        {"key": f"{t}-{r}", "trial": t, "round": r, "arm": "ticket", "arch": "lenet-300-100", "dataset": "mnist",
         "prune_fc": 0.2 if r else 0.0, "prune_conv": 0.0, "density": 0.8**r, "iterations": 1_000, "diverged": False,
         "percent": 80.0**r / 100 ** (r - 1), "hidden": 80.0**r / 100 ** (r - 1), "weights": 1e5 * 0.8**r,
         **{name: of(r) for name, of in columns.items()}}  # type: ignore[operator]
        for t in range(3) for r in range(11)
    ]  # fmt: skip
    return pd.DataFrame(rows)


def drawn(monkeypatch: pytest.MonkeyPatch, test: dict, table: pd.DataFrame, column: str, axis: str) -> list[tuple]:
    """Points of a claim that has this test alone."""
    claim = statements.Claim(
        id="a", paper="iclr", section="", notebook="", dataset="mnist", importance="", kind="", statement="It is so.",
        says="12 and 0.7 and 88", tolerance="", why="", figure="iclr-fig04", tests=[test],
    )  # fmt: skip
    monkeypatch.setattr(points, "load", lambda: (claim,))
    found = points.on_panel("iclr-fig04", table, column, axis, {"tickets": {"arm": "ticket"}})
    assert all(p.line == "tickets" and p.statement == "It is so." for p in found)
    return [(round(p.x, 1), round(p.y, 4)) for p in found]


ACCURACY = dict(end_test=lambda r: 0.9 - r / 100)
TIME = dict(stop_iteration=lambda r: 400 + 10 * (r - 4) ** 2)  # 560 unpruned, 400 after four rounds


@pytest.mark.parametrize(
    ("test", "columns", "column", "axis", "expected"),
    [
        ({"value": {"of": {"at": 0}, "number": 88}}, ACCURACY, "end_test", "percent", [(100, 0.88)]),
        ({"value": {"of": {"at": "best"}, "number": 88}, "near": [41.7, 21.9]}, ACCURACY, "end_test", "percent",
         [(41.7, 0.88), (21.9, 0.88)]),
        ({"value": {"of": {"at": "best"}, "number": 88}}, ACCURACY, "end_test", "percent", []),
        ({"difference": {"of": {"at": 2}, "to": {"at": 0}, "number": -0.7}}, ACCURACY, "end_test", "percent",
         [(64, 0.893)]),
        ({"ratio": {"of": {"at": 0}, "to": {"at": 4}, "number": 0.7}}, TIME, "stop_iteration", "percent", [(41, 800)]),
        ({"ratio": {"of": {"at": 4}, "to": {"at": 0}, "number": 12, "form": "more"}}, TIME, "stop_iteration",
         "percent", [(41, 627.2)]),
        ({"returns": {"at": ["41%", 6]}}, ACCURACY, "end_test", "hidden", [(41, 0.9), (26.2, 0.9)]),
        ({"returns": {"at": 6, "margin": 0.01}}, ACCURACY, "end_test", "percent", [(26.2, 0.9)]),
        ({"reach": {"between": [12, 88]}}, ACCURACY, "end_test", "percent", [(88, 0.9), (12, 0.9)]),
        ({"weights_where": {"what": "best", "between": [5e4, 5e4]}}, TIME, "stop_iteration", "weights", [(5e4, 400)]),
        ({"weights_where": {"what": "last", "between": [5e4, 5e4]}}, TIME, "stop_iteration", "weights", []),
    ],
    ids=lambda x: next(iter(x)) if isinstance(x, dict) else None,
)  # fmt: skip
def test_each_kind_of_statement_has_its_place(
    test: dict, columns: dict, column: str, axis: str, expected: list, monkeypatch: pytest.MonkeyPatch
) -> None:
    (name,) = set(test) - {"near"}
    whole = {**test, name: {"column": column, "within": 1, **test[name]}}
    assert drawn(monkeypatch, whole, made(**columns), column, axis) == expected


def test_what_is_said_of_the_end_stands_at_the_last_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    test = {"value": {"column": "end_test", "of": {"at": 0}, "number": 88, "within": 1}}
    same = {f"test@{n}": ACCURACY["end_test"] for n in (500, 1_000)}
    assert drawn(monkeypatch, test, made(**ACCURACY, **same), "test@1000", "percent") == [(100, 0.88)]
    assert drawn(monkeypatch, test, made(**ACCURACY, **same), "test@500", "percent") == []


def test_a_time_at_the_end_of_training_is_nothing_to_compare_with(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found in review: with all unpruned networks still learning, the point followed from the length of training."""
    test = {"ratio": {"column": "stop_iteration", "of": {"at": 0}, "to": {"at": 4}, "number": 0.7, "within": 1}}
    still = made(stop_iteration=lambda r: 1_000 if r == 0 else 400)
    assert drawn(monkeypatch, test, still, "stop_iteration", "percent") == []


def test_times_cut_off_by_the_end_of_training_are_marked_and_said():
    fields = {"round": [0, 1], "arm": "ticket", "trial": 0, "iterations": 100, "density": [100.0, 80.0]}
    table = pd.DataFrame({**fields, "stop_iteration": [100.0, 60.0]})
    _, ax = plot.canvas(1, 1, width=3, height=3)
    lines = {"winning ticket": ("ticket", {"arm": "ticket"})}
    said = one_panel._cut_off(ax, table, "stop_iteration", "density", lines)
    assert said == "cut off by the end of training: winning ticket at 100"
    assert [list(line.get_ydata()) for line in ax.lines] == [[100.0]]
    assert one_panel._cut_off(ax, table, "stop_test", "density", lines) == ""
    assert one_panel._cut_off(ax, table.iloc[1:], "stop_iteration", "density", lines) == ""
