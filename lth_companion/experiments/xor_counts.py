"""XOR's successes: what the paper prints, when a network counts, and rates with their intervals. Nothing trains here.

Tables have a row a network or ticket, as `xor.figure1` and `xor.figure2` make them.
"""

from __future__ import annotations

from statistics import NormalDist
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

HIDDEN = (10, 8, 6, 4, 2)  # Figure 1's sizes, and the sizes that iterative pruning by two units visits
CRITERIA = ("input", "output", "product", "random")
RANDOM = "random networks"
NETWORK = ["strategy", "parent", "hidden", "trial", "loss", "margin", "product", "input", "output"]  # of `xor.networks`
# What the paper prints: percent of 1000 trials with (right boundary, zero loss), by strategy and hidden units.
PRINTED = {
    # Figure 1
    "random networks": {10: (98.5, 92.9), 8: (96.8, 87.5), 6: (92.5, 76.8), 4: (78.3, 55.3), 2: (49.1, 17.6)},
    # Figure 2
    "one-shot product": {10: (99.2, 93.3), 4: (98.0, 90.3), 2: (82.4, 65.3)},
    "iterative input": {10: (98.9, 93.5), 4: (97.9, 92.2), 2: (83.8, 76.5)},
    "iterative output": {10: (99.0, 93.3), 4: (96.9, 85.9), 2: (78.6, 56.1)},
    "iterative product": {10: (98.5, 92.9), 4: (97.6, 90.3), 2: (91.5, 79.4)},
}
PRINTED_GIVEN_PARENT = {"iterative product": {4: (99.0, 97.0), 2: (92.8, 84.9)}}  # section 2.2, of successful parents
PRINTED_TRIALS = 1000
# Where training can end. Points that a network cannot tell apart all get their average class as an answer, and cost
# its entropy: none alike; one pair of opposite classes (answer 1/2); three (1/3 or 2/3); all four (1/2).
CLUSTERS = (0.0, np.log(2) / 2, (3 * np.log(3) - 2 * np.log(2)) / 4, np.log(2))
ZERO_LOSS = 0.05  # inferred: below it lies the lowest of the four clusters; the paper says "reached 0"
# Inferred, in logits at lr 1: a point this close to the wrong side still counts as right. Only so do the paper's
# boundary counts come out; networks that answer 1/2 everywhere then count too. 0 leaves the zero-loss networks.
TIE = 5e-5


def judge(table: pd.DataFrame, zero_loss: float = ZERO_LOSS, tie: float = TIE) -> pd.DataFrame:
    """The paper's two successes as columns `right` (boundary, ties allowed) and `zero` (loss). In a table of tickets
    the parent must succeed too, as in Figure 2."""
    right, zero = table.margin > -tie, table.loss < zero_loss
    if "parent_loss" in table:
        parent = dict(parent_right=table.parent_margin > -tie, parent_zero=table.parent_loss < zero_loss)
        table, right, zero = table.assign(**parent), right & parent["parent_right"], zero & parent["parent_zero"]
    return table.assign(right=right, zero=zero)


def wilson(successes: float, n: int, level: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval for a proportion."""
    z = NormalDist().inv_cdf(0.5 + level / 2)
    p, shrink = successes / n, 1 / (1 + z * z / n)
    middle = shrink * (p + z * z / (2 * n))
    half = z * shrink * np.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    return float(max(middle - half, 0.0)), float(min(middle + half, 1.0))


def difference(k1: float, n1: int, k2: float, n2: int, level: float = 0.95) -> tuple[float, float, float]:
    """p1 - p2 of two independent proportions with Newcombe's interval, made from their two Wilson intervals."""
    p1, p2 = k1 / n1, k2 / n2
    (low1, high1), (low2, high2) = wilson(k1, n1, level), wilson(k2, n2, level)
    low, high = np.hypot(p1 - low1, high2 - p2), np.hypot(high1 - p1, p2 - low2)
    return p1 - p2, float(p1 - p2 - low), float(p1 - p2 + high)


def rates(table: pd.DataFrame, given_parent: bool = False) -> pd.DataFrame:
    """Success rates of a judged table: strategy, hidden, success ("right", "zero"), successes, n, measured (percent),
    low, high (95%), paper (printed percent), matches.

    Counts among all trials, as printed, or with `given_parent` among those whose parent succeeds. A rate matches
    when the 95% interval of measured minus printed, itself a count of 1000 trials, contains 0; None: nothing printed.
    """
    import pandas as pd  # imported late: the exercises take intervals from here, where there is no pandas

    rows = []
    for (strategy, hidden), group in table.groupby(["strategy", "hidden"], sort=False):
        printed = (PRINTED_GIVEN_PARENT if given_parent else PRINTED).get(strategy, {}).get(hidden)
        for i, success in enumerate(("right", "zero")):
            among = group[group[f"parent_{success}"]] if given_parent else group
            k, n = int(among[success].sum()), len(among)
            low, high = wilson(k, n) if n else (0.0, 1.0)
            row = dict(strategy=strategy, hidden=hidden, success=success, successes=k, n=n)
            row |= dict(measured=100 * k / max(n, 1), low=100 * low, high=100 * high, paper=float("nan"), matches=None)
            if printed:
                _, below, above = difference(k, n, printed[i] * PRINTED_TRIALS / 100, PRINTED_TRIALS)
                row |= dict(paper=printed[i], matches=below <= 0 <= above)
            rows.append(row)
    return pd.DataFrame(rows)


def gain(table: pd.DataFrame, success: str, hidden: int, first: str, second: str) -> tuple[float, float, float]:
    """Points by which strategy `first` succeeds more often than `second` at `hidden` units, with a 95% interval: the
    mean of differences paired by trial, since both start from the same parents."""
    wide = table[table.hidden == hidden].pivot(index="trial", columns="strategy", values=success)
    d = 100 * (wide[first].astype(float) - wide[second].astype(float))
    half = 1.96 * d.std() / np.sqrt(len(d))
    return float(d.mean()), float(d.mean() - half), float(d.mean() + half)
