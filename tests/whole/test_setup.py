"""A fresh clone installs the same everywhere, and nothing in it belongs to one machine."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import nbformat
import pytest
import yaml
from packaging.requirements import Requirement
from places import ROOT

NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


# Extras with a lock, and an environment, of their own.
APART = {
    "workflow": "workflow/requirements.lock", "lab": "notebooks/requirements.lock",
    "class": "notebooks/teach/requirements.lock", "lite": "notebooks/teach/lite.lock",
}  # fmt: skip


def wanted() -> dict[str, Requirement]:
    """Every package that pyproject.toml asks for, by name."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = {name: lines for name, lines in project["optional-dependencies"].items() if name not in APART}
    lines = [*project["dependencies"], *(line for extra in extras.values() for line in extra)]
    return {requirement.name: requirement for requirement in map(Requirement, lines)}


LOCKS = ("requirements.lock", *APART.values())


def locked(name: str = LOCKS[0]) -> list[tuple[Requirement, int]]:
    """Every entry of a lock, and how many hashes it has."""
    text = (ROOT / name).read_text().replace("\\\n", " ")
    entries = [line.split(" --hash=") for line in text.splitlines() if line.strip() and not line.startswith("#")]
    return [(Requirement(entry[0].strip()), len(entry) - 1) for entry in entries]


@pytest.mark.parametrize("name", LOCKS)
def test_lock_pins_everything_with_hashes(name: str) -> None:
    for requirement, hashes in locked(name):
        assert hashes > 0, f"{requirement.name} has no hash"
        assert re.fullmatch(r"==[^*,]+", str(requirement.specifier)), requirement


@pytest.mark.parametrize("name", LOCKS)
def test_lock_names_no_address(name: str) -> None:
    lock = (ROOT / name).read_text()
    for sign in ("://", "-index", "find-links", "trusted-host", " @ ", "file:"):
        assert sign not in lock


@pytest.mark.slow
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
@pytest.mark.parametrize("name", LOCKS)
def test_every_python_finds_a_wheel_of_all_that_is_locked(name: str, python: str, tmp_path: Path) -> None:
    """As the index says; nothing is downloaded. One package of Snakemake's has its source alone: plain Python."""
    wheels = ["--only-binary", ":all:", *(["--no-binary", "connection-pool"] if name == APART["workflow"] else [])]
    ask = ["--dry-run", *wheels, "--require-hashes", "--python-version", python, "--target", tmp_path]
    uv = [sys.executable, "-m", "uv", "pip", "install"]
    ran = subprocess.run([*uv, *ask, "-r", ROOT / name], capture_output=True, text=True)
    if "Failed to fetch" in ran.stderr:
        pytest.skip("no package index is reached from here.")  # in CI too
    assert ran.returncode == 0 and "Would install" in ran.stderr, ran.stderr


def test_pyproject_lock_and_environment_agree() -> None:
    version = {"python_version": "3.11", "python_full_version": "3.11.9"}  # that of environment.yml
    here = [
        requirement for requirement, _ in locked() if not requirement.marker or requirement.marker.evaluate(version)
    ]
    pins = {requirement.name: str(requirement.specifier) for requirement in here}
    for name, requirement in wanted().items():
        assert name in pins, f"{name} is not in requirements.lock: run make lock"
        assert requirement.specifier.contains(pins[name][2:]), f"the lock has {name}{pins[name]}: run make lock"

    environment = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    pip = next(entry["pip"] for entry in environment if isinstance(entry, dict))
    expected = [f"{name}{pins[name]}" for name in sorted(wanted())]
    assert [line for line in pip if not line.startswith("-")] == expected, "write this list into environment.yml"
    python = next(entry for entry in environment if str(entry).startswith("python="))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python.removeprefix("python="))


@pytest.mark.parametrize("extra", APART)
def test_a_lock_of_its_own_has_what_its_extra_asks_for(extra: str) -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    pins = {requirement.name: str(requirement.specifier)[2:] for requirement, _ in locked(APART[extra])}
    for requirement in map(Requirement, project["optional-dependencies"][extra]):
        assert requirement.name in pins, f"{APART[extra]} lacks {requirement.name}: run make lock"
        assert requirement.specifier.contains(pins[requirement.name]), requirement


