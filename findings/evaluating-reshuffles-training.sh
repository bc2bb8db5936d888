#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), DataLoader without workers
# Guess:   a loader that does not shuffle draws nothing: to evaluate more or less often changes no batch of the
#          training.
# Happens: each pass over any DataLoader takes a number from torch's global generator (a seed for workers, of which
#          there are none). One evaluation in between, and all later epochs come in another order; so do dropout and
#          augmentation.
# Matters: early-stopping iterations are found by evaluating often, final accuracies by evaluating once: the two
#          trainings of one seed are different trainings, and a ticket and its control differ by more than their masks.
#          A generator of the loader's own, `DataLoader(..., generator=...)`, for the training and the evaluation, keeps
#          them apart.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torch.utils.data import DataLoader, TensorDataset

data = TensorDataset(torch.arange(100))


def epochs(evaluations: int, own: bool = False) -> list[list[int]]:
    torch.manual_seed(0)
    generators = [torch.Generator().manual_seed(i) if own else None for i in range(2)]
    training = DataLoader(data, batch_size=100, shuffle=True, generator=generators[0])
    validation = DataLoader(data, batch_size=100, generator=generators[1])
    orders = []
    for _ in range(3):
        orders += [batch[0].tolist() for batch in training]
        for _ in range(evaluations):
            list(validation)
    return orders


shared = [a == b for a, b in zip(epochs(0), epochs(1), strict=True)]
own = [a == b for a, b in zip(epochs(0, own=True), epochs(1, own=True), strict=True)]
print(f"epochs in the same order with and without an evaluation after each: {shared}; "
      f"with generators of their own: {own}")
sys.exit(not (shared == [True, False, False] and all(own)))
P
