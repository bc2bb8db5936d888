"""Waiting for something on a page: its content policy forbids the eval by which Playwright's own wait looks again."""

from __future__ import annotations

import time
from typing import Any

PATIENCE = 300  # seconds


def until(page: Any, expression: str, argument: Any = None) -> None:
    """Return once a JavaScript expression, or function of `argument`, is true on the page; AssertionError if it never
    is."""
    end = time.monotonic() + PATIENCE
    while not page.evaluate(expression, argument):
        assert time.monotonic() < end, f"never true: {expression}"
        page.wait_for_timeout(50)
