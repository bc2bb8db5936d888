"""Each common mistake of reimplementations (`lth_core.mistakes`) fails a property that the method keeps.

A property looks at tiny trainings of the digits and knows nothing of how its networks were made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import Study
from lth_companion.figures import panels, who_is_ahead
from lth_companion.share import publish
from lth_core import mistakes, prune, results, tickets
from lth_core.analyse import summary
from lth_core.models import Network, Parameters, initial
from lth_core.spec import MISTAKES, SEARCHES, Spec
from lth_core.store import Store
from lth_core.store.cell import describe, key_of
from lth_core.untrusted_text import shown

BASE = Spec(dataset="digits", arch="lenet-30-20", iterations=60, eval_every=20, lr=5e-3, prune_fc=0.5, prune_out=0.25)
ROUNDS = (1, 2, 3)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """Tickets and controls of the method and of every mistake, two trials."""
    store = Store(tmp_path_factory.mktemp("mistakes"))
    tickets.run([row(s, r, trial=t) for s in ("reset", *MISTAKES) for r in (0, *ROUNDS) for t in (0, 1)], store)
    return store


@lru_cache
def row(search: str, round: int, arm: str = "ticket", trial: int = 0) -> Spec:
    return replace(BASE, trial=trial).at_round(round, **({"search": search, "arm": arm} if round else {}))


def networks(store: Store, search: str) -> list[tuple[Network, Parameters, Parameters]]:
    """Each round's ticket as it starts, its weights when trained, and the trained weights of the round before."""
    rows = [row(search, r) for r in ROUNDS]
    above = [row(search, r - 1) for r in ROUNDS]
    weights = [(store.read(key_of(s)).weights, store.read(key_of(a)).weights) for s, a in zip(rows, above, strict=True)]
    return [(tickets.from_store(s, store), *w) for s, w in zip(rows, weights, strict=True)]


def living(network: Network, name: str) -> np.ndarray:
    return network.weights[name] != 0


def smallest_magnitudes_go(store: Store, search: str) -> None:
    """In each layer, no weight that was cut had ended its training larger than one that stays."""
    for network, _, above in networks(store, search):
        for name in network.masks:
            stays = living(network, name)
            goes = (above[name] != 0) & ~stays
            assert np.abs(above[name][goes]).max() <= np.abs(above[name][stays]).min()


def layers_keep_their_share(store: Store, search: str) -> None:
    """Each layer has as many weights as its own rate leaves."""
    for network, _, _ in networks(store, search):
        assert {name: int(living(network, name).sum()) for name in network.masks} == prune.plan(network.spec)


def tickets_start_at_their_initial_values(store: Store, search: str) -> None:
    """Where the mask is 1, a ticket's weights are the unpruned network's initial ones, bit for bit."""
    start = initial(BASE)
    for network, _, _ in networks(store, search):
        for name in network.masks:
            stays = living(network, name)
            assert np.array_equal(network.weights[name][stays], start[name][stays])


def biases_start_at_their_initial_values(store: Store, search: str) -> None:
    """A ticket's biases are the unpruned network's initial ones, bit for bit."""
    start = initial(BASE)
    for network, _, _ in networks(store, search):
        assert all(np.array_equal(network.weights[n], start[n]) for n in start if n not in network.masks)


def pruned_weights_stay_zero(store: Store, search: str) -> None:
    """A trained ticket has no weight that it did not have at its start."""
    for network, trained, _ in networks(store, search):
        for name in network.masks:
            assert not trained[name][~living(network, name)].any()


def controls_have_the_tickets_masks(store: Store, search: str) -> None:
    """A reinitialised control has its ticket's connections and other values."""
    control = [row(search, r, "ticket" if search == "own_masks" else "reinit") for r in ROUNDS]
    for spec, (ticket, _, _) in zip(control, networks(store, "reset"), strict=True):
        network = tickets.from_store(spec, store)
        for name in network.masks:
            assert np.array_equal(living(network, name), living(ticket, name))
            assert (network.weights[name] != ticket.weights[name])[living(ticket, name)].mean() > 0.99


FOUND_BY: dict[str, Callable[[Store, str], None]] = {
    "signed": smallest_magnitudes_go,
    "rewound_first": smallest_magnitudes_go,
    "one_threshold": layers_keep_their_share,
    "other_trial": smallest_magnitudes_go,
    "not_rewound": tickets_start_at_their_initial_values,
    "rewound_once": tickets_start_at_their_initial_values,
    "biases_once": biases_start_at_their_initial_values,
    "drawn_again": tickets_start_at_their_initial_values,
    "unmasked": pruned_weights_stay_zero,
    "own_masks": controls_have_the_tickets_masks,
}


@pytest.mark.parametrize("check", dict.fromkeys(FOUND_BY.values()))
def test_the_method_keeps_every_property(check: Callable[[Store, str], None], store: Store) -> None:
    check(store, "reset")


@pytest.mark.parametrize("mistake", MISTAKES)
def test_every_mistake_is_found(mistake: str, store: Store) -> None:
    with pytest.raises(AssertionError):
        FOUND_BY[mistake](store, mistake)


def test_stopping_on_test_data_is_found() -> None:
    """Early stopping gives the same iteration whatever the test set says; the best test accuracy of a run does not."""
    curves = pd.DataFrame({"key": "a", "val_loss": [3.0, 1.0, 2.0], "test_correct": [200, 300, 330]})
    other = curves.assign(test_correct=[200, 300, 310])
    more = {f"{part}_{what}": 1 for part in ("train", "val", "test") for what in ("loss", "correct")}
    stops = [
        summary(c.assign(iteration=[0, 100, 200], **{n: v for n, v in more.items() if n not in c}), "digits")
        for c in (curves, other)
    ]
    assert [s["stop_iteration"] for s in stops] == [100, 100]
    assert mistakes.best_on_test(curves, "digits")["a"] > mistakes.best_on_test(other, "digits")["a"] > 300 / 360


