#!/usr/bin/env bash
# What:    einops 0.8.2, einops.repeat on torch 2.13.0 (and 2.11.0) and on numpy
# Guess:   repeat makes copies, as numpy.repeat, torch.repeat_interleave and its own numpy backend do.
# Happens: for torch a new axis is the same memory seen again (unless the axes are merged, `(h w)`): one weight cut by
#          `mask[0, 0] = 0` is cut in all repeats. With numpy the same line changes one entry. No warning.
# Matters: one mask for many networks, `repeat(mask, "h w -> n h w", n=5)`, is how trials are trained side by side. The
#          first one that is pruned further prunes them all, and five independent trials are one.
set -euo pipefail
. "$(dirname "$0")/python.sh" einops==0.8.2 torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import einops, numpy as np, torch

cut = {}
for name, mask in {"torch": torch.ones(4, 4), "numpy": np.ones((4, 4))}.items():
    masks = einops.repeat(mask, "h w -> trial h w", trial=5)
    masks[0, 0, 0] = 0
    cut[name] = int((masks == 0).sum())
print(f"weights cut by one assignment to one of five repeated masks: {cut}")
sys.exit(cut != {"torch": 5, "numpy": 1})
P
