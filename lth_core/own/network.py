"""One network of any kind, trained under its mask in a plain torch loop: `own` repeats it over rounds and trials."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from lth_core.data import SAMPLE
from lth_core.draws import generator
from lth_core.errors import UsageError
from lth_core.spec import numeric

State = dict[str, Tensor]  # a module's state dict: parameters and buffers by name
Masks = dict[str, Tensor]  # parameter name -> bool of its shape, True = kept
Split = tuple[Tensor, Tensor]  # inputs (example, ...) and targets (example, ...)
AT_ONCE = 2_000  # examples of an evaluation that go through the network together


def argmax_is_target(outputs: Tensor, targets: Tensor) -> Tensor:
    """Right answers of a classifier, `(example,)` bool, from `outputs` `(example, class)` and `targets` `(example,)`.

    >>> argmax_is_target(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1])).tolist()
    [True, False]
    """
    return outputs.argmax(1) == targets


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained and how. Everything random follows from `seed` and the trial.

    - `model()`: a new module with freshly drawn weights; torch's generator is seeded before each call
    - `train`, `val`, `test`: `(inputs, targets)`, first axis the example
    - `optimizer(parameters)`: a new optimizer; `schedule(optimizer)`: a new scheduler, stepped each iteration
    - `rates`: parameter name -> fraction of its surviving weights that a round removes; what is not named stays whole
    - `scope`: "layer" cuts each parameter by its own rate, "global" all together (their rates are then equal)
    - `iterations`: minibatch steps; `eval_every`: steps between evaluations; `rewind`: the step that tickets go back to
    - `loss(outputs, targets)`: mean over the batch, a scalar; `right(outputs, targets)`: `(example,)` bool
    """

    model: Callable[[], nn.Module]
    train: Split
    val: Split
    test: Split
    optimizer: Callable[[Iterable[nn.Parameter]], Optimizer]
    rates: Mapping[str, float]
    iterations: int = 1_000
    batch_size: int = 60
    eval_every: int = 100
    schedule: Callable[[Optimizer], Any] | None = None
    loss: Callable[[Tensor, Tensor], Tensor] = functional.cross_entropy
    right: Callable[[Tensor, Tensor], Tensor] = argmax_is_target
    scope: str = "layer"
    rewind: int = 0
    seed: int = 0
    device: str = "cpu"

    def __post_init__(self) -> None:
        parameters = dict(self.model().named_parameters())
        for name, rate in self.rates.items():
            if name not in parameters:
                raise UsageError(f"rates names {name!r}, which the model lacks; allowed: {', '.join(parameters)}.")
            if not 0 <= numeric(f"the rate of {name}", rate, float) < 1:
                raise UsageError(f"the rate of {name} is {rate}: give a fraction in [0, 1), such as 0.2.")
        if self.scope not in ("layer", "global"):
            raise UsageError(f"scope = {self.scope!r} does not exist; allowed: layer, global.")
        if self.scope == "global" and len(set(self.rates.values())) != 1:
            raise UsageError("scope = 'global' makes one cut through all weights: give all of them the same rate.")
        if min(self.iterations, self.batch_size, self.eval_every) < 1 or self.iterations % self.eval_every:
            raise UsageError(
                f"iterations = {self.iterations} must be a multiple of eval_every = {self.eval_every}, both at least 1."
            )
        if not 0 <= self.rewind < self.iterations:
            raise UsageError(
                f"rewind = {self.rewind} is not an iteration of the training: give 0 to {self.iterations - 1}."
            )
        for part in ("train", "val", "test"):
            inputs, targets = getattr(self, part)
            if len(inputs) != len(targets) or len(inputs) == 0:
                raise UsageError(f"{part} has {len(inputs)} inputs and {len(targets)} targets: give one of each.")


