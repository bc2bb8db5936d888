#!/usr/bin/env bash
# A slice of time on one GPU: gpu-slice.sh MINUTES OUT [FIGURE[:TRIALS] ...] [options]
# The core's tests, the benchmark, then figures in this order until the time is up, packed into OUT. Asks nothing of the
# network and leaves this folder as it is. `--help` lists the options; the data sets lie in LTH_DATA_DIR.
set -euo pipefail
here="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export PYTHONPATH="$here${PYTHONPATH:+:$PYTHONPATH}" PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
exec "${PYTHON:-python3}" -m lth_companion.share.gpu_slice "$@"
