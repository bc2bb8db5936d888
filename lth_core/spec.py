"""One row of an experiment: everything that decides how one network is made and trained."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lth_core.arms import ARMS
from lth_core.data import KNOWN
from lth_core.errors import UsageError

SCHEMA = 1  # raise when the meaning of a field or of a stored cell changes: old cells are then refused, not reused

MISTAKES = (  # of reimplementations, measured on purpose: see mistakes
    "signed", "one_threshold", "rewound_first", "other_trial", "not_rewound", "rewound_once", "biases_once",
    "drawn_again", "unmasked", "own_masks",
)  # fmt: skip
SEARCHES = (  # how masks are found
    "reset",  # from rewound networks: the papers' method
    "continued",  # Appendix B: from training that continues
    *MISTAKES,
)
ALLOWED: dict[str, tuple[str, ...]] = {
    "dataset": tuple(KNOWN),
    "inputs": ("unit", "standard"),
    "init": ("glorot", "truncated"),
    "optimizer": ("adam", "sgd", "momentum"),
    "augment": ("none", "flip_crop"),
    "precision": ("fp32", "tf32", "bf16"),
    "scope": ("layer", "global"),
    "search": SEARCHES,
    "criterion": ("magnitude",),
    "arm": tuple(ARMS),
}


LARGE = 2**53  # beyond it, and for all that is no number, `numeric` looks closer


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One network: data, architecture, training, pruning, and which draw of each.

    Its canonical text is its identity (`key`): every field counts, whether it has its default or not.
    """

    dataset: str = "mnist"
    inputs: str = "unit"  # "unit": pixels / 255; "standard": minus mean, over standard deviation (papers: not stated)
    arch: str = "lenet-300-100"
    init: str = "glorot"  # Gaussian Glorot (ICLR) or normal(0, init_sd) redrawn beyond 2 sd (v1)
    init_sd: float = 0.0  # used by init="truncated" only
    rescale: float = 0.0  # a layer's starting weights times density**-rescale (0 in both papers; see starts.start)
    dropout: float = 0.0
    optimizer: str = "adam"
    lr: float = 1.2e-3
    weight_decay: float = 0.0
    warmup: int = 0  # iterations of linear warmup from 0
    lr_drops: tuple[int, ...] = ()  # iterations at which the learning rate is multiplied by 0.1
    batch_size: int = 60
    iterations: int = 50_000  # minibatch steps
    eval_every: int = 100  # iterations between evaluations
    augment: str = "none"
    precision: str = "fp32"
    prune_conv: float = 0.0  # fraction of surviving weights removed per round, convolutions
    prune_fc: float = 0.2  # same, fully connected hidden layers
    prune_out: float = 0.1  # same, output layer: half the rate (ICLR section 2)
    scope: str = "layer"
    search: str = "reset"  # how masks are found, see SEARCHES
    criterion: str = "magnitude"
    rewind: int = 0  # iteration whose weights the ticket goes back to (0 in both papers)
    round: int = 0  # pruning rounds done; 0 = the unpruned network
    arm: str = "ticket"
    sigma: float = 0.0  # arm="noise": noise in units of the layer's initial standard deviation
    replicate: int = 0  # which redraw of a control arm
    trial: int = 0  # which independent initialisation
    seed: int = 0

    def __post_init__(self) -> None:
        self._check(KINDS)

    def _check(self, names: Iterable[str]) -> None:
        """Refuse what means nothing among the fields of these names, and fields that do not go together."""
        for name in names:
            kind, value = KINDS[name], getattr(self, name)
            if kind in (int, float):
                if type(value) is not kind or not -LARGE < value < LARGE:  # most are what they should be
                    object.__setattr__(self, name, numeric(name, value, kind))
            elif kind is tuple:
                drops = value if isinstance(value, tuple | list) else (value,)
                object.__setattr__(self, name, tuple(numeric(name, v, int) for v in drops))
            elif not isinstance(value, str):
                raise UsageError(f"{name} = {value!r} is not a name: give text.")
            elif name in ALLOWED and value not in ALLOWED[name]:
                raise UsageError(f"{name} = {value!r} does not exist; allowed: {', '.join(ALLOWED[name])}.")
        for name in names:
            value = getattr(self, name)
            if name in FRACTIONS and not 0 <= value < 1:
                raise UsageError(f"{name} = {value} is not in [0, 1): give a fraction, such as 0.2.")
            if name in POSITIVE and value < 1:
                raise UsageError(f"{name} = {value} must be at least 1.")
            if name in COUNTS and value < 0:
                raise UsageError(f"{name} = {value} must not be negative.")
        if any(at < 0 for at in self.lr_drops):
            raise UsageError(f"lr_drops = {self.lr_drops} must not be negative: give iterations.")
        if self.lr <= 0:
            raise UsageError(f"lr = {self.lr} is not allowed: give a positive number, such as 0.0012.")
        if self.init == "truncated" and self.init_sd <= 0:
            raise UsageError(
                f"init_sd = {self.init_sd} draws no weights for init = 'truncated': give a positive number, say 0.1."
            )
        if self.iterations % self.eval_every:
            raise UsageError(
                f"iterations = {self.iterations} must be a multiple of eval_every = {self.eval_every}, "
                "so that the end of training is evaluated."
            )
        if self.rewind > self.iterations:
            raise UsageError(
                f"rewind = {self.rewind} is not an iteration of the training: give 0 to {self.iterations}."
            )
        if self.round == 0 and self.arm not in ("ticket", "continued"):
            raise UsageError(f"arm = {self.arm!r} needs a round of at least 1: round 0 is the unpruned network.")

    def at_round(self, round: int, **changes: Any) -> Spec:
        """This experiment at another pruning round. Round 0 drops every field that only pruning reads, so that
        experiments which differ in pruning alone share their unpruned networks."""
        if round == 0:
            changes = {**changes, **UNPRUNED}
        if unknown := changes.keys() - KINDS.keys():
            raise TypeError(f"a row has no field {min(unknown)!r}")
        made = self._but({"round": round, **changes})
        made._check(("round", *changes))
        return made

    def _but(self, changes: dict[str, Any]) -> Spec:
        """This row with other fields, not looked at: the rest were, and a figure has thousands of rows."""
        made = object.__new__(Spec)
        object.__setattr__(made, "__dict__", vars(self) | changes)
        return made

    def with_counts(self, **counts: int) -> Spec:
        """This row in another trial, at another round above 0, or another redraw (replicate) of it."""
        if counts.get("round") == 0 or not counts.keys() <= {"trial", "round", "replicate"}:
            raise TypeError(f"{counts} are no such counts; the unpruned network is at_round(0).")
        made = self._but(counts)
        if any(type(n) is not int or not 0 <= n < LARGE for n in counts.values()):
            made._check(counts)
        return made

    @property
    def grown(self) -> bool:
        """Whether a trained network decides this row's masks. How many weights a layer of a random mask keeps is known
        beforehand, except where one threshold serves all layers."""
        mask = ARMS[self.arm].mask
        chance = mask == "initial" or (mask == "random" and self.scope == "layer")
        return self.round > 0 and not chance

    @property
    def evaluations(self) -> int:
        """How often a training is evaluated: before its first iteration, and every `eval_every` up to its last."""
        return self.iterations // self.eval_every + 1

    def ticket(self, round: int) -> Spec:
        """The network of this row's chain of rounds: its trained weights decide which weights the next round prunes."""
        arm = "continued" if self.search == "continued" else "ticket"
        return self.at_round(round, arm=arm, replicate=0, sigma=0.0, rescale=0.0)

    def key(self, data_checksum: str) -> str:
        """Identity of the cell this row makes: hash of all fields, the schema version and the data set's checksum."""
        text = json.dumps({"schema": SCHEMA, "data": data_checksum, **vars(self)}, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:20]


