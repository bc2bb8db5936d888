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

from lth_core import analyse, figures, plot, prune, results
from lth_core import examine as ex
from lth_core.cell import key_of
from lth_core.levels import rank_correlation
from lth_core.models import init_sd, layers
from lth_core.spec import Spec
from lth_core.study import Study
from lth_core.tables import frame

RECIPE = """\
import torch.nn as nn, torch.nn.utils.prune as prune, safetensors.torch
t, names = safetensors.torch.load_file("{file}"), ("fc1", "fc2", "out")
net = nn.Sequential(nn.Linear(784, 300), nn.ReLU(), nn.Linear(300, 100), nn.ReLU(), nn.Linear(100, 10))
net.load_state_dict({{f"{{2 * i}}.{{p}}": t[f"{{n}}.{{p}}"] for i, n in enumerate(names) for p in ("weight", "bias")}})
for layer, n in zip(net[::2], names): prune.custom_from_mask(layer, "weight", t[f"{{n}}.weight.mask"])
"""  # a test runs these lines, then trains the network
# The papers' blue, orange and green, in this book's shades: layers from input to output, levels of v1 Figure 10
LOOKS = ("ticket", "reinit", "shuffle")
NAMES = ("layer 1", "layer 2", "output layer")
SENDERS = ("input pixels", "layer 1", "layer 2")  # whose outgoing connections a layer's weights are


def rows(study: Study, figure: str, rounds: Iterable[int] = ()) -> dict[int, list[Spec]]:
    """A figure's tickets by round, one a trial."""
    found: dict[int, list[Spec]] = {}
    for s in sorted(study.possible(figure), key=lambda s: (s.round, s.trial)):
        if s == s.ticket(s.round) and (not rounds or s.round in rounds):
            found.setdefault(s.round, []).append(s)
    return found


def lacking(study: Study, figure: str, specs: Iterable[Spec], trained: Iterable[Spec] = ()) -> plot.Html | None:
    """In place of a figure whose networks cannot be opened: what is missing; None where all is there."""
    if study.lacking(figure):
        return figures.waiting(study, figure)
    source = study.source
    if not all(source.has_masks(s) for s in specs):
        return plot.Html(f"<p><em>The masks of {figure} are not published yet.</em></p>", figure)
    if not all(source.has_trained(s) for s in trained):
        return plot.Html(f"<p><em>The trained weights of {figure} are not published yet.</em></p>", figure)
    return None


def made(study: Study, figure: str, specs: Iterable[Spec]) -> plot.Html:
    return figures.provenance(study, results.table(specs, study.source))


def percent(spec: Spec, hidden: bool = False) -> str:
    """A level as the papers write it: percent of all weights, in v1 of the hidden layers'."""
    share = (1 - spec.prune_fc) ** spec.round if hidden else prune.density(spec)
    return f"{100 * share:.3g}%"


def density(ax: Axes, values: NDArray, edges: NDArray, look: str, label: str) -> None:
    """A histogram of area 1 as a line."""
    heights = np.histogram(values, bins=edges, density=True)[0]
    plot.line(ax, (edges[1:] + edges[:-1]) / 2, heights, arm=look, label=label, marker="", linewidth=1.4)


def initials(study: Study, figure: str, *, alt: str, caption: str, hidden: bool = False) -> plot.Html:
    """Initial values of surviving weights, one panel a level, one line a layer, all trials together."""
    levels = rows(study, figure)
    chosen = [s for specs in levels.values() for s in specs]
    if gone := lacking(study, figure, chosen):
        return gone
    fig, axes = plot.canvas(2, 2, height=5.2, squeeze=False, sharex=True)
    said = []
    for ax, specs in zip(axes.flat, levels.values(), strict=False):
        found = ex.opened(specs, study.source)
        for i, name in enumerate(found[0].names):
            sd = init_sd(specs[0], layers(specs[0].arch, specs[0].dataset)[i])
            edges = np.arange(-3.1, 3.2, 0.2) * sd
            density(ax, np.concatenate([o.survivors(name) for o in found]), edges, LOOKS[i], NAMES[i])
            depth = np.mean([ex.dip(o.survivors(name), float(o.initial[name].std())) for o in found])
            said.append(f"{percent(specs[0], hidden)}, {NAMES[i]}: density at 0 is {depth:.2f} of its peak.")
        ax.set_title(f"{percent(specs[0], hidden)} remaining")
        ax.set_ylim(0)
    for ax in list(axes.flat)[len(levels) :]:
        ax.set_visible(False)
    for ax in axes[-1]:
        ax.set_xlabel("initial weight")
    for ax in axes[:, 0]:
        ax.set_ylabel("density")
    axes[0][0].legend(fontsize=8, handlelength=2)
    caption = f"{caption} All trials together; each line has area 1. {figures.scale_note(study, figure)}"
    return plot.show(fig, name=figure, alt=f"{alt} {' '.join(said)}", caption=caption, made=made(study, figure, chosen))


