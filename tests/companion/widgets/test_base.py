"""Widgets: values travel both ways, data hold what the tables hold, the browser counts what lth_core counts."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explored import small
from places import ROOT
from waits import until

from lth_companion.experiments import xor
from lth_companion.experiments.study import Study
from lth_companion.widgets import Conclude, TicketExplorer, XorLive, conclude, explorer_data, train_your_own, xor_live
from lth_core import analyse, data, prune, tickets
from lth_core.errors import UsageError
from lth_core.models import Trained
from lth_core.store import Store
from lth_core.store.cell import key_of

ARTEFACTS = ROOT / "_artefacts"
FIGURE = "iclr-fig04"


@pytest.fixture(scope="module")
def shown(study: Study) -> dict[str, Any]:
    return explorer_data.ticket(study, FIGURE, ["ticket", "reinit"])


@pytest.fixture(scope="module")
def concluded(study: Study) -> dict[str, Any]:
    return conclude.conclude(study, FIGURE)


@pytest.fixture(scope="module")
def xor_data() -> dict[str, Any]:
    return xor_live.live_xor([xor.figure1(300), xor.figure2(300)])


# --- Values travel both ways ------------------------------------------------------------------------------------------


def test_a_value_from_python_is_sent_and_one_from_the_page_is_seen(
    monkeypatch: pytest.MonkeyPatch, concluded: dict[str, Any], xor_data: dict[str, Any]
) -> None:
    sent: list[dict[str, Any]] = []

    def publish(self: Any, msg_type: str, data: Any = None, *_: Any, **__: Any) -> None:
        if (data or {}).get("method") == "update":
            sent.append(data["state"])

    monkeypatch.setattr(type(TicketExplorer(small()).comm), "publish_msg", publish)  # no kernel: nobody else listens
    widgets: list[tuple[Any, str, Any, Any]] = [
        (TicketExplorer(small()), "round", 4, 8),
        (TicketExplorer(small()), "rate", 50, 20),
        (TicketExplorer(small()), "arms", "reinit", "ticket,reinit"),
        (TicketExplorer(small()), "trial", 1, None),
        (Conclude(concluded), "trials", 5, 20),
        (Conclude(concluded), "level", 1, 2),
        (Conclude(concluded), "against", "reinit", "unpruned"),
        (XorLive(xor_data), "hidden", 4, 2),
        (XorLive(xor_data), "criterion", "input", "random"),
        (XorLive(xor_data), "schedule", "one-shot 2", "iterative"),
        (XorLive(xor_data), "networks", 100, 500),
        (XorLive(xor_data), "lr", 0.1, 0.3),
    ]
    for widget, name, from_python, from_page in widgets:
        sent.clear()
        setattr(widget, name, from_python)
        assert {name: from_python} in sent
        seen: list[Any] = []
        widget.observe(lambda change, seen=seen: seen.append(change["new"]), name)
        message = {"method": "update", "state": {name: from_page}, "buffer_paths": []}
        widget._handle_msg({"content": {"data": message}, "buffers": []})
        assert getattr(widget, name) == from_page and seen == [from_page]


MODEL = """(source) => {  // a widget with a model of the test's own, as Jupyter gives it one
  const state = {...source.state}, listeners = {}, saved = [];
  const model = {
    get: (k) => state[k], on: (e, f) => (listeners[e] ??= []).push(f), off() {},
    set(k, v) { state[k] = v; (listeners[`change:${k}`] ?? []).forEach((f) => f()); },
    save_changes: () => saved.push({...state}),
  };
  const el = document.body.appendChild(document.createElement("div"));
  const url = URL.createObjectURL(new Blob([source.code], { type: "text/javascript" }));
  window.test = { model, saved, el };
  return import(url).then((m) => { m.default.render({ model, el }); el.id = "test-widget"; });
}"""


def put(tab: Any, widget: Any) -> None:
    """Show a widget as `#test-widget` on an empty page, without a kernel."""
    state = {k: v for k, v in widget.get_state().items() if not k.startswith("_")}
    state.pop("layout", None)
    tab.page.goto("/search.html")
    tab.page.evaluate(MODEL, {"state": state, "code": widget._esm})


@pytest.mark.browser
@pytest.mark.parametrize(
    ("make", "name", "value", "control"),
    [
        (lambda d: TicketExplorer(d["shown"]), "round", 4, "input"),
        (lambda d: TicketExplorer(d["shown"]), "trial", 1, "select"),
        (lambda d: Conclude(d["concluded"]), "trials", 5, "input"),
        (lambda d: Conclude(d["concluded"]), "against", "reinit", "select >> nth=1"),
        (lambda d: XorLive(d["xor"]), "hidden", 4, "input"),
        (lambda d: XorLive(d["xor"]), "criterion", "input", "select"),
    ],
    ids=["round", "trial", "trials", "against", "hidden", "criterion"],
)
def test_a_value_moves_the_control_and_the_control_the_value(
    tab: Any, make: Callable[[dict], Any], name: str, value: Any, control: str, shown: dict, concluded: dict,
    xor_data: dict,
) -> None:  # fmt: skip
    widget = make({"shown": shown, "concluded": concluded, "xor": xor_data})
    put(tab, widget)
    node = tab.page.locator(f"#test-widget {control}").first
    before = node.input_value()
    tab.page.evaluate("([name, value]) => test.model.set(name, value)", [name, value])
    moved = node.input_value()
    assert moved != before
    if control.startswith("input"):
        node.focus()
        tab.page.keyboard.press("ArrowLeft")
    else:
        node.select_option(before)
    assert tab.page.evaluate("name => test.saved.at(-1)[name]", name) != value
    assert not tab.errors


# --- What they show ---------------------------------------------------------------------------------------------------


def test_conclusions_are_resampled_from_published_trials(study: Study, concluded: dict[str, Any]) -> None:
    level = concluded["levels"][-1]
    one = level["reinit"]["gap"]
    table = study.table(FIGURE)
    table = table[np.isclose(table["prune_fc"], 0.2) & (table["round"] == level["round"])]
    paired = analyse.paired(table, "stop_test", {"arm": "ticket"}, {"arm": "reinit"})
    assert np.allclose(one["measured"], [100 * paired[k] for k in ("effect", "low", "high")], atol=1e-3)
    for n, found in one["counts"].items():
        means = {round(float(m), 3) for m, *_ in found["labs"]}
        assert min(one["trials"]) - 1e-3 <= min(means) and max(means) <= max(one["trials"]) + 1e-3, n
        assert sum(found["says"]) == pytest.approx(1, abs=0.002)
    widths = [one["counts"][str(n)]["width"] for n in (5, 10, 20)]
    assert widths == sorted(widths, reverse=True), "more trials, narrower intervals"


def test_resampled_intervals_cover_as_often_as_they_should() -> None:
    """Twenty trials of a true effect of one standard deviation: about 95% of Student's intervals cover the mean."""
    values = np.random.default_rng(0).normal(1, 1, 500)
    two = conclude.intervals(values, 2, "test")
    assert (two[:, 2] > two[:, 1]).all(), "a trial that is drawn twice would conclude without width"
    found = conclude.intervals(values, 20, "test")
    covered = ((found[:, 1] < values.mean()) & (values.mean() < found[:, 2])).mean()
    assert 0.9 < covered < 0.99


