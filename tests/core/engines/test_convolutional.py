"""The convolutional engine against torch in float64, and against the dense engine."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from lth_core.data import Dataset
from lth_core.draws import BatchOrder, generator
from lth_core.engines import choose
from lth_core.engines.convolutional import engine, fully, vectors
from lth_core.engines.convolutional.images import draw, lay
from lth_core.engines.convolutional.network import NOTHING, Convolutional
from lth_core.engines.dense import engine as train
from lth_core.engines.dense.forward import forward
from lth_core.engines.dense.images import flipped_and_cropped, keyed_uniform
from lth_core.engines.sparse import simd
from lth_core.errors import UsageError
from lth_core.models import Network, Parameters, initial, layers
from lth_core.prune import masked
from lth_core.spec import Spec
from lth_core.store.checkpoint import Halfway

pytestmark = pytest.mark.slow  # compiling takes minutes where no kernel is kept on disk

DENSITIES = (1.0, 0.4, 0.17, 0.055)
BATCH = 24  # one whole group of 16 images and half of another
VALUE = np.arange(256, dtype=np.float32) / np.float32(255)


@pytest.fixture(scope="module")
def noise() -> Dataset:
    """Images without equal neighbours: maxima of pools are unique, few numbers lie near a rectifier's edge."""
    rng = generator("noise")
    pool, test = (rng.integers(0, 256, (n, 3, 32, 32), np.uint8) for n in (400, 40))
    labels = [rng.integers(0, 10, n, np.uint8) for n in (400, 40)]
    made = Dataset("digits32", pool, labels[0], test, labels[1])
    return made


def network(arch: str, density: float, **fields) -> Network:
    """A network with random masks, and with biases and normalisation that are not what they start from."""
    common = {"dataset": "digits32", "optimizer": "momentum", "lr": 0.01, "batch_size": BATCH, "iterations": 4}
    spec = Spec(**{**common, "eval_every": 2, "arch": arch, **fields})
    weights, rng = initial(spec), generator("conv", arch)
    for name, w in weights.items():
        if name.endswith("norm.weight"):
            weights[name] = rng.uniform(0.5, 1.5, w.shape).astype(np.float32)
        elif name.endswith("bias"):
            weights[name] = rng.normal(0, 0.1, w.shape).astype(np.float32)
    table = layers(arch, spec.dataset)
    free = [x.weight for x in table if x.role == "free"]
    masks = {x.weight: rng.random(x.shape) < (1 if x.weight in free else density) for x in table}
    return Network(spec, masked(weights, masks), masks)


def made(net: Network) -> Convolutional:
    s = net.spec
    return Convolutional(layers(s.arch, s.dataset), net.weights, net.masks, 32, s.batch_size, s.optimizer == "adam")


def trained(net: Network, data: Dataset, **options):
    ((_, result),) = list(engine.train([net], data, **options))
    return result


def torch_gradient(net: Network, x: np.ndarray, y: np.ndarray, dtype: torch.dtype) -> tuple[Parameters, Parameters]:
    """Gradients under the mask, and the running statistics after the step."""
    weights = {name: torch.tensor(w)[None].to(dtype) for name, w in net.weights.items()}
    moved = [name for name in weights if "running" not in name]
    for name in moved:
        weights[name].requires_grad_()
    logits = forward(layers(net.spec.arch, net.spec.dataset), weights, torch.tensor(x)[None].to(dtype), training=True)
    loss = F.cross_entropy(logits[0], torch.tensor(y).long())
    found = torch.autograd.grad(loss, [weights[name] for name in moved])
    gradients = {name: g[0].numpy() for name, g in zip(moved, found, strict=True)}
    return masked(gradients, net.masks), {n: w[0].detach().numpy() for n, w in weights.items() if "running" in n}


def distance(a: Parameters, b: Parameters) -> float:
    """Relative distance of whole gradients, as one vector."""
    apart = sum(float(((a[n].astype(np.float64) - b[n]) ** 2).sum()) for n in b)
    return float(np.sqrt(apart / sum(float((b[n].astype(np.float64) ** 2).sum()) for n in b)))


def same(a, b) -> bool:
    parts = ((a.weights, b.weights), (a.curves, b.curves))
    return all(np.array_equal(x[name], y[name], equal_nan=True) for x, y in parts for name in x)


