#!/usr/bin/env bash
# What:    jax 0.10.2, jax.random.normal with dtype=bfloat16 (and the initializers that draw with it)
# Guess:   a normal draw, rounded to bfloat16: some 1,600 different magnitudes among 235,200 weights, the largest beyond 4.
# Happens: the uniform number behind it is drawn with eight bits, so there are 128 magnitudes, and none beyond 2.9. 0.8% of
#          all weights share the largest one; in float16 there are 1,024.
# Matters: a ticket's initial weights have no tail, and pruning an untrained network by magnitude meets ties of nearly one
#          percent: a threshold that should keep the largest 1% keeps 0.8% or 1.5%. Draw in float32 and round.
set -euo pipefail
. "$(dirname "$0")/python.sh" jax==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$PY" - <<'P'
import sys
import jax
import jax.numpy as jnp
import numpy as np

key, shape = jax.random.key(0), (300, 784)
drawn = jax.random.normal(key, shape, jnp.bfloat16)
rounded = jax.random.normal(key, shape, jnp.float32).astype(jnp.bfloat16)
sizes = {}
for name, weights in (("drawn in bfloat16", drawn), ("drawn in float32, rounded", rounded)):
    size = np.abs(np.asarray(weights, np.float32)).ravel()
    sizes[name] = size
    threshold = np.quantile(size, 0.99)
    print(f"{name}: {np.unique(size).size} magnitudes, the largest {size.max():.2f}, shared by {(size == size.max()).mean():.2%};"
          f" at the 99% threshold {(size > threshold).mean():.2%} lie above, {(size >= threshold).mean():.2%} at or above")
few, many = (np.unique(size).size for size in sizes.values())
largest, tail = (size.max() for size in sizes.values())
sys.exit(not (few == 128 and many > 1000 and largest < 3 < tail))
P
