#!/usr/bin/env bash
# What:    bottleneck 1.6.0, move_mean, beside pandas 3.1.1, rolling().mean()
# Guess:   a moving mean over two numbers is one again as soon as a spike has left the window.
# Happens: bottleneck adds what comes in and takes off what goes out. After a spike of 1e9 in float32 (or 1e20 in
#          float64) every later mean of ones is 0, and after an infinity every later mean is NaN, to the end of the
#          series. pandas carries the lost digits along and counts infinities as missing: it is back at 1 in all three.
# Matters: curves of losses are smoothed by moving means. A network that recovers from one wild loss looks as if it never
#          did, or as if its loss were nothing.
set -euo pipefail
. "$(dirname "$0")/python.sh" bottleneck==1.6.0 pandas==3.1.1 numpy==2.4.6
"$PY" - <<'P'
import sys
import bottleneck, numpy as np, pandas as pd

ends = {}
spikes = {"1e9 in float32": (1e9, np.float32), "1e20 in float64": (1e20, np.float64), "infinity": (np.inf, np.float64)}
for name, (spike, kind) in spikes.items():
    curve = np.ones(8, kind)
    curve[2] = spike
    one, other = bottleneck.move_mean(curve, 2)[4:], pd.Series(curve).rolling(2).mean().to_numpy()[4:]
    print(f"{name}, once it has left the window: bottleneck {one.tolist()}, pandas {other.tolist()}")
    ends[name] = (*set(one.astype(str)), *set(other.astype(float)))
sys.exit(ends != {"1e9 in float32": ("0.0", 1.0), "1e20 in float64": ("0.0", 1.0), "infinity": ("nan", 1.0)})
P
