"""Examples in the forms in which people have them, and losses that look at them in their own way."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from small_networks import experiment, net, numbers
from torch import nn
from torch.utils.data import DataLoader, Dataset, TensorDataset

from lth_core import own
from lth_core.errors import UsageError


class Pairs(Dataset):
    """A map-style data set of a kind of its own."""

    def __len__(self) -> int:
        return 60

    def __getitem__(self, i: int) -> tuple[torch.Tensor, int]:
        x, y = numbers()
        return x[i], int(y[i])


FORMS = {
    "tensors": lambda x, y: (x, y),
    "a list": lambda x, y: [x, y],
    "numpy": lambda x, y: (x.numpy(), y.numpy()),
    "numpy of doubles": lambda x, y: (x.numpy().astype(np.float64), y.numpy().astype(np.int32)),
    "numpy, Fortran order": lambda x, y: (np.asfortranarray(x.numpy()), y.numpy()),
    "numpy, other byte order": lambda x, y: (x.numpy().astype(">f4"), y.numpy().astype(">i2")),
    "doubles": lambda x, y: (x.double(), y.int()),
    "int16 labels": lambda x, y: (x, y.short()),
    "uint8 labels": lambda x, y: (x, y.to(torch.uint8)),
    "a view that needs gradients": lambda x, y: (x.clone().requires_grad_(), y),
    "pandas": lambda x, y: (pd.DataFrame(x.numpy()), pd.Series(y.numpy())),
    "plain lists": lambda x, y: (x.tolist(), y.tolist()),
    "TensorDataset": lambda x, y: TensorDataset(x, y),
    "Dataset": lambda x, y: Pairs(),
    "Subset": lambda x, y: torch.utils.data.Subset(TensorDataset(x, y), range(60)),
    "DataLoader": lambda x, y: DataLoader(TensorDataset(x, y), batch_size=7),
}


@pytest.mark.parametrize("form", FORMS)
def test_forms_of_examples_train_the_same_network(form: str) -> None:
    plain = own.run(experiment(), rounds=1, trials=1)
    same = own.run(experiment(train=FORMS[form](*numbers())), rounds=1, trials=1)
    assert same.curves.equals(plain.curves)
    x, y = numbers(20, 1)
    assert own.run(experiment(val=TensorDataset(x, y)), rounds=1, trials=1).curves.equals(plain.curves)


def test_a_loader_that_shuffles_is_read_in_one_order() -> None:
    one, other = (experiment(train=DataLoader(TensorDataset(*numbers()), batch_size=9, shuffle=True)) for _ in "12")
    assert torch.equal(one.train[0], other.train[0]) and not torch.equal(one.train[0], numbers()[0])
    assert torch.equal(one.train[0].sort(0).values, numbers()[0].sort(0).values)


class Two(nn.Module):
    """Two inputs, by place or by name."""

    def __init__(self) -> None:
        super().__init__()
        self.e, self.out = nn.Embedding(10, 4, sparse=False), nn.Linear(4, 3)

    def forward(self, ids: torch.Tensor, length: torch.Tensor) -> torch.Tensor:
        return self.out(self.e(ids).mean(1) / length[:, None])


def several(n: int, seed: int, kind: str) -> Any:
    draw = torch.Generator().manual_seed(seed)
    ids, length = torch.randint(10, (n, 5), generator=draw), torch.full((n,), 5.0)
    y = torch.randint(3, (n,), generator=draw)
    if kind == "dict":
        return {"ids": ids, "length": length}, y
    return TensorDataset(ids, length, y) if kind == "dataset" else ((ids, length), y)


@pytest.mark.parametrize("kind", ["tuple", "dict", "dataset"])
def test_several_inputs(kind: str) -> None:
    e = experiment(
        model=Two, rates={"e.weight": 0.5, "out.weight": 0.5}, val=None,
        **{part: several(n, i, kind) for i, (part, n) in enumerate((("train", 40), ("test", 20)))},
    )  # fmt: skip
    found = own.run(e, rounds=1, trials=1)
    assert len(found.cells) == 3 and found.cells["end_val"].between(0, 1).all()


def regression() -> dict[str, Any]:
    def pair(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, _ = numbers(n, seed)
        return x, x[:, :1] ** 2

    return dict(
        model=lambda: nn.Linear(4, 1), loss=nn.functional.mse_loss, rates={"weight": 0.5},
        right=lambda o, t: (o - t).abs() < 0.5, train=pair(60, 0), val=pair(20, 1), test=pair(20, 2),
    )  # fmt: skip


def one_hot() -> dict[str, Any]:
    def pair(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        x, y = numbers(n, seed)
        return x, nn.functional.one_hot(y, 3).double()

    return dict(train=pair(60, 0), val=pair(20, 1), test=pair(20, 2))


def tokens() -> dict[str, Any]:
    class Tagger(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.e, self.out = nn.Embedding(10, 6), nn.Linear(6, 3)

        def forward(self, ids: torch.Tensor) -> torch.Tensor:
            return self.out(self.e(ids)).transpose(1, 2)

    def pair(n: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
        ids = torch.randint(10, (n, 5), generator=torch.Generator().manual_seed(seed))
        return ids, ids % 3

    return dict(
        model=Tagger, rates={"out.weight": 0.5}, train=pair(60, 0), val=pair(20, 1), test=pair(20, 2),
        right=lambda o, t: (o.argmax(1) == t).all(1),
    )  # fmt: skip


class Outputs(dict):
    """What libraries of transformers return: a dict whose entries are attributes too."""

    def __getattr__(self, name: str) -> Any:
        return self[name]


def objects() -> dict[str, Any]:
    class Wrapped(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.inner = net()

        def forward(self, x: torch.Tensor) -> Outputs:
            return Outputs(logits=self.inner(x))

    return dict(
        model=Wrapped, rates={"inner.0.weight": 0.5}, loss=lambda o, t: nn.functional.cross_entropy(o.logits, t),
        right=lambda o, t: o.logits.argmax(1) == t, at_once=7,
    )  # fmt: skip


@pytest.mark.parametrize("task", [regression, one_hot, tokens, objects])
def test_kinds_of_targets_and_outputs(task: Any) -> None:
    found = own.run(experiment(**task()), rounds=1, trials=1)
    assert np.isfinite(found.curves["val_loss"]).all() and found.cells["end_test"].between(0, 1).all()


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (None, "train is missing"),
        (numbers()[0], "train is a Tensor"),
        ("mnist", "train is a str"),
        ((numbers()[0], numbers(50)[1]), "60 inputs and 50 targets"),
        (((numbers()[0], numbers(50)[0]), numbers()[1]), "several inputs of 50, 60 examples"),
        ((np.array(["a", "b"]), np.array([0, 1])), "no numbers"),
        ((torch.tensor(1.0), torch.tensor(1)), "a number where examples belong"),
        ((numbers()[0][:0], numbers()[1][:0]), "0 inputs and 0 targets"),
        (([[1.0, 2.0], [3.0]], [0, 1]), "no numbers"),
        (DataLoader(TensorDataset(numbers()[0])), "batches of (inputs, targets)"),
        ((numbers(60, width=5)[0], numbers()[1]), "does not take an example of train"),
        ((numbers()[0].to(torch.uint8), numbers()[1]), "x.float() / 255."),
        ((numbers()[0].long(), numbers()[1]), "no indices go in as x.float()"),
        ((numbers()[0], numbers(classes=9)[1]), "3 outputs"),
        ((numbers()[0], numbers()[1] - 1), "has the class -1"),
        ((numbers()[0], numbers()[1].float()), "one an example: give y.long().flatten()."),
        ((numbers()[0], numbers()[1][:, None]), "one an example: give y.long().flatten()."),
        ((numbers()[0], torch.zeros(60, 4, dtype=torch.int64)), "cannot be computed on train"),
    ],
)
def test_what_cannot_be_taken_is_one_sentence(given: Any, said: str) -> None:
    with pytest.raises(UsageError) as error:
        own.run(experiment(train=given), rounds=1, trials=1)
    text = str(error.value)
    assert said in text and "\n" not in text and text.endswith(".")


@pytest.mark.parametrize("targets", [torch.ones(60, 3, dtype=torch.bool), torch.zeros(60, 3, dtype=torch.int32)])
def test_whole_numbers_that_are_no_classes_are_told(targets: torch.Tensor) -> None:
    """Several labels an example: torch's losses that compare numbers take no whole ones."""
    task = dict(loss=nn.BCEWithLogitsLoss(), right=lambda o, t: ((o > 0) == t.bool()).all(1))
    with pytest.raises(UsageError, match=r"takes y.float\(\)"):
        own.run(experiment(**task, train=(numbers()[0], targets)), rounds=1, trials=1)
