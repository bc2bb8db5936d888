"""What is trained and how: an experiment of your own, looked at when it is made."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy

from lth_core.errors import UsageError
from lth_core.own.examples import divided, split_of
from lth_core.own.global_seeds import chance
from lth_core.own.rates import check_pruned
from lth_core.own.state_dicts import brief, named, said
from lth_core.spec import numeric

WHOLE = ("iterations", "batch_size", "eval_every", "at_once", "rewind", "seed")
CALLED = ("model", "optimizer", "loss", "right")


def argmax_is_target(outputs: Tensor, targets: Tensor) -> Tensor:
    """Right answers of a classifier, `(example,)` bool, from `outputs` `(example, class)` and `targets` `(example,)`,
    or `(example, class)` whose highest is the class (one-hot, or probabilities).

    >>> argmax_is_target(torch.tensor([[0.1, 0.9], [0.8, 0.2]]), torch.tensor([1, 1])).tolist()
    [True, False]
    """
    if isinstance(outputs, Tensor) and outputs.dim() > 2 and targets.dim() > 1:
        raise UsageError(
            f"an example has {tuple(targets.shape[1:])} classes: say when it is right, such as "
            "right=lambda outputs, targets: (outputs.argmax(1) == targets).flatten(1).all(1)."
        )
    if not isinstance(outputs, Tensor) or outputs.dim() != 2 or outputs.shape[1] < 2:
        shape = tuple(outputs.shape) if isinstance(outputs, Tensor) else type(outputs).__name__
        raise UsageError(
            f"the model's outputs ({shape}) are not one number a class, so no highest one is the answer: say what is "
            "right, as right=lambda outputs, targets: one bool an example."
        )
    if targets.shape == outputs.shape:
        total = targets.sum(1)
        if bool((targets < 0).any()) or not torch.allclose(total, torch.ones_like(total), atol=1e-3):
            raise UsageError(
                "targets of an example do not add up to 1, so they are neither one-hot nor probabilities: say when it "
                "is right, such as right=lambda outputs, targets: ((outputs > 0) == targets.bool()).all(1)."
            )
        targets = targets.argmax(1)
    return outputs.argmax(1) == targets


class Parameters(list[nn.Parameter]):
    """A module's parameters, as a list to give to an optimizer; `named` has them by name, for groups of your own.

    >>> p = Parameters(torch.nn.Linear(2, 1))
    >>> len(p), list(p.named)
    (2, ['weight', 'bias'])
    """

    def __init__(self, module: nn.Module) -> None:
        self.named = dict(module.named_parameters())
        super().__init__(self.named.values())


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """What is trained and how. Everything random follows from `seed` and the trial.

    - `model()`: a new module with freshly drawn weights; the global generators are seeded before each call
    - `train`, `val`, `test`: `(inputs, targets)`, first axis the example: tensors or arrays, a `TensorDataset`, or a
      `DataLoader`, which is read once. Several inputs are a tuple or a dict. Floating inputs take the module's type.
      Without `val` a tenth of `train` is held out for it
    - `optimizer(parameters)`: a new optimizer, or a list of several; `parameters` is a list, `parameters.named` a dict
    - `schedule(optimizer)`: a new scheduler, or a list of several, stepped each iteration; one that looks at the loss
      (`ReduceLROnPlateau`) is stepped at each evaluation, with the validation loss
    - `rates`: parameter name -> fraction of its surviving weights that a round removes; what is not named stays whole
    - `scope`: "layer" cuts each parameter by its own rate, "global" all together (their rates are then equal)
    - `iterations`: minibatch steps; `eval_every`: steps between evaluations; `rewind`: the step that tickets go back to
    - `loss(outputs, targets)`: mean over the batch, a scalar; `right(outputs, targets)`: `(example,)` bool
    - `before_step(module)`: called when gradients are there and masked, as for `torch.nn.utils.clip_grad_norm_`
    - `at_once`: examples of an evaluation that go through the network together; the loss is of all outputs at once
    """

    model: Callable[[], nn.Module]
    train: Any = field(repr=False)
    val: Any = field(default=None, repr=False)
    test: Any = field(repr=False)
    optimizer: Callable[[Parameters], Any]
    rates: Mapping[str, float]
    iterations: int = 1_000
    batch_size: int = 60
    eval_every: int = 100
    schedule: Callable[[Any], Any] | None = None
    loss: Callable[[Any, Any], Tensor] = functional.cross_entropy
    right: Callable[[Any, Any], Tensor] = argmax_is_target
    before_step: Callable[[nn.Module], Any] | None = None
    scope: str = "layer"
    rewind: int = 0
    seed: int = 0
    device: str = "cpu"
    at_once: int = 2_000

    def __post_init__(self) -> None:
        self._check_kinds()
        module = self._model()
        self._check_rates(dict(module.named_parameters()))
        check_pruned(module, self.rates)
        self._check_lengths()
        floats = {p.dtype for p in module.parameters() if p.is_floating_point()}
        dtype = floats.pop() if len(floats) == 1 else None
        train, test = (split_of(part, getattr(self, part), dtype) for part in ("train", "test"))
        if self.val is None:
            train, val = divided(train, self.seed)
        else:
            val = split_of("val", self.val, dtype)
        for part, split in (("train", train), ("val", val), ("test", test)):
            object.__setattr__(self, part, split)

    def _check_kinds(self) -> None:
        for name in WHOLE:
            value = getattr(self, name)
            if isinstance(value, bool):
                raise UsageError(f"{name} = {value} is not a whole number.")
            number = numeric(name, value, int)
            object.__setattr__(self, name, number)
            if name == "seed" and number < 0:
                raise UsageError(f"seed = {number} must not be negative.")
        for name in CALLED:
            if isinstance(getattr(self, name), nn.Module) and name == "model":
                raise UsageError("model is a module: give a function that makes a new one, as model=lambda: Net().")
            if not callable(getattr(self, name)):
                how = f": give one that makes a new {name}" if name in ("model", "optimizer") else ""
                raise UsageError(f"{name} = {brief(getattr(self, name))} is no function{how}.")
        for name in ("schedule", "before_step"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise UsageError(f"{name} = {brief(getattr(self, name))} is no function: leave it out, or give one.")
        if not isinstance(self.rates, Mapping):
            raise UsageError(
                f"rates = {brief(self.rates)} does not name parameters: give a dict, such as own.rates_of(model())."
            )
        try:
            torch.device(self.device)
        except (RuntimeError, TypeError) as error:
            raise UsageError(f"device = {brief(self.device)} does not exist; allowed: cpu, cuda.") from error
        object.__setattr__(self, "device", str(self.device))

    def _model(self) -> nn.Module:
        """One module, to look at; the caller's own random numbers go on as if there had been none."""
        with chance(self.seed % 2**32):
            try:
                module = self.model()
            except Exception as error:
                raise UsageError(f"model() makes no module ({said(error)}).") from error
        if not isinstance(module, nn.Module):
            raise UsageError(f"model() gives a {type(module).__name__}, and not a torch.nn.Module.")
        if lazy := [n for n, p in module.named_parameters() if is_lazy(p)]:
            raise UsageError(
                f"{named(lazy)} of model() has no shape yet: run one batch through the module in model(), before it "
                "returns it."
            )
        if odd := [n for n, t in (*module.named_parameters(), *module.named_buffers()) if t.is_meta]:
            raise UsageError(f"{named(odd)} of model() has no values (device meta): build it on a device.")
        if not any(True for _ in module.parameters()):
            raise UsageError("model() has no parameters to train (of a quantised network they are packed away).")
        return module

    def _check_rates(self, parameters: Mapping[str, nn.Parameter]) -> None:
        for name, rate in self.rates.items():
            if name not in parameters:
                raise UsageError(f"rates names {name!r}, which the model lacks; allowed: {', '.join(parameters)}.")
            if not 0 <= numeric(f"the rate of {name}", rate, float) < 1:
                raise UsageError(f"the rate of {name} is {rate}: give a fraction in [0, 1), such as 0.2.")
        if self.scope not in ("layer", "global"):
            raise UsageError(f"scope = {self.scope!r} does not exist; allowed: layer, global.")
        if self.scope == "global" and len(set(self.rates.values())) != 1:
            raise UsageError("scope = 'global' makes one cut through all weights: give all of them the same rate.")

    def _check_lengths(self) -> None:
        if min(self.batch_size, self.at_once) < 1:
            raise UsageError(f"batch_size = {self.batch_size} and at_once = {self.at_once}: each must be at least 1.")
        if min(self.iterations, self.eval_every) < 1 or self.iterations % self.eval_every:
            raise UsageError(
                f"iterations = {self.iterations} must be a multiple of eval_every = {self.eval_every}, both at least 1."
            )
        if not 0 <= self.rewind < self.iterations:
            raise UsageError(
                f"rewind = {self.rewind} is not an iteration of the training: give 0 to {self.iterations - 1}."
            )
