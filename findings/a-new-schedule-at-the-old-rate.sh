#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), a second torch.optim.lr_scheduler for one optimizer, or for one whose state was loaded
# Guess:   who sets `group["lr"] = 0.001` and makes a new scheduler trains on from 0.001.
# Happens: half of the schedulers do; LambdaLR, CosineAnnealingWarmRestarts and SequentialLR (a warm-up, then a cosine)
#          go back to the rate that the optimizer had for its first scheduler, here 0.1. It is kept in the optimizer's
#          groups as `initial_lr`, wins over `lr`, and travels with state_dict() into a new optimizer.
# Matters: fine-tuning a pruned network at a low rate against rewinding the rate with the weights is a question of its own
#          in this field, and this is the one number in which the two differ: what is called fine-tuning is rewinding
#          then. Delete `initial_lr`, or make a new optimizer, for each round.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P' 2>/dev/null
import sys

import torch
from torch.optim import lr_scheduler as s

schedulers = {
    "StepLR": lambda o: s.StepLR(o, 5),
    "ExponentialLR": lambda o: s.ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: s.CosineAnnealingLR(o, 10),
    "PolynomialLR": lambda o: s.PolynomialLR(o, 10),
    "LambdaLR": lambda o: s.LambdaLR(o, lambda step: 1.0),
    "CosineAnnealingWarmRestarts": lambda o: s.CosineAnnealingWarmRestarts(o, 10),
    "SequentialLR": lambda o: s.SequentialLR(o, [s.LinearLR(o, 0.1, 1, 3), s.CosineAnnealingLR(o, 6)], [3]),
}


def trained(optimizer, scheduler, steps):
    rates = [optimizer.param_groups[0]["lr"]]
    for _ in range(steps):
        optimizer.step()
        scheduler.step()
        rates.append(optimizer.param_groups[0]["lr"])
    return rates


def largest(make, loaded):
    """The largest rate of a second training, whose optimizer has been set to 0.001."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.1)
    trained(optimizer, s.StepLR(optimizer, 2, 0.1), 4)
    if loaded:
        state = optimizer.state_dict()
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.001)
        optimizer.load_state_dict(state)
    for group in optimizer.param_groups:
        group["lr"] = 0.001
    return round(max(trained(optimizer, make(optimizer), 9)), 6)


found = {name: (largest(make, False), largest(make, True)) for name, make in schedulers.items()}
for name, (same, new) in found.items():
    print(f"{name}: set to 0.001, the largest rate is {same}; in a new optimizer with the old one's state {new}")
sys.exit(list(found.values()) != [(0.001, 0.001)] * 4 + [(0.1, 0.1)] * 3)
P
