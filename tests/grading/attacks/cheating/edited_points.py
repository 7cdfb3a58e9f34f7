"""Write 100 points into the metadata of every test cell."""

from tests.grading.attacks.classroom import edit, is_test


def submit(folder):
    for path in folder.glob("*.ipynb"):
        edit(path, raise_points)


def raise_points(notebook, cells):
    for cell in cells.values():
        if is_test(cell):
            cell.metadata["nbgrader"]["points"] = 100
