"""What must be trained before a row, and in what order: the round before it, and where late rewinding goes back to."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from lth_core.arms import ARMS
from lth_core.results import Source
from lth_core.spec import Spec
from lth_core.starts import steps_of


def parent(spec: Spec) -> Spec | None:
    """The network whose trained weights decide this row's mask, or None where no training does.

    A control arm has the parent of its ticket: the ticket of the round before."""
    return steps_of(spec).parent(spec) if spec.grown else None


def rewound_to(spec: Spec) -> Spec | None:
    """The training that stops at iteration `spec.rewind`: its weights are the ticket's start in late rewinding."""
    if spec.rewind == 0 or spec.round == 0:
        return None
    return replace(spec.at_round(0), iterations=spec.rewind, eval_every=math.gcd(spec.eval_every, spec.rewind))


def spared(spec: Spec, known: Source | None) -> bool:
    """Whether a known mask of its ticket decides how this row starts, so that nothing need be trained before it."""
    if known is None or not spec.grown or spec.rewind or spec.search != "reset":
        return False
    return spec.arm != "continued" and ARMS[spec.arm].mask != "random" and known.has_masks(spec)


def needs(spec: Spec, known: Source | None = None) -> list[Spec]:
    """Rows that must be trained before this one; none where `known` masks spare them."""
    if spared(spec, known):
        return []
    return [s for s in (parent(spec), rewound_to(spec)) if s is not None]


def with_ancestors(rows: Iterable[Spec], known: Source | None = None) -> list[Spec]:
    """`rows` and everything they need, each once, earlier rounds first."""
    seen: dict[Spec, None] = {}
    todo = list(rows)
    while todo:
        spec = todo.pop()
        if spec not in seen:
            seen[spec] = None
            todo.extend(needs(spec, known))
    return sorted(seen, key=lambda s: (s.round, s.trial, s.arm, s.replicate))
