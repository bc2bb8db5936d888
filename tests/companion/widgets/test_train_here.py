"""Training in the page: it draws, cuts and trains what lth_core does, stays answerable, and keeps the book's policy."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from explored import alone
from opened import faultless, modelled, opened, tab
from pages import served
from waits import until

from lth_companion.widgets import TrainHere, train_here, train_your_own
from lth_companion.widgets.base import text
from lth_core import data, models, prune, starts
from lth_core.draws import BatchOrder, generator
from lth_core.engines.sparse import engine as sparse
from lth_core.errors import UsageError
from lth_core.models import Network, Trained

ENGINE = text("keyed_draws.js", "lenet_engine.js")
DONE = "/^Done/.test(document.querySelector('.says').textContent)"
CHAIN = {"rate": 0.3, "rounds": 8}  # 17 networks


@pytest.fixture(scope="module")
def shown() -> dict[str, Any]:
    return train_here.digits()


@pytest.fixture(scope="module")
def blank(browser: Any) -> Iterator[Any]:
    with tab(browser) as page:
        yield page


def run(page: Any, code: str, given: Any = None) -> Any:
    """`code` with the engine's functions in scope, and `given` as `x`."""
    return page.evaluate("([engine, code, x]) => new Function('x', engine + code)(x)", [ENGINE, code, given])


def library(chain: train_here.Chain) -> Iterator[tuple[Network, Trained]]:
    """Every network of a chain as lth_core starts and trains it."""
    found, source = None, data.load("digits")
    for specs in chain:
        networks = [starts.network(s, found) for s in specs]
        done = dict(sparse.train(networks, source))
        yield from ((network, done[i]) for i, network in enumerate(networks))
        found = Network(specs[0], done[0].weights, networks[0].masks)


def task(spec: Any, **more: Any) -> dict[str, Any]:
    """A row as the engine takes it."""
    widths = [int(n) for n in spec.arch.split("-")[1:]]
    names = ("round", "arm", "trial", "seed", "lr", "iterations")
    return {
        **{n: getattr(spec, n) for n in names},
        "rate": spec.prune_fc,
        "every": spec.eval_every,
        "widths": widths,
        **more,
    }


# --- Draws and cuts, to the bit ---------------------------------------------------------------------------------------


@pytest.mark.browser
def test_keys_give_the_numbers_that_numpy_gives(blank: Any) -> None:
    keys = [(0, 0, "init", "fc1"), (3, 7, "order", 12, "reinit", 0, 41), ("a" * 200,), (2**40, -1)]
    code = "const g = () => generator(x); const p = g().permute(Int32Array.from({ length: 1437 }, (_, i) => i));"
    code += "const n = g(), u = g(); return [[...p], Array.from({ length: 20000 }, n.normal), u.uniform()];"
    for key in keys:
        order, normal, uniform = run(blank, code, list(key))
        assert order == generator(*key).permutation(1437).tolist()
        expected = generator(*key).standard_normal(20_000)
        assert np.array_equal(np.float32(normal), np.float32(expected)) and np.abs(expected).max() > 3.66, "with a tail"
        assert uniform == generator(*key).random()


@pytest.mark.browser
@pytest.mark.parametrize("arm", ["ticket", "reinit"])
def test_weights_begin_where_those_of_lth_core_begin(blank: Any, arm: str) -> None:
    spec = next(s for s in train_here.chains(trials=3, width="64-32")[2][4] if s.arm == arm)
    purpose = ("init",) if arm == "ticket" else ("reinit", 4, 0)
    code = "return initial(x.task, x.purpose).map((w) => [...w]);"
    here = run(blank, code, {"task": task(spec), "purpose": list(purpose)})
    there = models.initial(spec, purpose)
    for layer, weights in zip(models.layers(spec.arch, "digits"), here, strict=True):
        assert np.array_equal(np.float32(weights).reshape(layer.shape), there[layer.weight])


@pytest.mark.browser
def test_batches_are_those_of_lth_core(blank: Any) -> None:
    """Watched through the labels: each batch of an image's own number, over three epochs and a little."""
    spec = train_here.chains(iterations=60, trials=2)[1][2][1]
    source = data.load("digits")
    n = len(source.pool_labels)
    code = """
      const seen = [], images = new Float64Array(64 * x.n);
      const labels = new Proxy({ length: x.n }, { get: (o, k) => (k === "length" ? x.n : (seen.push(+k), 0)) });
      const parent = { masks: x.masks, weights: x.masks, biases: [] };
      const row = training(x.task, parent, { pool: { images, labels }, test: { images, labels: [] } });
      for (let i = 0; i < 60; i++) row.step();
      return seen;"""
    whole = [[1.0] * int(np.prod(layer.shape)) for layer in models.layers(spec.arch, "digits")]
    seen = run(blank, code, {"task": task(spec), "n": n, "masks": whole})
    train, _ = source.split(spec.seed, spec.trial)
    assert np.array_equal(np.reshape(seen, (60, 60)), BatchOrder(spec, train).batches(0, 60))


