"""The page about the code: every module of both packages with the first sentence of its own description."""

from __future__ import annotations

import ast
from pathlib import Path

from lth_companion import ROOT

PACKAGES = ("lth_core", "lth_companion")


def described(file: Path) -> str:
    """The first sentence of a module's docstring; "" where it has none."""
    said = " ".join((ast.get_docstring(ast.parse(file.read_text("utf-8"))) or "").split("\n\n")[0].split())
    return said.split(": python -m", 1)[0]


def modules(root: Path = ROOT) -> dict[str, str]:
    """Path in the repository -> description, of every module; folders before what they hold."""
    files = [f for package in PACKAGES for f in sorted((root / package).rglob("*.py"))]
    return {str(f.relative_to(root)): described(f) for f in files}


def files() -> str:
    """All modules as Markdown, a list a folder."""
    lines: list[str] = []
    folders: dict[str, list[tuple[str, str]]] = {}
    for path, said in modules().items():
        folder, _, name = path.rpartition("/")
        folders.setdefault(folder, []).append((name, said))
    for folder, own in folders.items():
        about = dict(own).get("__init__.py", "")
        lines += [f"**`{folder}/`** {about}", ""]
        lines += [f"- `{name}`: {said}" for name, said in own if name != "__init__.py"]
        lines.append("")
    return "\n".join(lines)
