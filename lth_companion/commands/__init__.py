"""The command line: python -m lth_core run | status | data | audit | merge | publish | export | import | claims |
power, and book | archive | student | grade."""

from __future__ import annotations

import importlib
import sys

__all__ = ["main"]

OWN_OPTIONS = {  # these import what they need and nothing else: a class grades where neither pandas nor torch is
    "book": "lth_companion.build.book",
    "archive": "lth_companion.build.archive",
    "student": "lth_companion.classroom.without_solutions",
    "grade": "lth_companion.classroom.grade",
}


def main(argv: list[str] | None = None) -> int:
    argv = sys.argv[1:] if argv is None else argv
    if argv and argv[0] in OWN_OPTIONS:
        return importlib.import_module(OWN_OPTIONS[argv[0]]).main(argv[1:])
    return importlib.import_module("lth_companion.commands.command_line").main(argv)