def over(values: Iterable[float], digits: int = 2) -> str:
    """Mean over trials with its 95% bootstrap interval, as a table's cell."""
    values = np.array(list(values))
    if len(values) < 2:
        return f"{values.mean():.{digits}f}".replace("-", "−")
    low, high = analyse.bootstrap(values)
    return f"{values.mean():.{digits}f} ({low:.{digits}f} to {high:.{digits}f})".replace("-", "−")


def survivors(study: Study, figure: str, *, caption: str, hidden: bool = False) -> plot.Html:
    """Two peaks, their sizes, and the distance from where the layer began, by level and layer."""
    levels = rows(study, figure)
    if gone := lacking(study, figure, [s for specs in levels.values() for s in specs]):
        return gone
    table = []
    for specs in levels.values():
        found = ex.opened(specs, study.source)
        for i, name in enumerate(found[0].names):
            table.append({
                "weights remaining": percent(specs[0], hidden),
                "layer": NAMES[i],
                "Sarle's coefficient": over((ex.sarle(o.survivors(name)) for o in found), 3),
                "density at 0 over its peak": over(
                    ex.dip(o.survivors(name), float(o.initial[name].std())) for o in found
                ),
                "positive, %": over((100 * ex.positive(o.survivors(name)) for o in found), 1),
                "distance to all initial values": over((ex.distance(o.initial[name], o.masks[name]) for o in found), 3),
            })  # fmt: skip
    note = (
        "Sarle's bimodality coefficient is 0.333 for a normal distribution and 0.556 for a uniform one; more suggests "
        "two peaks. The distance is Kolmogorov-Smirnov's. Means over trials with 95% bootstrap intervals. "
    )
    return frame(pd.DataFrame(table), f"{caption}. {note}{figures.scale_note(study, figure)}", f"{figure} survivors")


def movement(study: Study, figure: str, *, alt: str, caption: str, round: int = 8, away: bool = False) -> plot.Html:
    """How far training the unpruned network moves weights of the ticket of `round`, and the rest: one panel a layer.
    `away`: away from 0 (|last| - |first|), else in either direction (|last - first|)."""
    specs = rows(study, figure, (round,))[round]
    trained = [s.ticket(0) for s in specs]
    if gone := lacking(study, figure, specs, trained):
        return gone
    found = ex.opened(specs, study.source)
    after = [results.trained(s, study.source) for s in trained]
    how = ex.outward if away else ex.moved
    fig, axes = plot.canvas(1, 3, height=3.1)
    said = []
    for i, name in enumerate(found[0].names):
        gone_to = [how(o.initial[name], t[name]) for o, t in zip(found, after, strict=True)]
        inside = np.concatenate([v[o.masks[name]] for v, o in zip(gone_to, found, strict=True)])
        rest = np.concatenate([v[~o.masks[name]] for v, o in zip(gone_to, found, strict=True)])
        low, high = np.quantile(np.concatenate([inside, rest]), (0.002 if away else 0, 0.995))
        edges = np.linspace(low, high, 41)
        for values, look, label in ((rest, "unpruned", "the rest"), (inside, "ticket", "in the ticket")):
            density(axes[i], values, edges, look, label)
        d = np.mean([ex.lead(v, o.masks[name]) for v, o in zip(gone_to, found, strict=True)])
        said.append(f"{NAMES[i]}: mean {inside.mean():.3f} in the ticket, {rest.mean():.3f} elsewhere, d = {d:.2f}.")
        axes[i].set_title(f"{percent(specs[0])}, {NAMES[i]}")
        axes[i].set_xlabel("|final| − |initial|" if away else "|final − initial|")
        axes[i].set_ylim(0)
    axes[0].set_ylabel("density")
    axes[-1].legend(fontsize=8, handlelength=2)
    return plot.show(
        fig, name=figure, alt=f"{alt} {' '.join(said)}", caption=f"{caption} {figures.scale_note(study, figure)}",
        made=made(study, figure, [*trained, *specs]),
    )  # fmt: skip


