"""Convolutional tickets: the compiled engine beside the dense one and a plain torch loop, the whole machine in use.

    python benchmarks/convolutional.py [--seconds 1.2] [--repeats 3] [ARCH [ROUND ...]]

Every contender has processes of its own, which take turns (`turns`). Torch is tried as one process with all threads and
as one process a core; ratios are to the plain loop in its best setting, and in their own rows to the dense engine in
its best. ResNet-18 and VGG-19, pruned globally, have masks of a chain that was trained, a little each round (`chains`,
trained here before the first run). Conv-2, -4, -6 have those of a chain's round cut at once from initial weights: layer
by layer the work is the same.
"""

from __future__ import annotations

import argparse
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import chains
import turns
from contenders import NETS, PRECISIONS, row
from turns import CORES, Contender

from lth_core import prune
from lth_core.data import EVALUATED
from lth_core.engines.convolutional import crossover

ROUNDS = {
    "resnet-18": (0, 2, 4, 8, 12, 14), "vgg-19": (4, 8, 12, 20), "conv-2": (0, 2, 5, 10, 21),
    "conv-4": (0, 3, 10, 20), "conv-6": (0, 3, 10, 20),
}  # fmt: skip
CHAINS = {"resnet-18": 13, "vgg-19": 20, "conv-2": 21, "conv-4": 20, "conv-6": 20}  # last round of a chain
WAYS = [(1, CORES), (CORES, 1)] if CORES > 1 else [(1, 1)]  # processes and threads in which torch is tried
Rates = dict[tuple[int, int, str, int, str], list[float]]
UNITS = {"step": "network-steps/s", "evaluate": "images/s", "peak": "GFLOP/s"}


def density(arch: str, round: int) -> float:
    """Share of a network's weights that is left."""
    return prune.density(row(arch, round))


def measured(arch: str, rounds: Sequence[int], seconds: float, repeats: int) -> tuple[Rates, dict[int, list[float]]]:
    """Rates by (processes, threads, engine, number, work); by round bytes and share of multiply-adds of a network."""
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
        facts = [[float(x) for x in fact.split(":")] for fact in found[own[-1].name].told[0].split()[1:]]
    made: Rates = {}
    for (name, what), values in rates.items():
        processes, threads = _way(name)
        engine_name, number, did = what.split("/")
        made[processes, threads, engine_name.replace("_", " "), int(number), did] = values
    return made, dict(zip(rounds, facts, strict=True))


def _contender(kind: str, arch: str, processes: int, threads: int, numbers: Sequence[int]) -> Contender:
    script = str(Path(__file__).with_name("contenders.py"))
    return Contender(f"{kind} {processes} {threads}", script, (kind, arch, str(threads), *map(str, numbers)), processes)


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
    seconds: float = 1.2, repeats: int = 0, cases: dict[str, tuple[int, ...]] | None = None
) -> list[dict[str, Any]]:
    """Rows for `bench`; ratio to the plain loop in its best setting, of evaluations to the dense engine in its best.

    `repeats`: by default 7, and 3 of VGG-19, a step of which takes seconds."""
    made = []
    for arch, rounds in (cases or ROUNDS).items():
        chains.train(arch, max(rounds))
        rates, facts = measured(arch, rounds, seconds, repeats or (3 if arch == "vgg-19" else 7))
        made += _rows(arch, rates) + _chain(arch, rounds, rates) + [_crossover(arch, rounds, rates)]
        made += [_fact("memory", arch, r, facts[r][0] / 1e6, "MB") for r in rounds]
        made += [_fact("living multiply-adds", arch, r, facts[r][1], "of the dense network") for r in rounds]
    return made


def _rows(arch: str, rates: Rates) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    bases = {"step": best(rates, "plain loop", "step"), "evaluate": best(rates, "dense fp32", "evaluate")}
    for (processes, threads, engine_name, number, what), values in rates.items():
        found: dict[str, Any] = {"benchmark": f"convolutional tickets, {what}", "engine": engine_name, "arch": arch}
        found["setting"] = f"{arch}, {processes} x {threads} threads"
        if engine_name == "convolutional":
            share = density(arch, number)
            found |= {"density": share, "setting": f"{arch}, round {number}, density {share:.3g}, a network a core"}
        elif engine_name == "peak":
            found["setting"] = f"multiply-adds in registers, {threads} threads, beside {arch}"
        elif engine_name.startswith("dense"):
            found |= {"cohort": number, "precision": engine_name.removeprefix("dense ")}
            found["setting"] += f", cohort of {number}"
        found |= turns.spread(values) | {"unit": UNITS[what]}
        made.append({**found, "ratio": found["median"] / bases[what] if what in bases else None})
    return made


def _fact(what: str, arch: str, round: int, value: float, unit: str) -> dict[str, Any]:
    share = density(arch, round)
    return {
        "benchmark": f"convolutional tickets, {what}", "engine": "convolutional", "arch": arch, "density": share,
        "setting": f"{arch}, round {round}, density {share:.3g}", "median": value, "unit": unit, "ratio": None,
    }  # fmt: skip


def _crossover(arch: str, rounds: Sequence[int], rates: Rates) -> dict[str, Any]:
    """The share of a row's work (`crossover.share`) up to which the compiled engine does more steps than torch in its
    best setting, be it the dense engine or the plain loop; between rounds times are interpolated."""
    share = [crossover.share(row(arch, r)) for r in rounds]
    torchs = max(best(rates, name, "step") for name in ("dense fp32", "plain loop"))
    behind = [torchs / of_round(rates, r, "step") - 1 for r in rounds]  # below 0: faster
    at = share[0] if behind[0] <= 0 else float(np.interp(0, behind[::-1], share[::-1]))
    return {
        "benchmark": "convolutional tickets, crossover", "engine": "convolutional", "arch": arch, "median": at,
        "setting": f"{arch}, faster than torch up to this share of the work", "unit": "of the dense network",
        "ratio": None,
    }  # fmt: skip


def _chain(arch: str, rounds: Sequence[int], rates: Rates) -> list[dict[str, Any]]:
    """Hours of a whole chain, extrapolated: between the rounds that were timed, times are interpolated in density; what
    is denser than these, or faster there, is left to the dense engine. A round is the paper's iterations with its
    evaluations."""
    net, last = NETS[arch], CHAINS[arch]
    looked_at = (net.iterations // net.eval_every + 1) * sum(EVALUATED["cifar10"].values())
    at = [density(arch, r) for r in rounds][::-1]
    hours = {"dense fp32": 0.0, "convolutional": 0.0}
    for r in range(last + 1):
        dense, ours, share = 0.0, 0.0, density(arch, r)
        for what, amount in (("step", net.iterations), ("evaluate", looked_at)):
            times = [1 / of_round(rates, q, what) for q in rounds][::-1]
            dense += amount / best(rates, "dense fp32", what) / 3600
            ours += amount * float(np.interp(share, at, times)) / 3600
        hours["dense fp32"] += dense
        hours["convolutional"] += min(dense, ours) if share <= at[-1] else dense
    return [
        {
            "benchmark": "convolutional tickets, chains (extrapolated)", "engine": name, "arch": arch,
            "setting": f"{arch}, rounds 0-{last} with evaluations", "median": value, "unit": "hours a chain",
            "ratio": hours["dense fp32"] / value,
        }
        for name, value in hours.items()
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("case", nargs="*", help="an architecture, then rounds; default: all cases")
    parser.add_argument("--seconds", type=float, default=1.2)
    parser.add_argument("--repeats", type=int, default=0)
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
    main()
