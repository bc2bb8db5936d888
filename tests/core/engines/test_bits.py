"""What the table in book/architecture.md promises of equal bits, and of the distance where it promises none.

Libraries choose their instructions when they are loaded, so each set has a process of its own (`bits.py`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import bits
import numpy as np
import pytest
import torch

from lth_core.engines.dense.forward import forward
from lth_core.models import initial, layers

AS_IT_IS: dict[str, str] = {}
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2", "MKL_ENABLE_INSTRUCTIONS": "AVX2"}
SSE = {"ATEN_CPU_CAPABILITY": "default", "ONEDNN_MAX_CPU_ISA": "SSE41", "MKL_ENABLE_INSTRUCTIONS": "SSE4_2"}
CAPS = {"as it is": AS_IT_IS, "avx2": AVX2, "sse": SSE}


@cache
def ended(cap: str) -> dict:
    """What `bits.py` says under an instruction set. (Waiting threads sleep: tests share their cores.)"""
    kinds = [k for k in bits.KINDS if cap == "as it is" or k != "sparse"]  # compiling its kernels takes a minute
    run = subprocess.run(
        [sys.executable, bits.__file__, *kinds], capture_output=True, text=True,
        env={**os.environ, "OMP_WAIT_POLICY": "passive", **CAPS[cap]},
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    return json.loads(run.stdout)


@pytest.mark.parametrize("cap", ["as it is", "avx2", pytest.param("sse", marks=pytest.mark.slow)])
def test_a_row_alone_has_the_bits_of_the_row_in_a_cohort(cap: str) -> None:
    """Parameters, optimizer and losses; at 1, 2 and 4 threads. With one batched product for all networks, all
    cohorts of LeNet and Conv differed under avx2 at two threads and more."""
    assert ended(cap)["differing"] == []


def test_other_threads_and_instructions_move_parameters_alike() -> None:
    """Within `distance_allowed`, as a share of the distance that training moved them."""
    moves = np.array([move for cap in ("as it is", "avx2") for move in ended(cap)["moved"]])
    apart = np.linalg.norm(moves - moves[0], axis=1) / np.linalg.norm(moves[0])
    assert apart.max() < distance_allowed(bits.FLAT.arch, bits.FLAT.dataset)


def distance_allowed(arch: str, dataset: str) -> float:
    """Rounding of the gradients, by the worst case of every product: a sum of K float32 terms is off by at most K half
    units in the last place (K * 2**-24) of the sum of their sizes, in any order. Two orders of adding: twice that. A
    gradient went through one product a layer forwards and two backwards, of which the first layer needs one. Sums that
    cancel could exceed this, but rounding cancels as well and grows like the root of K."""
    table = layers(arch, dataset)
    longest = max(max(layer.fans) for layer in table)
    return 2 * (3 * len(table) - 1) * max(longest, bits.FLAT.batch_size) * 2.0**-24


@pytest.fixture(params=[1, 2, 4])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    """That many threads of torch."""
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("width", [10, 30, 300])
def test_no_product_depends_on_how_many_networks_there_are(width: int, threads: int) -> None:
    """Logits of whole cohorts and of each row, at the sizes of an evaluation of MNIST. With a batched product, layers
    of 10 and 30 outputs differed at two threads and more, with AVX-512 too."""
    spec = replace(bits.FLAT, dataset="mnist", arch=f"lenet-{width}")
    table = layers(spec.arch, spec.dataset)
    weights = {n: torch.from_numpy(np.stack([w, w[::-1], -w])) for n, w in initial(spec).items()}
    x = torch.rand(3, 500, 784, generator=torch.Generator().manual_seed(0))
    together = forward(table, weights, x)
    for i in range(3):
        alone = forward(table, {n: w[[i]] for n, w in weights.items()}, x[[i]])
        assert torch.equal(alone[0], together[i])


def test_the_capped_settings_are_the_ones_that_capped_sh_tries() -> None:
    script = Path(bits.__file__).with_name("capped.sh").read_text()
    assert all(f"{name}={value}" in script for cap in (AVX2, SSE) for name, value in cap.items())