def movements(study: Study, sources: dict[str, str], *, caption: str, round: int = 8) -> plot.Html:
    """Movement in numbers, by layer: `sources` are figures with tickets of `round`, by the name of their optimizer."""
    table = []
    for label, figure in sources.items():
        specs = rows(study, figure, (round,)).get(round, [])
        trained = [s.ticket(0) for s in specs]
        if not specs or lacking(study, figure, specs, trained):
            continue
        found = ex.opened(specs, study.source)
        after = [results.trained(s, study.source) for s in trained]
        for i, name in enumerate(found[0].names):
            ways = [(o.initial[name], t[name], o.masks[name]) for o, t in zip(found, after, strict=True)]
            grown = [(ex.outward(a, b) > 0, mask) for a, b, mask in ways]
            table.append({
                "optimizer": label,
                "layer": NAMES[i],
                "moves further, d": over(ex.lead(ex.moved(a, b), mask) for a, b, mask in ways),
                "away from 0, d": over(ex.lead(ex.outward(a, b), mask) for a, b, mask in ways),
                "grow, in the ticket, %": over((100 * float(g[mask].mean()) for g, mask in grown), 1),
                "grow, the rest, %": over((100 * float(g[~mask].mean()) for g, mask in grown), 1),
                "first and last magnitude, rank correlation": over(
                    rank_correlation(np.abs(a).ravel(), np.abs(b).ravel()) for a, b, _ in ways
                ),
            })  # fmt: skip
    if not table:
        return plot.Html("<p><em>The movement of weights is not published yet.</em></p>", "movement")
    note = (
        "d: mean of the ticket's weights less the mean of the rest, within each network, over the pooled standard "
        "deviation. Means over trials with 95% bootstrap intervals. "
    )
    return frame(pd.DataFrame(table), f"{caption}. {note}", "movement")


def per_unit(
    study: Study, figure: str, *, alt: str, caption: str, outgoing: bool = False, levels: tuple[int, ...] = (4, 8, 12)
) -> plot.Html:
    """Share of connections that each unit keeps, one panel a level, one line a layer, units of all trials together."""
    chosen = rows(study, figure, levels)
    flat = [s for specs in chosen.values() for s in specs]
    if gone := lacking(study, figure, flat):
        return gone
    fig, axes = plot.canvas(1, len(chosen), height=3.1, squeeze=False)
    read, names = (ex.outgoing, SENDERS) if outgoing else (ex.incoming, NAMES)
    said = []
    for ax, specs in zip(axes[0], chosen.values(), strict=True):
        found = ex.opened(specs, study.source)
        for i, name in enumerate(found[0].names):
            shares = [read(o.masks[name]) for o in found]
            n = found[0].masks[name].shape[0 if outgoing else 1]  # possible connections of a unit
            edges = np.linspace(0, 1, 31) if n > 30 else (np.arange(n + 2) - 0.5) / n  # few of them: a bin each
            density(ax, np.concatenate(shares), edges, LOOKS[i], names[i])
            cv = np.mean([ex.variation(c) for c in shares])
            said.append(f"{percent(specs[0])}, {names[i]}: coefficient of variation {cv:.2f}.")
        ax.set_title(f"{percent(specs[0])} remaining")
        ax.set_xlabel(f"share of {'outgoing' if outgoing else 'incoming'}\nconnections kept")
        ax.set_ylim(0)
    axes[0][0].set_ylabel("density")
    axes[0][-1].legend(fontsize=8, handlelength=2)
    return plot.show(
        fig, name=figure, alt=f"{alt} {' '.join(said)}", caption=f"{caption} {figures.scale_note(study, figure)}",
        made=made(study, figure, flat),
    )  # fmt: skip


