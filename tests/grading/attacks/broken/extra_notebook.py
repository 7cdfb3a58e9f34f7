"""A third notebook, a copy of the first with other answers."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    copy = folder / "numbers-copy.ipynb"
    copy.write_bytes((folder / "numbers.ipynb").read_bytes())
    edit(copy, spoil)


def spoil(notebook, cells):
    cells["double"].source = "double = None"
