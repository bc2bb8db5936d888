#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), torch.autocast around more than one evaluation, on a CPU in bfloat16
# Guess:   autocast rounds weights where they are used: after weights are cut or trained, outputs are those of the new ones.
# Happens: the rounded copy of each weight is kept until the outermost `with` ends, under no_grad too. Within it a
#          network gives the same outputs, bit for bit, whatever has become of its weights: pruned by 20%, by 99%, to
#          nothing, or trained for 50 steps, each of them with a gradient at the first weights. Biases are cast and kept
#          as well. `cache_enabled=False` computes what one expects.
# Matters: "accuracy by sparsity" in one block, for speed, is a flat line: the network seems to lose nothing at 99%.
#          Training in one block seems not to learn.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys

import torch
from torch import nn
from torch.nn.functional import cross_entropy

x = torch.randn(2000, 20, generator=torch.Generator().manual_seed(0))
y = (x[:, :3].sum(1) > 0).long()


def network():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(20, 50), nn.ReLU(), nn.Linear(50, 2))


def train(model, steps):
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    for _ in range(steps):
        optimizer.zero_grad()
        cross_entropy(model(x).float(), y).backward()
        optimizer.step()
    return model


def accuracy(model):
    return float((model(x).argmax(1) == y).float().mean())


def curve(**how):
    """Accuracies after cuts by magnitude to these densities, all in one block."""
    model, found = train(network(), 100), []
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, **how):
        for density in (1, 0.8, 0.05, 0.01, 0):
            for weight in (model[0].weight, model[2].weight):
                few = round((1 - density) * weight.numel())
                if few:
                    weight[weight.abs() <= weight.abs().flatten().kthvalue(few).values] = 0
            found.append(accuracy(model))
    return found


def learned(**how):
    model = network()
    with torch.autocast("cpu", torch.bfloat16, **how):
        before = accuracy(model)
        train(model, 50)
        return before, accuracy(model)


kept, fresh = curve(), curve(cache_enabled=False)
still, moved = learned(), learned(cache_enabled=False)
for name, cuts, training in (("autocast", kept, still), ("cache_enabled=False", fresh, moved)):
    print(f"{name}: accuracy at 100, 80, 5, 1 and 0% of weights: {', '.join(f'{a:.3f}' for a in cuts)}; "
          f"before and after training: {training[0]:.3f}, {training[1]:.3f}")
sys.exit(not (len(set(kept)) == 1 and kept[0] > 0.9 and fresh[-1] < 0.6 and still[0] == still[1] and moved[1] > 0.9))
P
