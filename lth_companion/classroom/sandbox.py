"""A notebook run in processes of its own with limits: each cell's error, whatever the notebook does.

`run` starts this module as a process that limits itself (memory, size of files, no core dumps), works in a temporary
folder, and starts the kernel by nbclient. Where Linux lets anybody (`unshare`), it has no network, and all of its
processes end with it, and it with the grader. A cell that takes too long or ends what runs it is noted, replaced by an
error, and the rest runs again. This keeps accidents from the grader; it is no wall against somebody who wants to read
your files.
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
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from lth_core.errors import StoreError

MB = 1_000_000
# No network, and an end with the grader, whatever ends that.
APART = tuple("setpriv --pdeathsig=KILL unshare --user --map-root-user --net --pid --fork --kill-child".split())
KEPT = ("PATH", "LANG", "LC_ALL", "PYTHONPATH", "VIRTUAL_ENV", "SYSTEMROOT")  # of the grader's environment
TOO_LONG, ENDED = "TimeoutError", "DeadKernelError"  # names of errors that this module gives
BROKEN_OFF, UNREACHED = "it ended what ran it", "it was never reached: an earlier cell ends Python"
OVER = {"over": True}  # told when all cells are done


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one hand-in may use."""

    seconds: int = 180  # of one cell
    total: int = 900  # seconds of the whole notebook
    memory: int = 4_000  # MB of address space of a process
    files: int = 100  # MB that one file may have
    processes: int = 500  # and threads, of all its processes


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
    """How each code cell of a notebook ended, in order; those that time ran out for are not in the list."""
    ended: dict[str, Ended] = {}
    stopped: dict[str, Ended] = {}
    end = time.monotonic() + limits.total
    while True:
        asked = {"notebook": notebook, "limits": asdict(limits), "stopped": list(stopped), "alone": bool(apart())}
        told = _told(asked, end)
        ended |= {one["cell"]: Ended(**one) for one in told if "error" in one} | stopped
        if time.monotonic() >= end or told[-1] == OVER:
            return list(ended.values())
        last = Ended(**(told[-1].get("stopped") or {"cell": told[-1]["cell"], "error": ENDED, "message": BROKEN_OFF}))
        if last.cell in stopped:  # what an earlier cell left behind ends whatever runs
            code = [cell["id"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
            return [ended.get(cell) or Ended(cell, ENDED, UNREACHED) for cell in code]
        stopped[last.cell] = ended[last.cell] = last


def _told(asked: dict[str, Any], end: float) -> list[dict[str, Any]]:
    """What a process for one notebook tells, line by line, until it ends or its time does (`end`, by the monotonic
    clock); StoreError if it cannot begin. What it is asked and tells is in no folder: a notebook may remove all that
    has a name."""
    with (
        tempfile.TemporaryDirectory(prefix="g", ignore_cleanup_errors=True) as folder,
        tempfile.TemporaryFile() as question,
        tempfile.TemporaryFile() as answer,
        tempfile.TemporaryFile() as errors,
    ):
        question.write(json.dumps(asked).encode())
        question.seek(0)
        # The shell is the first process of a namespace: a kernel whose parent is the first thinks that it was left.
        name = __spec__.name if __spec__ else __name__
        command = [*apart(), "sh", "-c", '"$@"; exit $?', "sh", sys.executable, "-m", name, folder]
        own = {name: os.environ[name] for name in KEPT if name in os.environ}
        own["PYTHONPATH"] = os.pathsep.join(p for p in sys.path if p and not p.endswith("site-packages"))
        own |= {"HOME": folder, "TMPDIR": f"{folder}/work", "JUPYTER_RUNTIME_DIR": f"{folder}/r", "MPLBACKEND": "agg"}
        own |= {"OMP_NUM_THREADS": "1", "JUPYTER_PREFER_ENV_PATH": "1", "PYDEVD_DISABLE_FILE_VALIDATION": "1"}
        own |= {"IPYTHONDIR": f"{folder}/i", "MPLCONFIGDIR": f"{folder}/m"}
        process = subprocess.Popen(
            command, cwd=folder, env=own, start_new_session=True, stdin=question, stdout=answer, stderr=errors
        )
        try:
            process.wait(max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            pass
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        for file in (answer, errors):
            file.seek(0)
        told = [json.loads(line) for line in answer.read().splitlines(keepends=True) if line.endswith(b"\n")]
        if not told and time.monotonic() < end:
            said = errors.read().decode(errors="replace").strip().splitlines()
            raise StoreError(f"no notebook can be run here: {said[-1] if said else process.returncode}")
        return told


def limit(limits: Limits, alone: bool) -> None:
    """Limit this process and those that it will start; `alone`: in a namespace, which counts its own processes and not
    the user's others (root's are never limited)."""
    most = {
        resource.RLIMIT_AS: limits.memory * MB,
        resource.RLIMIT_FSIZE: limits.files * MB,
        resource.RLIMIT_CORE: 0,
        **({resource.RLIMIT_NPROC: limits.processes} if alone else {}),
    }
    for what, value in most.items():
        _, hard = resource.getrlimit(what)
        value = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(what, (value, value))


def execute(
    notebook: dict[str, Any], limits: Limits, stopped: Sequence[str], folder: Path, tell: Callable[[Any], None]
) -> None:
    """Run a notebook in this process's limits, and tell which cell is at work, how it ended, and in the end `OVER`.

    A cell that takes too long or ends the kernel is the last one. Those in `stopped` raise an error instead."""
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from traitlets.config import Config

    made = nbformat.reads(json.dumps(notebook), as_version=4)
    for cell in made.cells:
        if cell.id in stopped:
            cell.source = "raise RuntimeError()"
    client = NotebookClient(
        made,
        timeout=limits.seconds,
        kernel_name="python3",
        allow_errors=True,
        config=Config({"KernelManager": {"transport": "ipc", "ip": str(folder / "socket")}}),  # there may be no network
        startup_timeout=min(limits.total, 120),
    )
    (folder / "work").mkdir()
    started = folder / "i" / "profile_default" / "startup"
    started.mkdir(parents=True)
    (started / "exit.py").write_text("exit = quit = __import__('sys').exit")  # IPython's own end a later cell
    with client.setup_kernel(cwd=str(folder / "work")):
        for i, cell in enumerate(made.cells):
            tell({"cell": cell.id})
            try:
                client.execute_cell(cell, i)
            except CellTimeoutError:
                wrong = TOO_LONG, f"it took longer than {limits.seconds} s"
            except DeadKernelError:
                wrong = ENDED, "it ended Python, as does too much memory"
            except Exception as error:  # of this process: a cell that cannot be sent, or prints more than fits here
                wrong = type(error).__name__, str(error)
            else:
                tell(asdict(_ended(cell)))
                continue
            return tell({"stopped": asdict(Ended(cell.id, *wrong))})
    tell(OVER)


def _ended(cell: Any) -> Ended:
    for output in cell.outputs:
        if output.output_type == "error":
            return Ended(cell.id, output.ename, output.evalue)
    return Ended(cell.id)


def main() -> None:
    asked = json.load(sys.stdin)
    limit(own := Limits(**asked["limits"]), asked["alone"])
    told = os.dup(1)  # the kernel inherits 1, and not this
    os.dup2(2, 1)

    def tell(what: Any) -> None:
        os.write(told, json.dumps(what).encode() + b"\n")

    execute(asked["notebook"], own, asked["stopped"], Path(sys.argv[1]), tell)


if __name__ == "__main__":
    main()
