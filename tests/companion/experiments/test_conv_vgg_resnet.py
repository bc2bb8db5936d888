"""Networks on CIFAR-10 as rows: counts and schedules against the paper's, and what a CPU can train in minutes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import replace

import nbformat
import numpy as np
import pandas as pd
import pytest
from places import ROOT

pytest.importorskip("matplotlib")

from lth_companion.claims import statements
from lth_companion.claims.curve_columns import evaluations, with_curves
from lth_companion.experiments import catalogue, cifar10_recipes, costs
from lth_companion.experiments import conv_vgg_resnet as cifar
from lth_companion.experiments.scale import Scale
from lth_companion.experiments.study import Study
from lth_companion.figures import conv6
from lth_companion.figures import several_networks as grids
from lth_core import prerequisites, prune, results
from lth_core.analyse import summary
from lth_core.data import EVALUATED
from lth_core.draws import split
from lth_core.engines import choose
from lth_core.models import layers
from lth_core.results.published import runs
from lth_core.spec import Spec
from lth_core.store.cell import describe, key_of

FIGURES = {f.id: f for f in cifar.figures()}

# Percentages of weights remaining on the paper's axes: label of a round.
MAIN = {
    "conv-2": {3: 51.4, 6: 26.5, 9: 13.7, 12: 7.1, 15: 3.7, 18: 1.9, 21: 1.0},
    "conv-4": {3: 53.5, 6: 29.1, 9: 16.2, 12: 9.2, 15: 5.4, 18: 3.2, 21: 2.0, 24: 1.3},
    "resnet-18": {2: 64.4, 4: 41.7, 6: 27.1, 8: 17.8, 10: 11.8, 12: 8.0, 14: 5.5},
    "vgg-19": {4: 41.0, 8: 16.8, 12: 6.9, 16: 2.8, 20: 1.2, 24: 0.5, 28: 0.2, 32: 0.1},
}

# What each figure needs beyond those whose networks it shares: trainings, and iterations in all. From the papers'
# protocols as trials × levels; trials of VGG-19 and ResNet-18 are assumed to be those of the other networks.
COSTS = {
    "iclr-fig01-conv": (600, 15_000_000, ["iclr-fig05"]),
    "iclr-fig05": (1455, 36_775_000, []),
    "iclr-fig06": (375, 28_425_000, ["iclr-fig05"]),
    "iclr-fig07": (1935, 217_648_800, []),
    "iclr-fig08": (855, 25_650_000, []),
    "iclr-fig13": (0, 0, ["iclr-fig05"]),
    "iclr-fig14-conv": (0, 0, ["iclr-fig01-conv", "iclr-fig05"]),
    "iclr-fig14-resnet": (420, 12_600_000, ["iclr-fig08"]),
    "iclr-fig14-vgg": (960, 107_980_800, ["iclr-fig07"]),
    "iclr-fig32": (1872, 47_880_000, []),
    "iclr-fig33": (1422, 36_825_000, []),
    "iclr-fig34": (1404, 35_910_000, []),
    "iclr-fig36": (1080, 81_675_000, []),
    "iclr-fig42": (855, 25_650_000, []),
    "iclr-fig43": (1935, 217_648_800, []),
    "iclr-fig44": (270, 8_100_000, []),
    "iclr-fig45": (594, 66_813_120, []),
}


@pytest.mark.parametrize("figure", COSTS)
def test_a_figure_has_as_many_networks_as_its_protocol(figure):
    networks, iterations, shared = COSTS[figure]
    others = {s for other in shared for s in catalogue.rows(other)}
    new = [s for s in catalogue.rows(figure) if s not in others]
    assert (len(new), sum(s.iterations for s in new)) == (networks, iterations)


def test_figures_whose_unpruned_networks_are_another_figures():
    """Figure 10: continued chains and their tickets, 21, 26 and 25 levels each. Figures 38-41: layer-wise chains of 32
    and 14 levels beside the unpruned networks of Figures 7 and 8. Figure 35: 24 levels of each rate."""
    assert len(set(catalogue.rows("iclr-fig10")) - set(catalogue.rows("iclr-fig05"))) == 5 * 2 * (21 + 26 + 25)
    for figure, main, levels in (("iclr-fig38", "iclr-fig07", 32), ("iclr-fig39", "iclr-fig08", 14)):
        assert len(set(catalogue.rows(figure)) - set(catalogue.rows(main))) == 3 * 5 * levels
    for figure, tickets_of, levels in (("iclr-fig40", "iclr-fig38", 32), ("iclr-fig41", "iclr-fig39", 14)):
        assert len(set(catalogue.rows(figure)) - set(catalogue.rows(tickets_of))) == 3 * 15 * levels
    rows = catalogue.rows("iclr-fig35")
    assert len([s for s in rows if s.round]) + 6 * len([s for s in rows if not s.round]) == 1296


@pytest.mark.parametrize(
    "net", [*cifar10_recipes.CONV[:2], cifar10_recipes.RESNET, cifar10_recipes.VGG], ids=lambda n: n.arch
)
def test_schedules_meet_the_printed_percentages(net):
    for r, label in MAIN[net.arch].items():
        spec = Spec(dataset="cifar10", arch=net.arch, round=r, **net.prune)
        assert round(100 * prune.density(spec), 1) == label


def test_recipes_are_the_papers():
    """ICLR Figure 2: iterations, batch, optimizer, rate; section 4: warmup and drops at epochs 80 and 120 of 160."""
    seen = {(s.arch, s.iterations, s.batch_size, s.optimizer, s.lr, s.prune_conv) for s in catalogue.rows("iclr-fig05")}
    adam = {
        ("conv-2", 20_000, 60, "adam", 2e-4),
        ("conv-4", 25_000, 60, "adam", 3e-4),
        ("conv-6", 30_000, 60, "adam", 3e-4),
    }
    assert {s[:5] for s in seen} == adam
    assert {s[0]: s[5] for s in seen if s[5]} == {"conv-2": 0.1, "conv-4": 0.1, "conv-6": 0.15}
    dropped = {(s.arch, s.iterations, s.lr) for s in catalogue.rows("iclr-fig06") if s.dropout == 0.5}
    assert dropped == {("conv-2", 60_000, 3e-4), ("conv-4", 75_000, 2e-4), ("conv-6", 90_000, 2e-4)}
    epoch = 45_000 // 64
    for figure, batch, drops in (("iclr-fig07", 64, (80 * epoch, 120 * epoch)), ("iclr-fig08", 128, (20_000, 25_000))):
        for s in catalogue.rows(figure):
            assert (s.optimizer, s.weight_decay, s.augment, s.batch_size) == ("momentum", 1e-4, "flip_crop", batch)
            assert s.lr_drops == drops
            assert s.round == 0 or (s.scope, s.prune_conv, s.prune_fc, s.prune_out) == ("global", 0.2, 0, 0)
    assert {s.iterations for s in catalogue.rows("iclr-fig07")} == {160 * epoch}
    assert [len(part) for part in split(0, 0, 50_000, 5_000)] == [45_000, 5_000]


@pytest.mark.parametrize("figure", FIGURES)
@pytest.mark.parametrize("profile", catalogue.PROFILES)
def test_every_row_can_be_trained(figure, profile):
    rows = catalogue.rows(figure, profile)
    assert {s.dataset for s in rows} == {"digits16" if profile in catalogue.LIVE else "cifar10"}
    for s in rows:
        assert s.warmup <= s.iterations and all(0 < d < s.iterations for d in s.lr_drops) and s.weight_decay <= 1e-4
    one = {replace(s, trial=0, replicate=0, round=min(s.round, 1), arm="ticket") for s in rows}
    for s in one:
        compiled = () if profile in catalogue.LIVE else ("convolutional",)  # not worth it for so short
        assert layers(s.arch, s.dataset) and choose.engine_for(s, "cpu", "auto") in ("dense", *compiled)
    kept = set(prerequisites.with_ancestors(rows))
    assert all(need in kept for s in kept for need in prerequisites.needs(s))


def test_the_data_that_come_along_take_the_place_of_either():
    assert {s.dataset for s in catalogue.rows("iclr-fig05", "quick", dataset="cifar10")} == {"cifar10"}
    assert {s.dataset for s in catalogue.rows("iclr-fig05", "paper", dataset="digits")} == {"digits16"}
    page = Study(notebook="iclr_e_random_sparsity", profile="quick", dataset="digits")
    assert (page.on, page.data("iclr-fig14-conv"), page.option) == ("digits", "digits16", "digits")
    page = Study(notebook="iclr_3_conv")
    assert (page.on, page.option) == ("cifar10", "own")


def test_a_page_that_trains_says_in_text_how_much_is_left(tmp_path, monkeypatch, capfd):
    """What papermill passes on with `--log-output`; a bar that is a widget would be seen by nobody."""
    monkeypatch.setenv("LTH_STORE", str(tmp_path))
    row = Spec(dataset="digits", arch="lenet-8-4", iterations=20, eval_every=10).at_round(0)
    monkeypatch.setattr(Study, "rows", lambda self, figure: [row])
    assert Study(notebook="iclr_2_lenet", profile="quick", dataset="digits").source.has(row)
    assert re.search(r"1 network: 100%.*20\.0/20\.0 \[\d\d:\d\d<", capfd.readouterr().err)


@pytest.mark.slow
def test_papermill_passes_on_how_much_is_left(tmp_path):
    """From inside a cell that trains, by the command that README tells."""
    lines = (
        "from lth_companion.experiments.study import Study",
        "from lth_core.spec import Spec",
        "row = Spec(dataset='digits', arch='lenet-8-4', iterations=20, eval_every=10).at_round(0)",
        "Study.rows = lambda self, figure: [row]",
        "assert Study(notebook='iclr_2_lenet', profile='quick', dataset='digits').source.has(row)",
    )
    page = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("\n".join(lines))])
    nbformat.write(page, tmp_path / "page.ipynb")
    command = ["papermill", "page.ipynb", "out.ipynb", "-k", "python3", "--log-output", "--no-progress-bar"]
    env = {**os.environ, "LTH_STORE": str(tmp_path / "store"), "PYTHONPATH": str(ROOT)}
    run = subprocess.run([sys.executable, "-m", *command], cwd=tmp_path, env=env, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr[-2000:]
    assert re.search(r"1 network: 100%.*20\.0/20\.0 \[\d\d:\d\d<\d\d:\d\d", run.stderr)


def test_fewer_iterations_keep_the_shape_of_the_schedule():
    scale = replace(cifar.PAPER_R, iterations=300, eval_every=50)
    (first, *_) = cifar10_recipes.unpruned(cifar10_recipes.RESNET, scale, lr=0.03, warmup=20_000)
    assert (first.iterations, first.warmup, first.lr_drops) == (300, 200, (200, 250))


PAGES = ("iclr_3_conv", "iclr_3_dropout", "iclr_4_vgg_resnet", "iclr_h_conv_hyperparameters",
         "iclr_i_vgg_resnet_hyperparameters")  # fmt: skip
STEP = 0.1  # seconds of two idle cores for a step of a narrow deep network; 0.17 of one busy core
SPEED = 50e9  # multiply-adds a second of two idle cores; 45e9 of one busy core, the benchmark has 70e9


@pytest.mark.parametrize("page", PAGES)
def test_quick_stays_within_five_minutes_on_a_cpu(page):
    rows = set(catalogue.rows(page, "quick"))
    assert len(rows) <= 50
    steps = sum(s.iterations + 4 * s.evaluations for s in rows if len(layers(s.arch, s.dataset)) > 10)
    assert sum(costs.work(s) for s in rows) / SPEED + STEP * steps < 280


def test_published_is_what_a_cpu_can_measure():
    rows = catalogue.rows("iclr-fig05", "published")
    assert {s.arch: len({r.trial for r in rows if r.arch == s.arch}) for s in rows} == {"conv-2": 2, "conv-4": 1}
    assert {(s.iterations, s.precision) for s in rows} == {(3_000, "bf16")}
    assert {s.arm for s in rows} == {"ticket", "reinit"} and max(s.round for s in rows) == 10


def test_a_row_with_a_shorter_schedule_knows_which_part_of_the_papers_it_is() -> None:
    short, whole = catalogue.rows("iclr-fig08", "published"), catalogue.rows("iclr-fig08")
    assert (
        {cifar10_recipes.share(s) for s in whole}
        == {1.0}
        == {cifar10_recipes.share(s) for s in catalogue.rows("iclr-fig05", "published")}
    )
    assert {round(s.warmup / cifar10_recipes.share(s)) for s in short} == {s.warmup for s in whole}
    assert {tuple(round(at / cifar10_recipes.share(s)) for at in s.lr_drops) for s in short} == {
        s.lr_drops for s in whole
    }


def test_precisions_are_compared_at_the_papers_learning_rates():
    """Found in review: the deep networks had momentum at Adam's 0.0012."""
    rates = {s.arch: s.lr for s in catalogue.rows("beyond-precision")}
    assert rates == {"conv-2": 2e-4, "conv-4": 3e-4, "conv-6": 3e-4, "resnet-18": 0.01, "vgg-19": 0.01}


