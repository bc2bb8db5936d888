"""The sparse engine against torch's autograd and optimizers, on both of its layouts."""

from __future__ import annotations

from dataclasses import replace

import numba
import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lth_core import data as data_sets
from lth_core.data import Dataset
from lth_core.draws import BatchOrder, generator
from lth_core.engines.sparse import by_row, simd
from lth_core.engines.sparse import engine as sparse
from lth_core.engines.sparse.by_row import ByRow
from lth_core.engines.sparse.by_weight import ByWeight
from lth_core.engines.sparse.kernels import rule_of
from lth_core.errors import UsageError
from lth_core.models import Network, Parameters, initial
from lth_core.prune import masked
from lth_core.spec import Spec, learning_rates

BY_ROW, BY_WEIGHT = 0.0, 2.0  # values of CROSSOVER that force a layout
LAYOUTS = pytest.mark.parametrize("crossover", [BY_ROW, BY_WEIGHT], ids=["by_row", "by_weight"])
OPTIMIZERS = {
    "adam": dict(optimizer="adam", lr=1.2e-3),
    "sgd": dict(optimizer="sgd", lr=0.1),
    "momentum": dict(optimizer="momentum", lr=0.03),
    "decay": dict(optimizer="adam", lr=1.2e-3, weight_decay=1e-2),
}


@pytest.fixture(scope="module")
def digits() -> Dataset:
    return data_sets.load("digits")


def network(density: float, **fields) -> Network:
    """A network with a random mask and biases that are not 0, so that their handling shows."""
    spec = Spec(**{"dataset": "digits", "arch": "lenet-30-20", "iterations": 10, "eval_every": 10, **fields})
    weights = initial(spec)
    for name in weights:
        if name.endswith(".bias"):
            weights[name] = generator(spec.seed, name).normal(0, 0.1, weights[name].shape).astype(np.float32)
    masks = {
        name: generator(spec.seed, name).random(w.shape) < density
        for name, w in weights.items()
        if name.endswith(".weight")
    }
    return Network(spec, masked(weights, masks), masks)


def inputs(spec: Spec, pixels: np.ndarray, pool: np.ndarray) -> torch.Tensor:
    x = pixels.astype(np.float64)
    return torch.tensor(x / 255 if spec.inputs == "unit" else (x - pool.mean()) / pool.std())


def logits(net: Network, p: dict[str, torch.Tensor], x: torch.Tensor) -> torch.Tensor:
    names = list(net.masks)
    for i, name in enumerate(names):
        x = x @ (p[name] * torch.tensor(net.masks[name])).T + p[name.replace("weight", "bias")]
        x = torch.relu(x) if i < len(names) - 1 else x
    return x


def torch_training(net: Network, data: Dataset) -> Parameters:
    """The same training in torch, float64: autograd through the mask, torch's optimizers and schedule."""
    s = net.spec
    p = {n: torch.tensor(w.astype(np.float64), requires_grad=True) for n, w in net.weights.items()}
    batches = BatchOrder(s, data.split(s.seed, s.trial)[0]).batches(0, s.iterations)
    if s.optimizer == "adam":
        optimizer: torch.optim.Optimizer = torch.optim.Adam(p.values(), lr=s.lr, weight_decay=s.weight_decay)
    else:
        momentum = 0.9 if s.optimizer == "momentum" else 0.0
        optimizer = torch.optim.SGD(p.values(), lr=s.lr, momentum=momentum, weight_decay=s.weight_decay)
    for index, rate in zip(batches, learning_rates(s), strict=True):
        optimizer.param_groups[0]["lr"] = rate
        x, y = inputs(s, data.pool_images[index], data.pool_images), torch.tensor(data.pool_labels[index].astype(int))
        optimizer.zero_grad()
        torch.nn.functional.cross_entropy(logits(net, p, x), y).backward()
        optimizer.step()
    return masked({n: w.detach().numpy() for n, w in p.items()}, net.masks)


def trained(net: Network, data: Dataset, **options):
    ((_, result),) = list(sparse.train([net], data, **options))
    return result


def same(a, b) -> bool:
    return all(
        np.array_equal(x[name], y[name], equal_nan=True)
        for x, y in ((a.weights, b.weights), (a.curves, b.curves))
        for name in x
    )


