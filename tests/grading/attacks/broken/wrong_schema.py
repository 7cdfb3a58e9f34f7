"""The metadata says another schema version."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", change)


def change(notebook, cells):
    for cell, version in zip(cells.values(), (1, 2, 99, "three", None, 3), strict=False):
        cell.metadata["nbgrader"]["schema_version"] = version
