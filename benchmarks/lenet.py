"""LeNet-300-100 on MNIST, batch 60, Adam: the sparse engine beside the loop that people write, same work, one run.

    python benchmarks/lenet.py

Masks are random with a ticket's number of weights in each layer: speed depends on the number, hardly on the places.
Every contender takes its turn in every repetition, so that a busy neighbour slows all of them; medians are reported.
The plain loop is tried as one process with all threads and as one process a core with one thread each, which together
do more: ratios are to the better of the two.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import pairwise
from statistics import median

import numpy as np
import peak
import torch
import turns
from torch.nn.functional import cross_entropy

from lth_core import data as data_sets
from lth_core import prune
from lth_core.data import Dataset
from lth_core.draws import BatchOrder
from lth_core.engines.sparse import engine as sparse
from lth_core.engines.sparse.by_row import ByRow
from lth_core.engines.sparse.kernels import LANES, rule_of
from lth_core.models import Network, initial
from lth_core.spec import Spec

ARCH = "lenet-300-100"
ROUNDS = {1.0: 0, 0.51: 3, 0.21: 7, 0.036: 15}  # densities at which steps are timed, and their rounds
SCHEDULE = range(27)  # pruning rounds of ICLR Figures 3-4
Rows = list[dict[str, str | float | None]]


def network(round: int, trial: int = 0, iterations: int = 200) -> Network:
    spec = replace(Spec(iterations=iterations, trial=trial).at_round(round), eval_every=100)
    masks = prune.random(spec, prune.plan(spec)) if round else prune.full(spec)
    return Network(spec, prune.masked(initial(spec), masks), masks)


class MaskedLeNet(torch.nn.Module):
    """What people write: linear layers whose weights are multiplied by a mask in every forward pass."""

    def __init__(self, net: Network) -> None:
        super().__init__()
        self.names = [name.removesuffix(".weight") for name in net.masks]
        for name in self.names:
            weight, bias = (torch.nn.Parameter(torch.tensor(net.weights[f"{name}.{p}"])) for p in ("weight", "bias"))
            self.register_parameter(f"{name}_weight", weight)
            self.register_parameter(f"{name}_bias", bias)
            self.register_buffer(f"{name}_mask", torch.tensor(net.masks[f"{name}.weight"], dtype=torch.float32))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for name in self.names:
            weight, bias, mask = (getattr(self, f"{name}_{p}") for p in ("weight", "bias", "mask"))
            x = torch.nn.functional.linear(x, weight * mask, bias)
            x = torch.relu(x) if name != self.names[-1] else x
        return x


class PlainLoop:
    """The same training and evaluation with torch, data in memory as floats, torch's default Adam."""

    def __init__(self, data: Dataset) -> None:
        self.pool = torch.tensor(data.pool_images, dtype=torch.float32) / 255, torch.tensor(data.pool_labels).long()
        self.test = torch.tensor(data.test_images, dtype=torch.float32) / 255, torch.tensor(data.test_labels).long()
        self.train_index, self.val_index = (torch.tensor(i).long() for i in data.split(0, 0))
        self.sample = torch.tensor(data.sample(0, 0)).long()

    def steps(self, net: Network, batches: Iterator[tuple[torch.Tensor, torch.Tensor]]) -> Callable[[int], None]:
        model = MaskedLeNet(net)
        optimizer = torch.optim.Adam(model.parameters(), lr=net.spec.lr)

        def run(iterations: int) -> None:
            for _ in range(iterations):
                x, y = next(batches)
                optimizer.zero_grad()
                cross_entropy(model(x), y).backward()
                optimizer.step()

        self.model = model
        return run

    def in_memory(self, batch: int = 60) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        while True:
            order = self.train_index[torch.randperm(len(self.train_index))]
            for index in order[: len(order) // batch * batch].split(batch):
                yield self.pool[0][index], self.pool[1][index]

    def with_loader(self, batch: int = 60) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        images = torch.utils.data.TensorDataset(*(part[self.train_index] for part in self.pool))
        while True:
            yield from torch.utils.data.DataLoader(images, batch_size=batch, shuffle=True, drop_last=True)

    @torch.no_grad()
    def evaluate(self) -> None:
        for x, y in (
            (self.pool[0][self.sample], self.pool[1][self.sample]),
            (self.pool[0][self.val_index], self.pool[1][self.val_index]),
            self.test,
        ):
            out = self.model(x)
            float(cross_entropy(out, y)), int((out.argmax(1) == y).sum())

    def schedule(self) -> int:
        """A hundred iterations of every round, and an evaluation after them."""
        for round in SCHEDULE:
            self.steps(network(round), self.in_memory())(100)
            self.evaluate()
        return 100 * len(SCHEDULE)


def plain_loops(threads: int) -> None:
    """In a process of its own: answer with steps a second of the plain loop, by density, or over the schedule."""
    torch.set_num_threads(threads)
    plain, works = PlainLoop(data_sets.load("mnist")), {}
    for density, round in ROUNDS.items():
        for name, batches in (("memory", plain.in_memory), ("loader", plain.with_loader)):
            works[f"{density}/{name}"] = _repeated(plain.steps(network(round), batches()), threads)
    works["schedule"] = partial(turns.rate_of, [lambda i: plain.schedule()], threads)
    turns.serve(works)


def _repeated(run: Callable[[int], None], threads: int) -> Callable[[float], float]:
    """Steps a second of a loop, ten at a time."""

    def ten(i: int) -> float:
        run(10)
        return 10

    return partial(turns.rate_of, [ten], threads)


class SparseSteps:
    """`n` networks side by side on the sparse engine: steps alone, or evaluation alone."""

    def __init__(self, data: Dataset, round: int, n: int) -> None:
        self.pool_of_threads, self.shared = ThreadPoolExecutor(n), sparse._Shared(data)
        spec, train_index = network(round).spec, data.split(0, 0)[0]
        self.images, self.test = self.shared.images(spec)
        self.rule = rule_of(replace(spec, iterations=50_000))
        self.batches = BatchOrder(spec, train_index).batches(0, 1000)
        nets = [network(round) for _ in range(n)]
        self.nets = [sparse._laid_out(x.weights, x.masks, self.images, train_index, 60) for x in nets]
        indices = {"train": data.sample(0, 0), "val": data.split(0, 0)[1], "test": np.arange(len(data.test_labels))}
        self.sets = [
            self.shared.packed(spec, name, self.test if name == "test" else self.images, index)
            for name, index in indices.items()
        ]

    def run(self, iterations: int) -> None:
        batches = self.batches[:iterations]
        list(self.pool_of_threads.map(lambda net: net.train(self.images, self.rule, batches, 0), self.nets))

    def evaluate(self, times: int) -> None:
        def one(net) -> None:
            for _ in range(times):
                for packed in self.sets:
                    net.evaluate(packed)

        list(self.pool_of_threads.map(one, self.nets))


def multiply_adds(steps: SparseSteps) -> float:
    """Multiply-adds an image that the layout for dense networks makes where it evaluates: each input that any of four
    images has meets all units, in whole vectors."""
    net, made, images = steps.nets[0].net, 0.0, 0
    weights = list(steps.nets[0].parameters().values())
    lanes = [int(sum(net.lanes[a:b])) for a, b in pairwise(net.blocks)]
    for packed in steps.sets:
        x = packed.x.reshape(len(packed.x), -1, LANES).transpose(0, 2, 1).reshape(-1, int(net.sizes[0]))
        x = x.astype(np.float32) * packed.factor + packed.shift
        for layer, width in enumerate(lanes):
            met = (x.reshape(-1, 4, x.shape[1]) > 0).any(1).sum() if layer else len(packed.pixel)
            made += 4 * width * met
            x = np.maximum(x @ weights[2 * layer].T + weights[2 * layer + 1], 0)
        images += len(x)
    return made / images


def rate(run: Callable[[int], object], iterations: int, networks: int = 1) -> float:
    """Network-iterations per second of one call on a core for each network, by processor time as in `turns`."""
    began = time.process_time()
    run(iterations)
    return networks**2 * iterations / (time.process_time() - began)


def compare(contenders: dict[tuple[str, str], Callable[[], float]], repetitions: int) -> dict[tuple[str, str], float]:
    """Median of each contender's measurements, taken in turns after a first round that compiles and warms up."""
    found: dict[tuple[str, str], list[float]] = {name: [] for name in contenders}
    for repetition in range(repetitions + 1):
        for name, measure in contenders.items():
            value = measure()
            if repetition:
                found[name].append(value)
    return {name: median(values) for name, values in found.items()}


def rows(repetitions: int = 3, seconds: float = 0.6) -> Rows:
    """All measurements: benchmark, engine, setting, arch, density (a fraction, or None: all of the schedule), median,
    unit, ratio to the plain loop with data in memory in its best setting."""
    data, cores = data_sets.load("mnist"), turns.CORES
    made: Rows = []

    def add(
        benchmark: str, engine: str, density: float | None, value: float, unit: str, ratio: float | None, how: str = ""
    ) -> None:
        setting = ("all densities" if density is None else f"density {density}") + how
        what = dict(benchmark=benchmark, engine=engine, setting=setting, arch=ARCH, density=density)
        made.append({**what, "median": value, "unit": unit, "ratio": ratio})

    def side_by_side(
        benchmark: str, density: float | None, found: dict[tuple[str, str], list[float]], what: str
    ) -> None:
        """Rows of the plain loop in its settings and of the sparse engine."""
        medians = {name: median(values) for (name, did), values in found.items() if did == what}
        loops = sorted((name for name in medians if name != "sparse"), key=lambda name: -medians[name])
        for name in (*loops, "sparse"):
            engine = (
                "sparse" if name == "sparse" else "plain loop" if name == loops[0] else "plain loop, slower setting"
            )
            how = f", {cores} networks" if name == "sparse" else f", {name} threads"
            add(benchmark, engine, density, medians[name], "network-steps/s", medians[name] / medians[loops[0]], how)
        if loader := {n: median(v) for (n, did), v in found.items() if did == what.replace("memory", "loader") != what}:
            name = max(loader, key=lambda n: loader[n])
            ratio = loader[name] / medians[loops[0]]
            how = f", {name} threads"
            add(benchmark, "plain loop, DataLoader", density, loader[name], "network-steps/s", ratio, how)

    nets = {density: SparseSteps(data, round, cores) for density, round in ROUNDS.items()}

    def by_sparse() -> float:
        iterations = 400
        networks = [network(round, iterations=iterations) for round in SCHEDULE for _ in range(cores)]
        for _ in sparse.train(networks, data, threads=cores):
            pass
        return iterations * len(networks)

    ways = [(1, cores), (cores, 1)] if cores > 1 else [(1, 1)]
    loops = [turns.Contender(f"{p} x {t}", __file__, ("--loops", str(t)), p) for p, t in ways]
    with turns.teams(loops) as teams:
        found: dict[tuple[str, str], list[float]] = {}
        for repetition in range(repetitions + 1):
            for density in ROUNDS:
                rates = {
                    (name, f"{density}/{kind}"): team.rate(f"{density}/{kind}", seconds)
                    for name, team in teams.items() for kind in ("memory", "loader")
                }  # fmt: skip
                rates["sparse", f"{density}/memory"] = rate(nets[density].run, 1000, cores)
                for which, value in rates.items() if repetition else ():  # the first warms up
                    found.setdefault(which, []).append(value)
        for density in ROUNDS:
            side_by_side("lenet steps", density, found, f"{density}/memory")
        for _ in range(2):
            for name, team in teams.items():
                found.setdefault((name, "schedule"), []).append(team.rate("schedule", 1))
            began = time.process_time()
            found.setdefault(("sparse", "schedule"), []).append(by_sparse() * cores / (time.process_time() - began))
        side_by_side("lenet 27 rounds, evaluated every 100", None, found, "schedule")

    for density, round in ROUNDS.items():
        one, all_cores = SparseSteps(data, round, 1), SparseSteps(data, round, cores)
        found = compare(
            {
                ("steps", "1"): lambda nets=one: rate(nets.run, 1000),
                ("steps", "all"): lambda nets=all_cores: rate(nets.run, 1000, cores),
                ("evaluation", "all"): lambda nets=all_cores: rate(nets.evaluate, 5, cores),
                ("peak", "all"): lambda: turns.rate_of([peak.work] * cores, cores, 0.3),
            },
            repetitions,
        )
        scaling = found["steps", "all"] / found["steps", "1"]
        add("lenet scaling", "sparse", density, scaling, "x one thread", scaling, f", {cores} threads")
        images = found["evaluation", "all"] * sum(len(packed.label) for packed in all_cores.sets)
        add("lenet evaluation", "sparse", density, images, "images/s", None)
        step, evaluation = 1 / found["steps", "all"], 1 / found["evaluation", "all"] / 100
        share = evaluation / (step + evaluation)
        add("lenet evaluation share", "sparse", density, share, "of time", None, ", every 100")
        if isinstance(all_cores.nets[0], ByRow):
            reached = 2 * images * multiply_adds(all_cores) / 1e9 / found["peak", "all"]
            add("lenet evaluation against the peak", "sparse", density, reached, "of the peak", None)
    return made


if __name__ == "__main__":
    if sys.argv[1:2] == ["--loops"]:
        plain_loops(int(sys.argv[2]))
        sys.exit()
    for row in rows():
        ratio = f"{row['ratio']:8.2f}x" if row["ratio"] else ""
        print("{benchmark:38} {engine:24} {setting:28} {median:12,.2f} {unit:16}".format(**row), ratio)
