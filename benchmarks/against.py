"""What users wait for, beside an earlier commit: each command here and there in turns, three times.

    python benchmarks/against.py COMMIT           # `claims` and `status`
    python benchmarks/against.py COMMIT --book    # and `make book` where nothing changed

Here is this checkout as it is, there a clone of it at COMMIT under `_build/against/`, which is kept: with --book its
book is built there once, which takes as long as it took then. Both run in this environment, each on its own results/,
with byte code compiled before. Told are processor time (with all that a command starts) and time by the clock: the
median of three, lowest and highest, and how many times as much it is there, the median of the three pairs.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
REPEATS = 3
READY = ".venv/.ready"  # what `make` waits for before all else: the environment, which is this one
BOOK = ("make", "--silent", f"--old-file={READY}", "book")  # as if that were ready
COMMANDS = {
    "claims": (sys.executable, "-m", "lth_core", "claims", "--json"),
    "status": (sys.executable, "-m", "lth_core", "status", "--published"),
}


@dataclass(frozen=True)
class Spent:
    """Seconds that one run of a command took, and with what status it ended."""

    processor: float
    clock: float
    status: int


def spent(command: Sequence[str], folder: Path) -> Spent:
    """Run a command in a checkout, with that checkout's code; what it tells goes nowhere."""
    kept = {n: v for n, v in os.environ.items() if n not in ("PYTHONDONTWRITEBYTECODE", "LTH_RESULTS")}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    run = subprocess.run(
        command, cwd=folder, env={**kept, "PYTHONPATH": str(folder)}, stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL, check=False,
    )  # fmt: skip
    clock, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Spent(processor, clock, run.returncode)


def checkout(commit: str, folder: Path) -> Path:
    """A clone of this repository at a commit, made once, with this environment."""
    if not folder.exists():
        git = ["git", "-c", "advice.detachedHead=false"]
        subprocess.run([*git, "clone", "--quiet", "--shared", "--no-checkout", str(ROOT), str(folder)], check=True)
        subprocess.run([*git, "checkout", "--quiet", commit], cwd=folder, check=True)
        (folder / ".venv").symlink_to(sys.prefix)
    return folder


def in_turns(command: Sequence[str], folders: Mapping[str, Path], repeats: int = REPEATS) -> dict[str, list[Spent]]:
    """Runs of a command in each folder, one after the other, so often."""
    found: dict[str, list[Spent]] = {name: [] for name in folders}
    for _ in range(repeats):
        for name, folder in folders.items():
            found[name].append(spent(command, folder))
    return found


def line(name: str, found: Mapping[str, Sequence[Spent]]) -> str:
    """A row of the table: both folders' seconds, and how many times as much it is in the second."""
    here, there = found.values()
    told = [name]
    for what in ("processor", "clock"):
        pairs = [(getattr(a, what), getattr(b, what)) for a, b in zip(here, there, strict=True)]
        told += [spread([a for a, _ in pairs]), spread([b for _, b in pairs]), spread([b / a for a, b in pairs])]
    if any(s.status for s in (*here, *there)):
        told.append(f"ended with {', '.join(str(s.status) for s in (*here, *there))}")
    return " | ".join(told)


def spread(values: Sequence[float]) -> str:
    """Median, lowest and highest: "2.9 (2.8 to 3.1)"."""
    return f"{statistics.median(values):.2f} ({min(values):.2f} to {max(values):.2f})"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="What users wait for, beside an earlier commit.")
    parser.add_argument("commit")
    parser.add_argument("--book", action="store_true", help="build the book there once, and time `make book` after it")
    options = parser.parse_args(arguments)
    there = checkout(options.commit, ROOT / "_build" / "against" / options.commit)
    folders = {"here": ROOT, "there": there}
    for folder in folders.values():
        packages = [p.name for p in folder.glob("lth_*") if p.is_dir()]
        spent((sys.executable, "-m", "compileall", "-q", *packages), folder)
    print("command | processor s here | there | there / here | clock s here | there | there / here", flush=True)
    for name, command in COMMANDS.items():
        print(line(name, in_turns(command, folders)), flush=True)
    if options.book:
        for name, folder in folders.items():
            first = spent(BOOK, folder)
            print(f"make book, first, {name}: {first.processor:.0f} s of processor, {first.clock:.0f} s", flush=True)
            if first.status:
                print(f"it failed: run `{' '.join(BOOK)}` in {folder} to see why", file=sys.stderr)
                return 1
        print(line("make book, nothing changed", in_turns(BOOK, folders)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
