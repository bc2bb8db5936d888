"""Convolutional tickets: the compiled engine beside the dense one and a plain torch loop, the whole machine in use.

    python benchmarks/convolutional.py [--seconds 1.2] [--repeats 3] [ARCH [ROUND ...]]

Every contender has processes of its own, which take turns (`turns`). Torch is tried as one process with all threads and
as one process a core; ratios are to the plain loop in its best setting, and in their own rows to the dense engine in
its best. Masks are those of a chain's round cut at once from initial weights: global for ResNet-18 and VGG-19, layer by
layer for Conv-2, -4, -6. (Training moves some weights between layers: masks of a real chain differ a little.)
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import dense
import peak
import turns
from turns import CORES, Contender

from lth_companion.experiments import images
from lth_companion.experiments.costs import EVALUATED
from lth_core import data, prune
from lth_core.engines import dense as train
from lth_core.engines.cohort import EVALUATE_AT_ONCE, Cohort
from lth_core.engines.convolutional import engine
from lth_core.engines.forward import forward
from lth_core.models import Network, initial

ROUNDS = {
    "resnet-18": (0, 2, 4, 8, 11, 13), "vgg-19": (0, 4, 8, 12, 20), "conv-2": (0, 2, 5, 10, 21),
    "conv-4": (0, 3, 10, 20), "conv-6": (0, 3, 10, 20),
}  # fmt: skip
CHAINS = {"resnet-18": 13, "vgg-19": 20, "conv-2": 21, "conv-4": 20, "conv-6": 20}  # last round of a chain
NETS = {net.arch: net for net in (*images.CONV, images.RESNET, images.VGG)}
STEPS = 200  # of the schedule that is timed: batches of so many steps are drawn
LOOKED_AT = 384  # images of a call of evaluation
Works = dict[str, Callable[[int], float]]
UNITS = {"step": "network-steps/s", "evaluate": "images/s", "peak": "GFLOP/s"}


def network(arch: str, round: int, trial: int = 0, precision: str = "fp32") -> Network:
    """The network of a round, with masks cut at once from its initial weights."""
    base = dense.recipe(arch, dense.CASES[arch], precision=precision, trial=trial, iterations=STEPS, eval_every=STEPS)
    spec = base.at_round(round, **NETS[arch].prune)
    weights = initial(spec)
    masks = prune.cut(spec, weights, prune.full(spec)) if round else prune.full(spec)
    return Network(spec, prune.masked(weights, masks), masks)


def density(arch: str, round: int) -> float:
    base = dense.recipe(arch, dense.CASES[arch], iterations=STEPS, eval_every=STEPS)
    return prune.density(base.at_round(round, **NETS[arch].prune))


# --- In a contender's process -----------------------------------------------------------------------------------------


def compiled(arch: str, round: int) -> tuple[list[Works], int]:
    """Works of the compiled engine, a network for every core; bytes that one holds."""
    job, made = engine._Training(network(arch, round), data.load("cifar10"), None), []
    batches, index = job.order.batches(0, STEPS), np.arange(LOOKED_AT, dtype=np.int32)
    for _ in range(CORES):
        net = job._made()

        def step(i: int, net=net) -> float:
            job.step(net, batches[i % STEPS], i % STEPS)
            return 1

        def evaluate(i: int, net=net) -> float:
            net.evaluate(job.pool, index, job.data.pool_labels, job.value)
            return LOOKED_AT

        made.append({"step": step, "evaluate": evaluate})
    return made, held(net)


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
    nets = [network(arch, 0, trial, precision) for trial in range(networks)]
    cohort = Cohort(nets, data.load("cifar10"), torch.device("cpu"))
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


def work(name: str, arch: str, threads: int, number: int) -> None:
    """Answer as the contender `name`; `number`: a round of the compiled engine, networks of the dense one."""
    train.keep_freed_memory()
    torch.set_num_threads(1 if name == "convolutional" else threads)
    memory = 0
    if name == "peak":
        made: list[Works] = [{"peak": peak.work} for _ in range(threads)]
    elif name == "convolutional":
        made, memory = compiled(arch, number)
    elif name == "plain loop":
        made = plain(arch)
    else:
        made = masked(arch, name.removeprefix("dense "), number)
    calls = {what: [works[what] for works in made] for what in made[0]}
    turns.serve({what: partial(turns.rate_of, own) for what, own in calls.items()}, f"ready {memory}")


# --- The comparison ---------------------------------------------------------------------------------------------------


def contender(name: str, arch: str, processes: int, threads: int, number: int = 1) -> Contender:
    what = f"{name} {number}, {processes} of {threads}"
    arguments = ("--work", name, arch, str(threads), str(number))
    return Contender(what, str(Path(__file__).resolve()), arguments, processes)


def settings(arch: str, rounds: Sequence[int]) -> list[Contender]:
    """Torch in its settings, the compiled engine by round, the peak."""
    ways = [(1, CORES), (CORES, 1)] if CORES > 1 else [(1, 1)]
    made = [contender("plain loop", arch, *way) for way in ways]
    made += [contender("dense fp32", arch, *way) for way in ways]
    if arch.startswith("conv-"):
        made.append(contender("dense fp32", arch, 1, CORES, 2))
    if "avx512_bf16" in _flags():
        made += [contender("dense bf16", arch, *way) for way in ways]
    made += [contender("convolutional", arch, 1, CORES, r) for r in rounds]
    return [*made, contender("peak", arch, 1, CORES)]


def _can(name: str) -> tuple[str, ...]:
    if name.startswith("peak"):
        return ("peak",)
    return ("step",) if name.startswith(("plain", "dense bf16")) else ("step", "evaluate")


def measured(arch: str, rounds: Sequence[int], seconds: float, repeats: int) -> tuple[turns.Rates, dict[str, float]]:
    """Rates by (contender, work), and bytes of a network of the compiled engine by round's contender."""
    own = settings(arch, rounds)
    with turns.teams(own) as found:
        rates = turns.in_turns(found, {c.name: _can(c.name) for c in own}, seconds, repeats)
        memory = {name: float(team.told[0].split()[1]) for name, team in found.items()}
    return rates, memory


