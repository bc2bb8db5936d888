"""Networks in wrappers, weights that are not what they seem, and outputs of other kinds than one tensor."""

from __future__ import annotations

import copy
import dataclasses
import warnings
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch
from small_networks import experiment, net, numbers, ticket
from torch import nn
from torch.nn.utils import parametrizations
from torch.nn.utils import prune as torch_prune
from torch.optim.swa_utils import AveragedModel

from lth_core import own, torchprune
from lth_core.errors import UsageError

MADE = ticket(net(), "0.weight", "2.weight")
WRAPPERS: dict[str, Any] = {
    "torch.compile": lambda module: torch.compile(module, backend="eager"),
    "DataParallel": nn.DataParallel,
    "both": lambda module: nn.DataParallel(torch.compile(module, backend="eager")),
}


def held(module: nn.Module) -> None:
    """A few steps of a plain loop, after which what is masked is still 0."""
    optimizer = torch.optim.Adam(module.parameters(), lr=0.1, weight_decay=0.1)
    x, y = numbers()
    for _ in range(3):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(x), y).backward()
        optimizer.step()
    plain = torchprune.masks_of(module)
    assert {n.split(".", 1)[0] for n in plain} and sum(int(m.sum()) for m in plain.values()) == KEPT
    weights = [m.weight for m in module.modules() if isinstance(m, nn.Linear)]
    for weight, mask in zip(weights, MADE.masks.values(), strict=True):
        assert not weight[~mask].any() and weight[mask].all()


KEPT = sum(int(m.sum()) for m in MADE.masks.values())


@pytest.mark.parametrize("around", WRAPPERS)
def test_what_wrappers_put_into_names_does_not_count(around: str) -> None:
    wrapped = WRAPPERS[around](net())
    held(torchprune.apply(wrapped, MADE))
    module = MADE.into(WRAPPERS[around](net()))
    own.hold(module, MADE.masks)
    pruned = net()
    for name, mask in MADE.masks.items():
        torch_prune.custom_from_mask(pruned[int(name[0])], "weight", mask)
    back = torchprune.ticket_of(WRAPPERS[around](pruned), MADE.weights)
    assert all(torch.equal(back.masks[n], m) for n, m in MADE.masks.items()) and back.masks.keys() == MADE.masks.keys()
    state = WRAPPERS[around](pruned).state_dict()
    assert torchprune.ticket_of(state, MADE.weights).masks.keys() == MADE.masks.keys()


def test_a_ticket_of_a_wrapped_network_goes_into_the_plain_one_and_back() -> None:
    model = lambda: nn.DataParallel(net())  # noqa: E731
    e = experiment(model=model, rates={"module.0.weight": 0.5})
    found = own.run(e, rounds=1, trials=1, arms=["ticket"]).ticket(0, 1)
    plain = found.into(net())
    assert torch.equal(plain[0].weight == 0, ~found.masks["module.0.weight"])
    start = own.Ticket(MADE.weights, {"0.weight": MADE.masks["0.weight"]})
    again = own.run(e, rounds=1, trials=1, arms=["ticket"], start=start)
    assert torch.equal(again.masks[0, 1]["module.0.weight"], start.masks["0.weight"])
    assert torch.equal(own.train(e, start).weights["module.0.weight"] == 0, ~start.masks["0.weight"])


