"""Where a class stands in an assignment, read from the gradebook and the autograded folders."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from grading.autograded import folder_of, read_marker
from grading.engine.record import ABSENT, FAILED, GRADED, PARTLY
from grading.facts import AssignmentFacts, read_facts
from grading.submitted import find_submissions

WAITING = "not graded yet"
NBGRADERS = [
    "assignment",
    "duedate",
    "timestamp",
    "student_id",
    "last_name",
    "first_name",
    "email",
    "raw_score",
    "late_submission_penalty",
    "score",
    "max_score",
]
OURS = ["status", "needs_manual", "message"]


@dataclass
class Row:
    """The line of one student. A score that is None was not earned and not lost."""

    student: str
    status: str
    score: float | None = None
    maximum: float | None = None
    points: dict[str, float | None] = field(default_factory=dict)
    message: str = ""
    needs_manual: bool = False
    details: dict[str, object] = field(default_factory=dict)
    """Further columns of nbgrader's export."""


def task_names(facts: AssignmentFacts) -> dict[str, str]:
    """From each graded cell, as ``NOTEBOOK/GRADE_ID``, to the name of its column.

    The test ``test-double`` of an answer ``double`` is called ``double``.
    """
    names = {}
    for notebook in facts.notebooks:
        for name, cell in notebook.cells.items():
            if cell.maximum is not None:
                answer = notebook.cells.get(name.removeprefix("test-"))
                names[f"{notebook.name}/{name}"] = (
                    answer.name if answer and answer.solution else name
                )
    taken = [*NBGRADERS, *OURS, *names.values()]
    return {
        place: name if taken.count(name) == 1 else f"{place.split('/')[0]}/{name}"
        for place, name in names.items()
    }


def read_rows(gradebook, directory, assignment: str) -> list[Row]:
    """One row for each student, sorted by name.

    Args:
        gradebook: nbgrader's open gradebook.
        directory: nbgrader's CourseDirectory.
        assignment: its name.

    Raises:
        GradingError: the gradebook does not know the assignment.
    """
    source = Path(directory.format_path(directory.source_directory, ".", assignment))
    facts = read_facts(gradebook, assignment, source)
    people, submissions, grades = _read(gradebook, facts)
    folders = find_submissions(directory, assignment).folders
    everybody = dict.fromkeys([*people, *folders, *_other_students(directory, assignment)])
    columns = task_names(facts)
    rows = []
    for student in sorted(everybody):
        held = submissions.get(student)
        if held is None:
            waiting = student in folders
            row = Row(student, WAITING if waiting else ABSENT, maximum=facts.maximum)
        else:
            folder = folder_of(directory, directory.autograded_directory, student, assignment)
            row = _row(student, facts, held, grades.get(held.id, {}), folder, columns)
        row.details |= people.get(student, {}) | {"duedate": _due(held, facts)}
        rows.append(row)
    return rows


def _due(held, facts: AssignmentFacts) -> datetime | None:
    """When the work of a student was due."""
    """When the work of a student was due."""
    extension = held.extension if held else None
    return facts.duedate + extension if facts.duedate and extension else facts.duedate


def _other_students(directory, assignment: str) -> Iterable[str]:
    """Students who handed in something else."""
    step = Path(directory.format_path(directory.submitted_directory, "x", assignment))
    if step.name != assignment or not step.parent.parent.is_dir():
        return []  # another structure of folders
    return [
        path.name
        for path in step.parent.parent.iterdir()
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    ]


def _read(gradebook, facts: AssignmentFacts) -> tuple[dict, dict, dict]:
    from nbgrader import api
    from sqlalchemy import func, select

    db = gradebook.db
    student, held, part, grade = (
        api.Student,
        api.SubmittedAssignment,
        api.SubmittedNotebook,
        api.Grade,
    )
    names = ("last_name", "first_name", "email", "lms_user_id")
    try:
        people = {
            one.id: {name: getattr(one, name) for name in names}
            for one in db.execute(
                select(student.id, *(getattr(student, name) for name in names))
            ).all()
        }
        penalty = func.coalesce(func.sum(part.late_submission_penalty), 0.0).label("penalty")
        submissions = {
            one.student_id: one
            for one in db.execute(
                select(held.id, held.student_id, held.timestamp, held.extension, penalty)
                .join(part, part.assignment_id == held.id)
                .where(held.assignment_id == facts.identity)
                .group_by(held.id, held.student_id, held.timestamp, held.extension)
            ).all()
        }
        cells = {
            identity: f"{notebook.name}/{name}"
            for notebook in facts.notebooks
            for name, identity in notebook.grades.items()
        }
        grades: dict[str, dict] = {}
        for one in db.execute(
            select(
                part.assignment_id,
                grade.cell_id,
                grade.auto_score,
                grade.manual_score,
                grade.extra_credit,
                grade.needs_manual_grade,
            )
            .join(part, part.id == grade.notebook_id)
            .join(held, held.id == part.assignment_id)
            .where(held.assignment_id == facts.identity)
        ).all():
            if one.cell_id in cells:
                grades.setdefault(one.assignment_id, {})[cells[one.cell_id]] = one
    finally:
        db.rollback()
    return people, submissions, grades


def _row(
    student: str,
    facts: AssignmentFacts,
    held,
    grades: Mapping[str, object],
    folder: Path,
    columns: Mapping[str, str],
) -> Row:
    points = {}
    for place, name in columns.items():
        grade = grades.get(place)
        score = None
        if grade is not None:
            score = grade.auto_score if grade.manual_score is None else grade.manual_score
            score = None if score is None else float(score) + (grade.extra_credit or 0.0)
        points[name] = score
    marker = read_marker(folder)
    status, message = marker.get("status", GRADED), marker.get("message", "")
    if not folder.is_dir():
        status, message = FAILED, "nothing was graded; run the grader again"
    if status in (PARTLY, FAILED) and points and None not in points.values():
        status = GRADED  # a person has given all the points
    if not message:
        message = "; ".join(marker.get("failed", {}).values())
    row = Row(student, status, None, facts.maximum, points, message)
    row.needs_manual = any(grade.needs_manual_grade for grade in grades.values())
    row.details = {"timestamp": held.timestamp}
    if status != FAILED:
        raw = sum(score for score in points.values() if score is not None)
        row.score = max(0.0, raw - held.penalty)
        row.details |= {"raw_score": raw, "late_submission_penalty": held.penalty}
    return row
