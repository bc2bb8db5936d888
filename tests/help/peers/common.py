"""What the scripts beside this file have in common. They run in a process without `lth_core`, with another library:

python NAME.py make FOLDER    prunes a small network as that library does; leaves its own file, and beside it
                              initial.pt, and made.pt: outputs and masks as the library itself had them
python NAME.py take FOLDER    loads given.pt in that library's way; leaves outputs and masks as taken.pt
"""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

torch.set_num_threads(1)
WEIGHTS = ("0.weight", "2.weight")


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def numbers() -> tuple[Tensor, Tensor]:
    x = torch.randn(64, 6, generator=torch.Generator().manual_seed(1))
    return x, (x[:, :3] ** 2).argmax(1)


def loader() -> torch.utils.data.DataLoader:
    return torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*numbers()), batch_size=16)


def train(module: nn.Module, steps: int = 8) -> None:
    optimizer = torch.optim.Adam(module.parameters(), lr=0.01)
    x, y = numbers()
    for _ in range(steps):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()


def effective(module: nn.Module) -> dict[str, Tensor]:
    """Weights as the network computes with them."""
    module(numbers()[0])  # torch.nn.utils.prune multiplies when a layer is called
    return {n: module[int(n[0])].weight.detach().clone() for n in WEIGHTS}


def left(module: nn.Module) -> dict[str, object]:
    """A network's outputs, and where its weights are not 0."""
    with torch.no_grad():
        return {"outputs": module(numbers()[0]), "masks": {n: w != 0 for n, w in effective(module).items()}}


def main(make: Callable[[Path, nn.Module], nn.Module], take: Callable[[dict[str, Tensor]], nn.Module]) -> None:
    what, folder = sys.argv[1], Path(sys.argv[2])
    if what == "make":
        module = net()
        torch.save(copy.deepcopy(module.state_dict()), folder / "initial.pt")
        torch.save(left(make(folder, module)), folder / "made.pt")
    else:
        torch.save(left(take(torch.load(folder / "given.pt"))), folder / "taken.pt")
