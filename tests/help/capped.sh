#!/usr/bin/env bash
# Chosen test files as on other people's machines: with fewer instructions, one core, other numbers of threads, another
# working folder, a user who is not root, a home that nobody can write. Prints a line a setting, fails if one did.
#
# tests/help/capped.sh [SETTING...]    all of them take over half an hour on two cores; LTH_FILES names other test files
set -u
root=$(cd "$(dirname "$0")/../.." && pwd)
python=$root/.venv/bin/python
scratch=$(mktemp -d) && chmod 755 "$scratch"
trap 'rm -rf "$scratch"' EXIT
files=${LTH_FILES:-method audit folder cli sparse spec dense}
paths=$(for name in $files; do find "$root/tests" -name "test_$name.py"; done)
export PYTHONPATH=$root${PYTHONPATH:+:$PYTHONPATH}

suite() { # in the folder $1, with the remaining words before the command (env, taskset, ...)
    local folder=$1
    shift
    (cd "$folder" && "$@" "$python" -m pytest -n 1 -p no:cacheprovider -m "not slow" --rootdir "$root" \
        -c "$root/pyproject.toml" --basetemp "$folder/pytest" $paths)
}

folder() { # a new one, owned by the user $2
    mkdir "$scratch/$1" && chown "${2:-$(id -un)}" "$scratch/$1" && echo "$scratch/$1"
}

avx2=(env ATEN_CPU_CAPABILITY=avx2 ONEDNN_MAX_CPU_ISA=AVX2 MKL_ENABLE_INSTRUCTIONS=AVX2 NUMBA_CPU_NAME=haswell)
one_core=(taskset -c "$("$python" -c 'import os; print(min(os.sched_getaffinity(0)))')")
no_home=(env -u XDG_CACHE_HOME -u XDG_CONFIG_HOME HOME=/dev/null)
# may read everything, because the interpreter can be in root's home, but write nothing of others
nobody=(setpriv --reuid nobody --regid "$(id -g nobody)" --clear-groups
    --inh-caps +dac_read_search --ambient-caps +dac_read_search)

checkout() { # this commit in the folder $1, with the book as it is built, all of it nobody's
    git clone --quiet "$root" "$1" && ln -s "$root/.venv" "$1/.venv" || return
    (cd "$root" && find _build/html _build/*.json _artefacts book -type f -print0 2>/dev/null |
        xargs -0 cp --parents --preserve=timestamps --no-clobber --target-directory "$1")
    chown -R nobody: "$1"
}

tried() { # one setting by its name
    local here
    here=$(folder "$1" "$([[ $1 = nobody || $1 = together ]] && echo nobody)") || return
    case $1 in
        sse) suite "$here" env ATEN_CPU_CAPABILITY=default ONEDNN_MAX_CPU_ISA=SSE41 MKL_ENABLE_INSTRUCTIONS=SSE4_2 ;;
        avx2) suite "$here" "${avx2[@]}" NUMBA_CACHE_DIR="$here/kernels" ;; # the kernels too, apart from this machine's own
        one-core) suite "$here" "${one_core[@]}" ;;
        threads-1) suite "$here" env OMP_NUM_THREADS=1 ;;
        threads-4) suite "$here" env OMP_NUM_THREADS=4 OMP_WAIT_POLICY=passive ;;
        no-home) suite "$here" "${no_home[@]}" ;;
        nobody) suite "$here" "${nobody[@]}" "${no_home[@]}" ;;
        together) # in a checkout of nobody's own, where what builds the book may write
            local own; own=$here/$(basename "$root") # a book is up to date in a folder of its own name
            checkout "$own" && root=$own PYTHONPATH=$own paths=${paths//$root/$own} \
                suite "$here" "${avx2[@]}" "${one_core[@]}" "${nobody[@]}" "${no_home[@]}" OMP_NUM_THREADS=1 \
                NUMBA_CACHE_DIR="$here/kernels" ;;
        *) echo "no such setting: $1 (one of: ${all[*]})" && return 2 ;;
    esac
}

all=(sse avx2 one-core threads-1 threads-4 no-home nobody together)
failed=0
for setting in "${@:-${all[@]}}"; do
    if [[ $setting = nobody || $setting = together ]] && [ "$(id -u)" != 0 ]; then
        echo "$setting: skipped, only root can become another user" && continue
    fi
    if tried "$setting" >"$scratch/$setting.log" 2>&1; then verdict=passed; else verdict=FAILED failed=1; fi
    [ "$verdict" = passed ] || grep -E '^(FAILED|ERROR|E  )|rror' "$scratch/$setting.log" | head -20
    echo "$setting: $verdict; $(tail -1 "$scratch/$setting.log")"
done
exit $failed
