"""Memory of one network in training: what each further network adds to a process, LeNet-300-100 on MNIST.

    python benchmarks/memory.py

Each measurement is a fresh process that trains 2 or 10 networks for 100 iterations and reports its peak.
"""

from __future__ import annotations

import subprocess
import sys

FEW, MANY = 2, 10
CODE = """
import re, sys
from lth_core.engines import choose
from lth_core import starts, data, tickets
from lth_core.spec import Spec
networks = [starts.network(Spec(iterations=100, trial=t).at_round(0)) for t in range(int(sys.argv[1]))]
for _ in choose.train_all(networks, data.load("mnist"), device="cpu", engine=sys.argv[2]):
    pass
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])  # ru_maxrss would count our parent too
"""


def peak(networks: int, engine: str) -> int:
    """Peak resident bytes of a process that trains so many networks."""
    command = [sys.executable, "-c", CODE, str(networks), engine]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return 1024 * int(done.stdout.split()[-1])


def rows() -> list[dict]:
    made = []
    for engine in ("dense", "sparse"):
        few, many = peak(FEW, engine), peak(MANY, engine)
        each = (many - few) / (MANY - FEW) / 2**20
        whole = {"benchmark": "memory, LeNet-300-100", "engine": engine, "unit": "MiB", "ratio": None}
        made.append({**whole, "setting": f"process with {FEW} networks, data included", "median": few / 2**20})
        made.append({**whole, "setting": "each further network", "median": each})
    return made


if __name__ == "__main__":
    for row in rows():
        print("{engine:8} {setting:44} {median:10,.1f} {unit}".format(**row))
