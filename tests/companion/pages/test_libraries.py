"""What other libraries do with lottery tickets: from raw facts to the page's tables, and the page as published."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from bs4 import BeautifulSoup
from library_facts import collected, raw_facts
from places import ROOT

from lth_companion.experiments import other_libraries
from lth_companion.experiments.other_libraries import FILE
from lth_companion.figures import libraries as drawn
from lth_companion.pages import libraries as page
from lth_core import models
from lth_core.results import manifest
from lth_core.spec import Spec
from lth_core.store.cell import StoreError

FOLDER = ROOT / "benchmarks" / "libraries"
sys.path.insert(0, str(FOLDER))

import collect  # noqa: E402
import measured  # noqa: E402
import run  # noqa: E402

Cells = dict[str, dict[str, str]]


def cells(text: str) -> Cells:
    """A page's table: row -> column -> text."""
    table = BeautifulSoup(text, "html.parser").find("table")
    heads = [h.get_text() for h in table.select("thead th")]
    rows = [[c.get_text() for c in row.find_all(["th", "td"])] for row in table.select("tbody tr")]
    return {row[0]: dict(zip(heads[1:], row[1:], strict=True)) for row in rows}


@pytest.fixture
def shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Publishes facts in place of the repository's own."""

    def publish(**raw: dict[str, Any]) -> None:
        made = collected(tmp_path, **raw)
        manifest.commit(tmp_path / "results", {FILE: collect.text(made).encode()})
        monkeypatch.setattr("lth_companion.experiments.other_libraries.HERE", tmp_path / "results")

    return publish


@pytest.fixture
def given(tmp_path: Path) -> measured.Given:
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (660, 784), np.uint8), rng.integers(0, 10, 660).astype(np.uint8)
    parts: dict[str, Any] = {"images": images, "labels": labels, "test_images": images[:50], "test_labels": labels[:50]}
    parts |= {"0 train": np.arange(600), **{f"0 {n}": x for n, x in models.initial(Spec()).items()}}
    np.savez(tmp_path / "start.npz", **parts)
    return measured.Given(str(tmp_path / "start.npz"))


def test_a_round_is_counted_bit_by_bit(given: measured.Given) -> None:
    trial = measured.Trial(given, 0)
    masks = {n: np.ones(trial.initial[n].shape, bool) for n in measured.WEIGHTS}
    masks["out.weight"][0] = False
    start = {n: x * masks.get(n, np.float32(1)) for n, x in trial.initial.items()}
    start["fc1.weight"] = np.where(
        np.arange(784) < 3, np.nextafter(start["fc1.weight"], np.float32(9)), start["fc1.weight"]
    )
    start["out.bias"] = start["out.bias"] - np.float32(0)
    start["fc2.bias"] = start["fc2.bias"] + np.float32(1e-30)
    trial.begin(start, masks, steps=7, reported=0.5)
    trained = {n: x + np.float32(1) for n, x in start.items()}
    trial.end(trained)
    (found,) = trial.rounds
    assert set(found) == set(measured.FACTS)
    assert (found["kept"], found["layers"]["out"]) == (266_200 - 100, 900)
    assert found["rewound"] == 266_100 - 3 * 300, "a weight one bit away is not the initial one"
    assert (found["biases"], found["biases_rewound"], found["grown"]) == (410, 310, 100)
    hidden = np.maximum(given.test_images @ trained["fc1.weight"].T + trained["fc1.bias"], 0)
    hidden = np.maximum(hidden @ trained["fc2.weight"].T + trained["fc2.bias"], 0)
    answers = (hidden @ trained["out.weight"].T + trained["out.bias"]).argmax(1)
    assert found["correct"] == (answers == given.test_labels).sum()


