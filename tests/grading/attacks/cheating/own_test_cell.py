"""Add a test cell of one's own, worth 100 points, that passes."""

import nbformat

from tests.grading.attacks.classroom import edit


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, add)


def add(notebook, cells):
    marks = {"grade": True, "solution": False, "locked": True, "points": 100, "schema_version": 3}
    cell = nbformat.v4.new_code_cell("pass")
    cell.metadata["nbgrader"] = {**marks, "grade_id": "test-mine", "cell_type": "code"}
    notebook.cells.append(cell)
