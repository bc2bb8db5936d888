#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), torch.optim.Muon (there since 2.9) beside the other optimizers
# Guess:   a weight whose gradient is always 0 stays where it is, without momentum from before and without weight decay:
#          so masking gradients holds a mask, with any optimizer.
# Happens: Muon makes the step's rows and columns orthogonal, which mixes the entries of each: after one step no pruned
#          weight is 0, after a hundred they have a seventh of the size of the kept ones. All gradients at pruned weights were
#          0. SGD, Adam, AdamW and Adafactor leave them at 0.
# Matters: `p.grad *= mask` before `optimizer.step()` is how many programs train tickets. With Muon they train a dense
#          network and report its accuracy at the mask's sparsity. Weights must be masked after each step, or in the
#          forward pass.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys

import torch

optimizers = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.01),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.01),
    "Muon": lambda p: torch.optim.Muon(p, lr=0.02, weight_decay=0),
}
generator = torch.Generator().manual_seed(0)
x, target = torch.randn(500, 40, generator=generator), torch.randn(40, 60, generator=generator)
start, mask = torch.randn(40, 60, generator=generator), torch.rand(40, 60, generator=generator) < 0.2
grown = {}
for name, make in optimizers.items():
    weight = torch.nn.Parameter(start * mask)
    optimizer, shares = make([weight]), []
    for _ in range(100):
        optimizer.zero_grad()
        (x @ weight - x @ target).square().mean().backward()
        weight.grad *= mask
        optimizer.step()
        shares.append(float((weight[~mask] != 0).float().mean()))
    size = float(weight.detach()[~mask].abs().mean() / weight.detach()[mask].abs().mean())
    grown[name] = shares[0], shares[-1], size
    print(f"{name}: pruned weights that are not 0 after 1 and 100 steps: {shares[0]:.1%}, {shares[-1]:.1%}; "
          f"their mean size beside that of the kept ones: {size:.3f}")
muon = grown.pop("Muon")
sys.exit(not (min(muon[:2]) > 0.99 and muon[2] > 0.1 and set(grown.values()) == {(0.0, 0.0, 0.0)}))
P
