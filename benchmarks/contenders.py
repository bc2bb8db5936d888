"""What takes part in the comparison of `convolutional`, each in a process of its own (`turns`).

    python benchmarks/contenders.py torch|compiled ARCH THREADS NUMBER...

Numbers: of networks that the dense engine trains together, or the rounds of the compiled engine.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import chains
import dense
import peak
import turns

from lth_companion.experiments import cifar10_recipes
from lth_core import data, prune
from lth_core.engines.convolutional import crossover, engine
from lth_core.engines.dense.cohort import EVALUATE_AT_ONCE, Cohort
from lth_core.engines.dense.forward import forward
from lth_core.engines.dense.memory import keep_freed_memory
from lth_core.models import Network, initial
from lth_core.spec import Spec

NETS = {net.arch: net for net in (*cifar10_recipes.CONV, cifar10_recipes.RESNET, cifar10_recipes.VGG)}
STEPS = 200  # of the schedule that is timed: batches of so many steps are drawn
LOOKED_AT = 384  # images of a call of evaluation
Works = dict[str, Callable[[int], float]]


def _flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


PRECISIONS = ("fp32", "bf16") if "avx512_bf16" in _flags() else ("fp32",)  # bf16 where the processor multiplies in it


def row(arch: str, round: int, trial: int = 0, precision: str = "fp32") -> Spec:
    base = dense.recipe(arch, dense.CASES[arch], precision=precision, trial=trial, iterations=STEPS, eval_every=STEPS)
    return base.at_round(round, **NETS[arch].prune)


def network(arch: str, round: int, trial: int = 0, precision: str = "fp32") -> Network:
    """The network of a round: with masks of a trained chain where layers are pruned together, else cut at once from its
    initial weights."""
    spec = row(arch, round, trial, precision)
    weights = initial(spec)
    if round and arch in chains.ITERATIONS:
        masks = chains.masks(arch, round)
    else:
        masks = prune.cut(spec, weights, prune.full(spec)) if round else prune.full(spec)
    return Network(spec, prune.masked(weights, masks), masks)


def compiled(arch: str, round: int) -> tuple[list[Works], str]:
    """Works of the compiled engine, a network for every core; bytes that one holds, and its share of multiply-adds."""
    own, made = network(arch, round), []
    job = engine._Training(own, data.load("cifar10"), None)
    batches, index = job.order.batches(0, STEPS), np.arange(LOOKED_AT, dtype=np.int32)
    for _ in range(turns.CORES):
        net = job._made()

        def step(i: int, net=net) -> float:
            job.step(net, batches[i % STEPS], i % STEPS)
            return 1

        def evaluate(i: int, net=net) -> float:
            net.evaluate(job.pool, index, job.data.pool_labels, job.value)
            return LOOKED_AT

        made.append({"step": step, "evaluate": evaluate})
    return made, f"{held(net)}:{living(own)}"


def living(own: Network) -> float:
    """A network's multiply-adds with living weights, as a share of the dense network's."""
    area = crossover.pixels(own.spec.arch, own.spec.dataset)
    alive, whole = (sum(area[n] * count(mask) for n, mask in own.masks.items()) for count in (np.sum, np.size))
    return float(alive / whole)


def held(network: object) -> int:
    """Bytes of all arrays that an object and its parts hold, each counted once."""
    arrays: dict[int, int] = {}
    seen: set[int] = set()

    def walk(x: object) -> None:
        if id(x) in seen or isinstance(x, (str, int, float, type(None))):
            return
        seen.add(id(x))
        if isinstance(x, np.ndarray):
            while isinstance(x.base, np.ndarray):
                x = x.base
            arrays[id(x)] = x.nbytes
        elif isinstance(x, dict):
            for part in x.values():
                walk(part)
        elif isinstance(x, (list, tuple)):
            for part in x:
                walk(part)
        elif hasattr(x, "__dict__"):
            walk(vars(x))

    walk(network)
    return sum(arrays.values())


def masked(arch: str, precision: str, networks: int) -> list[Works]:
    """Works of the dense engine, the same at every density."""
    own = [network(arch, 0, trial, precision) for trial in range(networks)]
    cohort = Cohort(own, data.load("cifar10"), torch.device("cpu"))
    cohort.load(cohort.chunk(0))

    def step(i: int) -> float:
        if i % STEPS == 0:
            cohort.step_at.zero_()
        cohort.step()
        return networks

    @torch.no_grad()
    def evaluate(i: int) -> float:
        index = cohort.parts["train"][:, : EVALUATE_AT_ONCE["cpu"]]
        x, _ = cohort.images.take("pool", index)
        with cohort.autocast():
            forward(cohort.table, cohort.weights, x)
        return index.numel()

    return [{"step": step, "evaluate": evaluate}]


def plain(arch: str) -> list[Works]:
    """One step of the loop that people write."""
    loop = dense.plain(arch, dense.CASES[arch], 1, "cpu")

    def step(i: int) -> float:
        loop()
        return 1

    return [{"step": step}]


def work(kind: str, arch: str, threads: int, numbers: Sequence[int]) -> None:
    """Answer as torch, by `ENGINE/networks/WHAT`, or as the compiled engine and the peak, by `ENGINE/round/WHAT`."""
    keep_freed_memory()
    torch.set_num_threads(threads if kind == "torch" else 1)
    calls: dict[str, list[Works]] = {}
    facts = []
    if kind == "torch":
        calls["plain_loop/1"] = plain(arch)
        for precision in PRECISIONS:
            for n in numbers if precision == "fp32" else (1,):
                calls[f"dense_{precision}/{n}"] = masked(arch, precision, n)
    else:
        calls["peak/0"] = [{"peak": peak.work} for _ in range(threads)]
        for r in numbers:
            calls[f"convolutional/{r}"], fact = compiled(arch, r)
            facts.append(fact)
    works = {
        f"{name}/{what}": partial(turns.rate_of, [own[what] for own in made], threads)
        for name, made in calls.items()
        for what in made[0]
    }
    turns.serve(works, " ".join(map(str, ["ready", *facts])))


if __name__ == "__main__":
    work(sys.argv[1], sys.argv[2], int(sys.argv[3]), [int(n) for n in sys.argv[4:]])