# --- How they are kept ------------------------------------------------------------------------------------------------


def test_every_mistake_has_a_name_a_row_and_a_sentence() -> None:
    assert set(mistakes.MISTAKES) == set(MISTAKES) == set(FOUND_BY)
    assert set(SEARCHES) == {"reset", "continued", *MISTAKES}
    assert {s.search for s in catalogue.rows("beyond-mistakes")} == {"reset", *MISTAKES}
    published = {s.search for s in catalogue.rows("beyond-mistakes", "published")}
    assert published == {"reset", *MISTAKES}
    for steps in mistakes.MISTAKES.values():
        assert steps.changed and all(f.__doc__ for f in steps.changed.values()), steps.label
        assert steps.starts_from_initial is not bool(steps.changed.keys() & {"back", "held"}), steps.label


def test_every_mistake_reports_the_methods_densities(store: Store) -> None:
    """The mistakes differ in which weights remain, not in how many: their curves share an x axis."""
    for mistake in MISTAKES:
        for r in ROUNDS:
            start = tickets.from_store(row(mistake, r), store).weights
            assert sum(int(np.count_nonzero(start[n])) for n in prune.plan(BASE)) == sum(
                prune.plan(row("reset", r)).values()
            )


def test_mistakes_are_published_without_masks(store: Store, tmp_path: Path) -> None:
    """Masks are kept as the round in which a weight goes for good: those of a mistake may come back."""
    rows = [row(s, r) for s in ("reset", "unmasked") for r in (0, *ROUNDS)]
    publish.write(
        {"beyond_mistakes": list(dict.fromkeys(rows))}, publish.Either(store), tmp_path, masks=["beyond_mistakes"]
    )
    published = results.Published(tmp_path)
    assert published.has_masks(row("reset", 3)) and not published.has_masks(row("unmasked", 3))
    assert results.table([row("unmasked", 3)], published)["search"].iat[0] == "unmasked"


# --- What the page says -----------------------------------------------------------------------------------------------


class Invented:
    """A study whose networks are a function of their row: the method's tickets gain half a point on every control."""

    def __init__(self) -> None:
        self.real = Study(notebook="beyond_mistakes", profile="quick", dataset="mnist", trials=3)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.real, name)

    def lacking(self, figure: str) -> int:
        return 0

    def possible(self, figure: str) -> list[Spec]:
        return self.real.rows(figure)

    def table(self, figure: str) -> pd.DataFrame:
        made = {"commit": "c", "engine": "sparse", "device": "cpu", "seconds": 1.0, "stop_iteration": 1000.0}
        rows = []
        for s in self.real.rows(figure):
            lead = {"reset": 0.005, "signed": -0.005}.get(s.search, 0.0) * (s.arm == "ticket" and s.round > 0)
            rows.append({**describe(s), **made, "end_test": 0.97 + 0.001 * s.trial + lead, "stop_test": 0.97})
        return pd.DataFrame(rows)

    def curves(self, figure: str) -> pd.DataFrame:
        return pd.DataFrame({"key": [key_of(s) for s in self.real.rows(figure)], "test_correct": 9800})


def test_the_page_says_who_is_ahead() -> None:
    study: Any = Invented()
    sides: dict[str, Any] = {s: [("end_test", {"search": s}, {"search": s, "arm": "reinit"})] for s in MISTAKES[:3:2]}
    sides["reset"] = [("end_test", {"search": "reset"}, {"search": "reset", "arm": "reinit"})]
    said = who_is_ahead.leads(study, "beyond-mistakes", ["lead"], sides, levels=(6, 12), caption="c").text
    words = [row.split("<td>")[1].split("</td>")[0] for row in said.split("<tr>")[2:]]
    assert [w.split(", ")[1] for w in words] == ["<strong>behind</strong>", "no difference found", "ahead"]
    high = who_is_ahead.too_high(study, "beyond-mistakes", {"unpruned": {"round": 0}}, caption="c").text
    assert "97.00" in high and "98.00" in high and "1.00 (1.00 to 1.00)" in high


def test_every_mistake_is_on_the_page() -> None:
    text = who_is_ahead.catalogue(caption="c").text
    assert all(shown(steps.label) in text for steps in mistakes.MISTAKES.values())
    lines: panels.Lines = {"ticket": ("ticket", {"search": "signed", "arm": "ticket"})}
    study: Any = Invented()
    drawn = panels.each(
        study, "beyond-mistakes", "end_test", {"a": lines, "b": lines, "c": lines}, alt="a", caption="c"
    )
    assert drawn.text.count("percent of weights remaining</text>") == 3


def test_no_line_of_the_speed_figure_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """Found on the page: the window for accuracies was laid over iterations, below which tickets lay."""
    figs: list[Any] = []
    monkeypatch.setattr(panels.plot, "show", lambda fig, **_: figs.append(fig))
    lines: panels.Lines = {arm: (arm, {"search": "signed", "arm": arm}) for arm in ("ticket", "reinit")}
    study: Any = Invented()
    table = study.table("beyond-mistakes")
    study.table = lambda figure: table.assign(stop_iteration=1000.0 - 50 * table["round"])
    panels.each(study, "beyond-mistakes", "stop_iteration", {"a": lines}, alt="a", caption="c")
    ax = figs[0].axes[0]
    drawn = np.concatenate([line.get_ydata() for line in ax.lines if len(line.get_ydata()) > 2])
    low, high = ax.get_ylim()
    assert len(drawn) and low <= drawn.min() and drawn.max() <= high
