"""torch.nn.utils.prune: two global cuts in a training."""

from pathlib import Path

import torch
from common import main, net, train
from torch import Tensor, nn
from torch.nn.utils import prune


def make(folder: Path, module: nn.Module) -> nn.Module:
    for _ in range(2):
        train(module)
        layers = [(module[0], "weight"), (module[2], "weight")]
        prune.global_unstructured(layers, pruning_method=prune.L1Unstructured, amount=0.3)
    train(module)
    torch.save(module.state_dict(), folder / "theirs.pt")
    return module


def take(given: dict[str, Tensor]) -> nn.Module:
    module = net()
    for layer in (module[0], module[2]):
        prune.identity(layer, "weight")
    module.load_state_dict(given)
    return module


main(make, take)
