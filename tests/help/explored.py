"""A control's data, as small as they can be, and a page of its own that shows a control as the static book does."""

from __future__ import annotations

import base64
import json
import shutil
import struct
import sys
from pathlib import Path
from typing import Any

from places import ROOT

# Pages of the book that begin with the explorer; `beyond_rates` does too once it is measured.
EXPLORERS = ("intro", "iclr_2_lenet", "v1_3_mnist_oneshot", "v1_4_mnist_iterative", "v1_6_parameters")
PAGE = """<!DOCTYPE html><html lang="en" data-theme="{theme}"><head><meta charset="utf-8" /><title>One control</title>
<meta name="viewport" content="width=device-width" /><style>body {{ margin: 0; font: 16px sans-serif }}
article {{ max-width: 720px; margin: auto; padding: 0 16px }}
html[data-theme="dark"] {{ background: #121212; color: #ddd; color-scheme: dark }}
</style><script src="widget-host.js"></script></head><body><main><article><h1>One control</h1>
<script type="application/vnd.jupyter.widget-state+json">{state}</script>
{views}<p>After it.</p></article></main></body></html>"""


def packed(*values: int) -> str:
    return base64.b64encode(struct.pack(f"<{len(values)}H", *values)).decode()


def small() -> dict[str, Any]:
    def way(rate: int | None, *stops: tuple[int, float], arms: tuple[str, ...] = ("ticket", "reinit")) -> dict:
        n = len(stops)
        return {
            "schedule": "iterative" if rate else "one-shot", "rate": rate,
            "stops": [{"round": r, "percent": p} for r, p in stops],
            "curves": {a: packed(*[1000, 8500, 9000, 1000, 9100, 65535] * n) for a in arms},
            "accuracy": {a: [[9000, 9100]] * n for a in arms}, "stop": {a: [[100, 200]] * n for a in arms},
            "kept": [[round(10 * p)] for _, p in stops],
        }  # fmt: skip

    return {
        "arms": {a: {"label": n, "color": c} for a, n, c in (
            ("ticket", "winning ticket", "#0072b2"), ("reinit", "reinitialised", "#d55e00"))},
        "trials": [0, 1],
        "iteration": [100, 200, 300],
        "layers": [{"name": "fc1", "weights": 1000}],
        "unpruned": {
            "curves": packed(1000, 9000, 9300, 1000, 9000, 9200),
            "accuracy": [9300, 9200],
            "stop": [300, 300],
        },
        "ways": [
            way(20, (1, 80.0), (4, 41.2), (8, 17.0)),
            way(50, (1, 50.0), (2, 25.0), (3, 12.5)),
            way(None, (1, 60.0), (1, 20.0), arms=("ticket",)),
        ],
    }  # fmt: skip


def alone(folder: Path, *widgets: Any, theme: str = "light") -> Path:
    """A page in `folder` that shows these controls under the book's policy, with the book's host and nothing else."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import lth_book

    state = {
        w.model_id: {"model_module": "anywidget", "state": {k: v for k, v in w.get_state().items() if k != "layout"}}
        for w in widgets
    }
    view = '<script type="application/vnd.jupyter.widget-view+json">{}</script>'
    views = "".join(view.format(json.dumps({"model_id": w.model_id})) for w in widgets)
    text = PAGE.format(theme=theme, state=json.dumps({"state": state}).replace("</", "<\\/"), views=views)
    text, strange = lth_book.guarded(text, set(), {str(w._esm) for w in widgets})
    assert not strange
    folder.mkdir(exist_ok=True)
    shutil.copy(ROOT / "book" / "_assets" / "widget-host.js", folder)
    (folder / "index.html").write_text(text, "utf-8")
    return folder
