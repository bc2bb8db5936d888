"""The book: notebooks/ → (papermill) → book/*.ipynb → (Jupyter Book) → _build/html, redoing only what changed.

python -m lth_core book             execute against results/, build the pages
python -m lth_core book --serve     the same beside a server of the book, as it is until the new one is there
python -m lth_core book --quick     run every notebook live into _build/quick, build nothing

A page is executed again when its notebook, code that its imports reach (`imported_files`), a measurement or a
locked library changed, or when it is not what was executed: all that is known by content.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.build import child_processes
from lth_companion.build.serving import show
from lth_companion.build.third_party_scripts import vendor
from lth_companion.imported_files import Code
from lth_core import atomic_files

PACKAGES = ("lth_core", "lth_companion")
JOBS = min(max(2, os.cpu_count() or 2), 8)  # notebooks at once
FOLDERS = ("", "teach")  # of notebooks/: sections, exercises
SHOWN = ("exercise", "check")  # tags of cells whose code a reader should see


def digest(paths: Iterable[Path], *texts: str) -> str:
    """SHA-256 (first 16 hex digits) of files, by name and content, and of other texts."""
    total = hashlib.sha256("\0".join(texts).encode())
    for path in sorted(paths):
        about = path.stat()
        total.update(f"\0{path.parent.name}/{path.name}\0".encode() + _sum(path, about.st_mtime_ns, about.st_size))
    return total.hexdigest()[:16]


@lru_cache(maxsize=10_000)
def _sum(path: Path, changed: int, size: int) -> bytes:
    """A file's checksum, made once in this process unless the file changes: many pages read the same."""
    return hashlib.sha256(path.read_bytes()).digest()


def measured(root: Path) -> list[Path]:
    """What every page may read besides code: measurements, and which libraries are installed."""
    folder = Path(os.environ.get("LTH_RESULTS") or root / "results")
    results = [p for p in folder.rglob("*") if p.is_file() and p.name != ".lock"]
    return [*results, root / "requirements.lock"]


def sources(root: Path) -> list[Path]:
    """All notebooks, sections and exercises."""
    return sorted(p for folder in FOLDERS for p in (root / "notebooks" / folder).glob("*.ipynb"))


def code_in(notebook: Path) -> str:
    """The code of a notebook as one text; of a file that is none, what no parser takes."""
    try:
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        return "\n".join("".join(c["source"]) for c in cells if c["cell_type"] == "code")
    except (ValueError, KeyError, TypeError):
        return "?"


def tidy(notebook: Any, name: str) -> Any:
    """Fold code away and drop all that differs between two equal runs: times, paths, random widget names."""
    import nbformat  # imported late: a book that is up to date needs none of this

    notebook.metadata.pop("papermill", None)
    for cell in notebook.cells:
        for key in ("papermill", "execution"):
            cell.metadata.pop(key, None)
        if cell.cell_type == "code":
            tags = cell.metadata.setdefault("tags", [])
            if not any(tag.startswith(("hide-", "remove-")) or tag in SHOWN for tag in tags):
                tags.append("hide-input")
    widgets = notebook.metadata.get("widgets", {}).get("application/vnd.jupyter.widget-state+json", {})
    text = json.dumps(notebook)
    for i, model in enumerate(sorted(widgets.get("state", {}), key=text.find)):
        text = text.replace(model, hashlib.sha256(f"{name} {i}".encode()).hexdigest()[:32])
    return nbformat.from_dict(json.loads(text))


def execute(source: Path, target: Path, parameters: dict[str, Any], inputs: str) -> tuple[float, str]:
    """Run one notebook into `target`, which appears only if it succeeds: seconds, and the error's last line if not."""
    start = time.perf_counter()
    error = _execute(source, target, parameters, inputs)
    return time.perf_counter() - start, error


