#!/bin/bash
# Without Snakemake: a Slurm array whose task i trains every n-th chain of rounds. From the project's folder:
#   mkdir -p logs; sbatch workflow/array-job.sh iclr-fig04
#SBATCH --array=1-5          # n tasks; more than there are chains (trials x sweep values) leaves some idle
#SBATCH --gpus=1             # leave out for LeNet: its sparse engine needs CPU cores only
#SBATCH --cpus-per-task=4
#SBATCH --mem=8G
#SBATCH --time=12:00:00
#SBATCH --requeue            # a task that is stopped goes on where it was: the store resumes
#SBATCH --signal=TERM@120    # two minutes before the end: stop where nothing is lost
#SBATCH --output=logs/%A-%a.txt
exec srun .venv/bin/python -m lth_core run "${@:-all}" --profile paper --quiet \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --store "${LTH_STORE:-_store}"
