"""A solution cell that carries a test's grade_id in a look-alike form."""

from tests.grading.attacks.classroom import edit


def submit(folder):
    edit(folder / "numbers.ipynb", rename)


def rename(notebook, cells):
    cells["mean_of"].metadata["nbgrader"]["grade_id"] = "test-answer"
    cells["test-answer"].metadata["nbgrader"]["grade_id"] = "mean_of"
