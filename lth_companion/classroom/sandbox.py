"""A notebook run in processes of its own with limits: each cell's error, whatever the notebook does.

`run` starts this module as a process that limits itself (memory, size of files, no core dumps), works in a temporary
folder, and starts the kernel by nbclient. Where Linux lets anybody (`unshare`), it has no network and all of its
processes end with it. A cell that takes too long or ends the kernel is noted, replaced by its error, and the rest runs
again. This keeps accidents from the grader; it is no wall against somebody who wants to read your files.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth_core.errors import StoreError

MB = 1_000_000
APART = ("unshare", "--user", "--map-root-user", "--net", "--pid", "--fork", "--kill-child")
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")  # of the grader's environment
TOO_LONG, ENDED = "TimeoutError", "DeadKernelError"  # names of errors that this module gives


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one hand-in may use."""

    seconds: int = 180  # of one cell
    total: int = 900  # seconds of the whole notebook
    memory: int = 4_000  # MB of address space of a process
    files: int = 100  # MB that one file may have


@dataclass(frozen=True)
class Ended:
    """How a cell ended: the name and text of its error, or nothing."""

    cell: str
    error: str = ""
    message: str = ""


@lru_cache
def apart() -> tuple[str, ...]:
    """The words before a command that give it no network and end all its processes with it, where that is allowed."""
    if shutil.which(APART[0]) is None:
        return ()
    tried = subprocess.run([*APART, "true"], capture_output=True)
    return APART if tried.returncode == 0 else ()


def run(notebook: dict[str, Any], limits: Limits) -> list[Ended]:
    """How each code cell of a notebook ended, in order; those that were never reached are not in the list."""
    with tempfile.TemporaryDirectory(prefix="g") as folder:
        asked, told = Path(folder) / "asked.json", Path(folder) / "told.json"
        (Path(folder) / "work").mkdir()
        asked.write_text(json.dumps({"notebook": notebook, "limits": asdict(limits)}))
        command = [sys.executable, "-m", __spec__.name if __spec__ else __name__, str(asked), str(told)]
        # The shell is the first process of a namespace: a kernel whose parent is the first thinks that it was left.
        command = [*apart(), "sh", "-c", '"$@"; exit $?', "sh", *command]
        own = {name: os.environ[name] for name in KEPT if name in os.environ}
        own["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p and not p.endswith("site-packages"))
        own |= {"HOME": folder, "TMPDIR": f"{folder}/work", "JUPYTER_RUNTIME_DIR": f"{folder}/r", "MPLBACKEND": "agg"}
        own |= {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        own |= {"IPYTHONDIR": f"{folder}/i", "MPLCONFIGDIR": f"{folder}/m"}
        with open(Path(folder) / "errors", "wb") as errors:
            quiet: dict[str, Any] = dict(stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors)
            process = subprocess.Popen(command, cwd=folder, env=own, start_new_session=True, **quiet)
        try:
            process.wait(limits.total)
        except subprocess.TimeoutExpired:
            pass
        finally:
            try:
                os.killpg(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                pass
            process.wait()
        try:
            return [Ended(**one) for one in json.loads(told.read_text())]
        except (OSError, ValueError):
            if process.returncode in (0, -signal.SIGKILL):
                return []
            said = (Path(folder) / "errors").read_text(errors="replace").strip().splitlines()
            raise StoreError(f"no notebook can be run here: {said[-1] if said else process.returncode}") from None


def limit(limits: Limits) -> None:
    """Limit this process and those that it will start."""
    for what, most in (
        (resource.RLIMIT_AS, limits.memory * MB), (resource.RLIMIT_FSIZE, limits.files * MB), (resource.RLIMIT_CORE, 0),
    ):  # fmt: skip
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))


def execute(notebook: dict[str, Any], limits: Limits, tell: Path) -> None:
    """Run a notebook in this process's limits and write to `tell` how its cells ended, cell by cell."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    stopped: dict[str, Ended] = {}
    sockets = {"transport": "ipc", "ip": str(tell.parent / "socket")}  # files: there may be no network
    while True:
        made = nbformat.reads(json.dumps(notebook), as_version=4)
        for cell in made.cells:
            if cell.id in stopped:
                cell.source = f"raise {'TimeoutError' if stopped[cell.id].error == TOO_LONG else 'RuntimeError'}()"
        client = NotebookClient(
            made,
            timeout=limits.seconds,
            kernel_name="python3",
            allow_errors=True,
            config=Config({"KernelManager": sockets}),
            startup_timeout=min(limits.total, 120),
        )
        done: list[Ended] = []
        at_work = ""
        try:
            with client.setup_kernel(cwd=str(tell.parent / "work")):
                for i, cell in enumerate(made.cells):
                    at_work = cell.id
                    client.execute_cell(cell, i)
                    done.append(stopped.get(cell.id) or _ended(cell))
                    _write(tell, done)
            return
        except CellTimeoutError:
            stopped[at_work] = Ended(at_work, TOO_LONG, f"it took longer than {limits.seconds} s")
        except DeadKernelError:
            stopped[at_work] = Ended(at_work, ENDED, "it ended Python, as does exit() or too much memory")
        except Exception as error:  # of this process: a cell that cannot be sent, or that prints more than fits here
            if not at_work or at_work in stopped:
                raise
            stopped[at_work] = Ended(at_work, type(error).__name__, str(error))


def _ended(cell: Any) -> Ended:
    for output in cell.outputs:
        if output.output_type == "error":
            return Ended(cell.id, output.ename, output.evalue)
    return Ended(cell.id)


def _write(tell: Path, done: Sequence[Ended]) -> None:
    partial = tell.with_suffix(".partial")
    partial.write_text(json.dumps([asdict(one) for one in done]))
    partial.replace(tell)


if __name__ == "__main__":
    asked = json.loads(Path(sys.argv[1]).read_text())
    limit(own := Limits(**asked["limits"]))
    execute(asked["notebook"], own, Path(sys.argv[2]))
