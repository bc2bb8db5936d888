"""What must be trained before a row, and in what order."""

from __future__ import annotations

from dataclasses import replace

import pytest

from lth_core.prerequisites import needs, parent, rewound_to, with_ancestors
from lth_core.spec import Spec

BASE = Spec(dataset="digits", arch="lenet-12-8", iterations=40, eval_every=20, prune_fc=0.5, prune_out=0.25)
UNPRUNED = BASE.at_round(0)


@pytest.mark.parametrize("arm", ["ticket", "reinit", "shuffle", "noise", "reinit_from_ticket"])
def test_a_ticket_and_its_controls_need_the_ticket_of_the_round_before(arm: str) -> None:
    row = BASE.at_round(3, arm=arm)
    assert parent(row) == BASE.at_round(2, arm="ticket") and needs(row) == [parent(row)]


@pytest.mark.parametrize("row", [UNPRUNED, BASE.at_round(2, arm="prune_at_init")])
def test_what_no_training_decides_needs_none(row: Spec) -> None:
    assert needs(row) == [] and with_ancestors([row]) == [row]


def test_earlier_rounds_come_first_and_each_once() -> None:
    asked = [BASE.at_round(3, arm=arm) for arm in ("reinit", "ticket")]
    found = with_ancestors([*asked, asked[0]])
    assert found[:3] == [BASE.at_round(r, arm="ticket") if r else UNPRUNED for r in range(3)]
    assert sorted(s.arm for s in found[3:]) == ["reinit", "ticket"] and len(found) == 5


def test_late_rewinding_needs_a_training_that_stops_where_it_goes_back_to() -> None:
    row = replace(BASE.at_round(1, arm="ticket"), rewind=30)
    short = rewound_to(row)
    assert short is not None and (short.iterations, short.round, short.rewind) == (30, 0, 0)
    assert short.iterations % short.eval_every == 0, "its last iteration is an evaluation"
    assert needs(row) == [UNPRUNED, short], "the unpruned network decides the mask, the short one where to begin"
    order = with_ancestors([row])
    assert order[-1] == row and set(order[:-1]) == set(needs(row))
