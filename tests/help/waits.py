"""Waiting for something on a page: its content policy forbids the eval by which Playwright's own wait looks again."""

from __future__ import annotations

import time
from collections.abc import Sized
from typing import Any

PATIENCE = 300  # seconds


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Return once a JavaScript expression, or function of `argument`, is true on the page; AssertionError if it never
    is."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(50)


def all_there(page: Any, loaded: Sized) -> None:
    """Return once a page has loaded and nothing has been added to `loaded` for half a second. (Playwright's own word
    for this, "networkidle", is sometimes never said.)"""
    page.wait_for_load_state("load")
    end, before = time.monotonic() + PATIENCE, -1
    while len(loaded) != before:
        assert time.monotonic() < end, f"{len(loaded)} files and still loading"
        before = len(loaded)
        page.wait_for_timeout(500)
