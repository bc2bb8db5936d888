"""One training step of OpenLTH, the lottery-ticket code of the paper's first author, beside the engines here.

    OPEN_LTH=CLONE python benchmarks/open_lth.py [lenet-300-100] [resnet-18] [vgg-19]

CLONE: github.com/facebookresearch/open_lth; rows name its commit. The step is that of its training loop, with its
network, mask, loss, optimizer and schedule; batches lie in memory, augmented and standardised, which spares it the
loading of images. It costs the same at every density: masks are multiplied in. Its ResNet-20 is the papers' ResNet-18
(272,474 parameters; 274,042 here). Everybody in the best setting, in turns.
"""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parent))
import chains
import convolutional
import dense
import lenet
import turns
from turns import CORES, Contender, Rates

from lth_core import data, models
from lth_core.engines.dense.memory import keep_freed_memory

THEIRS = {"lenet-300-100": "mnist_lenet_300_100", "resnet-18": "cifar_resnet_20", "vgg-19": "cifar_vgg_19"}
ROUNDS = {"resnet-18": (8, 14), "vgg-19": (8, 20)}  # of the compiled engine, beside it
BATCHES = 16  # that take turns


def step(clone: str, arch: str) -> Callable[[int], float]:
    """OpenLTH's own step, as its `training/train.py` makes it."""
    # Its class for several machines cannot be made with torch from 1.10 on; it is only imported.
    torch.nn.parallel.DistributedDataParallel = torch.nn.DataParallel  # type: ignore[misc]
    vars(np)["product"] = np.prod  # its name before numpy 2
    sys.path.insert(0, clone)
    from models import registry  # type: ignore[attr-defined]
    from pruning.mask import Mask
    from pruning.pruned_model import PrunedModel
    from training import optimizers

    its = registry.get_default_hparams(THEIRS[arch])
    if arch.startswith("lenet"):
        its.training_hparams.optimizer_name, its.training_hparams.lr = "adam", 1.2e-3
    network = registry.get(its.model_hparams)
    network = PrunedModel(network, Mask.ones_like(network))
    optimizer = optimizers.get_optimizer(its.training_hparams, network)
    schedule = optimizers.get_lr_schedule(its.training_hparams, optimizer, 1000)
    case = dense.CASES[arch]
    size = dense.recipe(arch, case).batch_size
    images = torch.randn(BATCHES, size, *models.INPUTS[case.dataset])
    labels = torch.randint(10, (BATCHES, size))
    warnings.filterwarnings("ignore", category=UserWarning)

    def one(i: int) -> float:
        optimizer.zero_grad()
        network.train()
        network.loss_criterion(network(images[i % BATCHES]), labels[i % BATCHES]).backward()
        optimizer.step()
        schedule.step()
        return 1

    return one


def serve(what: str, arch: str, threads: int) -> None:
    """Answer as a contender of `turns`: "theirs" one step of OpenLTH, "ours" the sparse engine at LeNet's densities."""
    if what == "theirs":
        keep_freed_memory()  # as for the plain loop: freed memory is not handed back, which costs page faults
        torch.set_num_threads(threads)
        turns.serve({"step": partial(turns.rate_of, [step(os.environ["OPEN_LTH"], arch)], threads)})
        return
    nets = {d: lenet.SparseSteps(data.load("mnist"), r, threads) for d, r in lenet.ROUNDS.items()}
    turns.serve({f"{d}": lambda _, net=net: lenet.rate(net.run, 1000, threads) for d, net in nets.items()})


def beside(arch: str) -> dict[Contender, list[str]]:
    """The plain loop in two settings and the compiled engine, with the works that are timed."""
    if arch.startswith("lenet"):
        loops = {Contender(f"plain loop, {p} x {t}", lenet.__file__, ("--loops", str(t)), p): ["1.0/memory"]
                 for p, t in convolutional.WAYS}  # fmt: skip
        ours = Contender("sparse", __file__, ("ours", arch, str(CORES)))
        return {**loops, ours: [str(d) for d in lenet.ROUNDS]}
    script = str(Path(__file__).with_name("contenders.py"))
    loops = {Contender(f"plain loop, {p} x {t}", script, ("torch", arch, str(t), "1"), p): ["plain_loop/1/step"]
             for p, t in convolutional.WAYS}  # fmt: skip
    rounds = ROUNDS[arch]
    chains.train(arch, max(rounds))
    ours = Contender("convolutional", script, ("compiled", arch, str(CORES), *map(str, rounds)))
    return {**loops, ours: [f"convolutional/{r}/step" for r in rounds]}


def rows(arch: str, seconds: float = 1.5, repeats: int = 3) -> list[dict[str, Any]]:
    """Rows for `bench`; ratios are to the plain loop in its best setting.

    Raises RuntimeError where $OPEN_LTH is not a clone of OpenLTH."""
    clone = os.environ.get("OPEN_LTH", "")
    at = subprocess.run(["git", "-C", clone or "/", "rev-parse", "HEAD"], capture_output=True, text=True).stdout[:12]
    if not at or not (Path(clone) / "open_lth.py").exists():
        raise RuntimeError("OPEN_LTH must name a clone of github.com/facebookresearch/open_lth.")
    works = beside(arch)
    works |= {Contender(f"OpenLTH, {p} x {t}", __file__, ("theirs", arch, str(t)), p): ["step"]
              for p, t in convolutional.WAYS}  # fmt: skip
    with turns.teams(list(works)) as found:
        rates = turns.in_turns(found, {c.name: whats for c, whats in works.items()}, seconds, repeats)
    return _rows(arch, rates, at)


def _rows(arch: str, rates: Rates, commit: str) -> list[dict[str, Any]]:
    base = max(median(values) for (name, _), values in rates.items() if name.startswith("plain loop"))
    made = []
    for (name, what), values in rates.items():
        engine, _, way = name.partition(", ")
        setting = f"{arch}, {way} threads" if way else f"{arch}, density {_density(arch, what):.3g}, a network a core"
        setting += f", commit {commit}" * (engine == "OpenLTH")
        row = dict(benchmark="OpenLTH beside the engines", engine=engine, arch=arch, setting=setting)
        if not way:
            row["density"] = _density(arch, what)
        made.append({**row, **turns.spread(values), "unit": "network-steps/s", "ratio": median(values) / base})
    return made


def _density(arch: str, what: str) -> float:
    return float(what) if arch.startswith("lenet") else convolutional.density(arch, int(what.split("/")[1]))


if __name__ == "__main__":
    if sys.argv[1:2] in (["theirs"], ["ours"]):
        serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
        sys.exit()
    for row in [row for arch in sys.argv[1:] or THEIRS for row in rows(arch)]:
        print("{engine:16} {setting:56} {median:10.2f} ({lowest:.2f}-{highest:.2f}) {unit} {ratio:6.2f}x".format(**row))
