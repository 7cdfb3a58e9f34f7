"""The example course that nbgrader itself writes: ours and stock nbgrader give the same marks."""

import contextlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest

from grading.course import Course
from grading.engine.environment import environment_digest
from grading.engine.record import GRADED
from grading.grade import grade
from grading.prepare import open_stock
from grading.standing import read_rows
from tests.grading.recording import TrustingEngine

PS1 = "ps1"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore"),  # of nbgrader's dependencies
]

RIGHT = {
    "squares": "def squares(n):\n    if n < 1:\n        raise ValueError('no')\n"
    "    return [i ** 2 for i in range(1, n + 1)]",
    "sum_of_squares": "def sum_of_squares(n):\n    return sum(squares(n))",
    "sum_of_squares_equation": "$\\sum_{i=1}^n i^2$",
    "sum_of_squares_application": "def pyramid(n):\n    return sum_of_squares(n)",
    "part-a": "Fibonacci, by recursion.",
    "part-b": "Negative numbers: it never ends.",
}
ALONE = {"sum_of_squares": "def sum_of_squares(n):\n    return sum(i * i for i in range(1, n + 1))"}
CLASS = {
    "right": RIGHT,
    "unchanged": {},
    "wrong": RIGHT | {"squares": "def squares(n):\n    return [0] * n"},
    "no error raised": RIGHT
    | {"squares": "def squares(n):\n    return [i*i for i in range(1, n+1)]"},
    "without squares": RIGHT | ALONE,  # the test that deletes squares finds it
    "raises": RIGHT | {"squares": "def squares(n):\n    return 1 / 0"},
    "broken syntax": RIGHT | {"squares": "def squares(n:\n    return 1"},
    "error at once": RIGHT | {"squares": "undefined_name"},
    "half": {name: RIGHT[name] for name in ("squares", "part-a")},
    "only text": {name: RIGHT[name] for name in ("sum_of_squares_equation", "part-b")},
    "deleted test": RIGHT,
    "prints": RIGHT
    | {"squares": RIGHT["squares"].replace("    return", "    print(n)\n    return")},
}