@pytest.mark.parametrize("extra", ["lab", "class", "lite"])
def test_a_lock_of_its_own_agrees_with_the_books(extra: str) -> None:
    """The exercises run with the versions that the book's tests ran with; JupyterLab fits beside the book."""
    pins: dict[str, set[str]] = {}  # more than one where Pythons differ
    for requirement, _ in locked():
        pins.setdefault(requirement.name, set()).add(str(requirement.specifier))
    for requirement, _ in locked(APART[extra]):
        own = str(requirement.specifier)
        assert own in pins.get(requirement.name, {own}), f"{requirement.name}{own}: run make lock"


def test_the_class_installs_nothing_big() -> None:
    """`make class` promises 400 MB: these would be most of it, or more."""
    names = {requirement.name for requirement, _ in locked(APART["class"])}
    assert {"numpy", "scikit-learn", "matplotlib"} <= names
    assert not {"torch", "numba", "llvmlite", "pandas", "pyarrow", "jupyterlab", "jupyter-book", "seaborn"} & names


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_source_notebooks_are_clean(path: Path) -> None:
    cells = nbformat.read(path, as_version=4).cells
    code = [cell for cell in cells if cell.cell_type == "code"]
    assert not any(cell.outputs or cell.execution_count for cell in code), "committed without outputs"
    parameters = [cell for cell in code if "parameters" in cell.metadata.get("tags", [])]
    assert len(parameters) == 1
    for line in parameters[0].source.splitlines():
        if "=" in line and not line.startswith("#"):
            assert re.match(r"\w+\s*:\s*[^=]+=[^#]+#\s*\S", line), f"a parameter is typed and commented: {line}"


