"""What a command line asks for: rows."""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from lth_companion.experiments import catalogue
from lth_core import results
from lth_core.errors import UsageError
from lth_core.results import manifest
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of


def published(folder: Path) -> results.Published:
    """The measurements of a folder; one that holds none, named by mistake, is a `UsageError`: all would be "not
    measured" there."""
    if folder != results.HERE and not (folder / manifest.MANIFEST).exists() and not any(folder.glob("*/*.parquet")):
        raise UsageError(f"{folder} holds no published measurements: name a folder that `publish` wrote.")
    return results.Published(folder)


def existing_store(folder: str | Path) -> Store:
    """The store of a folder that is there: a name with a mistake in it would be one without networks."""
    if not Path(folder).is_dir():
        raise UsageError(f"there is no store {folder}: name its folder with --store, or train with `run` first.")
    return Store(folder)


def rows_of(args: argparse.Namespace) -> list[Spec]:
    """The networks that the figures on the command line stand for, each once."""
    options = dict(trials=args.trials, seed=args.seed, dataset=args.dataset)
    return list(dict.fromkeys(s for f in args.figures for s in catalogue.rows(f, args.profile, **options)))


def chosen(args: argparse.Namespace, source: results.Source) -> list[Spec]:
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
    specs = list(dict.fromkeys(specs))
    if not specs:
        raise UsageError(f"nothing measured matches {', '.join(args.figures)}: see `python -m lth_core status`.")
    if args.sample < 0:
        raise UsageError(f"sample = {args.sample} must be positive, or 0 for all.")
    if args.sample and args.sample < len(specs):
        specs = [specs[i] for i in np.random.default_rng().choice(len(specs), args.sample, replace=False)]
    return specs
