"""Commands as users give them, for tests that kill them: what they start from, what they do, what readers find of it.

(This module imports no pytest: processes are forked from a server that knows of none.)
"""

from __future__ import annotations

import functools
import json
import pickle
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from soak import fingerprint
from tiny import SMALL, TINY

from lth_companion.build import archive, book
from lth_companion.claims import verdicts
from lth_companion.commands import check, main
from lth_companion.experiments import catalogue
from lth_companion.share import publish, ticket_files
from lth_core import results, tickets
from lth_core.results import manifest
from lth_core.spec import Spec
from lth_core.store import Store
from lth_core.store.cell import key_of

FIGURE = "iclr-fig03"


def rows() -> list[Spec]:
    return catalogue.iterative(TINY, ("ticket", "reinit"), rate=0.5, **{**SMALL, "eval_every": 10})


def figure(masks: bool = True) -> catalogue.Figure:
    return catalogue.Figure(FIGURE, "iclr_2_lenet", "", lambda s: rows(), masks=masks, trained=(1,) if masks else ())


def only_tiny_rows(masks: bool = True) -> None:
    """In this process a figure's networks are tiny ones."""
    catalogue.FIGURES = {FIGURE: figure(masks)}  # type: ignore[misc]
    catalogue.rows = lambda *_, **__: rows()  # type: ignore[assignment]


def cells(root: Path) -> dict[str, str]:
    """Every cell by what training made of it, without who trained it when."""
    found = {key: Store(root).read(key) for key in Store(root).keys()}
    return {key: fingerprint([c.curves, c.masks, c.weights]) for key, c in found.items()}


def published(root: Path) -> dict[str, str]:
    listed = manifest.read(root)
    return {"all": fingerprint({n: manifest.content(root, n, listed) for n in listed})}


@dataclass(frozen=True)
class Operation:
    """One command. `base`: what all of them start from (see `lay`). A command whose state has one name is wholly old
    or wholly new; of several names each is."""

    base: Path
    by_writer: ClassVar[bool] = False  # whether all its files are written by `files.write`

    def prepare(self, root: Path) -> None:
        root.mkdir()

    def work(self, root: Path) -> int:
        raise NotImplementedError

    def state(self, root: Path) -> dict[str, Any]:
        raise NotImplementedError


class Publish(Operation):
    """A figure of one store over that of another."""

    by_writer = True

    def prepare(self, root: Path) -> None:
        shutil.copytree(self.base / "results", root / "results")

    def work(self, root: Path) -> int:
        only_tiny_rows()
        return main(["publish", FIGURE, "--results", str(root / "results"), "--store", str(self.base / "dense")])

    def state(self, root: Path) -> dict[str, Any]:
        return published(root / "results")


class Merge(Operation):
    """A store into one that has two of its cells."""

    by_writer = True

    def prepare(self, root: Path) -> None:
        for key in Store(self.base / "sparse").keys()[:2]:
            Store(root / "store").adopt(Store(self.base / "sparse"), key)

    def work(self, root: Path) -> int:
        return main(["merge", str(self.base / "sparse"), "--store", str(root / "store")])

    def state(self, root: Path) -> dict[str, Any]:
        return cells(root / "store")


class RunSparse(Operation):
    """Training in the compiled engine, from nothing."""

    by_writer = True
    engine = "sparse"

    def work(self, root: Path) -> int:
        only_tiny_rows()
        how = ["--engine", self.engine, "--device", "cpu", "--dataset", "digits", "--quiet"]
        return main(["run", FIGURE, *how, "--store", str(root / "store")])

    def state(self, root: Path) -> dict[str, Any]:
        return cells(root / "store")


class RunDense(RunSparse):
    """Training in the dense engine, which keeps every network halfway after each evaluation."""

    engine = "dense"

    def work(self, root: Path) -> int:
        from lth_core.engines.dense import engine as dense

        dense.KEEP_SECONDS = 0.0
        return super().work(root)


class Export(Operation):
    """Tickets with trained weights over files without."""

    def prepare(self, root: Path) -> None:
        for spec in rows():
            if spec.arm == "ticket" and spec.round:
                ticket_files.write(ticket_files.ticket(spec, Store(self.base / "sparse")), root / "out")

    def work(self, root: Path) -> int:
        only_tiny_rows()
        store = ["--from-store", "--store", str(self.base / "sparse")]
        return main(["export", FIGURE, *store, "--trained", "--out", str(root / "out")])

    def state(self, root: Path) -> dict[str, Any]:
        files = (p for p in (root / "out").iterdir() if not p.name.startswith("."))
        return {p.name: fingerprint(ticket_files.read(p)) for p in files}


class Audit(Operation):
    """Of published networks whose masks are not published: it trains their chain in a scratch folder."""

    def prepare(self, root: Path) -> None:
        shutil.copytree(self.base / "without_masks", root / "results")
        (root / "tmp").mkdir()

    def work(self, root: Path) -> int:
        only_tiny_rows()
        tempfile.tempdir = str(root / "tmp")
        check.results.Published = functools.partial(results.Published, root / "results")  # type: ignore[misc]
        last = next(s for s in rows() if s.round == 2)
        return main(["audit", key_of(last), "--device", "cpu", "--engine", "sparse"])

    def state(self, root: Path) -> dict[str, Any]:
        return published(root / "results")


