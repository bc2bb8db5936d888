"""The optimizers and schedulers of one network, looked at before its first step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn
from torch.optim import Optimizer

from lth_core.errors import UsageError
from lth_core.own.experiment import Experiment, Parameters
from lth_core.own.state_dicts import named, said


def optimizers_of(experiment: Experiment, module: nn.Module) -> tuple[list[Optimizer], list[Any]]:
    """New optimizers and schedulers for a module. Parameters that could be trained and that no optimizer has, and
    groups without any, are a `UsageError`: they would stay as they are without a word."""
    parameters = Parameters(module)
    optimizers = _made("optimizer(parameters)", lambda: experiment.optimizer(parameters))
    if odd := [o for o in optimizers if not isinstance(o, Optimizer)]:
        raise UsageError(f"optimizer(parameters) gives a {type(odd[0]).__name__}, and not a torch optimizer.")
    if any(g.get("maximize") for o in optimizers for g in o.param_groups):
        raise UsageError(
            "the optimizer makes the loss as large as it can (maximize=True), while early stopping takes its minimum: "
            "leave that out, and give the loss a minus sign where it is a reward."
        )
    groups = [g["params"] for o in optimizers for g in o.param_groups]
    if any(not group for group in groups):
        raise UsageError("a group of the optimizer has no parameters: `parameters` is a list, .named has them by name.")
    given = {id(p) for group in groups for p in group}
    if left := [n for n, p in parameters.named.items() if p.requires_grad and id(p) not in given]:
        raise UsageError(
            f"the optimizer gets nothing of {named(left)}: give it all parameters, or set requires_grad of those that "
            "stay as they are to False in model()."
        )
    own = {id(p) for p in module.parameters()}
    if others := len(given - own):
        raise UsageError(
            f"the optimizer has {others} parameters that are not the module's (of a loss, or another module): training "
            "would carry them from one network to the next. Make them part of what model() returns."
        )
    if experiment.schedule is None:
        return optimizers, []
    schedule, of = experiment.schedule, optimizers[0] if len(optimizers) == 1 else optimizers
    schedules = _made("schedule(optimizer)", lambda: schedule(of))
    if odd := [s for s in schedules if not callable(getattr(s, "step", None))]:
        raise UsageError(f"schedule(optimizer) gives a {type(odd[0]).__name__}, and not a scheduler with a step().")
    return optimizers, schedules


def _made(what: str, make: Callable[[], Any]) -> list[Any]:
    """One thing, or several in a list, as a list."""
    try:
        made = make()
    except UsageError:
        raise
    except Exception as error:
        raise UsageError(f"{what} fails ({said(error)}).") from error
    return list(made) if isinstance(made, list | tuple) else [made]
