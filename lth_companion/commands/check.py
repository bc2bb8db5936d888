"""`audit`, `claims` and `power`: whether what is stored can be measured again, what it says of the papers, and what
fewer trials would have said."""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import replace
from pathlib import Path

from lth_companion.commands.chosen_rows import chosen, existing_store, published
from lth_core import results
from lth_core.atomic_files import scratch
from lth_core.errors import UsageError
from lth_core.results.manifest import Damaged
from lth_core.store import Store


def audit(args: argparse.Namespace) -> int:
    from lth_companion.share.audit import audit as audit_one

    source: results.Source = existing_store(args.store) if args.from_store else results.Published()
    specs = chosen(args, source)
    verdicts = []
    with scratch("lth-audit") as folder:
        for spec in specs:
            verdict = audit_one(
                spec, source, Store(folder), data_dir=args.data_dir, device=args.device, engine=args.engine,
                iterations=args.iterations,
            )  # fmt: skip
            verdicts.append(verdict)
            if not args.json:
                how = "identical" if verdict.identical else (
                    f"loss after the first evaluation differs by {verdict.first_difference:.1e}, "
                    f"test accuracy by {verdict.test_difference:.4f} (allowed {verdict.allowed:.4f})"
                )  # fmt: skip
                word = "agrees" if verdict.agrees else "DISAGREES"
                other = "ANOTHER START (its chain was trained again)" if verdict.rebuilt else "ANOTHER START"
                start = "same start" if verdict.same_start else other
                print(
                    f"{verdict.key} {spec.arm} round {spec.round} trial {spec.trial}: {word}; {start}; {how}",
                    flush=True,
                )
    if args.json:
        print(json.dumps([v.as_dict() for v in verdicts], indent=1))
    return int(not all(v.agrees for v in verdicts))


def claims(args: argparse.Namespace) -> int:
    """The ledger as text or JSON; with --strict, 1 if a verdict fell below the accepted one, or what fewer trials would
    have said was simulated beside other verdicts."""
    from lth_companion.claims import power_file
    from lth_companion.claims import verdicts as ledger

    if args.verdict and args.verdict not in ledger.VERDICTS:
        raise UsageError(f"verdict {args.verdict!r} does not exist; allowed: {', '.join(ledger.VERDICTS)}.")
    sections = {c.notebook for c in ledger.load()} | {c.paper for c in ledger.load()}
    if args.section and args.section not in sections:
        raise UsageError(f"section {args.section!r} does not exist; allowed: {', '.join(sorted(sections))}.")
    if args.from_store:
        verdicts = ledger.judge(existing_store(args.store), profile=args.profile, dataset=args.dataset)
    else:
        verdicts = ledger.judge(published(args.results))
    accepted = Path(args.results) / ledger.ACCEPTED.name
    try:
        fallen = [] if args.from_store else ledger.worse(verdicts, ledger.accepted(accepted))
    except Damaged:
        if not args.accept:  # which mends it
            raise
        fallen = []
    if args.accept:
        if args.from_store:
            raise UsageError("--accept is for results/: publish the store first.")
        ledger.accept(verdicts, accepted)
    shown = verdicts[[args.section in ("", n, p) for n, p in zip(verdicts.notebook, verdicts.paper, strict=True)]]
    shown = shown[shown.verdict == args.verdict] if args.verdict else shown
    if args.json:
        print(ledger.as_json(shown))
    else:
        ledger.text(shown)
    for name, before, now in fallen:
        print(f"lth_core: {name} was {before!r} and is now {now!r}.", file=sys.stderr)
    simulated = None if args.from_store else power_file.read(args.results)
    old = power_file.stale(simulated, verdicts) if simulated else []
    if old:
        print(f"lth_core: {power_file.FILE} was simulated beside other verdicts on {len(old)} claims, the first is "
              f"{old[0]}: run `python -m lth_core power`.", file=sys.stderr)  # fmt: skip
    return int(bool(fallen or old) and args.strict and not args.accept)


def power(args: argparse.Namespace) -> int:
    """Simulate what fewer trials would have said, and write it to results/."""
    from tqdm import tqdm

    from lth_companion.claims import power as fewer
    from lth_companion.claims import power_file
    from lth_companion.claims.verdict_rule import VERDICTS

    began, source = time.perf_counter(), published(args.results)
    with tqdm(unit="draw", dynamic_ncols=True, disable=args.quiet) as bar:

        def progress(left: int) -> None:
            bar.total = bar.n + left
            bar.update()

        made = fewer.simulate(source, progress=progress)
    power_file.keep(replace(made, seconds=time.perf_counter() - began), args.results)
    for row in fewer.shares(made).itertuples():
        said = ", ".join(f"{getattr(row, v):.0%} {v}" for v in VERDICTS[:3])
        print(f"{row.claim:<42} {row.size:>3} trials: {said}")
    return 0