# --- XOR in the browser -----------------------------------------------------------------------------------------------

FINISHED = "document.querySelectorAll('.lth-xor tbody tr:last-child td')[1].textContent != '–'"
ENGINE = (ROOT / "lth_companion" / "widgets" / "xor_engine.js").read_text("utf-8")


def in_page(tab: Any, code: str, argument: Any = None) -> Any:
    """Run `code` with the engine's functions in scope."""
    return tab.page.evaluate(
        "([engine, code, x]) => new Function('x', 'postMessage', engine + code)(x)", [ENGINE, code, argument]
    )


@pytest.mark.browser
def test_the_same_weights_descend_to_the_same_place(tab: Any) -> None:
    start = xor.initial(50, 6)
    code = "return x.map((w) => { const f = Float32Array.from(w); descend(f, 300, 1); return [...f]; });"
    here = np.array(in_page(tab, code, start.T.tolist())).T
    assert np.allclose(here, xor.train(start, 300), atol=2e-4)
    loss = in_page(tab, "return x.map((w) => outcome(Float32Array.from(w)).loss);", here.T.tolist())
    assert np.allclose(loss, xor.outcome(here.astype(np.float32)).loss, atol=1e-6)


@pytest.mark.browser
def test_pruning_keeps_the_units_that_lth_core_keeps_and_rewinds_them(tab: Any) -> None:
    start = xor.initial(40, 10)
    trained = xor.train(start, 500)
    for criterion in ("input", "output", "product"):
        expected = xor.subnet(start, xor.survivors(xor.score(trained, criterion), 4))
        code = "const f = (a) => Float32Array.from(a);"
        code += f"return x.map(([s, t]) => [...rewound(f(s), f(t), 4, '{criterion}', Math.random)]);"
        pairs = [list(p) for p in zip(start.T.tolist(), trained.T.tolist(), strict=True)]
        assert np.array_equal(np.array(in_page(tab, code, pairs), np.float32).T, expected), criterion


