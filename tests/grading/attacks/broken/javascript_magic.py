"""Cell magics that are not Python: %%javascript and %%bash in plain cells."""

import nbformat

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", add)


def add(notebook, cells):
    for source in ("%%javascript\nalert(1)", "%%bash\necho hello", "%%no_such_magic\nx"):
        notebook.cells.insert(2, nbformat.v4.new_code_cell(source))
