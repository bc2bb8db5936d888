"""The benchmark's contenders do the same work: the paper's networks and recipes, in a plain loop and as a cohort."""

from __future__ import annotations

from dataclasses import replace

import dense
import networks
import pytest

from lth_core import models


@pytest.mark.parametrize("arch", dense.CASES)
def test_the_plain_network_is_the_papers(arch: str) -> None:
    """As many weights (ICLR Figure 2), biases and parameters of batch normalisation as our table of layers has."""
    dataset, plain = dense.CASES[arch].dataset, [p.shape for p in networks.plain(arch).parameters()]
    table = models.layers(arch, dataset)
    assert sum(s.numel() for s in plain if len(s) > 1) == models.weight_count(arch, dataset)
    assert sum(s.numel() for s in plain if len(s) == 1) == sum(x.shape[0] * len(x.vectors) for x in table)


@pytest.mark.parametrize(
    ("arch", "recipe"),
    [("lenet-300-100", ("adam", 60, 0.0, "none")), ("conv-6", ("adam", 60, 0.0, "none")),
     ("resnet-18", ("momentum", 128, 1e-4, "flip_crop")), ("vgg-19", ("momentum", 64, 1e-4, "flip_crop"))],
)  # fmt: skip
def test_the_recipe_is_the_papers(arch: str, recipe: tuple) -> None:
    timed = dense.recipe(arch, dense.CASES[arch])
    assert (timed.optimizer, timed.batch_size, timed.weight_decay, timed.augment) == recipe


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
    fields = [(r["arch"], r.get("precision"), r.get("cohort")) for r in made]
    assert fields == [(arch, None, None), *((arch, p, n) for p in ("fp32", "bf16") for n in (1, 2))]
    assert made[0]["ratio"] == 1 and all(r["median"] > 0 for r in made)
