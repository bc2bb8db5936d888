"""Tickets opened, drawn and tabulated: surviving initial values, movement, connections per unit, maps over pixels.

Each takes the figure's id; where its networks, masks or trained weights are not all measured, a line says so.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib.axes import Axes
from numpy.typing import NDArray

from lth_companion import html
from lth_companion.experiments import opened_tickets as ex
from lth_companion.experiments.study import Study
from lth_companion.figures.captions import Picture, Table, frame, measured
from lth_companion.figures.opened_by_level import Level, available, networks, opened, percent, rows, unpublished
from lth_companion.figures.vocabulary import LAYERS, SENDERS
from lth_core import analyse, plot, results
from lth_core.levels import rank_correlation
from lth_core.models import init_sd, layers
from lth_core.plot import Html
from lth_core.store.cell import key_of

RECIPE = """\
import torch.nn as nn, torch.nn.utils.prune as prune, safetensors.torch
t, names = safetensors.torch.load_file("{file}"), ("fc1", "fc2", "out")
net = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
net.load_state_dict({{f"{{2 * i}}.{{p}}": t[f"{{n}}.{{p}}"] for i, n in enumerate(names) for p in ("weight", "bias")}})
for layer, n in zip(net[::2], names): prune.custom_from_mask(layer, "weight", t[f"{{n}}.weight.mask"])
"""  # a test runs these lines, then trains the network
# The papers' blue, orange and green, in this book's shades: layers from input to output, levels of v1 Figure 10
LOOKS = ("ticket", "reinit", "shuffle")


def density(ax: Axes, values: NDArray, edges: NDArray, look: str, label: str) -> None:
    """A histogram of area 1 as a line."""
    heights = np.histogram(values, bins=edges, density=True)[0]
    plot.line(ax, (edges[1:] + edges[:-1]) / 2, heights, arm=look, label=label, marker="", linewidth=1.4)


@measured
def initials(study: Study, figure: str, *, alt: str, caption: str, hidden: bool = False) -> Picture:
    """Initial values of surviving weights, one panel a level, one line a layer, all trials together."""
    levels = opened(study, figure)
    fig, axes = plot.canvas(2, 2, height=5.2, squeeze=False, sharex=True)
    said = []
    for ax, found in zip(axes.flat, levels, strict=False):
        spec, size = found[0].spec, percent(found[0].spec, hidden)
        for i, name in enumerate(found[0].names):
            edges = np.arange(-3.1, 3.2, 0.2) * init_sd(spec, layers(spec.arch, spec.dataset)[i])
            density(ax, np.concatenate([o.survivors(name) for o in found]), edges, LOOKS[i], LAYERS[i])
            said.append(f"{size}, {LAYERS[i]}: density at 0 is {np.mean(dips(found, name)):.2f} of its peak.")
        ax.set_title(f"{size} remaining")
        ax.set_ylim(0)
    for ax in list(axes.flat)[len(levels) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("initial weight")
    for ax in axes[:, 0]:
        ax.set_ylabel("density")
    axes[0][0].legend(fontsize=8, handlelength=2)
    return Picture(
        fig=fig,
        networks=networks(study, levels),
        name=figure,
        alt=f"{alt} {' '.join(said)}",
        caption=f"{caption} All trials together; each line has area 1.",
    )


def dips(found: Level, name: str) -> list[float]:
    """Density at 0 over its peak, of a layer's survivors in each trial."""
    return [ex.dip(o.survivors(name), float(o.initial[name].std())) for o in found]


def over(values: Iterable[float], digits: int = 2) -> str:
    """Mean over trials with its 95% t interval, as a table's cell."""
    values = np.array(list(values))
    return html.between(values.mean(), *analyse.mean_interval(values), digits)


