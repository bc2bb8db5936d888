"""Notebooks: parameters that papermill can read, wrong values that stop at once, no outputs in the repository, and, in
the slow test, every page run live."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from places import ROOT

from lth_core.errors import UsageError

ALL = sorted((ROOT / "notebooks").glob("*.ipynb"))
NAMES = ("profile", "trials", "device", "seed", "data_dir", "dataset")
UNUSED = {"v1_2_xor": {"dataset"}, "claims": set(NAMES)}  # XOR is its own data; the ledger's page has nothing to set


def cells(path: Path, kind: str = "code") -> list[dict[str, Any]]:
    return [c for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == kind]


def parameters(path: Path) -> list[dict[str, Any]]:
    return [c for c in cells(path) if "parameters" in c["metadata"].get("tags", [])]


TRAINED = [p for p in ALL if set(NAMES) > UNUSED.get(p.stem, set())]
OTHERS = {"performance", "beyond_libraries"}  # check their parameters, and train nothing
STUDIES = [p for p in TRAINED if p.stem not in UNUSED and p.stem not in OTHERS]
QUICK = {"iclr_2_lenet", "iclr_4_vgg_resnet", "v1_3_mnist_oneshot", "beyond_rates"}  # live, others smoke
each = pytest.mark.parametrize("path", ALL, ids=lambda p: p.stem)


@each
def test_nothing_that_a_run_leaves_is_in_the_repository(path: Path) -> None:
    raw = json.loads(path.read_text("utf-8"))
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells(path))
    ids = [c.get("id") for c in raw["cells"]]
    assert None not in ids and len(ids) == len(set(ids))
    assert set(raw["metadata"]) <= {"kernelspec", "language_info"}
    assert not any("papermill" in c["metadata"] for c in raw["cells"])
    home = str(Path.home())
    assert str(ROOT) not in path.read_text("utf-8") and (home == "/" or f"{home}/" not in path.read_text("utf-8"))


@each
def test_code_is_folded_away_and_short(path: Path) -> None:
    for cell in cells(path):
        assert any(t.startswith(("hide-", "remove-")) for t in cell["metadata"].get("tags", [])), cell["id"]
        assert len(cell["source"]) <= 60, f"{cell['id']}: definitions belong into lth_core"


# Cells whose prose tells what the papers print and how both measure. Percentages alone are sizes of networks.
TOLD = ("claims", "method", "numbers", "paper-itself")
COMPARED = "(faster|slower|sooner|earlier|later|higher|lower|better|worse|more|less)"
RESULT = re.compile(rf"\d[\d.,]*( ?(%|percent)| times| x)( as| {COMPARED})\b|\d[\d.,]*( percentage)? points?\b")


@each
def test_prose_states_no_result(path: Path) -> None:
    """Results in words are filled from the ledger or the page's own tables; what is typed may only quote the paper."""
    for cell in cells(path, "markdown"):
        found = RESULT.search(" ".join("".join(cell["source"]).split()))
        assert cell["id"] in TOLD or not found, f"{cell['id']}: {found[0] if found else ''}"


def test_a_result_in_prose_is_found() -> None:
    for said in ("38% faster", "12.5 percent lower", "2.5 times as long", "0.3 points above", "3 percentage points"):
        assert RESULT.search(f"Tickets are {said} here.")
    for said in ("a ticket of 16.9%", "95% intervals", "20% per round", "27 rounds"):
        assert not RESULT.search(said)


EXERCISES = sorted((ROOT / "notebooks" / "teach").glob("*.ipynb"))


@pytest.mark.parametrize("path", [*ALL, *EXERCISES], ids=lambda p: p.stem)
def test_papermill_lists_every_parameter(path: Path) -> None:
    """What `papermill --help-notebook` prints: each that the cell declares, with its type and what it means. It reads
    lines by a pattern, which misses some declarations."""
    from papermill.inspection import inspect_notebook

    (cell,) = parameters(path)
    statements = ast.parse("".join(cell["source"])).body
    declared = {s.target.id for s in statements if isinstance(s, ast.AnnAssign) and isinstance(s.target, ast.Name)}
    assert len(declared) == len(statements), "the cell declares parameters and nothing else"
    found = inspect_notebook(str(path))
    assert set(found) == declared
    assert path in EXERCISES or set(NAMES) - UNUSED.get(path.stem, set()) <= declared
    for name, said in found.items():
        assert said["inferred_type_name"] in ("str", "int", "float", "bool"), name
        assert len(said["help"]) > 8, f"{name} has no comment"


