#!/usr/bin/env bash
# What:    import-linter 2.17, a `forbidden` contract between two packages
# Guess:   if the contract "app never imports lib.heavy" is kept, `import app` does not load lib.heavy.
# Happens: app imports `lib.light`. Python runs `lib/__init__.py` first, which re-exports from `lib.heavy`, so it is
#          loaded; the graph of imports has no edge from a module to the package above it, and the contract is kept.
# Matters: contracts keep light parts light (a student's page without torch, a reader without the trainer). Re-exports
#          in an `__init__`, the usual way to a short public name, undo them unseen. A test that imports and looks at
#          sys.modules sees it.
set -euo pipefail
. "$(dirname "$0")/python.sh" import-linter==2.17
"$PY" - <<'P'
import os, subprocess, sys, tempfile
from pathlib import Path

FILES = {
    "lib/__init__.py": "from lib.heavy import work\n",
    "lib/heavy.py": "work = 1\n",
    "lib/light.py": "name = 'light'\n",
    "app/__init__.py": "from lib.light import name\n",
    ".importlinter": "[importlinter]\nroot_packages =\n    app\n    lib\n[importlinter:contract:light]\nname = light\n"
    "type = forbidden\nsource_modules =\n    app\nforbidden_modules =\n    lib.heavy\n",
}
with tempfile.TemporaryDirectory() as folder:
    for name, text in FILES.items():
        (Path(folder) / name).parent.mkdir(exist_ok=True)
        (Path(folder) / name).write_text(text)

    def run(code: str) -> subprocess.CompletedProcess:
        environment = {**os.environ, "PYTHONPATH": folder}
        return subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True)

    linted = run("from importlinter.cli import lint_imports_command as lint; lint()")
    loaded = run("import sys, app; print('lib.heavy' in sys.modules)").stdout.strip()
kept = linted.returncode == 0 and "1 kept, 0 broken" in linted.stdout
print(f"contract kept: {kept}; lib.heavy loaded by `import app`: {loaded}")
sys.exit(not (kept and loaded == "True"))
P
