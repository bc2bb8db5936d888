#!/usr/bin/env bash
# What:    Altair 6.3.0 (Vega-Lite), mark_errorbar(extent="ci") and mark_errorband, drawn by vl-convert 1.9.0.post1
# Guess:   a chart with its data is one picture: intervals are computed once, or by a rule that gives the same again.
# Happens: the interval is a bootstrap that runs anew whenever the chart is drawn, without a seed, and a chart has no
#          place for one: drawings have different ends, while "stderr" and "stdev" stay. For five trials the ends lie
#          apart by up to a tenth of the interval.
# Matters: a published chart is drawn by the reader's computer: no two readers see the interval that the text speaks of, and
#          a page that is built twice has other bytes. Intervals computed in Python, drawn from y to y2, stay.
set -euo pipefail
. "$(dirname "$0")/python.sh" altair==6.3.0 vl-convert-python==1.9.0.post1 pandas==3.1.1 numpy==2.4.6
"$PY" - <<'P'
import re
import sys

import altair as alt
import pandas as pd
import vl_convert

accuracies = pd.DataFrame({"density": ["20%"] * 5, "accuracy": [98.1, 97.4, 98.3, 97.9, 98.8]})
chart = alt.Chart(accuracies).encode(x="density:N", y=alt.Y("accuracy:Q", scale=alt.Scale(domain=[97, 99])))


def drawings(mark):
    return [vl_convert.vegalite_to_svg(mark.to_dict()) for _ in range(100)]


def ends(svg):
    """What the bar is said to reach to, in its description for those who do not see it."""
    high, low = re.search(r"Ci1 of accuracy: ([\d.]+); Ci0 of accuracy: ([\d.]+)", svg).groups()
    return float(low), float(high)


pictures = {f"bar, {extent}": drawings(chart.mark_errorbar(extent=extent)) for extent in ("ci", "stderr", "stdev")}
pictures["band, ci"] = drawings(chart.mark_errorband(extent="ci"))
different = {name: len(set(svgs)) for name, svgs in pictures.items()}
lows, highs = zip(*map(ends, pictures["bar, ci"]), strict=True)
print("different pictures of 100:", different)
print(f"lower ends from {min(lows):.3f} to {max(lows):.3f}, upper from {min(highs):.3f} to {max(highs):.3f}")
sys.exit([many > 5 for many in different.values()] != [True, False, False, True] or max(lows) - min(lows) < 0.02)
P
