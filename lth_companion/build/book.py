"""The book: notebooks/ → (papermill) → book/*.ipynb → (Jupyter Book) → _build/html, redoing only what changed.

python -m lth_core book             execute against results/, build the pages
python -m lth_core book --quick     run every notebook live into _build/quick, build nothing
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
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.classroom import slides, without_solutions
from lth_companion.pages import status

PACKAGES = ("lth_core", "lth_companion")
JOBS = 2  # notebooks at once
FOLDERS = ("", "teach")  # of notebooks/: sections, exercises
SHOWN = ("exercise", "check")  # tags of cells whose code a reader should see
# What a page of mathematics needs of MathJax 3, which a Python package carries: 0.8 MB in place of 15.
MATHJAX = (
    "startup.js",
    "core.js",
    "input/tex.js",
    "output/chtml.js",
    "output/chtml/fonts/**/*",
    "a11y/assistive-mml.js",
)


def digest(paths: Iterable[Path], *texts: str) -> str:
    """SHA-256 (first 16 hex digits) of files, by name and content, and of other texts."""
    total = hashlib.sha256("\0".join(texts).encode())
    for path in sorted(paths):
        total.update(f"\0{path.parent.name}/{path.name}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()[:16]


def shared_inputs(root: Path) -> list[Path]:
    """Every file but the notebook itself that an executed page depends on."""
    library = [
        p for package in PACKAGES for p in (root / package).rglob("*")
        if p.is_file() and not p.name.startswith(".") and "__pycache__" not in p.parts
    ]  # fmt: skip
    results = [p for p in (root / "results").rglob("*") if p.is_file() and p.name != ".lock"]
    return [*library, *results, root / "requirements.lock"]


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
        notebook.metadata["lth"] = {"inputs": inputs}  # says from what this page was made
        nbformat.write(notebook, working)
        working.replace(target)
        return ""
    finally:
        working.unlink(missing_ok=True)


def made_from(path: Path) -> str:
    """The inputs that an executed notebook says it was made from; nothing if it is not there or not ours."""
    try:
        return json.loads(path.read_text("utf-8"))["metadata"]["lth"]["inputs"]
    except (OSError, ValueError, KeyError):
        return ""


def execute_all(root: Path, target: Path, parameters: dict[str, Any], force: bool = False) -> bool:
    """Execute the notebooks whose inputs changed, two at a time; whether all of them succeeded."""
    shared = shared_inputs(root)
    notebooks = root / "notebooks"
    for page in (p for folder in FOLDERS for p in (target / folder).glob("*.ipynb")):  # of a notebook that is no more
        if made_from(page) and not (notebooks / page.relative_to(target)).exists():
            page.unlink()
    waiting = {}
    for source in sorted(p for folder in FOLDERS for p in (notebooks / folder).glob("*.ipynb")):
        own = parameters if source.parent == notebooks else {}  # exercises have none
        inputs = digest([source, *shared], json.dumps(own), sys.version)
        if force or made_from(target / source.relative_to(notebooks)) != inputs:
            waiting[source] = own, inputs
    ok = True
    with ProcessPoolExecutor(JOBS) as pool:
        jobs = {pool.submit(execute, s, target / s.relative_to(notebooks), *how): s for s, how in waiting.items()}
        for job in as_completed(jobs):
            name = f"notebooks/{jobs[job].relative_to(notebooks)}"
            seconds, error = job.result()
            if error:
                ok = False
                print(f"{name} failed\n  {error}", file=sys.stderr, flush=True)
            else:
                print(f"{name} done, {seconds:.0f} s", flush=True)
                when = time.strftime("%Y-%m-%d", time.gmtime())
                status.record(root, str(jobs[job].relative_to(notebooks)), seconds, when)
    return ok


def vendor(target: Path) -> None:
    """Copy MathJax out of its Python package: third-party scripts come with the installation, not the repository."""
    if target.exists():
        return
    package = distribution("sphinx-mathjax-offline")
    source = Path(str(package.locate_file("sphinx-mathjax-offline/static/mathjax")))
    partial = target.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    for pattern in MATHJAX:
        for path in source.glob(pattern):
            if path.is_file():
                copy = partial / path.relative_to(source)
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(path, copy)
    partial.rename(target)


def build_pages(root: Path, force: bool = False) -> bool:
    """Run Jupyter Book if a page, an asset or a result changed since `_build/html` was made; whether it succeeded."""
    vendor(root / "book" / "_vendor" / "mathjax")
    if (root / "notebooks" / "teach").exists():
        without_solutions.write(root / "book" / "teach" / "student", root / "notebooks" / "teach")
        slides.write(root / "book")
    pages = [p for p in (root / "book").rglob("*") if p.is_file() and not {"_vendor", "__pycache__"} & set(p.parts)]
    inputs = digest([*pages, root / "_config.yml", *shared_inputs(root)], sys.version)
    html = root / "_build" / "html"
    stamp = html / ".inputs"
    if not force and stamp.exists() and stamp.read_text() == inputs:
        return True
    shutil.rmtree(html, ignore_errors=True)  # no page of an earlier book stays behind
    start = time.perf_counter()
    jupyter_book = str(Path(sys.executable).with_name("jupyter-book"))
    command = [jupyter_book, "build", "book", "--config", "_config.yml", "--path-output", "."]
    run = subprocess.run([*command, "-W", "--keep-going", "--all", "-q"], cwd=root, capture_output=True, text=True)
    if run.returncode:
        print(re.sub(r"\x1b\[[\d;]*m", "", run.stdout + run.stderr), file=sys.stderr)
        return False
    stamp.write_text(inputs)
    print(f"pages done, {time.perf_counter() - start:.0f} s", flush=True)
    return True


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m lth_core book", description="Execute the notebooks, build the book."
    )
    parser.add_argument("--quick", action="store_true", help="run every notebook live into _build/quick, build nothing")
    parser.add_argument("--force", action="store_true", help="redo everything, changed or not")
    parser.add_argument("--root", type=Path, default=ROOT, help="the project's folder")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    if options.quick:
        return 0 if execute_all(root, root / "_build" / "quick", {"profile": "quick"}, force=True) else 1
    if not execute_all(root, root / "book", {}, options.force) or not build_pages(root, options.force):
        return 1
    print(f"{(root / '_build/html/index.html').relative_to(root)} is up to date")
    return 0


if __name__ == "__main__":
    sys.exit(main())
