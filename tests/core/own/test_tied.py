"""Tied weights, and buffers whose names look like masks."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from small_networks import experiment
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_core import own, torchprune
from lth_core.own import state_dicts


class Tied(nn.Module):
    """An encoder and a decoder with one weight, which a state dict lists under both names."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder, self.out = nn.Linear(8, 8), nn.Linear(8, 8), nn.Linear(8, 2)
        self.decoder.weight = self.encoder.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.decoder(self.encoder(x).relu()).relu())


@pytest.mark.parametrize("arm", own.ARMS)
def test_tied_weights_are_pruned_under_both_names(arm: str) -> None:
    draw = torch.Generator().manual_seed(0)
    x, y = torch.randn(40, 8, generator=draw), torch.randint(2, (40,), generator=draw)
    e = experiment(
        model=Tied,
        train=(x, y),
        val=(x, y),
        test=(x, y),
        rates={"encoder.weight": 0.1},
        iterations=20,
        eval_every=10,
        optimizer=lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, weight_decay=1e-3),
    )
    found = own.run(e, rounds=2, trials=1)
    initial, masks, key = found.starts[0], found.masks[0, 2], (0, arm, 2, 0)
    ticket = own.start(e, arm, initial, masks, key)
    mask, values = ticket.masks["encoder.weight"], ticket.weights["encoder.weight"]
    assert int(mask.sum()) == 52
    module = ticket.into(Tied())
    assert module.decoder.weight is module.encoder.weight
    assert torch.equal(module.decoder.weight, values), "the values of the name that is masked"
    one = own.train(e, ticket, key)
    assert torch.equal(one.rewound["decoder.weight"], values), "training starts there"
    assert not one.weights["decoder.weight"][~mask].any()


def test_a_mask_under_the_other_name_of_a_tied_weight_holds() -> None:
    module = Tied()
    mask = torch.eye(8, dtype=torch.bool)
    own.hold(module, {"decoder.weight": mask})
    assert not module.encoder.weight[~mask].any() and module.encoder.weight[mask].all()


class Attention(nn.Module):
    """Buffers and a parameter of its own whose names end as those of pruning do."""

    def __init__(self) -> None:
        super().__init__()
        self.att, self.out = nn.Module(), nn.Linear(4, 2)
        self.att.mask = nn.Parameter(torch.ones(2, 2))
        for name in ("trained", "causal_mask"):
            self.att.register_buffer(name, torch.tensor([[1.0, 0.0], [1.0, 1.0]]))


def test_a_modules_own_mask_is_none_of_pruning(tmp_path: Path) -> None:
    weights = {n: w.detach().clone() for n, w in Attention().state_dict().items()}
    masks = {"out.weight": torch.rand(2, 4) > 0.5, "att.mask": torch.eye(2, dtype=torch.bool)}
    for pruned in ({}, {"out.weight": masks["out.weight"]}, masks):
        own.Ticket(state_dicts.masked(weights, pruned), pruned).save(tmp_path / "t.safetensors")
        back = own.load(tmp_path / "t.safetensors")
        assert set(back.masks) == set(pruned) and set(back.weights) == set(weights)
        assert all(torch.equal(back.masks[n], m) for n, m in pruned.items())
        back.into(Attention())


def test_torchs_masks_are_those_beside_an_original() -> None:
    module = Attention()
    names, initial = set(module.state_dict()), copy.deepcopy(module.state_dict())
    assert torchprune.masks_of(module) == {} and set(torchprune.state_of(module)) == names
    torch_prune.l1_unstructured(module.out, "weight", amount=0.5)
    assert set(torchprune.masks_of(module)) == {"out.weight"}
    assert set(torchprune.state_of(module)) == names
    assert set(torchprune.ticket_of(module, initial).masks) == {"out.weight"}


def test_torchs_masks_of_a_tied_weight_are_found_under_both_names() -> None:
    module = Tied()
    for layer in (module.encoder, module.decoder):
        torch_prune.custom_from_mask(layer, "weight", torch.eye(8))
    assert set(torchprune.masks_of(module)) == {"encoder.weight", "decoder.weight"}
    assert set(torchprune.state_of(module)) == set(Tied().state_dict())


def test_torch_holds_a_tied_weights_mask_under_both_names() -> None:
    weights = {n: w.clone() for n, w in Tied().state_dict().items()}
    weights["decoder.weight"] = weights["encoder.weight"]
    masks = {"encoder.weight": torch.eye(8, dtype=torch.bool)}
    module = torchprune.apply(Tied(), own.Ticket(state_dicts.masked(weights, masks), masks))
    module(torch.randn(5, 8, generator=torch.Generator().manual_seed(0))).sum().backward()
    kept, other = (layer.parametrizations.weight.original for layer in (module.encoder, module.decoder))
    assert not kept.grad[~masks["encoder.weight"]].any() and kept.grad.any(), "the decoder's part too"
    assert other is kept