# --- Right ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("arch", "slack"), [("resnet-18", 1.0), ("vgg-19-4", 1.0), ("conv-2", 1.5)])
def test_gradients_of_whole_networks_are_nearer_to_float64_than_torchs(noise, arch, slack):
    """Both round to float32, but these sum in shorter pieces and in float64 across images. Where a number falls on the
    other side of a rectifier's edge, which is chance, either is far: by up to 1e-2 where a few out of 10^5 do. So the
    median over densities and batches is compared. (Conv-2, three layers deep in maps, is as near as torch: 3e-7.)"""
    ours, torchs = [], []
    for density in DENSITIES:
        net = network(arch, density)
        for first in (0, 50, 100):
            index = np.arange(first, first + BATCH, dtype=np.int32)
            x, y = VALUE[noise.pool_images[index]], noise.pool_labels[index]
            exact, statistics = torch_gradient(net, x, y, torch.float64)
            convolutional = made(net)
            convolutional.gradient(noise.pool_images.reshape(400, -1), index, y, VALUE, NOTHING)
            found = convolutional._whole(convolutional.memory.g)
            ours.append(distance(found, exact))
            torchs.append(distance(torch_gradient(net, x, y, torch.float32)[0], exact))
            assert ours[-1] < 2e-2
            assert all((found[name][~mask] == 0).all() for name, mask in net.masks.items())
            for name, value in convolutional.statistics().items():
                np.testing.assert_allclose(value, statistics[name], rtol=1e-5, atol=1e-6, err_msg=name)
    assert np.median(ours) <= slack * np.median(torchs), (ours, torchs)


def test_draws_are_the_dense_engines():
    key, out = 2**61 + 12345, np.empty(300, np.int64)
    for iteration in (0, 1, 99_999):
        draw(key, iteration, out)
        expected = keyed_uniform(torch.tensor([key]), torch.tensor([iteration]), 300)[0].numpy()
        assert np.array_equal(out, expected)


def test_images_are_flipped_and_cropped_as_by_the_dense_engine(noise):
    index, draws = np.arange(20, dtype=np.int32), np.empty(60, np.int64)
    draw(7, 3, draws)
    x = vectors.zeros(2 * 32 * 3 * 32 * 16)
    lay(noise.pool_images.reshape(400, -1), index, VALUE, draws, 3, 32, x)
    found = x.reshape(2, 32, 3, 32, 16).transpose(0, 4, 2, 1, 3).reshape(32, 3, 32, 32)
    cut = flipped_and_cropped(torch.tensor(noise.pool_images[index])[None], torch.tensor(draws).view(1, 20, 3))
    assert np.array_equal(found[:20], cut[0].numpy().astype(np.float32) / np.float32(255))
    assert np.array_equal(found[20:], np.repeat(found[19:20], 12, axis=0))  # the last image fills the group


@pytest.mark.parametrize(
    ("arch", "fields"),
    [("resnet-18-4", {"weight_decay": 1e-3, "augment": "flip_crop", "inputs": "standard", "warmup": 5}),
     ("vgg-19-4", {"weight_decay": 1e-3, "augment": "flip_crop", "lr_drops": (5,)}),
     ("conv-2", {"optimizer": "adam", "lr": 2e-4}), ("conv-2", {"optimizer": "adam", "lr": 2e-4, "dropout": 0.5})],
)  # fmt: skip
def test_ten_steps_agree_with_the_dense_engine(noise, arch, fields):
    """Batches, draws, masks and schedule are the same, so that rounding alone tells the engines apart.

    Tolerance: rounding moves a gradient by 1e-6 of its size, and by 1e-3 where it flips a rectifier; ten steps move
    weights by less than 0.3 of their size, of which a few flips make 1e-3. Adam divides by the gradient's own size, so
    that near 0 its step is anybody's: the distance over all weights is compared, not the largest of one."""
    net = network(arch, 0.3, **{"lr": 0.001, "iterations": 10, "eval_every": 10, **fields})
    ours = trained(net, noise)
    ((_, dense),) = list(train.train([net], noise, device="cpu"))
    assert list(ours.weights) == list(dense.weights)
    moved = distance(net.weights, dense.weights)
    assert distance(ours.weights, dense.weights) < max(2e-3 * moved, 2e-6), moved
    np.testing.assert_allclose(ours.curves["val_loss"], dense.curves["val_loss"], rtol=2e-3)
    assert ours.curves["test_correct"][0] == dense.curves["test_correct"][0]
    assert ours.engine == "convolutional"


