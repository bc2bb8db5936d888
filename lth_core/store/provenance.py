"""Who made a cell: commit of the code, versions, machine and processor."""

from __future__ import annotations

import os
import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lth_core
from lth_core.untrusted_text import tidied


@lru_cache
def provenance() -> dict[str, Any]:
    """Who makes cells here: commit of the code, versions, machine."""
    here = Path(lth_core.__file__).resolve().parents[1]  # the checkout, where there is one
    told = os.environ.get("LTH_COMMIT", "unknown")  # of a copy without its history, by who copied it
    git = ["git", "-C", str(here)]
    try:
        commit = subprocess.run([*git, "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run(
            [*git, "status", "--porcelain", "--", "lth_core", "lth_companion"], capture_output=True, text=True
        ).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit, dirty = told, ""
    return {
        "commit": commit[:12] + ("+changes" if dirty else ""),
        "lth_core": lth_core.__version__,
        "python": platform.python_version(),
        "numpy": version("numpy"),
        "torch": version("torch"),
        "machine": platform.machine(),
    }


def device_details(engine: str) -> dict[str, Any]:
    """The processor or card that an engine ran on, and what else its last bits depend on."""
    if not engine.endswith("cuda"):
        names = [
            line.split(":", 1)[1].strip()
            for line in (Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else [])
            if line.startswith("model name")
        ]
        where: dict[str, Any] = {"device": tidied(names[0] if names else platform.processor()), "cores": os.cpu_count()}
        if engine == "dense-cpu":
            import torch

            where["threads"] = torch.get_num_threads()
        return where
    import torch

    return {"device": tidied(torch.cuda.get_device_name()), "cuda": torch.version.cuda}
