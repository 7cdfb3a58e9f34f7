"""Copies of the test cells with the same grade_id and outputs that show full marks."""

import copy

import nbformat

from tests.grading.attacks.classroom import edit, is_test


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, forge)


def forge(notebook, cells):
    for cell in [cell for cell in notebook.cells if is_test(cell)]:
        forged = copy.deepcopy(cell)
        forged.source, forged.id = "4", cell.id[:50] + "-forged"
        forged.outputs = [
            nbformat.v4.new_output("execute_result", data={"text/plain": "4"}, execution_count=9)
        ]
        notebook.cells.insert(notebook.cells.index(cell), forged)
