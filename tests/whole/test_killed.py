"""Every command that writes, killed while it works: what was there is whole, and the same command ends right.

`make soak` kills thirty times as often as the slow tests do.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from killed_commands import kill
from killed_operations import OPERATIONS, lay
from record import tried
from runners import start
from soak import OUTCOMES

TIMES, BUILDS = 8, 2  # of each command, and of the book, in the slow run; the fast one kills each once
SEED = int(os.environ.get("LTH_SOAK_SEED", 28))
SOAK = 30 if "LTH_SOAK" in os.environ else 1


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("base")
    laying = start(lay, made)  # in a process of its own: it changes what a figure is
    laying.join()
    assert laying.exitcode == 0
    return made


def check(commands: list[str], times: int, seed: int, base: Path, root: Path) -> None:
    tally, killed = kill(commands, times, seed, base, root)
    print(tally.table(), dict(killed), sep="\n")
    for name in commands:
        mine = [(came, n) for (kind, came), n in tally.counts.items() if kind.startswith(f"{name},")]
        assert sum(n for _, n in mine) == times
        counts = {o: sum(n for c, n in mine if c == o) for o in OUTCOMES}
        tried("Stopped", f"`kill -9` of `{name}` ({killed[name]} before it had ended)", times, counts=counts)
    assert not tally.found, "\n".join(tally.found[:20])


def test_each_command_killed_once(base: Path, tmp_path: Path) -> None:
    check([name for name in OPERATIONS if name != "build"], 1, SEED, base, tmp_path)


@pytest.mark.slow
@pytest.mark.timeout(36_000)
@pytest.mark.parametrize("name", OPERATIONS)
def test_each_command_killed_often(name: str, base: Path, tmp_path: Path) -> None:
    check([name], SOAK * (BUILDS if name == "build" else TIMES), SEED + 1, base, tmp_path)