def test_versions_agree() -> None:
    """The package's version, its citation, the newest heading of the changelog, and its containers' Python."""
    import lth_core

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    newest = re.search(r"^## (?:\[)?(\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.M)
    assert newest and citation["version"] == newest[1] == lth_core.__version__
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (python,) = re.findall(r"^FROM python:(\d+\.\d+)-slim$", (ROOT / "Dockerfile").read_text(), re.M)
    assert Requirement(f"python{project['requires-python']}").specifier.contains(python)


def test_results_are_small() -> None:
    from lth_core import results

    assert sum(f.stat().st_size for f in results.HERE.rglob("*") if f.is_file()) <= 40_000_000


BARE = """
import importlib.abc, sys

AT_HOME = ("IPython", "anywidget", "ipywidgets", "jupyter", "matplotlib", "papermill", "seaborn", "yaml")

class Refuse(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in AT_HOME:
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
from lth_companion.commands import main
how = ["--profile", "quick", "--dataset", "digits", "--trials", "1"]
assert main(["run", "iclr-fig11", *how, "--device", "cpu", "--quiet", "--budget", "0", "--store", sys.argv[1]]) == 0
sys.exit(main(["status", "iclr-fig11", *how, "--store", sys.argv[1]]))
"""


def test_the_core_runs_where_no_notebook_packages_are(tmp_path: Path) -> None:
    """A training machine installs torch, numba, pandas and pyarrow; what draws pages stays at home."""
    ran = subprocess.run([sys.executable, "-c", BARE, tmp_path], capture_output=True, text=True, cwd=ROOT)
    assert ran.returncode in (0, 1) and "ImportError" not in ran.stderr and "iclr-fig11" in ran.stdout, ran.stderr


def needed(project: str) -> set[str]:
    """The packages that `pip install .` brings, and what those need in turn, as far as they are installed here."""
    todo = [Requirement(line) for line in tomllib.loads(project)["project"]["dependencies"]]
    seen: set[str] = set()
    while todo:
        requirement = todo.pop()
        if requirement.name in seen or (requirement.marker and not requirement.marker.evaluate({"extra": ""})):
            continue
        seen.add(requirement.name)
        todo += [Requirement(line) for line in metadata.requires(requirement.name) or []]
    return seen


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds this tree's wheel, made from its source archive as `python -m build` does
    it, and the core's dependencies, which are links to those installed here: nothing of the book's or this checkout."""
    folder = tmp_path_factory.mktemp("bare")
    tree, packages = folder / "tree", folder / "packages"
    for package in ("lth_core", "lth_companion"):
        shutil.copytree(ROOT / package, tree / package, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree)
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
    archive = "import sys; from setuptools import build_meta; build_meta.build_sdist(sys.argv[1])"
    subprocess.run([sys.executable, "-c", archive, folder], cwd=tree, check=True, capture_output=True)
    (source,) = folder.glob("*.tar.gz")
    build = [*pip, "wheel", "--no-deps", "--no-build-isolation", "--no-index", "--wheel-dir", folder, source]
    subprocess.run(build, check=True, capture_output=True)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "env"], check=True)
    python = folder / "env" / "bin" / "python"
    (wheel,) = folder.glob("*.whl")
    subprocess.run([*pip, "--python", python, "install", "--no-deps", "--no-index", wheel], check=True)
    packages.mkdir()
    for name in needed((ROOT / "pyproject.toml").read_text()):
        for file in metadata.files(name) or []:
            top = file.parts[0]
            if top not in ("..", "__pycache__") and not (packages / top).exists():
                (packages / top).symlink_to(metadata.distribution(name).locate_file(top))
    (site,) = (folder / "env" / "lib").glob("python*/site-packages")
    (site / "core.pth").write_text(f"{packages}\n")
    return python


def in_bare(python: Path, arguments: list[str], folder: Path) -> subprocess.CompletedProcess[str]:
    """What that Python makes of these arguments, with nothing of ours in its environment; on one thread, since several
    wait for each other where tests run side by side."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "LTH_"))}
    environment["OMP_NUM_THREADS"] = "1"
    return subprocess.run([python, *arguments], capture_output=True, text=True, cwd=folder, env=environment)


@pytest.mark.slow
def test_the_wheel_alone_runs_the_documented_example(bare: Path, tmp_path: Path) -> None:
    ask = "import importlib.util as u; print([x for x in ('matplotlib', 'IPython', 'pytest') if u.find_spec(x)])"
    assert in_bare(bare, ["-c", ask], tmp_path).stdout == "[]\n", "the environment is not bare"
    example = re.findall(r"```python\n(.*?)```", (ROOT / "book" / "api.md").read_text(), re.S)[0]
    ran = in_bare(bare, ["-c", example], tmp_path)
    assert ran.returncode == 0 and "Tickets learn faster." in ran.stdout, ran.stderr
    assert (tmp_path / "ticket.safetensors").stat().st_size > 0


@pytest.mark.slow
def test_the_wheel_alone_judges_and_says_what_it_has(bare: Path, tmp_path: Path) -> None:
    how = ["claims", "--section", "v1_2_xor", "--results", str(ROOT / "results"), "--json"]
    ran = in_bare(bare, ["-m", "lth_core", *how], tmp_path)
    assert ran.returncode == 0, ran.stderr
    accepted = json.loads((ROOT / "results" / "verdicts.json").read_text())
    found = {row["id"]: row["verdict"] for row in json.loads(ran.stdout)}
    assert found and found == {name: accepted[name] for name in found}
    ran = in_bare(bare, ["-m", "lth_core", "status", "iclr-fig04", "--json"], tmp_path)
    assert ran.returncode == 1 and json.loads(ran.stdout)[0]["have"] == 0, ran.stderr
    ran = in_bare(bare, ["-m", "lth_core", "data", "digits", "--no-fetch"], tmp_path)
    assert ran.returncode == 0 and "comes along" in ran.stdout, ran.stderr


def test_no_path_of_one_machine_is_committed() -> None:
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    git = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("not a git checkout: there is no list of committed files.")
    private = re.compile(rb"(?<![\w.~])/(?:work|root|home|Users|mnt|scratch)/\w")
    found = [
        f"{name}:{number}"
        for name in git.stdout.splitlines()
        if (ROOT / name).is_file()
        for number, line in enumerate((ROOT / name).read_bytes().splitlines(), 1)
        if private.search(line)
    ]
    assert not found
