"""The papers' panels for iterative and one-shot pruning, drawn from tidy tables (see `study.Study.table`)."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from lth_core import analyse, plot
from lth_core.data import EVALUATED
from lth_core.study import Study

NAMES = {
    "unpruned": "unpruned network", "ticket": "winning ticket", "reinit": "reinitialised", "shuffle": "shuffled",
    "random_sparsity": "random sparse network", "reinit_from_ticket": "redrawn from the ticket",
    "noise": "ticket plus noise", "prune_at_init": "pruned before training", "continued": "training continued",
}  # fmt: skip
AXES = {
    "stop_iteration": "early-stopping iteration", "stop_test": "test accuracy at early stopping",
    "stop_val": "validation accuracy at early stopping", "stop_train": "training accuracy at early stopping",
    "end_test": "test accuracy at the end", "end_train": "training accuracy at the end",
    "convergence_iteration": "convergence iteration", "convergence_test": "test accuracy at convergence",
}  # fmt: skip
SHADES: list[Any] = ["-", (0, (6, 2)), (0, (2, 1.5)), (0, (1, 1))]  # dashes of an arm's first, second, ... line


def iterative(table: pd.DataFrame, rate: float = 0.2) -> pd.DataFrame:
    """Networks of iterative pruning at `rate` per round, the unpruned ones with them."""
    return table[(table["round"] == 0) | np.isclose(table["prune_fc"], rate)]


def one_shot(table: pd.DataFrame) -> pd.DataFrame:
    """Networks pruned once, the unpruned ones with them."""
    return table[table["round"] <= 1]


def of_arm(table: pd.DataFrame, arm: str, **fields: object) -> pd.DataFrame:
    """One arm with the unpruned networks as its first point."""
    for name, value in fields.items():
        table = table[(table["round"] == 0) | (table[name] == value)]
    return table[(table["round"] == 0) | (table["arm"] == arm)]


def against_density(
    ax: Axes, table: pd.DataFrame, column: str, arms: dict[str, str] | list[str], *, reference: bool = True, **look: Any
) -> None:
    """Mean over trials against percent of weights remaining, one line an arm.

    Bars span the trials' smallest and largest value, as in the papers; the band is the mean's 95% bootstrap interval.
    """
    unpruned = table.loc[table["round"] == 0, column].mean()
    for arm in arms:
        name = arms[arm] if isinstance(arms, dict) else NAMES[arm]
        part = analyse.spread(of_arm(table, arm), column, ["density"]).sort_values("density", ascending=False)
        x = 100 * part["density"]
        plot.line(ax, x, part["mean"], part["low"], part["high"], arm=arm, band=True, label=name, **look)
        ax.vlines(x, part["min"], part["max"], color=plot.COLORS[arm], linewidth=1.1, alpha=0.7)
    if reference:
        ax.axhline(
            unpruned, color=plot.INK, linewidth=1, linestyle=(0, plot.ARMS["unpruned"][3]), label=NAMES["unpruned"]
        )
    ax.set_ylabel(AXES[column])
    plot.percent_axis(ax, sorted({round(100 * d, 3) for d in table["density"]}))


def over_training(
    ax: Axes, curves: pd.DataFrame, series: list[tuple[str, int, str]], *, part: str = "test", until: int = 15_000
) -> None:
    """Accuracy against iteration, mean over trials with the band of their smallest and largest value.

    `series`: (arm, round, label) of each line; lines of one arm are told apart by shade."""
    n = EVALUATED[curves["dataset"].iat[0]][part]
    shown = curves[(curves["iteration"] > 0) & (curves["iteration"] <= until)]
    counts: dict[str, int] = {}
    for arm, round_, label in series:
        one = shown[(shown["round"] == round_) & ((shown["arm"] == arm) | (round_ == 0))]
        trials = one.assign(accuracy=one[f"{part}_correct"] / n).groupby(["iteration", "trial"])["accuracy"].mean()
        by_iteration = trials.groupby("iteration").agg(["mean", "min", "max"])
        kind = "unpruned" if round_ == 0 else arm
        shade = counts[kind] = counts.get(kind, 0) + 1
        plot.line(
            ax, by_iteration.index, by_iteration["mean"], by_iteration["min"], by_iteration["max"], arm=kind, band=True,
            label=label, marker="", alpha=1 - 0.28 * (shade - 1), linestyle=SHADES[shade - 1],
        )  # fmt: skip
    ax.set_xlabel("training iteration")
    ax.set_ylabel(f"{part} accuracy")


def zoom(ax: Axes, table: pd.DataFrame, column: str, below: float = 0.02) -> None:
    """The paper's view of accuracies: the top, down to `below` under the unpruned mean."""
    reference = table.loc[table["round"] == 0, column].mean()
    top = table.groupby(["density", "arm"])[column].mean().max()
    ax.set_ylim(reference - below, top + below / 3)