@pytest.mark.browser
def test_cuts_keep_what_lth_core_keeps(blank: Any) -> None:
    """At every rate and width that can be chosen, ties in index order."""
    for rate, width in itertools.product(train_here.RATES, train_here.WIDTHS[:2]):
        chain = train_here.chains(rate=rate, rounds=12, width=width)[0]
        spec, before = chain[12][0], chain[11][0]
        start = models.initial(spec)
        trained = {name: np.round(w, 2) for name, w in start.items()}  # many equal magnitudes
        alive = prune.random(before, prune.plan(before))
        expected = prune.cut(spec, trained, alive)
        names = list(alive)
        given = {"task": task(spec), "w": [trained[n].ravel().tolist() for n in names]}
        given["m"] = [alive[n].ravel().astype(int).tolist() for n in names]
        kept = run(blank, "return cut(x.task, x.w, x.m).map((m) => [...m]);", given)
        for name, mask in zip(names, kept, strict=True):
            assert np.array_equal(np.reshape(mask, expected[name].shape), expected[name]), (rate, width, name)


# --- Training ---------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_twenty_steps_differ_by_rounding(blank: Any) -> None:
    """In float32 a sum of K terms is off by K / 2^24 of their sizes, and a gradient goes through 3L - 1 products (see
    "Equal bits" in architecture.md): weights differ by at most 2 (3L - 1) K / 2^24 of the distance that they moved.
    Adam may turn the sign of a gradient near 0 into a step of its own: one weight in a thousand may be further off."""
    ticket = train_here.chains(rounds=1, iterations=20, trials=2)[1][0][0]
    ((start, trained),) = library([(ticket,)])
    source = data.load("digits")
    code = """
      const images = (a) => Float64Array.from(a, (v) => v / 255);
      const part = ([a, labels]) => ({ images: images(a), labels });
      const row = training(x.task, null, { pool: part(x.pool), test: part(x.test) });
      for (let i = 0; i < 20; i++) row.step();
      const { weights, biases } = row.trained();
      return { weights: weights.map((w) => [...w]), biases: biases.map((b) => [...b]), loss: row.evaluate().loss };"""
    parts = [(source.pool_images, source.pool_labels), (source.test_images, source.test_labels)]
    pool, test = ([images.ravel().tolist(), labels.tolist()] for images, labels in parts)
    here = run(blank, code, {"task": task(ticket), "pool": pool, "test": test})
    bound = 2 * (3 * 3 - 1) * 64 / 2**24
    for layer, weights, biases in zip(
        models.layers(ticket.arch, "digits"), here["weights"], here["biases"], strict=True
    ):
        for name, values in ((layer.weight, weights), (layer.bias, biases)):
            there, moved = trained.weights[name], np.abs(trained.weights[name] - start.weights[name]).max()
            off = np.abs(np.reshape(values, there.shape) - there)
            assert np.quantile(off, 0.999) <= bound * moved and off.max() <= 2 * ticket.lr, name
            assert moved > 10 * ticket.lr, "else nothing was trained"
    assert here["loss"] == pytest.approx(float(trained.curves["val_loss"][-1]), rel=1e-5)


