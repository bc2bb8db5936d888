"""An archive that can be given a DOI, and the tree of a NeuroLibre submission.

python -m lth_core archive                        write _build/archive/lth-core-VERSION.tar.gz
python -m lth_core archive --results              only results/: lth-results-VERSION.tar.gz
python -m lth_core archive --neurolibre FOLDER    write content/ and binder/ into FOLDER
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import re
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import lth_core
from lth_companion import ROOT
from lth_companion.classroom import without_solutions
from lth_core.atomic_files import replaced
from lth_core.errors import StoreError, UsageError

NEEDED = ("CITATION.cff", "LICENSE", "README.md", "CHANGELOG.md", "requirements.lock", "results/MANIFEST.json")
SUMS = "SHA256SUMS"
TREE = ("content", "binder")  # what NeuroLibre asks for


def committed(root: Path) -> dict[str, bytes]:
    """All files of the current commit by name, whatever the working tree holds."""
    command = ["git", "archive", "--format=tar", "HEAD"]
    git = subprocess.run(command, cwd=root, capture_output=True) if shutil.which("git") else None
    if git is None or git.returncode:
        raise UsageError(f"{root} is no git checkout with a commit: an archive is made of what is committed.")
    with tarfile.open(fileobj=io.BytesIO(git.stdout)) as tar:
        return {member.name: file.read() for member in tar if (file := tar.extractfile(member))}


def write(root: Path, target: Path, results: bool = False) -> Path:
    """The archive of the current commit, or of its `results` alone, for an installed package without a clone; equal
    commits give equal bytes (no times, no owners, names in order)."""
    every = committed(root)
    if missing := [n for n in NEEDED if n not in every]:
        raise UsageError(f"not committed: {', '.join(missing)}; an archive needs them.")
    inside = "results/" if results else ""
    files = {n.removeprefix(inside): every[n] for n in sorted(every) if n.startswith(inside)}
    files[SUMS] = "".join(f"{hashlib.sha256(data).hexdigest()}  {n}\n" for n, data in files.items()).encode()
    folder = f"lth-{'results' if results else 'core'}-{lth_core.__version__}"
    archive = target / f"{folder}.tar.gz"
    with (
        replaced(archive) as partial,
        open(partial, "wb") as raw,
        gzip.GzipFile("", "wb", 9, raw, mtime=0) as zipped,
        tarfile.open(fileobj=zipped, mode="w", format=tarfile.PAX_FORMAT) as tar,
    ):
        for name in sorted(files):
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(files[name])
            info.mode = 0o755 if files[name].startswith(b"#!") else 0o644
            tar.addfile(info, io.BytesIO(files[name]))
    return archive


def neurolibre(root: Path, target: Path) -> list[Path]:
    """`content/` and `binder/` as NeuroLibre expects them, with the pages as they will be executed there."""
    if any((target / name).exists() for name in TREE):
        raise UsageError(f"{target} has content/ or binder/ already: give an empty folder.")
    half = target / ".neurolibre"  # the tree is there whole or not at all
    shutil.rmtree(half, ignore_errors=True)
    content_folder, binder = (half / name for name in TREE)
    generated = shutil.ignore_patterns("*.ipynb", "_vendor", "_slides", "student", "__pycache__")
    shutil.copytree(root / "book", content_folder, ignore=generated)
    for source in sorted((root / "notebooks").rglob("*.ipynb")):
        if ".ipynb_checkpoints" not in source.parts:
            page = content_folder / source.relative_to(root / "notebooks")
            page.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, page)
    config = (root / "_config.yml").read_text("utf-8").replace("book/_ext", "_ext")
    config = config.replace('execute_notebooks: "off"', 'execute_notebooks: "auto"')
    config = config.replace("[_assets, _vendor]", "[_assets]")
    config = re.sub(r"^ *(?:html_extra_path|mathjax_path):.*\n", "", config, flags=re.M)  # made with the book
    without_solutions.write(content_folder / "teach" / "student", root / "notebooks" / "teach")
    (content_folder / "_config.yml").write_text(config, "utf-8")
    binder.mkdir(parents=True)
    shutil.copyfile(root / "requirements.lock", binder / "requirements.txt")
    python = re.search(r"python=(\d+\.\d+)", (root / "environment.yml").read_text("utf-8"))
    (binder / "runtime.txt").write_text(f"python-{python[1] if python else '3.11'}\n")
    (binder / "postBuild").write_text("#!/bin/bash\nset -e\npip install --no-deps --no-build-isolation .\n")
    (binder / "postBuild").chmod(0o755)
    for name in TREE:
        (half / name).rename(target / name)
    half.rmdir()
    return [target / name for name in TREE]


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m lth_core archive", description=__doc__.splitlines()[0])
    parser.add_argument("--neurolibre", type=Path, metavar="FOLDER", help="write a NeuroLibre tree instead")
    parser.add_argument("--results", action="store_true", help="only results/, to be named by LTH_RESULTS")
    options = parser.parse_args(arguments)
    try:
        if options.neurolibre:
            made = neurolibre(root, options.neurolibre)
        else:
            made = [write(root, root / "_build" / "archive", options.results)]
    except (UsageError, StoreError) as error:
        print(f"lth_core: {error}", file=sys.stderr)
        return 1 if isinstance(error, StoreError) else 2
    for path in made:
        print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
