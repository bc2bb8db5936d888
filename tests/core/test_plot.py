"""Figures as inline SVG: readable by everybody, on light and dark pages, and the same bytes every time."""

from __future__ import annotations

import re

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from lth_core import plot, prune
from lth_core.spec import Spec

PERCENTS = [100, 51.3, 26.3, 13.5, 7.0, 3.6, 1.9]


def example(name: str = "one") -> plot.Html:
    fig, ax = plot.canvas()
    y = np.linspace(98, 97, len(PERCENTS))
    for i, arm in enumerate(plot.ARMS):
        plot.line(ax, PERCENTS, y - i, y - i - 0.2, y - i + 0.2, arm=arm, label=arm, band=i % 2 == 1)
    plot.printed(ax, PERCENTS, y)
    plot.percent_axis(ax, PERCENTS)
    ax.legend()
    ax.set_title("A title")
    made = plot.Html("<details>three networks</details>", "provenance")
    return plot.show(fig, name=name, alt='Accuracy "falls" & rises', caption="Look.", made=made)


def test_a_figure_has_its_description_caption_and_provenance() -> None:
    text = example()._repr_html_()
    assert 'role="img" aria-label="Accuracy &quot;falls&quot; &amp; rises"' in text
    assert "<figcaption>Look.<details>three networks</details></figcaption>" in text
    assert text.count("<figure id=") == text.count("</figure>") == text.count("</svg>") == 1


def test_text_is_text_in_the_pages_own_font_and_colour() -> None:
    text = example().text
    assert re.search(r"<text [^>]*>A title</text>", text)
    assert "font-family" not in text and "<metadata>" not in text
    assert "currentColor" in text
    body = text[text.index("</style>") :]  # after our own sheet: no colour that is fixed, black and white included
    outside = re.sub(r"var\([^)]*\)", "", body)
    assert not re.search(r"#[0-9a-f]{6}\b|\b(black|white)\b(?!-)", re.sub(r'(href="|url\()#[^")]*', "", outside))
    assert "*{" not in text  # matplotlib's own sheet would restyle the whole page


def test_the_size_of_a_figure_is_known_before_it_is_drawn() -> None:
    """Pages draw a figure when it comes near the screen, and nothing may move then."""
    width, height, *ratio = re.search(
        r'viewBox="0 0 ([\d.]+) ([\d.]+)".*? style="[^"]*aspect-ratio: ([\d.]+) / ([\d.]+);', example().text
    ).groups()  # type: ignore[union-attr]
    assert ratio == [width, height]


def test_ids_are_unique_on_a_page_and_references_resolve() -> None:
    text = example("one").text + example("two").text
    ids = re.findall(r'\bid="([^"]+)"', text)
    assert len(ids) == len(set(ids)) and all(i in ("one", "two") or i.startswith(("one-", "two-")) for i in ids)
    assert set(re.findall(r'(?:url\(#|href="#)([^")]+)', text)) <= set(ids)


def test_markers_of_a_line_say_once_how_they_look() -> None:
    """A figure of ten lines is twice as large otherwise, on its page and in the notebook behind it."""
    body = example().text.split("</style>")[1]
    groups = re.findall(r"<g([^>]*)>((?:<use [^>]*/>)+)</g>", body)
    lines = [uses for look, uses in groups if "style=" in look and "style=" not in uses]
    assert len(groups) == len(lines) and max(uses.count("<use") for uses in lines) == len(PERCENTS)


def test_the_same_figure_is_the_same_bytes() -> None:
    assert example().text == example().text


def luminance(color: str) -> float:
    rgb = np.array([int(color[i : i + 2], 16) for i in (1, 3, 5)]) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return float(linear @ [0.2126, 0.7152, 0.0722])


@pytest.mark.parametrize(("mode", "page"), [(0, "#ffffff"), (1, "#14181e")])
def test_the_palette_reads_in_greyscale_and_stands_out_from_the_page(mode: int, page: str) -> None:
    shades = sorted(luminance(look[mode]) for arm, look in plot.ARMS.items() if arm != "unpruned")
    lightness = [116 * y ** (1 / 3) - 16 for y in shades]  # L* of CIELAB
    assert min(np.diff(lightness)) > 3
    for y in shades:
        light, dark = max(y, luminance(page)), min(y, luminance(page))
        assert (light + 0.05) / (dark + 0.05) >= 3  # WCAG 2.1, 1.4.11: graphics


def test_every_arm_has_its_own_marker_and_dashes() -> None:
    assert len(set(plot.MARKERS.values())) == len(set(plot.DASHES.values())) == len(plot.ARMS)


def test_the_percent_axis_descends_from_100_through_points_that_exist() -> None:
    fig, ax = plot.canvas()
    plot.percent_axis(ax, [100 * 0.8**k for k in range(18)])
    assert ax.get_xlim()[0] > 100 > ax.get_xlim()[1]
    ticks = ax.get_xticks()
    assert ticks[0] == 100 and all(any(np.isclose(t, 100 * 0.8**k) for k in range(18)) for t in ticks)
    fig.canvas.draw()
    assert [t.get_text() for t in ax.get_xticklabels()][:2] == ["100", "51.2"]


def test_the_percent_axis_marks_the_levels_that_the_papers_name() -> None:
    """Those of LeNet's 27 rounds, which count all weights: with labels where there is room, else with a mark."""
    specs = [Spec(prune_fc=0.2, prune_out=0.1, round=r, arm="ticket") for r in range(1, 28)]
    percents = [100.0, *(100 * prune.density(s) for s in specs)]
    for width in (7.0, 3.0):
        _, ax = plot.canvas(width=width)
        plot.percent_axis(ax, percents)
        labelled = {f"{t:.1f}" for t in ax.get_xticks()}
        assert {"51.3", "21.1", "13.5", "7.0", "3.6"} <= labelled | {f"{t:.1f}" for t in ax.get_xticks(minor=True)}
        assert {"100.0", "21.1", "3.6"} <= labelled
    assert len(labelled) < 8, "on a narrow panel labels do not touch"


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(0.96, 0.99, "96.0 96.5 97.0 97.5 98.0 98.5 99.0"), (0.5, 0.9, "50 55 60 65 70 75 80 85 90")],
)
def test_fractions_have_ticks_in_percent_with_as_few_decimals_as_tell_them_apart(
    low: float, high: float, said: str
) -> None:
    fig, ax = plot.canvas(width=3.6)
    ax.plot([0, 1], [low, high])
    ax.set_ylim(low, high)
    plot.in_percent(ax.yaxis)
    plot.counted(ax.xaxis)
    fig.draw_without_rendering()
    assert " ".join(label.get_text() for label in ax.get_yticklabels()) == said
    assert ax.xaxis.get_major_formatter()(15_000, 0) == "15,000"
