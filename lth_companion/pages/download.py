"""Pages as notebooks to keep: what only the book's builder understands is written out for plain Jupyter."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth_companion import ROOT

ROLE = re.compile(r"\{(doc|ref|download|cite:[pt])\}`([^`<]*?)(?:\s*<([^`>]*)>)?`")
LABEL = re.compile(r"^\([\w.-]+\)=\n?", re.M)
LINK = re.compile(r"\[([^\]]*)\]\(([\w./-]+)\)")  # to a page, or to a label


@lru_cache
def references(bibliography: Path = ROOT / "book" / "references.bib") -> dict[str, str]:
    """Key -> authors and year, as a link where the source has an address."""
    from pybtex.database import parse_file

    made = {}
    for key, entry in parse_file(str(bibliography)).entries.items():
        people = [" ".join(person.last_names) for person in entry.persons["author"]]
        who = f"{people[0]} et al." if len(people) > 2 else " and ".join(people)
        said = f"{who}, {entry.fields['year']}".replace("{", "").replace("}", "")
        made[key] = f"[{said}]({entry.fields['url']})" if "url" in entry.fields else said
    return made


def titles(pages: Path) -> dict[str, str]:
    """Name of each notebook in a folder -> its first heading."""
    made = {}
    for path in sorted(pages.rglob("*.ipynb")):
        cells = json.loads(path.read_text("utf-8"))["cells"]
        text = "\n".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
        found = re.search(r"^# (.+)$", text, re.M)
        made[path.relative_to(pages).with_suffix("").as_posix()] = found[1] if found else path.stem
    return made


def plain(text: str, pages: Mapping[str, str], cited: Mapping[str, str]) -> str:
    """Markdown with roles and labels written out: `pages` are names of notebooks with their titles."""

    def page(name: str, said: str) -> str:
        own = name.strip("/").split("/", 1)[-1] if name.startswith("../") else name.strip("/")
        return f"[{said or pages[own]}]({own}.ipynb)" if own in pages else said or f"*{own.replace('_', ' ')}*"

    def role(match: re.Match) -> str:
        kind, said, target = match.groups()
        if kind.startswith("cite"):
            both = "; ".join(cited[key.strip()] for key in said.split(","))
            return f"({both})" if kind == "cite:p" else both
        return page(target or said, said if target else "") if kind == "doc" else said

    def link(match: re.Match) -> str:
        return match[0] if match[2].endswith(".ipynb") else page(match[2], match[1])

    return LINK.sub(link, ROLE.sub(role, LABEL.sub("", text)))


def written_out(notebook: dict[str, Any], pages: Mapping[str, str], cited: Mapping[str, str]) -> dict[str, Any]:
    """A notebook (nbformat 4 as read from JSON) whose prose plain Jupyter shows as it is meant."""
    cells = []
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            source = plain("".join(cell["source"]), pages, cited)
            cell = {**cell, "source": source.splitlines(keepends=True)}
        cells.append(cell)
    return {**notebook, "cells": cells}


def write_out(folder: Path) -> None:
    """Write out every notebook in a folder of a built book, in place."""
    names = titles(folder)
    for path in sorted(folder.rglob("*.ipynb")):
        made = written_out(json.loads(path.read_text("utf-8")), names, references())
        path.write_text(json.dumps(made, separators=(",", ":"), ensure_ascii=False) + "\n", "utf-8")  # a sixth smaller