def best(rates: turns.Rates, engine_name: str, what: str) -> tuple[str, float]:
    """An engine's contender with the highest median."""
    own = {
        name: statistics.median(v) for (name, did), v in rates.items() if did == what and name.startswith(engine_name)
    }
    name = max(own, key=lambda n: own[n])
    return name, own[name]


def rows(
    seconds: float = 1.2, repeats: int = 3, cases: dict[str, tuple[int, ...]] | None = None
) -> list[dict[str, Any]]:
    """Rows for `bench`; ratio to the plain loop in its best setting, of evaluations to the dense engine in its best."""
    made = []
    for arch, rounds in (cases or ROUNDS).items():
        rates, memory = measured(arch, rounds, seconds, repeats)
        made += _rows(arch, rounds, rates, memory)
    return made


def _rows(arch: str, rounds: Sequence[int], rates: turns.Rates, memory: dict[str, float]) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    bases = {"step": best(rates, "plain", "step")[1], "evaluate": best(rates, "dense fp32", "evaluate")[1]}
    for (name, what), values in rates.items():
        engine_name, _, how = name.partition(", ")
        *words, number = engine_name.split()
        engine_name = " ".join(words)
        processes, threads = how.split(" of ")
        row: dict[str, Any] = {"benchmark": f"convolutional tickets, {what}", "engine": engine_name, "arch": arch}
        if engine_name == "convolutional":
            share = density(arch, int(number))
            row |= {"density": share, "setting": f"{arch}, round {number}, density {share:.3g}, a network a core"}
        elif engine_name == "peak":
            row["setting"] = f"multiply-adds in registers, {threads} threads, beside {arch}"
        else:
            row |= {
                "cohort": int(number),
                "precision": engine_name.removeprefix("dense ") if "dense" in engine_name else "fp32",
            }
            row["setting"] = f"{arch}, {processes} x {threads} threads" + (
                f", cohort of {number}" if "dense" in engine_name else ""
            )
        row |= turns.spread(values) | {"unit": UNITS[what]}
        made.append({**row, "ratio": row["median"] / bases[what] if what in bases else None})
    made += _chain(arch, rounds, rates)
    made += [{
        "benchmark": "convolutional tickets, memory", "engine": "convolutional", "arch": arch, "ratio": None,
        "density": density(arch, r),
        "setting": f"{arch}, round {r}, density {density(arch, r):.3g}: arrays of a network", "unit": "MB",
        "median": memory[contender("convolutional", arch, 1, CORES, r).name] / 1e6,
    } for r in (rounds[0], rounds[-1])]  # fmt: skip
    return made


def _chain(arch: str, rounds: Sequence[int], rates: turns.Rates) -> list[dict[str, Any]]:
    """Seconds of a whole chain by round, extrapolated: between the rounds that were timed, times are interpolated in
    density; a round is the paper's iterations with its evaluations."""
    if rounds[0] != 0 or len(rounds) < 3:
        return []
    net, last = NETS[arch], CHAINS[arch]
    looked_at = (net.iterations // net.eval_every + 1) * sum(EVALUATED["cifar10"].values())
    name = lambda r: contender("convolutional", arch, 1, CORES, r).name  # noqa: E731
    at = [density(arch, r) for r in rounds][::-1]
    made, total = [], {}
    for engine_name in ("dense fp32", "convolutional"):
        seconds = 0.0
        for r in range(last + 1):
            for what, amount in (("step", net.iterations), ("evaluate", looked_at)):
                if engine_name == "convolutional":
                    times = [1 / statistics.median(rates[name(q), what]) for q in rounds][::-1]
                    seconds += amount * float(np.interp(density(arch, r), at, times))
                else:
                    seconds += amount / best(rates, engine_name, what)[1]
        total[engine_name] = seconds
        made.append({
            "benchmark": "convolutional tickets, chains (extrapolated)", "engine": engine_name, "arch": arch,
            "setting": f"{arch}, rounds 0-{last} with evaluations", "median": seconds / 3600, "unit": "hours a chain",
            "ratio": total["dense fp32"] / seconds,
        })  # fmt: skip
    return made


def _flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", help="an architecture, then rounds; default: all cases")
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    cases = None
    if args.case:
        cases = {args.case[0]: tuple(map(int, args.case[1:])) or ROUNDS[args.case[0]]}
    for r in rows(args.seconds, args.repeats, cases):
        low, high = r.get("lowest", r["median"]), r.get("highest", r["median"])
        ratio = f"{r['ratio']:6.2f}x" if r["ratio"] else ""
        what = f"{r['benchmark']:44} {r['engine']:14} {r['setting']:48}"
        print(f"{what} {r['median']:8.2f} ({low:.2f}-{high:.2f}) {r['unit']} {ratio}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--work"]:
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]), int(sys.argv[5]))
    else:
        main()
