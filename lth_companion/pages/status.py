"""The status page: how long each notebook took and on what, and where each published section comes from."""

from __future__ import annotations

import json
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pandas as pd

from lth_companion import ROOT
from lth_companion.experiments import catalogue
from lth_companion.pages import figure_index
from lth_core import results
from lth_core.atomic_files import replaced
from lth_core.untrusted_text import code, shown

TIMES = "_build/executed.json"  # notebook -> seconds, when: written as notebooks are executed
PACKAGES = ("lth-core", "torch", "numpy", "numba", "pandas", "pyarrow", "matplotlib", "papermill", "jupyter-book")


def record(root: Path, name: str, seconds: float, when: str) -> None:
    """Remember the last execution of a notebook (its name inside notebooks/)."""
    known = {**_times(root), name: {"seconds": round(seconds, 1), "when": when}}
    with replaced(root / TIMES) as partial:
        partial.write_text(json.dumps(known, indent=1, sort_keys=True) + "\n", "utf-8")


def _times(root: Path) -> dict[str, dict[str, Any]]:
    """What is remembered; what is damaged is forgotten."""
    try:
        known = json.loads((root / TIMES).read_text("utf-8"))
        return {name: {"seconds": float(one["seconds"]), "when": str(one["when"])} for name, one in known.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return {}


def pages(root: Path = ROOT) -> str:
    """Every notebook of the book with the seconds of its last execution here (Markdown)."""
    known = _times(root)
    lines = ["| notebook | seconds | executed |", "|---|---:|---|"]
    for path in sorted(p for p in (root / "notebooks").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts):
        name = str(path.relative_to(root / "notebooks"))
        one = known.get(name)
        lines.append(
            f"| {code(name)} | {one['seconds']:.0f} | {shown(one['when'])} |"
            if one
            else f"| {code(name)} | – | not here yet |"
        )
    return "\n".join(lines)


def versions() -> str:
    """Python, machine and packages of this build (Markdown)."""
    found = [f"Python {platform.python_version()} on {platform.machine()}"]
    for package in PACKAGES:
        try:
            found.append(f"{package} {version(package)}")
        except PackageNotFoundError:
            found.append(f"{package} not installed")
    return ", ".join(found) + "."


def sections() -> str:
    """Which figures of each page are measured and which are waiting, as numbered in the papers (Markdown)."""
    lines = ["| Page | Measured | Waiting |", "|---|---|---|", "| {doc}`v1_2_xor` | 1, 2 (trained in each build) | |"]
    for page in catalogue.NOTEBOOKS:
        there: list[str] = []
        waiting: list[str] = []
        for figure in catalogue.figures_of(page):
            how = figure_index.status([figure.id])
            name = numbered(figure.id) + (" (part)" if how == figure_index.PART else "")
            (waiting if how == figure_index.NOT else there).append(name)
        lines.append(f"| {{doc}}`{page}` | {', '.join(there) or '–'} | {', '.join(waiting)} |")
    return "\n".join(lines)


def numbered(figure: str) -> str:
    """ "iclr-fig04c" as a reader says it: "4c"; experiments without a figure keep their name."""
    found = re.fullmatch(r"(?:iclr|v1)-fig0*(\d+[a-z]?)(?:-(.+))?", figure)
    told = re.fullmatch(r"iclr-unplotted-([a-z])(\d)-(.+)", figure)  # in the text of an appendix
    if told:
        return f"{told[1].upper()}.{told[2]} ({told[3].upper()})"
    if not found:
        return figure.removeprefix("beyond-").replace("-", " ")
    number, network = found.groups()
    return f"{number} ({network})" if network else number


def published() -> str:
    """Published networks by section, engine and device: how many, from which commits, hours of training (Markdown)."""
    return told(results.Published().cells)


def told(cells: pd.DataFrame) -> str:
    if cells.empty:
        return "*Nothing is published yet.*"
    lines = [
        "| section | networks | engine | device | torch | commits | hours of training |",
        "|---|---:|---|---|---|---|---:|",
    ]
    for (section, engine, device), group in cells.groupby(["section", "engine", "device"]):
        versions = ", ".join(sorted(map(shown, set(group["torch"]))))
        commits = ", ".join(map(code, sorted({c[:12] for c in group["commit"]})))
        hours = group["seconds"].sum() / 3600
        who = f"{shown(engine)} | {shown(device)} | {versions} | {commits}"
        lines.append(f"| {code(section)} | {len(group):,} | {who} | {hours:.1f} |")
    return "\n".join(lines)
