#!/usr/bin/env bash
# What:    nncf 3.4.0 with torch 2.11.0: `nncf.prune` by magnitude at ratio 0.8, then its parameters, then each `strip`
# Guess:   80% of a pruned model's weights are zero, surely after `strip`.
# Happens: its parameters hold no zero, nor after stripping to "dequantize"; only `StripFormat.IN_PLACE` writes them.
#          (`strip` imports torchao, which the package does not ask for.)
# Matters: counting zeros, or taking the weights to another library, gives the dense network as a perfect ticket.
set -euo pipefail
. "$(dirname "$0")/python.sh" nncf==3.4.0 torch==2.11.0 torchao==0.18.0
"$PY" - 2> /dev/null <<'P'
import sys

import nncf
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden, self.out = nn.Linear(784, 300), nn.Linear(300, 10)

    def forward(self, x):
        return self.out(torch.relu(self.hidden(x)))


def zeros(model: nn.Module) -> list[float]:
    """Share of zeros in each weight."""
    return [round(float((p == 0).float().mean()), 3) for p in model.parameters() if p.dim() == 2]


torch.manual_seed(0)
mode = nncf.PruneMode.UNSTRUCTURED_MAGNITUDE_LOCAL
pruned = nncf.prune(Net(), mode=mode, ratio=0.8, examples_inputs=torch.zeros(1, 784))
masks = [round(float((b == 0).float().mean()), 3) for n, b in pruned.state_dict().items() if n.endswith("binary_mask")]
found = {"masks": masks, "pruned": zeros(pruned)}
for how in (nncf.StripFormat.DQ, nncf.StripFormat.IN_PLACE):
    found[how.value] = zeros(nncf.strip(pruned, do_copy=True, strip_format=how))
print(found)
sys.exit(found != {"masks": [0.8, 0.8], "pruned": [0.0, 0.0], "dequantize": [0.0, 0.0], "in_place": [0.8, 0.8]})
P
