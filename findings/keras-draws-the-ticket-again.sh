#!/usr/bin/env bash
# What:    Keras 3.15.1 (on jax 0.10.2), a layer's initializer called again, and one initializer for several layers
# Guess:   an initializer without a seed draws new numbers each time that it is called.
# Happens: it takes a seed of its own when it is made and gives the same numbers at each call, without a warning.
#          `layer.kernel_initializer(layer.kernel.shape)` is the layer's first weights, bit for bit, after training as
#          before, also where the initializer was given as "he_normal". One HeNormal() given to two layers of a shape
#          makes them equal. Only `seed=keras.random.SeedGenerator(...)` draws on.
# Matters: that line is how one draws a layer anew: the control experiment "same mask, new random weights" is then the
#          winning ticket itself. And blocks that share an initializer, as written in most residual networks, start as
#          copies of each other.
set -euo pipefail
. "$(dirname "$0")/python.sh" keras==3.15.1 jax==0.10.2 numpy==2.4.6
KERAS_BACKEND=jax JAX_PLATFORMS=cpu "$PY" - <<'P'
import sys

import keras
import numpy as np


def network(initializer):
    layers = [keras.layers.Dense(8, kernel_initializer=initializer) for _ in range(2)]
    return keras.Sequential([keras.Input((8,)), *layers])


def kernels(model):
    return [keras.ops.convert_to_numpy(layer.kernel).copy() for layer in model.layers]


model = network("he_normal")
start = kernels(model)
model.compile("sgd", "mse")
x = np.random.default_rng(0).normal(size=(64, 8))
model.fit(x, x, epochs=3, verbose=0)
trained = kernels(model)
drawn = [keras.ops.convert_to_numpy(layer.kernel_initializer(layer.kernel.shape)) for layer in model.layers]
again = [np.array_equal(a, b) for a, b in zip(drawn, start, strict=True)]
moved = [not np.array_equal(a, b) for a, b in zip(trained, start, strict=True)]
shared = {
    "by name": np.array_equal(*start),
    "one HeNormal()": np.array_equal(*kernels(network(keras.initializers.HeNormal()))),
    "one HeNormal(SeedGenerator)": np.array_equal(
        *kernels(network(keras.initializers.HeNormal(keras.random.SeedGenerator(0))))
    ),
}
print(f"weights trained: {moved}; drawn again, they are the initial ones: {again}")
print("two layers start equal:", shared)
sys.exit(not (all(moved) and all(again) and list(shared.values()) == [False, True, False]))
P
