"""An answer was split into two cells; the second lost its metadata."""

import nbformat

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", split)


def split(notebook, cells):
    place = notebook.cells.index(cells["double"])
    rest = nbformat.v4.new_code_cell(cells["double"].source)
    cells["double"].source = "factor = 2"
    notebook.cells.insert(place + 1, rest)
