"""A test cell was turned into a text cell."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", retype)


def retype(notebook, cells):
    cell = cells["test-double"]
    cell.cell_type = "markdown"
    for key in ("outputs", "execution_count"):
        cell.pop(key, None)
