"""The Dockerfile, as far as it can be tried where no container can be built."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest
from places import ROOT


def test_the_container_builds_from_the_lock() -> None:
    """What can be seen of it without a builder: what it copies is there, and it installs nothing but the lock."""
    text = (ROOT / "Dockerfile").read_text()
    for line in re.findall(r"^COPY (.+) \S+$", text, re.M):
        assert all((ROOT / name).exists() for name in line.split() if not name.startswith("--")), line
    installs = re.findall(r"pip install[^&\n]*", text)
    assert installs and all("--require-hashes" in i or "--no-deps" in i for i in installs)
    assert "://" not in text and "index" not in text
    container = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    assert (ROOT / ".devcontainer" / container["build"]["dockerfile"]).resolve() == ROOT / "Dockerfile"
    assert (ROOT / ".devcontainer" / container["build"]["context"]).resolve() == ROOT


def test_the_container_installs_and_runs_what_the_makefile_does() -> None:
    """The same lock, the same way to install this tree, and commands that exist."""
    from lth_companion.commands.command_line import parser

    docker, make = ((ROOT / name).read_text() for name in ("Dockerfile", "Makefile"))
    for way in ("--require-hashes -r requirements.lock", "install --no-deps --no-build-isolation --editable ."):
        assert way in re.sub("--no-cache-dir ", "", docker) and way in make
    told = re.findall(r"python -m lth_core ([^&\"\n]+)", docker)
    assert len(told) == 2
    for line in told:
        parser().parse_args(line.split())


# pip, but for the lock: its packages are here already, and five gigabytes.
PIP = """#!/bin/sh
case "$*" in *--require-hashes*) exec test -s requirements.lock ;; esac
exec python -m pip --disable-pip-version-check "$@"
"""


@pytest.mark.slow
def test_the_containers_lines_run_in_a_bare_folder(tmp_path: Path) -> None:
    """Docker's steps without Docker, in their order: only what was copied is there, and the commands that the file's
    first lines promise run on what was installed."""
    root, tools = tmp_path / "lth", tmp_path / "env" / "bin"
    root.mkdir()
    venv.create(tmp_path / "env", with_pip=False)
    (site,) = (tmp_path / "env" / "lib").glob("python*/site-packages")
    (site / "lock.pth").write_text(sysconfig.get_paths()["purelib"] + "\n")
    for name, does in {"pip": PIP, "useradd": "#!/bin/sh\n", "chown": "#!/bin/sh\n"}.items():
        (tools / name).write_text(does)
        (tools / name).chmod(0o755)
    own = {"PATH": f"{tools}:/usr/bin:/bin", "HOME": str(tmp_path), "PIP_IGNORE_INSTALLED": "1"}
    listing = subprocess.run(["git", "ls-files", "--cached"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("not a git checkout: there is no list of committed files.")
    left_out = (ROOT / ".dockerignore").read_text().split()
    files = [n for n in listing.stdout.splitlines() if (ROOT / n).is_file() and n.split("/")[0] not in left_out]
    text = (ROOT / "Dockerfile").read_text()
    for line in text.replace("\\\n", " ").splitlines():
        step, _, rest = line.partition(" ")
        if step == "COPY":
            *names, target = rest.split()
            assert target == "./"
            for file in files if names == ["."] else names:
                (root / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / file, root / file)
        elif step == "RUN":
            subprocess.run(["sh", "-ec", rest], cwd=root, env=own, check=True)
    where = "import lth_core, lth_companion; print(lth_core.__file__, lth_companion.__file__)"
    ran = subprocess.run(["python", "-c", where], cwd=tmp_path, env=own, capture_output=True, text=True, check=True)
    assert all(Path(file).is_relative_to(root) for file in ran.stdout.split()), ran.stdout
    (promised,) = re.findall(r"^#   docker run lth (.+)$", text, re.M)
    ran = subprocess.run(promised.split(), cwd=root, env=own, capture_output=True, text=True)
    assert ran.returncode == 0 and "iclr-fig04" in ran.stdout, ran.stderr
