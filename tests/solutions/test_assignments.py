"""Every real assignment: no drift, no leak, full points for the reference, all bugs caught."""

import re
import subprocess
import sys

import pytest

from grading.bugs import load_bugs
from grading.course import PROJECT, Course
from grading.tasks import tasks_of

ASSIGNMENTS = Course().assignments()
GATES = [
    "sound",
    "no drift",
    "no leak",
    "reference gets every point",
    "wrong answers are caught",
]

pytestmark = pytest.mark.timeout(1800)  # the gates of all assignments are one command


@pytest.fixture(scope="module")
def results():
    """One run of the command that `make check` calls, in a process without the tests' hooks."""
    command = [sys.executable, "-m", "grading", "check"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
    failed = [line for line in done.stderr.split("\n") if line.startswith(("FAIL", "error"))]
    return done.returncode, done.stdout, "\n".join(failed) or done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.parametrize("gate", GATES)
@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_gate(results, assignment, gate):
    _, printed, failed = results
    assert re.search(rf"^{assignment} +{gate} +ok$", printed, re.MULTILINE), failed


@pytest.mark.slow
def test_check_exits_with_0(results):
    assert results[0] == 0, results[2]


@pytest.mark.parametrize("assignment", ASSIGNMENTS)
def test_every_coded_task_has_a_wrong_answer(assignment):
    coded = {task.name for task in tasks_of(Course(), assignment) if not task.written}
    assert coded == {bug.task for bug in load_bugs(Course(), assignment)}
