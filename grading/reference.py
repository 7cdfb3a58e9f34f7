"""The proof by execution: stock nbgrader gives the reference solution every point."""

from pathlib import Path

from grading.answers import reference_answers, type_answers
from grading.course import Course
from grading.marks import read_marks
from grading.stock import Stock
from grading.tasks import tasks_of

STUDENT = "reference"


def find_lost_points(course: Course, assignment: str, stock: Stock, edition: Path) -> list[str]:
    """Grade the student edition with the model answers typed in; name every lost point.

    Args:
        course: the course.
        assignment: its name.
        stock: nbgrader in a scratch folder, in which ``edition`` was generated.
        edition: the folder of the student edition.
    """
    submitted = Path(stock.directory.root) / stock.directory.submitted_directory
    type_answers(edition, submitted / STUDENT / assignment, reference_answers(course, assignment))
    result = stock.autograde(assignment, STUDENT)
    if not result.success:
        return [
            f"{assignment}: nbgrader cannot grade the reference solution:\n{result.log[-2000:]}"
        ]
    marks = read_marks(stock, assignment, STUDENT)
    return [
        f"{assignment}, task {task.name}: the reference solution gets "
        f"{marks.scores.get(task.graded_cell)} of {task.points:g} points; "
        f"{marks.reasons.get(task.graded_cell, 'run it and look')}"
        for task in tasks_of(course, assignment)
        if not task.written and marks.scores.get(task.graded_cell) != task.points
    ]
