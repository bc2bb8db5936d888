"""Which convolutional rows the compiled engine takes by itself: where it was measured to be faster, and only there."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from lth_companion.experiments import timings
from lth_core import prune
from lth_core.engines import choose
from lth_core.engines.convolutional import crossover
from lth_core.engines.sparse.simd import VECTORS
from lth_core.errors import UsageError
from lth_core.models import layers
from lth_core.spec import Spec

LONG = dict(dataset="cifar10", iterations=20_000, eval_every=100)
CONV = Spec(**LONG, arch="conv-2")
RESNET = Spec(**LONG, arch="resnet-18", optimizer="momentum")
LAYER = dict(prune_conv=0.1, prune_fc=0.2, prune_out=0.1)
GLOBAL = dict(prune_conv=0.2, prune_fc=0.0, prune_out=0.0, scope="global")


@pytest.mark.parametrize(("spec", "rates"), [(CONV, LAYER), (RESNET, GLOBAL)])
@pytest.mark.parametrize("vectors", ["AVX-512", "AVX2"])
def test_sparse_rows_go_to_the_compiled_engine_and_denser_ones_do_not(spec, rates, vectors):
    rows = [spec.at_round(r, **rates) for r in range(20)]
    by_round = [crossover.wins(row, vectors) for row in rows]
    first = by_round.index(True)
    assert by_round == [False] * first + [True] * (20 - first)
    limit = crossover.FASTER_UP_TO[vectors][spec.arch]
    assert [crossover.share(row) <= limit for row in rows] == by_round


def test_auto_asks_the_crossover_on_a_cpu():
    """Keys of rows know nothing of engines, so that published ones stay what they are."""
    for r in (0, 3, 10):
        row = RESNET.at_round(r, **GLOBAL)
        expected = "convolutional" if crossover.wins(row, VECTORS) else "dense"
        assert choose.engine_for(row, "cpu", "auto") == expected
        assert choose.engine_for(row, "cpu", "dense") == "dense"


def test_what_was_not_measured_stays_on_the_dense_engine():
    sparse = RESNET.at_round(10, **GLOBAL)
    short = replace(sparse, iterations=200, eval_every=100)  # compiling would take longer than it saves
    others = [replace(sparse, arch="resnet-18-4"), short]
    assert [crossover.wins(s, "AVX-512") for s in (sparse, *others)] == [True, False, False]
    assert not crossover.wins(sparse, "")
    assert choose.engine_for(replace(sparse, precision="bf16"), "cpu", "auto") == "dense"


def test_maps_of_odd_width_stay_on_the_dense_engine():
    """Five times halved, 16 pixels are less than the two that the compiled engine computes at once."""
    small = Spec(**{**LONG, "dataset": "digits16"}, arch="vgg-19", optimizer="momentum").at_round(6, **GLOBAL)
    assert crossover.wins(small, "AVX-512") and choose.engine_for(small, "cpu", "auto") == "dense"
    with pytest.raises(UsageError, match="whose maps have an even width"):
        choose.engine_for(small, "cpu", "convolutional")
    for arch in ("conv-2", "conv-6", "resnet-18"):
        assert crossover.even(arch, "digits16")


def test_an_engine_for_cpus_is_not_asked_for_a_gpu():
    with pytest.raises(UsageError, match="engine = 'convolutional' trains on a CPU, not on device = 'cuda'"):
        choose.engine_for(RESNET, "cuda", "convolutional")


def test_pruning_fully_connected_layers_alone_leaves_the_work():
    """Conv-2 has 98% of its weights there and 80% of its multiply-adds elsewhere."""
    own = CONV.at_round(20, prune_conv=0.0, prune_fc=0.2, prune_out=0.1)
    assert prune.density(own) < 0.05 < 0.8 < crossover.share(own)
    assert crossover.share(CONV.at_round(0)) == 1


def test_a_layer_weight_meets_every_pixel_of_its_output():
    area = crossover.pixels("resnet-18", "cifar10")
    assert area["conv1.weight"] == 32**2 and area["stage2.block1.conv1.weight"] == 16**2
    assert area["stage2.block1.shortcut.weight"] == 16**2 and area["stage3.block3.conv2.weight"] == 8**2
    work = sum(area[x.weight] * np.prod(x.shape) for x in layers("resnet-18", "cifar10"))
    assert 40e6 < work < 42e6  # 41 million multiply-adds an image


@pytest.mark.parametrize("vectors", crossover.FASTER_UP_TO)
def test_the_crossover_is_what_the_published_benchmark_found(vectors):
    found = timings.bench(file=timings.file_of(vectors))[1]
    own = found[found["benchmark"] == "convolutional tickets, crossover"].set_index("arch")["median"]
    assert set(own.index) == set(crossover.FASTER_UP_TO[vectors])
    for arch, share in crossover.FASTER_UP_TO[vectors].items():
        assert own[arch] - 0.05 < share <= own[arch], arch