@each
def test_parameters_are_looked_at_before_anything_heavy(path: Path) -> None:
    after = cells(path)[cells(path).index(parameters(path)[0]) + 1]
    assert after["source"][-1] == "notebook_parameters.take(globals())" and len(after["source"]) == 3


WRONG = {
    "profile": ("enormous", "published, smoke, quick, paper"),
    "trials": (-1, "1 to 1000"),
    "device": ("abacus", "auto, cpu, cuda"),
    "seed": (-3, "0 or a positive"),
    "data_dir": ("/no/such/folder", "one that exists"),
    "dataset": ("cats", "digits"),
    "rate": (1.5, "between 0 and 1"),
    "lr": (-0.5, "a positive number"),
    "iterations": (0, "at least 1"),
}


def declared(path: Path) -> list[str]:
    """The names of a notebook's parameters."""
    (cell,) = parameters(path)
    found = [s.target.id for s in ast.parse("".join(cell["source"])).body if isinstance(s, ast.AnnAssign)]  # type: ignore[union-attr]
    assert found
    return found


def first_cells(path: Path, **values: Any) -> dict[str, Any]:
    """Run the cell of the parameters, with other values, and the two after it: taking them, and setting up."""
    declared, *after = ("".join(cell["source"]) for cell in cells(path)[:3])
    space: dict[str, Any] = {}
    exec(declared, space)
    space.update(values)
    for source in after:
        exec(source, space)
    return space


@pytest.mark.parametrize(("path", "name"), [pytest.param(p, n, id=f"{n}-{p.stem}") for p in ALL for n in declared(p)])
def test_a_wrong_value_stops_the_first_cell_with_one_sentence(path: Path, name: str) -> None:
    value, allowed = WRONG[name]
    with pytest.raises(UsageError) as error:
        first_cells(path, **{name: value})
    text = str(error.value)
    assert text.startswith(f"{name} = ") and repr(value) in text and allowed in text
    assert "\n" not in text and text.endswith(".")


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_right_values_pass_the_first_cell_without_training(path: Path) -> None:
    space = first_cells(path, profile="quick", dataset="digits", trials=2)
    assert space["study"].notebook == path.stem
    assert "source" not in vars(space["study"]), "the first cell must not read or train anything"


@pytest.mark.parametrize("path", STUDIES, ids=lambda p: p.stem)
def test_every_figure_of_a_section_is_on_its_page(path: Path) -> None:
    from lth_companion.experiments import catalogue

    text = path.read_text("utf-8")
    for figure in catalogue.FIGURES.values():
        if figure.notebook == path.stem:
            shown = re.search(rf"{figure.id}(?![\w-])", text)
            assert shown, f"{figure.id} is declared for {path.stem} and not shown there"


@pytest.fixture(scope="session")
def live_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's store, of all workers: what one page trained, or trains just now, another does not train again."""
    base = tmp_path_factory.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "live-store"


@pytest.mark.slow
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("path", TRAINED, ids=lambda p: p.stem)
def test_every_page_runs_live(path: Path, tmp_path: Path, live_store: Path) -> None:
    """Studies in profile smoke, four of them in profile quick, on the data that come along: each figure is drawn."""
    done = tmp_path / path.name
    command = [
        sys.executable,
        "-m",
        "papermill",
        str(path),
        str(done),
        "-p",
        "profile",
        "quick" if path.stem in QUICK or path not in STUDIES else "smoke",
        "--no-progress-bar",
        "--log-output",
    ]
    command += ["-p", "dataset", "digits"] if path in STUDIES else []
    env = {**os.environ, "LTH_STORE": str(live_store), "OMP_NUM_THREADS": "1"}  # another page may run beside
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=env)
    assert run.returncode == 0, run.stderr[-3000:]
    page = done.read_text("utf-8")
    assert path not in STUDIES or ("Not measured yet</summary>" not in page and page.count("<figure id=") >= 1)
