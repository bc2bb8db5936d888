"""The exercises need numpy, scikit-learn and matplotlib alone, and train what the compiled engines train."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import zipfile
from dataclasses import replace
from importlib import metadata
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from places import ROOT

from lth_companion.classroom import (
    exercises,
    handed_in,
    lite,
    numpy_engine,
    without_solutions,
    xor,
    xor_arrays,
    xor_lists,
)
from lth_companion.experiments import xor as compiled
from lth_companion.experiments import xor_counts
from lth_companion.pages import answer_key
from lth_core import data, prune, starts
from lth_core.engines.sparse import engine as sparse
from lth_core.errors import UsageError
from lth_core.models import Network, initial
from lth_core.spec import Spec

LIGHT = """
import importlib.abc, sys

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        top = name.split(".")[0]
        if top in {"torch", "torchvision", "numba", "llvmlite", "pandas", "pyarrow", "filelock", "safetensors", "yaml",
                   "tqdm", "seaborn", "ipywidgets", "anywidget", "papermill", "jupyter_book"}:
            raise ImportError(f"{name} is not there")

sys.meta_path.insert(0, Refuse())
"""


@pytest.mark.parametrize("path", sorted(without_solutions.SOURCES.glob("*.ipynb")), ids=lambda p: p.stem)
def test_what_an_exercise_imports_is_light(path: Path) -> None:
    """Every import of its cells, and what these import in turn, in a Python that refuses the heavy packages."""
    cells = [handed_in.text(c) for c in json.loads(path.read_text("utf-8"))["cells"] if c["cell_type"] == "code"]
    lines = [line for cell in cells for line in cell.splitlines() if re.match(r"(import|from) ", line)]
    assert len(lines) >= 3
    code = LIGHT + "\n".join([*lines, "from lth_core import data; data.load('digits')", "print('light')"])
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout == "light\n", ran.stderr


@pytest.mark.parametrize("command", ["grade", "student"])
def test_a_teacher_needs_no_more_than_a_class(command: str) -> None:
    code = LIGHT + f"from lth_companion.commands import main; main([{command!r}, '--help'])"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode == 0 and f"lth_core {command}" in ran.stdout, ran.stderr


BASE = replace(exercises.TINY, iterations=20, eval_every=10)


def tickets(rounds: tuple[int, ...]) -> list[Network]:
    made = []
    for number in rounds:
        spec = replace(BASE.at_round(number), trial=number)
        keep = np.random.default_rng(number)
        masks = {n: keep.random(m.shape) < 0.7**number for n, m in prune.full(spec).items()}
        made.append(starts.start(spec, masks) if number else Network(spec, initial(spec), masks))
    return made


def test_numpy_trains_what_the_compiled_engine_trains() -> None:
    """20 steps of dense and sparse networks. Adam divides by the root of second moments near 0, which makes of rounding
    a part of a step (learning rate 0.005); most weights differ by far less."""
    networks = tickets((0, 1, 4))
    ours = numpy_engine.train(networks, data.load("digits"))
    theirs = dict(sparse.train(networks, data.load("digits")))
    for i, network in enumerate(networks):
        for name, weights in ours[i].weights.items():
            off = np.abs(weights - theirs[i].weights[name])
            assert off.max() < 2e-3 and np.median(off) < 1e-6, name
            if name in network.masks:
                assert not weights[~network.masks[name]].any()
        for column, values in theirs[i].curves.items():
            near = 1e-3 if column.endswith("loss") else 1
            assert np.abs(ours[i].curves[column] - values).max() <= near, column


def test_a_network_is_the_same_alone_and_beside_others() -> None:
    networks = tickets((0, 1))
    together, alone = (numpy_engine.train(n, data.load("digits")) for n in (networks, networks[1:]))
    assert all(np.allclose(together[1].weights[n], w, atol=2e-3) for n, w in alone[0].weights.items())


@pytest.mark.parametrize("changed", [{"optimizer": "sgd"}, {"dropout": 0.5}, {"inputs": "standard"}])
def test_what_numpy_does_not_train_is_refused(changed: dict[str, object]) -> None:
    spec = replace(BASE.at_round(0), **changed)
    with pytest.raises(UsageError, match="numpy trains fully connected nets with Adam"):
        numpy_engine.train([Network(spec, initial(spec), prune.full(spec))], data.load("digits"))


def test_networks_side_by_side_have_one_length() -> None:
    first = tickets((0,))[0]
    longer: Spec = replace(first.spec, iterations=40)
    with pytest.raises(UsageError, match="one iterations"):
        numpy_engine.train([first, replace(first, spec=longer)], data.load("digits"))


def test_xor_in_numpy_trains_what_the_compiled_one_trains() -> None:
    """A unit whose input is within rounding of 0 may go on or stay, so a few networks in a hundred may part."""
    start = xor_arrays.initial(120, 6)
    before = start.copy()
    off = np.abs(xor_arrays.train(start, 300) - compiled.train(start, 300)).max(0)
    assert np.quantile(off, 0.95) < 1e-4 and np.array_equal(start, before)
    trained = compiled.train(start, 3000)
    assert np.allclose(xor_arrays.loss(trained), compiled.outcome(trained).loss)


@pytest.mark.slow
def test_xor_in_numpy_succeeds_as_often() -> None:
    start = xor_arrays.initial(400, 4)
    ours, theirs = (xor_arrays.loss(train(start)) < xor.ZERO_LOSS for train in (xor_arrays.train, compiled.train))
    assert (ours == theirs).mean() > 0.98 and abs(ours.mean() - theirs.mean()) <= 0.01


def test_xor_in_python_alone_is_xor_in_numpy() -> None:
    """The same networks: their units, losses, the units that stay, and 300 steps of training, to rounding."""
    start = xor_arrays.initial(60, 4)
    lists = start.T.astype(float).tolist()
    assert np.allclose(xor_lists.loss(lists), xor_arrays.loss(start))
    assert np.array_equal(xor_lists.units(lists), xor_arrays.units(start))
    off = np.abs(np.array(xor_lists.train(lists, 300)).T - xor_arrays.train(start, 300)).max(0)
    assert np.quantile(off, 0.95) < 1e-4 and np.array_equal(start.T.astype(float).tolist(), lists)
    scores = np.random.default_rng(0).integers(0, 3, (60, 4)).tolist()  # with ties
    kept = xor_lists.survivors(scores, 2)
    assert np.array_equal(np.transpose(kept), xor_arrays.survivors(scores, 2))
    assert np.array_equal(np.transpose(xor_lists.subnet(lists, kept)), xor_arrays.subnet(start, np.transpose(kept)))
    for counts in ((50, 200, 30, 200), (0, 20, 20, 20), (7, 9, 1, 300)):
        assert xor_lists.difference(*counts) == pytest.approx(xor_counts.difference(*counts), abs=1e-12)
    assert xor_lists.ZERO_LOSS == xor_counts.ZERO_LOSS


def test_draws_in_python_alone_are_those_of_the_paper() -> None:
    """normal(0, 0.1) without what lies beyond 2 sd: its sd is 0.88 of the whole's."""
    made = xor_lists.initial(500, 4)
    drawn = np.array([unit for network in xor_lists.units(made) for unit in network])
    assert not drawn[:, 2].any() and not any(network[-1] for network in made)
    drawn = drawn[:, [0, 1, 3]] / 0.1
    assert np.abs(drawn).max() <= 2 and abs(drawn.std() - 0.880) < 0.05 and abs(drawn.mean()) < 0.07
    assert xor_lists.initial(3, 4) == made[:3]


