"""The cell with the imports was deleted."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "tensors.ipynb", delete)


def delete(notebook, cells):
    notebook.cells.remove(cells["setup"])
