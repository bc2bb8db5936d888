"""Tables of a page: the ticket pattern per value of a sweep, differences by size, measures of speed.

Each takes the figure's id; where its networks are not all measured, a line says so.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from lth_companion import html
from lth_companion.claims import curves as shapes
from lth_companion.experiments.study import Study
from lth_companion.figures.captions import Table, frame, missing, tabulated
from lth_companion.figures.vocabulary import FIELDS, levelled, namer, natural
from lth_core import analyse
from lth_core.data import EVALUATED
from lth_core.judge.comparisons import ratio
from lth_core.judge.result import Result
from lth_core.levels import Lacking, Side, curve, learners, rank_correlation, select, with_depth
from lth_core.plot import Html


@dataclass(frozen=True)
class Clock:
    """When a training counts as done, in which columns, and how a table calls it."""

    time: str = "stop_iteration"
    accuracy: str = "stop_val"
    rule: str = "early stopping"


def interval(found: dict[str, Any], digits: int = 1) -> str:
    """An effect with its interval (keys effect, low, high, n), as `html.between` writes it."""
    return html.between(found["effect"], found["low"], found["high"], digits) if found["n"] else html.DASH


@tabulated
def pattern(
    study: Study, figure: str, field: str, name: Callable[[Any], str] | None = None, *,
    where: dict[str, Any] | None = None, head: str = "", **clock: str,
) -> Table:  # fmt: skip
    """The lottery ticket pattern at each value of a field: unpruned, earliest, most accurate, last as accurate.

    `where` are fields that all its networks have, `head` says what the values are, `clock` are fields of a `Clock`.

    The gains are those of the best level, so chance alone makes them a little positive."""
    asked = Clock(**clock)
    table = select(with_depth(levelled(study.table(figure), study.data(figure))), **(where or {}))
    heads = (
        f"unpruned: {asked.rule}, iteration", "unpruned: accuracy, %", f"{asked.rule} against unpruned, at best",
        "points above unpruned, at best", "sparsest level as accurate",
    )  # fmt: skip
    rows, head, called = [], head or FIELDS.get(field, field), name or namer(field)
    for value in sorted(table.loc[table["round"] > 0, field].unique(), key=natural):
        own = table[(table[field] == value) | ((table["round"] == 0) & field.startswith("prune"))]
        label, cells = called(value), [html.DASH] * len(heads)
        try:
            times, rights = (learners(own, curve(own, column), column).frame for column in (asked.time, asked.accuracy))
        except Lacking:
            pass
        else:
            if len(rights) < own["trial"].nunique():
                label += f" ({len(rights)} of {own['trial'].nunique()} trials learn)"
            cells = gains(times, rights, own.groupby("depth")["percent"].mean())
        rows.append({head: label, **dict(zip(heads, cells, strict=True))})
    least, most = table.groupby(field)["trial"].nunique().agg(["min", "max"])
    trials = f"{least} to {most}" if least < most else f"{most}"
    caption = f"Means over {trials} trial{'s' * (most > 1)}; levels are percent of all weights remaining."
    return Table(pd.DataFrame(rows), caption, f"{figure} pattern")


def gains(times: pd.DataFrame, rights: pd.DataFrame, percent: pd.Series) -> list[str]:
    """The cells of a pattern: unpruned, then the best and the last level. `percent`: of weights, by depth."""
    soonest, best = (known(c).iloc[:, 1:].mean() for c in (times, rights))
    sooner, higher = html.DASH, html.DASH
    if len(soonest):
        both = times[[0.0, soonest.idxmin()]].dropna().mean()
        share = 100 * (1 - both.iloc[1] / both.iloc[0])
        sooner = f"{abs(share):.0f}% {'sooner' if share >= 0 else 'later'} at {percent[soonest.idxmin()]:.3g}%"
    if len(best):
        both = rights[[0.0, best.idxmax()]].dropna().mean()
        higher = f"{100 * (both.iloc[1] - both.iloc[0]):+.2f} at {percent[best.idxmax()]:.3g}%"
    good = percent[best.index[best >= rights[0.0].mean()]]
    cells = (
        f"{times[0.0].mean():,.0f}", f"{100 * rights[0.0].mean():.2f}", sooner, higher,
        f"{good.min() if len(good) else 100:.3g}%",
    )  # fmt: skip
    return [html.signed(c) for c in cells]


def known(c: pd.DataFrame) -> pd.DataFrame:
    """The levels of a curve at which at least half of the trials have a value."""
    return c.loc[:, c.notna().mean() >= 0.5]


@tabulated
def differences(
    study: Study, figure: str, column: str, pairs: dict[str, tuple[Side, Side]], *, caption: str, every: int = 3,
    where: dict[str, Any] | None = None,
) -> Table:  # fmt: skip
    """Differences of two queries in points, paired by trial, with intervals: a row every `every` rounds.

    `where` are fields that all its networks have."""
    table = select(levelled(study.table(figure), study.data(figure)), **(where or {}))
    rows = []
    for r in sorted(table.loc[table["round"] > 0, "round"].unique())[every - 1 :: every]:
        level, unpruned = table[table["round"] == r], table[table["round"] == 0]
        row = {"% of weights": f"{level['percent'].iat[0]:.1f}"}
        for label, sides in pairs.items():
            of = [select(unpruned if side.get("round") == 0 else level, **side) for side in sides]
            both = pd.concat([of[0].assign(side="one"), of[1].assign(side="other")])
            both = both.assign(y=100 * both[column])
            row[label] = interval(analyse.paired(both, "y", {"side": "one"}, {"side": "other"}), 2)
        rows.append({**row, "n": level["trial"].nunique()})
    return Table(pd.DataFrame(rows), f"{caption}.")


@tabulated
def precisions(study: Study, figure: str, name: Callable[[Any], str], *, caption: str) -> Table:
    """Accuracy at the end in fp32, and by how much each lower precision differs, paired by trial.

    What another draw of weights and batches changes stands beside it: the standard deviation of the fp32 networks."""
    table = levelled(study.table(figure), study.data(figure))
    table = table.assign(test=100 * table["end_test"], training=100 * table["end_train"])
    rows = []
    for arch in sorted(table["arch"].unique(), key=natural):
        own = table[table["arch"] == arch]
        exact = own[own["precision"] == "fp32"]
        for lower in [p for p in ("tf32", "bf16") if (own["precision"] == p).any()]:
            sides: tuple[dict[str, object], ...] = {"precision": lower}, {"precision": "fp32"}
            rows.append(
                {
                    "network": name(arch), "precision": lower, "fp32: test accuracy, %": f"{exact['test'].mean():.2f}",
                    "difference, points": interval(analyse.paired(own, "test", *sides), 2),
                    "training accuracy, difference": interval(analyse.paired(own, "training", *sides), 2),
                    "spread of fp32 trials": f"{exact['test'].std():.2f}" if len(exact) > 1 else html.DASH,
                    "n": exact["trial"].nunique(),
                }
            )  # fmt: skip
    return Table(pd.DataFrame(rows), f"{caption}, 95% intervals over trials.")


@tabulated
def last_good(
    study: Study, figure: str, queries: dict[str, dict[str, Any]], columns: dict[str, str], *, caption: str
) -> Table:
    """The sparsest size at which each query is as good as the unpruned network, with its interval over trials."""
    table = with_depth(study.table(figure))
    rows = []
    for label, fields in queries.items():
        row = {"networks": label}
        for column, words in columns.items():
            try:
                found = shapes.returns(table, column=column, at=0, limit="atleast", **fields)
                row[words] = f"{found.effect:.1f} ({found.low:.1f} to {found.high:.1f})"
                row[words] += ", the sparsest measured" if "sparsest" in found.note else ""
            except Lacking:
                row[words] = html.DASH
        rows.append({**row, "n": table["trial"].nunique()})
    return Table(pd.DataFrame(rows), f"{caption} (hidden weights; 95% interval).")


def ticket_curves(study: Study, figure: str) -> pd.DataFrame:
    """Evaluations of the tickets of iterative pruning, with `percent`."""
    curves = select(levelled(study.curves(figure), study.data(figure)), arm="ticket", path="iterative")
    return curves.assign(val=curves["val_correct"] / EVALUATED[study.data(figure)]["val"]).sort_values(
        ["key", "iteration"]
    )


@tabulated
def turns(study: Study, figure: str, *, caption: str) -> Table:
    """Whether validation loss turns: its minimum and its value at the end, by pruning round."""
    rows = []
    for r, level in ticket_curves(study, figure).groupby("round"):
        ends = level.groupby("key")["val_loss"].agg(["min", "last"])
        before = level.groupby("key")["val_loss"].agg(lambda v: v.to_numpy().argmin() < len(v) - 1)
        rows.append(
            {
                "round": r, "% of weights": f"{level['percent'].iat[0]:.1f}", "lowest": f"{ends['min'].mean():.4f}",
                "at the end": f"{ends['last'].mean():.4f}", "risen by": f"{(ends['last'] - ends['min']).mean():.4f}",
                "turned before the end": f"{int(before.sum())} of {len(before)}",
            }
        )  # fmt: skip
    return Table(pd.DataFrame(rows), f"{caption}, mean of trials.")


@tabulated
def speeds(study: Study, figure: str, accuracy: float, *, caption: str) -> Table:
    """Four measures of learning speed by pruning round, and how well each ranks the rounds as the first does."""
    curves = ticket_curves(study, figure)
    early = 0.1 * curves["iteration"].max()
    heads = (
        "minimum validation loss, iteration", "within 2% of it, iteration", f"{accuracy:.0%} accuracy, iteration",
        "mean accuracy, first tenth, %",
    )  # fmt: skip

    def first(hit: pd.Series, iteration: pd.Series) -> float:
        return float(iteration[hit].min()) if hit.any() else float("nan")

    measures: dict[Any, tuple[float, ...]] = {}
    for key, c in curves.groupby(["round", "percent", "key"]):
        i, loss = c["iteration"], c["val_loss"]
        measures[key] = (
            float(i.iloc[analyse.stop_index(loss.to_numpy())]), first(loss <= 1.02 * loss.min(), i),
            first(c["val"] >= accuracy, i), 100 * c.loc[(i > 0) & (i <= early), "val"].mean(),
        )  # fmt: skip
    by_round = pd.DataFrame(measures, index=list(heads)).T.groupby(level=[0, 1]).mean()
    shown = by_round.map(lambda v: html.DASH if np.isnan(v) else f"{v:,.0f}")
    shown[heads[3]] = by_round[heads[3]].map("{:.2f}".format)
    shown.insert(0, "% of weights", [f"{p:.1f}" for _, p in by_round.index])
    signs = (1, 1, 1, -1)  # more accuracy early is faster
    paper = by_round[heads[0]].to_numpy()
    rho = [rank_correlation(paper, s * by_round[h].to_numpy()) for h, s in zip(heads, signs, strict=True)]
    shown.insert(0, "round", [str(r) for r, _ in by_round.index])
    shown.loc[len(shown)] = ["rank agreement with the first", "", *(html.number(x, 2) for x in rho)]
    return Table(shown, f"{caption}, mean of trials.")


READINGS = {
    "moving average within 0.002 of where it stood (used here)": "convergence_iteration",
    "moving average within 0.002 of the one before": "successive_iteration",
    "minimum validation loss (the later paper's)": "stop_iteration",
}


def readings(study: Study, figure: str) -> tuple[Html, pd.DataFrame]:
    """v1's convergence rule read in two ways, and the later paper's measure: the table to show and its effects.

    All three were found on the whole curves, before these were thinned."""
    if study.lacking(figure):
        return missing(figure), pd.DataFrame()
    table = with_depth(study.table(figure))
    asked: dict[str, tuple[Side, Side, str]] = {
        "ticket at 25%, % sooner than unpruned": ({"at": "25%"}, {"at": 0}, "less"),
        "reinitialised at 25%, % later than its ticket": ({"arm": "reinit", "at": "25%"}, {"at": "25%"}, "more"),
        "reinitialised at 35%, % later than unpruned": ({"arm": "reinit", "at": "35%"}, {"at": 0}, "more"),
    }
    rows, effects = [], {}
    for name, column in READINGS.items():
        table["when"] = table[column]
        found = {label: _ratio(table, of, to, form) for label, (of, to, form) in asked.items()}
        effects[name] = {label: r.effect for label, r in found.items()}
        unpruned = table.loc[table["round"] == 0, "when"].mean()
        rows.append(
            {"clock": name,
             "unpruned, iteration": html.DASH if np.isnan(unpruned) else f"{unpruned:,.0f}",
             "networks that converge": f"{table['when'].notna().mean():.0%}",
             **{label: interval(vars(r), 0) for label, r in found.items()}}
        )  # fmt: skip
    made = Table(pd.DataFrame(rows), "Readings of the convergence rule; 95% intervals over trials.")
    return made.shown(study, figure), pd.DataFrame(effects).T


def _ratio(table: pd.DataFrame, of: Side, to: Side, form: str) -> Result:
    try:
        timed = table.assign(iteration=table["when"])
        return ratio(timed, column="iteration", of=of, to=to, number=1, within=0, form=form)
    except Lacking:
        return Result(float("nan"), float("nan"), float("nan"), 0, "undecided")


def cost(study: Study, figure: str, *, caption: str, percents: tuple[float, ...] = (50, 20, 5, 1)) -> Html:
    """How many trainings each pruning rate needs until at most a percent of the hidden weights remains."""
    rows = []
    for rate in sorted({s.prune_fc for s in study.rows(figure) if s.round > 1}):  # not those of single cuts
        needed = [f"{int(np.ceil(np.log(p / 100) / np.log(1 - rate) - 1e-9))}" for p in percents]
        heads = [f"to {p:g}%" for p in percents]
        rows.append({"cut per round": f"{rate:.0%}", **dict(zip(heads, needed, strict=True))})
    return frame(pd.DataFrame(rows), f"{caption} (hidden weights; arithmetic, not measured)")