def test_one_width_of_conv6_meets_all_printed_percentages():
    assert [w for w in range(128, 321, 8) if all(conv6.fits(w))] == [192]
    assert sum(conv6.fits(256)) == 2 and len(conv6.fits(256)) == 23


# --- Costs ------------------------------------------------------------------------------------------------------------


def test_multiplications_of_a_pass():
    """By hand: each 3 x 3 kernel at every place of its output, each dense weight once."""
    assert costs.multiplications("conv-2", "cifar10") == (1_728 + 36_864) * 32**2 + 4_262_400
    stages = 432 * 32**2 + 6 * 2_304 * 32**2 + (512 + 4_608 + 5 * 9_216) * 16**2 + (2_048 + 18_432 + 5 * 36_864) * 8**2
    assert costs.multiplications("resnet-18", "cifar10") == stages + 640


def test_durations_have_two_digits():
    assert [costs.duration(s) for s in (5, 4_000, 20_000, 9e6, 3.5e8)] == [
        "1 minute", "67 minutes", "6 hours", "100 days", "4,100 days",
    ]  # fmt: skip


def test_lenet_costs_what_its_densities_do():
    speed = pd.Series({"above 50%": 500.0, "20–50%": 1_000.0}).reindex(list(costs.BANDS))
    rows = [replace(Spec(), iterations=1_000).at_round(r, prune_fc=0.2, prune_out=0.1) for r in (0, 3, 4)]
    assert [round(100 * prune.density(s)) for s in rows] == [100, 51, 41]
    assert list(costs.seconds(rows, speed)["seconds"]) == [2, 2, 1]
    assert list(costs.band([0.5, 0.005, 0.0051])) == ["20–50%", "below 0.5%", "0.5–2%"]