@pytest.mark.browser
@pytest.mark.parametrize("tab", [(375, "dark")], indirect=True, ids=["375 dark"])
def test_the_page_counts_what_lth_core_counts(tab: Any, xor_data: dict[str, Any]) -> None:
    """Two-proportion z test of each rate at the 99.9% level, |z| < 3.29: 300 networks there against 500 here."""
    page = tab.page
    page.goto("/v1_2_xor.html")
    root = page.locator(".lth-xor")
    root.get_by_label("Networks").select_option("500")
    rows = root.locator("tbody tr")

    def counted() -> list[tuple[int, str, float]]:
        """(units, success, percent) of each finished row."""
        cells = [r.split("\t") for r in rows.all_inner_texts()]
        said = [(int(c[0]), "zero" if c[1] == "zero loss" else "right", c[2].split("%")[0]) for c in cells]
        return [(h, s, float(p)) for h, s, p in said if p.strip() != "–"]

    def agrees(strategy: str, hidden: int, success: str, percent: float, n: int = 500) -> None:
        there = xor_data["rows"][strategy][str(hidden)][success]
        a, b = percent / 100, there["measured"] / 100
        pooled = (a * n + b * there["n"]) / (n + there["n"])
        z = (a - b) / math.sqrt(max(pooled * (1 - pooled), 1e-9) * (1 / n + 1 / there["n"]))
        assert abs(z) < 3.29, f"{strategy}, {hidden} units, {success}: {a:.1%} here, {b:.1%} in lth_core"

    root.get_by_role("button", name="All rounds").click()
    until(page, "document.querySelectorAll('.lth-xor tbody tr:last-child td')[1].textContent != '–'")
    found = counted()
    assert len(found) == 10
    for hidden, success, percent in found:
        agrees("iterative product", hidden, success, percent)
    root.locator("input[type=range]").press("Home")
    root.get_by_role("button", name="Draw and train").click()
    until(page, "document.querySelectorAll('.lth-xor tbody tr:last-child td')[1].textContent != '–'")
    found = counted()
    assert len(found) == 2, "two units, never pruned"
    for hidden, success, percent in found:
        agrees("random networks", hidden, success, percent)
    root.screenshot(path=ARTEFACTS / "xor-trained.png")
    assert not tab.errors and not tab.outside


@pytest.mark.browser
def test_training_in_the_page_can_be_stopped(tab: Any) -> None:
    tab.page.goto("/v1_2_xor.html")
    root = tab.page.locator(".lth-xor")
    root.get_by_label("Networks").select_option("1000")
    root.get_by_role("button", name="Draw and train").click()
    until(tab.page, "/iteration [1-9]/.test(document.querySelector('.lth-xor').textContent)")
    root.get_by_role("button", name="Stop").click()
    until(tab.page, "/iteration 0/.test(document.querySelector('.lth-xor').textContent)")
    assert root.get_by_role("button", name="Draw and train").is_enabled()
    assert not tab.errors


