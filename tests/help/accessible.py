"""What axe-core, the checker of accessibility, finds on a page."""

from __future__ import annotations

from typing import Any

from axe_playwright_python.sync_playwright import Axe

_axe = Axe()


def violations(page: Any) -> list[dict[str, Any]]:
    """Its faults alone: not to list what is right as well takes a fifth of the time off long pages."""
    return list(_axe.run(page, options={"resultTypes": ["violations"]}).response["violations"])
