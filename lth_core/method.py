"""The papers' method between two trainings: iterative pruning with resetting (ICLR section 1), in four steps.

The network of the round before is trained (`parent`), its smallest weights go (`cut`), those that stay go back to where
they began (`back`), and the masks hold all through the next training (`held`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import Any

from lth_core import prune
from lth_core.models import Masks, Parameters
from lth_core.spec import Spec


def ticket_above(spec: Spec) -> Spec:
    """The network whose trained weights decide the masks: this trial's ticket of the round before."""
    return spec.ticket(spec.round - 1)


def by_magnitude(spec: Spec, trained: Parameters, alive: Masks) -> Masks:
    """The masks: in each layer the largest magnitudes among the weights that were alive."""
    return prune.cut(spec, trained, alive)


def initial_values(spec: Spec, start: Parameters, trained: Parameters) -> Parameters:
    """The weights to start again from: `start`, the initial ones; not the trained ones."""
    return start


def throughout(masks: Masks) -> Masks:
    """The masks that hold during training: the ticket's own."""
    return masks


@dataclass(frozen=True)
class Steps:
    """How a ticket comes from the network of the round before: the method, or what was made of it.

    - `label`: how figures call it
    - `starts_from_initial`: whether a network starts from its initial values under the masks that were cut
    """

    label: str = "as in the papers"
    parent: Callable[[Spec], Spec] = ticket_above
    cut: Callable[[Spec, Parameters, Masks], Masks] = by_magnitude
    back: Callable[[Spec, Parameters, Parameters], Parameters] = initial_values
    held: Callable[[Masks], Masks] = throughout
    starts_from_initial: bool = True

    @property
    def changed(self) -> dict[str, Callable[..., Any]]:
        """The steps that are not the method's."""
        steps = {f.name: (getattr(self, f.name), f.default) for f in fields(self)}
        return {name: step for name, (step, methods) in steps.items() if callable(step) and step is not methods}


METHOD = Steps()
