#!/usr/bin/env bash
# What:    safetensors 0.8.0, safetensors.numpy.save
# Guess:   an array is stored as it is, or refused, as safetensors.torch refuses tensors that are not contiguous.
# Happens: of an array that does not lie in C order (a transpose, every second column, a reversed axis) the bytes are written
#          as they come to hand under the shape of the array: all values are there or not, at other places. No error.
# Matters: weights and masks are transposed on the way between frameworks. A ticket stored so has the right shape, the right
#          density and often the right sum, and its weights belong to other connections.
set -euo pipefail
. "$(dirname "$0")/python.sh" safetensors==0.8.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np
from safetensors.numpy import load, save

x = np.arange(6, dtype=np.float32).reshape(2, 3)
arrays = {"C order": x, "transposed": x.T, "every second column": x[:, ::2], "reversed": x[::-1]}
same = {name: np.array_equal(load(save({"a": a}))["a"], a) for name, a in arrays.items()}
print("read back equal:", same)
sys.exit(list(same.values()) != [True, False, False, False])
P
