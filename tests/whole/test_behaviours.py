"""Known behaviours of the libraries in the lock: rows of `book/behaviours.md` that no script under `findings/` shows. A
test that fails here says that a library has changed, and that its row, and what stands against it, can go."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import anywidget
import nbformat
import numpy as np
import papermill
import pytest
import torch
from ipywidgets.embed import dependency_state, embed_minimal_html
from nbclient import NotebookClient
from papermill.exceptions import PapermillExecutionError
from places import ROOT
from torch import nn
from torch.ao.pruning import WeightNormSparsifier

PAGE = (ROOT / "book/behaviours.md").read_text("utf-8")
SCRIPTS = sorted(p for p in (ROOT / "findings").glob("*.sh") if p.name != "python.sh")  # that one is sourced


def sparsified(model: nn.Sequential, level: float) -> nn.Sequential:
    sparsifier = WeightNormSparsifier(sparsity_level=level)
    sparsifier.prepare(model, [{"tensor_fqn": "0.weight"}])
    sparsifier.step()
    return model


def test_every_row_says_what_shows_it():
    """A script, a test, a benchmark or a page of measurements, each of which exists."""
    rows = re.findall(r"^\|(.+)\|(.+)\|(.+)\|(.*)\|$", PAGE, re.M)
    rows = [row for row in rows if not re.match(r"[-: ]+$|.*One would guess", row[0])]
    assert len(rows) > 40
    for guess, *_, here in rows:
        named = re.findall(r"`((?:findings|tests|benchmarks|workflow)/[\w./-]+)`", here)
        assert named or "{doc}" in here or "{ref}" in here, guess
        assert all((ROOT / name).exists() for name in named), guess


@pytest.mark.parametrize(
    "script", sorted(p for p in (ROOT / "findings").glob("*.sh") if p.name != "python.sh"), ids=lambda p: p.stem
)
def test_a_script_runs_by_itself_and_without_this_project(script: Path):
    """It can be executed, says what it is about, pins what it installs, and imports nothing of ours."""
    text = script.read_text("utf-8")
    assert os.access(script, os.X_OK) and text.startswith("#!/usr/bin/env bash\n")
    assert all(f"\n# {head}:" in text for head in ("What", "Guess", "Happens", "Matters"))
    packages = re.search(r'^\. "\$\(dirname "\$0"\)/python\.sh" (.+)$', text, re.M)
    assert packages and all("==" in p for p in packages[1].split())
    assert not re.search(r"^\s*(?:import|from) lth_", text, re.M)


def test_a_sparsified_model_cannot_load_its_own_state():
    model = sparsified(nn.Sequential(nn.Linear(20, 20)), 0.5)
    with pytest.raises(RuntimeError, match=r"Missing key.*mask"):
        model.load_state_dict(model.state_dict())


def test_a_sparsifier_by_norm_keeps_less_than_half_of_the_largest_fifth():
    """Its defaults judge four weights of a row together."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(784, 300))
    size = model[0].weight.detach().abs().clone()
    mask = sparsified(model, 0.8)[0].parametrizations.weight[0].mask
    largest = size >= size.flatten().kthvalue(int(0.8 * size.numel())).values
    assert float(mask.mean()) == pytest.approx(0.2, abs=1e-3)
    assert float(mask[largest].mean()) == pytest.approx(0.46, abs=0.02)


@pytest.mark.parametrize(("n", "in_order"), [(16, True), (17, False)])
def test_sorted_ties_keep_their_order_up_to_sixteen(n: int, in_order: bool):
    assert (torch.sort(torch.zeros(n)).indices == torch.arange(n)).all() == in_order
    assert (torch.sort(torch.zeros(n), stable=True).indices == torch.arange(n)).all()


def test_a_bootstrap_of_five_trials_covers_five_sixths():
    """Percentiles of resampled means of normal values; 95% were asked for."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(4_000, 5))
    means = np.stack([values[:, rng.integers(0, 5, 5)].mean(1) for _ in range(1_000)])
    low, high = np.quantile(means, [0.025, 0.975], axis=0)
    assert 0.82 < ((low < 0) & (high > 0)).mean() < 0.86


def notebook(*cells: str) -> nbformat.NotebookNode:
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    made = [nbformat.v4.new_code_cell(c) for c in cells]
    made[0]["metadata"]["tags"] = ["parameters"]
    return nbformat.v4.new_notebook(cells=made, metadata={"kernelspec": kernel})


@pytest.mark.slow
def test_a_small_number_is_text_by_y(tmp_path: Path):
    nbformat.write(notebook("lr = 0.1", "print(type(lr).__name__)"), tmp_path / "a.ipynb")
    seen = []
    for option in (["-p", "lr", "1e-3"], ["-y", "lr: 1e-3"]):
        command = [sys.executable, "-m", "papermill", "a.ipynb", "b.ipynb", "--no-progress-bar", *option]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True)
        seen.append(nbformat.read(tmp_path / "b.ipynb", 4)["cells"][-1]["outputs"][0]["text"].strip())
    assert seen == ["float", "str"]


@pytest.mark.slow
def test_a_cell_that_never_ran_is_called_completed(tmp_path: Path):
    nbformat.write(notebook("import time", "time.sleep(60)", "1 + 1"), tmp_path / "a.ipynb")
    with pytest.raises((PapermillExecutionError, TimeoutError)):
        papermill.execute_notebook(
            tmp_path / "a.ipynb", tmp_path / "b.ipynb", execution_timeout=2, progress_bar=False, log_output=False
        )  # fmt: skip
    last = nbformat.read(tmp_path / "b.ipynb", 4)["cells"][-1]
    assert last["execution_count"] is None
    assert last["metadata"]["papermill"]["status"] == "completed"


@pytest.mark.slow
def test_a_closed_widget_is_saved():
    done = NotebookClient(notebook("import ipywidgets", "w = ipywidgets.IntSlider(); w.close()")).execute()
    kept = done["metadata"]["widgets"]["application/vnd.jupyter.widget-state+json"]["state"]
    models = {m["model_name"] for m in kept.values()}
    assert "IntSliderModel" in models


def test_a_page_with_a_widget_of_ours_needs_the_network(tmp_path: Path):
    class Here(anywidget.AnyWidget):
        _esm = "export default {render({el}) {el.textContent = 'here'}}"

    shown = Here()
    embed_minimal_html(tmp_path / "a.html", views=[shown], title="a", state=dependency_state([shown]))  # no others'
    page = (tmp_path / "a.html").read_text("utf-8")
    scripts = re.findall(r'<script[^>]*\ssrc="([^"]+)"', page)
    assert scripts and all(s.startswith("https://") for s in scripts)
    assert len(page) < 10_000  # what would draw it is nowhere in the page


@pytest.mark.slow
def test_a_strict_build_passes_when_it_is_repeated(tmp_path: Path):
    (tmp_path / "_config.yml").write_text("title: a\nexecute: {execute_notebooks: 'off'}\n")
    (tmp_path / "_toc.yml").write_text("format: jb-book\nroot: intro\n")
    (tmp_path / "intro.md").write_text("# A page\n\nSee {doc}`nowhere`.\n")
    command = [
        sys.executable,
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        "-W",
        "--keep-going",
        ".",
    ]
    first, again = (subprocess.run(command, cwd=tmp_path, capture_output=True, text=True) for _ in range(2))
    assert first.returncode != 0 and "nowhere" in first.stdout + first.stderr
    assert again.returncode == 0
