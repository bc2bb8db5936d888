"""The benchmark's contenders do the same work: the paper's networks and recipes, in a plain loop and as a cohort."""

from __future__ import annotations

from dataclasses import replace

import dense
import networks
import pytest

from lth_core import cifar
from lth_core.models import weight_count
from lth_core.protocols import Scale

NETS = {net.arch: net for net in (*cifar.CONV, cifar.RESNET, cifar.VGG)}


@pytest.mark.parametrize("arch", dense.CASES)
def test_the_plain_network_is_the_papers(arch: str) -> None:
    """As many weights (ICLR Figure 2), and the rest are biases and batch normalisation: one or two a unit."""
    shapes = [p.shape for p in networks.plain(arch).parameters()]
    assert sum(s.numel() for s in shapes if len(s) > 1) == weight_count(arch, dense.CASES[arch].dataset)
    assert {len(s) for s in shapes} <= {1, 2, 4}


@pytest.mark.parametrize("arch", NETS)
def test_the_recipe_is_the_papers(arch: str) -> None:
    (row,) = cifar.unpruned(
        NETS[arch], Scale(dataset="cifar10", iterations=200_000, trials=1), **{"lr": 0.1, **NETS[arch].train}
    )
    timed = dense.recipe(arch, dense.CASES[arch])
    for name in ("dataset", "optimizer", "weight_decay", "batch_size", "augment", "dropout"):
        assert getattr(timed, name) == getattr(row, name), name


@pytest.mark.parametrize("arch", ["conv-2", "resnet-18-4", "vgg-19-4"])
def test_every_contender_runs(arch: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same calls as on a GPU, eagerly and on enlarged digits."""
    case = dense.CASES[arch.removesuffix("-4")]
    few = {"dataset": "digits32", "on": {"cpu": (1, 2)}, "steps": {"cpu": 1}}
    monkeypatch.setattr(dense, "CASES", {arch: replace(case, recipe={**case.recipe, "batch_size": 8}, **few)})
    monkeypatch.setattr(dense, "REPEATS", 1)
    monkeypatch.setattr(dense, "convolutions", lambda device: [])
    made = dense.rows("cpu")
    assert [(r["engine"], r["setting"]) for r in made] == [
        ("plain loop", arch),
        *((f"dense {p}", f"{arch}, cohort of {n}") for p in ("fp32", "bf16") for n in (1, 2)),
    ]
    assert made[0]["ratio"] == 1 and all(r["median"] > 0 for r in made)