def test_the_cost_of_lenet_is_told_from_published_networks():
    text = costs.lenet()
    counted = [int(x.replace(",", "")) for x in re.search(r"cells measured \| (.*) \|", text)[1].split(" | ")]
    assert sum(counted) == int(re.search(r"in the ([\d,]+) cells", text)[1].replace(",", "")) > 6_000


def test_the_cost_of_conv_is_told_from_published_networks():
    cells = results.Published().cells
    text = costs.conv()
    counted = [int(x) for x in re.findall(r"^\| \w+ \| (\d+) \|", text, flags=re.M)]
    assert sum(counted) == cells["arch"].str.startswith("conv").sum() > 0
    assert int(re.search(r"would take (\d+) core-years", text)[1]) > 1


def test_the_cost_of_a_picture_is_told_from_what_is_published():
    published, rows = results.Published(), catalogue.rows("beyond-narrow-vgg")
    there = sum(published.has(s) for s in rows)
    assert f"| {there} of {len(rows)} | 3,000 |" in costs.pictures()
    assert "<!-- lth: experiments.costs.pictures -->" in (ROOT / "book/scale.md").read_text()


def test_no_estimate_for_networks_that_profit_by_zeros():
    assert costs.estimate(catalogue.rows("iclr-fig03")) == ""
    assert "one H100" in costs.estimate(catalogue.rows("iclr-fig08", "published"))


