#!/usr/bin/env bash
# What:    papermill 2.7.0 with nbconvert 7.17.2: a cell of parameters that is tagged to be left out of the page
# Guess:   a notebook that hides its parameters hides them whatever they are.
# Happens: changed parameters go into a cell of their own behind the first, whose only tag is `injected-parameters`: none of
#          `remove-cell`, `remove-input`, `hide-input` passes on to it. Run as it is, the page hides all; run with one other
#          value, it begins with that assignment.
# Matters: an executable paper is looked at with its defaults and published with `-p profile paper`; then every page shows a
#          line of code that nobody saw before, and tags by which a site hides cells have to name `injected-parameters` too.
set -euo pipefail
. "$(dirname "$0")/python.sh" papermill==2.7.0 nbconvert==7.17.2 ipykernel==7.4.0 nbformat==5.11.1
cd "$(mktemp -d)"
"$PY" - <<'P'
import sys
import nbformat
import papermill
from nbconvert import HTMLExporter
from nbformat.v4 import new_code_cell, new_notebook
from traitlets.config import Config

hidden = new_code_cell("trials = 3", metadata={"tags": ["parameters", "remove-cell"]})
kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
nbformat.write(new_notebook(cells=[hidden, new_code_cell("trials + 100")], metadata={"kernelspec": kernel}), "paper.ipynb")
page = HTMLExporter(config=Config({
    "TagRemovePreprocessor": {"enabled": True, "remove_cell_tags": ["remove-cell"]},
    "HTMLExporter": {"preprocessors": ["nbconvert.preprocessors.TagRemovePreprocessor"]},
}))
shown = []
for changed in ({}, {"trials": 5}):
    papermill.execute_notebook("paper.ipynb", "out.ipynb", parameters=changed, progress_bar=False)
    tags = [cell.metadata.tags for cell in nbformat.read("out.ipynb", 4).cells]
    left, _ = page.from_filename("out.ipynb")
    shown.append(left.count('<div class="jp-InputArea jp-Cell-inputArea">'))
    print(f"with {changed or 'no other value'}: tags {tags}, the page shows {shown[-1]} cells")
sys.exit(shown != [1, 2])
P
