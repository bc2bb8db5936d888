"""What stands after `python -m lth_core`: commands, their options, and how a mistake is said."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable
from pathlib import Path

from lth_companion import commands as package
from lth_companion.commands.check import audit, claims, power
from lth_companion.commands.data import data
from lth_companion.commands.run import STOPPED, run, seconds, shard, status
from lth_companion.commands.share import export, import_, merge, publish
from lth_companion.experiments import catalogue
from lth_companion.experiments.study import store_folder
from lth_core import results
from lth_core.errors import StoreError, UsageError, one_line

__all__ = ["main", "parser", "seconds", "shard"]

DATA = "own: as the profile says; mnist, cifar10: the papers', each figure's own; digits: images that come along"
FULL = (
    "this machine, or a limit set on it (ulimit -v, a container), has too little memory for this: nothing stored is "
    "lost; raise the limit, or ask for less at once (--trials, --shard), then run the same command again."
)
WITH_OWN_OPTIONS = {
    "book": "execute the notebooks, build the book (--help: its options)",
    "archive": "this commit as one file with checksums (--help: its options)",
    "student": "the exercises without their solutions (--help: its options)",
    "grade": "points and remarks for handed-in exercises (--help: its options)",
}


def parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m lth_core", description=package.__doc__)
    commands = top.add_subparsers(dest="command", required=True)

    def command(
        name: str, what: Callable[..., int], help: str, figures: str | None = "FIGURE", every: bool = True
    ) -> argparse.ArgumentParser:
        p = commands.add_parser(name, help=help, description=help)
        p.set_defaults(what=what)
        if figures:
            p.add_argument("figures", nargs="*", default=["all"] if every else [], metavar=figures,
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
        p.add_argument("--engine", default="auto", help="auto, dense, sparse or convolutional")

    p = command("run", run, "train what the store lacks; stop and run again at any time", every=False)
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
    p = command("data", data, "what data sets are there; MNIST and CIFAR-10 are fetched where they are not", None)
    p.add_argument("names", nargs="*", metavar="NAME", help="mnist, cifar10 (default: both)")
    p.add_argument("--data-dir", default=None, help="folder of the data sets (default: $LTH_DATA_DIR)")
    p.add_argument("--no-fetch", action="store_true", help="only say what is there (exit 1 if something is missing)")
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
    p = command(
        "power", power, "what fewer trials would have decided: draws of those that there are, judged anew", None
    )
    p.add_argument("--results", type=Path, default=results.HERE)
    p.add_argument("--quiet", action="store_true")
    for name, help in WITH_OWN_OPTIONS.items():
        commands.add_parser(name, help=help, add_help=False)
    return top


def main(argv: list[str]) -> int:
    args = parser().parse_args(argv)
    try:
        if not str(args.store):
            raise UsageError("--store is empty: give a folder, or leave the option out.")
        if Path(args.store).is_file():
            raise UsageError(f"--store {args.store} is a file: give a folder.")
        return args.what(args)
    except UsageError as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 2
    except StoreError as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # who read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        print(f"lth_core: {one_line(str(error))}", file=sys.stderr)
        return 1
    except MemoryError:
        print(f"lth_core: {FULL}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(STOPPED, file=sys.stderr)
        return 130
