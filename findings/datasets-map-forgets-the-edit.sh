#!/usr/bin/env bash
# What:    datasets 5.2.0 (Hugging Face), Dataset.map with a function that a module defines
# Guess:   results are kept by a hash of the function, so that an edited function is computed anew. (For one of the
#          running script it is so.)
# Happens: a function of a module is hashed by its name. Edit its file, start a new process: map gives the old results,
#          without a word. A lambda around it does not help, and what it calls in other modules is not looked at either.
# Matters: preprocessing lives in a module once it is used by more than one notebook. A paper that is executed again
#          after a mistake in it was mended shows the numbers of the mistake, and those who clone it get others.
set -euo pipefail
. "$(dirname "$0")/python.sh" datasets==5.2.0 pyarrow==26.0.1 pandas==3.1.1 numpy==2.4.6
work=$(mktemp -d)
cd "$work"
export HF_HOME=$work/home HF_HUB_OFFLINE=1 HF_DATASETS_DISABLE_PROGRESS_BARS=1 PYTHONDONTWRITEBYTECODE=1
printf 'x\n1\n2\n3\n' > numbers.csv
cat > run.py <<'P'
import datasets
import prepare


def here(row):
    return {"y": row["x"] * FACTOR}


data = datasets.load_dataset("csv", data_files="numbers.csv", split="train")
columns = [data.map(f)["y"][:] for f in (prepare.scaled, lambda row: prepare.scaled(row), here)]
print(*columns, sep="; ")
P
run() {  # with the factor $1 in the module and in the script
    printf 'def scaled(row):\n    return {"y": row["x"] * %s}\n' "$1" > prepare.py
    sed "s/FACTOR/$1/" run.py > now.py
    PYTHONPATH=$work "$PY" now.py 2>/dev/null
}
first=$(run 2)
second=$(run 100)
rm -r "$HF_HOME"
third=$(run 100)
echo "times 2, by the module's function, a lambda around it, a function of the script: $first"
echo "edited to times 100, a new process: $second"
echo "the same without what was kept:     $third"
cd / && rm -r "$work"
[ "$first" = "[2, 4, 6]; [2, 4, 6]; [2, 4, 6]" ]
[ "$second" = "[2, 4, 6]; [2, 4, 6]; [100, 200, 300]" ]
[ "$third" = "[100, 200, 300]; [100, 200, 300]; [100, 200, 300]" ]