def test_a_part_of_ones_own_called_module_keeps_its_name() -> None:
    class Around(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.module, self.last = net(), nn.Linear(3, 3)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.last(self.module(x))

    e = experiment(model=Around, rates={"module.0.weight": 0.5})
    found = own.run(e, rounds=1, trials=1, arms=["ticket"]).ticket(0, 1)
    back = torchprune.ticket_of(torchprune.apply(Around(), found), found.weights)
    assert list(back.masks) == ["module.0.weight"]
    with pytest.raises(UsageError, match="another module"):
        found.into(net())


def test_an_averaged_model_is_read_by_its_networks_names() -> None:
    pruned = net()
    torch_prune.custom_from_mask(pruned[0], "weight", MADE.masks["0.weight"])
    averaged = AveragedModel(torchprune.apply(net(), MADE))
    assert torchprune.ticket_of(averaged, MADE.weights).masks.keys() == MADE.masks.keys()


def test_masks_of_a_module_are_its_own() -> None:
    given = copy.deepcopy(MADE)
    one, other = (torchprune.apply(net(), given) for _ in "12")
    one.load_state_dict({n: torch.ones_like(t) for n, t in one.state_dict().items()})
    assert torch.equal(given.masks["0.weight"], MADE.masks["0.weight"]), "the ticket's"
    assert torch.equal(torchprune.masks_of(other)["0.weight"], MADE.masks["0.weight"]), "another module's"


def test_a_plain_module_goes_where_torch_takes_no_parametrised_one(tmp_path: Path) -> None:
    module = torchprune.plain(torchprune.apply(net(), MADE))
    torch.save(module, tmp_path / "whole.pt")
    back = torch.load(tmp_path / "whole.pt", weights_only=False)
    assert torch.equal(back[0].weight, MADE.weights["0.weight"]) and type(back[0]) is nn.Linear
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        small = torch.ao.quantization.quantize_dynamic(back, {nn.Linear}, dtype=torch.qint8)
    with pytest.raises(UsageError, match="quantised"):
        torchprune.ticket_of(small, MADE.weights, zeros=True)


def test_a_ticket_is_a_copy_that_no_training_changes() -> None:
    module, masks = net(), {n: m.clone() for n, m in MADE.masks.items()}
    made = own.Ticket(module.state_dict(), masks)
    before = module[0].weight.detach().clone()
    with torch.no_grad():
        module[0].weight.add_(1)
    masks["0.weight"].fill_(True)
    assert torch.equal(made.weights["0.weight"], before)
    assert torch.equal(made.masks["0.weight"], MADE.masks["0.weight"])


# --- Weights that are not what they seem -----------------------------------------------------------------------------


def orthogonal() -> nn.Module:
    return nn.Sequential(parametrizations.orthogonal(nn.Linear(4, 8)), nn.ReLU(), nn.Linear(8, 3))


def test_a_weight_that_is_not_0_where_its_original_is_cannot_be_pruned() -> None:
    assert own.rates_of(orthogonal()) == {"2.weight": 0.1}
    with pytest.raises(UsageError, match="would prune nothing"):
        experiment(model=orthogonal, rates={"0.parametrizations.weight.original": 0.5})
    name = "0.parametrizations.weight.original"
    for kind in (parametrizations.spectral_norm, parametrizations.weight_norm):
        made = nn.Sequential(kind(nn.Linear(4, 3)))
        assert any(n.startswith(name) for n in own.rates_of(made)), "is 0 there"


class TwoInOne(nn.Module):
    """Two parameters that are views of the same numbers: an encoder, and its transpose as decoder."""

    def __init__(self) -> None:
        super().__init__()
        self.up, self.down = nn.Linear(4, 6), nn.Linear(6, 4)
        self.down.weight = nn.Parameter(self.up.weight.data.t())
        self.out = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.out(self.down(self.up(x).relu()))


class Flags(nn.Module):
    """A parameter of bool, which nothing can rank."""

    def __init__(self) -> None:
        super().__init__()
        self.out = nn.Linear(4, 3)
        self.open = nn.Parameter(torch.ones(3, 4, dtype=torch.bool), requires_grad=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return nn.functional.linear(x, self.out.weight * self.open, self.out.bias)


def on_meta() -> nn.Module:
    with torch.device("meta"):
        return net()


def quantised() -> nn.Module:
    return nn.Sequential(nn.ReLU())


@pytest.mark.parametrize(
    ("model", "rates", "said"),
    [
        (TwoInOne, {"up.weight": 0.5}, "several parameters in one memory"),
        (Flags, {"open": 0.5}, "no magnitudes"),
        (on_meta, {"0.weight": 0.5}, "device meta"),
        (quantised, {"0.weight": 0.5}, "no parameters"),
    ],
)
def test_a_model_that_cannot_be_pruned_is_one_sentence(model: Any, rates: dict[str, float], said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        experiment(model=model, rates=rates)
    assert "\n" not in str(error.value)


def test_other_parameters_of_such_models_can_be() -> None:
    assert list(own.run(experiment(model=Flags, rates={"out.weight": 0.5}), rounds=1, trials=1).cells.weights)


def test_a_program_of_torchscript_is_one_sentence() -> None:
    with pytest.raises(UsageError, match="TorchScript"):
        torchprune.apply(torch.jit.script(net()), MADE)
    with pytest.raises(UsageError, match="takes a module"):
        torchprune.apply(MADE.weights, MADE)  # type: ignore[arg-type]


# --- Outputs ----------------------------------------------------------------------------------------------------------


class Output(OrderedDict):
    """As the models of a well-known hub answer: by name, and None where nothing is asked for."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


@dataclasses.dataclass
class Answer:
    logits: torch.Tensor
    hidden: Any = None


class Answering(nn.Module):
    def __init__(self, kind: Any) -> None:
        super().__init__()
        self.inner, self.kind = net(), kind

    def forward(self, x: torch.Tensor) -> Any:
        return self.kind(logits=self.inner(x), hidden=None)


@pytest.mark.parametrize("kind", [Output, Answer])
def test_outputs_with_empty_parts_are_evaluated_in_pieces(kind: Any) -> None:
    def change(pieces: int) -> own.Experiment:
        return experiment(
            model=lambda: Answering(kind), rates={"inner.0.weight": 0.5}, at_once=pieces,
            loss=lambda o, y: nn.functional.cross_entropy(o.logits, y), right=lambda o, y: o.logits.argmax(1) == y,
        )  # fmt: skip

    whole, pieces = (own.run(change(n), rounds=1, trials=1, arms=["ticket"]).curves for n in (100, 7))
    assert whole["test_correct"].equals(pieces["test_correct"])
    assert ((whole["test_loss"] - pieces["test_loss"]).abs() < 1e-5).all()