@dataclass(frozen=True)
class Ticket:
    """A mask with the weights to start from: `weights` is a whole state dict, 0 where `masks` is False.

    >>> layer = torch.nn.Linear(2, 1)
    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]]), "bias": torch.zeros(1)},
    ...                 {"weight": torch.tensor([[False, True]])})
    >>> ticket.into(layer).weight.tolist()
    [[0.0, 2.0]]
    """

    weights: State
    masks: Masks

    def into(self, module: nn.Module) -> nn.Module:
        """`module` with the ticket's weights; to train it, hold its masks too (`hold`, or `torch.nn.utils.prune`)."""
        module.load_state_dict(self.weights)
        with torch.no_grad():  # a tied weight is loaded by each of its names, of which the masked one has to be last
            for name, p in module.named_parameters(remove_duplicate=False):
                if name in self.masks:
                    p.copy_(self.weights[name])
        hold(module, self.masks)
        return module

    def save(self, file: str | Path) -> None:
        """One safetensors file in the layout of `python -m lth_core export`: each entry of the state dict by its name,
        and NAME.mask (bool) beside what is pruned."""
        tensors = {**self.weights, **{f"{n}.mask": m for n, m in self.masks.items()}}
        save_file({n: t.detach().cpu().contiguous() for n, t in tensors.items()}, file, {"format": "lth-own-ticket-1"})


def load(file: str | Path) -> Ticket:
    """A ticket that `Ticket.save` or `python -m lth_core export` wrote (trained weights, if any, are left out).

    >>> ticket = Ticket({"weight": torch.tensor([[0.0, 2.0]])}, {"weight": torch.tensor([[False, True]])})
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ticket.save(pathlib.Path(folder) / "own.safetensors")
    ...     load(pathlib.Path(folder) / "own.safetensors").masks
    {'weight': tensor([[False,  True]])}
    """
    try:
        tensors = load_file(file)
    except (SafetensorError, OSError) as error:
        raise UsageError(f"{file} cannot be read as safetensors ({error}): save the ticket again.") from error
    # X.mask belongs to a tensor X; where there is none it is the module's own, as a causal mask's buffer is.
    beside = [n for n in tensors if n.endswith((".mask", ".trained")) and n.rpartition(".")[0] in tensors]
    masks = {n.removesuffix(".mask"): tensors[n].bool() for n in beside if n.endswith(".mask")}
    weights = {n: t for n, t in tensors.items() if n not in beside}
    for name, mask in masks.items():
        if name not in weights or weights[name].shape != mask.shape:
            raise UsageError(f"{file} has a mask for {name} and no weights of its shape: save the ticket again.")
        if weights[name][~mask].any():
            raise UsageError(f"{file}: {name} is not 0 where its mask prunes it: save the ticket again.")
    return Ticket(weights, masks)


def masked(weights: State, masks: Masks) -> State:
    """A copy of a state dict that is exactly 0 where `masks` is False.

    >>> masked({"weight": torch.ones(2)}, {"weight": torch.tensor([True, False])})["weight"].tolist()
    [1.0, 0.0]
    """
    return {n: w.masked_fill(~masks[n], 0) if n in masks else w.clone() for n, w in weights.items()}


@torch.no_grad()
def hold(module: nn.Module, masks: Masks, *, gradients: bool = False) -> None:
    """Set what is masked to exactly 0, in place: of the gradients before an optimizer's step, so that it gathers no
    momentum for weights that are gone, or of the weights after it, so that none of them comes back.

    >>> layer = torch.nn.Linear(2, 1)
    >>> hold(layer, {"weight": torch.tensor([[False, True]])})
    >>> layer.weight[0, 0].item()
    0.0
    """
    for name, p in module.named_parameters(remove_duplicate=False):  # a tied one by each of its names
        if name in masks:
            values = p.grad if gradients else p
            if values is not None:
                pruned = ~masks[name].to(values.device)
                values.masked_fill_(pruned, 0)  # not a product: that leaves -0 and, of a NaN, a NaN


def seeded(experiment: Experiment, *key: int | str) -> int:
    """A seed for torch's generator that depends on the experiment's seed and `key` alone."""
    return int(generator(experiment.seed, "own", *key).integers(2**31))


