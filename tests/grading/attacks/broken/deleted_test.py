"""A test cell was deleted: the instructor's test runs all the same."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", delete)


def delete(notebook, cells):
    notebook.cells.remove(cells["test-double"])