@LAYOUTS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_masked_weights_are_exactly_zero_and_negative_ones_move(digits, monkeypatch, crossover, optimizer):
    monkeypatch.setattr(sparse, "CROSSOVER", crossover)
    net = network(0.4, **OPTIMIZERS[optimizer])
    result = trained(net, digits)
    for name, mask in net.masks.items():
        assert np.all(result.weights[name][~mask] == 0)
    before, after = net.weights["fc2.weight"], result.weights["fc2.weight"]
    moved = [np.mean((after != before)[side]) for side in (before < 0, before > 0)]
    assert min(moved) > 0.5  # the rest belongs to units that ReLU keeps silent


@LAYOUTS
@pytest.mark.parametrize("density", [1.0, 0.5, 0.2, 0.05])
@pytest.mark.parametrize("fields", [{}, {"inputs": "standard"}, {"arch": "lenet-300-100"}, {"weight_decay": 0.1}])
def test_gradient_agrees_with_autograd(digits, monkeypatch, crossover, density, fields):
    """One SGD step with learning rate 1 shows the gradient. Tolerance: float32 keeps 6e-8 of each number; weights are
    below 2 in magnitude and sums of up to 300 terms lose a few more units: 2e-6 in absolute terms."""
    monkeypatch.setattr(sparse, "CROSSOVER", crossover)
    net = network(density, optimizer="sgd", lr=1.0, iterations=1, eval_every=1, **fields)
    expected, result = torch_training(net, digits), trained(net, digits).weights
    for name in expected:
        np.testing.assert_allclose(result[name], expected[name], rtol=0, atol=2e-6, err_msg=name)


@LAYOUTS
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_fifty_steps_agree_with_torch(digits, monkeypatch, crossover, optimizer):
    """Weights move by up to 0.06 in 50 steps of Adam. A gradient near 0 whose sign rounding decides moves its weight
    by a whole learning rate, so a few may differ: 99.9% within 2e-5, all within 2e-3."""
    monkeypatch.setattr(sparse, "CROSSOVER", crossover)
    net = network(0.5, iterations=50, eval_every=50, warmup=10, lr_drops=(40,), **OPTIMIZERS[optimizer])
    expected, result = torch_training(net, digits), trained(net, digits).weights
    difference = np.concatenate([np.abs(result[n] - expected[n]).ravel() for n in expected])
    assert np.quantile(difference, 0.999) < 2e-5
    assert difference.max() < 2e-3


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    widths=st.lists(st.integers(1, 90), min_size=1, max_size=3),
    batch=st.sampled_from([1, 7, 60, 64, 65, 100, 200]),
    density=st.sampled_from([0.02, 0.3, 1.0]),
)
def test_any_widths_and_batch_sizes(digits, widths, batch, density):
    """A width may be 1 and a layer may have no weights left; tolerance as above."""
    arch = "-".join(["lenet", *map(str, widths)])
    net = network(density, arch=arch, batch_size=batch, optimizer="sgd", lr=0.5, iterations=2, eval_every=2)
    expected = torch_training(net, digits)
    for crossover in (BY_ROW, BY_WEIGHT):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sparse, "CROSSOVER", crossover)
            result = trained(net, digits).weights
        for name in expected:
            np.testing.assert_allclose(result[name], expected[name], rtol=0, atol=2e-6, err_msg=name)


def test_alone_as_among_others_bit_for_bit(digits):
    nets = [network(d, iterations=40, trial=i) for i, d in enumerate((1.0, 0.1, 0.6, 0.3))]
    alone = [trained(net, digits) for net in nets]
    for threads in (1, 2):
        among = dict(sparse.train(nets, digits, threads=threads))
        assert sorted(among) == [0, 1, 2, 3]
        assert all(same(among[i], alone[i]) for i in among)


def test_chunks_do_not_show(digits, monkeypatch):
    net = network(0.3, iterations=40, eval_every=40)
    whole = trained(net, digits)
    monkeypatch.setattr(sparse, "CHUNK", 7)
    assert same(trained(net, digits), whole)


