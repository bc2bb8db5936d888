"""Scripts that tests and benchmarks hand to another process as text: linters do not read them, renames pass them by."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from places import ROOT

FOLDERS = ("tests", "benchmarks", "lth_core", "lth_companion", "workflow")
IMPORTS = re.compile(r"^\s*(?:from|import) lth_(?:core|companion)\b", re.MULTILINE)
GAP = re.compile(r"\{\w*(?:![rsa])?\}")  # of `str.format`


def scripts(source: str) -> Iterator[tuple[int, str]]:
    """Each text of a module that is Python and imports a package of ours: its line, and itself with its gaps filled."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and IMPORTS.search(node.value):
            for text in (node.value, GAP.sub("None", node.value).replace("{{", "{").replace("}}", "}")):
                try:
                    ast.parse(text)
                except SyntaxError:
                    continue
                yield node.lineno, text
                break


def undefined(text: str) -> list[str]:
    """Names of a script that nothing in it defines."""
    command = [
        sys.executable,
        "-m",
        "ruff",
        "check",
        "--isolated",
        "--select",
        "F821",
        "--output-format",
        "concise",
        "-",
    ]
    run = subprocess.run(command, input=text, capture_output=True, text=True)
    return re.findall(r"F821 (.+)", run.stdout)


def test_scripts_in_strings_name_what_they_import() -> None:
    found = {
        (file.relative_to(ROOT).as_posix(), line): text
        for folder in FOLDERS
        for file in sorted((ROOT / folder).rglob("*.py"))
        for line, text in scripts(file.read_text("utf-8"))
    }
    assert len(found) >= 15
    assert {place: wrong for place, text in found.items() if (wrong := undefined(text))} == {}


@pytest.mark.parametrize(("name", "wrong"), [("starts", 0), ("arms", 1)])
def test_a_name_that_was_renamed_is_found(name: str, wrong: int, tmp_path: Path) -> None:
    file = tmp_path / "one.py"
    file.write_text(f'CODE = """\nfrom lth_core import starts\nprint({name}.start({{tests!r}}))\n"""\n')
    ((_, text),) = scripts(file.read_text())
    assert len(undefined(text)) == wrong