@measured
def survivors(study: Study, figure: str, *, caption: str, hidden: bool = False) -> Table:
    """Two peaks, their sizes, and the distance from where the layer began, by level and layer."""
    table = []
    for found in opened(study, figure):
        for i, name in enumerate(found[0].names):
            table.append({
                "weights remaining": percent(found[0].spec, hidden),
                "layer": LAYERS[i],
                "Sarle's coefficient": over((ex.sarle(o.survivors(name)) for o in found), 3),
                "density at 0 over its peak": over(dips(found, name)),
                "positive, %": over((100 * ex.positive(o.survivors(name)) for o in found), 1),
                "distance to all initial values": over((ex.distance(o.initial[name], o.masks[name]) for o in found), 3),
            })  # fmt: skip
    note = (
        "Sarle's bimodality coefficient is 0.333 for a normal distribution and 0.556 for a uniform one; more suggests "
        "two peaks. The distance is Kolmogorov-Smirnov's. Means over trials with 95% t intervals."
    )
    return Table(pd.DataFrame(table), f"{caption}. {note}", f"{figure} survivors")


@measured
def movement(study: Study, figure: str, *, alt: str, caption: str, round: int = 8, away: bool = False) -> Picture:
    """How far training the unpruned network moves weights of the ticket of `round`, and the rest: one panel a layer.
    `away`: away from 0 (|last| - |first|), else in either direction (|last - first|)."""
    (found,) = opened(study, figure, (round,), trained=True)
    after = [results.trained(o.spec.ticket(0), study.source) for o in found]
    how = ex.outward if away else ex.moved
    fig, axes = plot.canvas(1, 3, height=3.1)
    said = []
    for i, name in enumerate(found[0].names):
        ways = [how(o.initial[name], t[name]) for o, t in zip(found, after, strict=True)]
        inside = np.concatenate([v[o.masks[name]] for v, o in zip(ways, found, strict=True)])
        rest = np.concatenate([v[~o.masks[name]] for v, o in zip(ways, found, strict=True)])
        low, high = np.quantile(np.concatenate([inside, rest]), (0.002 if away else 0, 0.995))
        edges = np.linspace(low, high, 41)
        for values, look, label in ((rest, "unpruned", "the rest"), (inside, "ticket", "in the ticket")):
            density(axes[i], values, edges, look, label)
        d = np.mean([ex.lead(v, o.masks[name]) for v, o in zip(ways, found, strict=True)])
        said.append(f"{LAYERS[i]}: mean {inside.mean():.3f} in the ticket, {rest.mean():.3f} elsewhere, d = {d:.2f}.")
        axes[i].set_title(f"{percent(found[0].spec)}, {LAYERS[i]}")
        axes[i].set_xlabel("|final| − |initial|" if away else "|final − initial|")
        axes[i].set_ylim(0)
    axes[0].set_ylabel("density")
    axes[-1].legend(fontsize=8, handlelength=2)
    made = networks(study, [found], unpruned=True)
    return Picture(fig=fig, networks=made, name=figure, alt=f"{alt} {' '.join(said)}", caption=caption)


def movements(study: Study, sources: dict[str, str], *, caption: str, round: int = 8) -> Html:
    """Movement in numbers, by layer: `sources` are figures with tickets of `round`, by the name of their optimizer."""
    table = []
    for label, found in available(study, sources, round, trained=True):
        after = [results.trained(o.spec.ticket(0), study.source) for o in found]
        for i, name in enumerate(found[0].names):
            ways = [(o.initial[name], t[name], o.masks[name]) for o, t in zip(found, after, strict=True)]
            grown = [(ex.outward(a, b) > 0, mask) for a, b, mask in ways]
            table.append({
                "optimizer": label,
                "layer": LAYERS[i],
                "moves further, d": over(ex.lead(ex.moved(a, b), mask) for a, b, mask in ways),
                "away from 0, d": over(ex.lead(ex.outward(a, b), mask) for a, b, mask in ways),
                "grow, in the ticket, %": over((100 * float(g[mask].mean()) for g, mask in grown), 1),
                "grow, the rest, %": over((100 * float(g[~mask].mean()) for g, mask in grown), 1),
                "first and last magnitude, rank correlation": over(
                    rank_correlation(np.abs(a).ravel(), np.abs(b).ravel()) for a, b, _ in ways
                ),
            })  # fmt: skip
    note = (
        "d: mean of the ticket's weights less the mean of the rest, within each network, over the pooled standard "
        "deviation. Means over trials with 95% t intervals. "
    )
    return of_all(table, f"{caption}. {note}", "movement", "The movement of weights is")


