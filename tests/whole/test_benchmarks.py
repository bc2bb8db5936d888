"""The benchmarks' own parts: how rows join what is published, and how contenders take turns."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import against  # noqa: E402
import bench  # noqa: E402
import chains  # noqa: E402
import contenders  # noqa: E402
import open_lth  # noqa: E402
import parts  # noqa: E402
import turns  # noqa: E402
from bench import beside  # noqa: E402

from lth_companion.experiments import timings  # noqa: E402
from lth_companion.pages import speed  # noqa: E402
from lth_core.untrusted_text import fault, faults  # noqa: E402


def row(benchmark: str, value: float, **fields) -> dict:
    return {
        "benchmark": benchmark,
        "engine": "e",
        "setting": "s",
        "median": value,
        "unit": "u",
        "ratio": None,
        **fields,
    }


def test_new_rows_replace_those_of_their_benchmark_and_network_and_others_keep_their_day():
    old = {
        "made": {"commit": "aaa", "when": "2026-11-22", "device": "D"},
        "rows": [row("steps", 1, arch="a"), row("steps", 2, arch="b"), row("xor", 3)],
    }
    now = beside(old, {"commit": "bbb", "when": "2026-11-27", "device": "D"}, [row("steps", 9, arch="a")])
    assert [(r["median"], r.get("when")) for r in now["rows"]] == [(2, "2026-11-22"), (3, "2026-11-22"), (9, None)]
    assert "2026-11-22 (commit aaa)" in now["made"]["note"] and not faults(now["made"])
    assert not fault("note", now["made"]["note"])
    third = beside(now, {"commit": "ccc", "when": "2026-11-28", "device": "D"}, [row("xor", 4)])
    days = {r["median"]: r.get("when") for r in third["rows"]}
    assert days == {2: "2026-11-22", 9: "2026-11-27", 4: None}
    again = beside(third, {"commit": "ccc", "when": "2026-11-28", "device": "D"}, third["rows"])
    assert "note" not in again["made"] or again["rows"] == third["rows"]


def test_what_the_book_would_refuse_is_not_published(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(bench, "ROOT", tmp_path)
    monkeypatch.setattr(bench, "BENCHMARKS", {"a": lambda: [row("steps", 1, arch="a", unit="of the machine's peak")]})
    monkeypatch.setattr(sys, "argv", ["bench.py", "--publish", "a"])
    with pytest.raises(SystemExit):
        bench.main()
    assert "unit holds more than" in (said := capsys.readouterr().err) and "nothing was published" in said
    assert (tmp_path / "_build" / "bench.json").exists() and not (tmp_path / "results").exists()


def test_parts_are_timed_from_outside_and_the_engine_is_left_as_it_was():
    before = [getattr(owner, name) for functions in parts.FUNCTIONS.values() for owner, name in functions]
    spent = Counter()
    with parts.timed(spent):
        parts.norm.refresh(np.ones(2, np.float32), np.ones(2, np.float32), np.zeros(2, np.int64))
    assert set(spent) == {"optimizer"} and spent["optimizer"] > 0
    assert before == [getattr(owner, name) for functions in parts.FUNCTIONS.values() for owner, name in functions]
    empty = parts.emptied(contenders.network("conv-2", 3))
    assert {int(mask.sum()) for mask in empty.masks.values()} == {1}


def test_published_parts_are_a_whole_round_and_make_a_table():
    found = [speed.rows(f"share of {part}", timings.FILE_AVX2).set_index(["arch", "density"]) for part in parts.PARTS]
    whole = sum(own["median"] for own in found)
    assert len(whole) == sum(map(len, parts.ROUNDS.values())) and np.allclose(whole, 1, atol=0.02)
    assert all((own["median"] >= 0).all() for own in found)
    assert set(speed.PARTS) == set(parts.PARTS)
    assert speed.parts_avx2().count("\n") == len(whole) + 1


@pytest.mark.parametrize("arch", chains.ITERATIONS)
def test_chains_leave_what_the_networks_that_are_timed_have(arch, monkeypatch, tmp_path):
    """The chain is shorter than the paper's, not another one; and a network whose chain is not there is not timed."""
    for round in range(1, chains.LAST[arch] + 1):
        timed, own = contenders.row(arch, round), chains.ticket(arch, round)
        short = dict(iterations=own.iterations, eval_every=own.eval_every)
        assert dataclasses.replace(timed, **short) == own
    monkeypatch.setattr(chains, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError):
        contenders.network(arch, 1)


