"""Every code block of README and documentation: parsed in each run, executed in the slow one, at a scale of seconds."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

PAGES = ["README.md", "CONTRIBUTING.md", *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "book").glob("*.md")))]
ELSEWHERE = {  # executed by another test, or only on another machine
    "make": "parsed by make itself here; what each target does is tested by the suite that it runs",
    "snakemake": "tests/whole/test_workflow.py runs the workflow",
    "PATH=$PWD/_build/snakemake/bin:$PATH": "a setting for the lines after it",
    "conda": "tests/whole/test_setup.py compares environment.yml with the lock",
    "pip": "tests/whole/test_public.py and `make` install the package",
}


def commands() -> Iterator[tuple[str, str]]:
    """(page, command) of each line of each bash block; comments and continued lines joined."""
    for page in PAGES:
        for block in re.findall(r"^```bash\n(.*?)^```", (ROOT / page).read_text("utf-8"), flags=re.M | re.S):
            for line in block.replace("\\\n", " ").splitlines():
                if line.split("#")[0].strip():
                    yield page, line.split("  #")[0].split(" # ")[0].strip()


ALL = [c for c in dict.fromkeys(commands()) if not c[1].startswith("#")]
each = pytest.mark.parametrize(("page", "line"), ALL, ids=[f"{p}: {c}"[:90] for p, c in ALL])


def words(line: str) -> list[str]:
    found = shlex.split(line)
    return [Path(found[0]).name, *found[1:]] if found[0].startswith(".venv/bin/") else found


@each
def test_a_command_is_one_that_exists(page: str, line: str) -> None:
    first, *rest = words(line)
    if first == "make":
        targets = [w for w in rest if "=" not in w]
        run = subprocess.run(["make", "--dry-run", *targets], cwd=ROOT, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
    elif first == "papermill":
        from papermill.inspection import inspect_notebook

        if "--help-notebook" in rest:
            rest.remove("--help-notebook")
        known = inspect_notebook(str(ROOT / rest[0]))
        given = [rest[i + 1] for i, w in enumerate(rest) if w == "-p"]
        assert set(given) <= set(known)
    elif first == "python" and rest[:2] == ["-m", "lth_core"]:
        from lth_companion.commands.command_line import parser

        parser().parse_args(rest[2:])
    elif first == "python":
        if rest[0] == "-m":
            assert (ROOT / (rest[1].replace(".", "/") + ".py")).exists()
        else:
            assert (ROOT / rest[0]).exists()
    else:
        assert first in ELSEWHERE, f"{page}: nothing checks {line!r}"


def small(line: str) -> list[str]:
    """The same command at a scale of seconds, on data that come along."""
    first, *rest = words(line)
    rest = ["quick" if w == "paper" else w for w in rest]
    if first == "papermill":
        if "--help-notebook" not in rest:
            rest += ["-p", "profile", "quick"] if "profile" not in rest else []
            rest += ["-p", "dataset", "digits", "-p", "trials", "1", "--no-progress-bar"]
            rest = ["cpu" if w == "cuda" else w for w in rest]
        return [sys.executable, "-m", "papermill", *rest]
    if rest[:2] == ["-m", "lth_core"] and rest[2] in ("run", "status"):
        rest = [w if w != "cuda" else "cpu" for w in rest if "/" not in w and w != "--shard"]
        rest += ["--dataset", "digits", "--trials", "1"]
    return [sys.executable, *rest]


# merge needs another store (tests/core/store/test_folder.py), record.py writes a page here, serving has no end
OTHERWISE = ("lth_core merge", "tests/help/record.py", "http.server")
EXECUTED = [c for c in ALL if words(c[1])[0] in ("papermill", "python") and not any(o in c[1] for o in OTHERWISE)]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize(("page", "line"), EXECUTED, ids=[f"{p}: {c}"[:90] for p, c in EXECUTED])
def test_a_command_does_what_it_says(
    page: str, line: str, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    store = tmp_path_factory.getbasetemp() / "docs-store"  # shared: `status` follows `run`
    env = {**os.environ, "LTH_STORE": str(store), "PYTHONPATH": str(ROOT)}
    for name in ("notebooks", "results", "book", "lth_core", "lth_companion"):
        (tmp_path / name).symlink_to(ROOT / name)
    if "your_networks.csv" in line:
        import json

        levels = json.loads((ROOT / "results/reference/lenet-mnist.json").read_text())["levels"]
        rows = [f"{x['arm']},{x['round']},0,{x['stop_test']['mean']}" for x in levels]
        (tmp_path / "your_networks.csv").write_text("\n".join(["arm,round,trial,stop_test", *rows]))
    run = subprocess.run(small(line), cwd=tmp_path, env=env, capture_output=True, text=True)
    allowed = (0, 1) if " status " in f" {line} " else (0,)  # 1: something is missing, which is what status is for
    assert run.returncode in allowed, f"{page}: {' '.join(small(line))}\n{run.stderr[-2000:]}"
    assert "Traceback" not in run.stderr


def test_python_of_the_howto_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for block in re.findall(r"^```python\n(.*?)^```", (ROOT / "book/howto.md").read_text(), flags=re.M | re.S):
        space: dict = {}
        exec(block, space)
        if "rows" in space:
            assert len(space["table"]) == len(space["rows"]) > 0
        else:  # a network of one's own
            assert len(space["found"].cells) == 3 * (2 + 2 * 2)


NAMED = re.compile(r"`((?:benchmarks|book|findings|lth_companion|lth_core|notebooks|results|tests|workflow)/[\w./-]*)`")


def test_files_that_pages_name_are_there() -> None:
    """Whole paths, in pages and in the notebooks' prose; a pattern such as NAME.sh is none."""
    pages = [*PAGES, *(str(p.relative_to(ROOT)) for p in sorted((ROOT / "notebooks").rglob("*.ipynb")))]
    named = {(page, path) for page in pages for path in NAMED.findall((ROOT / page).read_text("utf-8"))}
    gone = {(page, path) for page, path in named if not any((ROOT / f"{path}{end}").exists() for end in ("", ".py"))}
    assert len(named) > 50 and {(page, path) for page, path in gone if "NAME" not in path} == set()
