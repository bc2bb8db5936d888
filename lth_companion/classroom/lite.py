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
from pathlib import Path
from typing import Any

from lth_companion import ROOT
from lth_companion.classroom import without_solutions

PACKAGES = ("lth_core", "lth_companion")
NEEDED = ("numpy", "scipy", "scikit-learn", "matplotlib")  # all in Pyodide's own list
FIRST: dict[str, Any] = {
    "cell_type": "code", "id": "lite", "metadata": {}, "execution_count": None, "outputs": [],
    "source": f"# This page is its own computer: the first cell fetches what it needs, once.\n"
    f"%pip install -q {' '.join(NEEDED)}\n%pip install -q --no-deps lth-core",
}  # fmt: skip
EPOCH = (1980, 1, 1, 0, 0, 0)  # equal sources make an equal wheel


def wheel(folder: Path, root: Path = ROOT) -> Path:
    """The Python modules of both packages as a wheel that asks for nothing, written into `folder`."""
    name, text = "lth_core", (root / "lth_core" / "__init__.py").read_text("utf-8")
    (version,) = re.findall(r'^__version__ = "(.+)"$', text, re.M)  # not imported: where this runs there is no numpy
    info = f"{name}-{version}.dist-info"
    files = {str(p.relative_to(root)): p.read_bytes() for package in PACKAGES for p in (root / package).rglob("*.py")}
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: lth-core\nVersion: {version}\n".encode()
    files[f"{info}/WHEEL"] = b"Wheel-Version: 1.0\nGenerator: lth\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    sums = {n: base64.urlsafe_b64encode(hashlib.sha256(data).digest()) for n, data in files.items()}
    record = [f"{n},sha256={sums[n].decode().rstrip('=')},{len(files[n])}" for n in sorted(files)]
    record.append(f"{info}/RECORD,,")
    files[f"{info}/RECORD"] = ("\n".join(record) + "\n").encode()
    made = folder / f"{name}-{version}-py3-none-any.whl"
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for n in sorted(files):
            archive.writestr(zipfile.ZipInfo(n, EPOCH), files[n], zipfile.ZIP_DEFLATED)
    return made


def for_the_browser(notebook: dict[str, Any]) -> dict[str, Any]:
    """A student's version that begins by fetching what it needs."""
    python = {"kernelspec": {"name": "python", "display_name": "Python (Pyodide)", "language": "python"}}
    title, *rest = notebook["cells"]
    return {**notebook, "cells": [title, FIRST, *rest], "metadata": {**notebook["metadata"], **python}}


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
        command += ["--apps", "notebooks", "--contents", str(work / "contents"), "--piplite-wheels", str(wheel(work))]
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