def test_batches_come_in_the_dense_engines_order(noise):
    net = network("resnet-18-4", 0.5)
    train_index, _ = noise.split(0, 0)
    job = engine._Training(net, noise, None)
    assert np.array_equal(job.order.batches(0, 4), BatchOrder(net.spec, train_index).batches(0, 4))


# --- The invariants of the method -------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["momentum", "adam", "sgd"])
def test_pruned_weights_stay_zero_and_negative_ones_move(noise, optimizer):
    net = network("resnet-18-4", 0.3, optimizer=optimizer, weight_decay=0.1, lr=0.005)
    result = trained(net, noise)
    for name, mask in net.masks.items():
        assert (result.weights[name][~mask] == 0).all()
        assert (result.weights[name][mask] != 0).mean() > 0.99
    name = "stage2.block2.conv1.weight"
    before, after = net.weights[name], result.weights[name]
    for side in (before < 0, before > 0):
        assert (after != before)[side].mean() > 0.9


def test_running_statistics_move_under_a_mask_and_evaluation_reads_them(noise):
    net = network("resnet-18-4", 0.2)
    result = trained(net, noise)
    moved = [name for name in net.weights if "running" in name]
    assert all((result.weights[name] != net.weights[name]).mean() > 0.9 for name in moved)
    loss, right = engine.evaluate(
        "resnet-18-4", "digits32", result.weights, noise.test_images, noise.test_labels, VALUE, batch=16
    )
    weights = {name: torch.tensor(w)[None].double() for name, w in result.weights.items()}
    logits = forward(layers("resnet-18-4", "digits32"), weights, torch.tensor(VALUE[noise.test_images])[None].double())[
        0
    ]
    labels = torch.tensor(noise.test_labels).long()
    assert loss == pytest.approx(F.cross_entropy(logits, labels).item(), rel=1e-5)
    assert right == (logits.argmax(1) == labels).sum() == result.curves["test_correct"][-1]


@pytest.mark.parametrize("arch", ["conv-2", "conv-6-16", "resnet-18-4", "vgg-19-4"])
@pytest.mark.parametrize("density", [1.0, 0.2])
def test_evaluation_forgets_its_maps_and_keeps_its_numbers(arch, density):
    """Groups of images share a few arrays in turn: the same bits whatever room a step's batch has, and however often
    and over how many images it is done."""
    net, rng = network(arch, density), np.random.default_rng(1)
    images = rng.integers(0, 256, (83, 3, 32, 32), np.uint8)  # one block of 64 and 19 more: a group, and a part of one
    labels = rng.integers(0, 10, 83).astype(np.uint8)
    parts = [engine.evaluate(arch, "digits32", net.weights, images[k], labels[k], VALUE, batch=b)
             for b, k in ((3, slice(None)), (100, slice(None)), (16, slice(64)), (16, slice(64, None)))]  # fmt: skip
    assert parts[0] == parts[1]
    assert parts[0][1] == parts[2][1] + parts[3][1]
    assert parts[0][0] == pytest.approx((64 * parts[2][0] + 19 * parts[3][0]) / 83, rel=1e-6)
    weights = {name: torch.tensor(w)[None].double() for name, w in net.weights.items()}
    (logits,) = forward(layers(arch, "digits32"), weights, torch.tensor(VALUE[images])[None].double())
    assert parts[0][0] == pytest.approx(F.cross_entropy(logits, torch.tensor(labels).long()).item(), rel=1e-4)


def test_a_layer_may_lose_all_its_weights(noise):
    net = network("resnet-18-4", 0.3)
    masks = {**net.masks, "stage1.block2.conv1.weight": np.zeros_like(net.masks["stage1.block2.conv1.weight"])}
    result = trained(Network(net.spec, masked(net.weights, masks), masks), noise)
    assert np.isfinite(result.curves["val_loss"]).all()


def test_a_diverged_network_stays_nan(noise):
    result = trained(network("resnet-18-4", 0.3, lr=1e30), noise)
    assert np.isfinite(result.curves["val_loss"][0])
    assert np.isnan(result.curves["val_loss"][-1])
    assert (result.weights["conv1.weight"][~network("resnet-18-4", 0.3).masks["conv1.weight"]] == 0).all()


