#!/usr/bin/env bash
# What:    fvcore 0.1.5.post20221221 (FlopCountAnalysis) and ptflops 0.7.5 beside torchinfo 1.8.0 with torch 2.13.0, on a
#          network with batch norm and dropout that is being trained
# Guess:   counting the operations of a network reads it, and leaves it as it was.
# Happens: fvcore runs it in training mode: the statistics of batch norm move towards the example input, and dropout takes
#          numbers from torch's global generator. ptflops leaves the network in evaluation mode. torchinfo, given a
#          batch, leaves all as it was.
# Matters: operations are reported for every ticket, and often counted between its cut and its training. It is then not
#          the network that was saved, and trains with other dropout; or without any, and with batch norm fixed, until
#          something calls `train()` again. Its control was not counted. Count on a copy in evaluation mode:
#          `copy.deepcopy(network).eval()`.
set -euo pipefail
. "$(dirname "$0")/python.sh" fvcore==0.1.5.post20221221 ptflops==0.7.5 torchinfo==1.8.0 torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import contextlib
import copy
import io
import logging
import sys
import warnings

import ptflops
import torch
import torchinfo
from fvcore.nn import FlopCountAnalysis
from torch import nn

warnings.simplefilter("ignore")
logging.disable(logging.WARNING)
x = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def after(count):
    """Entries of the state dict that changed, whether it is still in training mode, and whether numbers were drawn."""
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Dropout(), nn.Flatten(), nn.Linear(288, 10)
    ).train()
    start, generator = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    with contextlib.redirect_stdout(io.StringIO()):
        count(network)
    now = network.state_dict()
    changed = [k for k, v in start.items() if not torch.equal(v, now[k])]
    return changed, all(m.training for m in network.modules()), not torch.equal(generator, torch.get_rng_state())


counts = {
    "fvcore": lambda n: FlopCountAnalysis(n, x).total(),
    "fvcore, a copy": lambda n: FlopCountAnalysis(copy.deepcopy(n).eval(), x).total(),
    "ptflops": lambda n: ptflops.get_model_complexity_info(n, (3, 8, 8), as_strings=False, print_per_layer_stat=False),
    "torchinfo": lambda n: torchinfo.summary(n, input_data=x, verbose=0),
}
found = {name: after(count) for name, count in counts.items()}
for name, (changed, training, drew) in found.items():
    print(f"{name}: changed {changed}, still in training mode {training}, numbers drawn {drew}")
statistics, same = ["1.running_mean", "1.running_var", "1.num_batches_tracked"], ([], True, False)
expected = (statistics, True, True), same, ([], False, False), same
sys.exit(tuple(found.values()) != expected)
P
