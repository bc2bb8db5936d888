"""Tables from curves: when a network stops early, when it converges, how arms differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from scipy import special

from lth_core.data import EVALUATED
from lth_core.draws import generator

if TYPE_CHECKING:
    import pandas as pd

SUMMARY = (  # the columns of `summary`
    "stop_iteration", "stop_val_loss", *(f"{at}_{part}" for part in ("train", "val", "test") for at in ("stop", "end")),
    "convergence_iteration", "convergence_test", "successive_iteration",
)  # fmt: skip


def accuracies(curves: pd.DataFrame, dataset: str | Mapping[str, int]) -> pd.DataFrame:
    """The curves with fractions `train`, `val`, `test` beside the counts of right answers.

    `dataset` is a name of `data.EVALUATED`, or the numbers of examples behind the counts themselves."""
    sizes = EVALUATED[dataset] if isinstance(dataset, str) else dataset
    counts = {part: curves[f"{part}_correct"] / n for part, n in sizes.items()}
    return curves.assign(**counts)


def stop_index(val_loss: NDArray) -> int:
    """Position of the early-stopping evaluation: minimum validation loss, found after the run (ICLR section 2).

    `val_loss`: `(evaluation,)`. Test data never enter. A network that never had a finite loss stops at 0.

    >>> stop_index(np.array([0.9, 0.4, np.nan, 0.5]))
    1
    """
    return int(np.nanargmin(val_loss)) if np.isfinite(val_loss).any() else 0


def convergence_index(
    test: NDArray, window: int = 10, change: float = 0.002, hold: int = 10, successive: bool = False
) -> int | None:
    """Position of v1's convergence (v1 section 3.1), None if never.

    First evaluation after which the moving average of test accuracy over `window` evaluations (1000 iterations) changes
    by less than `change` for `hold` further evaluations (1000 iterations). Whether the change is counted from that
    evaluation (default) or between `successive` averages is not stated in the paper. `test`: `(evaluation,)` fractions.

    >>> convergence_index(np.r_[np.linspace(0, 0.97, 20), np.full(30, 0.97)])  # flat from evaluation 20 on
    28
    """
    if len(test) < window + hold:
        return None
    average = np.convolve(test, np.ones(window) / window, mode="valid")  # average[i] ends at evaluation i + window - 1
    for i in range(len(average) - hold):
        ahead = average[i : i + hold + 1]
        moved = np.abs(np.diff(ahead)) if successive else np.abs(ahead - ahead[0])
        if moved.max() < change:
            return i + window - 1
    return None


def summary(curves: pd.DataFrame, dataset: str | Mapping[str, int]) -> dict[str, float]:
    """One row about one training: early stopping, end of training, v1's convergence (`successive_iteration`: its other
    reading). Accuracies are fractions."""
    c = accuracies(curves, dataset)
    stop, last = stop_index(c["val_loss"].to_numpy()), len(c) - 1
    test = c["test"].to_numpy()
    converged, successive = convergence_index(test), convergence_index(test, successive=True)
    row: dict[str, float] = {
        "stop_iteration": float(c["iteration"].iat[stop]),
        "stop_val_loss": float(c["val_loss"].iat[stop]),
    }
    for part in ("train", "val", "test"):
        row[f"stop_{part}"] = float(c[part].iat[stop])
        row[f"end_{part}"] = float(c[part].iat[last])
    row["convergence_iteration"] = float("nan") if converged is None else float(c["iteration"].iat[converged])
    row["convergence_test"] = float("nan") if converged is None else float(c["test"].iat[converged])
    row["successive_iteration"] = float("nan") if successive is None else float(c["iteration"].iat[successive])
    return row


def bootstrap(
    values: NDArray,
    statistic: Callable[[NDArray], NDArray] = lambda x: x.mean(-1),
    draws: int = 10_000,
    level: float = 0.95,
) -> tuple[float, float]:
    """Percentile interval of a statistic over trials, `values` `(trial,)`; `statistic` reduces the last axis.

    Of five trials a 95% interval covers the truth in 83 to 85% only: figures and ledger have t (`mean_interval`).

    >>> low, high = bootstrap(np.array([0.1, 0.2, 0.3, 0.4]))
    >>> round(low, 2), round(high, 2)
    (0.15, 0.35)
    """
    values = np.asarray(values, float)
    picks = generator("bootstrap", len(values), draws).integers(0, len(values), (draws, len(values)))
    low, high = np.quantile(statistic(values[picks]), [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def mean_interval(values: NDArray) -> tuple[float, float]:
    """95% t interval of a mean over trials, `values` `(trial,)`; NaN with fewer than three.

    >>> low, high = mean_interval(np.array([0.1, 0.2, 0.3]))
    >>> round(low, 2), round(high, 2)
    (-0.05, 0.45)
    """
    values = np.asarray(values, float)
    n = len(values)
    if n < 3:
        return float("nan"), float("nan")
    half = float(half_width(values.std(ddof=1), n))
    return float(values.mean() - half), float(values.mean() + half)


def half_width(deviation: NDArray | float, n: NDArray | int) -> NDArray:
    """Half of the 95% t interval of a mean of n trials, from their standard deviation; NaN with fewer than three."""
    return np.where(np.asarray(n) < 3, np.nan, special.stdtrit(np.maximum(n, 2) - 1, 0.975) * deviation / np.sqrt(n))


def by_trial(table: pd.DataFrame, column: str, **where: object) -> pd.Series:
    """`column` per trial, replicates averaged first, so that trials are the units of every interval."""
    for name, value in where.items():
        table = table[table[name] == value]
    return table.groupby("trial")[column].mean()


def paired(
    table: pd.DataFrame, column: str, a: dict[str, object], b: dict[str, object], *, ratio: bool = False
) -> dict[str, float]:
    """How `column` differs between two conditions, paired by trial: mean of a - b (or a / b, on the logarithm) with its
    95% t interval (none with fewer than three trials), in the column's unit.

    >>> import pandas as pd
    >>> arms = ["ticket", "reinit"] * 3
    >>> table = pd.DataFrame({"trial": [0, 0, 1, 1, 2, 2], "arm": arms, "stop_test": [0.9, 0.8, 0.7, 0.6, 0.8, 0.7]})
    >>> found = paired(table, "stop_test", {"arm": "ticket"}, {"arm": "reinit"})
    >>> round(found["effect"], 3), round(found["low"], 3), found["n"]
    (0.1, 0.1, 3)
    """
    x, y = by_trial(table, column, **a), by_trial(table, column, **b)
    both = x.index.intersection(y.index)
    effect = ((x / y) if ratio else (x - y)).loc[both].dropna().to_numpy()
    if len(effect) == 0:
        return {"effect": float("nan"), "low": float("nan"), "high": float("nan"), "n": 0}
    made, told = (np.log, np.exp) if ratio and (effect > 0).all() else (np.asarray, np.asarray)
    values = made(effect)
    low, high = mean_interval(values)
    return {
        "effect": float(told(values.mean())),
        "low": float(told(low)),
        "high": float(told(high)),
        "n": len(values),
    }


def spread(table: pd.DataFrame, column: str, by: list[str]) -> pd.DataFrame:
    """Mean over trials with both intervals the figures show: min-max of trials (the papers') and the mean's
    95% t interval, which three trials give.

    Columns: `by`, mean, min, max, low, high, n (trials).

    >>> import pandas as pd
    >>> table = pd.DataFrame({"trial": [0, 1], "round": [3, 3], "stop_test": [0.9, 0.8]})
    >>> spread(table, "stop_test", ["round"])[["round", "mean", "min", "max", "n"]].round(2).values.tolist()
    [[3.0, 0.85, 0.8, 0.9, 2.0]]
    """
    trials = table.groupby([*by, "trial"])[column].mean().dropna()
    found = trials.groupby(level=by).agg(["mean", "min", "max", "std", "count"]).reset_index()
    n = found["count"].to_numpy()
    half = half_width(found["std"].to_numpy(), n)
    found = found.assign(low=found["mean"] - half, high=found["mean"] + half, n=n)
    return found[[*by, "mean", "min", "max", "low", "high", "n"]]


def settled(table: pd.DataFrame, column: str, x: str) -> pd.DataFrame:
    """Levels of one line at which the column has a value for at least half of the networks (v1's curves end where
    networks no longer converge; the papers do not say how they averaged the rest)."""
    return table[table[column].notna().groupby(table[x]).transform("mean") >= 0.5]
