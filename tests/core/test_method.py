"""Invariants of the method on tiny trainings of the digits, and mutants of the method that must break them.

Each `check_*` function states one invariant. It is asserted on both engines, and `test_mutant_*` asserts that a known
mistake of reimplementations makes it fail: a check that could not fail would prove nothing.
"""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from lth_core import analyse, draws, models, prerequisites, prune, results, starts, tickets
from lth_core.arms import ARMS
from lth_core.data import Dataset, load
from lth_core.engines import choose
from lth_core.engines.dense import cohort
from lth_core.engines.dense.cohort import Cohort
from lth_core.engines.sparse import engine as sparse
from lth_core.models import Network, Trained, initial, layers
from lth_core.spec import Spec, learning_rates
from lth_core.store import Store
from lth_core.store.cell import key_of

BASE = Spec(dataset="digits", arch="lenet-30-20", iterations=40, eval_every=20, lr=5e-3)
ENGINES = ("dense", "sparse")
OPTIMIZERS = {
    "adam": BASE,
    "sgd": replace(BASE, optimizer="sgd", lr=0.1),
    "momentum": replace(BASE, optimizer="momentum", lr=0.05),
    "momentum with decay": replace(BASE, optimizer="momentum", lr=0.05, weight_decay=1e-2),
    "adam with decay": replace(BASE, weight_decay=1e-2),
}


@lru_cache
def digits() -> Dataset:
    return load("digits")


def trained(networks: list[Network], engine: str) -> list[Trained]:
    done = choose.train_all(networks, digits(), device="cpu", engine=engine)
    by_spec = {n.spec: t for n, t in done}
    return [by_spec[n.spec] for n in networks]


def chain(engine: str, base: Spec = BASE, rounds: int = 3) -> list[tuple[Network, Trained]]:
    """Rounds 0 to `rounds` of one trial, trained in turn without a store."""
    links: list[tuple[Network, Trained]] = []
    for r in range(rounds + 1):
        spec = base.at_round(r, prune_fc=0.2, prune_out=0.1)
        network = starts.network(spec, _cell(*links[-1]) if links else None)
        links.append((network, trained([network], engine)[0]))
    return links


def _cell(network: Network, result: Trained):
    from lth_core.store.cell import Cell

    return Cell(network.spec, {}, None, network.masks, result.weights)  # type: ignore[arg-type]


# --- invariants -------------------------------------------------------------------------------------------------------


def check_density_is_closed_form(engine: str) -> None:
    for network, _ in chain(engine):
        r = network.spec.round
        for layer in layers(BASE.arch, "digits"):
            rate = 0.1 if layer.role == "out" else 0.2
            n = int(np.prod(layer.shape))
            assert abs(int(network.masks[layer.weight].sum()) - n * (1 - rate) ** r) <= 1


def check_masks_nest_by_magnitude(engine: str) -> None:
    links = chain(engine)
    for (above, result), (below, _) in pairwise(links):
        for name, mask in below.masks.items():
            assert not (mask & ~above.masks[name]).any()
            dropped = above.masks[name] & ~mask
            assert np.abs(result.weights[name][dropped]).max() <= np.abs(result.weights[name][mask]).min()
            assert (result.weights[name][mask] < 0).any(), "negative weights survive as positive ones do"


def check_ticket_is_initial_times_mask(engine: str) -> None:
    start = initial(BASE)
    for network, _ in chain(engine):
        for name, weights in network.weights.items():
            expected = np.where(network.masks[name], start[name], 0) if name in network.masks else start[name]
            assert np.array_equal(weights, expected)


def check_masked_weights_stay_zero(engine: str, base: Spec) -> None:
    for network, result in chain(engine, base, rounds=2)[1:]:
        for name, mask in network.masks.items():
            assert np.all(result.weights[name][~mask] == 0)
            assert (result.weights[name][mask] != network.weights[name][mask]).any(), "living weights move"


