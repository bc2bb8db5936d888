"""The command line: python -m lth_core run | status | audit | merge | publish | export | import | claims | book |
archive | student."""

from __future__ import annotations

import argparse
import importlib
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from lth_companion.experiments import catalogue
from lth_companion.experiments.study import store_folder
from lth_core import results
from lth_core.errors import StoreError, UsageError, one_line
from lth_core.results.manifest import Damaged
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

DATA = "own: as the profile says; mnist, cifar10: the papers', each figure's own; digits: images that come along"
MODULES = {
    "book": "lth_companion.build.book",
    "archive": "lth_companion.build.archive",
    "student": "lth_companion.classroom.student",
}
WITH_OWN_OPTIONS = {
    "book": "execute the notebooks, build the book (--help: its options)",
    "archive": "this commit as one file with checksums (--help: its options)",
    "student": "the exercises without their solutions (--help: its options)",
}
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


def rows_of(args: argparse.Namespace) -> list[Spec]:
    """The networks that the figures on the command line stand for, each once."""
    options = dict(trials=args.trials, seed=args.seed, dataset=args.dataset)
    return list(dict.fromkeys(s for f in args.figures for s in catalogue.rows(f, args.profile, **options)))


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


def status(args: argparse.Namespace) -> int:
    """What each figure has and lacks, in the store or in results/."""
    source: results.Source = results.Published() if args.published else Store(args.store)
    profile = "published" if args.published else args.profile
    lines: list[dict[str, Any]] = []
    for name in args.figures:
        for figure in catalogue.figures_of(name):
            declared = catalogue.rows(figure.id, profile, trials=args.trials, seed=args.seed, dataset=args.dataset)
            rows = results.possible(declared, source)
            have = sum(source.has(s) for s in rows)
            scale = catalogue.scale_of(figure, profile, trials=args.trials)
            lines.append(
                {"figure": figure.id, "notebook": figure.notebook, "title": figure.title, "profile": profile,
                 "have": have, "of": len(rows), "ended": len(declared) - len(rows),
                 "iterations": scale.iterations, "trials": scale.trials}
            )  # fmt: skip
    if args.json:
        print(json.dumps(lines, indent=1))
    else:
        for x in lines:
            ended = f" ({x['ended']} cannot be: their chains diverged)" if x["ended"] else ""
            print(f"{x['figure']:<18} {x['have']:>5} of {x['of']:>5}  {x['notebook']:<34} {x['title']}{ended}")
    return int(any(x["have"] < x["of"] for x in lines))


