"""The landing page's explorer, and the main result as one picture for it and for the README."""

from __future__ import annotations

import io
import json

import matplotlib as mpl
import pandas as pd
from matplotlib.figure import Figure

from lth_companion import html
from lth_companion.experiments.study import Study
from lth_companion.pages import lead
from lth_companion.widgets import TicketExplorer
from lth_core import plot, reference


def draw(levels: pd.DataFrame) -> bytes:
    """The main result as one picture for the README, on white: an SVG."""
    made = io.BytesIO()
    with mpl.rc_context({"svg.fonttype": "path", "svg.hashsalt": "lth"}):
        metadata = {"Date": None, "Creator": None}
        _picture(levels).savefig(made, format="svg", facecolor="white", metadata=metadata)
    return made.getvalue()


def explorer() -> str:
    """The explorer of every pruning rate, for a page that is no notebook (Markdown)."""
    made = lead.every_rate(Study(notebook="iclr_2_lenet"))
    if not isinstance(made, TicketExplorer):
        return html.in_markdown(made)
    return f"\n```{{raw}} html\n{embedded(made, 'landing')}\n```\n"


def embedded(widget: TicketExplorer, name: str) -> str:
    """A control as a static page holds it (HTML): what myst-nb writes for a control of a notebook. `name` must be
    unique on the page."""
    kept = {k: v for k, v in widget.get_state().items() if k != "layout"}
    state = {name: {"model_module": "anywidget", "model_name": "AnyModel", "state": kept}}
    parts = {"state": {"state": state}, "view": {"model_id": name}}
    texts = {kind: json.dumps(part).replace("</", r"<\/") for kind, part in parts.items()}
    kind = "application/vnd.jupyter.widget-{}+json"
    return "\n".join(f'<script type="{kind.format(name)}">{text}</script>' for name, text in texts.items())


def answer() -> str:
    """The main result as one sentence (Markdown)."""
    levels, about = reference.read()
    at = {(r.arm, r.round): r.stop_test["mean"] for r in levels.itertuples()}
    percent = {r.round: 100 * r.density for r in levels.itertuples()}
    ticket, reinit, whole = at["ticket", 7], at["reinit", 7], at["ticket", 0]
    return (
        f"**With {percent[7]:.0f}% of its weights**, a network put back to its own initial weights reaches "
        f"**{100 * ticket:.1f}%**; with fresh weights on the same connections {100 * reinit:.1f}%. The whole network "
        f"reaches {100 * whole:.1f}%. (LeNet-300-100 on MNIST, mean of {about['trials']} trials of "
        f"{about['iterations']:,} iterations.)"
    )


def headline() -> str:
    """The same for the landing page, in the reader's colours (Markdown)."""
    levels, about = reference.read()
    means = {(r.arm, r.round): f"{100 * r.stop_test['mean']:.1f}%" for r in levels.itertuples()}
    shown = plot.show(
        _picture(levels),
        name="headline",
        alt="Test accuracy of LeNet-300-100 on MNIST against percent of weights remaining. At 21% of the weights "
        f"tickets reach {means['ticket', 7]}, the same connections with weights drawn again {means['reinit', 7]}; at "
        f"3.6% {means['ticket', 15]} and {means['reinit', 15]}. The whole network reaches {means['ticket', 0]}.",
        caption="<strong>The main result, measured here.</strong> LeNet-300-100 on MNIST, a fifth pruned in each "
        "round: test accuracy at the iteration of lowest validation loss, mean and range of "
        f"{about['trials']} trials of {about['iterations']:,} iterations.",
    )
    return f"\n{html.in_markdown(shown)}\n"


def _picture(levels: pd.DataFrame) -> Figure:
    """Accuracy against size, tickets and their control."""
    fig, ax = plot.canvas(width=7, height=3)
    whole = levels[levels["round"] == 0]["stop_test"].iat[0]["mean"]
    for arm, label in (("ticket", "winning tickets"), ("reinit", "the same connections, weights drawn again")):
        own = levels[((levels["arm"] == arm) | (levels["round"] == 0)) & (levels["density"] > 0.01)].sort_values(
            "round"
        )
        mean, low, high = ([100 * x[c] for x in own["stop_test"]] for c in ("mean", "min", "max"))
        plot.line(ax, 100 * own["density"], mean, low, high, arm=arm, label=label)
    ax.axhline(100 * whole, color=plot.INK, linewidth=1, linestyle=":", label="whole network")
    ax.set_ylim(100 * whole - 2.5, 100 * whole + 0.7)
    ax.set_ylabel("test accuracy, %")
    plot.percent_axis(ax, sorted(100 * levels.loc[levels["density"] > 0.01, "density"].unique()))
    ax.legend(loc="lower left")
    return fig
