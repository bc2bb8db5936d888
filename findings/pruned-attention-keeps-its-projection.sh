#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), torch.nn.utils.prune on `out_proj` of nn.MultiheadAttention
# Guess:   a pruned output projection works as a pruned Linear elsewhere: each forward pass of the attention multiplies
#          weight by mask. A checkpoint that is loaded is what computes from then on.
# Happens: attention takes `out_proj.weight` without calling `out_proj`, so the hook that makes the product never runs.
#          The product made when the mask was set computes for ever: load_state_dict says that all keys match, and the
#          outputs do not change by a bit. Training raises an error at the second step, about an in-place operation.
# Matters: transformers are pruned by looping over all nn.Linear. Who loads a ticket, or rewinds one, and only evaluates
#          gets the numbers of the weights before, layer by layer, and no message.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torch import nn
from torch.nn.utils import prune

torch.manual_seed(0)
x = torch.randn(1, 3, 8)


def pruned():
    attention = nn.MultiheadAttention(8, 2, batch_first=True)
    prune.l1_unstructured(attention.out_proj, "weight", 0.5)
    return attention


mine, other = pruned(), pruned()
with torch.no_grad():
    before = mine(x, x, x)[0]
    state = {**mine.state_dict(), **{k: v for k, v in other.state_dict().items() if k.startswith("out_proj.")}}
    said = mine.load_state_dict(state)
    after = mine(x, x, x)[0]
optimizer, error = torch.optim.SGD(mine.parameters(), lr=0.1), None
for step in (1, 2):
    try:
        mine(x, x, x)[0].square().sum().backward()
        optimizer.step()
    except RuntimeError as raised:
        error = step
print(f"another out_proj loaded: {said}; outputs are the old ones, bit for bit: {torch.equal(before, after)}; "
      f"training raises at step {error}")
sys.exit(not (torch.equal(before, after) and error == 2))
P
