#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), Module.reset_parameters under torch.nn.utils.prune and torch.nn.utils.parametrize
# Guess:   reset_parameters() of a masked layer draws its weights anew; the mask stays.
# Happens: only the bias is drawn anew. `weight` is a product of the mask and a hidden parameter, made before each
#          forward pass (prune) or at each look (parametrize): the new numbers are written into that product and are
#          gone at the next forward pass. No error, no warning. `torch.nn.init` on `layer.weight` does the same.
# Matters: the control experiment of the lottery ticket hypothesis, the same mask with random new weights, is then the
#          ticket itself, and "reinitialised tickets train as well as winning ones" comes out whatever is true.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torch import nn
from torch.nn.utils import parametrize, prune


class Masked(nn.Module):
    def __init__(self, mask):
        super().__init__()
        self.register_buffer("mask", mask)

    def forward(self, weight):
        return weight * self.mask


def by_prune(layer):
    prune.random_unstructured(layer, "weight", 0.5)


def by_parametrize(layer):
    parametrize.register_parametrization(layer, "weight", Masked((torch.rand(20, 20) < 0.5).float()))


torch.manual_seed(0)
found = []
for mask in (by_prune, by_parametrize):
    layer, x = nn.Linear(20, 20), torch.ones(1, 20)
    mask(layer)
    layer(x)
    weight, bias = layer.weight.detach().clone(), layer.bias.detach().clone()
    layer.reset_parameters()
    layer(x)
    found.append((torch.equal(layer.weight, weight), torch.equal(layer.bias, bias)))
    print(f"{mask.__name__}: after reset_parameters weights are as before: {found[-1][0]}, the bias: {found[-1][1]}")
sys.exit(found != [(True, False)] * 2)
P