@LAYOUTS
@pytest.mark.parametrize("fields", [{}, {"arch": "lenet-300-100"}, {"arch": "lenet-300-100", "inputs": "standard"}])
def test_evaluation_agrees_with_numpy(digits, monkeypatch, crossover, fields):
    """The larger network has weights enough for the lists of `by_weight`."""
    monkeypatch.setattr(sparse, "CROSSOVER", crossover)
    net = network(0.5, iterations=60, eval_every=20, **fields)
    scale = sparse.input_scale(net.spec, digits)
    result = trained(net, digits)
    assert result.curves["iteration"].tolist() == [0, 20, 40, 60]
    early = trained(replace(net, spec=replace(net.spec, iterations=40)), digits)
    train_sample, val = digits.sample(0, 0), digits.split(0, 0)[1]
    sets = {
        "train": (digits.pool_images[train_sample], digits.pool_labels[train_sample]),
        "val": (digits.pool_images[val], digits.pool_labels[val]),
        "test": (digits.test_images, digits.test_labels),
    }
    for at, weights in ((0, net.weights), (2, early.weights), (3, result.weights)):
        p = {n: torch.tensor(w.astype(np.float64)) for n, w in weights.items()}
        for name, (images, labels) in sets.items():
            out, y = logits(net, p, inputs(net.spec, images, digits.pool_images)), torch.tensor(labels.astype(int))
            loss = torch.nn.functional.cross_entropy(out, y).item()
            right = int((out.argmax(1) == y).sum())
            assert result.curves[f"{name}_correct"][at] == right
            assert result.curves[f"{name}_loss"][at] == pytest.approx(loss, rel=1e-6)
            assert sparse.evaluate(weights, images, labels, scale) == (pytest.approx(loss, rel=1e-6), right)


@LAYOUTS
def test_divergence_is_recorded_as_nan(digits, monkeypatch, crossover):
    monkeypatch.setattr(sparse, "CROSSOVER", crossover)
    net = network(0.5, optimizer="sgd", lr=1e30, iterations=20)
    result = trained(net, digits)
    assert np.isfinite(result.curves["val_loss"][0])
    assert np.isnan(result.curves["val_loss"][-1])
    assert all(np.all(result.weights[n][~mask] == 0) for n, mask in net.masks.items())


def test_stop_ends_within_a_chunk_and_yields_only_finished_networks(digits, monkeypatch):
    monkeypatch.setattr(sparse, "CHUNK", 50)
    nets = [network(0.5, iterations=50), network(0.5, iterations=10_000_000, eval_every=10_000_000)]
    counts: list[int] = []
    finished = list(
        sparse.train(
            nets, digits, threads=2, progress=lambda message, n: counts.append(n), stop=lambda: sum(counts) > 500
        )
    )
    assert [i for i, _ in finished] == [0]
    assert 500 < sum(counts) < 5000


def test_moments_of_absent_inputs_end_at_zero():
    """A moment that only decays must not linger in denormal numbers, slow on many processors."""
    pixels = np.zeros((2, 64), np.uint8)
    pixels[0], pixels[1, 0] = 200, 200
    net = network(1.0, arch="lenet-5")
    images = sparse._images(pixels, np.zeros(2, np.uint8), (np.float32(1 / 255), np.float32(0)))
    once, later = np.zeros((1, 60), np.int32), np.ones((2500, 60), np.int32)
    for layout in (ByWeight(net.weights, net.masks, 64), ByRow(net.weights, net.masks, 64, np.ones(64, bool), 60)):
        rule = rule_of(replace(net.spec, iterations=2510))
        layout.train(images, rule, once, 0)
        assert np.count_nonzero(layout.net.m) > 64
        layout.train(images, rule, later, 1)
        small = np.abs(layout.net.m[layout.net.m != 0])
        assert small.min() > np.finfo(np.float32).tiny


def test_kernels_on_disk_are_dropped_when_any_of_their_modules_changes():
    """`simd.kernel` sets a private attribute of Numba; this is what notices if Numba renames it."""
    plain = numba.njit(cache=True)(test_kernels_on_disk_are_dropped_when_any_of_their_modules_changes)
    assert plain._cache._cache_file._source_stamp != simd.STAMP
    assert by_row.train._cache._cache_file._source_stamp == simd.STAMP


def test_what_cannot_be_trained_is_said(digits):
    assert sparse.supports(Spec()) and not sparse.supports(Spec(dropout=0.5))
    with pytest.raises(UsageError, match="dense engine"):
        list(sparse.train([network(0.5, precision="bf16")], digits))


@pytest.mark.mnist
def test_both_layouts_learn_mnist_alike(monkeypatch, mnist_dir):
    mnist = data_sets.load("mnist")
    net = network(0.3, dataset="mnist", arch="lenet-300-100", iterations=300, eval_every=100)
    curves = []
    for crossover in (BY_ROW, BY_WEIGHT):
        monkeypatch.setattr(sparse, "CROSSOVER", crossover)
        curves.append(trained(net, mnist).curves)
    assert curves[0]["test_correct"][-1] > 9000
    np.testing.assert_allclose(curves[0]["val_loss"], curves[1]["val_loss"], rtol=1e-2)
