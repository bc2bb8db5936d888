"""What a student handed in, put between the exercise's own cells.

Whatever was renamed, moved, deleted or changed around the answers, the checks that run are ours."""

from __future__ import annotations

import ast
import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lth_companion.classroom import own_names
from lth_companion.classroom.without_solutions import SOURCES, student, tags
from lth_core.atomic_files import refuse_others
from lth_core.errors import UsageError

Notebook = dict[str, Any]  # nbformat 4 as read from JSON
MOST = 50_000_000  # bytes of a notebook
ARCHIVE = b"PK"  # of a ZIP file
DEFINED = re.compile(r"^\ufeff?(?:(?:async +)?(?:def|class) +(\w+)|(\w+) *(?::[^=\n]*)?=(?!=))", re.M)
EXTRA = "extra"  # tag of code cells that a student added


def exercises(sources: Path = SOURCES) -> dict[str, Notebook]:
    """The students' versions by name, as they were handed out."""
    return {path.stem: student(json.loads(path.read_text("utf-8"))) for path in sorted(sources.glob("*.ipynb"))}


def read(path: Path) -> Notebook:
    """A notebook from a file; UsageError where it is none."""
    try:
        if path.is_dir():
            raise UsageError("there is no notebook (*.ipynb) in this folder.")
        refuse_others(path)
        with open(path, "rb") as file:
            content = file.read(MOST + 1)
        if not content.strip():
            raise UsageError("this notebook is empty: hand it in again.")
        if len(content) > MOST:
            raise UsageError(
                f"this notebook has more than {MOST // 1_000_000} MB: clear its outputs and save it again."
            )
        if content.startswith(ARCHIVE):
            raise UsageError("this is an archive, no notebook: unpack it, and grade what is in it.")
        made = json.loads(content)  # in UTF-8 or UTF-16, with a mark of it or without: by its first bytes
        if not made["nbformat"] >= 4 or not all(map(_is_cell, made["cells"])):
            raise KeyError
    except UsageError:
        raise
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        raise UsageError("this is no notebook that can be read: save it again as .ipynb (format 4).") from None
    return made


def _is_cell(cell: Any) -> bool:
    """Whether it has all that is read of a cell, each of its kind."""
    lines = cell["source"] if isinstance(cell["source"], list) else [cell["source"]]
    about = cell.get("metadata", {})
    return (
        isinstance(cell["cell_type"], str)
        and all(isinstance(line, str) for line in lines)
        and isinstance(about, dict)
        and isinstance(about.get("nbgrader", {}), dict)
    )


def text(cell: Mapping[str, Any]) -> str:
    return "".join(cell["source"])


def names(cell: Mapping[str, Any]) -> set[str]:
    """What a cell defines: how an answer is found whose cell has lost its number. Of what Python cannot read, such as a
    mistake or a notebook's own commands (`%time`, `!ls`, `len?`), by the beginnings of its lines."""
    try:
        body = ast.parse(text(cell)).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # all that Python's parser ends in
        return {one or other for one, other in DEFINED.findall(text(cell))}
    defined = {s.name for s in body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)}
    targets = [t for s in body if isinstance(s, ast.Assign) for t in s.targets]
    targets += [s.target for s in body if isinstance(s, ast.AnnAssign)]
    return defined | {n.id for t in targets for n in ast.walk(t) if isinstance(n, ast.Name)}


def number(cell: Mapping[str, Any]) -> str:
    """The number under which a cell was handed out: nbgrader's, or the notebook's own."""
    return str(cell.get("metadata", {}).get("nbgrader", {}).get("grade_id") or cell.get("id") or "")


def matched(exercise: Notebook, made: Notebook) -> dict[int, str]:
    """Positions of a hand-in's code cells -> ids of the exercise's cells that they are."""
    known = {cell["id"]: cell for cell in exercise["cells"] if cell["cell_type"] == "code"}
    code = {i: cell for i, cell in enumerate(made["cells"]) if cell["cell_type"] == "code"}
    found = {i: number(cell) for i, cell in code.items() if number(cell) in known}
    for name, cell in known.items():
        if name not in found.values() and "exercise" in tags(cell):
            same = [i for i, other in code.items() if i not in found and names(cell) & names(other)]
            found |= {i: name for i in same[-1:]}
    for name, cell in known.items():  # a given cell without its number is not the student's own
        if name not in found.values():
            found |= {i: name for i, other in code.items() if i not in found and text(other) == text(cell)}
    return found


