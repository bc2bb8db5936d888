#!/usr/bin/env bash
# What:    torchmetrics 1.9.0, BinaryAccuracy on logits (torch 2.13.0 and 2.11.0)
# Guess:   accuracy over a data set does not depend on how it is split into batches.
# Happens: whether numbers are logits or probabilities is decided for each batch: if all of one lie between 0 and 1 they
#          are probabilities, and the threshold is 0.5 instead of logit 0. Small logits in small batches are that often:
#          80% right in batches of ten, 68% in batches of two, 56% one by one.
# Matters: heavily pruned networks have small logits, so the error grows with sparsity, and the smaller last batch of a
#          data set has it alone. Giving torch.sigmoid(logits) is safe.
set -euo pipefail
. "$(dirname "$0")/python.sh" torchmetrics==1.9.0 torch==2.13.0 numpy==2.4.6
"$PY" - <<'P'
import sys
import torch
from torchmetrics.classification import BinaryAccuracy

torch.manual_seed(0)
logits = 0.3 * torch.randn(2000)
labels = (torch.rand(2000) < torch.sigmoid(8 * logits)).int()


def accuracy(given: torch.Tensor, batch: int) -> float:
    metric = BinaryAccuracy()
    for x, y in zip(given.split(batch), labels.split(batch), strict=True):
        metric.update(x, y)
    return round(float(metric.compute()), 3)


by_logits = {batch: accuracy(logits, batch) for batch in (2000, 10, 2, 1)}
by_probabilities = {batch: accuracy(torch.sigmoid(logits), batch) for batch in (2000, 10, 2, 1)}
print(f"accuracy by batch size: of logits {by_logits}, of probabilities {by_probabilities}")
sys.exit(not (by_logits[2000] - by_logits[1] > 0.1 and len(set(by_probabilities.values())) == 1))
P
