"""A row that means nothing is refused with one sentence that names the field."""

from __future__ import annotations

from typing import Any

import pytest

from lth_core import data
from lth_core.errors import UsageError
from lth_core.spec import ALLOWED, Spec, from_dict

WRONG: list[tuple[dict[str, Any], str]] = [
    ({"optimizer": "lion"}, "optimizer = 'lion' does not exist; allowed: adam"),
    ({"lr": float("nan")}, "lr = nan is not a finite number"),
    ({"iterations": 2.5}, "iterations = 2.5 is not a whole number"),
    ({"trial": "first"}, "trial = 'first' is not a whole number"),
    ({"arch": 300}, "arch = 300 is not a name"),
    ({"prune_fc": 1.0}, r"prune_fc = 1.0 is not in \[0, 1\)"),
    ({"dropout": -0.1}, r"dropout = -0.1 is not in \[0, 1\)"),
    ({"batch_size": 0}, "batch_size = 0 must be at least 1"),
    ({"round": -1}, "round = -1 must not be negative"),
    ({"iterations": 250, "eval_every": 100}, "iterations = 250 must be a multiple of eval_every = 100"),
    ({"iterations": 200, "rewind": 300}, "rewind = 300 is not an iteration of the training: give 0 to 200"),
    ({"arm": "reinit"}, "arm = 'reinit' needs a round of at least 1"),
    ({"dataset": "foo"}, "dataset = 'foo' does not exist; allowed: mnist, cifar10, digits, digits16, digits32"),
    ({"lr_drops": (-5,)}, r"lr_drops = \(-5,\) must not be negative"),
    ({"lr": -1}, "lr = -1.0 is not allowed: give a positive number"),
    ({"lr": 0}, "lr = 0.0 is not allowed: give a positive number"),
    ({"weight_decay": -1}, "weight_decay = -1.0 must not be negative"),
    ({"init": "truncated"}, "init_sd = 0.0 draws no weights for init = 'truncated': give a positive number"),
    ({"init": "truncated", "init_sd": -0.1}, "init_sd = -0.1 draws no weights"),
]


@pytest.mark.parametrize(("fields", "sentence"), WRONG)
def test_a_row_that_means_nothing_is_refused(fields: dict[str, Any], sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence) as error:
        Spec(**fields)
    assert str(error.value).endswith(".") and "\n" not in str(error.value)


def test_the_data_sets_of_a_row_are_those_that_can_be_read() -> None:
    assert ALLOWED["dataset"] == tuple(data.KNOWN)


def test_numbers_that_are_whole_are_taken_as_such() -> None:
    """Parquet and JSON may bring 2.0 for 2; both are the same row."""
    assert Spec(round=2.0, iterations=200.0) == Spec(round=2, iterations=200)  # type: ignore[arg-type]
    assert Spec(lr_drops=[100.0]).lr_drops == (100,)  # type: ignore[arg-type]


@pytest.mark.parametrize(("change", "word"), [({"depth": 3}, "unknown"), ({"lr": None}, "missing")])
def test_stored_fields_are_never_filled_in(change: dict[str, Any], word: str) -> None:
    fields = {k: v for k, v in {**vars(Spec()), **change}.items() if v is not None}
    with pytest.raises(UsageError, match=f"{word} fields .* another version"):
        from_dict(fields)


def test_a_row_with_other_counts_is_looked_at_like_any() -> None:
    row = Spec(lr=0.1, trial=3).at_round(1, arm="reinit")
    assert row.with_counts(trial=5, round=4, replicate=2) == Spec(lr=0.1, trial=5, round=4, arm="reinit", replicate=2)
    assert Spec().with_counts(trial=2.0) == Spec(trial=2)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="trial = -1 must not be negative"):
        Spec().with_counts(trial=-1)
    with pytest.raises(TypeError, match=r"the unpruned network is at_round\(0\)"):
        row.with_counts(round=0)
    with pytest.raises(TypeError, match="no such counts"):
        row.with_counts(tril=1)
