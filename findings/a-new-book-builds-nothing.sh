#!/usr/bin/env bash
# What:    Jupyter Book 2.1.7 (which wants Node 20) in a folder with a valid project of version 1
# Guess:   `jupyter-book build --html` builds it, or ends with an error that names the change of format.
# Happens: without a terminal to ask on, it says "No site configuration found", builds no page and exits 0.
# Matters: a published executable book whose environment does not pin version 1 goes on to "pass" in CI and publishes an
#          empty folder, or what an earlier build left there.
set -euo pipefail
. "$(dirname "$0")/python.sh" jupyter-book==2.1.7
project=$(mktemp -d)
cd "$project"
printf 'title: A book\n' > _config.yml
printf 'format: jb-book\nroot: intro\nchapters:\n  - file: one\n' > _toc.yml
printf '# A page\n' > intro.md
printf '# Another\n' > one.md
set +e
said=$(timeout 120 "$PY" -m jupyter_book build --html < /dev/null 2>&1)
rc=$?
set -e
pages=$(find . -name '*.html' | wc -l)
cd /
rm -rf "$project"
echo "$said"
echo "exit status $rc, $pages pages"
test "$rc" -eq 0 && test "$pages" -eq 0 && grep -q "No site configuration found" <<< "$said"
