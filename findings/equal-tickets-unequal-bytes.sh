#!/usr/bin/env bash
# What:    torch 2.11.0 (torch.nn.utils.prune, Module.state_dict) with safetensors 0.8.0
# Guess:   two tickets that torch.equal calls equal have equal files: pruned weights are 0.
# Happens: a pruned weight that was negative is -0.0, which equals 0.0 and has other bytes. About half of all pruned
#          weights are such. A ticket whose pruned weights were zeroed by index or by where() has other bytes, so that
#          SHA-256 of the two files differ, and so does whatever deduplicates by content.
# Matters: checksums are how tickets are recognised again (stores, mirrors, content-addressed caches); signs of pruned
#          weights also leak into studies of signs, because torch.signbit and numpy.copysign see them.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.11.0 numpy==2.4.6 safetensors==0.8.0
"$PY" - <<'P'
import hashlib, sys
import torch
from safetensors.torch import save
from torch import nn
from torch.nn.utils import prune

torch.manual_seed(0)
layer = nn.Linear(100, 100, bias=False)
start = layer.weight.detach().clone()
prune.l1_unstructured(layer, "weight", 0.8)
mask = layer.weight_mask.bool()
prune.remove(layer, "weight")
masked, chosen = layer.weight.detach(), torch.where(mask, start, 0.0)
digests = [hashlib.sha256(save({"weight": w.contiguous()})).hexdigest()[:12] for w in (masked, chosen)]
negative = int((torch.signbit(masked) & (masked == 0)).sum())
print(f"torch.equal: {torch.equal(masked, chosen)}; files {digests[0]} and {digests[1]}; "
      f"{negative} of {int((~mask).sum())} pruned weights are -0.0")
sys.exit(not (torch.equal(masked, chosen) and digests[0] != digests[1] and negative > 3000))
P
