#!/usr/bin/env bash
# What:    OpenVINO 2026.4.1, compiled for an x86-64 CPU in float32
# Guess:   a network with NaN in its weights gives NaN, as in numpy, torch and ONNX Runtime.
# Happens: ReLU turns NaN into 0 (so does clamp), because the compiled kernel takes the larger of two registers and NaN
#          loses. What follows is finite: logits, a loss, a class. Softmax of a row with one NaN gives 0 in the other
#          places.
# Matters: a diverged ticket is recognised by its NaN. Evaluated here it is a network with a usual loss at chance, and
#          with few broken units one with a good accuracy.
set -euo pipefail
. "$(dirname "$0")/python.sh" openvino==2026.4.1 numpy==2.4.6
"$PY" - <<'P'
import sys
import numpy as np, openvino as ov
from openvino import opset13 as op

rng = np.random.default_rng(0)
first, second, x = (rng.normal(size=s).astype(np.float32) for s in ((8, 16), (16, 3), (1, 8)))
first[:, 0] = np.nan  # one unit has diverged
given = op.parameter([1, 8], np.float32)
hidden = op.relu(op.matmul(given, op.constant(first), False, False))
network = ov.Model([op.matmul(hidden, op.constant(second), False, False)], [given])
logits = ov.Core().compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]
expected = np.maximum(x @ first, 0) @ second
print(f"logits: numpy {expected.tolist()}, OpenVINO {np.round(logits, 3).tolist()}")
sys.exit(not (np.isnan(expected).all() and np.isfinite(logits).all()))
P
