"""What would go wrong in silence, looked for on a few examples before anything is trained."""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lth_core.errors import UsageError
from lth_core.own.chance import chance
from lth_core.own.examples import Several, count, joined, leaves, pick, put, through
from lth_core.own.experiment import Experiment
from lth_core.own.initial import built, seeded
from lth_core.own.states import named, said

LOOKED_AT = 64  # examples


def check_experiment(experiment: Experiment) -> None:
    """Try the model, the loss and `right` of an experiment on a few examples of each part; whatever would train or
    count another thing than was meant is a `UsageError`. (Optimizers are looked at when they are made.)"""
    check_device(experiment.device)
    with chance(seeded(experiment, "look"), experiment.device):
        module = built(experiment, 0, "init").to(experiment.device)
        module.eval()  # a look moves no running statistics
        for part in ("train", "val", "test"):
            _check_loss(experiment, module, part)


def check_device(device: str) -> None:
    """Refuse a device that this machine does not have."""
    try:
        torch.zeros(1, device=device).item()
    except (RuntimeError, AssertionError, NotImplementedError) as error:  # the second where torch is without CUDA
        what = "GPU" if device == "cuda" else "such device"
        raise UsageError(f"device = {device!r}, but torch sees no {what} here: use device cpu.") from error


def check_answers(right: Any, n: int) -> Tensor:
    """What `right` gives for `n` examples: one bool each, so that an accuracy is a fraction."""
    if isinstance(right, Tensor) and right.dtype == torch.bool and right.shape in ((n,), (n, 1)):
        return right
    what = f"{right.dtype} of shape {tuple(right.shape)}" if isinstance(right, Tensor) else type(right).__name__
    raise UsageError(
        f"right(outputs, targets) gives {what} for {n} examples: give one bool an example, such as "
        "right=lambda outputs, targets: (outputs > 0).flatten() == targets.flatten().bool() for a single output, or "
        ".all(1) where an example has several answers."
    )


def _check_loss(experiment: Experiment, module: nn.Module, part: str) -> None:
    inputs, targets = getattr(experiment, part)
    which = torch.linspace(0, count(inputs) - 1, min(LOOKED_AT, count(inputs))).long()
    x, y = (put(pick(values, which), experiment.device) for values in (inputs, targets))
    try:
        outputs = through(module, x)
    except UsageError:
        raise
    except Exception as error:
        kinds = named(list(dict.fromkeys(f"{t.dtype} {tuple(t.shape[1:])}" for t in leaves(x))))
        raise UsageError(f"the model does not take an example of {part} ({kinds}): {said(error)}.") from error
    _check_labels(experiment, part, outputs, targets)
    loss = _loss(experiment, part, outputs, y)
    check_answers(_right(experiment, part, outputs, y), len(which))
    if part == "train" and not loss.requires_grad and not _learns(experiment, module, x, y):
        raise UsageError("the loss does not depend on any parameter that can be trained: nothing would be learnt.")
    try:
        twice = experiment.loss(joined([outputs, outputs]), joined([y, y]))
    except Exception:  # outputs of a kind that has no first axis: evaluated in one piece
        return
    if abs(float(loss.detach())) > 1e-6 and torch.isclose(twice, 2 * loss, rtol=1e-3):
        raise UsageError(
            f"the loss of the same examples twice is twice as large ({float(loss.detach()):.4g} and "
            f"{float(twice.detach()):.4g}): it is a sum; give the mean over the examples, as reduction='mean' does."
        )


def _learns(experiment: Experiment, module: nn.Module, inputs: Any, targets: Any) -> bool:
    """Whether the loss has a gradient in training mode, where it has none in evaluation mode: a model may answer by an
    average of its weights there."""
    module.train()  # moves statistics of a module that nobody trains
    try:
        return bool(experiment.loss(through(module, inputs), targets).requires_grad)
    finally:
        module.eval()


def _loss(experiment: Experiment, part: str, outputs: Any, targets: Several) -> Tensor:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            loss = experiment.loss(outputs, targets)
        except UsageError:
            raise
        except Exception as error:
            shapes = f"outputs {_shape(outputs)}, targets {_shape(targets)}"
            raise UsageError(f"the loss cannot be computed on {part} ({shapes}): {said(error)}.") from error
    if odd := next((w for w in told if "target size" in str(w.message)), None):  # torch broadcasts, and warns
        raise UsageError(
            f"the loss pairs each output with every target of {part} (outputs {_shape(outputs)}, targets "
            f"{_shape(targets)}): give both the same shape; {' '.join(str(odd.message).split())[:90]}."
        )
    if not isinstance(loss, Tensor) or loss.dim():
        what = _shape(loss)
        raise UsageError(f"the loss is {what}, not one number: give the mean over the examples.")
    return loss


def _right(experiment: Experiment, part: str, outputs: Any, targets: Several) -> Any:
    try:
        return experiment.right(outputs, targets)
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"right cannot be computed on {part} ({said(error)}).") from error


def _check_labels(experiment: Experiment, part: str, outputs: Any, targets: Several) -> None:
    """Classes that the model has no output for: torch would stop at the first such example, or kill a GPU's context."""
    default = experiment.loss is functional.cross_entropy or type(experiment.loss) is nn.CrossEntropyLoss
    if not (default and isinstance(outputs, Tensor) and isinstance(targets, Tensor) and outputs.dim() > 1):
        return
    if targets.is_floating_point() or targets.is_complex():
        return
    ignored = getattr(experiment.loss, "ignore_index", -100)
    odd = targets[((targets < 0) | (targets >= outputs.shape[1])) & (targets != ignored)]
    if len(odd):
        raise UsageError(
            f"{part} has the class {int(odd.flatten()[0])}, and the model {outputs.shape[1]} outputs: classes are "
            f"0 to {outputs.shape[1] - 1}."
        )


def _shape(values: Any) -> str:
    return str(tuple(values.shape)) if isinstance(values, Tensor) else type(values).__name__
