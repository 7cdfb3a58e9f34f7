"""The order of the cells was changed: tests first, answers last."""

from tests.grading.attacks.classroom import edit, is_test


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, reorder)


def reorder(notebook, cells):
    notebook.cells.sort(key=lambda cell: not is_test(cell))
