#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), `torch.sparse.mm(S, x)` and `S @ x` for S = weight.to_sparse() or .to_sparse_csr()
# Guess:   two spellings of one product: equal values, equal gradients.
# Happens: values are equal. Through `@` (and linear) the weight's gradient is that of the dense product; through sparse.mm
#          and sparse.addmm it is 0 at every weight that is 0, without a warning, in both layouts.
# Matters: methods that let pruned weights grow again pick those with the largest gradient. Spelled with sparse.mm all
#          candidates have 0: what grows is what a sort of ties puts first, and the scores of connections that decide
#          pruning before training see the present mask only.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P' 2>/dev/null
import sys

import torch

generator = torch.Generator().manual_seed(0)
mask = torch.rand(60, 50, generator=generator) < 0.2
start = torch.randn(60, 50, generator=generator) * mask
x, nothing = torch.randn(50, 30, generator=generator), torch.zeros(60, 30)
spellings = {
    "COO @": lambda w: w.to_sparse() @ x,
    "CSR @": lambda w: w.to_sparse_csr() @ x,
    "linear": lambda w: torch.nn.functional.linear(x.T, w.to_sparse_csr()).T,
    "COO sparse.mm": lambda w: torch.sparse.mm(w.to_sparse(), x),
    "CSR sparse.mm": lambda w: torch.sparse.mm(w.to_sparse_csr(), x),
    "COO sparse.addmm": lambda w: torch.sparse.addmm(nothing, w.to_sparse(), x),
}


def gradient(product):
    weight = start.clone().requires_grad_()
    made = product(weight)
    made.square().sum().backward()
    return made.detach(), weight.grad.to_dense() if weight.grad.is_sparse else weight.grad


value, dense = gradient(lambda w: w @ x)
seen = {}
for name, product in spellings.items():
    made, grad = gradient(product)
    right = torch.allclose(made, value, atol=1e-4) and torch.allclose(grad[mask], dense[mask], atol=1e-3, rtol=1e-4)
    pruned = "dense" if torch.allclose(grad, dense, atol=1e-3, rtol=1e-4) else "zero" if not grad[~mask].any() else "other"
    seen[name] = right, pruned
    print(f"{name}: values and gradients of kept weights right: {right}; gradients of pruned weights: {pruned}")
sys.exit(list(seen.values()) != [(True, "dense")] * 3 + [(True, "zero")] * 3)
P
