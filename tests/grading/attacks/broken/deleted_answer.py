"""An answer cell was deleted: only its points are lost."""

from tests.grading.attacks.classroom import edit

EARNED = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", delete)


def delete(notebook, cells):
    notebook.cells.remove(cells["double"])
