"""All metadata is gone, as after a conversion by another program."""

from tests.grading.attacks.classroom import edit

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", change)


def change(notebook, cells):
    notebook.metadata = {}
    for cell in notebook.cells:
        cell.metadata = {}
