#!/usr/bin/env bash
# Run a command on a GPU of this host that no other command started this way uses: on-a-gpu.sh COMMAND...
# A scheduler that chose one (CUDA_VISIBLE_DEVICES) is obeyed. The lock goes when the command ends, however it ends.
set -euo pipefail
if [ -n "${CUDA_VISIBLE_DEVICES:-}" ] && [ -n "${SLURM_JOB_ID:-}${ON_A_GPU_CHOSEN:-}" ]; then
    exec "$@"
fi
locks="${TMPDIR:-/tmp}/on-a-gpu-$(id -u)"
mkdir -p "$locks"
# The GPUs to share out: those that the user names, else all.
IFS=, read -ra gpus <<< "${CUDA_VISIBLE_DEVICES:-$(nvidia-smi --query-gpu=index --format=csv,noheader | paste -sd, -)}"
while true; do
    for gpu in "${gpus[@]}"; do
        exec 9> "$locks/$gpu"
        if flock --nonblock 9; then
            CUDA_VISIBLE_DEVICES="$gpu" ON_A_GPU_CHOSEN=1 exec "$@"
        fi
    done
    sleep 5
done
