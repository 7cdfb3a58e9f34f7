"""What the gradebook knows of an assignment: notebooks and cells, read once for a class."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from grading.course import GradingError


@dataclass(frozen=True)
class CellFacts:
    """A cell as the gradebook knows it.

    Args:
        name: its grade_id.
        cell_type: code or markdown.
        locked: does nbgrader put the instructor's text back?
        checksum: of the released text.
        text: of the source; hidden tests are in it.
        maximum: points, or None where none are given.
        solution: does the student write in it?
        task: a text that asks for work in other cells, marked by a person.
    """

    name: str
    cell_type: str = "code"
    locked: bool = False
    checksum: str = ""
    text: str = ""
    maximum: float | None = None
    solution: bool = False
    task: bool = False

    def metadata(self) -> dict:
        """What nbgrader writes into the cell."""
        marks = {
            "cell_type": self.cell_type,
            "checksum": self.checksum,
            "grade": self.maximum is not None and not self.task,
            "grade_id": self.name,
            "locked": self.locked,
            "schema_version": 3,
            "solution": self.solution,
            "task": self.task,
        }
        return marks if self.maximum is None else marks | {"points": self.maximum}


@dataclass
class NotebookFacts:
    """A notebook as the gradebook knows it; the cells in the order of the source.

    ``grades`` and ``comments`` are the gradebook's own ids of what can have points or a comment.
    """

    name: str
    identity: str = ""
    kernelspec: dict = field(default_factory=dict)
    cells: dict[str, CellFacts] = field(default_factory=dict)
    grades: dict[str, str] = field(default_factory=dict)
    comments: dict[str, str] = field(default_factory=dict)


@dataclass
class AssignmentFacts:
    """An assignment as the gradebook knows it, when it is due, and who has a submission in it."""

    name: str
    identity: str
    duedate: datetime | None
    notebooks: list[NotebookFacts]
    students: set[str]

    @property
    def locked_sources(self) -> dict[tuple[str, str], str]:
        """The text of each locked cell, by notebook and grade_id; autotests are filled in."""
        return {
            (notebook.name, cell.name): cell.text
            for notebook in self.notebooks
            for cell in notebook.cells.values()
            if cell.locked
        }

    @property
    def maximum(self) -> float:
        """The points of the assignment."""
        return sum(
            cell.maximum or 0.0 for notebook in self.notebooks for cell in notebook.cells.values()
        )


def read_facts(gradebook, name: str, source: Path) -> AssignmentFacts:
    """Read an assignment from the gradebook.

    Args:
        gradebook: nbgrader's open gradebook.
        name: of the assignment.
        source: the folder of its source notebooks, for the order of the cells.

    Raises:
        GradingError: the gradebook does not know it.
    """
    from nbgrader import api
    from sqlalchemy import select

    db = gradebook.db
    try:
        columns = (api.Assignment.id, api.Assignment.duedate)
        row = db.execute(select(*columns).where(api.Assignment.name == name)).first()
        if row is None:
            raise GradingError(
                f"{name} is not in the gradebook; run `nbgrader generate_assignment {name}`"
            )
        identity, held = row.id, api.SubmittedAssignment
        students = db.scalars(select(held.student_id).where(held.assignment_id == identity)).all()
        columns = (api.Notebook.id, api.Notebook.name, api.Notebook.kernelspec)
        found = db.execute(
            select(*columns)
            .where(api.Notebook.assignment_id == identity)
            .order_by(api.Notebook.name)
        ).all()
        notebooks = [
            _notebook(db, api, select, one, _order(source / f"{one.name}.ipynb")) for one in found
        ]
    finally:
        db.rollback()  # ends the transaction that reading began
    return AssignmentFacts(name, identity, row.duedate, notebooks, set(students))


def _notebook(db, api, select, row, order: Sequence[str]) -> NotebookFacts:
    def rows(table, *columns) -> list:
        return db.execute(select(*columns).where(table.notebook_id == row.id)).all()

    grade, task, solution = api.GradeCell, api.TaskCell, api.SolutionCell
    graded = {one.name: one for one in rows(grade, grade.id, grade.name, grade.max_score)}
    tasks = {one.name: one for one in rows(task, task.id, task.name, task.max_score)}
    solutions = {one.name: one for one in rows(solution, solution.id, solution.name)}
    table = api.SourceCell
    wanted = (table.name, table.cell_type, table.locked, table.checksum, table.source)
    sources = {one.name: one for one in rows(table, *wanted)}
    places = {name: place for place, name in enumerate(order)}
    names = sorted(
        dict.fromkeys([*sources, *graded, *tasks, *solutions]),
        key=lambda name: places.get(name, len(places)),
    )
    cells = {}
    for name in names:
        source = sources.get(name)
        worth = graded.get(name) or tasks.get(name)
        cells[name] = CellFacts(
            name,
            source.cell_type if source else "code",
            bool(source.locked) if source else False,
            (source.checksum or "") if source else "",
            (source.source or "") if source else "",
            float(worth.max_score) if worth else None,
            name in solutions,
            name in tasks,
        )
    return NotebookFacts(
        row.name,
        row.id,
        (json.loads(row.kernelspec) if row.kernelspec else None) or {},
        cells,
        {name: one.id for name, one in (graded | tasks).items()},
        {name: one.id for name, one in (solutions | tasks).items()},
    )


def _order(path: Path) -> list[str]:
    """The grade_ids of a source notebook in order; nothing if it cannot be read."""
    try:
        cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
        return [cell["metadata"].get("nbgrader", {}).get("grade_id", "") for cell in cells]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return []
