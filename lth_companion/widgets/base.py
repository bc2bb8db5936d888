"""What every control that readers move shares: the same in the static book (no kernel) and live in Jupyter.

What a control shows is computed beforehand and travels as JSON; every choice is a trait, so that Python sees what a
reader chose, and a value set from Python moves the control. `train_your_own` has the one that needs a kernel.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import anywidget
import numpy as np
import traitlets
from numpy.typing import NDArray

from lth_core import plot
from lth_core.errors import UsageError

HERE = Path(__file__).parent


def text(*names: str) -> str:
    """Files beside this one, one after the other."""
    return "\n".join((HERE / name).read_text("utf-8") for name in names)


def plain(value: Any) -> Any:
    """The same with NaN and infinity (a diverged network) as null: browsers refuse JSON that spells them out."""
    if isinstance(value, dict):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [plain(v) for v in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def require(data: dict[str, Any], *names: str) -> dict[str, Any]:
    """The data as JSON, which must have these names."""
    if missing := set(names) - set(data):
        raise UsageError(f"data lacks {', '.join(sorted(missing))}: give {', '.join(names)}.")
    return plain(data)


class Widget(anywidget.AnyWidget):
    """A control with its data; traits are set once these are known to be right."""

    _css = f"{plot.sheet()}\n{text('widgets.css')}"

    data = traitlets.Dict().tag(sync=True)
    linked = traitlets.List(traitlets.Unicode()).tag(sync=True)  # traits whose values stand in a static page's address

    def __init__(self, data: dict[str, Any], **traits: Any) -> None:
        super().__init__(data=data)
        for name, value in traits.items():  # only now: the data decide which values exist
            setattr(self, name, value)

    def _nearest(self, stops: list[Any], value: Any) -> Any:
        return min(stops, key=lambda stop: abs(stop - value), default=value)

    def _of_groups(self, value: str) -> str:
        """The id of one of `data["groups"]`, or "" for the first."""
        names = [group["id"] for group in self.data.get("groups", [])]
        if value not in ["", *names]:
            raise UsageError(f"group = {value!r} does not exist; allowed: {', '.join(names)}.")
        return value


def whole(values: NDArray) -> list[int | None]:
    """Rounded numbers for JSON, null where one lacks."""
    return [None if not np.isfinite(v) else round(float(v)) for v in values]
