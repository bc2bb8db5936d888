"""kd-lib: its `LotteryTicketsPruner`, which saves a state dict with zeros after each round."""

import contextlib
import io
import os
from pathlib import Path

import torch
from common import loader, main, net
from KD_Lib.Pruning import LotteryTicketsPruner
from torch import Tensor, nn


def make(folder: Path, module: nn.Module) -> nn.Module:
    os.chdir(folder)
    pruner = LotteryTicketsPruner(module, loader(), loader())
    with contextlib.redirect_stdout(io.StringIO()):
        pruner.prune(num_iterations=3, train_epochs=2, save_models=True, prune_percent=30)
    state = torch.load(folder / "pruned_model_iteration_2.pt")
    (folder / "pruned_model_iteration_2.pt").rename(folder / "theirs.pt")
    module.load_state_dict(state)
    return module


def take(given: dict[str, Tensor]) -> nn.Module:
    module = net()
    module.load_state_dict(given)
    before = {n: w == 0 for n, w in module.state_dict().items()}
    with contextlib.redirect_stdout(io.StringIO()):
        LotteryTicketsPruner(module, loader(), loader()).train_model()  # it holds what is 0
    assert all(not w[before[n]].any() for n, w in module.state_dict().items() if n.endswith("weight"))
    module.load_state_dict(given)
    return module


main(make, take)
