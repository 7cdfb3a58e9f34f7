"""Grading a class with stock nbgrader, one submission at a time."""

import csv
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from grading.course import Course, GradingError
from grading.marks import read_marks, why_it_failed
from grading.release import generate
from grading.stock import Stock
from grading.tables import text_table
from grading.tasks import Task, tasks_of

GRADED, MANUAL, FAILED, ABSENT = "graded", "needs manual grading", "failed", "not submitted"


@dataclass
class Row:
    """The line of one student. A score that is None was not earned and not lost."""

    student: str
    status: str
    score: float | None = None
    maximum: float | None = None
    points: dict[str, float | None] = field(default_factory=dict)
    message: str = ""


def grade(
    course: Course, assignment: str, student: str | None = None, timeout: int | None = None
) -> tuple[list[Row], Path]:
    """Autograde the submissions of an assignment, write feedback and the table of marks.

    Args:
        course: the course.
        assignment: its name.
        student: grade this one only; the CSV then keeps the lines of the others.
        timeout: seconds a cell; None for what nbgrader_config.py says.

    Returns:
        The rows, and the path of the CSV.

    Raises:
        GradingError: nothing was submitted, or there is no such assignment or student.
    """
    course.select([assignment])
    students = submitted(course, assignment)
    chosen = students if student is None else [name for name in students if name == student]
    if not chosen:
        raise GradingError(
            f"no submission of {assignment}"
            + (f" by {student}" if student else "")
            + f": put one into {course.records / 'submitted'}/STUDENT/{assignment}/, or try "
            f"`python -m grading sample-class {assignment}`"
        )
    overrides = {"CourseDirectory": {"release_directory": "build/release"}}
    if timeout is not None:
        overrides["Execute"] = {"timeout": timeout}
    stock = Stock(course, overrides)
    generate(stock, course, assignment)  # the gradebook and the source follow solutions/
    tasks = tasks_of(course, assignment)
    rows = []
    for name in (progress := tqdm(chosen, desc=f"grade {assignment}", unit="student")):
        progress.set_postfix_str(name)
        rows.append(_grade_one(course, stock, assignment, name, tasks))
    if student is None:
        rows += [Row(name, ABSENT) for name in _absent(course, stock, students)]
    path = course.records / f"grades-{assignment}.csv"
    _write(path, rows, tasks, keep_others=student is not None)
    return rows, path


def submitted(course: Course, assignment: str) -> list[str]:
    """Students with a folder for this assignment."""
    folders = (course.records / "submitted").glob(f"*/{assignment}")
    return sorted(folder.parent.name for folder in folders if folder.is_dir())


def _absent(course: Course, stock: Stock, present: Sequence[str]) -> list[str]:
    with stock.gradebook() as gradebook:
        known = {student.id for student in gradebook.students}
    known |= {path.name for path in (course.records / "submitted").glob("*") if path.is_dir()}
    return sorted(known - set(present))


def _grade_one(
    course: Course, stock: Stock, assignment: str, student: str, tasks: Sequence[Task]
) -> Row:
    log = course.records / "logs" / f"{assignment}-{student}.log"
    result = stock.autograde(assignment, student)
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text(result.log, encoding="utf-8")
    if not result.success:
        stale = course.records / "feedback" / student / assignment
        shutil.rmtree(stale, ignore_errors=True)  # of an earlier submission
        return Row(student, FAILED, message=f"{why_it_failed(result.log)} ({log.name})")
    marks = read_marks(stock, assignment, student)
    feedback = stock.generate_feedback(assignment, student)
    remarks = list(marks.undecided)
    if not feedback.success:
        remarks.append(f"no feedback page: {why_it_failed(feedback.log)}")
    return Row(
        student,
        GRADED if marks.complete else MANUAL,
        marks.total,
        marks.maximum,
        {task.name: marks.scores.get(task.graded_cell) for task in tasks},
        "; ".join(remarks),
    )


def _write(path: Path, rows: Sequence[Row], tasks: Sequence[Task], keep_others: bool) -> None:
    names = [task.name for task in tasks]
    header = ["student", "status", "score", "max_score", *names, "message"]
    lines = {}
    if keep_others and path.is_file():
        with path.open(newline="", encoding="utf-8") as file:
            lines = {line["student"]: line for line in csv.DictReader(file)}
    for row in rows:
        line = {"student": row.student, "status": row.status, "message": row.message}
        line |= {"score": _number(row.score), "max_score": _number(row.maximum)}
        lines[row.student] = line | {name: _number(row.points.get(name)) for name in names}
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, header, restval="", extrasaction="ignore")
        writer.writeheader()
        writer.writerows(lines[student] for student in sorted(lines))


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def marks_text(rows: Sequence[Row]) -> str:
    """The summary for a terminal."""
    return text_table(
        ["student", "status", "score", "of", "message"],
        [
            [row.student, row.status, _number(row.score), _number(row.maximum), row.message]
            for row in rows
        ],
        width=76,
    )
