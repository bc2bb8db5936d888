#!/usr/bin/env bash
# What:    numpy 2.4.6, random generators keyed by a list of whole numbers, `default_rng([seed, trial, ...])`
# Guess:   different lists give different streams: that is what the hash of SeedSequence is for.
# Happens: lists of up to four words are filled up with zeros, so 7, [7], [7, 0] and [7, 0, 0] are one stream; a number
#          beyond 32 bits is taken apart first, so that 5 + 2**32 is [5, 1]. And the first child that spawn() gives of
#          seed 7 is [7, 0, 0, 0, 0].
# Matters: `[seed]` for the data, `[seed, trial]` for weights, `[seed, trial, layer]` for random masks: layer 0 draws
#          its mask from the very numbers that made the weights, and a "random" mask of 20% keeps the smallest ones. It
#          is so in layer 0 of each trial, and no other layer shows it. Lists of one length are safe.
set -euo pipefail
. "$(dirname "$0")/python.sh" numpy==2.4.6
"$PY" - <<'P'
import sys

import numpy as np


def first(*key):
    return [int(x) for x in np.random.default_rng(list(key)).integers(0, 10**6, 3)]


scalar = [int(x) for x in np.random.default_rng(7).integers(0, 10**6, 3)]
keys = ((7,), (7, 0), (7, 0, 0), (7, 0, 1))
for key in keys:
    print(f"{key}: {first(*key)}")
same = all(first(*key) == scalar for key in keys[:3]) and first(*keys[3]) != scalar
wide = first(5 + 2**32) == first(5, 1)
child = np.random.default_rng(np.random.SeedSequence(7).spawn(1)[0]).integers(0, 10**6, 3).tolist() == first(7, 0, 0, 0, 0)
print(f"5 + 2**32 is (5, 1): {wide}; the first child of 7 is (7, 0, 0, 0, 0): {child}")


def kept(trial, layer):
    """The largest magnitude that a random mask of 20% keeps, and the smallest that it cuts."""
    weights = np.abs(np.random.default_rng([7, trial]).random(100_000) - 0.5)
    mask = np.abs(np.random.default_rng([7, trial, layer]).random(100_000) - 0.5) < 0.1
    return weights[mask].max(), weights[~mask].min()


shares = {key: kept(*key) for key in ((0, 0), (1, 0), (1, 1))}
for key, (largest, smallest) in shares.items():
    print(f"trial, layer {key}: kept up to {largest:.3f}, cut from {smallest:.3f} on")
apart = {key: largest <= smallest for key, (largest, smallest) in shares.items()}
sys.exit(not (same and wide and child and apart == {(0, 0): True, (1, 0): True, (1, 1): False}))
P