def of_all(table: list[dict[str, str]], caption: str, name: str, what: str) -> Html:
    """A table over several figures, or that none of them is published."""
    if not table:
        return Html(f"<p><em>{what} not published yet.</em></p>", name)
    return frame(pd.DataFrame(table), caption, name)


@measured
def per_unit(
    study: Study, figure: str, *, alt: str, caption: str, outgoing: bool = False, levels: tuple[int, ...] = (4, 8, 12)
) -> Picture:
    """Share of connections that each unit keeps, one panel a level, one line a layer, units of all trials together."""
    chosen = opened(study, figure, levels)
    fig, axes = plot.canvas(1, len(chosen), height=3.1, squeeze=False)
    read, names = (ex.outgoing, SENDERS) if outgoing else (ex.incoming, LAYERS)
    said = []
    for ax, found in zip(axes[0], chosen, strict=True):
        size = percent(found[0].spec)
        for i, name in enumerate(found[0].names):
            shares = [read(o.masks[name]) for o in found]
            n = found[0].masks[name].shape[0 if outgoing else 1]  # possible connections of a unit
            edges = np.linspace(0, 1, 31) if n > 30 else (np.arange(n + 2) - 0.5) / n  # few of them: a bin each
            density(ax, np.concatenate(shares), edges, LOOKS[i], names[i])
            cv = np.mean([ex.variation(c) for c in shares])
            said.append(f"{size}, {names[i]}: coefficient of variation {cv:.2f}.")
        ax.set_title(f"{size} remaining")
        ax.set_xlabel(f"share of {'outgoing' if outgoing else 'incoming'}\nconnections kept")
        ax.set_ylim(0)
    axes[0][0].set_ylabel("density")
    axes[0][-1].legend(fontsize=8, handlelength=2)
    made = networks(study, chosen)
    return Picture(fig=fig, networks=made, name=figure, alt=f"{alt} {' '.join(said)}", caption=caption)


def spreads(study: Study, sources: dict[str, str], *, caption: str, round: int = 8) -> Html:
    """How unevenly connections are spread over units: coefficients of variation, incoming and outgoing, by layer."""
    table = []
    for label, found in available(study, sources, round):
        random = [ex.scattered(o) for o in found]
        for i, name in enumerate(found[0].names):
            table.append({
                "optimizer": label,
                "weights of": LAYERS[i],
                "incoming, per unit of the layer": over(ex.variation(ex.incoming(o.masks[name])) for o in found),
                "if random": over(ex.variation(ex.incoming(m[name])) for m in random),
                "outgoing, per unit before it": over(ex.variation(ex.outgoing(o.masks[name])) for o in found),
                "if random ": over(ex.variation(ex.outgoing(m[name])) for m in random),
            })  # fmt: skip
    note = "Random: as many weights of each layer at random positions. Means over trials, 95% t intervals. "
    return of_all(table, f"{caption}. {note}", "spread of connections", "Connections per unit are")


