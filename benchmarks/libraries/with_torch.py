"""LeNet-300-100 for the libraries that prune a torch module: the module, its data, and its arrays."""

from __future__ import annotations

import measured
import numpy as np
import torch
from torch import nn
from torch.nn import functional
from torch.utils.data import BatchSampler, DataLoader, RandomSampler, TensorDataset

torch.set_num_threads(1)


class LeNet(nn.Module):
    def __init__(self, initial: dict[str, np.ndarray]) -> None:
        super().__init__()
        self.fc1, self.fc2, self.out = nn.Linear(784, 300), nn.Linear(300, 100), nn.Linear(100, 10)
        self.load_state_dict({n: torch.tensor(x) for n, x in initial.items()})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(functional.relu(self.fc2(functional.relu(self.fc1(x)))))


def dataset(images: np.ndarray, labels: np.ndarray) -> TensorDataset:
    return TensorDataset(torch.from_numpy(images), torch.from_numpy(labels))


def loader(given: measured.Given, trial: int) -> DataLoader:
    """55,000 images in batches of 60, shuffled each epoch; a batch is read at once."""
    torch.manual_seed(trial)
    images = dataset(*given.train(trial))
    order = BatchSampler(RandomSampler(images), measured.BATCH, drop_last=False)
    return DataLoader(images, batch_size=None, sampler=order)


def arrays(tensors: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    return {n: x.detach().numpy().copy() for n, x in tensors.items()}


def optimizer_steps(optimizer: torch.optim.Optimizer) -> int:
    """Steps that an Adam remembers: 0 if it is new."""
    return max((int(s["step"]) for s in optimizer.state.values() if "step" in s), default=0)


def train(module: nn.Module, batches: DataLoader, optimizer: torch.optim.Optimizer) -> None:
    """A round of the plain loop."""
    for _ in range(measured.EPOCHS):
        for images, labels in batches:
            optimizer.zero_grad()
            functional.cross_entropy(module(images), labels).backward()
            optimizer.step()
