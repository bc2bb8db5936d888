"""Finished trainings on disk: a cell's files, the folder of cells, and states of trainings stopped halfway."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from lth_core.store.folder import Store

__all__ = ["Store"]


def __getattr__(name: str) -> Any:
    """`Store`, imported when asked for: who reads published results needs cells alone."""
    if name == "Store":
        from lth_core.store.folder import Store

        return Store
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
