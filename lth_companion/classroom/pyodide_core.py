"""The part of Pyodide that package registries have: Python itself, from npm, and what its Jupyter kernel imports, from
PyPI. Exercise 1 runs on it without a network; the others need numpy, which only Pyodide's own distribution has.

python -m lth_companion.classroom.pyodide_core FOLDER      what `make lite PYODIDE=_build/pyodide` calls; needs npm
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

KERNEL = ("micropip", "ipython", "jedi")  # what the kernel asks for when it starts, with what these need
LOCK = "pyodide-lock.json"


def needed(packages: dict[str, dict[str, Any]]) -> list[str]:
    """Names in Pyodide's list of what its kernel imports, those included that others ask for."""
    found, todo = set(), list(KERNEL)
    while todo:
        name = todo.pop().lower().replace("_", "-")
        if name not in found:
            found.add(name)
            todo += packages[name]["depends"]
    return sorted(found)


def write(target: Path, version: str) -> None:
    """The folder `target`: npm's pyodide of this version, and wheels of the kernel's packages at the versions of its
    list, whose checksums the list then has: PyPI's are not those that Pyodide built."""
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary:
        said = subprocess.run(
            ["npm", "pack", "--silent", f"pyodide@{version}"], cwd=temporary, check=True, capture_output=True, text=True
        )
        with tarfile.open(Path(temporary) / said.stdout.split()[-1]) as archive:
            for member in archive:
                if member.isfile():
                    data = archive.extractfile(member)
                    assert data is not None
                    (target / Path(member.name).name).write_bytes(data.read())
    lock = json.loads((target / LOCK).read_text("utf-8"))
    names = needed(lock["packages"])
    wanted = [f"{name}=={lock['packages'][name]['version']}" for name in names]
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "download", "--no-deps"]
    python = lock["info"]["python"].rpartition(".")[0]
    where = ["--only-binary", ":all:", "--python-version", python, "--dest", str(target)]
    subprocess.run([*pip, *where, *wanted], check=True)
    for name in names:
        own = lock["packages"][name]
        own["sha256"] = hashlib.sha256((target / own["file_name"]).read_bytes()).hexdigest()
    (target / LOCK).write_text(json.dumps(lock), "utf-8")


def main(arguments: list[str] | None = None) -> int:
    from jupyterlite_pyodide_kernel.constants import PYODIDE_VERSION

    parser = argparse.ArgumentParser(description="The part of Pyodide that package registries have.")
    parser.add_argument("folder", type=Path, metavar="FOLDER")
    try:
        write(parser.parse_args(arguments).folder, PYODIDE_VERSION)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"Pyodide's core cannot be had here: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
