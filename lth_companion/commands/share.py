"""`merge`, `publish`, `export` and `import`: how measurements come from elsewhere and go there."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from lth_companion.commands.chosen_rows import chosen as asked_for
from lth_companion.commands.chosen_rows import existing_store, published
from lth_companion.experiments import catalogue
from lth_core import results
from lth_core.errors import StoreError, UsageError
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of


def merge(args: argparse.Namespace) -> int:
    """Import other stores' cells, each verified first."""
    from lth_companion.share import merging

    target, taken = Store(args.store), merging.Taken()
    target.refuse_links()
    for folder in args.folders:
        if not (Path(folder) / "cells").is_dir():
            raise UsageError(f"{folder} is not a store: it has no folder 'cells'.")
        taken += merging.merge(Store(folder), target)
    busy = f", {taken.busy} are being trained here" if taken.busy else ""
    print(f"{taken.added} cells imported, {taken.kept} were there{busy}.")
    return 0


def publish(args: argparse.Namespace) -> int:
    from lth_companion.experiments.xor_published import SECTION
    from lth_companion.share import publish as publishing
    from lth_companion.share import publish_xor

    asked = [f for name in args.figures if name != SECTION for f in catalogue.figures_of(name)]
    files = publish_xor.publish(args.results) if SECTION in args.figures else []
    if asked or not files:
        files += publishing.publish(asked, Store(args.store), args.results, masks=args.masks, drop=args.drop)
    for file in files:
        print(f"{file.stat().st_size / 1e6:6.2f} MB  {file.relative_to(args.results)}")
    return 0


def export(args: argparse.Namespace) -> int:
    """Tickets as files: one a network named by its key, or all tickets of a figure."""
    from lth_companion.share import ticket_files

    source: results.Source = existing_store(args.store) if args.from_store else published(args.results)
    where = "the store" if args.from_store else "results/ (train them with `run`, then export --from-store)"
    chosen: list[Spec] = []
    left: dict[str, int] = {}  # why -> how many of a figure's networks are no files; one named by its key is an error
    for spec in dict.fromkeys(asked_for(args, source)):
        why = (
            "" if key_of(spec) in args.figures
            else "unpruned" if spec.round == 0
            else "of other arms than 'ticket'" if spec.arm != "ticket"
            else "that did not start from their initial values under a mask" if not ticket_files.portable(spec)
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
        made = ticket_files.ticket(spec, source, trained=args.trained)
        file = ticket_files.write(made, args.out)
        print(f"{file.stat().st_size / 1e6:6.2f} MB  {made}  {file}")
    return 0


def import_(args: argparse.Namespace) -> int:
    """Read tickets that `export` wrote, here or elsewhere; a file that cannot be trusted is refused."""
    from lth_companion.share import ticket_files

    if missing := [str(file) for file in args.files if not file.exists()]:
        raise UsageError(f"{missing[0]} does not exist.")
    source: results.Source = existing_store(args.store) if args.from_store else published(args.results)
    where = "the store" if args.from_store else "results/"
    differ = 0
    for file in args.files:
        found = ticket_files.read(file)
        same = ticket_files.agreement(found, source)
        differ += same is False
        masks = {True: f"masks as in {where}", False: f"OTHER MASKS than in {where}", None: f"masks not in {where}"}[
            same
        ]
        print(f"{found}: initial weights are those its row draws, {masks}")
    return int(differ > 0)
