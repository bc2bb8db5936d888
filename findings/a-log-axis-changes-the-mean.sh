#!/usr/bin/env bash
# What:    seaborn 0.13.2, lineplot, pointplot and barplot on an axis that is logarithmic already
# Guess:   a scale decides where a number is drawn, not which: `ax.set_yscale("log")` before or after the plot is the
#          same picture.
# Happens: set before, seaborn averages logarithms: the line is the geometric mean, and its band too. Set after, it is the
#          mean. Losses of 1 and 100 are drawn at 10 or at 50.5; axis labels say the same in both.
# Matters: losses are drawn on logarithmic axes, and a diverged trial among five moves one mean far and the other little.
#          Two panels of a figure, one with `sharey` on a logarithmic axis, tell different numbers of one table, and
#          the table's own means agree with one of them.
set -euo pipefail
. "$(dirname "$0")/python.sh" seaborn==0.13.2 matplotlib==3.11.2 pandas==3.1.1 numpy==2.4.6
MPLBACKEND=agg "$PY" - <<'P'
import sys

import matplotlib.pyplot as plt
import pandas as pd
import seaborn as sns

losses = pd.DataFrame({"iteration": [1, 1, 2, 2], "loss": [1.0, 100.0, 1.0, 10_000.0]})


def drawn(plot, when):
    ax = plt.subplots()[1]
    if when == "before":
        ax.set_yscale("log")
    plot(losses, x="iteration", y="loss", errorbar=None, ax=ax)
    if when == "after":
        ax.set_yscale("log")
    heights = [patch.get_height() for patch in ax.patches] or ax.lines[0].get_ydata()
    assert ax.get_yscale() == "log" and ax.get_ylabel() == "loss"
    return [round(float(y), 6) for y in heights]


found = {f.__name__: (drawn(f, "before"), drawn(f, "after")) for f in (sns.lineplot, sns.pointplot, sns.barplot)}
for name, (before, after) in found.items():
    print(f"{name}: log axis set before the plot {before}, set after it {after}")
sys.exit(any(pair != ([10, 100], [50.5, 5000.5]) for pair in found.values()))
P