def test_thinned_curves_keep_their_last_evaluation():
    for n in (1, 2, 126, 305, 501):
        curve = pd.DataFrame({"iteration": np.arange(n)})
        thin = results.thinned(curve)["iteration"].tolist()
        assert thin[0] == 0 and thin[-1] == n - 1 and len(thin) <= results.POINTS + 2


# --- Pages ------------------------------------------------------------------------------------------------------------


def test_names_and_lines_of_grids():
    assert [grids.called(a) for a in ("conv-2", "resnet-18-4", "vgg-19")] == ["Conv-2", "ResNet-18-4", "VGG-19"]
    study = Study(notebook="iclr_h_conv_hyperparameters", profile="paper")
    rows = grids.swept(study, "iclr-fig33", "lr")
    assert {title: len(lines) for title, (_, lines) in rows.items()} == {"Conv-2": 6, "Conv-4": 5, "Conv-6": 7}
    deep = Study(notebook="iclr_4_vgg_resnet", profile="paper")
    assert len(grids.settings(deep, "iclr-fig07", ("ticket", "reinit"))) == 6
    assert list(grids.checkpoints(deep, "iclr-fig08", (10_000, 30_000))) == ["test@10000", "test@30000"]
    published = Study(notebook="iclr_3_conv")
    assert grids.left_out(published, "iclr-fig05") == "Not measured here: Conv-6."


