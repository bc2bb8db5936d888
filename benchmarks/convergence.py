"""Which reading of v1's convergence rule meets the paper's own check numbers: python benchmarks/convergence.py

v1 section 3.1 says that a network has converged when the moving average of its test accuracy over 1,000 iterations
changes by less than 0.002 for 1,000 iterations. It leaves open what the change is counted from and how often
accuracy is evaluated. Footnote 5 gives two numbers to check a reading with: one-shot tickets gain 0.0019 accuracy
on average after convergence, with a standard deviation of 0.00085. This searches window, threshold, hold and what
the change is counted from, on our published networks of Figure 3, and prints what comes nearest. Two numbers fit
four parameters: the reading that is found is one way to meet them, not the authors' rule.
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd

from lth_companion.claims.readings import Settles, settled
from lth_companion.experiments import catalogue
from lth_core import results
from lth_core.analyse import accuracies
from lth_core.levels import with_depth, within_levels

CHECK = {"mean": 0.0019, "sd": 0.00085}
WINDOWS, HOLDS = (400, 800, 1200, 2000, 3200), (800, 1200, 2000, 3200, 4800)
CHANGES = (0.0005, 0.00075, 0.001, 0.0015, 0.002, 0.003)


def searched(curves: pd.DataFrame, table: pd.DataFrame) -> pd.DataFrame:
    """Every reading: its fields, gain after convergence over one-shot tickets (mean, sd), share that converges."""
    rows = []
    for window, change, hold, successive in product(WINDOWS, CHANGES, HOLDS, (False, True)):
        rule = Settles(window, change, hold, successive)
        read = settled(curves, rule).reindex(table["key"]).to_numpy()
        gain = table["end_test"].to_numpy() - read[:, 1]
        rows.append({**vars(rule), "mean": np.nanmean(gain), "sd": np.nanstd(gain), "iteration": np.nanmean(read[:, 0]),
                     "converge": np.isfinite(gain).mean()})  # fmt: skip
    found = pd.DataFrame(rows)
    off = ((found["mean"] - CHECK["mean"]) / CHECK["mean"]) ** 2 + ((found["sd"] - CHECK["sd"]) / CHECK["sd"]) ** 2
    return found.assign(off=np.sqrt(off)).sort_values("off")


def main() -> None:
    source = results.Published()
    rows = [s for s in catalogue.rows("v1-fig03") if s.arm == "ticket"]
    table = with_depth(results.table(rows, source))
    table = table[within_levels(table["depth"].to_numpy(), ["90%", "5%"])]
    chosen = [s for s in rows if s.round > 0]
    curves = accuracies(results.curves(chosen, source), "mnist").sort_values(["key", "iteration"], kind="stable")
    found = searched(curves, table)
    print(f"{len(found)} readings; the paper: mean {CHECK['mean']}, sd {CHECK['sd']}")
    print(found[found["converge"] >= 0.95].head(8).round(5).to_string(index=False))


if __name__ == "__main__":
    main()