class Archive(Operation):
    """A commit's archive over an older one."""

    def prepare(self, root: Path) -> None:
        shutil.copytree(self.base / "checkout", root / "checkout")
        (root / "checkout" / "_build" / "archive").mkdir(parents=True)
        self._file(root).write_bytes(b"older")

    def work(self, root: Path) -> int:
        return archive.main([], root / "checkout")

    def state(self, root: Path) -> dict[str, Any]:
        return {"all": fingerprint(self._file(root).read_bytes())}

    def _file(self, root: Path) -> Path:
        return root / "checkout" / "_build" / "archive" / f"lth-core-{archive.lth_core.__version__}.tar.gz"


class Accept(Operation):
    """Other verdicts over those that were accepted."""

    by_writer = True

    def prepare(self, root: Path) -> None:
        shutil.copytree(self.base / "results", root / "results")
        manifest.commit(root / "results", {"verdicts.json": b'{"older": "undecided"}'})

    def work(self, root: Path) -> int:
        table = pickle.loads((self.base / "verdicts.pkl").read_bytes())
        verdicts.judge = lambda *_, **__: table
        return main(["claims", "--accept", "--results", str(root / "results")])

    def state(self, root: Path) -> dict[str, Any]:
        verdicts.accepted(root / "results" / "verdicts.json")
        return published(root / "results")


class Build(Operation):
    """A book of two notebooks over an older one: workers, kernels and Jupyter Book are processes of their own."""

    def prepare(self, root: Path) -> None:
        shutil.copytree(self.base / "project", root / "project")

    def work(self, root: Path) -> int:
        return book.main(["--root", str(root / "project")])

    def state(self, root: Path) -> dict[str, Any]:
        html = root / "project" / "_build" / "html"
        if not html.exists():  # between two renames: the old one lies beside and goes back
            html = root / "project" / "_build" / "beside" / "old"
        text = {str(p.relative_to(html)): p.read_bytes() for p in html.rglob("*") if p.suffix == ".html"}
        pages = {p.name: p.read_bytes() for p in (root / "project" / "book").glob("[!.]*.ipynb")}
        return {"html": fingerprint(text), **{name: fingerprint(data) for name, data in pages.items()}}


OPERATIONS = {
    "publish": Publish, "merge": Merge, "run, sparse engine": RunSparse, "run, dense engine": RunDense,
    "export": Export, "audit": Audit, "archive": Archive, "claims --accept": Accept, "build": Build,
}  # fmt: skip


# --- What they start from ---------------------------------------------------------------------------------------------


def lay(base: Path) -> None:
    """Two stores of the same rows, publications of the one, a checkout, verdicts, and a small book."""
    for engine in ("sparse", "dense"):
        tickets.run(rows(), Store(base / engine), device="cpu", engine=engine)
    only_tiny_rows()
    publish.publish(catalogue.FIGURES.values(), Store(base / "sparse"), base / "results")
    only_tiny_rows(masks=False)
    publish.publish(catalogue.FIGURES.values(), Store(base / "sparse"), base / "without_masks")
    table = verdicts.judge(results.Published(base / "results"))
    (base / "verdicts.pkl").write_bytes(pickle.dumps(table))
    for name in archive.NEEDED:
        (base / "checkout" / name).parent.mkdir(parents=True, exist_ok=True)
        (base / "checkout" / name).write_text(f"{name}\n" * 200)
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@example.org", "-c", "commit.gpgsign=false"]
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "all"]):
        subprocess.run([*git, *command], cwd=base / "checkout", check=True)
    project(base / "project")


def project(root: Path) -> None:
    """A book of an introduction and two notebooks, with an older one built."""
    for name in ("notebooks", "lth_core", "lth_companion", "results", "book/_vendor/mathjax", "_build/html"):
        (root / name).mkdir(parents=True)
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    for name in ("first", "second"):
        heading = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": f"# {name.title()}"}
        code = {"cell_type": "code", "id": "b", "metadata": {}, "source": "import time\ntime.sleep(0.5)\nprint(1)",
                "outputs": [], "execution_count": None}  # fmt: skip
        page = {"cells": [heading, code], "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
        (root / "notebooks" / f"{name}.ipynb").write_text(json.dumps(page))
    (root / "requirements.lock").write_text("")
    (root / "_config.yml").write_text("title: Small\nexecute:\n  execute_notebooks: 'off'\n")
    (root / "book" / "intro.md").write_text("# Small\n\nA book.\n")
    (root / "book" / "_toc.yml").write_text("format: jb-book\nroot: intro\nchapters:\n- file: first\n- file: second\n")
    (root / "_build" / "html" / "index.html").write_text("older")
