"""What an experiment of your own is, as one hash: a run that is told where to keep its networks finds those again."""

from __future__ import annotations

import hashlib
import json

from torch import nn

from lth_core.errors import UsageError
from lth_core.own.examples import leaves
from lth_core.own.experiment import Experiment
from lth_core.own.facts import Facts
from lth_core.own.initial_weights import built
from lth_core.own.ticket import Ticket

FIELDS = ("rates", "iterations", "batch_size", "eval_every", "scope", "rewind", "seed", "at_once")
FUNCTIONS = ("model", "optimizer", "schedule", "loss", "right", "before_step")


def identity(experiment: Experiment, start: Ticket | None = None) -> str:
    """A hash of all that decides the networks of a chain: fields, data, what is started from, initial weights, modules
    with their attributes and classes, and the code of functions with what they close over, which globals they name,
    and the objects that these are.

    The device is left out, and so is code of libraries. What a function reads from a file is not seen: name another
    folder when that changes."""
    module, again = (_of_module(built(experiment, 0, "init")) for _ in "12")
    if module != again:
        raise UsageError(
            "model() gives another module each time although it draws the same numbers (a time, a count, a name of its "
            "own in an attribute?), so that a run would not be found again: leave that out, or run without store."
        )
    facts = Facts()
    about = [
        *(facts.of(dict(v) if (v := getattr(experiment, f)) and f == "rates" else v) for f in FIELDS),
        *(facts.of(leaves(getattr(experiment, part))) for part in ("train", "val", "test")),
        *(facts.of(getattr(experiment, f)) for f in FUNCTIONS),
        module,
        *((facts.of(start.weights), facts.of(start.masks)) if start else ()),
    ]  # fmt: skip
    return hashlib.sha256(json.dumps(about).encode()).hexdigest()[:20]


def _of_module(module: nn.Module) -> str:
    return Facts().of([repr(module), module])
