"""The dense engine: networks of one cohort trained together by torch, on any device.

Parameters carry a leading network axis; learning rate, weight decay and momentum are per-network columns. The data
lie on the device as uint8 and batches are index tables, so that a step asks nothing of the host; on CUDA the whole step
is captured once in a graph and replayed. The same code runs eagerly on a CPU.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lth_core.data import Dataset
from lth_core.draws import BatchOrder
from lth_core.models import Layer, Network, Trained, layers
from lth_core.spec import Spec, UsageError

Progress = Callable[[str, int], None]
EVALUATE_AT_ONCE = 2_500  # images per network in one evaluation step

# Fields that every row of a cohort shares; everything else is a column.
COHORT = ("dataset", "inputs", "arch", "optimizer", "batch_size", "iterations", "eval_every", "augment", "precision",
          "dropout")  # fmt: skip


def cohort_of(spec: Spec) -> tuple:
    """Rows with equal values train together."""
    return tuple("sgd" if getattr(spec, f) == "momentum" else getattr(spec, f) for f in COHORT)


def learning_rates(spec: Spec) -> np.ndarray:
    """Learning rate of each iteration, `(iteration,)` float64: linear warmup from 0, times 0.1 at each drop."""
    t = np.arange(spec.iterations)
    rates = np.full(spec.iterations, spec.lr)
    if spec.warmup:
        rates *= np.minimum(1.0, (t + 1) / spec.warmup)
    for drop in spec.lr_drops:
        rates[t >= drop] *= 0.1
    return rates


def device_of(name: str) -> torch.device:
    """ "auto" is CUDA where there is one."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name not in ("cpu", "cuda") and not name.startswith("cuda:"):
        raise UsageError(f"device = {name!r} does not exist; allowed: auto, cpu, cuda.")
    if name.startswith("cuda") and not torch.cuda.is_available():
        raise UsageError(f"device = {name!r}, but torch sees no GPU here: use device cpu or auto.")
    return torch.device(name)