@pytest.mark.browser
@pytest.mark.parametrize(
    ("between", "iterations"),
    [pytest.param("rewind", 1_000, marks=pytest.mark.slow), ("rewind", 200), ("continue", 200)],
)
def test_a_chain_in_the_page_is_the_chain_of_lth_core(
    browser: Any, tmp_path: Path, shown: dict[str, Any], between: str, iterations: int
) -> None:
    """Eight rounds, ticket and reinitialised copy, by the workers. Rounding grows while training goes
    on, so this is measured and not derived: 2 trials gave the same masks, early stops and right answers. One part in a
    hundred of each may differ."""
    widget = TrainHere(shown, **CHAIN, between=between, iterations=iterations)
    networks = list(library(widget.chains[0]))
    with modelled(browser, tmp_path / "page", widget) as page:
        page.get_by_role("button", name="Train").click()
        until(page, DONE)
        rows = {(r["round"], r["arm"]): r for r in page.evaluate("model.get('result')")}
        assert len(rows) == len(networks) == 17
        for network, trained in networks:
            spec = network.spec
            here, there = rows[spec.round, spec.arm], train_your_own.row(spec, trained)
            assert here["percent"] == pytest.approx(100 * prune.density(spec), abs=0.01)
            assert abs(here["end_test"] - there["end_test"]) <= 0.01, spec
            assert abs(here["stop_test"] - there["stop_test"]) <= 0.01, spec
        stops = {n.spec: train_your_own.row(n.spec, t)["stop_iteration"] for n, t in networks}
        same = [rows[spec.round, spec.arm]["stop_iteration"] == stop for spec, stop in stops.items()]
        assert np.mean(same) >= 0.9, "validation losses of two evaluations may be as good as equal"
        page.locator("input[type=range]").last.press("End")
        first = networks[-2][0].masks  # the last ticket's
        for name, layer in zip(first, ("layer 1", "layer 2", "output layer"), strict=True):
            code = """(canvas) => [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data]
              .filter((_, i) => i % 4 === 3).map((alpha) => alpha === 255)"""
            drawn = page.locator(f".{layer.replace(' ', '-')} canvas").evaluate(code)
            both = np.reshape(drawn, first[name].shape) & first[name]
            assert both.sum() >= 0.99 * first[name].sum() and np.sum(drawn) == first[name].sum(), name


# --- In the page ------------------------------------------------------------------------------------------------------


