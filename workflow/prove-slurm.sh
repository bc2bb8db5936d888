#!/usr/bin/env bash
# The workflow on a real Slurm without accounting, on this one host: a figure at quick scale runs as three jobs, one is killed with SIGKILL,
# the workflow runs again, and the store is complete and equal, bit for bit, to one that a single process made.
#
#   workflow/prove-slurm.sh        as root on Debian or Ubuntu; installs slurm-wlm and munge if they are not there
#
# Controller, node and keys live in a folder of their own and are stopped and deleted at the end. Only a link in
# /etc/slurm points there meanwhile: Snakemake's jobs drop SLURM_CONF. A machine that has a Slurm already is left alone.
set -euo pipefail
cd "$(dirname "$0")/.."

FIGURE=iclr-fig04
SCALE="--profile quick --dataset digits --trials 3"
say() { printf '\n== %s\n' "$*"; }
[ "$(id -u)" = 0 ] || { echo "prove-slurm.sh: Slurm's daemons need root here."; exit 2; }

if ! command -v slurmctld sbatch munged > /dev/null; then
    say "installing Slurm"
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends slurm-wlm munge > /dev/null
fi
make --silent workflow

WORK=$(mktemp -d)
chmod 755 "$WORK"
CONF=/etc/slurm/slurm.conf
[ ! -e "$CONF" ] || { echo "prove-slurm.sh: this machine has a Slurm already ($CONF)."; exit 2; }
mkdir -p /etc/slurm
ln -sf "$WORK/slurm.conf" "$CONF"

stop() {
    status=$?
    scancel --quiet --partition=main 2> /dev/null || true
    for name in snakemake slurmd slurmctld munged; do
        if [ -s "$WORK/$name.pid" ]; then kill "$(cat "$WORK/$name.pid")" 2> /dev/null || true; fi
    done
    if [ "$status" != 0 ]; then tail -v -n 30 "$WORK"/*.log "$WORK"/joblogs/*/*/*.log 2> /dev/null || true; fi
    sleep 1
    rm -rf "$WORK" "$CONF"
    exit "$status"
}
trap stop EXIT

say "starting Slurm"
install -d -o munge -g munge -m 755 "$WORK/munge"
dd if=/dev/urandom of="$WORK/munge/key" bs=128 count=1 status=none
chown munge "$WORK/munge/key" && chmod 600 "$WORK/munge/key"
runuser -u munge -- munged --key-file="$WORK/munge/key" --socket="$WORK/munge/socket" --pid-file="$WORK/munge/pid" \
    --log-file="$WORK/munge/log" --seed-file="$WORK/munge/seed"
cp "$WORK/munge/pid" "$WORK/munged.pid"
HOST=$(hostname -s)
cat > "$WORK/slurm.conf" << END
ClusterName=proof
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=16817
SlurmdPort=16818
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$WORK/munge/socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation=$WORK/state
SlurmdSpoolDir=$WORK/spool
SlurmctldPidFile=$WORK/slurmctld.pid
SlurmdPidFile=$WORK/slurmd.pid
SlurmctldLogFile=$WORK/slurmctld.log
SlurmdLogFile=$WORK/slurmd.log
ReturnToService=2
MpiDefault=none
NodeName=$HOST NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.9)}' /proc/meminfo) State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES State=UP
END
mkdir "$WORK/state" "$WORK/spool"
slurmctld
slurmd
for _ in $(seq 600); do
    [ "$(sinfo --noheader --format=%t 2> /dev/null)" = idle ] && break
    sleep 0.5
done
sinfo

PYTHON=$PWD/.venv/bin/python
say "one process, for comparison"
$PYTHON -m lth_core run $FIGURE $SCALE --device cpu --store "$WORK/single" --quiet

workflow() { # in a subshell, which becomes Snakemake: its process number is Snakemake's own
    exec _build/snakemake/bin/snakemake train --workflow-profile workflow/profiles/slurm --jobs 3 --retries 0 \
        --seconds-between-status-checks 2 --slurm-init-seconds-before-status-checks 4 \
        --latency-wait 5 --slurm-logdir "$WORK/joblogs" --config python="$PYTHON" figures=$FIGURE profile=quick \
        dataset=digits trials=3 shards=3 device=cpu threads=1 memory=2000 store="$WORK/store" "$@"
}

say "three jobs; one is killed"
(workflow) > "$WORK/first.log" 2>&1 &
echo $! > "$WORK/snakemake.pid"
killed=""
mkdir -p "$WORK/store/cells"
while kill -0 "$(cat "$WORK/snakemake.pid")" 2> /dev/null; do
    cells=$(find "$WORK/store/cells" -name cell.json 2> /dev/null | wc -l)
    job=$(squeue --noheader --states=RUNNING --format=%i | head -n 1)
    if [ "$cells" -ge 8 ] && [ -n "$job" ]; then
        squeue
        # scancel would ask first (SIGTERM), and the run would stop in good order: this is the machine that dies
        for process in $(scontrol listpids "$job" | awk 'NR > 1 {print $1}'); do
            if tr '\0' ' ' < "/proc/$process/cmdline" 2> /dev/null | grep -q "python -m lth_core run"; then
                kill -9 "$process" && killed=$job
            fi
        done
        [ -z "$killed" ] || break
    fi
    sleep 0.2
done
[ -n "$killed" ] || { echo "no job was caught running"; exit 1; }
if wait "$(cat "$WORK/snakemake.pid")"; then echo "the workflow did not notice"; exit 1; fi
rm "$WORK/snakemake.pid"
if $PYTHON -m lth_core status $FIGURE $SCALE --store "$WORK/store"; then echo "nothing was left to do"; exit 1; fi
echo "job $killed was killed with $cells networks stored; the workflow said:"
grep -m 3 -E "failed, SLURM|Error in rule" "$WORK/first.log"

say "the workflow again"
(workflow) > "$WORK/second.log" 2>&1
grep -E "^(shard|total) " "$WORK/second.log" | head -n 2

say "complete, and equal to the single process?"
$PYTHON -m lth_core status $FIGURE $SCALE --store "$WORK/store"
$PYTHON - "$WORK/single" "$WORK/store" << 'COMPARE'
import sys
import numpy as np
from lth_core.store import Store

a, b = map(Store, sys.argv[1:])
assert a.keys() == b.keys(), (len(a.keys()), len(b.keys()))
for key in a.keys():
    x, y = a.read(key), b.read(key)
    assert x.curves.equals(y.curves) and all(np.array_equal(x.weights[n], y.weights[n]) for n in x.weights), key
print(f"{len(a.keys())} networks, equal bit for bit")
COMPARE
