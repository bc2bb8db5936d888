"""Masks of trained chains for `contenders`: what pruning by magnitude leaves after training, round by round.

    python benchmarks/chains.py [resnet-18] [vgg-19]

Pruned globally, some layers keep more than others, and training decides which: masks cut from initial weights do other
work at the same density. Layer by layer all keep their share, and no chain is needed. Rounds are a small part of the
paper's and nothing is evaluated; each chain takes some ten minutes of a core, once, and is kept in _build/chains.
"""

from __future__ import annotations

import sys
from pathlib import Path

import dense
import numpy as np

from lth_companion.experiments import cifar10_recipes
from lth_core import data, prune
from lth_core.atomic_files import replaced
from lth_core.engines.convolutional import engine
from lth_core.models import Masks, Network, initial
from lth_core.spec import Spec

ITERATIONS = {"resnet-18": 300, "vgg-19": 40}  # of a round
LAST = {"resnet-18": 14, "vgg-19": 20}
PRUNE = {net.arch: net.prune for net in (cifar10_recipes.RESNET, cifar10_recipes.VGG)}
FOLDER = Path(__file__).resolve().parent.parent / "_build" / "chains"


def ticket(arch: str, round: int) -> Spec:
    """The ticket of a round of the short chain."""
    n = ITERATIONS[arch]
    return dense.recipe(arch, dense.CASES[arch], iterations=n, eval_every=n).at_round(round, **PRUNE[arch])


def file(arch: str, round: int) -> Path:
    return FOLDER / arch / f"{round}.npz"


def masks(arch: str, round: int) -> Masks:
    """Masks of a round by layer; FileNotFoundError where the chain is not trained so far."""
    with np.load(file(arch, round)) as kept:
        return dict(kept)


def train(arch: str, last: int) -> None:
    """Train what the chain of an architecture lacks, if it needs one, down to the masks of the `last` round."""
    for round in range(1, last + 1 if arch in ITERATIONS else 0):
        if not file(arch, round).exists():
            found = prune.cut(ticket(arch, round), trained(arch, round - 1), before(arch, round - 1))
            file(arch, round).parent.mkdir(parents=True, exist_ok=True)
            with replaced(file(arch, round)) as temporary, open(temporary, "wb") as made:
                np.savez(made, **found)
            print(f"the masks of {arch}, round {round} of {last}", file=sys.stderr, flush=True)


def before(arch: str, round: int) -> Masks:
    return masks(arch, round) if round else prune.full(ticket(arch, 0))


def trained(arch: str, round: int) -> dict[str, np.ndarray]:
    """Parameters of a round's ticket after its iterations."""
    spec, own = ticket(arch, round), before(arch, round)
    job = engine._Training(Network(spec, prune.masked(initial(spec), own), own), data.load("cifar10"), None)
    net = job._made()
    for i, batch in enumerate(job.order.batches(0, spec.iterations)):
        job.step(net, batch, i)
    return net.parameters()


if __name__ == "__main__":
    for name in sys.argv[1:] or ITERATIONS:
        train(name, LAST[name])
