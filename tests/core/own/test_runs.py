"""Runs that show what they do, are broken off and go on, share their work, and start from other people's tickets."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch
from small_networks import experiment, net, numbers, ticket
from torch import nn

from lth_core import own, prune
from lth_core.errors import StoreError, UsageError
from lth_core.own import rounds
from lth_core.own.experiment_hash import identity


class Killed(BaseException):
    pass


def killed_at(message: str) -> Any:
    def tell(said: str) -> None:
        if said == message:
            raise Killed

    return tell


def plain(cells: pd.DataFrame) -> pd.DataFrame:
    return cells.drop(columns="seconds")


def test_a_run_says_its_cost_and_then_each_network() -> None:
    said: list[str] = []
    own.run(experiment(), rounds=1, trials=1, progress=said.append)
    assert said[0].startswith("3 networks of 6 iterations: about 1 s")
    assert said[1:] == [f"trial 0, {x}" for x in ("round 0, ticket", "round 1, ticket", "round 1, reinit")]
    assert own.cost(experiment(), rounds=2, trials=3, arms=own.ARMS, replicates=2).networks == 3 * (1 + 2 * 7)


def test_a_bar_is_shown_where_someone_watches(monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    own.run(experiment(), rounds=1, trials=1)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    own.run(experiment(), rounds=1, trials=1)
    shown = capsys.readouterr().err
    assert "3 networks of 6 iterations" in shown and "3/3" in shown


@pytest.mark.parametrize("changes", [{}, {"rewind": 3}])
def test_a_run_that_was_killed_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    how: dict[str, Any] = dict(rounds=2, trials=2, arms=own.ARMS)
    whole = own.run(experiment(**changes), **how)
    with pytest.raises(Killed):
        own.run(experiment(**changes), **how, store=tmp_path, progress=killed_at("trial 1, round 1, shuffle"))
    trained: list[Any] = []
    real = rounds.trained
    monkeypatch.setattr(rounds, "trained", lambda e, t, key: trained.append(key) or real(e, t, key))
    found = own.run(experiment(**changes), **how, store=tmp_path)
    assert trained[0] == (1, "shuffle", 1, 0) and len(trained) == 6
    assert plain(found.cells).equals(plain(whole.cells)) and found.curves.equals(whole.curves)
    for key, masks in whole.masks.items():
        assert all(torch.equal(found.masks[key][n], m) for n, m in masks.items())
    assert all(torch.equal(found.starts[1][n], w) for n, w in whole.starts[1].items())
    trained.clear()
    assert plain(own.run(experiment(**changes), **how, store=tmp_path).cells).equals(plain(whole.cells)) and not trained


def test_a_diverged_network_is_kept_as_such(tmp_path: Path) -> None:
    e = experiment(optimizer=lambda p: torch.optim.SGD(p, lr=1e38))
    one, other = (own.run(e, rounds=2, trials=1, store=tmp_path) for _ in range(2))
    assert one.cells["diverged"].tolist() == other.cells["diverged"].tolist() == [True]


def test_a_damaged_network_is_named(tmp_path: Path) -> None:
    own.run(experiment(), rounds=1, trials=1, store=tmp_path)
    (file,) = tmp_path.glob("own/*/ticket-0-1-0.safetensors")
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    for wrong in (bytes(data), b"", data[:100]):
        file.write_bytes(wrong)
        with pytest.raises(StoreError, match=r"ticket-0-1-0.*trained again") as error:
            own.run(experiment(), rounds=1, trials=1, store=tmp_path)
        assert "\n" not in str(error.value)
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot be written"):
        own.run(experiment(), rounds=1, trials=1, store=tmp_path / "file")


def rate(lr: float) -> Any:
    return lambda p: torch.optim.SGD(p, lr=lr)


class Deeper(nn.Module):
    """Its class decides what it computes; its weights do not."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x).relu()


class Shallower(Deeper):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.a(x)


OTHERS: dict[str, dict[str, Any]] = {
    "data": {"train": numbers(60, 9)}, "test data": {"test": numbers(20, 9)}, "a rate": {"optimizer": rate(0.2)},
    "loss": {"loss": nn.CrossEntropyLoss(label_smoothing=0.1)}, "rates": {"rates": {"0.weight": 0.5}},
    "seed": {"seed": 1}, "schedule": {"schedule": lambda o: torch.optim.lr_scheduler.StepLR(o, 1)},
    "right": {"right": lambda o, t: o.argmin(1) == t}, "rewind": {"rewind": 1},
    "model": {"model": lambda: nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))},
    "clipping": {"before_step": lambda m: nn.utils.clip_grad_norm_(m.parameters(), 1.0)},
}  # fmt: skip


@pytest.mark.parametrize("what", OTHERS)
def test_another_experiment_is_kept_apart(what: str) -> None:
    base = experiment(optimizer=rate(0.1))
    assert identity(dataclasses.replace(base, **OTHERS[what])) != identity(base)


