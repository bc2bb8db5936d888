"""Pieces of pages: tables, who made a figure, and numbers as both write them."""

from __future__ import annotations

import pandas as pd
import pytest

pytest.importorskip("matplotlib")

from lth_companion import html
from lth_core.plot import Html


def test_who_made_a_figure_is_told_with_the_command_and_as_text() -> None:
    text = html.provenance("papermill a.ipynb b.ipynb -p profile paper", cells=3, scale="<small>").text
    assert "-p profile paper" in text and "cells: 3" in text and "scale: &lt;small&gt;" in text


def test_the_table_says_in_words_what_does_not_match() -> None:
    rows = [
        ("boundary, <2 units", 49.1, 48.5, 45.4, 51.6, 1000, True),
        ("zero loss", 79.4, 90.9, 89, 92.5, 1000, False),
    ]
    table = pd.DataFrame(rows, columns=["quantity", "paper", "measured", "low", "high", "n", "matches"])
    text = html.versus(table, caption="v1 Figure 2")._repr_html_()
    assert "<caption>v1 Figure 2</caption>" in text and '<th scope="row">boundary, &lt;2 units</th>' in text
    assert "<td>1,000</td><td>yes</td>" in text and "<td>1,000</td><td><strong>no</strong></td>" in text
    assert text.count('scope="col"') == 6


@pytest.mark.parametrize(
    ("x", "low", "high", "text"),
    [
        (38.06, 31, 44.2, "38.1 (31.0 to 44.2)"),
        (-12.34, -13, -11, "−12.3 (−13.0 to −11.0)"),
        (0.5, float("nan"), float("nan"), "0.5"),
        (float("nan"), 1, 2, html.DASH),
        (float("inf"), 1, 2, html.DASH),
    ],
)
def test_a_number_has_its_interval_or_a_dash(x: float, low: float, high: float, text: str) -> None:
    assert html.between(x, low, high) == text


def test_hyphens_stay_and_minus_signs_are_such() -> None:
    assert html.signed("ResNet-18: -0.5 to -3") == "ResNet-18: −0.5 to −3"


def test_pieces_in_markdown_have_no_empty_lines() -> None:
    text = html.in_markdown(Html("<p>one</p>\n\n<p>two</p>", "a"), Html("<p>three</p>", "b"))
    assert "" not in text.splitlines() and text.count('class="output text_html"') == 2