def forward(table: Sequence[Layer], weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Logits `(network, image, class)` of images `(network, image, feature)` or `(network, image, channel, y, x)`.

    Convolutions run network by network: grouped convolution was 2.7 times slower on a CPU."""
    for layer in table:
        w, b = weights[layer.weight], weights[layer.bias]
        if layer.role == "conv":
            x = torch.stack([F.conv2d(x[n], w[n], b[n], padding=1) for n in range(len(x))])
        else:
            x = torch.baddbmm(b.unsqueeze(1), x.flatten(2), w.transpose(1, 2))
        if layer.role != "out":
            x = F.relu(x)
        if layer.pool_after:
            x = F.max_pool2d(x.flatten(0, 1), 2).unflatten(0, x.shape[:2])
    return x


class Images:
    """A data set on the device as uint8, handed out as scaled floats."""

    def __init__(self, data: Dataset, inputs: str, device: torch.device) -> None:
        pool = torch.from_numpy(data.pool_images)
        self.mean, self.sd = 0.0, 255.0
        if inputs == "standard":
            self.mean, self.sd = float(data.pool_images.mean()), float(data.pool_images.std())
        self.pool, self.test = pool.to(device), torch.from_numpy(data.test_images).to(device)
        self.pool_labels = torch.from_numpy(data.pool_labels).long().to(device)
        self.test_labels = torch.from_numpy(data.test_labels).long().to(device)

    def take(self, part: str, index: Tensor) -> tuple[Tensor, Tensor]:
        """Images `(network, image, ...)` float32 and labels `(network, image)` of `index` `(network, image)`."""
        images, labels = (self.test, self.test_labels) if part == "test" else (self.pool, self.pool_labels)
        return (images[index].float() - self.mean) / self.sd, labels[index]


class Cohort:
    """The state of networks in training: everything a step reads or writes lies on the device."""

    def __init__(self, networks: Sequence[Network], data: Dataset, device: torch.device) -> None:
        self.specs = [n.spec for n in networks]
        self.spec, self.device = self.specs[0], device
        if len({cohort_of(s) for s in self.specs}) > 1:
            raise ValueError("rows of different cohorts cannot train together")
        self.table = layers(self.spec.arch, self.spec.dataset)
        self.images = Images(data, self.spec.inputs, device)
        stack = lambda name, kind: torch.from_numpy(np.stack([getattr(n, kind)[name] for n in networks])).to(device)  # noqa: E731
        self.weights = {name: stack(name, "weights").requires_grad_() for name in networks[0].weights}
        self.masks = {name: stack(name, "masks") for name in networks[0].masks}
        self.first = {name: torch.zeros_like(w) for name, w in self.weights.items()}  # momentum, or Adam's mean
        self.second = {name: torch.zeros_like(w) for name, w in self.weights.items()} if self.adam else {}
        column = lambda values: torch.tensor(values, dtype=torch.float32, device=device)  # noqa: E731
        self.decay = column([s.weight_decay for s in self.specs])
        self.momentum = column([0.9 if s.optimizer == "momentum" else 0.0 for s in self.specs])
        self.rates = np.stack([learning_rates(s) for s in self.specs], axis=1)
        splits = [data.split(s.seed, s.trial) for s in self.specs]
        self.orders = [BatchOrder(s, train) for s, (train, _) in zip(self.specs, splits, strict=True)]
        index = lambda parts: torch.from_numpy(np.stack(parts)).long().to(device)  # noqa: E731
        self.parts = {
            "train": index([data.sample(s.seed, s.trial) for s in self.specs]),
            "val": index([val for _, val in splits]),
            "test": torch.arange(len(data.test_labels), device=device).expand(len(networks), -1),
        }
        chunk, n = self.spec.eval_every, len(networks)
        self.step_at = torch.zeros(1, dtype=torch.long, device=device)  # iteration within the chunk
        self.order = torch.zeros(chunk, n, self.spec.batch_size, dtype=torch.long, device=device)
        self.step_size = torch.zeros(chunk, n, device=device)
        self.root_correction = torch.ones(chunk, device=device)  # Adam: sqrt(1 - beta2^t)
        self.graph: torch.cuda.CUDAGraph | None = None

    @property
    def adam(self) -> bool:
        return self.spec.optimizer == "adam"

    def fill(self, start: int, stop: int) -> None:
        """Put the batches and step sizes of iterations `start` to `stop` on the device."""
        n, t = stop - start, np.arange(start + 1, stop + 1, dtype=np.float64)
        order = np.stack([o.batches(start, stop) for o in self.orders], axis=1)
        self.order[:n].copy_(torch.from_numpy(order).long())
        rates = self.rates[start:stop]
        if self.adam:  # bias correction in float64: in float32 it drifts the weights by 1e-2 within 50 steps
            rates = rates / (1 - 0.9 ** t[:, None])
            self.root_correction[:n].copy_(torch.from_numpy(np.sqrt(1 - 0.999**t)).float())
        self.step_size[:n].copy_(torch.from_numpy(rates).float())
        self.step_at.zero_()

    def step(self) -> None:
        """One iteration of every network, without asking anything of the host."""
        index = self.order.index_select(0, self.step_at)[0]
        x, y = self.images.take("pool", index)
        logits = forward(self.table, self.weights, x)
        losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape).mean(1)
        gradients = torch.autograd.grad(losses.sum(), list(self.weights.values()))
        rate = self.step_size.index_select(0, self.step_at)[0]
        correction = self.root_correction.index_select(0, self.step_at)
        with torch.no_grad():
            for (name, w), g in zip(self.weights.items(), gradients, strict=True):
                per_network = (-1, *[1] * (w.dim() - 1))
                g = g + self.decay.view(per_network) * w
                if name in self.masks:  # a masked gradient keeps weight, momentum and Adam's state at exactly 0
                    g = g * self.masks[name]
                if self.adam:
                    self.first[name].lerp_(g, 0.1)
                    self.second[name].mul_(0.999).addcmul_(g, g, value=0.001)
                    w.sub_(
                        rate.view(per_network) * self.first[name] / ((self.second[name].sqrt() / correction).add_(1e-8))
                    )
                else:
                    self.first[name].mul_(self.momentum.view(per_network)).add_(g)
                    w.sub_(rate.view(per_network) * self.first[name])
            self.step_at += 1

    def capture(self) -> None:
        """On CUDA, record the whole step as a graph; warming up must not move the networks."""
        state = [*self.weights.values(), *self.first.values(), *self.second.values(), self.step_at]
        saved = [s.detach().clone() for s in state]
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(3):
                self.step()
        torch.cuda.current_stream().wait_stream(side)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self.step()
        with torch.no_grad():
            for s, was in zip(state, saved, strict=True):
                s.copy_(was)

    @torch.no_grad()
    def evaluate(self) -> dict[str, np.ndarray]:
        """Mean loss float32 and right answers int32 of each network on the training sample, validation and test."""
        row: dict[str, np.ndarray] = {}
        for part, index in self.parts.items():
            loss = torch.zeros(len(self.specs), dtype=torch.float64, device=self.device)
            correct = torch.zeros(len(self.specs), dtype=torch.long, device=self.device)
            for piece in index.split(EVALUATE_AT_ONCE, dim=1):
                x, y = self.images.take("test" if part == "test" else "pool", piece)
                logits = forward(self.table, self.weights, x)
                losses = F.cross_entropy(logits.flatten(0, 1), y.flatten(), reduction="none").view(y.shape)
                loss += losses.double().sum(1)
                correct += (logits.argmax(2) == y).sum(1)
            row[f"{part}_loss"] = (loss / index.shape[1]).float().cpu().numpy()
            row[f"{part}_correct"] = correct.int().cpu().numpy()
        return row


def train(
    networks: Sequence[Network],
    data: Dataset,
    *,
    device: str = "auto",
    progress: Progress | None = None,
    stop: Callable[[], bool] | None = None,
) -> Iterator[tuple[int, Trained]]:
    """Train the networks of one cohort together; yields `(index, Trained)` of each once all are done.

    Nothing is yielded if `stop()` turns true between two evaluations."""
    where, began = device_of(device), time.perf_counter()
    cohort = Cohort(networks, data, where)
    spec, rows = cohort.spec, [cohort.evaluate()]
    if where.type == "cuda":
        cohort.fill(0, spec.eval_every)
        cohort.capture()
    for start in range(0, spec.iterations, spec.eval_every):
        if stop and stop():
            return
        cohort.fill(start, start + spec.eval_every)
        for _ in range(spec.eval_every):
            cohort.graph.replay() if cohort.graph else cohort.step()
        rows.append(cohort.evaluate())
        if progress:
            progress(f"{spec.arch}, {len(networks)} networks", spec.eval_every * len(networks))
    weights = {name: w.detach().cpu().numpy() for name, w in cohort.weights.items()}
    seconds = (time.perf_counter() - began) / len(networks)
    for i in range(len(networks)):
        curves = {column: np.array([row[column][i] for row in rows]) for column in rows[0]}
        curves = {"iteration": np.arange(len(rows), dtype=np.int32) * spec.eval_every, **curves}
        yield i, Trained(curves, {n: w[i].copy() for n, w in weights.items()}, seconds, f"dense-{where.type}")
