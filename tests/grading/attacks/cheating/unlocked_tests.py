"""Unlock the test cells and empty them; call them solutions."""

from tests.grading.attacks.classroom import edit, is_test


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, unlock)


def unlock(notebook, cells):
    for cell in cells.values():
        if is_test(cell):
            cell.source = "pass"
            cell.metadata["nbgrader"].update(locked=False, solution=True, checksum="0" * 32)
