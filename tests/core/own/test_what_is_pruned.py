"""Which parameters are weights, and what may stand for a mask: no network without masks passes as a ticket."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from small_networks import net
from torch import nn
from torch.nn.utils import prune as torch_prune

from lth_core import own, torchprune
from lth_core.errors import UsageError


def refused(error: pytest.ExceptionInfo[UsageError]) -> str:
    said = str(error.value)
    assert "\n" not in said and said.endswith(".")
    return said


class HeadFirst(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.head, self.body = nn.Linear(8, 3), nn.Linear(4, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x))


class OddForward(HeadFirst):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(x)) if float(x.sum()) > 0 else self.head(self.body(-x))


class Tokens(nn.Module):
    """Parameters that a module holds itself: matrices that are weights, and others that are not."""

    def __init__(self) -> None:
        super().__init__()
        self.cls_token, self.pos_embed = nn.Parameter(torch.randn(1, 1, 8)), nn.Parameter(torch.randn(1, 5, 8))
        self.gain = nn.Parameter(torch.randn(8, 8))
        self.w = nn.ParameterList([torch.randn(4, 8), torch.randn(8, 3)])


class Tied(nn.Module):
    """An embedding that is the output layer too, as language models have it; torch cannot follow one of `branches`."""

    def __init__(self, head: str, branches: bool) -> None:
        super().__init__()
        self.wte, self.body, self.called, self.branches = nn.Embedding(9, 4), nn.Linear(4, 4), head, branches
        self.add_module(head, nn.Linear(4, 9, bias=False))
        getattr(self, head).weight = self.wte.weight

    def forward(self, i: torch.Tensor) -> torch.Tensor:
        x = self.body(self.wte(i))
        return getattr(self, self.called)(x if not self.branches or float(x.sum()) > 0 else -x)


def frozen() -> nn.Module:
    module = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 3))
    module[0].requires_grad_(False)
    return module


@pytest.mark.parametrize(
    ("made", "rates"),
    [
        (lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm((8, 4, 8)), nn.Linear(8, 3)),
         {"0.weight": 0.2, "2.weight": 0.1}),
        (lambda: nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.GroupNorm(2, 4), nn.Linear(4, 3)),
         {"0.weight": 0.2, "3.weight": 0.1}),
        (HeadFirst, {"head.weight": 0.1, "body.weight": 0.2}),
        (OddForward, {"head.weight": 0.1, "body.weight": 0.2}),
        (frozen, {"1.weight": 0.1}),
        *((lambda head=head, branches=branches: Tied(head, branches), {"wte.weight": 0.1, "body.weight": 0.2})
          for head in ("lm_head", "o") for branches in (False, True)),
        (Tokens, {"w.0": 0.2, "w.1": 0.1}),
        (lambda: nn.MultiheadAttention(8, 2, add_bias_kv=True), {"in_proj_weight": 0.2, "out_proj.weight": 0.1}),
        (lambda: nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 8)), nn.Linear(8, 3)),
         {"0.parametrizations.weight.original1": 0.2, "1.weight": 0.1}),
        (lambda: nn.Sequential(nn.Linear(4, 8), nn.utils.parametrizations.weight_norm(nn.Linear(8, 3))),
         {"0.weight": 0.2, "1.parametrizations.weight.original1": 0.1}),
        (lambda: nn.Sequential(nn.Linear(1, 8), nn.Linear(8, 1)), {"0.weight": 0.2, "1.weight": 0.1}),
        (lambda: nn.Sequential(nn.ReLU()), {}),
        (lambda: torch.jit.script(net()), {"0.weight": 0.2, "2.weight": 0.1}),
    ],
)  # fmt: skip
def test_rates_are_of_weights(made: Any, rates: dict[str, float]) -> None:
    assert own.rates_of(made()) == rates


def pruned_and_made_permanent() -> tuple[nn.Module, dict[str, torch.Tensor]]:
    module = net()
    initial = copy.deepcopy(module.state_dict())
    torch_prune.l1_unstructured(module[0], "weight", amount=0.5)
    torch_prune.remove(module[0], "weight")
    return module, initial


def test_a_network_without_masks_is_no_ticket() -> None:
    module, initial = pruned_and_made_permanent()
    for source in (module, module.state_dict(), net(), net().state_dict()):
        with pytest.raises(UsageError, match="masks") as error:
            torchprune.ticket_of(source, initial)
        assert "zeros=True" in refused(error)
    assert int(torchprune.ticket_of(module, initial, zeros=True).masks["0.weight"].sum()) == 16
    with pytest.raises(UsageError, match="no weight is 0"):
        torchprune.ticket_of(net(), initial, zeros=True)
    whole = torch_prune.identity(net()[0], "weight")
    with pytest.raises(UsageError, match="prune nothing"):
        torchprune.ticket_of(whole, {"weight": initial["0.weight"], "bias": initial["0.bias"]})


@pytest.mark.parametrize("dtype", [torch.int32, torch.uint8, torch.float32, torch.bool])
def test_masks_of_0_and_1_are_taken_in_any_type(dtype: torch.dtype) -> None:
    module, mask = nn.Linear(2, 1), torch.tensor([[0, 1]]).to(dtype)
    made = own.Ticket({n: w.clone() for n, w in module.state_dict().items()}, {"weight": mask})
    assert made.masks["weight"].dtype == torch.bool
    own.hold(module, {"weight": mask})
    assert module.weight[0, 0] == 0 and own.masked(made.weights, {"weight": mask})["weight"][0, 0] == 0
    assert made.into(nn.Linear(2, 1)).weight[0, 0] == 0


@pytest.mark.parametrize(
    ("mask", "said"),
    [
        (torch.full((1, 2), 0.3), "holds 0.3"),
        (torch.tensor([[2, 1]]), "holds 2"),
        (torch.tensor([True, False]), "has shape"),
        ("half", "is a str"),
    ],
)
def test_other_masks_are_refused(mask: Any, said: str) -> None:
    weights = {n: w.clone() for n, w in nn.Linear(2, 1).state_dict().items()}
    for act in (
        lambda: own.Ticket(weights, {"weight": mask}),
        lambda: own.masked(weights, {"weight": mask}),
        lambda: own.hold(nn.Linear(2, 1), {"weight": mask}),
    ):
        with pytest.raises(UsageError, match=said) as error:
            act()
        refused(error)


def test_a_mask_of_nothing_is_refused() -> None:
    weights, masks = {"weight": torch.ones(1, 2)}, {"weigth": torch.ones(1, 2, dtype=torch.bool)}
    for act in (lambda: own.Ticket(weights, masks), lambda: own.masked(weights, masks),
                lambda: own.hold(nn.Linear(2, 1), masks)):  # fmt: skip
        with pytest.raises(UsageError, match="weigth"):
            act()