# --- Train your own ---------------------------------------------------------------------------------------------------


def panel(**values: Any) -> train_your_own.TrainYourOwn:
    made = train_your_own.TrainYourOwn()
    for name, value in {"rounds": 2, "rate": 0.5, "iterations": 500, **values}.items():
        getattr(made, name).value = value
    return made


def test_a_click_trains_a_chain_and_draws_it() -> None:
    made = panel()
    made.train.click()
    assert made.train.disabled and not made.cancel.disabled
    made.wait(60)
    assert "Done: 5 networks" in made.says.value and made.bar.value == made.bar.max == 2500
    assert made.table["round"].tolist() == [0, 1, 1, 2, 2]
    expected = [prune.density(s) for specs in train_your_own.rows(rate=0.5, rounds=2, iterations=500) for s in specs]
    assert made.table["density"].tolist() == pytest.approx(expected)
    assert made.figure.value.startswith("<figure id=") and not made.train.disabled and made.cancel.disabled


def test_sliders_answer_while_it_trains() -> None:
    """A reader moves a slider again and again while a chain trains beside: each move is answered before the next, and
    they are at least four a second."""
    made = panel(iterations=20_000, rounds=1)
    answered: list[float] = []
    made.lr.observe(lambda change: answered.append(change["new"]), "value")
    made.train.click()
    while made.train.disabled and not made.bar.value:  # the engine is compiled first
        time.sleep(0.01)
    began, moves = time.monotonic(), 0
    while made.bar.value < made.bar.max and made.train.disabled:
        moves += 1
        made.lr.value = 1e-3 * (1 + moves % 2)
        time.sleep(0.01)
    seconds = time.monotonic() - began
    made.wait(60)
    assert "Done: 3 networks" in made.says.value and moves > 1
    assert len(answered) == moves >= 4 * seconds


def test_cancel_stops_soon_and_keeps_finished_rounds() -> None:
    made = panel(iterations=50_000, rounds=12)
    made.train.click()
    made.cancel.click()
    made.wait(30)
    assert made.says.value.startswith("Cancelled: 0 networks") and not made.train.disabled
    assert made.bar.value < made.bar.max


def test_a_ticket_of_ones_own_is_the_ticket_of_the_library(tmp_path: Path) -> None:
    """The chain in memory cuts, rewinds and trains as the store's runner does, to the bit."""
    chain = train_your_own.rows(rate=0.5, rounds=2, iterations=500)
    specs = [s for one_round in chain for s in one_round]
    library = Store(tmp_path)
    tickets.run(specs, library, device="cpu", engine="sparse")
    done = list(train_your_own.grow(chain, data.load("digits")))
    assert [s for s, _ in done] == specs
    for spec, trained in done:
        stored = library.read(key_of(spec))
        assert all(np.array_equal(trained.weights[n], w) for n, w in stored.weights.items()), spec


def test_a_network_that_diverges_ends_the_chain_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    def exploding(networks: list, *_: Any, **__: Any) -> Any:
        weights = [{n: np.full_like(w, np.nan) for n, w in network.weights.items()} for network in networks]
        return enumerate(Trained({}, w, 0.0, "sparse") for w in weights)

    monkeypatch.setattr(train_your_own.sparse, "train", exploding)
    with pytest.raises(UsageError, match="diverged"):
        list(train_your_own.grow(train_your_own.rows(rounds=2), data.load("digits")))


def test_trouble_in_the_background_is_said_in_the_panel(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise UsageError("the digits files are damaged.")

    monkeypatch.setattr(data, "load", broken)
    made = panel()
    made.train.click()
    made.wait(30)
    assert "damaged" in made.says.value and not made.train.disabled
