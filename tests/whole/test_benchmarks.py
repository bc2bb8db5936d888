"""The benchmarks' own parts: how rows join what is published, and how contenders take turns."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "benchmarks"))

import turns  # noqa: E402
from bench import beside  # noqa: E402

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