def test_exercise_1_runs_in_python_alone() -> None:
    """As in a browser without a network: no package but the standard library, nothing but the solutions filled in."""
    source = json.loads((without_solutions.SOURCES / "1_xor_lottery.ipynb").read_text("utf-8"))
    made = without_solutions.filled_in(without_solutions.student(source), without_solutions.solutions(source))
    made = lite.for_the_browser(made)
    cells = [handed_in.text(c) for c in made["cells"] if c["cell_type"] == "code" and c["id"] != "lite"]
    alone = "import sys\nsys.path = [p for p in sys.path if not p.endswith('site-packages')]\n"
    code = alone + "\n".join(cells).replace(f"TRIALS = {lite.TRIALS}", "TRIALS = 40") + "\nprint('done')"
    ran = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert ran.stdout.endswith("done\n"), ran.stderr


def test_the_wheel_for_browsers_asks_for_nothing_and_repeats(tmp_path: Path) -> None:
    made = lite.own_wheel(tmp_path)
    first = made.read_bytes()
    assert lite.own_wheel(tmp_path).read_bytes() == first
    with zipfile.ZipFile(made) as archive:
        names = set(archive.namelist())
        assert {
            "lth_core/prune.py",
            "lth_companion/classroom/xor.py",
            "lth_companion/experiments/notebook_parameters.py",
        } <= names
        metadata = archive.read(next(n for n in names if n.endswith("METADATA"))).decode()
    assert "Requires-Dist" not in metadata and made.name.startswith("lth_core-")


