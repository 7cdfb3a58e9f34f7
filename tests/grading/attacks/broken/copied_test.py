"""A test cell was copied with its grade_id."""

import copy

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", double)


def double(notebook, cells):
    again = copy.deepcopy(cells["test-double"])
    again.id = "again"
    notebook.cells.append(again)
