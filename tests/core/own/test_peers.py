"""In and out with the other libraries themselves, installed for the test: the same masks and outputs on both sides.

`test_forms.py` has every row of the table in `book/api.md` without them. Here their own files are read, and what is
given back is loaded by them and trained on (`tests/help/peers`).
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from places import ROOT
from torch import nn

from lth_core import own, torchprune

PACKAGES = (  # without what they ask for: torch and the rest are the ones installed
    "pytorch-lightning==2.6.6", "lightning-utilities==0.15.3", "torchmetrics==1.9.0", "kd-lib==0.0.32",
    "fasterai==0.4.1", "fastcore==2.2.41", "einops==0.8.1",
)  # fmt: skip
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
PEERS: dict[str, dict[str, Any]] = {  # library -> files that it leaves (zeros or not), and the form it is given
    "torch_prune": {"files": {"theirs.pt": False}, "form": "prune"},
    "torch_ao": {"files": {"theirs.pt": True}, "form": "parametrization"},
    "lightning": {"files": {"theirs.ckpt": False, "during.ckpt": False, "merged.ckpt": True}, "form": "prune"},
    "kd_lib": {"files": {"theirs.pt": True}, "form": "zeros"},
    "fasterai": {"files": {"theirs.pt": True}, "form": "zeros"},
}
INDEXED = {"lightning", "kd_lib", "fasterai"}


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the libraries, to be put before those installed."""
    folder = tmp_path_factory.mktemp("peers")
    small = [*PIP, "download", "--no-deps", "--no-cache-dir", "-d", str(folder / "tried"), PACKAGES[1]]
    if subprocess.run(small, capture_output=True).returncode:
        pytest.skip("pip, by which the libraries are fetched, is not here or reaches no package index.")  # in CI too
    subprocess.run([*PIP, "install", "--no-deps", "--target", str(folder), *PACKAGES], check=True, timeout=100)
    return folder


def call(peer: str, what: str, folder: Path, packages: Path | None) -> dict[str, Any]:
    """Run a script of `tests/help/peers`, which does not see `lth_core`; what it leaves."""
    env = {**os.environ, "PYTHONPATH": str(packages or ""), "OMP_NUM_THREADS": "1"}
    script = ROOT / "tests" / "help" / "peers" / f"with_{peer}.py"
    done = subprocess.run(
        [sys.executable, "-W", "ignore", script, what, folder], env=env, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return torch.load(folder / ("made.pt" if what == "make" else "taken.pt"))


def net() -> nn.Module:
    return nn.Sequential(nn.Linear(6, 16), nn.ReLU(), nn.Linear(16, 3))


def outputs(weights: dict[str, torch.Tensor]) -> torch.Tensor:
    module = net()
    module.load_state_dict(weights)
    with torch.no_grad():
        return module(torch.randn(64, 6, generator=torch.Generator().manual_seed(1)))


@pytest.mark.slow
@pytest.mark.parametrize("peer", PEERS)
def test_masks_and_outputs_are_the_same_on_both_sides(
    peer: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    there = request.getfixturevalue("packages") if peer in INDEXED else None
    made = call(peer, "make", tmp_path, there)
    assert all(0 < int(m.sum()) < m.numel() for m in made["masks"].values()), "it prunes"
    initial = torchprune.state_of(tmp_path / "initial.pt")
    for file, zeros in PEERS[peer]["files"].items():
        source: Any = tmp_path / file
        if peer == "fasterai":  # a whole module, opened by whoever trusts it
            source = torch.load(source, weights_only=False)
        if peer == "lightning":  # names of the module that it trained begin with net.
            state = torch.load(source, weights_only=False)["state_dict"]
            source = {n.removeprefix("net."): t for n, t in state.items()}
        ticket = torchprune.ticket_of(source, initial, zeros=zeros)
        assert ticket.masks.keys() == made["masks"].keys()
        assert all(torch.equal(ticket.masks[n], m) for n, m in made["masks"].items()), f"{file}: masks"
        assert all(torch.equal(ticket.weights[n], w) for n, w in initial.items() if n not in ticket.masks)
        state = {n: w for n, w in torchprune.state_of(source).items() if n in initial}
        assert torch.equal(outputs(own.masked(state, ticket.masks)), made["outputs"]), f"{file}: outputs"
    torch.save(torchprune.written(ticket, PEERS[peer]["form"]), tmp_path / "given.pt")
    taken = call(peer, "take", tmp_path, there)
    assert all(torch.equal(taken["masks"][n], m) for n, m in ticket.masks.items()), "masks given back"
    assert torch.equal(taken["outputs"], outputs(ticket.weights)), "outputs given back"
