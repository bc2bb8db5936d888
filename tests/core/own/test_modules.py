"""Modules of all kinds: trained under masks by our loop, and by anybody's loop after `torchprune.apply`."""

from __future__ import annotations

import copy
import io
import warnings
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import experiment, net, numbers, ticket
from torch import nn
from torch._subclasses import FakeTensorMode
from torch.nn.utils import parametrizations

from lth_core import own, torchprune
from lth_core.errors import UsageError
from lth_core.own.state_dicts import copied


class Attention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.out = nn.MultiheadAttention(4, 2, batch_first=True), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x[:, None] * torch.arange(1.0, 4.0)[:, None].to(x)
        return self.out(self.a(x, x, x)[0].mean(1))


class Encoder(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.e, self.out = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0.0), nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.e(x[:, None] * torch.arange(1.0, 4.0)[:, None].to(x)).mean(1))


class Lists(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.w = nn.ParameterList([torch.randn(4, 6), torch.randn(6, 4)])
        self.d = nn.ParameterDict({"q": torch.randn(4, 3)})

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return (x @ self.w[0]).relu() @ self.w[1] @ self.d["q"]


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.r, self.out = nn.LSTM(4, 5, 2, batch_first=True, bidirectional=True), nn.Linear(10, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.r(x[:, None].expand(-1, 3, -1))[0][:, -1])


class ReadElsewhere(nn.Module):
    """The weight of one layer is read by the forward pass of another, and the layer itself is never called."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.out = nn.Linear(4, 4), nn.Linear(4, 3)
        self.reader = [self.a]  # hidden from torch: no second name

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(nn.functional.linear(x, self.reader[0].weight).relu())


class Normed(nn.Module):
    """Weight and spectral normalisation, old and new."""

    def __init__(self) -> None:
        super().__init__()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            self.old = nn.utils.weight_norm(nn.Linear(4, 9))
            self.older = nn.utils.spectral_norm(nn.Linear(9, 4))
        self.new = parametrizations.weight_norm(nn.Linear(4, 4))
        self.newer = parametrizations.spectral_norm(nn.Linear(4, 4))
        self.out = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.newer(self.new(self.older(self.old(x)))))


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, 4), nn.Linear(4, 4), nn.Linear(4, 3)
        self.b.weight = self.a.weight

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.b(self.a(x).relu()))


class Counting(nn.Module):
    """Extra state that is no tensor, and a buffer that the state dict leaves out."""

    def __init__(self) -> None:
        super().__init__()
        self.out, self.seen = nn.Linear(4, 3), {"calls": 0}
        self.register_buffer("scale", torch.ones(4), persistent=False)

    def get_extra_state(self) -> dict[str, int]:
        return dict(self.seen)

    def set_extra_state(self, state: dict[str, int]) -> None:
        self.seen = dict(state)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen["calls"] += 1
        return self.out(x * self.scale)


KINDS: dict[type[nn.Module], list[str]] = {
    Attention: ["a.in_proj_weight", "a.out_proj.weight"],
    Encoder: ["e.self_attn.in_proj_weight", "e.self_attn.out_proj.weight", "e.linear1.weight"],
    Lists: ["w.0", "w.1", "d.q"],
    Recurrent: ["r.weight_ih_l0", "r.weight_hh_l1_reverse"],
    ReadElsewhere: ["a.weight"],
    Normed: ["old.weight_v", "new.parametrizations.weight.original1", "newer.parametrizations.weight.original"],
    Tied: ["a.weight"],
    Counting: ["out.weight"],
}


@pytest.mark.parametrize("kind", KINDS)
def test_rounds_of_each_kind(kind: Any) -> None:
    e = experiment(model=kind, rates=dict.fromkeys(KINDS[kind], 0.2))
    found = own.run(e, rounds=2, trials=1, arms=own.ARMS)
    assert len(found.cells) == 9 and not found.cells["diverged"].any()
    trained = own.train(e, found.ticket(0, 2)).weights
    for name, mask in found.masks[0, 2].items():
        assert 0 < int(mask.sum()) < mask.numel() and not trained[name][~mask].any()


@pytest.mark.parametrize("kind", KINDS)
def test_masks_hold_in_any_loop_however_weights_are_read(kind: Any) -> None:
    names, (x, y) = KINDS[kind], numbers()
    made = ticket(kind(), *names)
    base, module = made.into(kind()).eval(), torchprune.apply(kind(), made).eval()
    torch.testing.assert_close(module(x), base(x), rtol=1e-4, atol=1e-6)
    with torch.no_grad():  # where torch may take another, fused path
        torch.testing.assert_close(module(x), base(x), rtol=1e-4, atol=1e-6)
    optimizer = torch.optim.AdamW(module.parameters(), lr=0.1, weight_decay=0.1)
    module.train()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    state, masks = torchprune.state_of(module), torchprune.masks_of(module)
    assert set(state) == set(kind().state_dict())
    for name in names:
        assert torch.equal(masks[name], made.masks[name])
        assert not state[name][~masks[name]].any() and not torch.equal(state[name], made.weights[name])
    module.eval()
    file = io.BytesIO()
    torch.save(module.state_dict(), file)
    again = torchprune.apply(kind(), made).eval()
    again.load_state_dict(torch.load(io.BytesIO(file.getvalue())))
    assert torch.equal(again(x), module(x))
    if kind is not Normed:  # torch's own old normalisations cannot be copied
        whole = torchprune.plain(copy.deepcopy(module))
        assert set(whole.state_dict()) == set(kind().state_dict())
        assert torch.equal(whole(x), module(x)), "and the module that was copied still works"


def test_averaged_models_and_copies_train_on() -> None:
    (x, y), made = numbers(), ticket(net(), "0.weight")
    module = torchprune.apply(net(), made)
    average = torch.optim.swa_utils.AveragedModel(module)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
    for _ in range(3):
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
        average.update_parameters(module)
    assert not average.module[0].weight[~made.masks["0.weight"]].any()
    copied_module = copy.deepcopy(module)
    nn.functional.cross_entropy(copied_module(x), y).backward()
    assert not copied_module[0].parametrizations.weight.original.grad[~made.masks["0.weight"]].any()


def test_a_weight_kept_in_a_list_is_refused() -> None:
    class Kept(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 3)
            self.all = {"first": [self.a.weight]}

    with pytest.raises(UsageError, match=r"a\.weight is also kept in all.*own\.hold"):
        torchprune.apply(Kept(), ticket(Kept(), "a.weight"))


def test_torchs_own_form_is_refused_where_its_hook_is_not_called() -> None:
    for kind, name in ((Attention, "a.out_proj.weight"), (Lists, "w.0")):
        with pytest.raises(UsageError, match="form='parametrization'"):
            torchprune.apply(kind(), ticket(kind(), name), form="prune")
    module = torchprune.apply(net(), ticket(net(), "0.weight"), form="prune")
    assert torch.nn.utils.prune.is_pruned(module) and set(torchprune.plain(module).state_dict()) == set(
        net().state_dict()
    )


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_networks_of_other_types(dtype: torch.dtype) -> None:
    e = experiment(model=lambda: net().to(dtype))
    assert e.train[0].dtype == dtype
    found = own.run(e, rounds=2, trials=1, arms=own.ARMS)
    assert found.cells["weights"].tolist()[-1] == found.cells["weights"].tolist()[-4] == 8 + 14
    assert found.ticket(0, 2).weights["0.weight"].dtype == dtype


def test_a_cut_of_bfloat16_is_the_cut_of_its_values() -> None:
    e, draw = experiment(), {n: w.bfloat16() for n, w in copied(net().state_dict()).items()}
    alive = {n: torch.ones_like(draw[n], dtype=torch.bool) for n in e.rates}
    one, other = own.cut(e, draw, alive, 1), own.cut(e, {n: w.float() for n, w in draw.items()}, alive, 1)
    assert all(torch.equal(one[n], other[n]) for n in one)


def test_sparse_gradients_of_embeddings_are_masked() -> None:
    module = nn.Embedding(6, 3, sparse=True)
    mask = torch.rand(6, 3, generator=torch.Generator().manual_seed(0)) > 0.5
    module(torch.tensor([1, 1, 4])).sum().backward()
    dense = module.weight.grad.to_dense()
    own.hold(module, {"weight": mask}, gradients=True)
    assert module.weight.grad.is_sparse
    assert torch.equal(module.weight.grad.to_dense(), dense.masked_fill(~mask, 0))

    class Bag(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.out = nn.Embedding(10, 4, sparse=True), nn.Linear(4, 3)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.out(self.e(ids).mean(1))

    ids = torch.randint(10, (40, 5), generator=torch.Generator().manual_seed(0))
    e = experiment(
        model=Bag, train=(ids, ids[:, 0] % 3), val=None, test=(ids, ids[:, 0] % 3), rates={"e.weight": 0.5},
        optimizer=lambda p: [torch.optim.SparseAdam([p.named["e.weight"]]), torch.optim.Adam(list(p)[1:])],
    )  # fmt: skip
    found = own.run(e, rounds=1, trials=1)
    assert not own.train(e, found.ticket(0, 1)).weights["e.weight"][~found.masks[0, 1]["e.weight"]].any()


def test_extra_state_cannot_be_kept_on_a_disk(tmp_path: Path) -> None:
    e = experiment(model=Counting, rates={"out.weight": 0.5})
    with pytest.raises(UsageError, match="_extra_state is no tensor"):
        own.run(e, rounds=1, trials=1, store=tmp_path, progress=lambda message: pytest.fail("nothing is trained"))


def test_complex_weights() -> None:
    class Complex(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(4, 3, dtype=torch.complex64)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x.to(torch.complex64)).abs()

    found = own.run(experiment(model=Complex, rates={"a.weight": 0.5}), rounds=1, trials=1)
    assert int(found.masks[0, 1]["a.weight"].sum()) == 6


def test_a_single_number_can_be_pruned() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.scale = nn.Linear(4, 3), nn.Parameter(torch.tensor(1.5))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.a(x) * self.scale

    found = own.run(experiment(model=Scaled, rates={"a.weight": 0.5, "scale": 0.6}), rounds=1, trials=1)
    assert found.cells["weights"].tolist() == [13, 6, 6]


def test_masks_go_where_the_weights_are() -> None:
    """A GPU that is not here: tensors without values, whose devices are checked as CUDA checks them."""
    made = ticket(net(), "0.weight")
    with FakeTensorMode(allow_non_fake_inputs=True):
        for form in ("parametrization", "prune"):
            module = nn.Sequential(nn.Linear(4, 8, device="cuda"), nn.ReLU(), nn.Linear(8, 3, device="cuda"))
            module = torchprune.apply(module, made, form=form)
            assert module(torch.zeros(2, 4, device="cuda")).device.type == "cuda"
            assert module[0].weight.device.type == "cuda"
        weights = {n: w.to("cuda") for n, w in made.weights.items()}
        assert own.masked(weights, made.masks)["0.weight"].device.type == "cuda"
        module = nn.Sequential(nn.Linear(4, 8, device="cuda"))
        own.hold(module, made.masks)
