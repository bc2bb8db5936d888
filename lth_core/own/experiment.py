"""What is trained and how: an experiment of your own, looked at when it is made."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn import functional
from torch.optim import Optimizer

from lth_core.errors import UsageError
from lth_core.spec import numeric

Split = tuple[Tensor, Tensor]  # inputs (example, ...) and targets (example, ...)


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
