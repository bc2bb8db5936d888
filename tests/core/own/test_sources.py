"""Pruned networks in pieces, under odd names and in odd types: brought in whole, or refused in one sentence."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_networks import net, ticket
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_core import own, torchprune
from lth_core.errors import UsageError

INITIAL = net()
MADE = ticket(INITIAL, "0.weight", "2.weight")
MASKS = MADE.masks
KEPT = {n: w.clone() for n, w in INITIAL.state_dict().items()}


def pruned(permanent: bool = False) -> dict[str, torch.Tensor]:
    module = copy.deepcopy(INITIAL)
    for name, mask in MASKS.items():
        torch_prune.custom_from_mask(module[int(name[0])], "weight", mask)
        if permanent:
            torch_prune.remove(module[int(name[0])], "weight")
    return {n: t.detach().clone() for n, t in module.state_dict().items()}


def is_the_ticket(found: own.Ticket) -> None:
    assert set(found.masks) == set(MASKS) and set(found.weights) == set(KEPT)
    assert all(torch.equal(found.masks[n], m) for n, m in MASKS.items())
    assert all(torch.equal(found.weights[n], w.masked_fill(~MASKS[n], 0)) for n, w in KEPT.items() if n in MASKS)


FORMS: dict[str, Any] = {
    "float16 masks alone": {n: m.half() for n, m in MASKS.items()},
    "float32 masks alone": {n: m.float() for n, m in MASKS.items()},
    "masks by X_mask": {f"{n}_mask": m.float() for n, m in MASKS.items()},
    "masks by X.mask": {f"{n}.mask": m for n, m in MASKS.items()},
    "masks by layer": {n.removesuffix(".weight"): m for n, m in MASKS.items()},
    "masks in a dict": {"masks": {n: m.int() for n, m in MASKS.items()}, "epoch": 3},
    "masks beside the weights": {"state_dict": INITIAL.state_dict(), "masks": MASKS},
    "masks beside the model": {"model": INITIAL.state_dict(), "mask": {n: m.to(torch.uint8) for n, m in MASKS.items()}},
    "numpy masks beside the model": {"model": INITIAL.state_dict(), "mask": {n: m.numpy() for n, m in MASKS.items()}},
    "sparse masks": {n: m.int().to_sparse() for n, m in MASKS.items()},
    "a step beside the model": {"step": torch.tensor(3), "model": pruned(), "optimizer": {"state": {}}},
    "a model in a model": {"epoch": 1, "model": {"config": {}, "state_dict": pruned()}},
    "a model's name beside it": {"model": {"name": "mine"}, "net": pruned()},
    "of DataParallel": {f"module.{n}": t for n, t in pruned().items()},
    "of torch.compile": {f"_orig_mod.{n}": t for n, t in pruned().items()},
    "of a network compiled in DataParallel": {f"module._orig_mod.{n}": t for n, t in pruned().items()},
    "of FSDP, with checkpoints": {
        "_fsdp_wrapped_module." + n.replace(".", "._checkpoint_wrapped_module."): t for n, t in pruned().items()
    },
}


@pytest.mark.parametrize("form", FORMS)
def test_masks_are_found(form: str) -> None:
    is_the_ticket(torchprune.ticket_of(FORMS[form], KEPT))


def test_initial_weights_of_a_wrapped_network() -> None:
    made = torchprune.ticket_of(pruned(), {f"module.{n}": w for n, w in KEPT.items()})
    assert set(made.masks) == {f"module.{n}" for n in MASKS}, "by the names of the initial weights"


def test_sparse_weights_tell_by_zeros() -> None:
    for change in (torch.Tensor.to_sparse, torch.Tensor.to_sparse_csr):
        state = {n: change(w) if w.dim() == 2 else w for n, w in pruned(permanent=True).items()}
        is_the_ticket(torchprune.ticket_of(state, KEPT, zeros=True))


def halves(folder: Path) -> Path:
    """A network in two files, as model hubs keep large ones, and their index."""
    state, parts = pruned(), {}
    for i, names in enumerate((list(state)[:3], list(state)[3:]), 1):
        file = f"model-0000{i}-of-00002.safetensors"
        save_file({n: state[n].contiguous() for n in names}, folder / file)
        parts |= dict.fromkeys(names, file)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": parts}))
    return index


def test_a_network_in_several_files(tmp_path: Path) -> None:
    index = halves(tmp_path)
    is_the_ticket(torchprune.ticket_of(index, KEPT))
    with pytest.raises(UsageError, match=r"lacks 2\.weight.*index\.json"):
        torchprune.ticket_of(tmp_path / "model-00001-of-00002.safetensors", KEPT)
    held = json.loads(index.read_text())
    for wrong, said in (
        ({"weight_map": held["weight_map"] | {"3.weight": "model-00001-of-00002.safetensors"}}, "which it names"),
        ({"weight_map": {"0.weight": "../elsewhere.safetensors"}}, "does not lie beside it"),
        ({"weight_map": {"0.weight": "model-00003-of-00002.safetensors"}}, "cannot be read"),
        ({}, "cannot be read as an index"),
    ):
        index.write_text(json.dumps(wrong))
        with pytest.raises(UsageError, match=said) as error:
            torchprune.ticket_of(index, KEPT)
        assert "\n" not in str(error.value)


def test_a_part_of_a_network_is_refused() -> None:
    part = {n: t for n, t in pruned(permanent=True).items() if n.startswith("0")}
    with pytest.raises(UsageError, match=r"lacks 2\.weight"):
        torchprune.ticket_of(part, KEPT, zeros=True)
    assert set(torchprune.ticket_of({"0.weight": MASKS["0.weight"]}, KEPT).masks) == {"0.weight"}, "of masks alone"


def test_quantised_weights_are_refused() -> None:
    state = pruned(permanent=True)
    state["0.weight"] = torch.quantize_per_tensor(state["0.weight"], 0.01, 0, torch.qint8)
    packed = {"0._packed_params._packed_params": (torch.zeros(2), None), "0.scale": torch.ones(1)}
    for source in (state, packed):
        for zeros in (False, True):
            with pytest.raises(UsageError, match="quantised"):
                torchprune.ticket_of(source, KEPT, zeros=zeros)


def test_a_weight_that_is_0_throughout_has_to_be_named() -> None:
    """A layer that begins at 0 is not one that was pruned whole."""
    state = pruned(permanent=True)
    state["2.weight"] = torch.zeros(3, 8)
    with pytest.raises(UsageError, match=r"2\.weight is 0 throughout.*zeros=\['0\.weight'\]"):
        torchprune.ticket_of(state, KEPT, zeros=True)
    assert set(torchprune.ticket_of(state, KEPT, zeros=["0.weight"]).masks) == {"0.weight"}
    assert not torchprune.ticket_of(state, KEPT, zeros=["0.weight", "2.weight"]).masks["2.weight"].any()


def test_a_row_that_pads_is_not_pruned() -> None:
    module = nn.Sequential(nn.Embedding(5, 4, padding_idx=0), nn.Linear(4, 3))
    initial = {n: w.clone() for n, w in module.state_dict().items()}
    torch_prune.l1_unstructured(module[1], "weight", amount=0.5)
    torch_prune.remove(module[1], "weight")
    assert list(torchprune.ticket_of(module, initial, zeros=True).masks) == ["1.weight"]
    with torch.no_grad():
        module[0].weight[2, 1] = 0
    assert list(torchprune.ticket_of(module, initial, zeros=True).masks) == ["0.weight", "1.weight"]


def test_a_new_normalisation_is_no_mask() -> None:
    assert torchprune.masks_of(nn.BatchNorm1d(4).state_dict()) == {}


def numbered(folder: Path) -> Path:
    np.save(folder / "m.npy", MASKS["0.weight"].numpy())
    return folder / "m.npy"


def program(folder: Path) -> Path:
    torch.jit.save(torch.jit.script(net()), folder / "j.pt")
    return folder / "j.pt"


def objects(folder: Path) -> dict[str, Any]:
    return {"0.weight": np.array([{}], dtype=object)}


def prefixed(folder: Path) -> Path:
    np.savez(folder / "p.npz", **{f"arr/{n}": w.numpy() for n, w in pruned(permanent=True).items()})
    return folder / "p.npz"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (numbered, "one array without a name"),
        (program, r"torch\.jit\.load"),
        (objects, "no weights or masks"),
        (prefixed, r"'arr/' before each name"),
        (lambda d: {n: m.T.int() for n, m in MASKS.items()}, "another order"),
        (lambda d: {n: m[:2].int() for n, m in MASKS.items()}, "has shape"),
        (lambda d: {"generator": pruned(), "discriminator": pruned()}, "holds no tensors, only generator"),
    ],
)
def test_other_sources_are_one_sentence(source: Any, said: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=said) as error:
        torchprune.ticket_of(source(tmp_path), KEPT, zeros=source is prefixed)
    assert "\n" not in str(error.value)


def test_kernels_without_names_are_one_sentence() -> None:
    for wrong, said in (([np.zeros((3, 2))], "no names"), ({"a": None}, "no kernel")):
        with pytest.raises(UsageError, match=said):
            torchprune.from_keras(wrong)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="no names"):
        torchprune.to_keras([torch.zeros(2)])  # type: ignore[arg-type]


@pytest.mark.parametrize("named", [lambda p: p, str, lambda p: p.parent / ".." / p.parent.name / p.name, "link"])
def test_one_file_cannot_be_both_the_network_and_its_initial_weights(named: Any, tmp_path: Path) -> None:
    torch.save(pruned(), file := tmp_path / "a.pt")
    if named == "link":
        (tmp_path / "b.pt").symlink_to(file)
    with pytest.raises(UsageError, match="the pruned network itself"):
        torchprune.ticket_of(file, tmp_path / "b.pt" if named == "link" else named(file))
