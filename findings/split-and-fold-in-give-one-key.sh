#!/usr/bin/env bash
# What:    jax 0.10.2, jax.random.split and jax.random.fold_in with the default generator (threefry)
# Guess:   keys made by split and keys made by fold_in have nothing in common.
# Happens: fold_in(key, i) is split(key, n)[i], bit for bit, whatever n is. (With jax_threefry_partitionable off, the
#          default of earlier versions, or another generator, they differ.)
# Matters: one key is split for weights and for the order of batches, and folded by the number of a layer or step for
#          masks and dropout. Layer 1's random mask then has the key of the weights: bernoulli and normal take the same bits,
#          and a "random" mask of 20% keeps just the 20% most negative weights. Fold keys that split gave, never the
#          one that was split.
set -euo pipefail
. "$(dirname "$0")/python.sh" jax==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$PY" - <<'P'
import sys

import jax
import numpy as np
from jax import random


def same(key, n):
    words = random.key_data(random.split(key, n))
    return [bool((random.key_data(random.fold_in(key, i)) == words[i]).all()) for i in range(n)]


root = random.key(0)
equal = same(root, 2) + same(random.key(1), 5)
order, start = random.split(root)
weights = np.asarray(random.normal(start, (300, 100)))
masks = {layer: np.asarray(random.bernoulli(random.fold_in(root, layer), 0.2, weights.shape)) for layer in (1, 2)}
for layer, mask in masks.items():
    print(f"layer {layer}: weights kept reach from {weights[mask].min():.2f} to {weights[mask].max():.2f}, "
          f"those cut from {weights[~mask].min():.2f} to {weights[~mask].max():.2f}")
jax.config.update("jax_threefry_partitionable", False)
before = same(root, 5)
print(f"fold_in(key, i) is split(key)[i]: {equal}; not partitionable: {before}")
one, other = (weights[mask].max() < weights[~mask].min() + 0.05 for mask in masks.values())
sys.exit(not (all(equal) and not any(before) and one and not other))
P
