"""The drawing base of the book: one palette, figures as inline SVG that follow light and dark pages.

fig, ax = plot.canvas()
plot.line(ax, x, mean, low, high, arm="ticket", label="winning ticket")
plot.show(fig, name="v1-fig01", alt="What a reader who cannot see it must know.", caption="What to look at.")
"""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import matplotlib as mpl
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import (
    EngFormatter,
    FixedLocator,
    FuncFormatter,
    LogLocator,
    NullFormatter,
    ScalarFormatter,
    StrMethodFormatter,
)

from lth_core.arms import KNOWN_ARMS

NAMED = (21.1, 3.6, 51.3, 13.5, 7.0)  # percent of LeNet's weights of which ICLR section 2 speaks, most often first
LABEL = 0.45  # inches that a tick's label takes along the x axis
INK, PAGE = "#010203", "#fefdfc"  # what is drawn in these takes the page's own text and background colours
# arm: (colour on a light page, on a dark page, marker, dashes)
ARMS: dict[str, tuple[str, str, str, tuple[float, ...]]] = {
    "unpruned": (INK, INK, "", (1, 2)),
    **{arm.name: arm.look for arm in KNOWN_ARMS if arm.look},
    "random_pruning": ("#b70056", "#ffa3b8", "v", (3, 1.5, 1, 1.5)),  # blind pruning, original weights (XOR's control)
}
# values of a sweep, from low to high: middle lightness, so that one list serves light and dark pages
SEQUENCE = (
    "#4063d8", "#3a83d6", "#2f9cc0", "#2fae97", "#57b065", "#8fae3e", "#bda22e", "#d98b2e", "#df6a35", "#d8443f",
)  # fmt: skip
COLORS = {arm: look[0] for arm, look in ARMS.items()}  # these three suit seaborn's palette=, markers= and dashes=
MARKERS = {arm: look[2] for arm, look in ARMS.items()}
DASHES = {arm: look[3] for arm, look in ARMS.items()}


@dataclass(frozen=True, repr=False)
class Html:
    """A piece of a page, shown by Jupyter and kept in the static book."""

    text: str
    name: str

    def _repr_html_(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.name}>"


def css(arm: str) -> str:
    """The arm's colour as a CSS value that follows the page's mode."""
    return "currentColor" if COLORS[arm] == INK else f"var(--lth-{arm.replace('_', '-')}, {COLORS[arm]})"


def sheet() -> str:
    """The arms' colours as a style sheet, for light and dark pages."""
    arms = [(arm.replace("_", "-"), *look[:2]) for arm, look in ARMS.items() if look[0] != INK]
    light, dark = (";".join(f"--lth-{arm[0]}:{arm[i]}" for arm in arms) for i in (1, 2))
    page = "--lth-page:var(--pst-color-background,var(--jp-layout-color0,Canvas))"
    return f".lth{{{page};{light}}}[data-theme=dark] .lth,[data-jp-theme-light=false] .lth{{{dark}}}"


def style() -> None:
    """Set matplotlib, and so seaborn, to the book's look; `canvas` does it by itself."""
    inked = ("text.color", "axes.labelcolor", "axes.edgecolor", "xtick.color", "ytick.color", "grid.color")
    look: dict[Any, Any] = dict.fromkeys(inked, INK)
    look |= {"svg.fonttype": "none", "svg.hashsalt": "lth", "savefig.transparent": True, "font.size": 10}
    look |= {"axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.7, "axes.axisbelow": True}
    look |= {"axes.grid": True, "grid.alpha": 0.15, "xtick.major.width": 0.7, "ytick.major.width": 0.7}
    look |= {"axes.titlesize": 10, "axes.titleweight": "bold", "axes.titlelocation": "left", "legend.frameon": False}
    look |= {"lines.linewidth": 1.8, "lines.markersize": 6, "legend.handlelength": 2.8}
    look |= {"axes.prop_cycle": cycler(color=[c for c in COLORS.values() if c != INK])}
    mpl.rcParams.update(look)


def canvas(rows: int = 1, columns: int = 1, *, width: float = 7, height: float = 3.2, **more: Any) -> Any:
    """An empty figure and its axes. Width and height in inches; 7 fill the page, and text then reads like its own."""
    style()
    fig = Figure(figsize=(width, height), layout="constrained")
    return fig, fig.subplots(rows, columns, **more)


def line(
    ax: Axes, x: Any, y: Any, low: Any = None, high: Any = None, *, arm: str, band: bool = False, **more: Any
) -> None:
    """A curve in the arm's look, with its interval as bars or, for many points, as a `band`."""
    _, _, marker, dashes = ARMS[arm]
    color = more.pop("color", COLORS[arm])
    look: dict[str, Any] = dict(color=color, marker=marker, linestyle=(0, dashes) if dashes else "-")
    look |= dict(markeredgecolor=PAGE, markeredgewidth=0.7)
    if low is not None and band:
        ax.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    elif low is not None:
        ax.vlines(x, low, high, color=color, linewidth=2.2, alpha=0.55)
    ax.plot(x, y, **(look | more))


def printed(ax: Axes, x: Any, y: Any, label: str | None = "printed in the paper", color: str = INK) -> None:
    """The paper's own numbers: hollow diamonds, never joined by a line."""
    look: dict[str, Any] = dict(markersize=8, markerfacecolor="none", markeredgecolor=color, markeredgewidth=1.2)
    ax.plot(x, y, marker="D", linestyle="none", label=label, zorder=4, **look)


class _Percent(ScalarFormatter):
    """As many decimals as matplotlib's own formatter gives the numbers, but of 100 times these."""

    def set_locs(self, locs: Any) -> None:
        super().set_locs([100 * x for x in locs])

    def __call__(self, x: float, pos: int | None = None) -> str:
        return super().__call__(100 * x, pos)


def in_percent(axis: Axis) -> None:
    """Ticks of fractions, as percent: "97.5"."""
    formatter = _Percent(useOffset=False)
    formatter.set_scientific(False)
    axis.set_major_formatter(formatter)


def counted(axis: Axis) -> None:
    """Ticks of counts: "15,000"."""
    axis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))