@measured
def ranked(study: Study, figure: str, *, alt: str, caption: str) -> Picture:
    """v1 Figure 10: connections of each unit to the layer before, units in falling order, one panel a layer."""
    levels = opened(study, figure, [r for r in rows(study, figure) if r])
    fig, axes = plot.canvas(1, 3, height=3.1)
    said = []
    for found, look in zip(levels, LOOKS, strict=False):
        trimmed, label = [ex.reached(o.masks, o.names) for o in found], percent(found[0].spec, hidden=True)
        for ax, name, layer in zip(axes, found[0].names, LAYERS, strict=True):
            counts = np.array([np.sort(m[name].sum(1))[::-1] for m in trimmed])
            ends = (counts.mean(0), counts.min(0), counts.max(0))
            plot.line(ax, np.arange(1, counts.shape[1] + 1), *ends, arm=look, band=True, label=label, marker="")
            dead = 100 * float(np.mean(counts == 0))
            said.append(f"{label}, {layer}: {counts.mean():.0f} on average, {dead:.0f}% of units have none.")
    for ax, layer in zip(axes, LAYERS, strict=True):
        ax.set_title(layer)
        ax.set_xlabel("unit, by rank")
        ax.set_ylim(0)
    axes[0].set_ylabel("connected units in the layer before")
    axes[0].legend(fontsize=8, title="% remaining", title_fontsize=8, handlelength=2)
    return Picture(
        fig=fig,
        networks=networks(study, levels),
        name=figure,
        alt=f"{alt} {' '.join(said)}",
        caption=f"{caption} Lines: mean over trials, rank by rank; bands: smallest and largest trial.",
    )


@measured
def maps(
    study: Study, figure: str, *, alt: str, caption: str, levels: tuple[int, ...] = (4, 8, 12, 16), trial: int = 0
) -> Picture:
    """The first layer where it lives: outgoing connections of each pixel over their mean, a ticket above a random
    sparse network of the same size, one column a round."""
    found = [o for level in opened(study, figure, levels, trial=trial) for o in level]
    name = found[0].names[0]
    fig, axes = plot.canvas(2, len(found), height=3.5, squeeze=False)
    said, image = [], None
    for column, o in enumerate(found):
        random = ex.scattered(o)[name]
        for ax, mask, kind in ((axes[0][column], o.masks[name], "ticket"), (axes[1][column], random, "random")):
            share = ex.pixels(mask) / mask.mean()
            image = ax.imshow(share, vmin=0, vmax=2.5, cmap="cividis", interpolation="none")
            ax.set(xticks=[], yticks=[])
            ax.grid(False)
            bare, spread = 100 * float((share == 0).mean()), ex.variation(share)
            said.append(f"{percent(o.spec)} {kind}: {bare:.0f}% of pixels bare, coefficient of variation {spread:.2f}.")
        axes[0][column].set_title(f"{percent(o.spec)}")
    axes[0][0].set_ylabel("ticket")
    axes[1][0].set_ylabel("random")
    bar = fig.colorbar(image, ax=list(axes.flat), shrink=0.7, aspect=25, ticks=[0, 1, 2])
    bar.set_label("connections, 1 = the layer's mean")
    return Picture(
        fig=fig,
        networks=networks(study, [found]),
        name=f"{figure}-map",
        alt=f"{alt} {' '.join(said)}",
        caption=f"{caption} Trial {trial}.",
    )


def recipe(study: Study, figure: str, round: int) -> Markdown:
    """How to take one ticket of a figure out and load it in plain PyTorch: a command and five lines."""
    specs = rows(study, figure, (round,)).get(round, [])
    if not specs or study.lacking(figure) or unpublished(study, figure, specs) or specs[0].dataset != "mnist":
        return Markdown("*The tickets of this figure are not published yet.*")
    spec, row = specs[0], results.table(specs[:1], study.source).iloc[0]
    at = "" if study.profile == "published" else " --from-store"
    return Markdown(
        f"```bash\npython -m lth_core export {key_of(spec)}{at} --out .\n```\n\n"
        f"```python\n{RECIPE.format(file=f'{key_of(spec)}.safetensors')}```\n\n"
        f"This one has {percent(spec)} of the weights (trial {spec.trial}); stored with it is a test accuracy of "
        f"{100 * row['end_test']:.2f}% at the end, {100 * row['stop_test']:.2f}% at early stopping, after iteration "
        f"{row['stop_iteration']:,.0f}."
    )
