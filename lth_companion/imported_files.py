"""Which files a piece of Python reaches by its imports, read off the source: only when one of them changes can its
results.

Read, not run: an import inside a function counts, and so does each text that names a module where modules are imported
by name (`import_module`). Where that cannot be told, everything is reached. Files that are no Python (tables, styles,
scripts) are reached with the modules of their folder.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from functools import lru_cache
from pathlib import Path

BY_NAME = {"import_module", "__import__", "run_module", "run_path"}  # what imports beyond our sight, as do these two:
RUN = {"exec", "eval"}  # by themselves, that is: a model has a method `eval`
ELSEWHERE = {"subprocess", "multiprocessing"}  # other processes may import anything


class Code:
    """The packages of a checkout."""

    def __init__(self, root: Path, packages: Iterable[str]) -> None:
        self.files = sorted(
            p for package in packages for p in (root / package).rglob("*")
            if p.is_file() and not p.name.startswith(".") and "__pycache__" not in p.parts
        )  # fmt: skip
        python = [p for p in self.files if p.suffix == ".py"]
        self.modules = {dotted(p.relative_to(root)): p for p in python}
        self.names = {p: name for name, p in self.modules.items()}

    def reached(self, source: str) -> list[Path]:
        """The files that this source reaches, in order; all of them where that cannot be told."""
        try:
            waiting = self.imports(source, "")
        except (SyntaxError, ValueError):  # a notebook's magics
            return self.files
        found: set[Path] = set()
        while waiting is not None and waiting:
            path = waiting.pop()
            if path not in found:
                found.add(path)
                more = self.imports(path.read_text("utf-8"), self.names[path])
                waiting = None if more is None else waiting | more
        if waiting is None:
            return self.files
        folders = {p.parent for p in found}
        return [p for p in self.files if p in found or (p.suffix != ".py" and p.parent in folders)]

    def imports(self, source: str, name: str) -> set[Path] | None:
        """The modules that a module imports itself; None where that cannot be told."""
        package = name if name and self.modules[name].name == "__init__.py" else name.rpartition(".")[0]
        found: set[Path] = set()
        told, beyond = mentions(source)
        for module in told:
            level = len(module) - len(module.lstrip("."))
            base = ".".join(package.split(".")[: len(package.split(".")) - level + 1]) if level else ""
            full = f"{base}.{module[level:]}".strip(".") if level else module
            for known in (".".join(full.split(".")[: i + 1]) for i in range(full.count(".") + 1)):  # and its packages
                if known in self.modules:
                    found.add(self.modules[known])
        if beyond:
            named = {self.modules[text] for text in beyond if text in self.modules}
            return found | named if named else None
        return found


def dotted(path: Path) -> str:
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@lru_cache(maxsize=1024)
def mentions(source: str) -> tuple[frozenset[str], frozenset[str]]:
    """What a source imports (relative names with their dots), and, where it imports by name too, all texts in it."""
    tree = ast.parse(source)
    told, by_name = set(_told(tree)), False
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            by_name |= node.id in BY_NAME | RUN
        elif isinstance(node, ast.Attribute):
            by_name |= node.attr in BY_NAME
    by_name |= bool(told & ELSEWHERE)
    texts = {n.value for n in ast.walk(tree) if isinstance(n, ast.Constant) and isinstance(n.value, str)}
    return frozenset(told), frozenset(texts | {""} if by_name else ())


def _told(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (a.name for a in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = "." * node.level + (node.module or "")
            yield base
            yield from (f"{base}{'' if base.endswith('.') else '.'}{a.name}" for a in node.names)