def percent_axis(ax: Axes, percents: Sequence[float]) -> None:
    """The papers' x axis: percent of weights remaining, logarithmic, 100 at the left; ticks at points that exist, first
    of all at those that the papers' texts name."""
    labels = max(2.0, ax.get_window_extent().width / ax.figure.dpi / LABEL)
    apart = max(1.5, (max(percents) / min(percents)) ** (1 / labels))  # nearer, they would run into each other
    there = sorted(set(percents), reverse=True)
    named = [p for name in NAMED for p in there if abs(p / name - 1) < 0.01]
    ticks: list[float] = []
    for p in (there[0], *named, *there):
        if all(max(p / t, t / p) >= apart for t in ticks):
            ticks.append(p)
    ax.set_xscale("log")
    ax.set_xlim(max(percents) * 1.06, min(percents) / 1.06)
    ax.xaxis.set_major_locator(FixedLocator(sorted(ticks, reverse=True)))
    ax.xaxis.set_minor_locator(FixedLocator(sorted(set(named) - set(ticks))))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(FuncFormatter(lambda p, _: f"{p:.0f}" if p >= 99.95 else f"{p:.1f}"))
    ax.set_xlabel("percent of weights remaining")


def weights_axis(ax: Axes, weights: Sequence[float]) -> None:
    """The papers' x axis where networks differ in size: number of weights remaining, logarithmic, most at the left."""
    ax.set_xscale("log")
    ax.invert_xaxis()
    wide = max(weights) > 1e4 * min(weights)  # labels between powers of ten would run into each other
    ax.xaxis.set_major_locator(LogLocator(subs=(1,) if wide else (1, 3)))
    ax.xaxis.set_minor_formatter(NullFormatter())
    ax.xaxis.set_major_formatter(EngFormatter(sep=""))


def short(places: str) -> str:
    """Places of an SVG on one line, to 0.01 pt, which is enough."""
    places = re.sub(r"\s+", " ", re.sub(r"(\.\d\d)\d+", r"\1", places))
    return places if re.search("[CQ]|z L", places) else places.replace(" L ", " ")  # after M, each place is drawn to


def said_once(markers: re.Match[str]) -> str:
    """A group of markers that look the same: the look is the group's."""
    look = re.compile(r' style="[^"]*"')
    looks = set(look.findall(markers[0]))
    return f"<g{markers[1]}{looks.pop()}>{look.sub('', markers[2])}</g>" if len(looks) == 1 else markers[0]


def svg(fig: Figure, *, name: str, alt: str) -> str:
    """The figure as one `<svg>` to put into a page: the page's font and colours, ids that begin with `name`."""
    file = io.StringIO()
    fig.savefig(file, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    body = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", file.getvalue(), flags=re.S)
    body = re.sub(r'\bid="', f'id="{name}-', body)
    body = re.sub(r'(url\(#|href="#)', rf"\g<1>{name}-", body)
    body = re.sub(r" ?font-family: [^;\"]*;?", "", body)
    body = re.sub(r' (?:d|x|y|transform)="[^"]+"', lambda places: short(places[0]), body)
    body = re.sub(r' transform="rotate\(-?0 [^"]*"', "", body)
    body = re.sub(r"\n\s*", "", body)  # between tags: a page and the notebook behind it hold a figure each
    body = re.sub(r'<g((?: clip-path="[^"]*")?)>((?:<use [^>]* style="[^>]*"/>)+)</g>', said_once, body)
    for arm, color in COLORS.items():
        body = body.replace(color, css(arm))
    body = body.replace(PAGE, "var(--lth-page, Canvas)")
    width, height = 72 * fig.get_size_inches()
    size = f"max-width: {1.45 * width:.0f}px; height: auto; aspect-ratio: {width:g} / {height:g}"
    style = f"{size}; stroke-linejoin: round; stroke-linecap: butt"
    return (
        f'<svg class="lth" role="img" aria-label="{escape(alt)}" viewBox="0 0 {width:g} {height:g}" width="100%" '
        f'style="{style}" xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">'
        f"<style>{sheet()}</style>{body[body.index('<defs>') :].strip()}"
    )


def show(fig: Figure, *, name: str, alt: str, caption: str, made: Html | None = None) -> Html:
    """A figure for the page: `alt` is read to those who cannot see it, `caption` (HTML) says what to look at, `made`
    unfolds who made it. `name` must be unique on its page, such as the figure's id in the experiment list."""
    below = f"<figcaption>{caption}{made.text if made else ''}</figcaption>"
    return Html(f'<figure id="{escape(name)}">{svg(fig, name=name, alt=alt)}{below}</figure>', f"figure {name}")