def which(made: Notebook, known: Mapping[str, Notebook]) -> str:
    """The name of the exercise of which a hand-in has most cells; UsageError where it has none."""
    counts = {name: len(matched(exercise, made)) for name, exercise in known.items()}
    best = max(counts, key=lambda name: counts[name])
    if not counts[best]:
        raise UsageError(f"this is none of the exercises {', '.join(known)}.")
    return best


def assembled(exercise: Notebook, made: Notebook) -> Notebook:
    """The exercise's code cells in their order with the answers of a hand-in, and the cells that a student added where
    they stood. Given cells and checks are the exercise's own, changed or not."""
    found = matched(exercise, made)
    stubs = {cell["id"]: cell for cell in exercise["cells"] if "exercise" in tags(cell)}
    code = [i for i, cell in enumerate(made["cells"]) if cell["cell_type"] == "code"]
    theirs = [i for i in code if i not in found or found[i] in stubs]
    chosen = {name: _answer(stub, made, [i for i in found if found[i] == name], theirs) for name, stub in stubs.items()}
    added: dict[str, list[Any]] = {"": []}
    last = ""
    for i, cell in enumerate(made["cells"]):
        last = found.get(i, last)
        spare = i in found and (last not in stubs or i == chosen[last] or text(cell) == text(stubs[last]))
        if cell["cell_type"] == "code" and text(cell).strip() and not spare:
            own = {"cell_type": "code", "id": f"{EXTRA}-{i}", "metadata": {"tags": [EXTRA]}, "source": text(cell)}
            added.setdefault(last, []).append({**own, "outputs": [], "execution_count": None})
    cells = list(added[""])
    for cell in exercise["cells"]:
        if cell["cell_type"] == "code":
            kept = copy.deepcopy(cell)
            if (at := chosen.get(cell["id"])) is not None:
                kept["source"] = text(made["cells"][at])
            cells += [kept, *added.get(cell["id"], [])]
    return {**exercise, "cells": cells, "metadata": {}}


def _answer(stub: Mapping[str, Any], made: Notebook, places: list[int], own: list[int]) -> int | None:
    """Which of these cells is the answer: copies of a cell have its number too. The last that defines what is asked.
    Where there is none, the student may have joined it with another of the `own` ones."""
    if not places:
        return max((i for i in own if names(made["cells"][i]) & names(stub)), default=None)
    cells = {i: made["cells"][i] for i in places}
    answered = [i for i, cell in cells.items() if text(cell) != text(stub)]
    defining = [i for i in answered if names(cells[i]) & names(stub)]
    return max(defining or answered or places, default=None)


def guarded(notebook: Notebook) -> Notebook:
    """An assembled notebook whose checks run with the names that they were written with (`own_names`)."""
    made = copy.deepcopy(notebook)
    given: list[ast.stmt] = []
    for cell in made["cells"]:
        if "check" in tags(cell):
            cell["source"] = _call("run", text(cell), "\n".join(map(ast.unparse, given)), "globals()")
        elif cell["cell_type"] == "code" and not tags(cell) & {"exercise", EXTRA}:
            given += [s for s in ast.parse(text(cell)).body if isinstance(s, ast.Import | ast.ImportFrom)]
    modules = [a.name for s in given if isinstance(s, ast.Import) for a in s.names]
    modules += [f"{s.module}.{a.name}" for s in given if isinstance(s, ast.ImportFrom) for a in s.names]
    first = {"cell_type": "code", "id": "first", "metadata": {}, "source": _call("note", modules)}
    made["cells"].insert(0, {**first, "outputs": [], "execution_count": None})
    return made


def _call(function: str, *arguments: Any) -> str:
    """Code that calls a function of `own_names` and defines no name."""
    given = ", ".join(a if a == "globals()" else repr(a) for a in arguments)
    return f"__import__('importlib').import_module({own_names.__name__!r}).{function}({given})"
