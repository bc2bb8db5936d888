"""How to install the project, in one line, as pages say it."""

from __future__ import annotations

from pathlib import Path

import yaml

from lth_companion import ROOT


def address(config: Path = ROOT / "_config.yml") -> str:
    """The public repository's address, of `repository: url:` in the book's settings; empty where there is none."""
    return (yaml.safe_load(config.read_text("utf-8")).get("repository") or {}).get("url") or ""


def line(config: Path = ROOT / "_config.yml") -> str:
    """Markdown: the command that installs what notebooks need, from the repository where its address is known."""
    where = f"lth-core[book] @ git+{url}" if (url := address(config)) else ".[book]"
    place = "" if url else "In a copy of the repository:\n\n"
    return f'{place}```bash\npip install "{where}"\n```'