@pytest.mark.parametrize("figure", ["iclr-fig08", "iclr-fig42"])
def test_a_panel_of_a_shorter_schedule_shows_the_iteration_that_its_axis_names(figure: str):
    study = Study(notebook=catalogue.FIGURES[figure].notebook)
    specs, asked = study.possible(figure), grids.checkpoints(study, figure, (10_000, 20_000, 30_000))
    shown = with_curves(study.table(figure), list(asked), study.source, specs).set_index("key")
    curves = evaluations(specs, study.source).set_index(["iteration", "key"])["test"]
    assert [*asked.values()] == [f"test accuracy at {n}" for n in ("1,500", "3,000", "4,500")]
    for column, label in asked.items():
        named = curves.loc[int(label.rsplit(" ", 1)[1].replace(",", ""))]
        pd.testing.assert_series_equal(shown[column], named[shown.index], check_names=False)


def test_a_panel_names_the_evaluation_that_it_shows() -> None:
    """Of the narrow VGG-19, whose evaluations lie near the paper's iterations; and of VGG-19 itself (every 370)."""
    study = Study(notebook="iclr_4_vgg_resnet")
    at = (30_000, 60_000, 112_480)
    asked = grids.checkpoints(study, "beyond-narrow-vgg", at)
    assert [*asked.values()] == [f"test accuracy at {n}" for n in ("750", "1,500", "3,000")]
    whole = grids.checkpoints(Study(notebook="iclr_4_vgg_resnet", profile="paper"), "iclr-fig07", at)
    assert [*whole.values()] == [f"test accuracy at {n}" for n in ("29,970", "59,940", "112,480")]
    rows = study.rows("beyond-narrow-vgg")
    source = Drawn(rows, evaluations=5)
    table = with_curves(results.table(rows, source), list(asked), source, rows).set_index("key")
    curves = evaluations(rows, source).set_index(["iteration", "key"])["test"]
    for column, label in asked.items():
        named = curves.loc[int(label.rsplit(" ", 1)[1].replace(",", ""))]
        pd.testing.assert_series_equal(table[column], named[table.index], check_names=False)


