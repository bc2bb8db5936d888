#!/usr/bin/env bash
# What:    gguf 0.19.0, gguf.quants.quantize to the types Q4_0, Q4_1, Q5_1 and Q8_0
# Guess:   zero, the most frequent number of a pruned layer, is stored exactly; and a type that is better for a layer
#          (Q4_1, which keeps a smallest value and a step for each 32 weights) is better for it when it is pruned.
# Happens: in Q4_0 and Q8_0 pruned weights stay 0. In Q4_1 and Q5_1 zero is rounded to a multiple of the step from the
#          smallest value: of a layer pruned by 80%, 3.5% of the weights are 0. All zeros of a block move alike, so that
#          their errors add up: the outputs are off by 25% in Q4_1 and by 13% in Q5_1, by 5% in Q4_0. Of the dense layer
#          Q4_1 is the better one of the two, with 8% against 9%.
# Matters: "do tickets bear quantization?" gets the answer no in one type and yes in the other, and a sparsity counted in
#          the file is none. With the mask applied again after reading, Q4_1 is off by 4%. Keep masks beside the file.
set -euo pipefail
. "$(dirname "$0")/python.sh" gguf==0.19.0 numpy==2.4.6
"$PY" - <<'P'
import sys

import numpy as np
from gguf import GGMLQuantizationType, quants

rng = np.random.default_rng(0)
weights = (rng.normal(size=(300, 1024)) / 32).astype(np.float32)
x = np.maximum(rng.normal(size=(1024, 500)), 0).astype(np.float32)
kept = np.abs(weights) > np.quantile(np.abs(weights), 0.8)


def off(layer, stored):
    return float(np.linalg.norm((stored - layer) @ x) / np.linalg.norm(layer @ x))


found = {}
for name in ("Q4_0", "Q4_1", "Q5_1", "Q8_0"):
    kind = GGMLQuantizationType[name]
    pruned = np.where(kept, weights, np.float32(0))
    dense, stored = (quants.dequantize(quants.quantize(layer, kind), kind) for layer in (weights, pruned))
    zeros, errors = float((stored == 0).mean()), (off(weights, dense), off(pruned, stored), off(pruned, stored * kept))
    found[name] = zeros, *errors
    print(f"{name}: {zeros:.1%} zeros where 80% were pruned; outputs off by {errors[0]:.1%} dense, {errors[1]:.1%} pruned, "
          f"{errors[2]:.1%} pruned and masked again")
zeros, dense, pruned, masked = ({name: row[i] for name, row in found.items()} for i in range(4))
exact = all(abs(zeros[name] - 0.8) < 1e-3 and masked[name] == pruned[name] for name in ("Q4_0", "Q8_0"))
few = max(zeros["Q4_1"], zeros["Q5_1"]) < 0.05
turned = dense["Q4_1"] < dense["Q4_0"] and pruned["Q4_1"] > pruned["Q5_1"] > 2 * pruned["Q4_0"] and masked["Q4_1"] < 0.05
sys.exit(not (exact and few and turned))
P