def spreads(study: Study, sources: dict[str, str], *, caption: str, round: int = 8) -> plot.Html:
    """How unevenly connections are spread over units: coefficients of variation, incoming and outgoing, by layer."""
    table = []
    for label, figure in sources.items():
        specs = rows(study, figure, (round,)).get(round, [])
        if not specs or lacking(study, figure, specs):
            continue
        found = ex.opened(specs, study.source)
        random = [ex.scattered(o) for o in found]
        for i, name in enumerate(found[0].names):
            table.append({
                "optimizer": label,
                "weights of": NAMES[i],
                "incoming, per unit of the layer": over(ex.variation(ex.incoming(o.masks[name])) for o in found),
                "if random": over(ex.variation(ex.incoming(m[name])) for m in random),
                "outgoing, per unit before it": over(ex.variation(ex.outgoing(o.masks[name])) for o in found),
                "if random ": over(ex.variation(ex.outgoing(m[name])) for m in random),
            })  # fmt: skip
    if not table:
        return plot.Html("<p><em>Connections per unit are not published yet.</em></p>", "spread")
    note = "Random: as many weights of each layer at random positions. Means over trials, 95% bootstrap intervals. "
    return frame(pd.DataFrame(table), f"{caption}. {note}", "spread of connections")


def ranked(study: Study, figure: str, *, alt: str, caption: str) -> plot.Html:
    """v1 Figure 10: connections of each unit to the layer before, units in falling order, one panel a layer."""
    levels = {r: specs for r, specs in rows(study, figure).items() if r}
    flat = [s for specs in levels.values() for s in specs]
    if gone := lacking(study, figure, flat):
        return gone
    fig, axes = plot.canvas(1, 3, height=3.1)
    said = []
    for (_, specs), look in zip(levels.items(), LOOKS, strict=False):
        found = ex.opened(specs, study.source)
        trimmed = [ex.reached(o.masks, o.names) for o in found]
        for i, name in enumerate(found[0].names):
            counts = np.array([np.sort(m[name].sum(1))[::-1] for m in trimmed])
            rank, label = np.arange(1, counts.shape[1] + 1), percent(specs[0], hidden=True)
            plot.line(
                axes[i], rank, counts.mean(0), counts.min(0), counts.max(0), arm=look, band=True, label=label, marker=""
            )
            dead = 100 * float(np.mean(counts == 0))
            said.append(f"{label}, {NAMES[i]}: {counts.mean():.0f} on average, {dead:.0f}% of units have none.")
    for i, ax in enumerate(axes):
        ax.set_title(NAMES[i])
        ax.set_xlabel("unit, by rank")
        ax.set_ylim(0)
    axes[0].set_ylabel("connected units in the layer before")
    axes[0].legend(fontsize=8, title="% remaining", title_fontsize=8, handlelength=2)
    note = "Lines: mean over trials, rank by rank; bands: smallest and largest trial. "
    return plot.show(
        fig, name=figure, alt=f"{alt} {' '.join(said)}", caption=f"{caption} {note}{figures.scale_note(study, figure)}",
        made=made(study, figure, flat),
    )  # fmt: skip


def maps(
    study: Study, figure: str, *, alt: str, caption: str, levels: tuple[int, ...] = (4, 8, 12, 16), trial: int = 0
) -> plot.Html:
    """The first layer where it lives: outgoing connections of each pixel over their mean, a ticket above a random
    sparse network of the same size, one column a round."""
    specs = [s for group in rows(study, figure, levels).values() for s in group if s.trial == trial]
    if gone := lacking(study, figure, specs):
        return gone
    found = ex.opened(specs, study.source)
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
    return plot.show(
        fig, name=f"{figure}-map", alt=f"{alt} {' '.join(said)}",
        caption=f"{caption} Trial {trial}. {figures.scale_note(study, figure)}", made=made(study, figure, specs),
    )  # fmt: skip


def recipe(study: Study, figure: str, round: int) -> Markdown:
    """How to take one ticket of a figure out and load it in plain PyTorch: a command and five lines."""
    specs = rows(study, figure, (round,)).get(round, [])
    if not specs or lacking(study, figure, specs) or specs[0].dataset != "mnist":
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
