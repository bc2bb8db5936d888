"""Masks of trained chains for `contenders`: what pruning by magnitude leaves after training, round by round.

    python benchmarks/chains.py [resnet-18] [vgg-19]

Pruned globally, some layers keep more than others, and training decides which: masks cut from initial weights do other
work at the same density. Layer by layer all keep their share, and no chain is needed. Rounds are much shorter than the
paper's; a chain is trained once (ResNet-18 about ten minutes of a core, VGG-19 half an hour) and kept in
_build/chains.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import dense

from lth_companion.experiments import cifar10_recipes
from lth_core import tickets
from lth_core.spec import Spec
from lth_core.store import Store

ITERATIONS = {"resnet-18": 500, "vgg-19": 100}  # of a round
LAST = {"resnet-18": 13, "vgg-19": 20}
PRUNE = {net.arch: net.prune for net in (cifar10_recipes.RESNET, cifar10_recipes.VGG)}
STORE = Path(__file__).resolve().parent.parent / "_build" / "chains"


def ticket(arch: str, round: int) -> Spec:
    """The ticket of a round of the short chain."""
    n = ITERATIONS[arch]
    whole = dense.recipe(arch, dense.CASES[arch], iterations=n, eval_every=n)
    return whole.at_round(round, **PRUNE[arch]) if round else whole


def masks(arch: str, round: int) -> dict[str, np.ndarray]:
    """Masks of a round by layer; StoreError where the chain is not trained so far."""
    return Store(STORE).masks(ticket(arch, round))


def train(arch: str, last: int) -> None:
    """Train what the chain of an architecture lacks, if it needs one, down to the `last` round."""
    store = Store(STORE)
    for round in range(1, last + 1 if arch in ITERATIONS else 0):
        if not store.has(ticket(arch, round)):
            tickets.run([ticket(arch, round)], store, device="cpu")
            print(f"trained the masks of {arch}, round {round} of {last}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    for name in sys.argv[1:] or ITERATIONS:
        train(name, LAST[name])
