#!/usr/bin/env bash
# What:    torch 2.13.0, torch.nn.utils.vector_to_parameters
# Guess:   it copies the vector's numbers into the parameters, as its documentation says ("copy slices of a vector"), and
#          as parameters_to_vector copies them out.
# Happens: the parameters become views of the vector, and every optimizer step changes it in place. The first rewinding
#          is right; then the start is trained along with the network, and the next rewinding is to the weights last
#          trained. Two networks filled from one vector are one network. `vector.clone()` in the call keeps the start.
# Matters: a flat vector is the usual form of a start, of the ends of a path between two networks and of a ticket to hand
#          over. One cut and one rewinding, which is what one tests, are right; from the second round on an experiment
#          of iterative pruning goes on training without a rewinding, and nothing else shows it.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys

import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

generator = torch.Generator().manual_seed(0)
x, target = torch.randn(50, 20, generator=generator), torch.randn(50, 5, generator=generator)


def made():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(20, 30), nn.ReLU(), nn.Linear(30, 5))


def train(network):
    optimizer = torch.optim.SGD(network.parameters(), lr=0.1, momentum=0.9)
    for _ in range(50):
        optimizer.zero_grad()
        (network(x) - target).square().mean().backward()
        optimizer.step()


def weights(network):
    return parameters_to_vector(network.parameters()).detach()


def rounds(prepare):
    """How far the weights are from those drawn after each of three rewindings."""
    network = made()
    drawn, start = weights(network).clone(), weights(network)
    distances = []
    for _ in range(3):
        train(network)
        vector_to_parameters(prepare(start), network.parameters())
        distances.append(round(float((weights(network) - drawn).norm()), 3))
    return distances


plain, cloned = rounds(lambda start: start), rounds(torch.clone)
print(f"distance from the start after each rewinding: {plain}; with a clone of the vector: {cloned}")
ticket, control = made(), made()
vector = weights(ticket)
for network in (ticket, control):
    vector_to_parameters(vector, network.parameters())
before = weights(control).clone()
train(ticket)
moved = float((weights(control) - before).norm())
print(f"of two networks filled from one vector, the second moves by {moved:.3f} while the first is trained")
sys.exit(not (plain[0] == 0 < plain[1] < plain[2] and cloned == [0, 0, 0] and moved > 0.1))
P