def test_an_installed_package_becomes_a_wheel_again(tmp_path: Path) -> None:
    made = lite.installed_wheel(tmp_path, "comm")
    target = tmp_path / "there"
    with zipfile.ZipFile(made) as archive:
        archive.extractall(target)
    code = "import importlib.metadata as m, comm; print(comm.__file__, m.version('comm'))"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path, env={"PYTHONPATH": str(target)}
    )
    assert ran.stdout.split() == [str(target / "comm" / "__init__.py"), metadata.version("comm")], ran.stderr


def test_the_browsers_notebook_fetches_first() -> None:
    for name, notebook in handed_in.exercises().items():
        made = lite.for_the_browser(notebook)
        code = [c for c in made["cells"] if c["cell_type"] == "code"]
        assert code[0]["id"] == "lite" and "--no-deps lth-core" in code[0]["source"]
        alone = name == "1_xor_lottery"
        assert lite.in_python_alone(notebook) == alone and ("numpy" in code[0]["source"]) == (not alone)
        own = [c["id"] for c in made["cells"] if c["id"] not in ("lite", "lite-parameters")]
        assert own == [c["id"] for c in notebook["cells"]] and len(made["cells"]) - len(own) == 1 + alone


def minutes(text: str) -> int:
    found = re.search(r"(\d+) minutes", text)
    assert found, text
    return int(found[1])


def test_minutes_agree_everywhere() -> None:
    """The lesson's tables end where a lesson ends and open laptops; exercises, slides and tables say one length."""
    lesson = (ROOT / "book" / "teach" / "lesson.md").read_text("utf-8")
    slides = (ROOT / "book" / "teach" / "slides.md").read_text("utf-8")
    told = {
        path.stem[0]: minutes(handed_in.text(json.loads(path.read_text("utf-8"))["cells"][0]).split("Time:")[1])
        for path in without_solutions.SOURCES.glob("*.ipynb")
    }
    given = {}
    for table in lesson.split("| Minutes |")[1:]:
        rows = re.findall(r"^\| (\d+)–(\d+) \| (.*?) \|", table.split("\n\n")[0], re.M)
        spans = [(int(a), int(b)) for a, b, _ in rows]
        assert spans[0][0] == 0 and spans[-1][1] == 45
        assert all(a[1] == b[0] for a, b in pairwise(spans))
        texts = [what for *_, what in rows]
        assert any(what.startswith("Laptops open") for what in texts)
        for (a, b), what in zip(spans, texts, strict=True):
            if named := re.match(r"\*\*Exercise (\d)\*\*", what):
                given[named[1]] = b - a, what
    for number in "12":
        assert given[number][0] == told[number]
    begun, whole = map(int, re.findall(r"(\d+) of its (\d+) minutes", given["3"][1])[0])
    assert begun == given["3"][0] and whole == told["3"]
    assert minutes(lesson.split("[Find the bug](4_find_the_bug), of")[1]) == told["4"]
    for number in "123":
        assert minutes(slides.split(f"## Exercise {number}:")[1]) == told[number]


def test_the_key_has_every_answer_and_all_points(tmp_path: Path) -> None:
    page = json.loads((without_solutions.SOURCES / "2_winning_ticket.ipynb").read_text("utf-8"))
    cell = next(c for c in page["cells"] if c["id"] == "2-09")
    cell["outputs"] = [{"output_type": "stream", "name": "stdout", "text": ["cut ", "works\n"]}]
    (tmp_path / "2_winning_ticket.ipynb").write_text(json.dumps(page))
    key = answer_key.key(pages=tmp_path)
    assert "```text\ncut works\n```" in key
    for path in without_solutions.SOURCES.glob("*.ipynb"):
        source = json.loads(path.read_text("utf-8"))
        for answer in without_solutions.solutions(source).values():
            assert "".join(answer) in key
        total = sum(c["metadata"].get("points", 0) for c in source["cells"])
        assert total > 0 and f"{total} points. The page" in key
