#!/usr/bin/env bash
# What:    nbgrader 0.9.6, automatic points of a test cell
# Guess:   a test cell that raises nothing gets full points; what it shows does not matter.
# Happens: if the last expression of the cell is a number, that number is the points: a cell worth 5 that ends in the
#          accuracy it has just approved gets 0.97, one that ends in a count of 0 wrong answers gets none. A number
#          above the maximum is an error of the grader, -1 or True gets all five.
# Matters: tests of a course on experiments end in looking at the result. Students with the better network lose points,
#          those with an accuracy in percent stop the grading.
set -euo pipefail
. "$(dirname "$0")/python.sh" nbgrader==0.9.6 ipykernel==7.3.0
"$PY" - <<'P'
import sys
from nbclient import NotebookClient
from nbformat import v4
from nbgrader.utils import determine_grade

TESTS = {"nothing": "assert accuracy > 0.9", "accuracy": "assert accuracy > 0.9\naccuracy", "wrong answers": "0"}
graded = {"grade": True, "solution": False, "locked": True, "points": 5, "schema_version": 3, "task": False}
cells = [
    v4.new_code_cell(test, metadata={"nbgrader": {**graded, "grade_id": f"test-{i}"}})
    for i, test in enumerate(TESTS.values())
]
notebook = v4.new_notebook(cells=[v4.new_code_cell("accuracy = 0.97"), *cells])
NotebookClient(notebook, kernel_name="python3").execute()
points = {name: determine_grade(cell)[0] for name, cell in zip(TESTS, notebook.cells[1:], strict=True)}
print("points of 5 by what the passing test cell shows last:", points)
sys.exit(points != {"nothing": 5, "accuracy": 0.97, "wrong answers": 0})
P