def nbgrader(folder: Path, *arguments: str) -> None:
    programs = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    done = subprocess.run(
        [sys.executable, "-m", "nbgrader", *arguments],
        cwd=folder,
        env=os.environ | {"PATH": programs},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def hand_in(root: Path, students) -> None:
    """Type answers into the released notebooks."""
    for student, answers in students.items():
        target = root / "submitted" / student / PS1
        shutil.copytree(root / "release" / PS1, target)
        for path in target.glob("*.ipynb"):
            path.chmod(0o644)
            notebook = nbformat.read(path, as_version=4)
            for cell in notebook.cells:
                name = cell.metadata.get("nbgrader", {}).get("grade_id", "")
                cell.source = answers.get(name, cell.source)
            if student == "deleted test":
                # not the test before the task that follows: stock puts it in the wrong place
                notebook.cells = [
                    cell
                    for cell in notebook.cells
                    if cell.metadata.get("nbgrader", {}).get("grade_id") != "squares_invalid_input"
                ]
            nbformat.write(notebook, path)


@pytest.fixture(scope="module")
def quickstart(tmp_path_factory) -> Path:
    """The course with its released assignment, and two of a class graded by nobody yet."""
    folder = tmp_path_factory.mktemp("quickstart")
    nbgrader(folder, "quickstart", "example")
    nbgrader(folder / "example", "generate_assignment", PS1)
    hand_in(folder / "example", CLASS)
    return folder / "example"


def copy_of(quickstart: Path, tmp_path: Path) -> Path:
    shutil.copytree(quickstart, tmp_path / "example")
    return tmp_path / "example"


def stock_grades(root: Path, student: str = "*") -> None:
    """Let stock nbgrader grade the class, or one of it, in this process."""
    stock = open_stock(Course(root))
    stock.api.config.OverwriteCells.add_missing_cells = True  # else a deleted test has no score
    stock.api.config.Execute.shutdown_kernel = "immediate"  # spares a second a notebook
    from nbgrader.converters import Autograde
    from nbgrader.utils import capture_log, temp_attrs

    with temp_attrs(stock.directory, assignment_id=PS1, student_id=student):
        app = Autograde(coursedir=stock.directory, parent=stock.api)
        app.force = True
        answer = capture_log(app)
    assert answer["success"], answer


def gradebook(root: Path) -> dict:
    """Every number in it that a grader writes."""
    with open_stock(Course(root)).gradebook() as opened:
        found = {}
        for submission in opened.assignment_submissions(PS1):
            student = submission.student.id
            found[student] = (submission.score, submission.max_score)
            for notebook in submission.notebooks:
                found[student, notebook.name] = (
                    notebook.max_score,
                    notebook.needs_manual_grade,
                    notebook.late_submission_penalty,
                )
                for one in notebook.grades:
                    found[student, one.name] = (one.auto_score, one.needs_manual_grade)
                for one in notebook.comments:
                    found[student, "comment", one.name] = one.auto_comment
        return found


def different(first: dict, second: dict) -> dict:
    """What two gradebooks disagree about: first value, second value."""
    keys = [key for key in first | second if first.get(key) != second.get(key)]
    return {key: (first.get(key), second.get(key)) for key in keys}


def sandboxed():
    """The engine that is used in earnest."""
    from grading.engine.pool import Engine

    return Engine(workers=1, environment=environment_digest())


@pytest.fixture(scope="module")
def stock_result(quickstart, tmp_path_factory) -> dict:
    root = copy_of(quickstart, tmp_path_factory.mktemp("stock"))
    stock_grades(root)
    return gradebook(root)


def test_every_mark_is_that_of_stock_nbgrader(quickstart, stock_result, tmp_path):
    root = copy_of(quickstart, tmp_path)
    released = (root / "release" / PS1 / "problem1.ipynb").read_bytes()
    rows, path = grade(Course(root), PS1, engine=sandboxed())
    graded = {row.student: row for row in rows if row.student in CLASS}
    assert {row.status for row in graded.values()} == {GRADED}
    ours = gradebook(root)
    assert different(stock_result, ours) == {}
    assert ours["right"] == (3.0, 13.0)  # the rest is with a person
    assert ours["without squares", "sum_of_squares_uses_squares"] == (0.0, False)
    assert ours["right", "sum_of_squares_uses_squares"] == (0.5, False)
    assert path == root / "grades-ps1.csv"
    # generating for our own use left the instructor's release as it was
    assert (root / "release" / PS1 / "problem1.ipynb").read_bytes() == released


def test_generated_tests_give_the_marks_of_stock_nbgrader(tmp_path):
    """The same course with nbgrader's autotests, which only the gradebook has in full."""
    nbgrader(tmp_path, "quickstart", "example", "--autotest")
    root = tmp_path / "example"
    nbgrader(root, "generate_assignment", PS1)
    right = RIGHT | {"cell-d3df8cd59fd0eb74": "my_dictionary = {'one': 1, 'two': 2, 'three': 3}"}
    hand_in(root, {"right": right, "without squares": right | ALONE})
    twin = copy_of(root, tmp_path / "twin")
    rows, _ = grade(Course(root), PS1, engine=sandboxed(), feedback=False)
    assert {row.student: row.score for row in rows if row.student in CLASS} == {
        "right": 3.0,
        "without squares": 2.5,
    }
    stock_grades(twin)
    assert different(gradebook(twin), gradebook(root)) == {}


def test_nbgraders_own_commands_go_on_from_ours(quickstart, stock_result, tmp_path):
    root = copy_of(quickstart, tmp_path)
    course = Course(root)
    grade(course, PS1, engine=TrustingEngine(), feedback=False)
    stock = open_stock(course)
    submissions = {one["student"]: one for one in stock.api.get_submissions(PS1)}
    assert submissions["right"]["score"] == 3.0
    assert submissions["right"]["autograded"]
    assert submissions["right"]["needs_manual_grade"]
    (first, *_others) = stock.api.get_notebook_submissions(PS1, "problem1")
    assert first["max_score"] == 10.0
    assert stock.api.generate_feedback(PS1, "right")["success"]
    page = (root / "feedback" / "right" / PS1 / "problem1.html").read_text(encoding="utf-8")
    assert "Status: graded." in page
    assert (root / "autograded" / "right" / PS1 / "jupyter.png").is_file()
    nbgrader(root, "export")
    lines = (root / "grades.csv").read_text(encoding="utf-8").splitlines()
    assert any(",right," in line and ",3.0," in line for line in lines)
    with formgrader_page(stock, "right") as html:
        assert "correct_squares" in html
        assert "Status: graded." in html

    stock_grades(root, "right")  # back to stock nbgrader
    assert different(stock_result, gradebook(root)) == {}
    with stock.gradebook() as opened:
        assert read_rows(opened, stock.directory, PS1)[0].status
    engine = TrustingEngine()
    grade(course, PS1, engine=engine, feedback=False)  # and to ours again
    assert engine.graded == []  # the records are still there
    assert different(stock_result, gradebook(root)) == {}


@contextlib.contextmanager
def formgrader_page(stock, student: str):
    """What formgrader's handler renders for a submission."""
    from nbconvert.exporters import HTMLExporter
    from nbgrader.server_extensions.formgrader import handlers
    from traitlets.config import Config

    config = Config()
    config.HTMLExporter.template_name = "formgrade"
    config.HTMLExporter.extra_template_basedirs = [handlers.template_path]
    with stock.gradebook() as opened:
        submission = opened.find_submission_notebook("problem1", PS1, student)
        folder = stock.directory.format_path("autograded", student, PS1)
        resources = {
            "assignment_id": PS1,
            "notebook_id": "problem1",
            "submission_id": submission.id,
            "index": 0,
            "total": 1,
            "base_url": "",
            "student": student,
            "last_name": None,
            "first_name": None,
            "notebook_path": "",
        }
        exporter = HTMLExporter(config=config)
        html, _ = exporter.from_filename(f"{folder}/problem1.ipynb", resources=resources)
        yield html