def drawn(experiment: Experiment, *key: int | str) -> State:
    """The weights of a new model, drawn for `key`, on the CPU."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seeded(experiment, *key))
        return {n: w.detach().clone() for n, w in experiment.model().state_dict().items()}


@dataclass(frozen=True)
class Trained:
    """A trained network: `curves` (column -> one value an evaluation), `weights`, and those at iteration `rewind`."""

    curves: dict[str, list[float]]
    weights: State
    rewound: State


def batches(n: int, size: int, steps: int, rng: np.random.Generator) -> Iterator[Tensor]:
    """Indices of `steps` minibatches `(size,)`: examples reshuffled each epoch, epochs joined end to end.

    >>> [len(b) for b in batches(5, 3, 4, np.random.default_rng(0))]
    [3, 3, 3, 3]
    """
    stream = np.empty(0, np.int64)
    for _ in range(steps):
        while len(stream) < size:
            stream = np.concatenate([stream, rng.permutation(n)])
        yield torch.from_numpy(stream[:size])
        stream = stream[size:]


def train(experiment: Experiment, ticket: Ticket, key: tuple[int | str, ...] = (0, "ticket", 0, 0)) -> Trained:
    """Train one network to the end; its batches and whatever its module draws (dropout) follow from `key` alone."""
    e, where = experiment, torch.device(experiment.device)
    with torch.random.fork_rng(devices=[where] if where.type == "cuda" else []):
        torch.manual_seed(seeded(e, *key, "train"))
        module = ticket.into(e.model()).to(where)
        masks = {n: m.to(where) for n, m in ticket.masks.items()}
        inputs, targets = (t.to(where) for t in e.train)
        optimizer = e.optimizer(module.parameters())
        schedule = e.schedule(optimizer) if e.schedule else None
        curves: dict[str, list[float]] = {}
        rewound = module_state(module)
        evaluate(e, module, 0, curves)
        order = batches(len(inputs), e.batch_size, e.iterations, generator(e.seed, "own", *key, "order"))
        for iteration, batch in enumerate(order, 1):
            optimizer.zero_grad()
            batch = batch.to(where)
            e.loss(module(inputs[batch]), targets[batch]).backward()
            hold(module, masks, gradients=True)
            optimizer.step()
            hold(module, masks)
            if schedule:
                schedule.step()
            if iteration == e.rewind:
                rewound = module_state(module)
            if iteration % e.eval_every == 0:
                evaluate(e, module, iteration, curves)
    return Trained(curves, module_state(module), rewound)


def module_state(module: nn.Module) -> State:
    """A copy on the CPU: a state dict itself holds references, and going back to those changes nothing."""
    return {n: w.detach().cpu().clone() for n, w in module.state_dict().items()}


@torch.no_grad()
def evaluate(experiment: Experiment, module: nn.Module, iteration: int, curves: dict[str, list[float]]) -> None:
    """Append one evaluation to `curves`: mean loss and right answers on a fixed sample of train, on val and on test."""
    training = module.training
    module.eval()
    curves.setdefault("iteration", []).append(iteration)
    for part, (inputs, targets) in parts(experiment).items():
        loss, right = 0.0, 0
        for x, y in zip(inputs.split(AT_ONCE), targets.split(AT_ONCE), strict=True):
            x, y = x.to(experiment.device), y.to(experiment.device)
            outputs = module(x)
            loss += float(experiment.loss(outputs, y)) * len(x)
            right += int(experiment.right(outputs, y).sum())
        curves.setdefault(f"{part}_loss", []).append(loss / len(inputs))
        curves.setdefault(f"{part}_correct", []).append(right)
    module.train(training)


def parts(experiment: Experiment) -> dict[str, Split]:
    """What is evaluated: the first so many training examples, all of validation and test."""
    inputs, targets = experiment.train
    return {"train": (inputs[:SAMPLE], targets[:SAMPLE]), "val": experiment.val, "test": experiment.test}