@pytest.mark.parametrize("density", [0.3, 0.6])
def test_the_large_layer_by_weight_and_as_a_product_agree(noise, monkeypatch, density):
    """Tolerance: float32 sums of up to 4,096 terms."""
    net, results = network("conv-2", density, optimizer="adam", lr=2e-4, iterations=1, eval_every=1), []
    for dense in (0.0, 2.0):
        monkeypatch.setattr(fully, "DENSE", dense)
        index = np.arange(BATCH, dtype=np.int32)
        convolutional = made(net)
        convolutional.gradient(noise.pool_images.reshape(400, -1), index, noise.pool_labels[index], VALUE, NOTHING)
        results.append(convolutional._whole(convolutional.memory.g))
    assert distance(*results) < 1e-5


# --- Running ----------------------------------------------------------------------------------------------------------


def test_alone_as_among_others_bit_for_bit(noise):
    nets = [network("resnet-18-4", d, trial=i) for i, d in enumerate((0.6, 0.1, 0.3))]
    alone = [trained(net, noise) for net in nets]
    among = dict(engine.train(nets, noise, threads=2))
    assert all(same(among[i], alone[i]) for i in range(3))


def test_stopped_and_resumed_equals_uninterrupted(noise):
    nets = [network("resnet-18-4", 0.3, augment="flip_crop"), network("conv-2", 0.2, optimizer="adam", lr=2e-4)]
    for net in nets:
        whole, kept = trained(net, noise), {}
        counts: list[int] = []
        assert not list(
            engine.train(
                [net], noise, progress=lambda _, n, c=counts: c.append(n), stop=lambda c=counts: sum(c) >= 2,
                keep=lambda i, half, k=kept: k.update({i: half}),
            )
        )  # fmt: skip
        assert isinstance(kept[0], Halfway) and kept[0].iteration == 2
        assert same(trained(net, noise, halves=kept), whole)


def test_the_dense_engine_goes_on_from_its_halves(noise):
    """Both keep the same form. Tolerance: as for ten steps."""
    net = network("resnet-18-4", 0.3, lr=0.001)
    job, ending, kept = engine._Training(net, noise, None), threading.Event(), []
    job.run(ending, lambda n: ending.set(), kept.append)
    ((_, result),) = list(train.train([net], noise, device="cpu", halves=kept))
    whole = trained(net, noise)
    assert distance(result.weights, whole.weights) < 2e-3 * distance(net.weights, whole.weights)


def test_what_it_cannot_train_is_said(noise):
    assert engine.supports(Spec(dataset="cifar10", arch="resnet-18"))
    assert not engine.supports(Spec())
    with pytest.raises(UsageError, match="dense engine"):
        list(engine.train([network("resnet-18-4", 0.5, precision="bf16")], noise))
    with pytest.raises(UsageError, match="convolutional"):
        choose.engine_for(Spec(), "cpu", "convolutional")


def test_the_engine_trains_what_is_asked_of_it_by_name():
    spec = Spec(dataset="cifar10", arch="resnet-18", optimizer="momentum")
    assert choose.engine_for(spec, "cpu", "dense") == "dense"
    assert choose.engine_for(spec, "cpu", "convolutional") == "convolutional"
    with pytest.raises(UsageError, match="fp32"):
        choose.engine_for(replace(spec, precision="bf16"), "cpu", "convolutional")


# --- Compiled ---------------------------------------------------------------------------------------------------------


def test_kernels_allocate_nothing_and_are_dropped_when_their_sources_change():
    """`simd.kernel` compiles without Numba's run-time for arrays, so that an allocation would not compile."""
    from lth_core.engines.convolutional import backward, forward, images, norm, pooling

    for module in (backward, forward, images, norm, pooling, fully):
        made = [f for f in vars(module).values() if hasattr(f, "py_func") and f.py_func.__module__ == module.__name__]
        assert made, f"{module.__name__} has kernels, or Numba calls their functions otherwise"
        for kernel in made:
            assert kernel.targetoptions["_nrt"] is False and kernel.targetoptions["nogil"]
            assert kernel._cache._cache_file._source_stamp == simd.STAMP
