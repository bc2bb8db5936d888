"""On a GPU: the captured graph trains what the same code trains eagerly on a CPU. Nothing here runs without one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from lth_core import starts
from lth_core.data import load
from lth_core.engines.dense import engine as train
from lth_core.spec import Spec

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")

BASE = Spec(dataset="digits32", iterations=40, eval_every=20, batch_size=20)
NETS = {
    "lenet": replace(BASE, dataset="digits", arch="lenet-30-20"),
    "conv-2": replace(BASE, arch="conv-2", lr=2e-4),
    "dropout": replace(BASE, arch="conv-2", lr=2e-4, dropout=0.5),
    # At ten times this rate a change of 1e-7 in its initial weights grows to 2% of the loss within 20 steps.
    "resnet": replace(BASE, arch="resnet-18-4", optimizer="momentum", lr=0.001, weight_decay=1e-4, augment="flip_crop"),
}


def curves(specs: list[Spec], device: str) -> list[dict[str, np.ndarray]]:
    trained = dict(train.train([starts.network(s) for s in specs], load(specs[0].dataset), device=device))
    return [trained[i].curves for i in range(len(specs))]


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_a_gpu_trains_what_a_cpu_trains(spec: Spec) -> None:
    (here,), (there,) = curves([spec], "cpu"), curves([spec], "cuda")
    np.testing.assert_allclose(there["val_loss"], here["val_loss"], rtol=2e-2)


@pytest.mark.parametrize("spec", NETS.values(), ids=NETS)
def test_a_row_alone_equals_the_row_in_a_cohort(spec: Spec) -> None:
    """Within what an audit allows: cuBLAS and cuDNN choose their sums by the size of the whole batch."""
    rows = [replace(spec, trial=t) for t in range(3)]
    for alone, together in zip((curves([r], "cuda")[0] for r in rows), curves(rows, "cuda"), strict=True):
        np.testing.assert_allclose(alone["val_loss"], together["val_loss"], rtol=2e-2)


@pytest.mark.parametrize(
    ("way", "layout", "precision"),
    [("looped", "first", "bf16"), ("grouped", "last", "fp32"), ("grouped", "last", "bf16"),
     ("grouped", "first", "bf16")],
)  # fmt: skip
def test_every_way_to_convolve_trains_the_same(
    way: str, layout: str, precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One kernel for all networks, or one a network: a wrong place in a joined map would show as other losses."""
    spec = replace(NETS["resnet"], arch="resnet-18-8", precision=precision)
    rows = [replace(spec, trial=t) for t in range(3)]
    monkeypatch.setenv("LTH_CONVOLUTIONS", "looped")
    looped = curves(rows, "cuda")
    monkeypatch.setenv("LTH_CONVOLUTIONS", way)
    monkeypatch.setenv("LTH_LAYOUT", layout)
    for one, other in zip(looped, curves(rows, "cuda"), strict=True):
        np.testing.assert_allclose(other["val_loss"], one["val_loss"], rtol=2e-2 if precision == "fp32" else 5e-2)


@pytest.mark.parametrize("precision", ["tf32", "bf16"])
def test_lower_precision_stays_near_fp32(precision: str) -> None:
    """Within what 20 steps make of rounding: at 40, losses of two precisions were 6% apart on an H100."""
    (full,), (low,) = curves([NETS["conv-2"]], "cuda"), curves([replace(NETS["conv-2"], precision=precision)], "cuda")
    np.testing.assert_allclose(low["val_loss"][:2], full["val_loss"][:2], rtol=0.05)
