"""The Lottery Ticket Hypothesis, measured again: an experiment is a table, one row is one network."""

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
