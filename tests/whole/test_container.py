"""The Dockerfile, as far as it can be tried where no container can be built."""

from __future__ import annotations

import json
import re

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
