"""Past one machine: shards as Snakemake jobs, one process a GPU, a real Slurm."""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from places import ROOT, absent
from tiny import same_cells

from lth_companion.experiments import catalogue
from lth_core import tickets
from lth_core.store import Store

SNAKEMAKE = ROOT / "_build" / "snakemake" / "bin" / "snakemake"
SCALE = ["profile=quick", "dataset=digits", "trials=2", "figures=iclr-fig03", "shards=2", "device=cpu", "threads=1"]


@pytest.fixture(scope="module")
def snakemake() -> str:
    """Snakemake in an environment of its own, made by `make workflow`."""
    if not SNAKEMAKE.exists():
        subprocess.run(["make", "workflow"], cwd=ROOT, check=True)
    return str(SNAKEMAKE)


def test_settings_are_the_command_lines_own() -> None:
    settings = yaml.safe_load((ROOT / "workflow" / "config.yaml").read_text())
    assert settings["profile"] in catalogue.PROFILES
    assert all(catalogue.figures_of(name) for name in settings["figures"])
    for profile in (ROOT / "workflow" / "profiles").iterdir():
        assert yaml.safe_load((profile / "config.yaml").read_text())


def test_each_gpu_has_one_process(tmp_path: Path) -> None:
    """Four commands, two GPUs: each has one, two at a time; a killed one leaves its GPU to the next."""
    if not shutil.which("flock"):
        absent("no flock on this machine")
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "4,7", "TMPDIR": str(tmp_path)}
    environment.pop("SLURM_JOB_ID", None)
    hold = "echo $CUDA_VISIBLE_DEVICES; exec sleep 3600"
    script = ["bash", str(ROOT / "workflow" / "on-a-gpu.sh"), "bash", "-c", hold]
    first, second = (
        subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(2)
    )  # fmt: skip
    assert first.stdout and second.stdout
    taken = first.stdout.readline().strip(), second.stdout.readline().strip()
    assert sorted(taken) == ["4", "7"]
    third = subprocess.Popen(script, env=environment, stdout=subprocess.PIPE, text=True)
    assert third.stdout and not select.select([third.stdout], [], [], 1)[0]  # it waits
    first.kill()
    first.wait()
    assert third.stdout.readline().strip() == taken[0]
    for process in (second, third):
        process.kill()
        process.wait()
    within = subprocess.run(
        [*script[:2], "bash", "-c", "echo $CUDA_VISIBLE_DEVICES"], capture_output=True, text=True,
        env={**environment, "SLURM_JOB_ID": "1", "CUDA_VISIBLE_DEVICES": "3"},
    )  # fmt: skip
    assert within.stdout.strip() == "3"  # the scheduler's choice stands


@pytest.mark.slow
def test_snakemake_on_one_machine(snakemake: str, tmp_path: Path) -> None:
    """Two shards, as jobs of their own, make what one process makes; run again, there is nothing to do."""
    command = [snakemake, "--cores", "2", "--config", *SCALE, f"store={tmp_path / 'store'}", f"python={sys.executable}"]
    command += ["--directory", str(ROOT), "--nolock", "--", "train"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    tickets.run(
        catalogue.rows("iclr-fig03", "quick", trials=2, dataset="digits"), Store(tmp_path / "one"), device="cpu"
    )
    assert same_cells(Store(tmp_path / "one"), Store(tmp_path / "store"))
    again = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert again.returncode == 0 and "Nothing to be done" in again.stderr + again.stdout


@pytest.mark.slow
def test_the_book_comes_last(snakemake: str, tmp_path: Path) -> None:
    """The order of the whole, for a cluster's profile too."""
    for more in (["--cores", "2"], ["--workflow-profile", "workflow/profiles/slurm"],
                 ["--workflow-profile", "workflow/profiles/gpus"]):  # fmt: skip
        command = [snakemake, *more, "--dry-run", "--nolock", "--config", f"store={tmp_path}", "--", "book"]
        planned = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
        text = planned.stderr + planned.stdout
        assert planned.returncode == 0, text
        at = [text.index(f"rule {name}:") for name in ("shard", "train", "publish", "claims", "book")]
        assert at == sorted(at)


@pytest.mark.slow
def test_on_a_real_slurm(snakemake: str) -> None:
    """workflow/prove-slurm.sh: three jobs, one killed, run again, equal to a single process."""
    if os.getuid():
        absent("Slurm's daemons need root.")
    proof = subprocess.run([ROOT / "workflow" / "prove-slurm.sh"], cwd=ROOT, capture_output=True, text=True)
    assert proof.returncode == 0, proof.stdout + proof.stderr
    assert "equal bit for bit" in proof.stdout
