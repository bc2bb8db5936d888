#!/usr/bin/env bash
# What:    papermill 2.7.0, `execute_notebook(..., parameters={"levels": (0.2, 0.5)})`
# Guess:   the notebook gets a tuple or a list of two numbers, as its metadata says that it did.
# Happens: it gets the text "(0.2, 0.5)", ten characters, in a list of tuples too. The metadata of what was executed
#          say [0.2, 0.5]: the record of a run is not what ran. A list arrives as a list.
# Matters: levels and rates of pruning are written as tuples. A loop over them goes over brackets and digits, and
#          whoever checks the record of a published page sees the numbers that were meant.
set -euo pipefail
. "$(dirname "$0")/python.sh" papermill==2.7.0 ipykernel==7.4.0
"$PY" - <<'P'
import logging, sys, tempfile
from pathlib import Path
import nbformat, papermill as pm

logging.disable(logging.WARNING)  # it looks for declarations in comments
folder, cell = Path(tempfile.mkdtemp()), nbformat.v4.new_code_cell
asked = cell("levels = ()\nnested = []", metadata={"tags": ["parameters"]})
told = cell("print([type(levels).__name__, len(levels), type(nested[0]).__name__])")
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
notebook = nbformat.v4.new_notebook(cells=[asked, told], metadata={"kernelspec": kernel})
nbformat.write(notebook, folder / "a.ipynb")
given = {"levels": (0.2, 0.5), "nested": [(0.2, 0.5)]}
pm.execute_notebook(folder / "a.ipynb", folder / "b.ipynb", given, progress_bar=False)
run = nbformat.read(folder / "b.ipynb", as_version=4)
said, record = run.cells[-1].outputs[0].text.strip(), run.metadata.papermill.parameters
print(f"given {given}\narrived: {said}\nthe record says {dict(record)}")
sys.exit(said != "['str', 10, 'str']" or record != {"levels": [0.2, 0.5], "nested": [[0.2, 0.5]]})
P