def test_contenders_answer_in_turns_and_those_that_fail_are_named(tmp_path):
    script = tmp_path / "worker.py"
    script.write_text(
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r})\n"
        "import turns\n"
        "if sys.argv[1] == 'bad': sys.exit(1)\n"
        "turns.serve({'count': lambda seconds: 10 * seconds})\n"
    )
    two, bad = (turns.Contender(name, str(script), (name,), 2) for name in ("good", "bad"))
    with turns.teams([two]) as found:
        rates = turns.in_turns(found, {"good": ["count"]}, seconds=0.25, repeats=3)
    assert rates == {("good", "count"): [5.0, 5.0, 5.0]}  # both processes, without the round that warms up
    with pytest.raises(RuntimeError, match="bad"), turns.teams([bad]):
        pass


def test_rates_are_by_processor_time():
    """Sleeping costs the clock and no processor time: the rate is that of the work alone, within a factor."""

    def work(i: int) -> float:
        began = time.thread_time()
        while time.thread_time() - began < 0.01:
            pass
        time.sleep(0.03)
        return 1

    assert 50 < turns.rate_of([work], 1, 0.3) < 110


def test_openlths_step_asks_for_its_clone_and_its_rows_stand_beside_the_plain_loop(tmp_path, monkeypatch):
    for somewhere in ("", str(tmp_path), str(ROOT)):
        monkeypatch.setenv("OPEN_LTH", somewhere)
        with pytest.raises(RuntimeError, match="OPEN_LTH must name a clone"):
            open_lth.rows("resnet-18")
    rates = {("plain loop, 1 x 2", "plain_loop/1/step"): [4.0], ("plain loop, 2 x 1", "plain_loop/1/step"): [5.0]}
    rates |= {("OpenLTH, 2 x 1", "step"): [3.0, 4.0, 9.0], ("convolutional", "convolutional/8/step"): [10.0]}
    made = open_lth._rows("resnet-18", rates, "0123")
    assert [r["ratio"] for r in made] == [0.8, 1.0, 0.8, 2.0]
    assert "commit 0123" in made[2]["setting"] and made[3]["density"] < 0.2


def test_commands_here_take_turns_with_those_of_another_checkout(tmp_path):
    for name, loops, status in (("here", 100_000, 0), ("there", 10_000_000, 0), ("broken", 100_000, 3)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "work.py").write_text(f"import sys\nfor _ in range({loops}): pass\nsys.exit({status})\n")
    command = (sys.executable, "-m", "work")
    found = against.in_turns(command, {n: tmp_path / n for n in ("here", "there")}, repeats=2)
    here, there = found["here"], found["there"]
    assert [len(runs) for runs in found.values()] == [2, 2] and all(s.status == 0 for s in (*here, *there))
    assert min(s.processor for s in there) > max(s.processor for s in here) > 0
    name, ours, theirs, times, *clock = against.line("work", found).split(" | ")
    assert name == "work" and len(clock) == 3, "each on the processor and by the clock"
    assert float(times.split()[0]) > 1 and float(ours.split()[0]) < float(theirs.split()[0])
    broken = against.in_turns(command, {n: tmp_path / n for n in ("here", "broken")}, repeats=1)
    assert against.line("work", broken).endswith(" | ended with 0, 3")


def test_the_other_checkout_is_a_clone_that_is_made_once(tmp_path):
    made = against.checkout("HEAD", tmp_path / "clone")
    assert (made / "lth_core" / "spec.py").is_file() and (made / ".venv" / "bin").is_dir()
    (made / "mark").touch()
    assert (against.checkout("HEAD", tmp_path / "clone") / "mark").exists()