@pytest.mark.browser
def test_the_page_answers_while_it_trains(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    """Sliders move at once, under the book's policy."""
    with opened(browser, tmp_path / "page", TrainHere(shown, rounds=3)) as page:
        page.get_by_role("button", name="Train").click()
        until(page, "document.querySelector('progress').value > 0.3")
        seek = page.locator("input[type=range]").last
        seek.press("Home")
        assert "unpruned" in seek.get_attribute("aria-valuetext")
        until(page, DONE)
        assert "7 networks" in page.locator(".says").inner_text()


COUNTED = """() => {
  const Own = Worker;
  window.points = window.workers = 0;
  window.Worker = class extends Own {
    constructor(...given) {
      super(...given);
      workers += 1;
      this.addEventListener("message", ({ data }) => (points += data.point ? 1 : 0));
    }
  };
}"""
HELD = """async () => {  // the page at work for a second, as in a drawing that takes so long; then training is paused
  const before = points, end = performance.now() + 1000;
  while (performance.now() < end);
  [...document.querySelectorAll("button")].find((b) => b.textContent === "Pause").click();
  await new Promise((done) => setTimeout(done, 500));
  return points - before;
}"""


@pytest.mark.browser
def test_training_waits_for_a_busy_page(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    """Where cores are few the page comes first: while it is at work each worker trains on to its second evaluation and
    no further. Counted and not timed, so that no other work on the machine matters."""
    with opened(browser, tmp_path / "page", TrainHere(shown, **CHAIN)) as page:
        page.evaluate(COUNTED)
        page.get_by_role("button", name="Train").click()
        until(page, "document.querySelector('progress').value > 0.02")
        assert page.evaluate(HELD) <= 2 * page.evaluate("workers")


SLOW = """() => {  // every drawing takes 200 ms longer
  const own = Element.prototype.replaceChildren;
  window.drawings = [];
  Element.prototype.replaceChildren = function (...given) {
    if (this.className === "legend") {
      const began = performance.now();
      drawings.push(began);
      while (performance.now() < began + 200);
    }
    return own.apply(this, given);
  };
}"""


@pytest.mark.browser
def test_a_page_that_draws_slowly_draws_seldom(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    """At most a quarter of the time, so that there is some for whoever moves a slider."""
    with opened(browser, tmp_path / "page", TrainHere(shown, **CHAIN)) as page:
        page.evaluate(SLOW)
        page.get_by_role("button", name="Train").click()
        until(page, "drawings.length > 5")
        gaps = np.diff(page.evaluate("drawings")[2:])  # the first two are of the click
        assert min(gaps) >= 4 * 200, gaps


@pytest.mark.browser
def test_training_pauses_goes_on_and_is_reset(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    with opened(browser, tmp_path / "page", TrainHere(shown, **CHAIN), width=375, height=812, theme="dark") as page:
        button = {name: page.get_by_role("button", name=name) for name in ("Train", "Pause", "Continue", "Reset")}
        value = "document.querySelector('progress').value"
        button["Train"].tap()
        until(page, f"{value} > 0.02")
        button["Pause"].tap()
        page.wait_for_timeout(300)  # what was on its way arrives
        before = page.evaluate(value)
        page.wait_for_timeout(500)
        assert page.evaluate(value) == before and "Paused" in page.locator(".says").inner_text()
        faultless(page)
        button["Continue"].tap()
        until(page, f"{value} > {before + 0.02}")
        button["Reset"].tap()
        assert page.evaluate(value) == 0 and "press Train" in page.locator(".says").inner_text()
        button["Train"].tap()
        until(page, f"{value} > 0")
        page.locator("input[type=range]").first.press("ArrowRight")  # another setting: what was trained is no longer it
        assert page.evaluate(value) == 0 and button["Train"].is_enabled()
        assert "35%" in page.locator("label").first.inner_text()


@pytest.mark.browser
def test_settings_stand_in_the_address(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    asked = "?rate=0.5&rounds=2&width=24-16&between=continue&beside=nothing&trials=2"
    with opened(browser, tmp_path / "page", TrainHere(shown), query=asked) as page:
        page.get_by_role("button", name="Train").click()
        until(page, DONE)
        assert "Done: 6 networks" in page.locator(".says").inner_text()
        page.get_by_label("Trials at once").select_option("1")
        until(page, "location.search.includes('rounds=2') && !location.search.includes('trials')")
        faultless(page)


@pytest.mark.browser
def test_a_worker_from_a_blob_is_held_by_the_page_s_policy(browser: Any, tmp_path: Path, shown: dict[str, Any]) -> None:
    """Why blob: and no file: a worker from a file has the policy that the server sends with it, and a static server
    sends none. From a blob it has the page's: it runs no text as code and reaches nothing elsewhere."""
    code = """() => new Promise((done) => {
      const source = `
        const found = [];
        addEventListener("securitypolicyviolation", (e) => found.push(e.effectiveDirective));
        try { eval("1"); found.push("ran"); } catch {}
        fetch("https://elsewhere.invalid/").catch(() => 0).then(() => setTimeout(() => postMessage(found), 100));`;
      new Worker(URL.createObjectURL(new Blob([source]))).onmessage = ({ data }) => done(data);
    })"""
    with served(alone(tmp_path / "page", TrainHere(shown))) as site:
        page = browser.new_page()
        page.goto(f"{site}/index.html")
        found = page.evaluate(code)
        page.close()
    assert "ran" not in found and {"script-src", "connect-src"} <= set(found)


# --- Data and values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "value"), [("between", "reset"), ("beside", "reinitialised")])
def test_a_name_that_does_not_exist_is_told(name: str, value: str) -> None:
    with pytest.raises(UsageError, match=f"{name} = '{value}' does not exist; allowed: re"):
        train_here.chains(**{name: value})


def test_the_data_are_the_digits(shown: dict[str, Any]) -> None:
    d = data.load("digits")
    for part, images, labels in (("pool", d.pool_images, d.pool_labels), ("test", d.test_images, d.test_labels)):
        pixels = [shown["levels"][ord(c) - train_here.ZERO] for c in shown[part]["pixels"]]
        assert np.array_equal(np.reshape(pixels, images.shape), images)
        assert np.array_equal(list(map(int, shown[part]["labels"])), labels)


def test_a_value_from_python_moves_to_what_can_be_chosen(shown: dict[str, Any]) -> None:
    widget = TrainHere(shown, rate=0.42, rounds=99, lr=0.0041, trials=4)
    assert (widget.rate, widget.rounds, widget.lr) == (0.4, 12, 0.004) and widget.trials in (3, 5)
    sizes = [100 * prune.density(one[0]) for one in widget.chains[0]]
    assert shown["percents"]["48-32"]["0.4"] == pytest.approx(sizes, abs=0.005)


def test_what_lth_core_measured_is_named_with_its_settings() -> None:
    made = train_here.measured(rounds=2, trials=2, iterations=40, width="24-16", beside="nothing", between="continue")
    assert {r["trial"] for r in made["rows"]} == {0, 1} and len(made["rows"]) == 6
    assert made["settings"] == {
        "rate": 0.3,
        "lr": 0.004,
        "width": "24-16",
        "between": "continue",
        "seed": 0,
        "iterations": 40,
    }
    assert "2 trials" in made["label"] and set(train_here.table(made["rows"])["arm"]) == {"ticket", "continued"}
