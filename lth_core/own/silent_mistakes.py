"""What would go wrong in silence, looked for on a few examples before anything is trained."""

from __future__ import annotations

import math
import warnings
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from lth_core import prune
from lth_core.errors import UsageError
from lth_core.own.examples import Several, count, joined, leaves, pick, put, through
from lth_core.own.experiment import Experiment
from lth_core.own.global_seeds import chance
from lth_core.own.initial_weights import built, seeded
from lth_core.own.state_dicts import named, said
from lth_core.own.ticket import Ticket

LOOKED_AT = 64  # examples


def check_experiment(experiment: Experiment) -> None:
    """Try the model, the loss and `right` of an experiment on a few examples of each part; whatever would train or
    count another thing than was meant is a `UsageError`. (Optimizers are looked at when they are made.)"""
    check_device(experiment.device)
    if not torch.is_grad_enabled():
        raise UsageError("gradients are switched off here (torch.no_grad or inference_mode): call it outside of that.")
    if any(torch.is_autocast_enabled(kind) for kind in {"cpu", torch.device(experiment.device).type}):
        # The copy that autocast makes of a weight is kept until it ends: all steps would see the first weights.
        raise UsageError("torch.autocast is switched on here: switch it on within the model's forward() instead.")
    _check_stateless(experiment)
    with chance(seeded(experiment, "look"), experiment.device):
        module = built(experiment, 0, "init").to(experiment.device)
        module.eval()  # a look moves no running statistics
        for part in ("train", "val", "test"):
            _check_loss(experiment, module, part)


def _check_stateless(experiment: Experiment) -> None:
    """Refuse a loss with parameters: they are drawn once, and each network would go on with those of the one before."""
    for field in ("loss", "right"):
        value = getattr(experiment, field)
        if isinstance(value, nn.Module) and (own := [n for n, p in value.named_parameters() if p.requires_grad]):
            raise UsageError(
                f"{field} has parameters of its own ({named(own)}), which no network would start anew: make them part "
                "of what model() returns, and give them out with the outputs."
            )


def check_left(experiment: Experiment, rounds: int, start: Ticket | None) -> None:
    """Refuse rounds after which no weight is left: a network of biases answers the same whatever it is asked."""
    parameters, rates = dict(built(experiment, 0, "init").named_parameters()), experiment.rates
    sizes = {n: int(start.masks[n].sum()) if start and n in start.masks else parameters[n].numel() for n in rates}
    total = sum(sizes.values())
    if experiment.scope == "global":
        left = [prune.kept(total, max(rates.values()), r) for r in range(1, rounds + 1)]
    else:
        left = [sum(prune.kept(sizes[n], rates[n], r) for n in rates) for r in range(1, rounds + 1)]
    if 0 in left:
        most = left.index(0)
        how = f"give at most rounds={most}, or lower rates" if most else "give lower rates, such as 0.2"
        raise UsageError(f"round {most + 1} would leave none of {total:,} weights: {how}.")


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
    odd = _not_finite((inputs, targets))
    which = torch.cat([which, torch.tensor(odd[:1], dtype=torch.long)])
    x, y = (put(pick(values, which), experiment.device) for values in (inputs, targets))
    try:
        outputs = through(module, x)
    except UsageError:
        raise
    except Exception as error:
        kinds = named(list(dict.fromkeys(f"{t.dtype} {tuple(t.shape[1:])}" for t in leaves(x))))
        whole = all(not t.is_floating_point() and not t.is_complex() for t in leaves(x))
        hint = "; whole numbers that are no indices go in as x.float(), images as x.float() / 255" if whole else ""
        raise UsageError(f"the model does not take an example of {part} ({kinds}): {said(error)}{hint}.") from error
    _check_labels(experiment, part, outputs, targets)
    loss, again = (_seeded_loss(experiment, part, outputs, y) for _ in "12")
    check_answers(_right(experiment, part, outputs, y), len(which))
    if torch.isnan(loss) or (part == "train" and not torch.isfinite(loss)):
        why = f"example {odd[0]:,} holds a number that is not finite" if odd else "before any training"
        raise UsageError(f"the loss on {part} is {float(loss.detach())} ({why}): nothing can be learnt from that.")
    _check_likelihood(experiment, outputs)
    first, second = float(loss.detach()), float(again.detach())
    if not math.isclose(first, second, rel_tol=1e-4, abs_tol=1e-8):
        raise UsageError(
            f"the loss of the same outputs and targets is {first:.6g}, then {second:.6g}: "
            "it keeps something from call to call, which one network would hand on to the next. Make that part of the "
            "model."
        )
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


