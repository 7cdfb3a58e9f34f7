"""A small assignment written as cells, and an engine that serves a whole module of tests."""

from pathlib import Path

import nbformat
import pytest

from grading.engine.bundle import read_bundle
from grading.engine.pool import Engine, Submission


def cell(kind, name, source, points=None):
    """A cell of an nbgrader notebook; kind is answer, test, locked, written or plain."""
    if kind == "plain":
        return nbformat.v4.new_code_cell(source)
    marks = {
        "grade_id": name,
        "grade": kind in ("test", "written"),
        "solution": kind in ("answer", "written"),
        "locked": kind in ("test", "locked"),
        "task": False,
        "schema_version": 3,
    }
    if points is not None:
        marks["points"] = points
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": marks})


def notebook(*cells):
    """A notebook of such cells, as bytes."""
    made = nbformat.v4.new_notebook(cells=list(cells))
    for number, one in enumerate(made.cells):
        one.id = f"cell-{number}"
    return nbformat.writes(made).encode()


TESTS = {
    "double": """
assert double(2) == 4, "twice two is four"
### BEGIN HIDDEN TESTS
secret_expectation = 815 + 816
assert double(815.5) == secret_expectation, "a half is doubled too"
### END HIDDEN TESTS
""",
    "square": """
import numpy as np
np.testing.assert_allclose(square(np.arange(3.0)), [0, 1, 4])
assert square(3) == 9
""",
    "share": """
0.5 * (share(1) == 1) + 1.5 * (share(2) == 2)
""",
}
POINTS = {"double": 2, "square": 3, "share": 2}
RIGHT = {
    "double": "def double(x):\n    return 2 * x",
    "square": "def square(x):\n    return x * x",
    "share": "def share(n):\n    return n",
}


def submission(student="ada", *extra, **answers):
    """The notebook with right answers, except those that are given; extra cells at the end."""
    cells = [cell("locked", "setup", "import math\nimport helper")]
    for task, answer in (RIGHT | answers).items():
        cells.append(cell("answer", task, answer))
        cells.append(cell("test", f"test-{task}", "pass", POINTS[task]))
    cells += [cell("plain", "", source) for source in extra]
    return Submission(student, {"numbers.ipynb": notebook(*cells)})


def write_course(folder: Path, tests=None, policy="") -> None:
    """The instructor's edition."""
    cells = [cell("locked", "setup", "import math\nimport helper")]
    for task, test in (TESTS | (tests or {})).items():
        body = RIGHT[task].replace("    ", "    ### BEGIN SOLUTION\n    ", 1)
        cells.append(cell("answer", task, body + "\n    ### END SOLUTION"))
        cells.append(cell("test", f"test-{task}", test.strip(), POINTS[task]))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "numbers.ipynb").write_bytes(notebook(*cells))
    (folder / "helper.py").write_text("HELP = 1\n", encoding="utf-8")
    (folder / "grading.toml").write_text(policy, encoding="utf-8")


LIMITS = "[limits]\ncall_seconds = 1.5\ncell_seconds = 2.5\nmemory_mib = 256\n"


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    """The assignment with short limits."""
    folder = tmp_path_factory.mktemp("source") / "numbers"
    write_course(folder, policy=LIMITS)
    return read_bundle(folder, "numbers", {"COURSE_SEED": "5"})


@pytest.fixture(scope="session")
def engine():
    """One worker for all tests."""
    with Engine(workers=1) as running:
        yield running


@pytest.fixture
def grade(engine, bundle):
    """Grade one submission and return its record."""

    def run(one, other_bundle=None):
        ((student, record),) = engine.grade(other_bundle or bundle, [one])
        assert student == one.student
        return record

    return run