def audit(args: argparse.Namespace) -> int:
    import tempfile

    from lth_companion.share.audit import audit as audit_one

    source: results.Source = Store(args.store) if args.from_store else results.Published()
    specs = _chosen(args, source)
    verdicts = []
    with tempfile.TemporaryDirectory() as scratch:
        for spec in specs:
            verdict = audit_one(
                spec, source, Store(scratch), data_dir=args.data_dir, device=args.device, engine=args.engine,
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


def _chosen(args: argparse.Namespace, source: results.Source) -> list[Spec]:
    """Cells named on the command line, or all of a figure; with --sample K of them, drawn anew each time."""
    keys = set(source.keys())
    specs: list[Spec] = []
    for name in args.figures:
        if name in keys:
            specs.append(source.spec(name))
        elif name == "all":
            specs += [source.spec(k) for k in sorted(keys)]
        else:
            profile = args.profile if args.from_store else "published"
            rows = catalogue.rows(name, profile, trials=args.trials, seed=args.seed, dataset=args.dataset)
            specs += [s for s in rows if key_of(s) in keys]
    if not specs:
        raise UsageError(f"nothing measured matches {', '.join(args.figures)}: see `python -m lth_core status`.")
    if args.sample < 0:
        raise UsageError(f"sample = {args.sample} must be positive, or 0 for all.")
    if args.sample and args.sample < len(specs):
        specs = [specs[i] for i in np.random.default_rng().choice(len(specs), args.sample, replace=False)]
    return specs


def merge(args: argparse.Namespace) -> int:
    """Import other stores' cells, each verified first."""
    target = Store(args.store)
    target.refuse_links()
    added = kept = busy = 0
    for folder in args.folders:
        other = Store(folder)
        if not (Path(folder) / "cells").is_dir():
            raise UsageError(f"{folder} is not a store: it has no folder 'cells'.")
        other.refuse_links()
        for key in other.keys():
            if target.folder(key).exists():
                kept += 1
                continue
            taken = target.adopt(other, key)
            added, busy = added + taken, busy + (not taken)
    print(f"{added} cells imported, {kept} were there{f', {busy} are being trained here' if busy else ''}.")
    return 0


def publish(args: argparse.Namespace) -> int:
    from lth_companion.share import publish as publishing

    asked = [f for name in args.figures for f in catalogue.figures_of(name)]
    for file in publishing.publish(asked, Store(args.store), args.results, masks=args.masks, drop=args.drop):
        print(f"{file.stat().st_size / 1e6:6.2f} MB  {file.relative_to(args.results)}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Tickets as files: one a network named by its key, or all tickets of a figure."""
    from lth_companion.share import exchange

    source: results.Source = Store(args.store) if args.from_store else results.Published(args.results)
    where = "the store" if args.from_store else "results/ (train them with `run`, then export --from-store)"
    chosen: list[Spec] = []
    left: dict[str, int] = {}  # why -> how many of a figure's networks are no files; one named by its key is an error
    for spec in dict.fromkeys(_chosen(args, source)):
        why = (
            "" if key_of(spec) in args.figures
            else "unpruned" if spec.round == 0
            else "of other arms than 'ticket'" if spec.arm != "ticket"
            else "that did not start from their initial values under a mask" if not exchange.portable(spec)
            else f"whose masks are not in {where}" if not source.has_masks(spec)
            else ""
        )  # fmt: skip
        if why:
            left[why] = left.get(why, 0) + 1
        else:
            chosen.append(spec)
    said = ", ".join(f"{n} {why}" for why, n in left.items())
    if not chosen:
        raise StoreError(f"{', '.join(args.figures)} has no ticket to export: {said}.")
    if left:
        print(f"lth_core: left out of {', '.join(args.figures)}: {said}.", file=sys.stderr)
    for spec in chosen:
        made = exchange.ticket(spec, source, trained=args.trained)
        file = exchange.write(made, args.out)
        print(f"{file.stat().st_size / 1e6:6.2f} MB  {made}  {file}")
    return 0


def import_(args: argparse.Namespace) -> int:
    """Read tickets that `export` wrote, here or elsewhere; a file that cannot be trusted is refused."""
    from lth_companion.share import exchange

    source: results.Source = Store(args.store) if args.from_store else results.Published(args.results)
    where = "the store" if args.from_store else "results/"
    differ = 0
    for file in args.files:
        found = exchange.read(file)
        same = exchange.agreement(found, source)
        differ += same is False
        masks = {True: f"masks as in {where}", False: f"OTHER MASKS than in {where}", None: f"masks not in {where}"}[
            same
        ]
        print(f"{found}: initial weights are those its row draws, {masks}")
    return int(differ > 0)


def claims(args: argparse.Namespace) -> int:
    """The ledger as text or JSON; with --strict, 1 if a verdict fell below the accepted one."""
    from lth_companion.claims import verdicts as ledger

    if args.verdict and args.verdict not in ledger.VERDICTS:
        raise UsageError(f"verdict {args.verdict!r} does not exist; allowed: {', '.join(ledger.VERDICTS)}.")
    sections = {c.notebook for c in ledger.load()} | {c.paper for c in ledger.load()}
    if args.section and args.section not in sections:
        raise UsageError(f"section {args.section!r} does not exist; allowed: {', '.join(sorted(sections))}.")
    if args.from_store:
        verdicts = ledger.judge(Store(args.store), profile=args.profile, dataset=args.dataset)
    else:
        verdicts = ledger.judge(results.Published(args.results))
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
    return int(bool(fallen) and args.strict and not args.accept)


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lth_core", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(name: str, what, help: str, figures: str | None = "FIGURE") -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=help, description=help)
        p.set_defaults(what=what)
        if figures:
            p.add_argument("figures", nargs="*", default=["all"], metavar=figures,
                           help="iclr-fig04, v1-fig05, ..., a notebook's name, or all")  # fmt: skip
        p.add_argument(
            "--store", default=store_folder(), help="folder of finished trainings (default: $LTH_STORE or _store)"
        )
        return p

    def scale(p: argparse.ArgumentParser) -> None:
        p.add_argument("--profile", default="paper", choices=catalogue.PROFILES)
        p.add_argument("--trials", type=int, default=0, help="0: the profile's own number")
        p.add_argument("--seed", type=int, default=0)
        p.add_argument("--dataset", default="own", choices=("own", *catalogue.ALONG, "digits"), help=DATA)
        p.add_argument("--data-dir", default=None, help="folder of the data sets (default: $LTH_DATA_DIR)")

    def engines(p: argparse.ArgumentParser) -> None:
        p.add_argument("--device", default="auto", help="auto, cpu or cuda")
        p.add_argument("--engine", default="auto", help="auto, dense or sparse")

    p = command("run", run, "train what the store lacks; stop and run again at any time")
    scale(p)
    engines(p)
    p.add_argument("--budget", help="stop cleanly after this long, e.g. 9m")
    p.add_argument("--shard", help="i/n: every n-th chain of rounds")
    p.add_argument("--published", action="store_true", help="only what results/ lacks, from the masks that are there")
    p.add_argument("--quiet", action="store_true")
    p = command("status", status, "what each figure has and lacks (exit 1 if something is missing)")
    scale(p)
    p.add_argument("--published", action="store_true", help="look in results/ instead of the store")
    p.add_argument("--json", action="store_true")
    p = command("audit", audit, "train stored networks again and compare (exit 1 on disagreement)", "CELL|FIGURE")
    scale(p)
    engines(p)
    p.add_argument("--iterations", type=int, default=0, help="only the first so many (a multiple of eval_every)")
    p.add_argument("--sample", type=int, default=0, help="so many at random")
    p.add_argument("--from-store", action="store_true", help="audit the store instead of results/")
    p.add_argument("--json", action="store_true")
    p = command("merge", merge, "import other stores, verifying every hash", None)
    p.add_argument("folders", nargs="+", metavar="DIR")
    p = command("publish", publish, "write finished figures to results/")
    p.add_argument("--results", type=Path, default=results.HERE)
    p.add_argument("--masks", action="store_true", help="also keep masks that no figure asks for")
    p.add_argument("--drop", action="store_true", help="lose published networks that no figure written now shows")
    p = command("export", export, "write tickets as safetensors files for plain PyTorch", "CELL|FIGURE")
    scale(p)
    p.add_argument("--out", type=Path, required=True, metavar="DIR", help="folder for the files, one a ticket")
    p.add_argument("--trained", action="store_true", help="with their weights after training, where those are kept")
    p.add_argument("--results", type=Path, default=results.HERE)
    p.add_argument("--from-store", action="store_true", help="export from the store instead of results/")
    p.set_defaults(sample=0)
    p = command("import", import_, "check exported tickets: rows, initial weights, masks", None)
    p.add_argument("files", nargs="+", type=Path, metavar="FILE")
    p.add_argument("--results", type=Path, default=results.HERE)
    p.add_argument("--from-store", action="store_true", help="compare masks with the store instead of results/")
    p = command("claims", claims, "what the papers say, with verdicts", None)
    p.add_argument("--section", default="", help="only this notebook's claims, or this paper's (v1, iclr, blog)")
    p.add_argument("--verdict", default="", help="only claims with this verdict")
    p.add_argument("--json", action="store_true")
    p.add_argument("--strict", action="store_true", help="exit 1 if a verdict is worse than the accepted one")
    p.add_argument("--accept", action="store_true", help="make these verdicts the accepted ones")
    p.add_argument("--results", type=Path, default=results.HERE)
    p.add_argument("--from-store", action="store_true", help="judge the store at --profile instead of results/")
    p.add_argument("--profile", default="paper", choices=catalogue.PROFILES)
    p.add_argument("--dataset", default="own", choices=("own", *catalogue.ALONG, "digits"), help=DATA)
    for name, help in WITH_OWN_OPTIONS.items():
        commands.add_parser(name, help=help, add_help=False)
    return top


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in WITH_OWN_OPTIONS:  # what these import, the others should not pay for
        return importlib.import_module(MODULES[argv[0]]).main(argv[1:])
    args = parser().parse_args(argv)
    try:
        if not str(args.store):
            raise UsageError("--store is empty: give a folder, or leave the option out.")
        return args.what(args)
    except UsageError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 2
    except StoreError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
