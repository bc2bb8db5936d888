"""torch.ao.pruning: a sparsifier of single weights, and the file after `squash_mask`, which alone can be loaded."""

from pathlib import Path

import torch
from common import WEIGHTS, main, net, train
from torch import Tensor, nn
from torch.ao.pruning import WeightNormSparsifier


def prepared(module: nn.Module, level: float) -> WeightNormSparsifier:
    made = WeightNormSparsifier(sparsity_level=level, sparse_block_shape=(1, 1), zeros_per_block=1)
    made.prepare(module, [{"tensor_fqn": n} for n in WEIGHTS])
    return made


def make(folder: Path, module: nn.Module) -> nn.Module:
    train(module)
    sparsifier = prepared(module, 0.5)
    sparsifier.step()
    train(module)
    sparsifier.squash_mask()
    torch.save(module.state_dict(), folder / "theirs.pt")
    return module


def take(given: dict[str, Tensor]) -> nn.Module:
    module = net()
    prepared(module, 0.0)
    module.load_state_dict(given, strict=False)  # masks are no part of its state
    for name in WEIGHTS:
        mask = given[f"{name[0]}.parametrizations.weight.0.mask"]
        module[int(name[0])].parametrizations["weight"][0].mask.copy_(mask)
    train(module)  # and on: the masks hold
    module.load_state_dict(given, strict=False)
    return module


main(make, take)
