#!/usr/bin/env bash
# What:    the initial weights of jax 0.10.2 and torch 2.11.0 by the same names: Glorot's normal, and a truncated normal
# Guess:   Glorot's normal distribution is normal in both; a truncated normal with a standard deviation of 0.1 is cut at
#          two of these, and its width is 0.1 or near it, in both.
# Happens: jax cuts Glorot's too (no weight beyond 2.28 standard deviations, where torch reaches 4.6), and widens it so
#          that the variance is right. Its truncated normal is cut at 0.2 and has 0.088. torch's is cut at -2 and 2,
#          whatever `std` is: it is not cut at all, and has 0.100.
# Matters: magnitudes decide what is pruned, and a ticket is its initial weights. Ported by name, "Gaussian Glorot" loses
#          or gains the 2.3% of weights that are largest, and the first paper's truncated normal (0.1) starts 14% wider.
set -euo pipefail
. "$(dirname "$0")/python.sh" jax==0.10.2 torch==2.11.0 numpy==2.4.6
"$PY" - <<'P'
import sys

import jax
import numpy as np
import torch

INPUTS, UNITS = 784, 300
WIDTH = (2 / (INPUTS + UNITS)) ** 0.5
torch.manual_seed(0)
key, empty = jax.random.key(0), torch.empty(UNITS, INPUTS)
drawn = {
    "Glorot, jax": jax.nn.initializers.glorot_normal()(key, (INPUTS, UNITS)) / WIDTH,
    "Glorot, torch": torch.nn.init.xavier_normal_(empty.clone()) / WIDTH,
    "truncated 0.1, jax": jax.nn.initializers.truncated_normal(0.1)(key, (INPUTS, UNITS)) / 0.1,
    "truncated 0.1, torch": torch.nn.init.trunc_normal_(empty.clone(), std=0.1) / 0.1,
}
found = {}
for name, weights in drawn.items():
    weights = np.asarray(weights, np.float64)
    found[name] = weights.std(), abs(weights).max()
    print(f"{name:20} width {found[name][0]:.3f} of what was asked for, largest weight {found[name][1]:.2f}")
(g, far), (_, torchs), (narrow, two), (wide, four) = found.values()
sys.exit(not (abs(g - 1) < 0.01 and far < 2.28 and torchs > 4 and narrow < 0.89 and two <= 2 and wide > 0.99 and four > 4))
P