def _execute(source: Path, target: Path, parameters: dict[str, Any], inputs: str) -> str:
    os.environ["JUPYTER_PREFER_ENV_PATH"] = "1"  # this environment's kernel, not one of the user's
    os.environ["PYDEVD_DISABLE_FILE_VALIDATION"] = "1"  # else each kernel warns about frozen modules
    import nbformat
    import papermill
    import zmq
    from traitlets.config import Config

    encrypted = Config({"KernelManager": {"transport_encryption": "auto"}} if zmq.has("curve") else {})
    working = target.parent / f".{target.name}"
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        papermill.execute_notebook(
            source,
            working,
            parameters,
            kernel_name="python3",
            cwd=next(p for p in source.parents if p.name == "notebooks").parent,
            progress_bar=False,
            start_timeout=300,  # seconds: a busy machine takes its time to start a kernel
            config=encrypted,
        )
    except papermill.exceptions.PapermillExecutionError as error:
        last = [line for line in str(error.evalue).splitlines() if line.strip()]
        return f"{error.ename}: {last[-1] if last else 'no message'} (cell {error.exec_count})"
    except Exception as error:  # a dead kernel, a damaged notebook: as clear a line as there is
        return repr(error).splitlines()[-1]
    else:
        notebook = tidy(nbformat.read(working, as_version=4), source.stem)
        nbformat.write(notebook, working)
        made = json.loads(working.read_text("utf-8"))
        made["metadata"]["lth"] = {"inputs": inputs, "sum": own_sum(made)}  # says from what this page was made
        working.write_text(json.dumps(made, indent=1, ensure_ascii=False, sort_keys=True) + "\n", "utf-8")
        working.replace(target)
        return ""
    finally:
        working.unlink(missing_ok=True)


def own_sum(page: dict[str, Any]) -> str:
    """The checksum of an executed page's cells and widgets."""
    told = [page["cells"], page["metadata"].get("widgets")]
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def made_from(path: Path) -> tuple[bool, str]:
    """Whether a page was executed here, and from which inputs: none where it is not there or damaged."""
    try:
        page = json.loads(path.read_text("utf-8"))
        about = page["metadata"]["lth"]
        return True, about["inputs"] if about["sum"] == own_sum(page) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return False, ""


def execute_all(root: Path, target: Path, parameters: dict[str, Any], force: bool = False) -> bool:
    """Execute the notebooks whose inputs changed, some at a time; whether all of them succeeded."""
    shared, code = [*measured(root), Path(__file__)], Code(root, PACKAGES)
    notebooks = root / "notebooks"
    for half in (p for folder in FOLDERS for p in (target / folder).glob(".*.ipynb")):  # of a build that was killed
        half.unlink()
    for page in (p for folder in FOLDERS for p in (target / folder).glob("*.ipynb")):  # of a notebook that is no more
        if made_from(page)[0] and not (notebooks / page.relative_to(target)).exists():
            page.unlink()
    waiting = {}
    for source in sources(root):
        own = parameters if source.parent == notebooks else {}  # exercises have none
        inputs = digest([source, *shared, *code.reached(code_in(source))], json.dumps(own), sys.version)
        if force or made_from(target / source.relative_to(notebooks))[1] != inputs:
            waiting[source] = own, inputs
    if not waiting:
        return True
    from lth_companion.pages import status  # these need pandas, which a book that is up to date does not

    judge_once(root)
    ok = True
    with ProcessPoolExecutor(JOBS, initializer=child_processes.worker) as pool:
        jobs = {pool.submit(execute, s, target / s.relative_to(notebooks), *how): s for s, how in waiting.items()}
        for job in as_completed(jobs):
            name = f"notebooks/{jobs[job].relative_to(notebooks)}"
            try:
                seconds, error = job.result()
            except BrokenProcessPool:  # ended from outside, or by a machine whose memory ran out
                seconds, error = 0.0, "the process that executed it was killed: run the same command again."
            if error:
                ok = False
                print(f"{name} failed\n  {error}", file=sys.stderr, flush=True)
            else:
                print(f"{name} done, {seconds:.0f} s", flush=True)
                when = time.strftime("%Y-%m-%d", time.gmtime())
                status.record(root, str(jobs[job].relative_to(notebooks)), seconds, when)
    return ok


def judge_once(root: Path) -> None:
    """Judge the claims for the whole build: pages and slides read what is kept."""
    if root == ROOT:  # another project's pages are of this one's claims or have none
        from lth_companion.claims import verdicts

        verdicts.ledger(write=True)


