"""Metadata of the wrong types, as a merge by hand leaves them."""

from tests.grading.attacks.classroom import edit

KEPT = {"softmax": 4, "scale": 3, "join": 2}


def submit(folder):
    edit(folder / "numbers.ipynb", change)


def change(notebook, cells):
    cells["test-double"].metadata["nbgrader"].update(points="many", grade="yes", locked=[])
    cells["mean_of"].metadata["nbgrader"] = []
    cells["answer"].metadata["nbgrader"]["grade_id"] = {"a": 1}
    notebook.metadata["kernelspec"] = "python"
