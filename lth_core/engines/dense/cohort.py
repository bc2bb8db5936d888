"""The state of networks that torch trains together, and one step of them: no host is asked within it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lth_core.data import Dataset
from lth_core.draws import BatchOrder, generator
from lth_core.engines.dense.forward import forward
from lth_core.engines.dense.images import Images, keyed_uniform
from lth_core.models import MEASURED, Network, layers
from lth_core.spec import Spec, learning_rates
from lth_core.store.checkpoint import Halfway

EVALUATE_AT_ONCE = {"cpu": 500, "cuda": 2_500}  # images per network in one step; a CPU's caches hold few activations
PIECE = 1 << 18  # parameters that an optimizer on a CPU moves at once: what it reads and writes of them stays in caches

# Fields that every row of a cohort shares; everything else is a column.
COHORT = ("dataset", "inputs", "arch", "optimizer", "batch_size", "iterations", "eval_every", "augment", "precision",
          "dropout")  # fmt: skip


def cohort_of(spec: Spec) -> tuple[Any, ...]:
    """Rows with equal values train together."""
    return tuple("sgd" if getattr(spec, f) == "momentum" else getattr(spec, f) for f in COHORT)


class Cohort:
    """The state of networks in training: all that a step reads or writes lies on the device.

    - `flat`, `first`, `second`: `(network, parameter)` parameters, momentum (Adam's mean), Adam's second moment
    - `mask`: `(network, parameter)` 1 = kept; 1 for biases
    - `record`: `(evaluation, column, network)` float64, filled as training goes on
    """

    def __init__(self, networks: Sequence[Network], data: Dataset, device: torch.device) -> None:
        self.specs = [n.spec for n in networks]
        self.spec, self.device = self.specs[0], device
        if len({cohort_of(s) for s in self.specs}) > 1:
            raise ValueError("rows of different cohorts cannot train together")
        self.table = layers(self.spec.arch, self.spec.dataset)
        self.images = Images(data, self.spec.inputs, device)
        remembered = [name for layer in self.table for name in layer.statistics]
        shapes = {name: w.shape for name, w in networks[0].weights.items() if name not in remembered}
        self.flat = _flat([n.weights for n in networks], shapes).to(device)
        kept = [{name: n.masks.get(name, np.ones(shape, bool)) for name, shape in shapes.items()} for n in networks]
        self.mask = _flat(kept, shapes).to(device)
        self.weights: dict[str, Tensor] = {}
        at = 0
        for name, shape in shapes.items():
            size = int(np.prod(shape))
            self.weights[name] = self.flat[:, at : at + size].view(-1, *shape).detach().requires_grad_()
            at += size
        self.statistics = {
            name: torch.from_numpy(np.stack([n.weights[name] for n in networks])).to(device) for name in remembered
        }
        self.weights |= self.statistics
        self.trained = [self.weights[name] for name in shapes]
        size = self.flat.shape[1]
        piece = max(1, PIECE // len(networks)) if device.type == "cpu" else size
        self.pieces = [slice(i, i + piece) for i in range(0, size, piece)]
        self.adam = self.spec.optimizer == "adam"
        self.first = torch.zeros_like(self.flat)
        self.second = torch.zeros_like(self.flat if self.adam else self.flat[:, :0])

        def column(values: list[float]) -> Tensor:
            return torch.tensor(values, dtype=torch.float32, device=device).unsqueeze(1)

        self.decay = column([s.weight_decay for s in self.specs])
        self.decays = any(s.weight_decay for s in self.specs)
        self.momentum = column([0.9 if s.optimizer == "momentum" else 0.0 for s in self.specs])
        self.rates = np.stack([learning_rates(s) for s in self.specs], axis=1)
        splits = [data.split(s.seed, s.trial) for s in self.specs]
        self.orders = [BatchOrder(s, train) for s, (train, _) in zip(self.specs, splits, strict=True)]
        samples = [data.sample(s.seed, s.trial) for s in self.specs]
        self.parts = {
            "train": torch.from_numpy(np.stack(samples)).long().to(device),
            "val": torch.from_numpy(np.stack([val for _, val in splits])).long().to(device),
            "test": torch.arange(len(data.test_labels), device=device).expand(len(networks), -1),
        }
        self.dropped, self.augmented = (
            torch.tensor(
                [generator(s.seed, s.trial, what, s.round, s.arm, s.replicate).integers(2**62) for s in self.specs],
                device=device,
            )
            for what in ("dropout", "augment")
        )
        chunk, n = self.spec.eval_every, len(networks)
        self.iteration = torch.zeros(1, dtype=torch.long, device=device)
        self.step_at = torch.zeros(1, dtype=torch.long, device=device)  # iteration within the chunk
        self.order = torch.zeros(chunk, n, self.spec.batch_size, dtype=torch.int32, device=device)
        self.step_size = torch.zeros(chunk, n, device=device)
        self.root_correction = torch.ones(chunk, device=device)  # Adam: sqrt(1 - beta2^t)
        self.evaluation = torch.zeros(1, dtype=torch.long, device=device)
        self.record = torch.zeros(self.spec.evaluations, len(MEASURED), n, dtype=torch.float64, device=device)

    def chunk(self, start: int) -> dict[str, Tensor]:
        """Batches and step sizes of the iterations from `start` to the next evaluation, on the host."""
        stop = start + self.spec.eval_every
        order = np.stack([o.batches(start, stop) for o in self.orders], axis=1)
        rates, t = self.rates[start:stop], np.arange(start + 1, stop + 1, dtype=np.float64)
        correction = np.ones(len(t))
        if self.adam:  # bias correction in float64: in float32 it drifts the weights by 1e-2 within 50 steps
            rates, correction = rates / (1 - 0.9 ** t[:, None]), np.sqrt(1 - 0.999**t)
        made = {"order": order, "step_size": rates.astype(np.float32), "root_correction": correction.astype(np.float32)}
        return {name: torch.from_numpy(values) for name, values in made.items()}

    def load(self, chunk: dict[str, Tensor]) -> None:
        for name, values in chunk.items():
            getattr(self, name).copy_(values)
        self.step_at.zero_()

    def autocast(self) -> torch.autocast:
        """bf16 products with fp32 parameters where the spec says so."""
        lower = self.spec.precision == "bf16"  # no cache: a graph must not hold weights that were cast outside of it
        return torch.autocast(self.device.type, torch.bfloat16, enabled=lower, cache_enabled=False)

    def drop(self, x: Tensor, layer: int) -> Tensor:
        draws = keyed_uniform(self.dropped + layer, self.iteration, x[0].numel()).view(x.shape)
        return x * (draws >= int(self.spec.dropout * 2**24)) / (1 - self.spec.dropout)

    def step(self) -> None:
        """One iteration of every network, without asking anything of the host."""
        index = self.order.index_select(0, self.step_at)[0].long()
        if self.spec.augment == "none":
            x, y = self.images.take("pool", index)
        else:
            draws = keyed_uniform(self.augmented, self.iteration, index[0].numel() * 3)
            x, y = self.images.augmented(index, draws.view(*index.shape, 3))
        with self.autocast():
            logits = forward(self.table, self.weights, x, self.drop if self.spec.dropout else None, training=True)
        losses = F.cross_entropy(logits.float().flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
        gradients = torch.autograd.grad(losses.sum(), self.trained)
        rate = self.step_size.index_select(0, self.step_at)[0].unsqueeze(1)
        with torch.no_grad():
            g = torch.cat([part.flatten(1) for part in gradients], dim=1)
            correction = self.root_correction.index_select(0, self.step_at)
            for some in self.pieces:
                self.update(some, g[:, some], rate, correction)
            self.step_at += 1
            self.iteration += 1

    def update(self, some: slice, g: Tensor, rate: Tensor, correction: Tensor) -> None:
        """The optimizer's step of some parameters, from their gradients `(network, parameter)`, which it overwrites."""
        flat, first, second = self.flat[:, some], self.first[:, some], self.second[:, some]
        if self.decays:
            g += self.decay * flat
        g *= self.mask[:, some]  # a masked gradient keeps weight, momentum and Adam's state at exactly 0
        if self.adam:
            first.lerp_(g, 0.1)
            second.mul_(0.999).addcmul_(g, g, value=0.001)
            flat -= (first / (second.sqrt() / correction).add_(1e-8)).mul_(rate)
        else:
            first.mul_(self.momentum).add_(g)
            flat -= first * rate

    @torch.no_grad()
    def evaluate(self) -> None:
        """Add a row to `record`: loss and right answers of each network on the training sample, validation and test."""
        row = []
        for part, index in self.parts.items():
            loss = torch.zeros(len(self.specs), dtype=torch.float64, device=self.device)
            correct = torch.zeros_like(loss)
            for piece in index.split(EVALUATE_AT_ONCE[self.device.type], dim=1):
                x, y = self.images.take("test" if part == "test" else "pool", piece)
                with self.autocast():
                    logits = forward(self.table, self.weights, x).float()
                loss += (
                    F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).double().sum(1)
                )
                correct += (logits.argmax(2) == y).sum(1)
            row += [loss / index.shape[1], correct]
        self.record.index_copy_(0, self.evaluation, torch.stack(row).unsqueeze(0))
        self.evaluation += 1

    def state(self) -> list[Tensor]:
        """Everything that training changes."""
        moved = [self.flat, self.first, self.second, *self.statistics.values()]
        return [*moved, self.iteration, self.step_at, self.evaluation, self.record]

    def rows(self) -> dict[str, Tensor]:
        """Of what training changes, the tensors with a row per network."""
        return {"flat": self.flat, "first": self.first, "second": self.second, **self.statistics}

    def halfway(self, i: int, iteration: int, seconds: float) -> Halfway:
        """What network `i` needs to go on after `iteration` steps, which took `seconds`."""
        arrays = {name: tensor[i].cpu().numpy() for name, tensor in self.rows().items()}
        done = iteration // self.spec.eval_every + 1
        return Halfway(iteration, {**arrays, "record": self.record[:done, :, i].cpu().numpy()}, seconds)

    @torch.no_grad()
    def restore(self, halves: Sequence[Halfway]) -> None:
        """Put all networks where they stopped, which has to be the same iteration."""
        (iteration,) = {h.iteration for h in halves}
        for i, half in enumerate(halves):
            for name, tensor in self.rows().items():
                tensor[i].copy_(torch.from_numpy(half.arrays[name]))
            self.record[: len(half.arrays["record"]), :, i].copy_(torch.from_numpy(half.arrays["record"]))
        self.iteration.fill_(iteration)
        self.evaluation.fill_(iteration // self.spec.eval_every + 1)

    def captured(self, work: Callable[[], None]) -> Callable[[], None]:
        """On CUDA `work` as a graph to replay, recorded without moving the networks; elsewhere `work` itself."""
        if self.device.type != "cuda":
            return work
        saved = [s.clone() for s in self.state()]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                work()
                self.step_at.zero_()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
        for s, was in zip(self.state(), saved, strict=True):
            s.copy_(was)
        return graph.replay

    def curves(self, i: int) -> dict[str, np.ndarray]:
        """The evaluations of network `i` as columns."""
        made: dict[str, np.ndarray] = {"iteration": np.arange(len(self.record), dtype=np.int32) * self.spec.eval_every}
        for column, values in zip(MEASURED, self.record[:, :, i].cpu().numpy().T, strict=True):
            made[column] = values.astype(np.float32 if column.endswith("loss") else np.int32)
        return made


def _flat(tables: Sequence[dict[str, np.ndarray]], shapes: dict[str, tuple[int, ...]]) -> Tensor:
    """Named arrays of each network end to end: `(network, parameter)` float32."""
    return torch.from_numpy(np.stack([np.concatenate([t[name].ravel() for name in shapes]) for t in tables])).float()