def inputs_of_pages(root: Path) -> str:
    """What the built pages are made of: pages, with all that was executed or generated for them, code and results."""
    pages = [p for p in (root / "book").rglob("*") if p.is_file() and not {"_vendor", "__pycache__"} & set(p.parts)]
    return digest([*pages, root / "_config.yml", *measured(root), *Code(root, PACKAGES).files], sys.version)


def contents(html: Path) -> str:
    """What the built pages are, so that one which was damaged or lost is found; the stamp itself does not count."""
    return digest(p for p in html.rglob("*") if p.is_file() and p.name != ".inputs")


def sweep(html: Path, beside: Path) -> None:
    """Remove what a killed build left beside the book; the old book goes back if it was about to be replaced."""
    if not html.exists() and (beside / "old").exists():
        (beside / "old").rename(html)
    shutil.rmtree(beside, ignore_errors=True)
    for name in ("executed.json", "verdicts.json"):
        atomic_files.sweep(html.parent / name)


def build_pages(root: Path, force: bool = False) -> bool:
    """Run Jupyter Book if a page, an asset or a result changed since `_build/html` was made; whether it succeeded.

    It builds beside the book that is there, which stays until the new one takes its place."""
    html = root / "_build" / "html"
    beside, stamp = root / "_build" / "beside", html / ".inputs"
    sweep(html, beside)
    if not force and stamp.exists() and stamp.read_text() == f"{inputs_of_pages(root)} {contents(html)}":
        return True
    from lth_companion.classroom import handout, slides, without_solutions

    vendor(root / "book" / "_vendor" / "mathjax")
    if (root / "notebooks" / "teach").exists():
        judge_once(root)
        without_solutions.write(root / "book" / "teach" / "student", root / "notebooks" / "teach")
        slides.write(root / "book")
        handout.write(root / "book", root / "notebooks" / "teach")
    inputs = inputs_of_pages(root)
    start = time.perf_counter()
    jupyter_book = [sys.executable, "-P", child_processes.__file__, str(os.getpid()), "jupyter-book"]
    command = [*jupyter_book, "build", "book", "--config", "_config.yml", "--path-output", str(beside)]
    run = subprocess.run([*command, "-W", "--keep-going", "--all", "-q"], cwd=root, capture_output=True, text=True)
    if run.returncode:
        print(re.sub(r"\x1b\[[\d;]*m", "", run.stdout + run.stderr), file=sys.stderr)
        return False
    made = beside / "_build" / "html"
    (made / ".inputs").write_text(f"{inputs} {contents(made)}")
    if html.exists():
        html.rename(beside / "old")
    made.rename(html)
    shutil.rmtree(beside)
    print(f"pages done, {time.perf_counter() - start:.0f} s", flush=True)
    return True


def looked_at(root: Path) -> str:
    """What decides whether the book is up to date, counted."""
    code, tables = Code(root, PACKAGES).files, measured(root)
    return f"looked at {len(sources(root))} notebooks, {len(code)} files of code and {len(tables)} of measurements"


def build(root: Path, force: bool) -> bool:
    """Notebooks, then pages; whether all of it succeeded."""
    if not execute_all(root, root / "book", {}, force) or not build_pages(root, force):
        return False
    print(f"{(root / '_build/html/index.html').relative_to(root)} is up to date: {looked_at(root)}", flush=True)
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lth_core book", description="Execute the notebooks, build the book."
    )
    parser.add_argument("--quick", action="store_true", help="run every notebook live into _build/quick, build nothing")
    parser.add_argument("--serve", action="store_true", help="serve the book at once, and build it anew beside")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--force", action="store_true", help="redo everything, changed or not")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if options.quick:
        return 0 if execute_all(root, root / "_build" / "quick", {"profile": "quick"}, force=True) else 1
    if not options.serve:
        return 0 if build(root, options.force) else 1
    return 0 if show(root / "_build" / "html", options.port, lambda: build(root, options.force)) else 1


if __name__ == "__main__":
    sys.exit(main())