def test_the_narrow_vgg_is_a_picture_that_judges_nothing() -> None:
    figure = FIGURES["beyond-narrow-vgg"]
    assert "judges nothing" in figure.illustrates and "narrow VGG-19" in figure.illustrates
    own = set(catalogue.rows(figure.id)) | set(catalogue.rows(figure.id, "published"))
    assert {s.arch for s in own} == {"vgg-19-16"} and {s.trial for s in own} == {0}
    pictures = {f.id for f in catalogue.FIGURES.values() if f.illustrates}
    for claim in statements.load():
        asked = {claim.figure, *claim.also, *(part.figure for _, parts in claim.wordings for part in parts)}
        assert not asked & pictures, claim.id
        judged = {s for f in asked - {""} if f in catalogue.FIGURES for s in catalogue.rows(f, "published")}
        assert not judged & own, claim.id


def test_the_narrow_vgg_has_figure_7s_settings_at_the_papers_levels() -> None:
    rows, vgg = catalogue.rows("beyond-narrow-vgg"), catalogue.rows("iclr-fig07")
    told = {(s.lr, round(s.warmup / cifar10_recipes.share(s), -2)) for s in rows}
    assert told == {(s.lr, s.warmup) for s in vgg}
    levels = {round(100 * prune.density(s), 1) for s in rows if s.arm == "ticket"}
    assert levels == {100, 51.2, 26.3, 13.5, 7.0, 3.6}  # VGG-19's, but the output layer, a larger part here, stays


def test_a_picture_says_its_scale_where_it_is_drawn_and_where_it_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    study = Study(notebook="iclr_4_vgg_resnet")
    study.__dict__["source"] = Drawn([])
    says = FIGURES["beyond-narrow-vgg"].illustrates

    def drawn() -> str:
        lines = grids.settings(study, "beyond-narrow-vgg", ("ticket", "reinit"))
        columns = grids.checkpoints(study, "beyond-narrow-vgg", (30_000, 60_000, 112_480))
        return grids.grid(
            study, "beyond-narrow-vgg", {"": ({}, lines)}, columns, reference=False, alt="Three panels.", caption=""
        ).text

    entire = replace(FIGURES["beyond-narrow-vgg"], published=replace(cifar.NARROW_SCALE, replicates=1))
    monkeypatch.setitem(catalogue.FIGURES, entire.id, entire)
    rows = study.rows("beyond-narrow-vgg")
    assert says in drawn() and f"{len(rows)} of the {len(rows)} networks" in drawn() and "<svg" not in drawn()
    study.__dict__["source"] = Drawn(rows, evaluations=5)
    whole = drawn()
    scale = "Scale: CIFAR-10, 1 trial, 3,000 iterations, bf16, 5 rounds."
    assert f"{says} {scale}" in whole and "95% t interval" not in whole
    some = replace(entire, published=replace(cifar.NARROW_SCALE, rounds=2, replicates=0))
    monkeypatch.setitem(catalogue.FIGURES, some.id, some)
    part = drawn()
    assert "2 rounds, 9 of 22 networks." in part and "reinitialised" in whole and "reinitialised" not in part


