"""What libraries that offer lottery tickets do: which rounds begin at the initial weights, and accuracy by size."""

from __future__ import annotations

from typing import Any

import pandas as pd

from lth_companion.experiments import other_libraries
from lth_core import plot
from lth_core.plot import Html

OURS = "lth_core"
KEPT = 0.8  # share of the weights that a cut leaves, as every library was asked to
TICKS = [100 * KEPT**at for at in (0, 3, 6, 10)]  # of narrow panels
# state -> marker, how it is filled, arm whose colour it has, words of the legend
STATES = {
    "back": ("o", "full", "ticket", "at the initial weights and biases"),
    "weights": ("o", "left", "ticket", "at the initial weights, not biases"),
    "not": ("o", "none", "reinit", "not at the initial weights"),
    "whole": ("X", "full", "shuffle", "nothing is pruned"),
}


def state(rows: pd.DataFrame) -> str:
    """How a round of a library begins, by all its trials together (rows of `other_libraries.libraries`)."""
    if (rows["kept"] == rows["kept"].max()).all() and (rows["kept"] == rows["whole"]).all():
        return "whole"
    if (rows["rewound"] < rows["kept"]).any():
        return "not"
    return "back" if (rows["biases_rewound"] == rows["biases"]).all() else "weights"


def states(rounds: pd.DataFrame) -> pd.DataFrame:
    """Library × round: its `STATES`, from round 1 on; libraries in the order of the file."""
    whole = rounds[rounds["round"] == 0].groupby("name")["kept"].max()
    later = rounds[rounds["round"] > 0].assign(whole=lambda t: t["name"].map(whole))
    found = {(str(name), int(at)): state(part) for (name, at), part in later.groupby(["name", "round"], sort=False)}
    made = pd.Series(found).unstack()
    return made.loc[list(dict.fromkeys(later["name"]))]


def begins() -> Html:
    """A mark for each library and round: what the round's training began from."""
    _, rounds, _ = other_libraries.libraries()
    if rounds.empty:
        return Html("", "begins")
    made = states(rounds)
    fig, ax = plot.canvas(height=0.9 + 0.31 * len(made))
    for key, (marker, fill, arm, label) in STATES.items():
        at = [(at, i) for i, name in enumerate(made.index) for at in made.columns if made.loc[name, at] == key]
        look: dict[str, Any] = dict(color=plot.COLORS[arm], markersize=9, fillstyle=fill, markerfacecoloralt=plot.PAGE)
        ax.plot(*(zip(*at, strict=True) if at else ((), ())), marker=marker, linestyle="none", label=label, **look)
    ax.set(yticks=range(len(made)), yticklabels=list(made.index), ylim=(len(made) - 0.5, -0.5))
    ax.set_xticks(list(made.columns), [f"{100 * KEPT**at:.0f}" for at in made.columns])
    ax.set_xlabel("percent of weights that the round was asked to keep")
    ax.grid(visible=False)
    ax.tick_params(length=0)
    fig.legend(loc="outside upper center", ncols=2)
    said = "; ".join(f"{name}: {_runs(list(made.loc[name]))}" for name in made.index)
    return plot.show(
        fig,
        name="beyond-libraries",
        alt=f"What each of the rounds began from, by library. {said}.",
        caption="<strong>Where rounds begin.</strong> A filled circle: before this round every weight that was left, "
        "and every bias, had the value bit for bit that it was drawn with, in all trials.",
    )


def _runs(row: list[str]) -> str:
    """ "at the initial weights (round 1), then ..." of a row of states."""
    parts: list[tuple[str, int]] = []
    for key in row:
        parts = [*parts[:-1], (key, parts[-1][1] + 1)] if parts and parts[-1][0] == key else [*parts, (key, 1)]
    return ", then ".join(f"{n} {'round' if n == 1 else 'rounds'} {STATES[key][3]}" for key, n in parts)


def against_size() -> Html:
    """Accuracy after each round by the size asked for, a panel a library, beside lth_core's and its control."""
    _, rounds, _ = other_libraries.libraries()
    if rounds.empty:
        return Html("", "accuracy")
    rounds = rounds.assign(percent=100 * KEPT ** rounds["round"], accuracy=rounds["correct"] / 100)
    ours = rounds[rounds["name"] == OURS]
    control = ours.dropna(subset=["control"]).assign(accuracy=lambda t: t["control"].astype(float) / 100)
    others = [n for n in dict.fromkeys(rounds["name"]) if n != OURS]
    deep = -(-len(others) // 3)
    fig, axes = plot.canvas(deep, 3, height=1.9 * deep + 0.6, squeeze=False, sharex=True, sharey=True)
    faint: dict[str, Any] = dict(marker="", linewidth=1.2)
    for ax, name in zip(axes.flat, others, strict=False):
        for arm, label, part, look in (
            ("ticket", "ticket of lth_core", ours, faint),
            ("reinit", "its control, reinitialised", control, faint),
            (
                "unpruned",
                "the library",
                rounds[rounds["name"] == name],
                {"marker": "o", "markersize": 5, "linestyle": "-"},
            ),
        ):
            by = part.groupby("percent")["accuracy"].agg(["mean", "min", "max"])
            plot.line(ax, by.index, by["mean"], by["min"], by["max"], arm=arm, label=label, **look)
        plot.percent_axis(ax, sorted(set(rounds["percent"])))
        ax.set_xticks(TICKS, [f"{p:.0f}" for p in TICKS])
        ax.set_title(name.replace(", ", ",\n"), fontsize=8.5)
        ax.set(xlabel="", ylabel="")
    for ax in axes.flat[len(others) :]:
        ax.set_axis_off()
    fig.supxlabel("percent of weights that it was asked to keep", fontsize=10)
    fig.supylabel("test accuracy, %", fontsize=10)
    fig.legend(*axes.flat[0].get_legend_handles_labels(), loc="outside upper center", ncols=3)
    last = rounds[rounds["round"] == rounds["round"].max()].groupby("name", sort=False)["accuracy"].mean()
    said = ", ".join(f"{name} {value:.2f}%" for name, value in last.items())
    return plot.show(
        fig,
        name="beyond-libraries-accuracy",
        alt=f"Test accuracy against the size that was asked for, a panel a library. At the last size: {said}.",
        caption="<strong>Accuracy by size.</strong> Test accuracy after each round, mean over trials; bars: smallest "
        "and largest trial.",
    )
