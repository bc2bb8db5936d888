"""Trains rows alone and in cohorts, and prints as JSON what of them differs: nothing should.

`test_bits.py` starts it once for each instruction set, because libraries choose theirs when they are loaded.

python tests/help/bits.py [KIND...]    by default all of `KINDS`
"""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import cache

import torch

from lth_core import data, starts
from lth_core.engines.dense.cohort import Cohort
from lth_core.engines.sparse import engine as sparse
from lth_core.models import Network
from lth_core.spec import Spec

FLAT = Spec(dataset="digits", arch="lenet-30-20", iterations=4, eval_every=4)
MAPS = Spec(dataset="digits32", arch="conv-2", iterations=2, eval_every=2, batch_size=10)
KINDS = {
    "lenet": FLAT,
    "wide": replace(FLAT, arch="lenet-300-300", batch_size=360),
    "dropout": replace(FLAT, dropout=0.5),
    "momentum": replace(FLAT, optimizer="momentum", weight_decay=1e-3),
    "bf16": replace(FLAT, precision="bf16"),
    "conv": replace(MAPS, batch_size=4),
    "resnet": replace(MAPS, arch="resnet-18-4", optimizer="momentum", augment="flip_crop"),
    "sparse": FLAT,
}
COHORTS = ([0], [1], [2], [0, 1], [2, 1], [0, 1, 2])  # trials that train together: each alone and at several places
THREADS = (1, 2, 4)


load = cache(data.load)


def dense(networks: list[Network]) -> list[list[torch.Tensor]]:
    """What training leaves of each network: parameters, optimizer, statistics, and losses of fully connected ones.

    Steps without evaluations of convolutional networks, which would take most of the time."""
    spec = networks[0].spec
    cohort = Cohort(networks, load(spec.dataset), torch.device("cpu"))
    cohort.load(cohort.chunk(0))
    for _ in range(spec.iterations):
        cohort.step()
    if spec.arch.startswith("lenet"):
        cohort.evaluate()
    made = [*cohort.rows().values(), cohort.record.permute(2, 0, 1)]
    return [[part[i].clone() for part in made] for i in range(len(networks))]


def compiled(networks: list[Network], threads: int) -> list[list[torch.Tensor]]:
    """The same of the sparse engine."""
    done = dict(sparse.train(networks, load(FLAT.dataset), threads=threads))
    return [[torch.from_numpy(a) for a in (*t.weights.values(), *t.curves.values())] for _, t in sorted(done.items())]


def differing(kind: str, threads: int) -> list[str]:
    """Which trials of which cohorts end with other bits than alone."""
    torch.set_num_threads(threads)
    rows = [starts.network(replace(KINDS[kind], trial=trial)) for trial in range(3)]
    alone, found = {}, []
    for cohort in COHORTS:
        networks = [rows[trial] for trial in cohort]
        made = compiled(networks, threads) if kind == "sparse" else dense(networks)
        for trial, ended in zip(cohort, made, strict=True):
            expected = alone.setdefault(trial, ended)
            if not all(map(torch.equal, expected, ended)):
                found.append(f"{kind}: trial {trial} of {cohort}, threads {threads}")
    return found


def moved(threads: int) -> list[float]:
    """By how much a training moved each parameter. With momentum: Adam would divide rounding by tiny gradients."""
    torch.set_num_threads(threads)
    network = starts.network(KINDS["momentum"])
    start, ended = Cohort([network], load("digits"), torch.device("cpu")).flat[0], dense([network])[0][0]
    return (ended - start).tolist()


if __name__ == "__main__":
    kinds = sys.argv[1:] or list(KINDS)
    bits = [line for kind in kinds for threads in THREADS for line in differing(kind, threads)]
    capability = torch.backends.cpu.get_cpu_capability()
    print(json.dumps({"capability": capability, "differing": bits, "moved": [moved(n) for n in THREADS]}))