def check_reinit_keeps_the_ticket_mask(engine: str) -> None:
    links = chain(engine, rounds=2)
    above, ticket = _cell(*links[1]), links[2][0]
    for i in range(2):
        control = starts.network(replace(ticket.spec, arm="reinit", replicate=i), above)
        for name, mask in ticket.masks.items():
            assert np.array_equal(control.masks[name], mask)
            assert (control.weights[name][mask] != ticket.weights[name][mask]).mean() > 0.99
            assert np.all(control.weights[name][~mask] == 0)


def check_early_stopping_never_sees_test_data() -> None:
    rng = draws.generator("early stopping test")
    import pandas as pd

    n = 30
    curves = pd.DataFrame(
        {"iteration": np.arange(n) * 100, **{f"{p}_loss": rng.random(n) for p in ("train", "val", "test")}}
        | {f"{p}_correct": rng.integers(0, 180, n) for p in ("train", "val", "test")}
    )
    other = curves.assign(test_loss=rng.random(n), test_correct=rng.integers(0, 180, n))
    for column in ("stop_iteration", "stop_val", "stop_train", "stop_val_loss"):
        assert analyse.summary(curves, "digits")[column] == analyse.summary(other, "digits")[column]
    train_part, val_part = digits().split(0, 0)
    assert not set(train_part) & set(val_part)