FRACTIONS = {"prune_conv", "prune_fc", "prune_out", "dropout"}
POSITIVE = {"iterations", "batch_size", "eval_every"}
COUNTS = {"round", "trial", "replicate", "rewind", "warmup", "seed", "weight_decay"}
UNPRUNED: dict[str, Any] = dict(
    prune_conv=0.0, prune_fc=0.0, prune_out=0.0, scope="layer", search="reset", criterion="magnitude", rewind=0,
    rescale=0.0, arm="ticket", sigma=0.0, replicate=0,
)  # fmt: skip
KINDS = {f.name: {"int": int, "float": float, "str": str}.get(str(f.type), tuple) for f in fields(Spec)}


def learning_rates(spec: Spec) -> NDArray[np.float64]:
    """Learning rate of each iteration, `(iteration,)` float64: linear warmup from 0, times 0.1 at each drop."""
    t = np.arange(spec.iterations)
    rates = np.full(spec.iterations, spec.lr)
    if spec.warmup:
        rates *= np.minimum(1.0, (t + 1) / spec.warmup)
    for drop in spec.lr_drops:
        rates[t >= drop] *= 0.1
    return rates


def numeric(name: str, value: Any, kind: type[Any]) -> Any:
    """`value` as an int or a finite float; 2.5 is no int, and text is no number."""
    try:
        number = kind(value)
        if number == value and math.isfinite(number):
            return number
    except (TypeError, ValueError, OverflowError):
        pass
    raise UsageError(f"{name} = {value!r} is not {'a whole number' if kind is int else 'a finite number'}.")


def from_dict(values: dict[str, Any]) -> Spec:
    """A row from stored fields; an unknown or missing field is an error, never a default."""
    names = {f.name for f in fields(Spec)}
    if unknown := set(values) - names:
        raise UsageError(f"unknown fields {sorted(unknown)}: the cell was written by another version of lth_core.")
    if missing := names - set(values):
        raise UsageError(f"missing fields {sorted(missing)}: the cell was written by another version of lth_core.")
    return Spec(**values)
