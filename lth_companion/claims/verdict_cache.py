"""The verdicts of one build: judged once, and read by every page, slide and table of it.

`_build/verdicts.json` says from what it was made: the content of all code of both packages and of results/, and the
versions of the libraries that compute. Where any of these differs, or the file is damaged, the claims are judged.
"""

from __future__ import annotations

import hashlib
import json
import sys
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pandas as pd

from lth_companion import ROOT
from lth_companion.claims.statements import Finding
from lth_companion.imported_files import Code
from lth_core import results
from lth_core.atomic_files import replaced, write

FILE = ROOT / "_build" / "verdicts.json"
COMPUTE = ("numpy", "pandas", "scipy", "pyarrow", "PyYAML")


def made_from(root: Path = ROOT) -> str:
    """What decides the verdicts: SHA-256 of code, claims, measurements (those that are read: see `results.HERE`) and
    libraries, by name and content."""
    code = Code(root, ("lth_core", "lth_companion")).files
    where = results.HERE if root == ROOT else root / "results"
    tables = sorted(p for p in where.rglob("*") if p.is_file() and p.name != ".lock")
    total = hashlib.sha256(json.dumps([sys.version, *map(version, COMPUTE)]).encode())
    for base, path in [*((root, p) for p in code), *((where, p) for p in tables)]:
        total.update(f"\0{path.relative_to(base)}\0".encode() + hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()


def read(inputs: str, file: Path | None = None) -> pd.DataFrame | None:
    """The verdicts that were kept, if they were made from these inputs and are whole."""
    try:
        found = json.loads((file or FILE).read_bytes())
        rows = found["rows"]
        if found["inputs"] != inputs or found["sum"] != _sum(rows):
            return None
    except (OSError, ValueError, KeyError, TypeError, RecursionError):  # none is there, or what is there is damaged
        return None
    return pd.DataFrame([{**row, "but": Finding(**row["but"]) if row["but"] else None} for row in rows])


def keep(verdicts: pd.DataFrame, inputs: str, file: Path | None = None) -> None:
    """Write the verdicts for the rest of the build."""
    rows = [{**r, "but": asdict(r["but"]) if r["but"] else None} for r in verdicts.to_dict("records")]
    text = json.dumps({"inputs": inputs, "sum": _sum(rows), "rows": rows})
    with replaced(file or FILE) as partial:
        write(partial, text.encode())


def _sum(rows: Any) -> str:
    return hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest()