# --- the method keeps them --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("engine", ENGINES)
def test_density_is_closed_form(engine):
    check_density_is_closed_form(engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_masks_nest_by_magnitude(engine):
    check_masks_nest_by_magnitude(engine)


@pytest.mark.parametrize("engine", ENGINES)
def test_ticket_is_initial_times_mask(engine):
    check_ticket_is_initial_times_mask(engine)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("recipe", OPTIMIZERS)
def test_masked_weights_stay_zero(engine, recipe):
    check_masked_weights_stay_zero(engine, OPTIMIZERS[recipe])


@pytest.mark.parametrize("engine", ENGINES)
def test_reinit_keeps_the_ticket_mask(engine):
    check_reinit_keeps_the_ticket_mask(engine)


def test_early_stopping_never_sees_test_data():
    check_early_stopping_never_sees_test_data()


@pytest.mark.parametrize("engine", ENGINES)
def test_negative_weights_receive_gradient(engine):
    network = starts.network(BASE.at_round(0))
    (result,) = trained([network], engine)
    for layer in layers(BASE.arch, "digits"):
        negative = network.weights[layer.weight] < 0
        assert (result.weights[layer.weight][negative] != network.weights[layer.weight][negative]).mean() > 0.5


@pytest.mark.parametrize("engine", ENGINES)
def test_a_row_alone_equals_the_row_in_a_cohort(engine):
    """Bit for bit on both engines; `test_bits.py` tries threads and instruction sets."""
    rows = [replace(BASE, trial=t, lr=lr) for t in (0, 1) for lr in (1e-3, 5e-3)]
    networks = [starts.network(s.at_round(0)) for s in rows]
    together = trained(networks, engine)
    for network, with_others in zip(networks, together, strict=True):
        (alone,) = trained([network], engine)
        for name in alone.weights:
            assert np.array_equal(alone.weights[name], with_others.weights[name])


@pytest.mark.parametrize("recipe", OPTIMIZERS)
def test_engines_agree(recipe):
    """The same row on both engines: after 40 iterations weights differ by rounding only.

    Adam divides by the root of tiny second moments, which turns a rounding difference of 1e-7 in a gradient into
    up to one step of size lr for weights whose gradients are near 0; hence its absolute tolerance of lr / 10."""
    base = OPTIMIZERS[recipe]
    links = chain("dense", base, rounds=2)
    for network in (links[0][0], links[2][0]):
        (a,), (b,) = trained([network], "dense"), trained([network], "sparse")
        tolerance = base.lr / 10 if base.optimizer == "adam" else 1e-5
        for name in a.weights:
            np.testing.assert_allclose(a.weights[name], b.weights[name], rtol=1e-3, atol=tolerance)
        np.testing.assert_allclose(a.curves["val_loss"], b.curves["val_loss"], rtol=1e-3)
        for part in ("train", "val", "test"):
            assert np.abs(a.curves[f"{part}_correct"] - b.curves[f"{part}_correct"]).max() <= 2


@pytest.mark.parametrize("recipe", OPTIMIZERS)
def test_an_optimizer_that_moves_some_parameters_at_once_moves_them_alike(recipe, monkeypatch):
    """Bit for bit: on a CPU the dense engine goes through the parameters piece by piece."""
    networks = [starts.network(replace(OPTIMIZERS[recipe], trial=t).at_round(0)) for t in (0, 1)]
    whole = trained(networks, "dense")
    monkeypatch.setattr(cohort, "PIECE", 1_234)
    for a, b in zip(whole, trained(networks, "dense"), strict=True):
        assert all(np.array_equal(a.weights[name], b.weights[name]) for name in a.weights)
        assert all(np.array_equal(a.curves[column], b.curves[column]) for column in a.curves)


def test_accuracy_falls_to_chance_at_absurd_sparsity():
    spec = replace(BASE, iterations=200).at_round(1, prune_fc=0.999, prune_out=0.99, arm="prune_at_init")
    (result,) = trained([starts.network(spec)], "sparse")
    assert result.curves["test_correct"][-1] / 360 < 0.35


@pytest.mark.parametrize("arm", [a for a in ARMS if a != "continued"])
def test_every_arm_has_the_ticket_density(arm):
    links = chain("sparse", rounds=1)
    spec = links[1][0].spec.at_round(2, arm=arm, sigma=1.0 if arm == "noise" else 0.0)
    network = starts.network(spec, _cell(*links[1]))
    for name, n in prune.plan(spec).items():
        assert int(network.masks[name].sum()) == n
        assert np.count_nonzero(network.weights[name]) == n
    assert (
        abs(
            prune.density(spec)
            - sum(m.sum() for m in network.masks.values()) / models.weight_count(BASE.arch, "digits")
        )
        < 1e-9
    )


def test_shuffle_moves_values_with_their_connections():
    links = chain("sparse", rounds=1)
    ticket = starts.network(links[1][0].spec.at_round(2), _cell(*links[1]))
    control = starts.network(replace(ticket.spec, arm="shuffle"), _cell(*links[1]))
    for name in ticket.masks:
        assert np.array_equal(np.sort(ticket.weights[name], axis=None), np.sort(control.weights[name], axis=None))
        assert not np.array_equal(ticket.masks[name], control.masks[name])


def test_reinit_from_ticket_draws_the_tickets_own_values():
    links = chain("sparse", rounds=1)
    ticket = starts.network(links[1][0].spec.at_round(2), _cell(*links[1]))
    control = starts.network(replace(ticket.spec, arm="reinit_from_ticket"), _cell(*links[1]))
    for name, mask in ticket.masks.items():
        assert np.isin(control.weights[name][mask], ticket.weights[name][mask]).all()


def test_enlarging_a_ticket_is_glorots_rule_for_its_smaller_layers():
    """One factor per layer, density**-0.5; the mask, the signs and the chain of rounds stay the ticket's."""
    links = chain("sparse", rounds=1)
    ticket = starts.network(links[1][0].spec.at_round(2), _cell(*links[1]))
    larger = starts.network(replace(ticket.spec, rescale=0.5), _cell(*links[1]))
    assert prerequisites.parent(larger.spec) == prerequisites.parent(ticket.spec)
    for layer in layers(BASE.arch, "digits"):
        mask, (fan_in, fan_out) = ticket.masks[layer.weight], layer.fans
        sparse_in, sparse_out = mask.sum(1).mean(), mask.sum(0).mean()
        factor = np.sqrt(2 / (sparse_in + sparse_out)) / np.sqrt(2 / (fan_in + fan_out))
        assert np.array_equal(larger.masks[layer.weight], mask)
        np.testing.assert_allclose(larger.weights[layer.weight], factor * ticket.weights[layer.weight], rtol=1e-5)


def test_sign_arms_take_signs_and_sizes_from_where_they_say():
    links = chain("sparse", rounds=1)
    spec = links[1][0].spec.at_round(2)
    kinds = ("ticket", "reinit", "signs", "random_signs", "reinit_signs")
    made = {arm: starts.network(replace(spec, arm=arm), _cell(*links[1])) for arm in kinds}
    for layer in layers(BASE.arch, "digits"):
        mask = made["ticket"].masks[layer.weight]
        assert all(np.array_equal(n.masks[layer.weight], mask) for n in made.values())
        living = {arm: n.weights[layer.weight][mask] for arm, n in made.items()}
        sd = np.float32(models.init_sd(spec, layer))
        for arm, signs, sizes in (
            ("signs", "ticket", sd),
            ("random_signs", "reinit", sd),
            ("reinit_signs", "ticket", np.abs(living["reinit"])),
        ):
            assert np.array_equal(np.signbit(living[arm]), np.signbit(living[signs]))
            assert (np.abs(living[arm]) == sizes).all()
    again = starts.network(replace(spec, arm="random_signs", replicate=1), _cell(*links[1]))
    assert (again.weights["fc1.weight"] != made["random_signs"].weights["fc1.weight"]).any()


def test_new_arms_and_fields_leave_published_keys_alone():
    """The key is the name of a published cell: no later experiment may rename what was measured before."""
    assert key_of(Spec().at_round(0)) == "291cd3e4b373c197bae4"
    assert key_of(Spec(round=3, trial=1, arm="reinit")) == "7f3bedb87a3a748aef0b"
    published = results.Published()
    assert all(key_of(published.spec(key)) == key for key in published.cells.index)


def test_continued_training_goes_on_from_trained_weights():
    above = chain("sparse", rounds=0)[0]
    spec = BASE.at_round(1, prune_fc=0.2, prune_out=0.1, arm="continued", search="continued")
    network = starts.network(spec, _cell(*above))
    for name, mask in network.masks.items():
        assert np.array_equal(network.weights[name][mask], above[1].weights[name][mask])


@pytest.mark.parametrize("rewind", [20, 5, 30])
def test_late_rewinding_starts_from_the_weights_of_that_iteration(tmp_path, rewind):
    store = Store(tmp_path)
    spec = replace(BASE, rewind=rewind).at_round(1, prune_fc=0.2, prune_out=0.1)
    tickets.run([spec], store, device="cpu")
    early = store.read(key_of(prerequisites.rewound_to(spec)))
    assert early.spec.iterations == rewind
    network = tickets.from_store(spec, store)
    for name, mask in network.masks.items():
        assert np.array_equal(network.weights[name][mask], early.weights[name][mask])


def test_networks_of_a_trial_share_their_start_and_differ_between_trials():
    a, b = initial(BASE), initial(replace(BASE, lr=0.5, optimizer="sgd", batch_size=100))
    assert all(np.array_equal(a[n], b[n]) for n in a)
    assert not np.array_equal(a["fc1.weight"], initial(replace(BASE, trial=1))["fc1.weight"])


@pytest.mark.parametrize(("init", "sd"), [("glorot", 0.0), ("truncated", 0.1)])
def test_initial_weights_have_their_distribution(init, sd):
    spec = Spec(init=init, init_sd=sd)
    for layer in layers(spec.arch, "mnist"):
        w = initial(spec)[layer.weight]
        expected = models.init_sd(spec, layer) * (0.8796 if init == "truncated" else 1.0)
        assert abs(w.std() / expected - 1) < 5 / np.sqrt(2 * w.size)
        if init == "truncated":
            assert np.abs(w).max() <= 2 * sd
        assert not initial(spec)[layer.bias].any()


def test_batches_cover_each_epoch_once():
    spec = replace(BASE, batch_size=7)
    order = draws.BatchOrder(spec, np.arange(100, dtype=np.int32))
    stream = np.concatenate([order.batches(i, i + 10).ravel() for i in range(0, 100, 10)])
    for epoch in range(7):
        assert sorted(stream[epoch * 100 : (epoch + 1) * 100]) == list(range(100))
    again = draws.BatchOrder(spec, np.arange(100, dtype=np.int32)).batches(37, 63)
    assert np.array_equal(again.ravel(), stream[37 * 7 : 63 * 7])


def test_learning_rate_schedule():
    spec = Spec(lr=1.0, iterations=100, warmup=10, lr_drops=(50, 80))
    rates = learning_rates(spec)
    assert np.allclose(rates[:10], np.arange(1, 11) / 10)
    assert np.allclose(rates[[49, 50, 80]], [1, 0.1, 0.01])


# --- mutants: each known mistake fails the check that guards against it ------------------------------------------


def test_mutant_signed_threshold(monkeypatch):
    right = prune.cut
    monkeypatch.setattr(prune, "cut", lambda s, w, a: right(s, {n: np.maximum(x, 0) for n, x in w.items()}, a))
    with pytest.raises(AssertionError):
        check_masks_nest_by_magnitude("dense")


def large_if_gone(weights, alive):
    return {n: np.where(alive[n], w, np.inf) if n in alive else w for n, w in weights.items()}


def test_mutant_prunes_pruned_weights_again(monkeypatch):
    right = prune.cut
    monkeypatch.setattr(prune, "cut", lambda s, w, a: right(s, large_if_gone(w, a), prune.full(s)))
    with pytest.raises(AssertionError):
        check_masks_nest_by_magnitude("dense")


def test_mutant_no_mask_while_training(monkeypatch):
    def forgetful(self, *args):
        right(self, *args)
        self.mask.fill_(1)

    right = Cohort.__init__
    monkeypatch.setattr(Cohort, "__init__", forgetful)
    with pytest.raises(AssertionError):
        check_masked_weights_stay_zero("dense", OPTIMIZERS["momentum"])


def test_mutant_wrong_rewind_point(monkeypatch):
    right = starts.network
    trained_start = lambda spec, found=None, rewound=None: right(spec, found, found.weights if found else None)  # noqa: E731
    monkeypatch.setattr(starts, "network", trained_start)
    with pytest.raises(AssertionError):
        check_ticket_is_initial_times_mask("dense")


def test_mutant_reinit_derives_its_own_mask(monkeypatch):
    right = prune.cut
    own = lambda s, w, a: right(s, initial(s, ("own",)) if s.arm == "reinit" else w, a)  # noqa: E731
    monkeypatch.setattr(prune, "cut", own)
    with pytest.raises(AssertionError):
        check_reinit_keeps_the_ticket_mask("dense")


def test_mutant_stops_on_test_data(monkeypatch):
    right = analyse.accuracies
    leak = lambda c, d: right(c, d).assign(val_loss=c["test_loss"])  # noqa: E731
    monkeypatch.setattr(analyse, "accuracies", leak)
    with pytest.raises(AssertionError):
        check_early_stopping_never_sees_test_data()


def test_mutant_round_off_density(monkeypatch):
    monkeypatch.setattr(prune, "kept", lambda n, rate, r: int(n * (1 - rate * r)))
    with pytest.raises(AssertionError):
        check_density_is_closed_form("dense")


def test_sparse_engine_supports_what_it_says():
    assert sparse.supports(BASE)
    assert not sparse.supports(Spec(arch="conv-2", dataset="cifar10"))
    assert not sparse.supports(replace(BASE, precision="bf16"))
