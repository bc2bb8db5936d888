"""What libraries that offer lottery tickets do, each in an environment of its own: makes `results/libraries.json`.

    python benchmarks/libraries/run.py [--folder FOLDER] [--open-lth FOLDER] [--publish] [--forget] [NAME ...]

For each library it makes an environment (pinned packages from the package index), runs `run_NAME.py` in it with one
thread, and keeps the raw facts as FOLDER/facts/NAME.json. A library whose facts are there is not run again, so a run
that was broken off goes on; delete its file to measure it again. `--publish` makes results/libraries.json of the facts
that are there (`collect.py`). `--forget` deletes the environments at the end (0.2 to 3 GB each). Not part of the tests:
an hour on one core. OpenLTH is on no package index: clone github.com/facebookresearch/open_lth and name its folder.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
from pathlib import Path

import collect
import measured
import numpy as np

from lth_core import data
from lth_core.models import initial
from lth_core.spec import Spec

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
TORCH = "torch==2.13.0"
BESIDE = "torch===2.13.0"  # not a build such as 2.13.0+cpu, beside which the index's torchvision cannot be imported
LIBRARIES = {  # name -> packages of its environment; None: the one that runs this
    "lth_core": None,
    "lth_core_own": None,
    "torch_prune": [TORCH, "numpy==2.4.6"],
    "torch_ao": [TORCH, "numpy==2.4.6"],
    "lightning": [TORCH, "numpy==2.4.6", "pytorch-lightning==2.6.6"],
    "fasterai": [BESIDE, "torchvision==0.28.0", "numpy==2.4.6", "fastai==2.8.12", "fasterai==0.4.1"],
    "kd_lib": [TORCH, "numpy==2.4.6", "--no-deps", "kd-lib==0.0.32"],
    "keras3": ["tensorflow-cpu==2.21.0", "keras==3.15.0", "lottery-ticket-pruner==0.8.1"],
    "keras2": ["tensorflow-cpu==2.12.0", "keras==2.12.0", "numpy==1.23.5", "lottery-ticket-pruner==0.8.1"],
    "open_lth": [BESIDE, "torchvision==0.28.0", "numpy==1.26.4", "pillow==13.0.0"],
}
SCRIPTS = {"keras2": "run_keras.py", "keras3": "run_keras.py"}
OPEN_LTH = "2ce732fe48abd5a80c10a153c45d397b048e980c"


def given(file: Path) -> None:
    """The images, and each trial's division and initial weights, as `lth_core` has them."""
    mnist = data.load("mnist")
    parts = {
        "images": mnist.pool_images, "labels": mnist.pool_labels,
        "test_images": mnist.test_images, "test_labels": mnist.test_labels,
    }  # fmt: skip
    for trial in range(measured.TRIALS):
        parts[f"{trial} train"] = mnist.split(0, trial)[0]
        parts |= {f"{trial} {n}": x for n, x in initial(Spec(trial=trial, **collect.RECIPE)).items()}
    np.savez(file, **parts)


def environment(folder: Path, packages: list[str]) -> Path:
    """The Python of an environment that has these packages; made if it is not there, or was broken off."""
    python, whole = folder / "bin" / "python", folder / "whole"
    if not whole.exists():
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        groups = [packages]
        if "--no-deps" in packages:  # what its own requirements name is no longer there
            at = packages.index("--no-deps")
            groups = [packages[:at], packages[at:]]
        for group in groups:
            subprocess.run([python, "-m", "pip", "install", "--quiet", *group], check=True)
        whole.touch()
    return python


def commit(clone: Path) -> str:
    """The commit that a clone has checked out."""
    return subprocess.run(["git", "-C", clone, "rev-parse", "HEAD"], capture_output=True, text=True).stdout.strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(LIBRARIES)}; default: all")
    parser.add_argument("--folder", type=Path, default=Path.home() / ".cache" / "lth" / "libraries")
    parser.add_argument("--open-lth", type=Path, help=f"a clone of OpenLTH, commit {OPEN_LTH[:12]}")
    parser.add_argument("--publish", action="store_true", help="write results/libraries.json")
    parser.add_argument("--forget", action="store_true", help="delete the environments at the end")
    args = parser.parse_args()
    if unknown := set(args.names) - set(LIBRARIES):
        parser.error(f"no library {', '.join(sorted(unknown))}; allowed: {', '.join(LIBRARIES)}")
    folder = args.folder.resolve()
    (folder / "facts").mkdir(parents=True, exist_ok=True)
    start = folder / "start.npz"
    given(start)
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")
    for name in args.names or LIBRARIES:
        out, work = folder / "facts" / f"{name}.json", folder / "work" / name
        if out.exists():
            print(f"{name}: there")
            continue
        if name == "open_lth" and args.open_lth is None:
            print("open_lth: left out, since --open-lth names no clone")
            continue
        if name == "open_lth" and (at := commit(args.open_lth)) != OPEN_LTH:
            parser.error(f"{args.open_lth} is at {at or 'no commit'}: git -C {args.open_lth} checkout {OPEN_LTH}")
        packages = LIBRARIES[name]
        python = Path(sys.executable) if packages is None else environment(folder / name, packages)
        if name != "open_lth":  # which goes on in its folder where it was broken off
            shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True, exist_ok=True)
        env = {**os.environ, **one_thread, "PYTHONPATH": str(ROOT if packages is None else HERE)}
        if name == "open_lth":
            env |= {"OPEN_LTH": str(args.open_lth.resolve()), "OPEN_LTH_COMMIT": OPEN_LTH}
            env |= {"MNIST": str(data.folder() / "MNIST")}
        print(f"{name}: {measured.TRIALS} searches of {measured.ROUNDS} rounds", flush=True)
        script = HERE / SCRIPTS.get(name, f"run_{name}.py")
        subprocess.run([python, script, start, out], cwd=work, env=env, check=True)
        shutil.rmtree(work)
        if args.forget and packages is not None:
            shutil.rmtree(folder / name)
    if args.publish:
        collect.publish(folder / "facts")


if __name__ == "__main__":
    main()
