#!/usr/bin/env bash
# What:    torch 2.11.0, torch.set_flush_denormal on a CPU
# Guess:   it holds for the process: after it returned True, no operation leaves a denormal number.
# Happens: it holds for the thread that calls it, and for threads made later. The pool that shares out large operations
#          is made by the first large operation. If that came before, the part of a tensor that the calling thread
#          computes is flushed to zero and the rest is not: one product, two arithmetics, in blocks that depend on the
#          number of threads. Called before the first large operation it does what one expects.
# Matters: long trainings of very sparse networks under weight decay push optimizer moments into denormals, which slow
#          a step down many times; whoever turns flushing on after building the model gets part of the speed, and results
#          that depend on how many threads there were.
set -euo pipefail
. "$(dirname "$0")/python.sh" torch==2.11.0 numpy==2.4.6
"$PY" - <<'P'
import subprocess, sys

CODE = """
import torch
torch.set_num_threads(2)
if {early}: torch.set_flush_denormal(True)
x = torch.full((1_000_000,), 1e-30)  # a large operation: the pool is there from here on
assert torch.set_flush_denormal(True)
print(((x * 1e-10) == 0).double().mean().item())
"""
late, early = (
    float(subprocess.run([sys.executable, "-c", CODE.format(early=e)], capture_output=True, text=True, check=True).stdout)
    for e in (False, True)
)
print(f"share of 1e-40 that became 0: called after the first large operation {late:.3f}, before it {early:.3f}")
sys.exit(not (0 < late < 1 and early == 1))
P