@pytest.mark.parametrize("script", ["torch_prune", "torch_ao"])
def test_a_script_leaves_facts_that_the_collector_takes(given: measured.Given, tmp_path: Path, script: str) -> None:
    """Torch's own ways, in the environment of the tests, on 600 images and to three cuts."""
    env = {
        **os.environ,
        "PYTHONPATH": str(FOLDER),
        "LIBRARIES_TRIALS": "1",
        "LIBRARIES_ROUNDS": "3",
        "OMP_NUM_THREADS": "1",
    }
    out = tmp_path / f"{script}.json"
    command = [sys.executable, str(FOLDER / f"run_{script}.py"), str(tmp_path / "start.npz"), str(out)]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (rounds,) = collect.checked(script, json.loads(out.read_text()))["trials"]
    assert [r["kept"] for r in rounds] == [266_200, 212_960, 170_368, 136_294]
    assert all(
        r["rewound"] == r["kept"] and r["biases_rewound"] == 410 and r["grown"] == r["steps"] == 0 for r in rounds
    )


def test_a_finished_library_is_not_run_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is its environment made again, unless making it was broken off."""
    commands: list[list[str]] = []
    monkeypatch.setattr(run, "given", lambda file: None)

    def told(command: list[Any], **_: Any) -> None:
        commands.append([str(c) for c in command])
        if "venv" in command:
            Path(command[-1]).mkdir()

    monkeypatch.setattr(run.subprocess, "run", told)
    monkeypatch.setattr(sys, "argv", ["run.py", "torch_ao", "kd_lib", "open_lth", "--folder", str(tmp_path)])
    (tmp_path / "facts").mkdir()
    (tmp_path / "facts" / "torch_ao.json").write_text("{}")
    run.main()
    made = [c for c in commands if "pip" in c]
    assert [c[-1] for c in made] == ["numpy==2.4.6", "kd-lib==0.0.32"] and "--no-deps" in made[1]
    assert [Path(c[1]).name for c in commands if c[-1].endswith(".json")] == ["run_kd_lib.py"], (
        "OpenLTH has no clone here"
    )
    commands.clear()
    run.main()
    assert [Path(c[1]).name for c in commands] == ["run_kd_lib.py"], "it left no facts; its environment is whole"
    (tmp_path / "kd_lib" / "whole").unlink()
    commands.clear()
    run.main()
    assert len(commands) == 4


def test_every_library_is_pinned_and_has_a_script_a_name_and_its_call() -> None:
    assert set(run.LIBRARIES) == set(collect.NAMES) and set(collect.NAMES.values()) == set(page.CALLED)
    for name, packages in run.LIBRARIES.items():
        assert (FOLDER / run.SCRIPTS.get(name, f"run_{name}.py")).exists()
        for package in packages or []:
            assert re.fullmatch(r"--no-deps|[\w-]+={2,3}\d[\w.]*", package), package
    scripts = {f.name for f in FOLDER.glob("run_*.py")}
    assert scripts == {run.SCRIPTS.get(name, f"run_{name}.py") for name in run.LIBRARIES}


def test_facts_that_are_not_whole_are_refused(tmp_path: Path) -> None:
    right = raw_facts()
    assert collect.checked("a", right) is right
    for spoil, said in (
        (lambda raw: raw["trials"][1].pop(), "not every round"),
        (lambda raw: raw["trials"][0][1].pop("grown"), "lacks grown"),
        (lambda raw: raw["trials"][0][1].update(kept="80"), "lacks kept"),
        (lambda raw: raw["trials"][0][1].update(more=1), "lacks nothing"),
        (lambda raw: raw["trials"][0][1]["layers"].update(fc1=0), "do not add up"),
        (lambda raw: raw["saved"].pop(), "saved"),
    ):
        raw = raw_facts()
        spoil(raw)
        with pytest.raises(ValueError, match=said):
            collect.checked("a", raw)
    with pytest.raises(ValueError, match="differ in rounds"):
        collected(tmp_path, kd_lib=raw_facts(), fasterai=raw_facts(rounds=1))


def test_the_file_is_read_as_it_was_collected(shown: Callable[..., None], tmp_path: Path) -> None:
    raw = raw_facts()
    shown(kd_lib=raw)
    made, rounds, saved = other_libraries.libraries()
    assert made["rounds"] == 2 and made["iterations"] == 1834 and len(rounds) == 6 and len(saved) == 2
    told = rounds.iloc[1]
    assert (told["name"], told["versions"], told["kept"], told["fc1"]) == ("kd-lib", "a 1.0, python 3.11.7", 80, 64)
    assert json.loads((tmp_path / "results" / FILE).read_text()) == collect.document(tmp_path)


SEEN: dict[str, tuple[dict[str, Any], str, str]] = {  # kind -> what makes it, a column, what stands there
    "rewound once": ({"rewound": 3}, "rounds begun at the initial weights", "1 of 2"),
    "biases rewound once": ({"biases_rewound": 1}, "at the initial biases", "1 of 2"),
    "biases are pruned": (
        {"biases": 5, "biases_rewound": 5},
        "at the initial biases",
        "2 of 2; pruned too, 5 of 20 are left",
    ),
    "pruned weights move in training": ({"grown": 9}, "pruned weights in training", "9 are not 0"),
    "the optimizer remembers": ({"steps": 40}, "optimizer", "remembers earlier rounds"),
}


@pytest.mark.parametrize("kind", SEEN)
def test_each_difference_is_seen_and_only_that(kind: str, shown: Callable[..., None]) -> None:
    changes, column, said = SEEN[kind]
    shown(kd_lib=raw_facts(**changes), fasterai=raw_facts())
    assert {k: row["seen in"] for k, row in cells(page.kinds().text).items()} == {kind: "kd-lib"}
    doings = cells(page.doings().text)
    assert doings["kd-lib"][column] == said and doings["fasterai"][column] != said


def test_a_library_that_prunes_nothing_is_seen(shown: Callable[..., None]) -> None:
    raw = raw_facts()
    for rounds in raw["trials"]:
        for found in rounds:
            found |= {"kept": 100, "rewound": 100, "layers": {"fc1": 80, "fc2": 15, "out": 5}}
            found["reported"] = 0.8 ** found["round"]
    raw["saved"] = [[{"form": "zeros", "says": None, "holds": 100, "kept": 100}]] * 2
    shown(keras3=raw, kd_lib=raw_facts())
    name = collect.NAMES["keras3"]
    assert {k: row["seen in"] for k, row in cells(page.kinds().text).items()} == {"nothing is pruned": name}
    assert cells(page.doings().text)[name]["weights left"] == "100.0% (it reports 64.0%)"
    assert drawn.states(other_libraries.libraries()[1]).loc[name].tolist() == ["whole", "whole"]
    assert "no weight was pruned" in page.lead().data


@pytest.mark.parametrize(
    ("form", "holds", "kind", "said"),
    [
        ("zeros", 80, "files lag a cut behind", "as zeros, 2 of 2 files a cut behind their name"),
        ("masked training", 100, "the mask is not in the state dict", "state dict in training: no mask"),
        ("mask", 64, "", "as masks"),
    ],
)
def test_what_a_file_holds(shown: Callable[..., None], form: str, holds: int, kind: str, said: str) -> None:
    raw = raw_facts()
    raw["saved"] = [[{"form": form, "says": 0.64, "holds": holds, "kept": 64}]] * 2
    shown(kd_lib=raw)
    if kind:
        assert list(cells(page.kinds().text)) == [kind]
    else:
        assert not BeautifulSoup(page.kinds().text, "html.parser").select("tbody tr")
    assert cells(page.doings().text)["kd-lib"]["mask in what it saves"] == said


def test_the_answer_follows_from_the_facts(shown: Callable[..., None]) -> None:
    shown(kd_lib=raw_facts(), lightning=raw_facts(rewound=3, biases_rewound=1), fasterai=raw_facts(biases_rewound=1))
    said = page.lead().data
    assert re.search(r"With \*\*kd-lib\*\* before each of 2 rounds every weight", said)
    assert re.search(r"With \*\*pytorch-lightning\*\* weights were put back the first time only", said)
    assert re.search(r"With \*\*fasterai\*\* all weights were put back, biases only the first time", said)


def test_nothing_measured_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("lth_companion.experiments.other_libraries.HERE", tmp_path)
    assert other_libraries.libraries()[1].empty
    assert "Nothing on this page is measured" in page.lead().data and "run.py --publish" in page.scale().data
    assert [f().text for f in (drawn.begins, drawn.against_size, page.doings, page.accuracies, page.kinds)] == [""] * 5


@pytest.mark.parametrize("spoil", ["<b>", 3, None])
def test_a_file_that_cannot_be_shown_is_refused_in_a_sentence(tmp_path: Path, spoil: Any) -> None:
    made = collected(tmp_path, kd_lib=raw_facts())
    for change in (
        lambda d: d["libraries"][0].update(name=spoil),
        lambda d: d["libraries"][0]["saved"].update(form=[spoil, "zeros"]),
        lambda d: d["libraries"][0]["rounds"].update(kept=[str(spoil)] * 6),
        lambda d: d["libraries"][0]["rounds"]["kept"].pop(),
        lambda d: d["libraries"][0]["rounds"].pop("kept"),
        lambda d: d.update(libraries=spoil),
    ):
        bad = json.loads(json.dumps(made))
        change(bad)
        manifest.commit(tmp_path / "r", {FILE: json.dumps(bad).encode()})
        with pytest.raises(StoreError, match=r"libraries\.json") as refused:
            other_libraries.libraries(tmp_path / "r")
        assert "\n" not in str(refused.value)


def test_the_published_tables_say_what_the_file_says() -> None:
    """Each number of the page again, from the file itself."""
    published = json.loads((ROOT / "results" / FILE).read_text())
    doings, accuracies = cells(page.doings().text), cells(page.accuracies().text)
    names = [library["name"] for library in published["libraries"]]
    assert list(doings) == list(accuracies) == names and len(set(names) - {"lth_core", "lth_core.own"}) >= 6
    for library in published["libraries"]:
        rounds = pd.DataFrame(library["rounds"])
        end, later = rounds[rounds["round"] == 10], rounds[rounds["round"] > 0]
        told, speed = doings[library["name"]], accuracies[library["name"]]
        assert told["weights left"].startswith(f"{100 * end['kept'].sum() / 266_200 / len(end):.1f}%")
        back = sum((part["rewound"] == part["kept"]).all() for _, part in later.groupby("round"))
        assert told["rounds begun at the initial weights"] == f"{back} of 10"
        back = sum((part["biases_rewound"] == part["biases"]).all() for _, part in later.groupby("round"))
        assert told["at the initial biases"].startswith(f"{back} of 10")
        assert (told["optimizer"] == "new each round") == (later["steps"].max() == 0)
        assert (told["pruned weights in training"] == "stay 0") == (end["grown"].max() == 0)
        assert speed["after the last cut, %"] == f"{end['correct'].mean() / 100:.2f}"
        assert speed["processor seconds a round"] == f"{later['seconds'].median():.1f}"
        assert speed["versions"] == library["versions"] and speed["measured"] == library["when"]


def test_the_page_shows_every_piece() -> None:
    source = (ROOT / "notebooks" / "beyond_libraries.ipynb").read_text("utf-8")
    for piece in ("libraries.lead", "libraries.scale", "drawn.begins", "drawn.against_size", "libraries.doings",
                  "libraries.accuracies", "libraries.kinds"):  # fmt: skip
        assert f"{piece}()" in source
    for figure in (drawn.begins(), drawn.against_size()):
        label = BeautifulSoup(figure.text, "html.parser").find("svg")["aria-label"]
        assert all(name in label for name in other_libraries.libraries()[1]["name"].unique())
