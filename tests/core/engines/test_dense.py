"""Convolutional networks: the papers' sizes and schedules, and training that equals plain torch."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import partial

import networks
import numpy as np
import pytest
import torch
from torch import nn

from lth_core import data, prune, tickets
from lth_core.draws import BatchOrder
from lth_core.engines.dense import engine as train
from lth_core.engines.dense import forward as forwards
from lth_core.engines.dense.forward import forward, layout
from lth_core.engines.dense.images import flipped_and_cropped, keyed_uniform
from lth_core.engines.sparse import engine as sparse
from lth_core.errors import UsageError
from lth_core.models import Network, initial, layers, weight_count
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import StoreError, key_of
from lth_core.store.checkpoint import Halfway, Shelf

DEEP = dict(dataset="digits32", optimizer="momentum", lr=0.002, weight_decay=0.5, batch_size=16)
RESNET = Spec(arch="resnet-18-4", iterations=1, eval_every=1, **DEEP).at_round(0)
VGG = replace(RESNET, arch="vgg-19-4")


# --- The papers' networks (ICLR Figure 2) -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arch", "weights", "free"),
    [("conv-2", 4_300_992, 0), ("conv-4", 2_425_024, 0), ("conv-6", 2_261_184, 0), ("conv-6-192", 1_667_264, 0),
     ("resnet-18", 270_896, 3_200), ("vgg-19", 20_024_000, 5_120)],
)  # fmt: skip
def test_sizes_are_the_papers(arch: str, weights: int, free: int) -> None:
    assert weight_count(arch, "cifar10") == weights
    assert sum(math.prod(x.shape) for x in layers(arch, "cifar10") if x.role == "free") == free


@pytest.mark.parametrize(
    ("arch", "conv", "printed"),
    [("conv-2", 0.10, (80.096, 41.196, 17.029, 1.018)), ("conv-4", 0.10, (81.082, 43.627, 19.619, 2.006)),
     ("conv-6", 0.15, (82.542, 46.677, 22.107, 2.134)), ("conv-6-192", 0.15, (82.453, 46.477, 21.922, 2.094))],
)  # fmt: skip
def test_layer_wise_schedules_are_the_printed_percentages(arch: str, conv: float, printed: tuple[float, ...]) -> None:
    spec = Spec(dataset="cifar10", arch=arch, prune_conv=conv, prune_fc=0.2, prune_out=0.1)
    found = [100 * prune.density(replace(spec, round=r)) for r in (1, 4, 8, 21)]
    assert found == pytest.approx(printed, abs=0.002)


def test_networks_of_images_refuse_rows_of_numbers() -> None:
    with pytest.raises(UsageError, match="needs images"):
        layers("resnet-18", "mnist")


# --- The same as plain torch ------------------------------------------------------------------------------------------


def tensors(model: nn.Sequential) -> list[torch.Tensor]:
    """Parameters and statistics in order of our table."""
    modules = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.Linear)]
    found = [getattr(m, name, None) for m in modules for name in ("weight", "bias", "running_mean", "running_var")]
    return [t for t in found if isinstance(t, torch.Tensor)]


def plain(spec: Spec) -> nn.Sequential:
    """The same network in plain torch, with our initial weights."""
    made = networks.plain(spec.arch)
    for tensor, values in zip(tensors(made), initial(spec).values(), strict=True):
        tensor.data = torch.from_numpy(values.copy())
    return made


@pytest.mark.parametrize("spec", [RESNET, VGG], ids=lambda s: s.arch)
def test_training_equals_plain_torch(spec: Spec) -> None:
    """Weights, batch-norm statistics and evaluation after a step of SGD with weight decay."""
    digits = data.load("digits32")
    network = Network(spec, initial(spec), prune.full(spec))
    ((_, found),) = train.train([network], digits, device="cpu")
    lies = layout(layers(spec.arch, spec.dataset))  # the same kernels: rounding decides on which side of 0
    model = plain(spec).to(memory_format=lies)  # type: ignore[call-overload]  # flat areas lie
    optimizer = torch.optim.SGD(model.parameters(), lr=spec.lr, momentum=0.9, weight_decay=spec.weight_decay)
    order = BatchOrder(spec, digits.split(spec.seed, spec.trial)[0])
    model.train()
    for batch in order.batches(0, spec.iterations):
        x = (torch.from_numpy(digits.pool_images[batch]).float() / 255).to(memory_format=lies)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(x), torch.from_numpy(digits.pool_labels[batch]).long()).backward()
        optimizer.step()
    model.eval()
    expected = [t.detach().numpy() for t in tensors(model)]
    start = network.weights
    moves = {n: theirs - start[n] for n, theirs in zip(start, expected, strict=True)}
    usual = np.sqrt(np.mean(np.concatenate([m.ravel() for n, m in moves.items() if "running" not in n]) ** 2))
    for name, moved in moves.items():  # sums that nearly cancel leave some gradients small and inexact
        np.testing.assert_allclose(found.weights[name] - start[name], moved, rtol=1e-3, atol=2e-3 * usual, err_msg=name)
    x = torch.from_numpy(digits.test_images).float() / 255
    with torch.no_grad():
        right = int((model(x).argmax(1).numpy() == digits.test_labels).sum())
        loss = float(nn.functional.cross_entropy(model(x), torch.from_numpy(digits.test_labels).long()))
    assert found.curves["test_loss"][-1] == pytest.approx(loss, rel=1e-3)
    assert abs(found.curves["test_correct"][-1] - right) <= 2


def test_evaluation_uses_what_training_remembers_and_changes_nothing() -> None:
    spec, images = RESNET, torch.rand(1, 5, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    weights = {n: torch.from_numpy(w.copy()).unsqueeze(0) for n, w in initial(spec).items()}
    table = layers(spec.arch, spec.dataset)
    before = {n: w.clone() for n, w in weights.items()}
    one = forward(table, weights, images[:, :1])
    many = forward(table, weights, images)
    torch.testing.assert_close(one, many[:, :1])
    assert all(torch.equal(before[n], weights[n]) for n in weights)
    forward(table, weights, images, training=True)
    moved = {n for n in weights if not torch.equal(before[n], weights[n])}
    assert moved == {n for layer in table for n in layer.statistics}


def test_pruned_weights_stay_zero_and_a_row_alone_equals_the_row_in_a_cohort() -> None:
    digits, spec = data.load("digits32"), replace(RESNET, prune_conv=0.5, round=1, scope="global", augment="flip_crop")
    networks = []
    for trial in range(3):
        s = replace(spec, trial=trial)
        masks = prune.cut(s, initial(s), prune.full(s))
        networks.append(Network(s, prune.masked(initial(s), masks), masks))
    together = [t for _, t in train.train(networks, digits, device="cpu")]
    ((_, alone),) = train.train(networks[1:2], digits, device="cpu")
    for name, values in alone.weights.items():
        assert np.array_equal(values, together[1].weights[name])
        if name in networks[1].masks:
            assert np.all(values[~networks[1].masks[name]] == 0)
    assert all(np.array_equal(alone.curves[c], together[1].curves[c]) for c in alone.curves)


@pytest.mark.parametrize("arch", ["resnet-18-8", "vgg-19-8", "conv-2"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_one_grouped_convolution_is_that_of_each_network(arch: str, dtype: torch.dtype) -> None:
    """Features, gradients and statistics: the way of a GPU, here on a CPU."""
    specs = [replace(RESNET, arch=arch, trial=t) for t in range(3)]
    table, starts = layers(arch, "digits32"), [initial(s) for s in specs]
    images = torch.rand(3, 8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    made = []
    for way in (lambda t, w, x: forwards._convolved(t, w, x, True), forwards.grouped):
        own = {n: torch.from_numpy(np.stack([s[n] for s in starts])) for n in starts[0]}
        taught = [w.requires_grad_() for n, w in own.items() if "running" not in n and n.startswith(("conv", "stage"))]
        with torch.autocast("cpu", torch.bfloat16, enabled=dtype == torch.bfloat16, cache_enabled=False):
            cast = forwards._cast([x for x in table if len(x.shape) > 2], own, "cpu")
            features = way(table, cast, images)
        gradients = torch.autograd.grad(features.float().square().sum(), taught)
        made.append([features.detach().float(), *gradients, *(w for n, w in own.items() if "running" in n)])
    for one, other in zip(*made, strict=True):
        close = 1e-3 if dtype == torch.float32 else 0.1
        assert float((one - other).norm()) <= close * float(one.norm()) + 1e-6


# --- Augmentation -----------------------------------------------------------------------------------------------------


def test_flips_and_crops_are_all_of_the_papers_and_keyed() -> None:
    image = torch.arange(1, 3 * 32 * 32 + 1).view(3, 32, 32).to(torch.int32)
    draws = torch.cartesian_prod(torch.arange(2), torch.arange(9), torch.arange(9))
    made = flipped_and_cropped(image.expand(1, len(draws), 3, 32, 32), draws.unsqueeze(0))[0]
    padded = nn.functional.pad(image, [4] * 4)
    for (mirror, down, right), found in zip(draws.tolist(), made, strict=True):
        whole = padded.flip(2) if mirror else padded
        left = 8 - right if mirror else right
        assert torch.equal(found, whole[:, down : down + 32, left : left + 32])
    keys = torch.tensor([3, 4])
    a, b = (keyed_uniform(keys, torch.tensor([it]), 30_000) for it in (7, 8))
    for values in (a[0], a[1], b[0]):
        counts = torch.bincount(values % 9, minlength=9)
        assert ((counts - 30_000 / 9).abs() < 5 * math.sqrt(30_000 / 9)).all()
    assert not torch.equal(a[0], b[0]) and not torch.equal(a[0], a[1])


# --- Global pruning ---------------------------------------------------------------------------------------------------


def test_global_pruning_spares_projections_and_output_and_random_masks_follow_the_ticket(tmp_path) -> None:
    store = Store(tmp_path / "store")
    spec = replace(RESNET, prune_conv=0.5, round=2, scope="global")
    chance = replace(spec, arm="random_sparsity")
    tickets.run([spec, chance], store, device="cpu")
    table = layers(spec.arch, spec.dataset)
    ticket, other = store.read(key_of(spec)).masks, tickets.from_store(chance, store).masks
    prunable = sum(math.prod(x.shape) for x in table if x.role == "conv")
    assert sum(int(ticket[x.weight].sum()) for x in table if x.role == "conv") == prune.kept(prunable, 0.5, 2)
    assert all(ticket[x.weight].all() for x in table if x.role == "free")
    shares = {round(float(ticket[x.weight].mean()), 3) for x in table if x.role == "conv"}
    assert len(shares) > 3  # one threshold for all layers: they keep different shares
    for name in ticket:
        assert other[name].sum() == ticket[name].sum()
    assert any(not np.array_equal(other[n], ticket[n]) for n in ticket)


def test_stored_networks_keep_their_statistics(tmp_path) -> None:
    store = Store(tmp_path / "store")
    tickets.run([RESNET], store, device="cpu")
    weights = store.read(key_of(RESNET)).weights
    assert set(weights) == set(initial(RESNET))
    assert (weights["conv1.norm.running_var"] != 1).any()


# --- Stopped halfway --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["momentum", pytest.param("adam", marks=pytest.mark.slow)])
def test_stopped_in_the_middle_of_a_round_it_goes_on_bit_for_bit(tmp_path, optimizer: str) -> None:
    rows = [replace(RESNET, iterations=8, optimizer=optimizer, augment="flip_crop", trial=t) for t in range(2)]
    whole, parts = Store(tmp_path / "whole"), Store(tmp_path / "parts")
    tickets.run(rows, whole, device="cpu")
    seen = set()
    while len(parts.keys()) < len(rows):
        looks = iter([False] * 3)  # as if time ran out after few steps, again and again
        tickets.run(rows, parts, device="cpu", stop=partial(next, looks, True))
        seen.add(Shelf(parts.root).iteration(rows[0]))
    assert len(seen) > 3 and not list((parts.root / "halfway").iterdir())
    for spec in rows:
        one, other = whole.read(key_of(spec)), parts.read(key_of(spec))
        assert one.curves.equals(other.curves)
        assert all(np.array_equal(one.weights[n], other.weights[n]) for n in one.weights)


def test_a_long_training_is_kept_while_it_goes_on(tmp_path, monkeypatch) -> None:
    """A process that is killed says no goodbye: what it has is put down every few minutes."""
    kept: list[int] = []
    save = Shelf.save
    monkeypatch.setattr(train, "KEEP_SECONDS", -1)
    monkeypatch.setattr(Shelf, "save", lambda self, spec, half: (kept.append(half.iteration), save(self, spec, half)))
    spec = replace(RESNET, iterations=8)
    tickets.run([spec], Store(tmp_path), device="cpu")
    assert kept == list(range(spec.eval_every, 8, spec.eval_every)) and not list((tmp_path / "halfway").iterdir())


def test_time_before_a_stop_counts(tmp_path) -> None:
    """Found on the costs page: what had been stopped told only the seconds since it went on."""
    spec, store = replace(RESNET, iterations=8), Store(tmp_path)
    shelf, looks = Shelf(tmp_path), iter([False] * 3)
    tickets.run([spec], store, device="cpu", stop=partial(next, looks, True))
    half = shelf.load(spec)
    assert half is not None and half.seconds > 0
    shelf.save(spec, replace(half, seconds=1000.0))
    tickets.run([spec], store, device="cpu")
    assert store.read(key_of(spec)).made["seconds"] > 1000


def test_damaged_halfway_states_are_refused(tmp_path) -> None:
    shelf = Shelf(tmp_path)
    assert shelf.load(RESNET) is None
    shelf.save(RESNET, Halfway(1, {"flat": np.arange(9, dtype=np.float32)}))
    half = shelf.load(RESNET)
    assert half is not None and half.iteration == 1 and np.array_equal(half.arrays["flat"], np.arange(9))
    (file,) = shelf.root.iterdir()
    sound = file.read_bytes()
    for damaged in (sound[:-1], sound[:-1] + bytes([sound[-1] ^ 1]), b"", b"{}"):
        file.write_bytes(damaged)
        with pytest.raises(StoreError, match="is damaged: delete it"):
            shelf.load(RESNET)
    shelf.remove(RESNET)
    assert shelf.iteration(RESNET) == 0


def test_a_fully_connected_network_trains_on_images():
    """Pixels of three channels are its features, as on the compiled engine."""
    spec = Spec(dataset="digits16", arch="lenet-12-8", iterations=4, eval_every=2, batch_size=20)
    net, digits = Network(spec, initial(spec), {}), data.load("digits16")
    ((_, dense),) = train.train([replace(net, masks=prune.full(spec))], digits, device="cpu")
    ((_, other),) = sparse.train([replace(net, masks=prune.full(spec))], digits)
    for column in ("train_loss", "val_loss", "test_loss"):
        np.testing.assert_allclose(dense.curves[column], other.curves[column], rtol=1e-4)
