"""Empty every test cell, with its checksum removed."""

from tests.grading.attacks.classroom import edit, is_test


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, empty)


def empty(notebook, cells):
    for cell in cells.values():
        if is_test(cell):
            cell.source = "pass"
            cell.metadata["nbgrader"].pop("checksum", None)
