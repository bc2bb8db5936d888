#!/usr/bin/env bash
# What:    torch 2.13.0 (and 2.11.0), swa_utils.AveragedModel(use_buffers=True) over torch.nn.utils.prune
# Guess:   the average of a network that is pruned further has the network's mask, or at least a mask of zeros and ones:
#          use_buffers is there for the statistics of batch norm.
# Happens: masks are buffers, so they are averaged. A weight cut after one of four averages has the mask 0.25, with an
#          exponential average of decay 0.999 still 0.37 after a thousand steps, and its old value lives on under it.
#          The averaged "ticket" has no zero where the network has half. Without use_buffers masks are copied and right,
#          and the batch norm's statistics belong to other weights.
# Matters: weight averages are the usual way to evaluate networks in gradual pruning; reported accuracies at "95%
#          sparsity" are then those of a dense network.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torch import nn
from torch.nn.utils import prune
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn


def kept(steps, **options):
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(10, 10), nn.BatchNorm1d(10))
    prune.identity(network[0], "weight")
    with torch.no_grad():
        network(torch.randn(5, 10))
        average = AveragedModel(network, **options)
        average.update_parameters(network)
        prune.l1_unstructured(network[0], "weight", 0.5)
        for _ in range(steps):
            average.update_parameters(network)
        average(torch.randn(5, 10))
    values = [round(v, 3) for v in average.module[0].weight_mask.unique().tolist()]
    return values, float((average.module[0].weight != 0).float().mean())


swa = kept(3, use_buffers=True)
ema = kept(1000, use_buffers=True, multi_avg_fn=get_ema_multi_avg_fn(0.999))
copied = kept(3)
for name, (values, share) in {"average": swa, "exponential": ema, "without use_buffers": copied}.items():
    print(f"{name}: values of the mask {values}, share of weights that are not 0: {share}")
sys.exit(not (swa == ([0.25, 1.0], 1.0) and 0.36 < ema[0][0] < 0.38 and copied == ([0.0, 1.0], 0.5)))
P
