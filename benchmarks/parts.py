"""Where a round of the compiled convolutional engine spends its time, at three densities of each network.

    python benchmarks/parts.py [--seconds 3] [resnet-18] [vgg-19] [conv-2]

A network on each core trains and evaluates; the engine's own functions are timed from outside, by the processor time of
their thread. Packing is what walks without living weights would take: the same network, with one weight left in each
layer, whose walks read, pack and write the same maps. Shares are of a round as the paper trains it, evaluations
included.
"""

from __future__ import annotations

import argparse
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))
import chains
from contenders import LOOKED_AT, NETS, STEPS, network
from turns import CORES

from lth_core import data, prune
from lth_core.data import EVALUATED
from lth_core.engines.convolutional import engine, fully, norm
from lth_core.engines.convolutional import network as walk
from lth_core.models import Network

ROUNDS = {"resnet-18": (2, 8, 14), "vgg-19": (4, 12, 20), "conv-2": (2, 10, 21)}
FUNCTIONS: dict[str, tuple[tuple[Any, str], ...]] = {
    "forward": ((walk, "convolve"), (walk, "convolve_narrow")),
    "backward": ((walk, "gradients"), (walk, "gradients_narrow")),
    "norm and pool": (
        (norm, "normalize"), (norm, "differentiate"), (norm, "bias_gradients"), (norm, "freeze"), (walk, "pool"),
        (walk, "unpool"), (walk, "activate"), (walk, "to_units"), (walk, "from_units"),
    ),
    "fully connected": (
        (fully.Layer, "forward"), (fully.Layer, "backward"), (fully, "rectify"), (fully, "through"),
        (walk, "loss_gradient"), (walk, "score"),
    ),
    "optimizer": ((norm, "update"), (norm, "refresh")),
}  # fmt: skip
PARTS = ("packing", *FUNCTIONS, "other", "evaluation")  # "forward" and "backward" without packing


@contextmanager
def timed(spent: Counter[str]) -> Iterator[None]:
    """While in the block, `spent` collects seconds of each part, of all threads."""
    lock = threading.Lock()

    def clocked(function: Any, part: str) -> Any:
        def call(*args: Any) -> Any:
            began = time.thread_time()
            try:
                return function(*args)
            finally:
                with lock:
                    spent[part] += time.thread_time() - began

        return call

    with ExitStack() as stack:
        for part, functions in FUNCTIONS.items():
            for owner, name in functions:
                stack.enter_context(mock.patch.object(owner, name, clocked(getattr(owner, name), part)))
        yield


def emptied(own: Network) -> Network:
    """The same network with one weight left in each layer that is pruned."""
    masks = {name: np.zeros_like(mask) for name, mask in own.masks.items()}
    for mask in masks.values():
        mask.flat[0] = True
    return Network(own.spec, prune.masked(own.weights, masks), masks)


def times(own: Network, seconds: float) -> tuple[Counter[str], float]:
    """Seconds of a step by part, "step" for all of it, and seconds of an evaluated image; a network on each core."""
    job = engine._Training(own, data.load("cifar10"), None)
    batches, index = job.order.batches(0, STEPS), np.arange(LOOKED_AT, dtype=np.int32)
    nets = [job._made() for _ in range(CORES)]
    spent: Counter[str] = Counter()

    def step(net: Any, i: int) -> None:
        job.step(net, batches[i % STEPS], i % STEPS)

    def look(net: Any, i: int) -> None:
        net.evaluate(job.pool, index, job.data.pool_labels, job.value)

    for net in nets:  # compiled before
        step(net, 0)
        look(net, 0)
    with timed(spent):
        steps, spent["step"] = _side_by_side(step, nets, seconds)
    looks, looking = _side_by_side(look, nets, seconds / 2)
    return Counter({part: value / steps for part, value in spent.items()}), looking / looks / LOOKED_AT


def _side_by_side(work: Callable[[Any, int], None], nets: Sequence[Any], seconds: float) -> tuple[int, float]:
    """Calls of `work` that all networks together do in `seconds` each, and their threads' processor time."""

    def repeat(net: Any) -> tuple[int, float]:
        end, i, began = time.perf_counter() + seconds, 0, time.thread_time()
        while not i or time.perf_counter() < end:
            work(net, i)
            i += 1
        return i, time.thread_time() - began

    with ThreadPoolExecutor(len(nets)) as pool:
        calls, spent = zip(*pool.map(repeat, nets), strict=True)
    return sum(calls), sum(spent)


def shares(arch: str, round: int, seconds: float) -> dict[str, float]:
    """Each part's share of a round."""
    own, net = network(arch, round), NETS[arch]
    step, image = times(own, seconds)
    bare, _ = times(emptied(own), seconds / 2)
    whole = step.pop("step")
    made = dict(step)
    for part in ("forward", "backward"):
        made[part] = max(0.0, made[part] - bare[part])
    made["packing"] = min(step["forward"], bare["forward"]) + min(step["backward"], bare["backward"])
    made["other"] = whole - sum(step.values())
    made["evaluation"] = image * sum(EVALUATED["cifar10"].values()) / net.eval_every
    total = whole + made["evaluation"]
    return {part: made[part] / total for part in PARTS}


def rows(seconds: float = 3.0, archs: Sequence[str] = tuple(ROUNDS)) -> list[dict[str, Any]]:
    """Rows for `bench`."""
    made: list[dict[str, Any]] = []
    for arch in archs:
        chains.train(arch, max(ROUNDS[arch]))
        for round in ROUNDS[arch]:
            share = prune.density(network(arch, round).spec)
            for part, value in shares(arch, round, seconds).items():
                made.append({
                    "benchmark": f"convolutional tickets, share of {part}", "engine": "convolutional", "arch": arch,
                    "setting": f"{arch}, round {round}, density {share:.3g}, a network a core", "density": share,
                    "median": value, "unit": "of a round", "ratio": None,
                })  # fmt: skip
    return made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("arch", nargs="*", default=list(ROUNDS), help=f"of {', '.join(ROUNDS)}; default: all")
    parser.add_argument("--seconds", type=float, default=3.0)
    args = parser.parse_args()
    for r in rows(args.seconds, args.arch):
        print(f"{r['benchmark']:48} {r['setting']:52} {100 * r['median']:5.1f}%")


if __name__ == "__main__":
    main()
