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
WAYS = [(1, CORES), (CORES, 1)] if CORES > 1 else [(1, 1)]  # processes and threads in which torch is tried
Rates = dict[tuple[int, int, str, int, str], list[float]]
Works = dict[str, Callable[[int], float]]
UNITS = {"step": "network-steps/s", "evaluate": "images/s", "peak": "GFLOP/s"}


def _flags() -> str:
    try:
        return Path("/proc/cpuinfo").read_text()
    except OSError:
        return ""


PRECISIONS = ("fp32", "bf16") if "avx512_bf16" in _flags() else ("fp32",)  # bf16 where the processor multiplies in it


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


def work(kind: str, arch: str, threads: int, numbers: Sequence[int]) -> None:
    """Answer as torch, by `ENGINE/networks/WHAT`, or as the compiled engine and the peak, by `ENGINE/round/WHAT`."""
    train.keep_freed_memory()
    torch.set_num_threads(threads if kind == "torch" else 1)
    calls: dict[str, list[Works]] = {}
    memory = []
    if kind == "torch":
        calls["plain_loop/1"] = plain(arch)
        for precision in PRECISIONS:
            for n in numbers if precision == "fp32" else (1,):
                calls[f"dense_{precision}/{n}"] = masked(arch, precision, n)
    else:
        calls["peak/0"] = [{"peak": peak.work} for _ in range(threads)]
        for r in numbers:
            calls[f"convolutional/{r}"], bytes_ = compiled(arch, r)
            memory.append(bytes_)
    works = {
        f"{name}/{what}": partial(turns.rate_of, [own[what] for own in made])
        for name, made in calls.items()
        for what in made[0]
    }
    turns.serve(works, " ".join(map(str, ["ready", *memory])))


# --- The comparison ---------------------------------------------------------------------------------------------------


def measured(arch: str, rounds: Sequence[int], seconds: float, repeats: int) -> tuple[Rates, dict[int, float]]:
    """Rates by (processes, threads, engine, number, work), and bytes of a network of the compiled engine by round."""
    own, works = [], {}
    for processes, threads in WAYS:
        cohorts = (1, 2) if arch.startswith("conv-") and processes == 1 else (1,)
        own.append(_contender("torch", arch, processes, threads, cohorts))
        whats = ["plain_loop/1/step", *(f"dense_fp32/{n}/step" for n in cohorts), "dense_fp32/1/evaluate"]
        works[own[-1].name] = whats + ["dense_bf16/1/step"] * ("bf16" in PRECISIONS)
    own.append(_contender("compiled", arch, 1, CORES, rounds))
    works[own[-1].name] = [f"convolutional/{r}/{what}" for r in rounds for what in ("step", "evaluate")] + [
        "peak/0/peak"
    ]
    with turns.teams(own) as found:
        rates = turns.in_turns(found, works, seconds, repeats)
        memory = map(float, found[own[-1].name].told[0].split()[1:])
    made: Rates = {}
    for (name, what), values in rates.items():
        processes, threads = _way(name)
        engine_name, number, did = what.split("/")
        made[processes, threads, engine_name.replace("_", " "), int(number), did] = values
    return made, dict(zip(rounds, memory, strict=True))


def _contender(kind: str, arch: str, processes: int, threads: int, numbers: Sequence[int]) -> Contender:
    arguments = ("--work", kind, arch, str(threads), *map(str, numbers))
    return Contender(f"{kind} {processes} {threads}", str(Path(__file__).resolve()), arguments, processes)


def _way(name: str) -> tuple[int, int]:
    processes, threads = name.split()[1:]
    return int(processes), int(threads)


def best(rates: Rates, engine_name: str, what: str) -> float:
    """The median of an engine in its best setting."""
    return max(statistics.median(v) for k, v in rates.items() if k[2] == engine_name and k[4] == what)


def of_round(rates: Rates, round: int, what: str) -> float:
    """The median of the compiled engine at a round."""
    return statistics.median(rates[1, CORES, "convolutional", round, what])


def rows(
    seconds: float = 1.2, repeats: int = 3, cases: dict[str, tuple[int, ...]] | None = None
) -> list[dict[str, Any]]:
    """Rows for `bench`; ratio to the plain loop in its best setting, of evaluations to the dense engine in its best."""
    made = []
    for arch, rounds in (cases or ROUNDS).items():
        rates, memory = measured(arch, rounds, seconds, repeats)
        made += _rows(arch, rates) + _chain(arch, rounds, rates)
        made += [_memory(arch, r, memory[r]) for r in (rounds[0], rounds[-1])]
    return made


def _rows(arch: str, rates: Rates) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    bases = {"step": best(rates, "plain loop", "step"), "evaluate": best(rates, "dense fp32", "evaluate")}
    for (processes, threads, engine_name, number, what), values in rates.items():
        row: dict[str, Any] = {"benchmark": f"convolutional tickets, {what}", "engine": engine_name, "arch": arch}
        row["setting"] = f"{arch}, {processes} x {threads} threads"
        if engine_name == "convolutional":
            share = density(arch, number)
            row |= {"density": share, "setting": f"{arch}, round {number}, density {share:.3g}, a network a core"}
        elif engine_name == "peak":
            row["setting"] = f"multiply-adds in registers, {threads} threads, beside {arch}"
        elif engine_name.startswith("dense"):
            row |= {"cohort": number, "precision": engine_name.removeprefix("dense ")}
            row["setting"] += f", cohort of {number}"
        row |= turns.spread(values) | {"unit": UNITS[what]}
        made.append({**row, "ratio": row["median"] / bases[what] if what in bases else None})
    return made


def _memory(arch: str, round: int, bytes_: float) -> dict[str, Any]:
    share = density(arch, round)
    return {
        "benchmark": "convolutional tickets, memory", "engine": "convolutional", "arch": arch, "density": share,
        "setting": f"{arch}, round {round}, density {share:.3g}: arrays of a network", "median": bytes_ / 1e6,
        "unit": "MB", "ratio": None,
    }  # fmt: skip


def _chain(arch: str, rounds: Sequence[int], rates: Rates) -> list[dict[str, Any]]:
    """Seconds of a whole chain by round, extrapolated: between the rounds that were timed, times are interpolated in
    density; a round is the paper's iterations with its evaluations."""
    if rounds[0] != 0 or len(rounds) < 3:
        return []
    net, last = NETS[arch], CHAINS[arch]
    looked_at = (net.iterations // net.eval_every + 1) * sum(EVALUATED["cifar10"].values())
    at = [density(arch, r) for r in rounds][::-1]
    made, total = [], {}
    for engine_name in ("dense fp32", "convolutional"):
        seconds = 0.0
        for r in range(last + 1):
            for what, amount in (("step", net.iterations), ("evaluate", looked_at)):
                if engine_name == "convolutional":
                    times = [1 / of_round(rates, q, what) for q in rounds][::-1]
                    seconds += amount * float(np.interp(density(arch, r), at, times))
                else:
                    seconds += amount / best(rates, engine_name, what)
        total[engine_name] = seconds
        made.append({
            "benchmark": "convolutional tickets, chains (extrapolated)", "engine": engine_name, "arch": arch,
            "setting": f"{arch}, rounds 0-{last} with evaluations", "median": seconds / 3600, "unit": "hours a chain",
            "ratio": total["dense fp32"] / seconds,
        })  # fmt: skip
    return made


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
        work(sys.argv[2], sys.argv[3], int(sys.argv[4]), [int(n) for n in sys.argv[5:]])
    else:
        main()
