"""The exercises for a browser: a static JupyterLite folder, whose kernel (Pyodide) runs in the page.

python -m lth_companion.classroom.lite FOLDER [--pyodide FOLDER]      what `make lite` calls
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from importlib import metadata
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.classroom import without_solutions

PACKAGES = ("lth_core", "lth_companion")
NEEDED = ("numpy", "scipy", "scikit-learn", "matplotlib")  # all in Pyodide's own list
MISSING = ("comm",)  # its kernel imports that, and it is not in the list: without it no kernel starts without a network
TRIALS = 200  # of an exercise in Python alone: half a minute in a browser
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal sources make an equal wheel


def _cell(name: str, source: str, tag: str = "") -> dict[str, Any]:
    kept = {"tags": [tag]} if tag else {}
    return {
        "cell_type": "code", "id": name, "metadata": kept, "execution_count": None, "outputs": [], "source": source,
    }  # fmt: skip


FIRST = "# This page is its own computer: the first cell fetches what it needs, once.\n"
OURS = "%pip install -q --no-deps lth-core"


def own_wheel(folder: Path, root: Path = ROOT) -> Path:
    """The Python modules of both packages as a wheel that asks for nothing, written into `folder`."""
    text = (root / "lth_core" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.M)  # not imported: where this runs there is no numpy
    files = {str(p.relative_to(root)): p.read_bytes() for package in PACKAGES for p in (root / package).rglob("*.py")}
    info = f"lth_core-{version}.dist-info"
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: lth-core\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: lth\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    return _wheel(folder, info, files)


def installed_wheel(folder: Path, name: str) -> Path:
    """An installed package of Python modules as the wheel that it came from, written into `folder`."""
    found = metadata.distribution(name)
    paths = [p for p in found.files or [] if ".." not in p.parts and "__pycache__" not in p.parts]
    (info,) = {p.parts[0] for p in paths if p.parts[0].endswith(".dist-info")}
    of_the_installer = {"RECORD", "INSTALLER", "REQUESTED", "direct_url.json"}
    files = {str(p): p.read_binary() for p in paths if p.parts[0] != info or p.name not in of_the_installer}
    return _wheel(folder, info, files)


def _wheel(folder: Path, info: str, files: dict[str, bytes]) -> Path:
    sums = {n: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for n, data in files.items()}
    record = [f"{n},sha256={sums[n].decode().rstrip('=')},{len(files[n])}" for n in sorted(files)]
    record.append(f"{info}/RECORD,,")
    made = folder / f"{info.removesuffix('.dist-info')}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for n, data in sorted({**files, f"{info}/RECORD": ("\n".join(record) + "\n").encode()}.items()):
            archive.writestr(zipfile.ZipInfo(n, EPOCH), data, zipfile.ZIP_DEFLATED)
    return made


def in_python_alone(notebook: dict[str, Any]) -> bool:
    """Whether an exercise uses nothing that has to be fetched."""
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    return not any(re.search(r"^\s*(import|from) numpy\b", cell, re.M) for cell in cells)


def for_the_browser(notebook: dict[str, Any]) -> dict[str, Any]:
    """A student's version that begins by fetching what it needs; one in Python alone has fewer networks."""
    python = {"kernelspec": {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}}
    title, *rest = notebook["cells"]
    alone = in_python_alone(notebook)
    fetch = OURS if alone else f"%pip install -q {' '.join(NEEDED)}\n{OURS}"
    cells = [title, _cell("lite", FIRST + fetch)]
    for cell in rest:
        cells.append(cell)
        if alone and "parameters" in without_solutions.tags(cell):
            cells.append(_cell("lite-parameters", f"# Parameters\nTRIALS = {TRIALS}", "injected-parameters"))
    return {**notebook, "cells": cells, "metadata": {**notebook["metadata"], **python}}


def build(target: Path, pyodide: Path | None = None) -> None:
    """Write the static folder `target`; `pyodide`: a local copy of its distribution, for a room without a network."""
    with tempfile.TemporaryDirectory() as temporary:
        work = Path(temporary)
        (work / "contents").mkdir()
        for path in without_solutions.write(work / "contents"):
            made = for_the_browser(json.loads(path.read_text("utf-8")))
            path.write_text(json.dumps(made, indent=1, ensure_ascii=False) + "\n", "utf-8")
        if pyodide:
            (work / "static").mkdir()
            (work / "static" / "pyodide").symlink_to(pyodide.resolve())
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(work), "--apps", "lab"]
        command += ["--apps", "notebooks", "--contents", str(work / "contents")]
        for wheel in (own_wheel(work), *(installed_wheel(work, name) for name in MISSING)):
            command += ["--piplite-wheels", str(wheel)]
        shutil.rmtree(target, ignore_errors=True)
        subprocess.run([*command, "--output-dir", str(target.resolve())], cwd=work, check=True, capture_output=True)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="The exercises as a static JupyterLite folder.")
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="written anew")
    parser.add_argument("--pyodide", type=Path, metavar="FOLDER", help="Pyodide's distribution, unpacked")
    options = parser.parse_args(arguments)
    if options.pyodide and not (options.pyodide / "pyodide-lock.json").exists():
        print(f"{options.pyodide} has no pyodide-lock.json: give the unpacked distribution's folder.", file=sys.stderr)
        return 2
    try:
        build(options.folder, options.pyodide)
    except subprocess.CalledProcessError as error:
        print(error.stderr.decode(errors="replace")[-2000:], file=sys.stderr)
        return 1
    size = sum(p.stat().st_size for p in options.folder.rglob("*") if p.is_file()) / 1e6
    print(f"{options.folder}: {size:.0f} MB; serve it: python -m http.server --directory {options.folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