def _not_finite(values: Several) -> list[int]:
    """Places of examples that hold a number that is none, or is infinite."""
    odd = torch.zeros(count(values), dtype=torch.bool)
    for t in leaves(values):
        if t.is_floating_point() or t.is_complex():
            odd |= ~torch.isfinite(t).reshape(len(t), -1).all(1).cpu()
    return odd.nonzero().flatten().tolist()


def _check_likelihood(experiment: Experiment, outputs: Any) -> None:
    """Refuse outputs that are no logarithms of probabilities where the loss takes them for such (the more they grow,
    the smaller it would be), and such that are probabilities already where the loss makes some of them."""
    loss = experiment.loss
    if not isinstance(outputs, Tensor):
        return
    if (loss is functional.cross_entropy or type(loss) is nn.CrossEntropyLoss) and outputs.dim() == 2:
        o = outputs.detach().float()
        if bool((o >= 0).all()) and torch.allclose(o.sum(1), torch.ones(len(o), device=o.device), atol=1e-4):
            raise UsageError(
                "cross_entropy makes probabilities of what the model answers, and the model's answers are some already "
                "(they add up to 1): leave out its softmax, which would be taken twice."
            )
    if not (loss is functional.nll_loss or type(loss) is nn.NLLLoss):
        return
    total = outputs.detach().float().exp().sum(1)
    if not torch.allclose(total, torch.ones_like(total), atol=1e-2):
        raise UsageError(
            "nll_loss takes logarithms of probabilities, and those of the model's outputs do not add up to 1: end the "
            "model with LogSoftmax, or use cross_entropy."
        )


def _learns(experiment: Experiment, module: nn.Module, inputs: Any, targets: Any) -> bool:
    """Whether the loss has a gradient in training mode, where it has none in evaluation mode: a model may answer by an
    average of its weights there."""
    module.train()  # moves statistics of a module that nobody trains
    try:
        return bool(experiment.loss(through(module, inputs), targets).requires_grad)
    finally:
        module.eval()


def _seeded_loss(experiment: Experiment, part: str, outputs: Any, targets: Several) -> Tensor:
    with chance(seeded(experiment, "look"), experiment.device):  # a loss may draw
        return _loss(experiment, part, outputs, targets)


def _loss(experiment: Experiment, part: str, outputs: Any, targets: Several) -> Tensor:
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            loss = experiment.loss(outputs, targets)
        except UsageError:
            raise
        except Exception as error:
            shapes = f"outputs {_shape(outputs)}, targets {_shape(targets)}"
            hint = _other_targets(outputs, targets)
            raise UsageError(f"the loss cannot be computed on {part} ({shapes}): {said(error)}{hint}.") from error
    if odd := next((w for w in told if "target size" in str(w.message)), None):  # torch broadcasts, and warns
        raise UsageError(
            f"the loss pairs each output with every target of {part} (outputs {_shape(outputs)}, targets "
            f"{_shape(targets)}): give both the same shape; {' '.join(str(odd.message).split())[:90]}."
        )
    if not isinstance(loss, Tensor) or loss.dim():
        what = _shape(loss)
        raise UsageError(f"the loss is {what}, not one number: give the mean over the examples.")
    return loss


def _other_targets(outputs: Any, targets: Several) -> str:
    """What to give instead of targets of a type or shape that a loss refuses, where that can be told."""
    if not isinstance(outputs, Tensor) or not isinstance(targets, Tensor):
        return ""
    if outputs.dim() == 2 and targets.numel() == len(targets) and outputs.shape[1] > 1:
        odd = targets.is_floating_point() or targets.dim() > 1
        return "; classes are whole numbers, one an example: give y.long().flatten()" if odd else ""
    if targets.is_floating_point() or targets.numel() != outputs.numel():
        return ""
    return "; a loss that compares outputs with numbers takes y.float()"


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
