#!/usr/bin/env bash
# What:    flax 0.12.8 with jax 0.10.2, nnx.state and nnx.split
# Guess:   they take the parameters out of a network as a tree of arrays, and arrays of jax never change: the state of
#          the start, put back by nnx.update after training, is the start.
# Happens: the tree holds the network's own variables. Training, in nnx.jit too, changes them in the state taken before,
#          so that nnx.update puts the trained weights back over themselves. Two networks that nnx.merge makes from one
#          split are trained together. nnx.to_pure_dict, and nnx.clone of the network, do keep the start.
# Matters: rewinding is what makes a ticket, and here it does nothing, from the first round on: the "ticket" is the
#          trained network, pruned and trained further. A ticket and its control that are merged from one split always
#          have the same weights, those of the last training.
set -euo pipefail
. "$(dirname "$0")/python.sh" flax==0.12.8 optax==0.2.8 jax==0.10.2 numpy==2.4.6
JAX_PLATFORMS=cpu "$PY" - <<'P'
import sys

import jax
import jax.numpy as jnp
import optax
from flax import nnx

x, target = jax.random.normal(jax.random.key(1), (50, 20)), jax.random.normal(jax.random.key(2), (50, 5))


@nnx.jit
def step(network, optimizer):
    gradients = nnx.grad(lambda n: jnp.square(n(x) - target).mean())(network)
    optimizer.update(network, gradients)


def train(network):
    optimizer = nnx.Optimizer(network, optax.adam(0.01), wrt=nnx.Param)
    for _ in range(50):
        step(network, optimizer)


def rewound(save):
    """Distances of the weights from those drawn: after training, and after rewinding it to what was saved before."""
    network = nnx.Linear(20, 5, rngs=nnx.Rngs(0))
    drawn, start = jnp.copy(network.kernel[...]), save(network)
    distances = []
    for change in (lambda: train(network), lambda: nnx.update(network, start)):
        change()
        distances.append(round(float(jnp.linalg.norm(network.kernel[...] - drawn)), 3))
    return distances


ways = {
    "nnx.state": nnx.state,
    "nnx.split": lambda n: nnx.split(n)[1],
    "nnx.to_pure_dict": lambda n: nnx.to_pure_dict(nnx.state(n)),
    "nnx.state of a clone": lambda n: nnx.state(nnx.clone(n)),
}
found = {name: rewound(save) for name, save in ways.items()}
for name, (trained, back) in found.items():
    print(f"{name}: the weights are {trained} from the start when trained, {back} when rewound")

parts = nnx.split(nnx.Linear(20, 5, rngs=nnx.Rngs(0)))
ticket, control = nnx.merge(*parts), nnx.merge(*parts)
drawn = jnp.copy(control.kernel[...])
train(ticket)
moved = round(float(jnp.linalg.norm(control.kernel[...] - drawn)), 3)
print(f"of two networks merged from one split, the second moves by {moved} while the first is trained")
kept, lost = ([found[name] for name in names] for names in (list(ways)[2:], list(ways)[:2]))
sys.exit(not (all(t == b > 0.1 for t, b in lost) and all(b == 0 < t for t, b in kept) and moved > 0.1))
P
