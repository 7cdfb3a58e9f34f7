"""A helper function, in its own plain cell before the answer that uses it."""

import nbformat

from tests.grading.attacks.classroom import edit

ANSWERS = {"double": "def double(array):\n    return times(array, FACTOR)\n"}


def submit(folder):
    edit(folder / "numbers.ipynb", add)


def add(notebook, cells):
    helper = "FACTOR = 2\n\n\ndef times(array, factor):\n    return factor * array\n"
    place = notebook.cells.index(cells["double"])
    notebook.cells.insert(place, nbformat.v4.new_code_cell(helper))
