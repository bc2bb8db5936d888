"""`run` and `status`: training what a store lacks, and what each figure has."""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pandas as pd

from lth_companion.commands.chosen_rows import rows_of
from lth_companion.experiments import catalogue, costs
from lth_core import results
from lth_core.errors import UsageError
from lth_core.store import Store
from lth_core.store.cell import describe
from lth_core.store.provenance import device_details

STOPPED = "lth_core: stopped; nothing stored is lost. Run the same command again to go on."


def seconds(text: str) -> float:
    """ "90", "90s", "9m" or "2h" in seconds."""
    match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?)([smh]?)", text)
    if not match:
        raise UsageError(f"budget {text!r} is not a duration: give for example 90s, 9m or 2h.")
    return float(match[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[match[2]]


def shard(text: str) -> tuple[int, int]:
    match = re.fullmatch(r"(\d{1,9})/(\d{1,9})", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise UsageError(f"shard {text!r} does not exist: give i/n with i from 1 to n, for example 1/4.")
    return int(match[1]), int(match[2])


@contextmanager
def stoppable() -> Iterator[list[int]]:
    """Ctrl-C, or the SIGTERM of a scheduler, asks a run to stop where nothing is lost; a second one stops it at once.

    Yields a list that holds the signal once it came."""
    asked: list[int] = []

    def ask(number: int, frame: Any) -> None:
        if asked:  # not an exception: on its way out that would wait for kernels in other threads
            os.write(2, f"\n{STOPPED}\n".encode())
            os._exit(128 + number)
        asked.append(number)
        os.write(2, b"\nlth_core: stopping at the next safe point; once more stops at once.\n")

    if threading.current_thread() is not threading.main_thread():
        yield asked
        return
    before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(args: argparse.Namespace) -> int:
    from tqdm import tqdm

    from lth_core import tickets
    from lth_core.engines import choose

    if not args.figures:
        raise UsageError(
            "name a figure, a notebook, or all: `python -m lth_core status` tells what each lacks and what it takes."
        )
    published = results.Published() if args.published else None
    rows = [s for s in rows_of(args) if published is None or not published.has(s)]
    budget = seconds(args.budget) if args.budget else None
    choose.check_how(args.device, args.engine)
    if args.shard:
        rows = tickets.shard_of(rows, *shard(args.shard))
    bar = tqdm(unit="it", unit_scale=True, dynamic_ncols=True, disable=args.quiet)
    with stoppable() as asked, bar:

        def begin(cells: int, iterations: int) -> None:
            bar.reset(total=iterations)
            bar.set_description(f"{cells} networks")

        def progress(message: str, iterations: int) -> None:
            bar.set_postfix_str(message, refresh=False)
            bar.update(iterations)

        report = tickets.run(
            rows, Store(args.store), data_dir=args.data_dir, device=args.device, engine=args.engine,
            budget=budget, begin=begin, progress=progress, stop=lambda: bool(asked),
            known=published,
        )  # fmt: skip
    lacking = len(report.missing) + len(report.refused)
    print(f"{len(report.trained)} trained, {report.stored} were there, {lacking} missing.")
    for why in dict.fromkeys(report.refused.values()):
        n = sum(w == why for w in report.refused.values())
        print(f"lth_core: {n} networks cannot be made: {why}.", file=sys.stderr)
    if report.missing and asked:
        print(STOPPED, file=sys.stderr)
        return 128 + asked[0]
    if report.missing:
        print("Run the same command again to go on.")
    return int(bool(report.refused))


def of_this_machine(cells: pd.DataFrame) -> pd.DataFrame:
    """The networks that a machine like this one trained. Columns: device, diverged."""
    return cells[(cells["device"] == device_details("sparse")["device"]) & ~cells["diverged"].astype(bool)]


def trained_here(store: Store, most: int = 200) -> pd.DataFrame:
    """Networks of a store that a machine like this one trained, with the columns of `describe` and provenance: all, or
    `most` of many, enough for a median."""
    keys = store.keys()
    cells = [store.read(key) for key in keys[:: 1 + len(keys) // most]]
    made = [{**describe(cell.spec), **cell.made} for cell in cells]
    return of_this_machine(pd.DataFrame(made)) if made else pd.DataFrame()


def status(args: argparse.Namespace) -> int:
    """What each figure has and lacks, in the store or in results/, and what training the rest would take here."""
    source: results.Source = results.Published() if args.published else Store(args.store)
    profile = "published" if args.published else args.profile
    measured = [of_this_machine(results.Published().cells)] if results.HERE.exists() else []
    measured += [trained_here(source)] if isinstance(source, Store) else []
    known = costs.speeds(pd.concat([*measured, pd.DataFrame(columns=costs.MEASURED)]))
    listed = results.Listed(source)
    lines: list[dict[str, Any]] = []
    for name in args.figures:
        for figure in catalogue.figures_of(name):
            declared = catalogue.rows(figure.id, profile, trials=args.trials, seed=args.seed, dataset=args.dataset)
            rows = results.possible(declared, listed)
            lacking = [s for s in rows if not listed.has(s)]
            have = len(rows) - len(lacking)
            scale = catalogue.scale_of(figure, profile, trials=args.trials)
            seconds_left = costs.seconds_left(lacking, known)
            lines.append(
                {"figure": figure.id, "notebook": figure.notebook, "title": figure.title, "profile": profile,
                 "have": have, "of": len(rows), "ended": len(declared) - len(rows),
                 "iterations": scale.iterations, "trials": scale.trials,
                 "core_seconds_left": round(seconds_left) if math.isfinite(seconds_left) else None}
            )  # fmt: skip
    if isinstance(source, Store) and not source.root.exists():
        print(f"lth_core: there is no store {source.root} yet.", file=sys.stderr)
    if args.json:
        print(json.dumps(lines, indent=1))
    else:
        for x in lines:
            ended = f" ({x['ended']} cannot be: their chains diverged)" if x["ended"] else ""
            left = f" (about {costs.duration(x['core_seconds_left'])} of a core)" if x["core_seconds_left"] else ""
            print(f"{x['figure']:<22} {x['have']:>5} of {x['of']:>5}  {x['notebook']:<34} {x['title']}{ended}{left}")
    return int(any(x["have"] < x["of"] for x in lines))
