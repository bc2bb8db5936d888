"""In and out, row by row of the table in `book/api.md`: pruned networks as other libraries keep them.

Forms of libraries that are not installed here are made as those write them: names, types and nesting, by a few lines.
"""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from small_networks import net, ticket
from torch import nn
from torch.nn.utils import parametrize
from torch.nn.utils import prune as torch_prune

from lth_core import own, torchprune
from lth_core.errors import UsageError

INITIAL = net()
MADE = ticket(INITIAL, "0.weight", "2.weight")  # what every form below tells
MASKS = MADE.masks
KEPT = {n: w.clone() for n, w in INITIAL.state_dict().items()}  # the initial weights, kept before training


def trained() -> nn.Module:
    """The network after a training: other weights than at first, none of them 0."""
    module = net()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(p.sign() * (p.abs() + 0.1))
    return module


def by_torch() -> nn.Module:
    module = trained()
    for name, mask in MASKS.items():
        torch_prune.custom_from_mask(module[int(name[0])], "weight", mask)
    return module


def zeros() -> nn.Module:
    """`prune.remove`, Lightning's merged checkpoint, torch.ao's squash_mask, kd-lib, tfmot's strip, timm's pruned."""
    module = by_torch()
    for layer in (module[0], module[2]):
        torch_prune.remove(layer, "weight")
    return module


def by_torch_ao() -> nn.Module:
    from torch.ao.pruning import WeightNormSparsifier

    module = trained()
    sparsifier = WeightNormSparsifier(sparsity_level=0.5)
    sparsifier.prepare(module, [{"tensor_fqn": n} for n in MASKS])
    for name, mask in MASKS.items():
        module[int(name[0])].parametrizations["weight"][0].mask.copy_(mask)  # type: ignore[union-attr]
    return module


class Times(nn.Module):
    """A parametrisation as people write it themselves."""

    def __init__(self, mask: torch.Tensor, name: str = "mask") -> None:
        super().__init__()
        self.name = name
        self.register_buffer(name, mask.float())

    def forward(self, w: torch.Tensor) -> torch.Tensor:
        return w * getattr(self, self.name)


class Hidden(Times):
    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__(mask, "kept")


def parametrised(kind: Any = Times) -> nn.Module:
    module = trained()
    for name, mask in MASKS.items():
        parametrize.register_parametrization(module[int(name[0])], "weight", kind(mask))
    return module


def by_fasterai() -> nn.Module:
    """Its layers carry a buffer `_mask`; weights are zeroed in place."""
    module = zeros()
    for name, mask in MASKS.items():
        module[int(name[0])].register_buffer("_mask", mask.float())
    return module


def file_of(tmp_path: Path, holds: Any, name: str = "file.pt") -> Path:
    torch.save(holds, tmp_path / name)
    return tmp_path / name


def safe(tmp_path: Path, state: dict[str, torch.Tensor]) -> Path:
    save_file({n: t.contiguous() for n, t in state.items()}, tmp_path / "file.safetensors")
    return tmp_path / "file.safetensors"


READ = {  # row -> source
    "torch.nn.utils.prune, live": lambda d: by_torch(),
    "its state dict": lambda d: by_torch().state_dict(),
    "Lightning, permanent=False checkpoint": lambda d: file_of(
        d, {"epoch": 3, "state_dict": by_torch().state_dict(), "optimizer_states": [{}]}, "a.ckpt"
    ),
    "a trainer's checkpoint": lambda d: {"model": by_torch().state_dict(), "optimizer": {}, "epoch": 1},
    "torch.ao, live": lambda d: by_torch_ao(),
    "torchao or apply, state dict": lambda d: torchprune.apply(trained(), MADE).state_dict(),
    "a parametrisation of one's own": lambda d: parametrised(),
    "torchprune.apply, live": lambda d: torchprune.apply(trained(), MADE),
    "OpenLTH mask.pth": lambda d: file_of(d, {n: m.int() for n, m in MASKS.items()}, "mask.pth"),
    "masks alone, uint8": lambda d: {n: m.to(torch.uint8) for n, m in MASKS.items()},
    "masks alone, numpy": lambda d: {n: m.numpy() for n, m in MASKS.items()},
    "safetensors with _orig and _mask": lambda d: safe(d, by_torch().state_dict()),
    "safetensors with NAME.mask": lambda d: safe(d, KEPT | {f"{n}.mask": m.to(torch.uint8) for n, m in MASKS.items()}),
}  # fmt: skip
ZEROS = {
    "pruning made permanent": lambda d: zeros(),
    "its state dict": lambda d: zeros().state_dict(),
    "Lightning, merged checkpoint": lambda d: file_of(d, {"state_dict": zeros().state_dict()}, "b.ckpt"),
    "fasterai, during fit": lambda d: by_fasterai(),
    "merged safetensors": lambda d: safe(d, zeros().state_dict()),
    "a parametrisation that hides its mask": lambda d: parametrised(Hidden),
    "numpy, saved": lambda d: _saved(d),
}


def _saved(folder: Path) -> Path:
    np.savez(folder / "w.npz", **{n: w.numpy() for n, w in zeros().state_dict().items()})
    return folder / "w.npz"


def is_the_ticket(found: own.Ticket) -> None:
    assert set(found.masks) == set(MASKS) and set(found.weights) == set(KEPT)
    for name, w in KEPT.items():
        expected = w.masked_fill(~MASKS[name], 0) if name in MASKS else w
        assert torch.equal(found.weights[name], expected), name
    for name, mask in MASKS.items():
        assert found.masks[name].dtype == torch.bool and torch.equal(found.masks[name], mask)