def test_the_same_experiment_is_found_again() -> None:
    one = experiment(optimizer=rate(0.1))
    same = experiment(optimizer=rate(0.1), train=(numbers()[0].double().numpy(), numbers()[1].int()), device="cpu")
    assert identity(one) == identity(same)
    a, b = (experiment(model=m, rates={"a.weight": 0.5}) for m in (Deeper, Shallower))
    assert identity(a) != identity(b)
    t = ticket(net(), "0.weight")
    assert identity(one, t) != identity(one)


def test_two_machines_share_trials_and_seeds() -> None:
    whole = own.run(experiment(), rounds=1, trials=3)
    parts = [own.run(experiment(), rounds=1, trials=n, first_trial=first) for first, n in ((0, 1), (1, 2))]
    assert plain(pd.concat([p.cells for p in parts], ignore_index=True)).equals(plain(whole.cells))
    assert set(parts[1].starts) == {1, 2} and torch.equal(parts[1].starts[2]["0.weight"], whole.starts[2]["0.weight"])
    other = own.run(experiment(seed=3), rounds=1, trials=1)
    assert not set(other.cells["key"]) & set(whole.cells["key"]) and set(other.cells["seed"]) == {3}
    assert set(whole.cells["key"]) >= {"ticket-0-0-0", "reinit-2-1-0"}


# --- From other people's tickets --------------------------------------------------------------------------------------


def test_a_run_goes_on_from_a_ticket() -> None:
    start = ticket(net(), "0.weight")
    left = int(start.masks["0.weight"].sum())
    e = experiment()
    found = own.run(e, rounds=2, trials=2, start=start)
    assert sorted(set(found.cells["round"])) == [1, 2, 3], "round 1 is the ticket as it came"
    for trial in (0, 1):
        first = found.ticket(trial, 1)
        assert all(torch.equal(first.weights[n], w) for n, w in start.weights.items())
        assert torch.equal(first.masks["0.weight"], start.masks["0.weight"]) and first.masks["2.weight"].all()
        for number in (2, 3):
            masks = found.masks[trial, number]
            assert int(masks["0.weight"].sum()) == prune.kept(left, 0.5, number - 1)
            assert int(masks["2.weight"].sum()) == prune.kept(24, 0.25, number - 1)
            assert not (masks["0.weight"] & ~start.masks["0.weight"]).any()
    assert {"reinit-0-1-0", "reinit-1-3-0"} <= set(found.cells["key"])
    cells = found.cells[(found.cells["round"] == 1)]
    assert ((1 - cells["prune_fc"]) ** cells["round"]).tolist() == pytest.approx(cells["density"].tolist())
    said = own.judge(pd.concat([found.cells, found.cells.assign(trial=2)]), {"x": dict(
        test="ahead", column="end_test", of={"arm": "ticket", "at": 1}, to={"arm": "reinit", "at": 1})})  # fmt: skip
    assert {"effect", "low", "high", "n", "verdict"} <= set(said)


def test_a_run_from_a_ticket_goes_on_with_more_trials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, e = ticket(net(), "0.weight"), experiment()
    first = own.run(e, rounds=1, trials=1, start=start, store=tmp_path)
    trained: list[Any] = []
    real = rounds.trained
    monkeypatch.setattr(rounds, "trained", lambda e, t, key: trained.append(key) or real(e, t, key))
    more = own.run(e, rounds=1, trials=2, start=start, store=tmp_path)
    assert {key[0] for key in trained} == {1}
    assert plain(more.cells[more.cells["trial"] == 0]).equals(plain(first.cells))
    other = ticket(net(), "0.weight", seed=1)
    own.run(e, rounds=1, trials=1, start={0: other}, store=tmp_path)
    assert len(list(tmp_path.glob("own/*"))) == 2


def test_masks_that_are_not_cut_further_stay() -> None:
    start = ticket(net(), "0.weight", "2.weight")
    e = experiment(rates={"0.weight": 0.5})
    found = own.run(e, rounds=1, trials=1, start={0: start})
    assert torch.equal(found.masks[0, 2]["2.weight"], start.masks["2.weight"])
    trained = own.train(e, found.ticket(0, 2)).weights
    assert not trained["2.weight"][~start.masks["2.weight"]].any()


@pytest.mark.parametrize(
    ("start", "said"),
    [
        (net(), "start is no ticket"),
        (net().state_dict(), "start is no ticket"),
        ({1: ticket(net(), "0.weight")}, "lacks a ticket for trial 0"),
        (ticket(nn.Linear(4, 3), "weight"), "another module"),
        (ticket(nn.Sequential(nn.Linear(4, 9), nn.ReLU(), nn.Linear(9, 3)), "0.weight"), "another module"),
    ],
)
def test_a_start_that_does_not_fit_is_one_sentence(start: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        own.run(experiment(), rounds=1, trials=1, start=start)
    assert "\n" not in str(error.value)
