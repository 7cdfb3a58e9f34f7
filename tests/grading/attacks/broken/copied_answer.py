"""An answer cell was copied with its grade_id; the first copy is a draft, the second is right."""

import copy

from tests.grading.attacks.classroom import edit

KEPT = {"mean_of": 2, "answer": 1, "softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", draft)


def draft(notebook, cells):
    first = copy.deepcopy(cells["double"])
    first.id, first.source = "draft", "def double(array):\n    return None\n"
    notebook.cells.insert(notebook.cells.index(cells["double"]), first)
