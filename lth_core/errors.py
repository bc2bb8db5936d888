"""What is said to a user, in one sentence: a mistake of theirs, or a stored thing that cannot be trusted or written."""

from __future__ import annotations


def one_line(text: str) -> str:
    """The text of an error as one line: what a terminal would not print as itself (a name may hold anything) is written
    as an escape."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


class UsageError(ValueError):
    """A user's mistake: one sentence naming the value, what is allowed and what to do (exit code 2)."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))


class StoreError(RuntimeError):
    """What cannot be trusted or written, such as a cell: one sentence naming it and what to do (exit code 1)."""

    def __init__(self, sentence: str) -> None:
        super().__init__(one_line(sentence))
