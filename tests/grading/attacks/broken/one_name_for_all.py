"""Every cell carries the same grade_id."""

from tests.grading.attacks.classroom import edit

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", rename)


def rename(notebook, cells):
    for cell in cells.values():
        cell.metadata["nbgrader"]["grade_id"] = "double"
