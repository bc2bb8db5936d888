"""Imports run one way: the companion imports the core, never back, and inside each they run down."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest
from places import ROOT


def linted(root: Path) -> subprocess.CompletedProcess:
    """The contracts of pyproject.toml, checked on the packages in `root`."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command as run; run()", "--no-cache"]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    return subprocess.run(command, cwd=root, capture_output=True, text=True, env=environment)


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """Both packages without what is compiled, where a wall can be breached."""
    for package in ("lth_core", "lth_companion"):
        shutil.copytree(ROOT / package, tmp_path / package, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    return tmp_path


def test_imports_run_one_way(copy: Path) -> None:
    done = linted(copy)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("lth_core/prune.py", "from lth_companion.experiments import catalogue"),
        ("lth_core/spec.py", "from lth_core import results"),
        ("lth_companion/experiments/scale.py", "from lth_companion.figures import panels"),
    ],
)
def test_a_planted_import_is_found(copy: Path, module: str, planted: str) -> None:
    file = copy / module
    file.write_text(f"{file.read_text()}\n{planted}\n")
    done = linted(copy)
    assert done.returncode == 1 and module.removesuffix(".py").replace("/", ".") in done.stdout, done.stdout


WALK = """
import importlib, pkgutil, sys
import lth_core
for module in pkgutil.walk_packages(lth_core.__path__, "lth_core."):
    if module.name.rpartition(".")[2] not in ("__main__", "archive", "book", "student"):  # names of commands
        importlib.import_module(module.name)
print(*sorted(name for name in sys.modules if name.startswith("lth_companion")))
"""


def test_the_core_loads_nothing_of_the_companion() -> None:
    """Seen where it runs: contracts know nothing of what the `__init__` above an imported module brings along."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", WALK], capture_output=True, text=True, env=environment, check=True)
    assert done.stdout.split() == []


def test_pytest_looks_into_every_folder_of_tests(request: pytest.FixtureRequest) -> None:
    """Found: by default it passes over folders called `build`, and says nothing."""
    passed_over = request.config.getini("norecursedirs")
    folders = {part for file in (ROOT / "tests").rglob("test_*.py") for part in file.relative_to(ROOT).parts[:-1]}
    assert "build" in folders
    assert not [f for f in folders if any(fnmatch(f, pattern) for pattern in passed_over)]
