#!/usr/bin/env bash
# What:    tensorflow-model-optimization 0.8.1 (tensorflow 2.21.0, tf_keras 2.21.0), `prune_low_magnitude` with
#          `ConstantSparsity(0.5, begin_step=0, frequency=10)` and with `begin_step=5`
# Guess:   the first cut comes at `begin_step`.
# Happens: from step 5 it comes at step 5; from step 0 not before step 10: `frequency` steps train the whole network.
# Matters: "prune at initialisation" is spelled begin_step=0, and is not done: the mask is chosen by trained weights.
set -euo pipefail
. "$(dirname "$0")/python.sh" tensorflow-model-optimization==0.8.1 tensorflow==2.21.0 tf_keras==2.21.0 numpy==2.4.6
TF_USE_LEGACY_KERAS=1 CUDA_VISIBLE_DEVICES="" TF_CPP_MIN_LOG_LEVEL=3 "$PY" - <<'P'
import sys

import numpy as np
import tensorflow_model_optimization as tfmot
import tf_keras

sparsity = tfmot.sparsity.keras


def zeros(begin: int) -> list[float]:
    """Share of zeros in the mask after each of 20 steps."""
    tf_keras.utils.set_random_seed(0)
    model = tf_keras.Sequential([tf_keras.layers.Dense(30, input_shape=(100,))])
    schedule = sparsity.ConstantSparsity(0.5, begin_step=begin, frequency=10)
    pruned = sparsity.prune_low_magnitude(model, pruning_schedule=schedule)
    pruned.compile("sgd", "mse")
    seen = []

    class See(tf_keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            mask = pruned.layers[0].pruning_vars[0][1].numpy()
            seen.append(round(float(np.mean(mask == 0)), 2))

    images = np.random.rand(200, 100).astype("float32")
    pruned.fit(
        images, np.zeros((200, 30), "float32"), batch_size=10, verbose=0,
        callbacks=[sparsity.UpdatePruningStep(), See()],
    )
    return seen


found = {begin: zeros(begin) for begin in (0, 5)}
for begin, seen in found.items():
    print(f"begin_step={begin}: share of zeros after each step {seen}")
first = {begin: 1 + next(i for i, z in enumerate(seen) if z > 0) for begin, seen in found.items()}
print("first cut at step", first)
sys.exit(first != {0: 10, 5: 5})
P
