"""Where things lie, and how a test says that something it needs is not there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT.parent / "shared"  # the papers' data and claims, where a machine keeps them beside the clone


def absent(reason: str) -> None:
    """Skip and say why; under `LTH_CI=1`, where everything has to be there, fail."""
    (pytest.fail if os.environ.get("LTH_CI") else pytest.skip)(reason)
