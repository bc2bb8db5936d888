#!/usr/bin/env bash
# What:    TensorBoard 2.21.0, EventAccumulator, over an event file of tensorboardX 2.6.5
# Guess:   reading a tag back gives every point that was written, or says that some are missing.
# Happens: of a curve of more than 10,000 points a random 10,000 are kept, from the first on, in silence. The last point
#          is always there, so that length and end look right; the sample is the same at each reading, so that it looks
#          stable. A minimum that falls into a hole is not found. `size_guidance={"scalars": 0}` reads all.
# Matters: early-stopping iterations are minima of validation curves; at an evaluation a step over 12,000 iterations, or
#          training losses by step, this gives another iteration, thousands off where curves are noisy, with the file
#          whole.
set -euo pipefail
. "$(dirname "$0")/python.sh" tensorboard==2.21.0 tensorboardX==2.6.5 numpy==2.4.6
"$PY" - <<'P'
import sys, tempfile
import numpy as np
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboardX import SummaryWriter

POINTS = 12_000


def read(minimum: int, **options) -> dict[int, float]:
    """A noisy validation loss with its minimum at one step, written and read back."""
    losses = np.random.default_rng(1).uniform(0.11, 0.12, POINTS)
    losses[minimum] = 0.109
    with tempfile.TemporaryDirectory() as folder:
        with SummaryWriter(folder) as writer:
            for step in range(POINTS):
                writer.add_scalar("loss", losses[step], step)
        events = EventAccumulator(folder, **options)
        events.Reload()
        return {event.step: event.value for event in events.Scalars("loss")}


kept = read(0)
hole = min(set(range(POINTS)) - set(kept), key=lambda step: abs(step - POINTS // 2))
curve, whole = read(hole), read(hole, size_guidance={"scalars": 0})
stopped, right = (min(c, key=c.get) for c in (curve, whole))
print(f"{len(curve)} of {POINTS} points; early stopping at {stopped}, read whole at {right}")
sys.exit(not (len(curve) == 10_000 and stopped != hole and right == hole and len(whole) == POINTS))
P
