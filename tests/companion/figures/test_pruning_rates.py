"""Training spent: all trainings of a chain count, and sizes between two rounds are read off the line between them."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lth_companion.experiments.study import Study
from lth_companion.figures import pruning_rates


def table(rates: dict[float, int]) -> pd.DataFrame:
    """Tickets of rates (fraction a round -> rounds), whose accuracy is the log of their size; and one single cut."""
    rows = [dict(round=0, prune_fc=0.0, arm="ticket")]
    rows += [dict(round=r, prune_fc=p, arm=arm) for p, n in rates.items() for r in range(1, n + 1)
             for arm in ("ticket", "reinit")]  # fmt: skip
    rows.append(dict(round=1, prune_fc=0.9, arm="ticket"))
    made = pd.DataFrame(rows).assign(iterations=100)
    percent = 100 * (1 - made["prune_fc"]) ** made["round"]
    return pd.concat([made.assign(percent=percent, end_test=np.log(percent) + t, trial=t) for t in (0, 1)])


def test_a_chain_costs_all_its_trainings() -> None:
    found = pruning_rates.chains(table({0.5: 4, 0.2: 10}))
    assert set(found["arm"]) == {"ticket"} and found["round"].min() == 1
    assert sorted(found["rate"].unique()) == [0.0, 20.0, 50.0]
    slow = found[(found["rate"] == 50) & (found["round"] == 4) & (found["trial"] == 0)]
    assert slow["spent"].tolist() == [500], "the unpruned network and four tickets"
    assert set(found.loc[(found["rate"] == 0) & np.isclose(found["prune_fc"], 0.9), "spent"]) == {200}


def test_between_two_rounds_the_line_is_read_and_the_round_below_is_paid() -> None:
    read = pruning_rates.at_size(pruning_rates.chains(table({0.5: 4, 0.2: 10})), 20.0, "end_test").set_index(
        ["rate", "trial"]
    )
    assert np.allclose(read["value"], [np.log(20) + t for _, t in read.index])
    assert read["spent"].to_dict() == {(0.0, 0): 200, (0.0, 1): 200, (20.0, 0): 900, (20.0, 1): 900,
                                       (50.0, 0): 400, (50.0, 1): 400}  # fmt: skip


def test_a_way_that_ends_before_a_size_says_nothing_of_it() -> None:
    found = pruning_rates.chains(table({0.5: 2, 0.2: 10}))
    assert 50.0 not in set(pruning_rates.at_size(found, 20.0, "end_test")["rate"])
    assert 20.0 in set(pruning_rates.at_size(found, 20.0, "end_test")["rate"])


def test_the_figure_and_its_sentence_come_from_published_networks() -> None:
    study = Study(notebook="v1_6_parameters")
    shown = pruning_rates.worth(study, "v1-fig15", caption="Is it?").text
    assert "3 trials, 15,000 iterations" in shown and "70% a round" in shown
    said = pruning_rates.answer(study, "v1-fig15", percent=10).data
    own = pruning_rates.at_size(
        pruning_rates.chains(pruning_rates.levelled(study.table("v1-fig15"), "mnist")), 10, "end_test"
    )
    means = own.groupby("rate")["value"].mean()
    assert f"**{100 * (means[20] - means[70]):.2f} points more accurate**" in said and "4.0 times the training" in said


def test_what_is_not_measured_is_said() -> None:
    assert "measured yet" in pruning_rates.answer(Study(notebook="iclr_h_conv_hyperparameters"), "iclr-fig35").data


@pytest.mark.parametrize(("rate", "name"), [(20.0, "20% a round"), (0.0, "one cut")])
def test_names(rate: float, name: str) -> None:
    assert pruning_rates.called(rate) == name
