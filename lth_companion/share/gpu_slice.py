"""A slice of time on a GPU: tests, benchmark, figures in order of value, and the store packed to be taken home.

    workflow/gpu-slice.sh MINUTES OUT [FIGURE[:TRIALS] ...]

OUT/tests.txt, OUT/benchmark.json    what the card does, and how fast
OUT/store-0.tar, store-1.tar, ...    whole cells, and trainings stopped halfway; `--resume OUT` goes on from them, and
                                     `python -m lth_core merge` takes them in where they were unpacked with tar
OUT/report.json                      what was trained, what was left out, and where the time went
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.experiments import catalogue
from lth_companion.share.merging import merge
from lth_core import tickets
from lth_core.atomic_files import refuse_others, replaced, scratch
from lth_core.errors import StoreError, UsageError, one_line
from lth_core.spec import ALLOWED, Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

# Trial by trial, so that what a stop leaves behind is whole trials.
FIGURES = ("iclr-fig08:1", "iclr-fig08:2", "iclr-fig08")
TESTS, BENCHMARK, PACKING = 60.0, 90.0, 12.0  # seconds, at most
MIB = 2**20
BLOCK = 512  # bytes: tar's unit


@dataclass
class Clock:
    """Stops a run before a chunk (the iterations between two evaluations) that would not end in time."""

    deadline: float
    chunk: float = 0.0  # seconds of the last chunk; the first of a cohort also pays for its making
    before: float = field(default_factory=time.monotonic)
    iterations: int = 0

    def progress(self, message: str, iterations: int) -> None:
        """Called after each chunk: waits for the device, which otherwise runs a chunk behind what is asked of it."""
        if "torch" in sys.modules and (torch := sys.modules["torch"]).cuda.is_available():
            torch.cuda.synchronize()
        now = time.monotonic()
        self.chunk, self.before = now - self.before, now
        self.iterations += iterations
        rate = iterations / max(self.chunk, 1e-9)
        print(f"{message}: {rate:,.0f} network-steps/s, {self.deadline - now:,.0f} s left", flush=True)

    def stop(self) -> bool:
        return time.monotonic() + 1.1 * self.chunk > self.deadline


def steps_of(names: Iterable[str], profile: str, precision: str = "", dataset: str = "own") -> list[list[Spec]]:
    """The rows of each step: FIGURE, or FIGURE:TRIALS for its first trials alone."""
    steps = []
    for name in names:
        figure, _, trials = name.partition(":")
        if trials and not trials.isdigit():
            raise UsageError(f"{name!r} is no step: give FIGURE or FIGURE:TRIALS, for example iclr-fig08:1.")
        rows = catalogue.rows(figure, profile, trials=int(trials or 0), dataset=dataset)
        steps.append([replace(s, precision=precision) for s in rows] if precision else rows)
    return steps


def size_in_tar(files: Iterable[Path]) -> int:
    return sum(BLOCK + -(-f.stat().st_size // BLOCK) * BLOCK for f in files)


def pack(store: Store, out: Path, first: Iterable[str], *, files: int, each: int, total: int) -> list[str]:
    """Cells of `store`, those named `first` before others, then trainings stopped halfway, in at most `files` tars of
    at most `each` bytes, `total` in all. A cell is whole in one of them or left out; the names of these are returned.
    """
    there = set(store.keys())
    order = [k for k in dict.fromkeys(first) if k in there]
    order += sorted(there - set(order))
    things: dict[str, list[Path]] = {k: sorted(store.folder(k).iterdir()) for k in order}
    things |= {f"halfway/{f.name}": [f] for f in sorted((store.root / "halfway").glob("*.safetensors"))}
    end = 2 * tarfile.RECORDSIZE  # what closes a tar: two blocks of zeros, filled up to whole records
    parts: list[tuple[list[Path], int]] = []
    left, spent = [], 0
    for name, content in things.items():
        size = size_in_tar(content)
        # into the first with room, so that a large cell does not close a tar for the small ones after it
        fits = next((i for i, (_, used) in enumerate(parts) if used + size <= each), None)
        new = fits is None
        if size + end > each or spent + size + (end if new else 0) > total or (new and len(parts) == files):
            left.append(name)
            continue
        if fits is None:
            parts.append(([], end))
            spent += end
            fits = len(parts) - 1
        held, used = parts[fits]
        parts[fits] = ([*held, *content], used + size)
        spent += size
    for i, (content, _) in enumerate(parts):
        with tarfile.open(out / f"store-{i}.tar", "w", format=tarfile.USTAR_FORMAT) as tar:  # one header a file
            for file in content:
                tar.add(file, str(file.relative_to(store.root)))
    return left


def unpack(folder: Path, store: Store) -> int:
    """Take in what an earlier slice packed, each cell verified; how many cells that were."""
    with scratch("lth-slice-unpacked") as unpacked:
        for file in sorted(folder.glob("store-*.tar")):
            try:
                refuse_others(file)
                with tarfile.open(file) as tar:
                    tar.extractall(unpacked, filter="data")
            except (tarfile.TarError, OSError, ValueError, EOFError, OverflowError, zlib.error) as error:
                raise StoreError(
                    f"{file} cannot be unpacked ({one_line(str(error))}): copy it again, or leave it out."
                ) from error
        other = Store(unpacked)
        taken = merge(other, store).added
        for half in (other.root / "halfway").glob("*.safetensors"):  # checked when training goes on from it
            target = store.root / "halfway" / half.name
            if re.fullmatch(r"[0-9a-f]{20}\.safetensors", half.name) and not target.exists():
                with replaced(target) as partial:
                    partial.write_bytes(half.read_bytes())
    return taken


def in_a_process(command: list[str], seconds: float, log: Path) -> dict[str, Any]:
    """Run a command for so long at most; what it prints goes to `log`. A card that fails it fails nothing else."""
    began = time.monotonic()
    environment = {**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'benchmarks'}"}
    with open(log, "w") as f:
        try:
            code = subprocess.run(
                command, cwd=ROOT, stdout=f, stderr=subprocess.STDOUT, timeout=max(1.0, seconds), env=environment
            ).returncode
        except subprocess.TimeoutExpired:
            code = 124
    return {"exit": code, "seconds": round(time.monotonic() - began, 1)}


def fastest(file: Path, precision: str) -> dict[str, str]:
    """Settings of the fastest ResNet-18 cohort that the benchmark measured in this precision; none if it has none, or
    was cut off while it wrote."""
    try:
        rows = [
            r for r in json.loads(file.read_text()) if (r.get("arch"), r.get("precision")) == ("resnet-18", precision)
        ]
        best = max(rows, key=lambda r: r["median"], default=None)
        return {"LTH_CONVOLUTIONS": best["convolutions"], "LTH_LAYOUT": best["layout"]} if best else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


@contextmanager
def timed(report: dict[str, Any], phase: str) -> Iterator[None]:
    began = time.monotonic()
    try:
        yield
    finally:
        report["seconds"][phase] = round(time.monotonic() - began, 1)
        print(f"-- {phase}: {report['seconds'][phase]} s", flush=True)


def parser() -> argparse.ArgumentParser:
    p = argparse.ArgumentParser(prog="gpu-slice.sh", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    p.add_argument("minutes", type=float)
    p.add_argument("out", type=Path)
    p.add_argument("figures", nargs="*", default=list(FIGURES), metavar="FIGURE[:TRIALS]")
    p.add_argument("--store", type=Path, help="default: a temporary folder, gone afterwards")
    p.add_argument("--resume", type=Path, metavar="PACK", help="OUT of an earlier slice, read in first")
    p.add_argument("--device", default="cuda")
    p.add_argument("--profile", default="published", choices=catalogue.PROFILES)
    p.add_argument("--dataset", default="own")
    p.add_argument("--precision", default="", choices=("", *ALLOWED["precision"]), help="instead of the rows' own")
    p.add_argument("--no-tests", action="store_true")
    p.add_argument("--no-benchmark", action="store_true")
    p.add_argument("--no-figures", action="store_true")
    p.add_argument("--fastest", type=Path, metavar="JSON", help="a benchmark.json: convolve in its fastest way")
    p.add_argument("--files", type=int, default=5, help="tars at most")
    p.add_argument("--mib", type=float, default=15.9, help="of a tar at most")
    p.add_argument("--total-mib", type=float, default=62.0)
    return p


def main(argv: list[str] | None = None) -> int:
    began = time.monotonic()
    args = parser().parse_args(argv)
    if args.fastest and not args.fastest.is_file():
        parser().error(f"--fastest {args.fastest} is not there: name the benchmark.json of an earlier slice")
    end = began + 60 * args.minutes
    args.out.mkdir(parents=True, exist_ok=True)
    report: dict[str, Any] = {"seconds": {}, "figures": args.figures}
    steps = steps_of(args.figures, args.profile, args.precision, args.dataset)
    with scratch("lth-slice") as folder:
        store = Store(args.store or folder / "store")
        if args.resume:
            with timed(report, "resume"):
                report["resumed"] = unpack(args.resume, store)
        python, last = sys.executable, end - PACKING
        if not args.no_tests:
            with timed(report, "tests"):
                command = [
                    "-m",
                    "pytest",
                    "--noconftest",
                    "-p",
                    "no:cacheprovider",
                    "-v",
                    "-rs",
                    "tests/core/engines/test_gpu.py",
                ]
                log = args.out / "tests.txt"
                report["tests"] = in_a_process([python, *command], min(TESTS, last - time.monotonic()), log)
                print("\n".join(log.read_text().splitlines()[-25:]), flush=True)
        made = args.out / "benchmark.json"
        if not args.no_benchmark:
            with timed(report, "benchmark"):
                seconds = min(BENCHMARK, last - time.monotonic())
                command = ["benchmarks/gpu.py", args.device, str(seconds - 5), str(made.resolve())]
                report["benchmark"] = in_a_process([python, *command], seconds, args.out / "benchmark.txt")
                print((args.out / "benchmark.txt").read_text(), flush=True)
        os.environ.update(found := fastest(args.fastest or made, steps[0][0].precision if steps else ""))
        report["settings"] = found
        if not args.no_figures:
            with timed(report, "figures"):
                try:
                    train(steps, store, args.device, last, report)
                except Exception as error:  # whatever it was: what is done is packed in any case
                    report["failed"] = f"{type(error).__name__}: {error}"[:2000]
                    print(report["failed"], flush=True)
        with timed(report, "pack"):
            size = {"files": args.files, "each": int(args.mib * MIB), "total": int(args.total_mib * MIB)}
            report["left_out"] = pack(store, args.out, (key_of(s) for rows in steps for s in rows), **size)
            report["cells"] = len(store.keys())
    report["seconds"]["all"] = round(time.monotonic() - began, 1)
    (args.out / "report.json").write_text(json.dumps(report, indent=1))
    print(json.dumps(report, indent=1), flush=True)
    return int("failed" in report)


def train(steps: list[list[Spec]], store: Store, device: str, deadline: float, report: dict[str, Any]) -> None:
    """The rows of each step in turn, until the deadline."""
    clock, began = Clock(deadline), time.monotonic()
    report["steps"] = []
    for rows in steps:
        clock.chunk, clock.before = 0.0, time.monotonic()
        if not clock.stop():
            found = tickets.run(
                rows, store, device=device, progress=clock.progress, stop=clock.stop,
                budget=max(0.0, deadline - time.monotonic()),
            )  # fmt: skip
            lacking = len(found.missing) + len(found.refused)
            report["steps"].append({"trained": len(found.trained), "there": found.stored, "lacking": lacking})
            print(report["steps"][-1], flush=True)
            for why in dict.fromkeys(found.refused.values()):
                print(why, flush=True)
    spent = time.monotonic() - began
    report["network_steps"] = clock.iterations
    report["network_steps_per_second"] = round(clock.iterations / max(spent, 1e-9), 1)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (UsageError, StoreError) as error:
        print(f"gpu-slice: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, UsageError) else 1)
