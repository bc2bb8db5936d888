"""The Lottery Ticket Hypothesis, measured again: an experiment is a table, one row is one network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lth_core.spec import Spec

__all__ = ["Spec"]
__version__ = "0.2.0"

# What others may build on: module -> names. These keep their meaning within a major version; the rest may change.
PUBLIC = {
    "own": (
        "Experiment", "Parameters", "run", "cost", "Cost", "Found", "Ticket", "load", "rates_of", "judge", "start",
        "train", "hold", "masked",
    ),
    "torchprune": ("masks_of", "state_of", "ticket_of", "apply", "plain", "written", "from_keras", "to_keras"),
    "analyse": ("stop_index", "convergence_index", "bootstrap", "mean_interval", "paired", "spread", "summary"),
    "prune": ("kept", "largest"),
    "reference": ("compare",),
    "spec": ("Spec", "UsageError"),
    "tickets": ("run",),
    "store": ("Store",),
    "results": ("Published", "table", "curves"),
    "plot": ("canvas", "line", "percent_axis", "show"),
}  # fmt: skip


def __getattr__(name: str) -> Any:
    """`Spec` when it is asked for: modules without arrays are read where there is no numpy, as in a browser."""
    if name == "Spec":
        from lth_core.spec import Spec

        return Spec
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