@pytest.mark.parametrize("row", READ)
def test_masks_are_read_from(row: str, tmp_path: Path) -> None:
    is_the_ticket(torchprune.ticket_of(READ[row](tmp_path), KEPT))


@pytest.mark.parametrize("row", ZEROS)
def test_zeros_are_masks_where_they_are_asked_for(row: str, tmp_path: Path) -> None:
    source = ZEROS[row](tmp_path)
    with pytest.raises(UsageError, match="zeros=True") as error:
        torchprune.ticket_of(source, KEPT)
    assert "\n" not in str(error.value)
    is_the_ticket(torchprune.ticket_of(source, KEPT, zeros=True))
    is_the_ticket(torchprune.ticket_of(source, KEPT, zeros=list(MASKS)))
    with pytest.raises(UsageError, match="lacks"):
        torchprune.ticket_of(source, KEPT, zeros=["0.wieght"])


@pytest.mark.parametrize("row", ["torch.nn.utils.prune, live", "torch.ao, live", "torchao or apply, state dict"])
def test_states_have_their_plain_names_again(row: str, tmp_path: Path) -> None:
    source = READ[row](tmp_path)
    state = torchprune.state_of(source)
    net().load_state_dict(state)
    before = copy.deepcopy(state)
    for t in torchprune.sources.found(source).tensors.values():
        t.data.zero_()
    assert all(torch.equal(state[n], w) for n, w in before.items()), "copies"


def test_a_torch_ao_state_dict_lacks_its_mask() -> None:
    with pytest.raises(UsageError, match="give the module"):
        torchprune.ticket_of(by_torch_ao().state_dict(), KEPT)


def test_a_prefix_is_named() -> None:
    wrapped = {f"net.{n}": w for n, w in by_torch().state_dict().items()}
    with pytest.raises(UsageError, match=r"'net\.' before each name"):
        torchprune.ticket_of(wrapped, KEPT)


def test_an_unpruned_network_has_no_masks() -> None:
    assert torchprune.masks_of(trained()) == {} == torchprune.masks_of(trained().state_dict())
    assert torchprune.masks_of(nn.Embedding(5, 3, padding_idx=0)) == {}, "padding is no pruning"


@pytest.mark.parametrize(
    ("holds", "said"),
    [
        (b"not a file of torch", "cannot be read"),
        (b"", "cannot be read"),
        ([1, 2], "holds a list"),
        ({"epoch": 3}, "holds no tensors"),
        (net(), "more than tensors"),
    ],
)
def test_a_bad_file_is_one_sentence(holds: Any, said: str, tmp_path: Path) -> None:
    file = tmp_path / "file.pt"
    if isinstance(holds, bytes):
        file.write_bytes(holds)
    else:
        torch.save(holds, file)
    for wrong in (file, str(file)):
        with pytest.raises(UsageError, match=said) as error:
            torchprune.ticket_of(wrong, KEPT)
        assert "\n" not in str(error.value)
    for wrong, what in (
        (tmp_path / "none.pt", "cannot be read"),
        (tmp_path, "cannot be read"),
        (3, "no pruned network"),
    ):
        with pytest.raises(UsageError, match=what):
            torchprune.ticket_of(wrong, KEPT)  # type: ignore[arg-type]


# --- Out --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", torchprune.forms.FORMS)
def test_each_form_that_is_written_is_read_again(form: str) -> None:
    given = torchprune.written(MADE, form)
    is_the_ticket(torchprune.ticket_of(given, KEPT, zeros=form == "zeros"))
    if form == "zeros":
        net().load_state_dict(given)
    if form == "prune":
        by_torch().load_state_dict(given)
    if form == "parametrization":
        by_torch_ao().load_state_dict(given, strict=False)
        torchprune.apply(net(), MADE).load_state_dict(given)
    if form == "masks":
        assert all(m.dtype == torch.int32 for m in given.values())
    with pytest.raises(UsageError, match="form = 'keras'"):
        torchprune.written(MADE, "keras")


def test_masks_go_into_torch_ao() -> None:
    module = by_torch_ao()
    for name, mask in MASKS.items():
        module[int(name[0])].parametrizations["weight"][0].mask.copy_(mask)  # type: ignore[union-attr]
    assert not module[0].weight[~MASKS["0.weight"]].any()


def test_kernels_of_keras_and_back() -> None:
    shapes = {"a/kernel:0": (3, 2), "c/kernel:0": (5, 4, 3, 2), "a/bias:0": (2,), "e/embeddings:0": (7, 3)}
    arrays = {n: np.asfortranarray(np.random.default_rng(0).normal(size=s)) for n, s in shapes.items()}
    state = torchprune.from_keras(arrays)
    assert {n: tuple(t.shape) for n, t in state.items()} == {
        "a.weight": (2, 3), "c.weight": (2, 3, 5, 4), "a.bias": (2,), "e.embeddings": (7, 3)
    }  # fmt: skip
    assert state["c.weight"][1, 2, 4, 3] == arrays["c/kernel:0"][4, 3, 2, 1] and state["c.weight"].is_contiguous()
    x = np.ones((1, 3))
    assert np.allclose(x @ arrays["a/kernel:0"], nn.functional.linear(torch.from_numpy(x), state["a.weight"]).numpy())
    back = torchprune.to_keras({"a.weight": state["a.weight"], "c.weight": state["c.weight"]})
    assert np.array_equal(back["c.weight"], arrays["c/kernel:0"]) and back["a.weight"].flags.c_contiguous
    with pytest.raises(UsageError, match="depthwise"):
        torchprune.from_keras({"d/depthwise_kernel:0": np.zeros((3, 3, 4, 1))})
