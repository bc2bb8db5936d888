#!/usr/bin/env bash
# What:    torch 2.11.0, torch.nn.utils.prune
# Guess:   `layer.weight` of a pruned layer is its masked weight, whenever one reads it.
# Happens: it is what the last forward pass computed. After optimizer.step(), and after load_state_dict, it still holds
#          the values from before, without a warning, until the layer is called again.
# Matters: tickets are saved, compared and cut between training steps. Who writes `layer.weight` to a file after the last
#          step stores weights that are one step old; who loads a checkpoint and looks at magnitudes ranks the weights
#          that were there before.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.11.0 numpy==2.4.6
"$PY" - <<'P'
import copy, sys
import torch
from torch import nn
from torch.nn.utils import prune

torch.manual_seed(0)
layer = nn.Linear(20, 20)
prune.l1_unstructured(layer, "weight", 0.5)
held = copy.deepcopy(layer.state_dict())
optimizer = torch.optim.SGD(layer.parameters(), lr=1.0)
layer(torch.ones(1, 20)).sum().backward()
optimizer.step()


def fresh() -> bool:
    return torch.equal(layer.weight, layer.weight_orig * layer.weight_mask)


after_step = fresh()
layer(torch.ones(1, 20))
after_call = fresh()
layer.load_state_dict(held)
after_load = fresh()
print(f"`weight` is weight_orig * weight_mask: after a step {after_step}, after a call {after_call}, after loading {after_load}")
sys.exit(not (not after_step and after_call and not after_load))
P