class Drawn(results.Published):
    """Invented measurements of some networks: pages can be drawn without training one."""

    def __init__(self, rows: list[Spec], evaluations: int = 4) -> None:
        super().__init__()
        cells, curves = [], []
        for s in rows:
            key, n = key_of(s), EVALUATED[s.dataset]
            at = np.linspace(0, s.iterations, evaluations).astype(int)
            share = np.linspace(0.1, 0.9 - 0.01 * s.round - 0.1 * (s.arm != "ticket"), evaluations)
            curve = pd.DataFrame({"iteration": at, "key": key})
            for part, images in n.items():
                curve[f"{part}_loss"], curve[f"{part}_correct"] = 1 - share, (images * share).astype(int)
            made = {"commit": "c", "engine": "dense-cpu", "device": "cpu", "seconds": 1.0, "diverged": False}
            cells.append({**describe(s), **made, **summary(curve, s.dataset), "spec": "", "section": ""})
            curves.append(curve)
        if not rows:
            self.__dict__["cells"] = self.cells.iloc[:0]
            return
        self.__dict__["cells"] = pd.DataFrame(cells).set_index("key", drop=False)
        whole = pd.concat(curves, ignore_index=True)
        packed = whole.assign(key=pd.Categorical(whole["key"]))
        self.__dict__["_evaluations"] = {"": (packed, runs(packed["key"].array))}


# Profile published: where it declares fewer networks than the paper's scale.
DRAWN = [
    (page, profile)
    for page in (*PAGES, "iclr_e_random_sparsity")
    for profile in ("quick", "published")
    if profile == "quick" or any(f.published_rows for f in catalogue.figures_of(page))
]


@pytest.mark.parametrize(("page", "profile"), DRAWN)
def test_every_figure_of_a_page_is_drawn_once_its_networks_are_measured(page, profile):
    """Profile published: with invented networks only where it declares fewer than the paper's scale."""
    code = [c for c in json.loads((ROOT / f"notebooks/{page}.ipynb").read_text())["cells"] if c["cell_type"] == "code"]
    space: dict = {}
    drawn = 0
    for cell in code:
        text = "".join(cell["source"])
        exec(text, space)
        if cell["id"] == "parameters":
            space.update(profile=profile, dataset="digits" if profile == "quick" else "auto")
        elif cell["id"] == "study":
            study = space["study"]
            shown = [f for f in catalogue.figures_of(page) if profile == "quick" or f.published_rows]
            study.__dict__["source"] = Drawn(list(dict.fromkeys(s for f in shown for s in study.rows(f.id))))
        elif call := re.search(r"\b\w+\.grid\(", text):
            drawn += "<svg" in eval(text[call.start() :], space).text
        elif "tables.precisions(" in text:
            drawn += "difference, points" in eval(text, space).text
    assert drawn == sum(f.paper.dataset == "cifar10" for f in shown) > 0


def test_seconds_left_go_by_networks_of_the_same_kind_and_size():
    measured = pd.DataFrame(
        [
            {"arch": "conv-2", "dataset": "cifar10", "precision": "fp32", "density": d, "iterations": 100, "seconds": t}
            for d, t in ((1.0, 50.0), (0.1, 10.0), (0.1, 30.0), (0.1, 20.0))
        ]
    )
    first = cifar10_recipes.unpruned(cifar10_recipes.CONV[0], Scale(dataset="cifar10", iterations=1_000, trials=1))[0]
    small = first.at_round(10, **cifar10_recipes.CONV[0].prune)
    known = costs.speeds(measured)
    assert costs.seconds_left([first], known) == pytest.approx(1_000 / 2)
    assert costs.seconds_left([first, small], known) == pytest.approx(1_000 / 2 + 1_000 / 5)
    tiny = first.at_round(20, **cifar10_recipes.CONV[0].prune)  # of a band that was not measured: as the nearest
    assert costs.seconds_left([tiny], known) == pytest.approx(1_000 / 5)
    assert np.isnan(costs.seconds_left([replace(first, arch="conv-6")], known))
    assert costs.seconds_left([], costs.speeds(measured.iloc[:0])) == 0
