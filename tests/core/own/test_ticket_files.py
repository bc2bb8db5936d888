"""Files of tickets: whole or not at all, in C order, of a format that is named; a bad one is one sentence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.numpy import load_file as load_arrays
from safetensors.torch import save_file
from small_networks import net, ticket
from torch import nn

from lth_core import own
from lth_core.errors import UsageError

INITIAL = net()
KEPT = {n: w.clone() for n, w in INITIAL.state_dict().items()}
OWN = ticket(INITIAL, "0.weight")
PRUNED = {("0.weight_orig" if n == "0.weight" else n): w for n, w in KEPT.items()} | {"0.weight_mask": torch.ones(8, 4)}


def safe(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "file.safetensors")
    return tmp_path / "file.safetensors"


def test_a_file_without_masks_is_no_ticket(tmp_path: Path) -> None:
    for state in (KEPT, PRUNED, OWN.weights):
        with pytest.raises(UsageError, match=r"no masks.*torchprune\.ticket_of"):
            own.load(safe(tmp_path, state))
    whole = own.Ticket(KEPT, {})  # said to be the whole network, by whoever saved it
    whole.save(tmp_path / "whole.safetensors")
    assert own.load(tmp_path / "whole.safetensors").masks == {}


def test_a_file_of_a_later_format_is_named(tmp_path: Path) -> None:
    save_file(KEPT, tmp_path / "t.safetensors", {"format": "lth-own-ticket-9"})
    with pytest.raises(UsageError, match="format 'lth-own-ticket-9'"):
        own.load(tmp_path / "t.safetensors")


def test_arrays_are_written_in_c_order_whatever_comes_in(tmp_path: Path) -> None:
    weights = {"weight": torch.arange(6.0).reshape(3, 2).T, "bias": torch.zeros(4)[::2]}
    mask = (torch.arange(6).reshape(3, 2) > 1).T
    own.Ticket(own.masked(weights, {"weight": mask}), {"weight": mask}).save(tmp_path / "t.safetensors")
    arrays = load_arrays(tmp_path / "t.safetensors")
    assert arrays["weight"].tolist() == [[0, 2, 4], [0, 3, 5]] and arrays["weight.mask"].tolist() == mask.tolist()
    tied = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    tied[1].weight = tied[0].weight
    own.Ticket(tied.state_dict(), {"0.weight": torch.eye(2).bool()}).save(tmp_path / "tied.safetensors")


def test_paths_with_a_tilde_and_bad_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    OWN.save("~/made/t.safetensors")
    assert torch.equal(own.load("~/made/t.safetensors").masks["0.weight"], OWN.masks["0.weight"])
    for wrong in (tmp_path, "~nobody-here/t.safetensors"):
        for act in (lambda w=wrong: OWN.save(w), lambda w=wrong: own.load(w)):
            with pytest.raises(UsageError) as error:
                act()
            assert "\n" not in str(error.value)


def test_extra_state_is_no_tensor(tmp_path: Path) -> None:
    odd: Any = {**KEPT, "_extra_state": {"calls": 3}}
    with pytest.raises(UsageError, match="_extra_state is no tensor"):
        own.Ticket(odd, OWN.masks).save(tmp_path / "t.safetensors")
    assert not list(tmp_path.iterdir())
