#!/usr/bin/env bash
# What:    torch 2.11.0, torch.nn.utils.prune between pruning rounds
# Guess:   three rounds of l1_unstructured(amount=0.2), each made permanent by prune.remove, leave 0.8**3 = 51% of the
#          weights, as the same three calls without remove do.
# Happens: remove drops the mask, and the next call counts its 20% from all weights. The smallest are the zeros of the
#          round before, so the same ones are chosen: 80% after every round, without a warning. (Trained in between with
#          nothing that holds them, the zeros have moved, and others are cut instead: still 80%.)
# Matters: many tutorials call remove after each round to save or to rewind a plain state dict. Every "sparsity" of the
#          curve then is the first round's, and a network at 80% is reported as a winning ticket at 1%.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.11.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torch import nn
from torch.nn.utils import prune


def left(permanent: bool) -> list[float]:
    torch.manual_seed(0)
    layer, shares = nn.Linear(100, 100), []
    for _ in range(3):
        prune.l1_unstructured(layer, "weight", amount=0.2)
        shares.append(float((layer.weight != 0).double().mean()))
        if permanent:
            prune.remove(layer, "weight")
    return shares


kept, removed = left(False), left(True)
print("share of weights left after rounds 1, 2, 3:", kept, "; with remove after each:", removed)
sys.exit(not (kept == [0.8, 0.64, 0.512] and removed == [0.8] * 3))
P
