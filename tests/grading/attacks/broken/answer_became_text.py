"""An answer cell was turned into a text cell: it defines nothing."""

from tests.grading.attacks.classroom import edit

EARNED = {"mean_of": 2, "double": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}
KEPT = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", retype)


def retype(notebook, cells):
    cell = cells["double"]
    cell.cell_type = "markdown"
    for key in ("outputs", "execution_count"):
        cell.pop(key, None)
