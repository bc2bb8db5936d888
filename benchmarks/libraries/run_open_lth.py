"""OpenLTH: its command line, `open_lth.py lottery`, with this schedule's options, in a folder of its own for results.

It is on no package index: $OPEN_LTH is a clone, $MNIST torchvision's folder of the data. Its network, initial weights
and images (standardised, all 60,000 for training) are its own. Its class for several machines cannot be made with
torch from 1.10 on (two orders of its bases), so that nothing of it is imported; torch's class for several cards stands
in its place, and neither is used here. Reads what it left on the disk, where it goes on if it
was broken off."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch
from measured import BATCH, BIASES, EPOCHS, LAYERS, LR, RATE, ROUNDS, TRIALS, WEIGHTS, Record

THEIRS = {"fc1": "fc_layers.0", "fc2": "fc_layers.1", "out": "fc"}
STARTED = (
    "import runpy, sys, torch; torch.nn.parallel.DistributedDataParallel = torch.nn.DataParallel; "
    "sys.path.insert(0, '.'); sys.argv[0] = 'open_lth.py'; runpy.run_path('open_lth.py', run_name='__main__')"
)
STEPS, PER_EPOCH = EPOCHS * -(-55_000 // BATCH), -(-60_000 // BATCH)
LAST = f"model_ep{STEPS // PER_EPOCH}_it{STEPS % PER_EPOCH}.pth"
OPTIONS = [
    "--default_hparams=mnist_lenet_300_100", "--optimizer_name=adam", f"--lr={LR}", f"--batch_size={BATCH}",
    f"--training_steps={STEPS}it", f"--pruning_fraction={RATE}", f"--levels={ROUNDS}", "--evaluate_only_at_end",
]  # fmt: skip


def read(file: Path) -> dict[str, np.ndarray]:
    """A state dict or masks by the names used here; masks have no biases."""
    state = torch.load(file, map_location="cpu")
    ours = {f"{layer}.{kind}": f"{THEIRS[layer]}.{kind}" for layer in LAYERS for kind in ("weight", "bias")}
    return {n: state[their].numpy() for n, their in ours.items() if their in state}


home = Path("home").resolve()
(home / "open_lth_datasets" / "mnist").mkdir(parents=True, exist_ok=True)
if not (home / "open_lth_datasets" / "mnist" / "MNIST").exists():
    (home / "open_lth_datasets" / "mnist" / "MNIST").symlink_to(os.environ["MNIST"])


def trained(trial: int) -> list[Path]:
    """The folders of levels that are finished, in order."""
    levels = [
        next(iter(home.glob(f"open_lth_data/*/replicate_{trial + 1}/level_{level}/main")), None)
        for level in range(ROUNDS + 1)
    ]
    return [level for level in levels if level is not None and (level / LAST).exists()]


record = Record(
    library="OpenLTH",
    call="open_lth.py lottery " + " ".join(OPTIONS[:1] + OPTIONS[-2:-1]) + " ...",
    optimizer="Adam, new each round",
    packages=["torch", "torchvision"],
)
record.given.test_images = (record.given.test_images - np.float32(0.1307)) / np.float32(0.3081)
spent = home / "seconds.json"  # of calls that ended: processor time, and the levels that it went into
for trial in range(TRIALS):
    there = len(trained(trial))
    command = [sys.executable, "-c", STARTED, "lottery", *OPTIONS, f"--replicate={trial + 1}", "--quiet"]
    began = os.times()
    subprocess.run(command, cwd=os.environ["OPEN_LTH"], env={**os.environ, "HOME": str(home)}, check=True)
    ended = os.times()
    seconds = ended.children_user + ended.children_system - began.children_user - began.children_system
    files = trained(trial)
    calls = [*(json.loads(spent.read_text()) if spent.exists() else []), [seconds, len(files) - there]]
    spent.write_text(json.dumps([call for call in calls if call[1]]))
    found = record.trial(read(files[0] / "model_ep0_it0.pth"))
    for level in files:
        masks = {n: m != 0 for n, m in read(level / "mask.pth").items()}
        begin, end = read(level / "model_ep0_it0.pth"), read(level / LAST)
        found.begin({n: begin[n] * masks[n] if n in WEIGHTS else begin[n] for n in (*WEIGHTS, *BIASES)}, masks)
        # a forward pass multiplies by the mask, so that a weight is used pruned even where a step moved it
        used = {n: end[n] * masks[n] if n in WEIGHTS else end[n] for n in (*WEIGHTS, *BIASES)}
        found.end(used, sum(int((end[n][~masks[n]] != 0).sum()) for n in WEIGHTS))
        says = json.loads((level / "sparsity_report.json").read_text())
        found.file(
            "mask", round(says["unpruned"] / says["total"], 4), {n: masks[n] for n in WEIGHTS}, found.rounds[-1]["kept"]
        )
seconds, levels = (sum(call[i] for call in json.loads(spent.read_text())) for i in (0, 1))
for found in record.trials:
    for level in found.rounds:  # all take the same: a mask is multiplied in
        level["seconds"] = round(seconds / levels, 2)
record.write(commit=os.environ["OPEN_LTH_COMMIT"], read=time.strftime("%Y-%m-%d", time.gmtime()))
