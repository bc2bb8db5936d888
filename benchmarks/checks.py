"""What the checks of stores cost: merge and read of many cells, as a ratio to an earlier commit's.

python benchmarks/checks.py COMMIT [CELLS] [TIMES]    processor seconds of both, in turns; the ratio of the least

8ecfd3f is the commit before cells were checked for what no training leaves. The cells are LeNet's at four rounds of
pruning and a control of each, as many evaluations as published ones have; all trials of a row have the same numbers.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EVALUATIONS = 126


def lay(folder: Path, cells: int) -> None:
    """A store of so many cells, made here without training."""
    import numpy as np

    from lth_core import prune, starts
    from lth_core.models import MEASURED, Network, Trained, initial
    from lth_core.spec import Spec
    from lth_core.store import Store
    from lth_core.store.cell import encode, key_of, own_digest

    rng = np.random.default_rng(0)
    first = Spec(iterations=100 * (EVALUATIONS - 1), eval_every=100)
    at = np.arange(EVALUATIONS, dtype=np.int32) * 100
    losses = {c: rng.random(EVALUATIONS).astype(np.float32) for c in MEASURED if c.endswith("loss")}
    counts = {c: rng.integers(0, 5_000, EVALUATIONS, np.int32) for c in MEASURED if c not in losses}
    curves = {"iteration": at, **{c: {**losses, **counts}[c] for c in MEASURED}}
    files, masks = {}, prune.full(first)
    for n in range(1, 5):
        ticket = first.at_round(n, prune_fc=0.5, prune_out=0.25)
        masks = prune.cut(ticket, initial(first), masks)
        for spec in (ticket, replace(ticket, arm="reinit")):
            network = starts.start(spec, masks)
            files[spec] = encode(
                Network(spec, network.weights, masks), Trained(curves, network.weights, 1.0, "sparse-cpu")
            )
    store, rows = Store(folder), [*files]
    for i in range(cells):
        spec = replace(rows[i % len(rows)], trial=i // len(rows))
        own = dict(files[rows[i % len(rows)]])
        cell = json.loads(own["cell.json"])
        cell.pop("digest")
        cell["spec"]["trial"] = spec.trial
        own["cell.json"] = json.dumps({**cell, "digest": own_digest(cell)}, indent=1).encode()
        target = store.folder(key_of(spec))
        target.mkdir(parents=True)
        for name, data in own.items():
            (target / name).write_bytes(data)


def seconds(work: Callable[[], object]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


def time_both(source: str, target: str) -> None:
    """With the `lth_core` on the path, an early one or this: processor seconds of a merge and a read of all cells."""
    from lth_core.store import Store

    try:
        from lth_companion.commands import main
    except ImportError:
        from lth_core.__main__ import main
    store = Store(source)
    keys = store.keys()
    read = seconds(lambda: [store.read(key) for key in keys])
    merged = seconds(lambda: main(["merge", source, "--store", target]))
    assert len(Store(target).keys()) == len(keys)
    print(json.dumps({"merge": merged, "read": read}))


def compare(commit: str, cells: int, times: int) -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        source, before = Path(folder) / "source", Path(folder) / "before"
        lay(source, cells)
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "-q", str(before), commit], check=True)
        found: dict[str, list[dict[str, float]]] = {"before": [], "now": []}
        try:
            for _ in range(times):
                for which, root in (("before", before), ("now", ROOT)):
                    target = Path(folder) / "target"
                    shutil.rmtree(target, ignore_errors=True)
                    command = [sys.executable, "-P", __file__, "time", str(source), str(target)]
                    own = {**os.environ, "PYTHONPATH": str(root), "OMP_NUM_THREADS": "1"}
                    run = subprocess.run(command, env=own, cwd=root, capture_output=True, text=True, check=True)
                    found[which].append(json.loads(run.stdout.splitlines()[-1]))
        finally:
            subprocess.run([*git, "remove", "--force", str(before)], check=True)
    for what in ("merge", "read"):
        least = {which: min(one[what] for one in all_) for which, all_ in found.items()}
        print(f"{what} of {cells:,} cells: {least['before']:.1f} s at {commit}, {least['now']:.1f} s now, "
              f"ratio {least['now'] / least['before']:.3f}")  # fmt: skip


if __name__ == "__main__":
    if sys.argv[1] == "time":
        time_both(*sys.argv[2:])
    else:
        cells_and_times = [int(n) for n in sys.argv[2:]] + [5_000, 3][len(sys.argv) - 2 :]
        compare(sys.argv[1], *cells_and_times)