def scale_note(study: Study, figure: str) -> str:
    """How big the shown experiment is against the paper's, in one sentence for a caption."""
    from lth_core import paper

    here, there = study.scale(figure), paper.FIGURES[figure].paper
    parts = [
        f"{study.on.upper() if study.on == 'mnist' else study.on}",
        f"{here.trials} trials",
        f"{here.iterations:,} iterations",
    ]
    same = (here.trials, here.iterations, here.rounds, here.dataset) == (
        there.trials, there.iterations, there.rounds, there.dataset,
    )  # fmt: skip
    if same:
        return f"Scale: the paper's ({', '.join(parts)})."
    paper_scale = f"{there.trials} trials, {there.iterations:,} iterations"
    return f"Scale: {', '.join(parts)}, {here.rounds} rounds; the paper's: {paper_scale}."


def provenance(study: Study, table: pd.DataFrame) -> plot.Html:
    """Who made the networks of a figure, and the line that makes it again."""
    return plot.provenance(
        study.command,
        cells=f"{len(table)} networks, the first is {table['key'].iat[0]}",
        commit=", ".join(sorted(set(table["commit"]))),
        engine=", ".join(sorted(set(table["engine"]))),
        device=", ".join(sorted(set(table["device"]))),
        seconds=f"{table['seconds'].sum():,.0f} of training",
    )


def explorer_data(curves: pd.DataFrame, table: pd.DataFrame, arms: list[str], caption: str, points: int = 60) -> dict:
    """What `widgets.RoundExplorer` shows: curves and summaries per arm and round, means over trials."""
    dataset = table["dataset"].iat[0]
    n = EVALUATED[dataset]["test"]
    rounds = table[["round", "density"]].drop_duplicates().sort_values("round")
    data: dict[str, Any] = {
        "rounds": [{"round": int(r), "percent": round(100 * d, 2)} for r, d in rounds.itertuples(index=False)],
        "arms": {a: {"label": NAMES[a], "color": plot.css(a)} for a in arms},
        "curves": {}, "summary": {}, "caption": caption,
    }  # fmt: skip
    grid = np.sort(curves["iteration"].unique())
    keep = set(np.unique(grid[np.unique(np.geomspace(1, len(grid) - 1, points).astype(int))]))
    shown = curves[curves["iteration"].isin(keep)].assign(accuracy=curves["test_correct"] / n)
    for arm in arms:
        one = of_arm(shown, arm)
        trials = one.groupby(["round", "iteration", "trial"])["accuracy"].mean()
        stats = trials.groupby(["round", "iteration"]).agg(["mean", "min", "max"]).round(4)
        data["curves"][arm] = {
            str(r): {
                "iteration": [int(i) for i in part.index.get_level_values("iteration")],
                "mean": part["mean"].tolist(), "low": part["min"].tolist(), "high": part["max"].tolist(),
            }
            for r, part in stats.groupby(level="round")
        }  # fmt: skip
        summary = of_arm(table, arm).groupby("round").agg(
            percent=("density", lambda d: round(100 * d.iat[0], 2)),
            accuracy=("stop_test", "mean"), stop=("stop_iteration", "mean"),
        )  # fmt: skip
        data["summary"][arm] = {
            "round": summary.index.tolist(), "percent": summary["percent"].tolist(),
            "accuracy": summary["accuracy"].round(5).tolist(), "stop": summary["stop"].round(1).tolist(),
        }  # fmt: skip
    return data


def comparison(table: pd.DataFrame) -> pd.DataFrame:
    """ICLR section 2 in numbers: printed value beside ours, paired by trial, with 95% bootstrap intervals.

    Columns as `plot.versus` wants them; `matches` is whether our value lies within the tolerance stated in `quantity`.
    Rows whose round was not trained are left out."""
    runs = iterative(table)
    at = lambda r, arm="ticket": {"round": r, "arm": "ticket" if r == 0 else arm}  # noqa: E731
    rows: list[dict[str, Any]] = []

    def add(
        quantity: str, paper: float, tolerance: float, found: dict[str, float], factor: float, offset: float = 0.0
    ) -> None:
        if found["n"]:
            ends = sorted((offset + factor * found["low"], offset + factor * found["high"]))
            value = offset + factor * found["effect"]
            rows.append(
                {"quantity": quantity, "paper": paper, "measured": value, "low": ends[0], "high": ends[1],
                 "n": found["n"], "matches": abs(value - paper) <= tolerance}
            )  # fmt: skip

    stop, test, end = "stop_iteration", "stop_test", "end_test"
    add("early stopping of the 21.1% ticket, % earlier than unpruned (± 10)", 38, 10,
        analyse.paired(runs, stop, at(7), at(0), ratio=True), -100, 100)  # fmt: skip
    add("early stopping at 21.1%: reinitialised over ticket, ratio (± 0.6)", 2.51, 0.63,
        analyse.paired(runs, stop, at(7, "reinit"), at(7), ratio=True), 1)  # fmt: skip
    add("test accuracy at early stopping at 13.5%, points above unpruned (± 0.15)", 0.3, 0.15,
        analyse.paired(runs, test, at(9), at(0)), 100)  # fmt: skip
    add("test accuracy at early stopping at 21.1%, ticket above reinitialised, points (± 0.15)", 0.5, 0.15,
        analyse.paired(runs, test, at(7), at(7, "reinit")), 100)  # fmt: skip
    add("test accuracy at the end at 13.5%, points above unpruned (± 0.15)", 0.35, 0.15,
        analyse.paired(runs, end, at(9), at(0)), 100)  # fmt: skip
    return pd.DataFrame(rows)
