"""fasterai: its `Sparsifier`, twice in a training. Its callback saves tickets as whole modules, as is done here."""

from pathlib import Path

import torch
from common import main, net, train
from fasterai.core.criteria import large_final
from fasterai.sparse.sparsifier import Sparsifier
from torch import Tensor, nn


def make(folder: Path, module: nn.Module) -> nn.Module:
    sparsifier = Sparsifier(module, "weight", "local", large_final, layer_type=nn.Linear)
    for level in (0.3, 0.5):
        train(module)
        sparsifier.sparsify_model(level)
    torch.save(module, folder / "theirs.pt")
    return module


def take(given: dict[str, Tensor]) -> nn.Module:
    module = net()
    module.load_state_dict(given)
    return module


main(make, take)
