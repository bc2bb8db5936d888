#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), torch.nn.utils.prune with optimizer.load_state_dict and vector_to_parameters
# Guess:   setting a mask leaves the parameters in their order, or what depends on the order (an optimizer's state, a
#          network as one vector) goes by names.
# Happens: the pruned parameter becomes the last of its layer: (weight, bias) is (bias, weight_orig) afterwards. An
#          optimizer made then takes the saved state of the one before by position: scale and shift of a batch norm swap
#          their moments without a word. A network rewound from one flat vector has biases of weights and weights of
#          biases.
# Matters: rewinding with the optimizer's state, as in late-rewinding experiments, and distances or paths between a
#          dense network and its ticket (linear mode connectivity) are computed over just these lists and vectors.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import copy, sys
import torch
from torch import nn
from torch.nn.utils import parameters_to_vector, prune, vector_to_parameters

torch.manual_seed(0)
dense = nn.BatchNorm1d(6)
first = torch.optim.Adam(dense.parameters(), lr=0.1)
dense(torch.randn(9, 6)).pow(3).sum().backward()
first.step()
moments = {name: first.state[p]["exp_avg"] for name, p in dense.named_parameters()}
vector = parameters_to_vector(dense.parameters()).detach()

pruned = copy.deepcopy(dense)
prune.identity(pruned, "weight")  # a mask that keeps everything: nothing should change
second = torch.optim.Adam(pruned.parameters(), lr=0.1)
second.load_state_dict(first.state_dict())
swapped = torch.equal(second.state[pruned.weight_orig]["exp_avg"], moments["bias"])
vector_to_parameters(vector, pruned.parameters())
rewound = torch.equal(pruned.weight_orig, dense.bias) and torch.equal(pruned.bias, dense.weight)
print(f"order: {[n for n, _ in dense.named_parameters()]}, pruned {[n for n, _ in pruned.named_parameters()]}; "
      f"moments swapped: {swapped}; scale and shift swapped by the vector: {rewound}")
sys.exit(not (swapped and rewound))
P
