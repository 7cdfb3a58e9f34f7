"""The gradebook's rows of one submission: what ``nbgrader autograde`` leaves, at one stroke."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from types import SimpleNamespace

from grading.engine.record import Record
from grading.facts import AssignmentFacts

NO_RESPONSE = "No response."


class Rows:
    """Writes submissions.

    Args:
        gradebook: nbgrader's open gradebook.
        late: nbgrader's AssignLatePenalties, with its plugin.
    """

    def __init__(self, gradebook, late) -> None:
        import sqlalchemy
        from nbgrader import api

        self._sql, self._api, self._db = sqlalchemy, api, gradebook.db
        self._late = late

    def write(
        self,
        facts: AssignmentFacts,
        student: str,
        record: Record,
        when: datetime | None,
        changed: set[str],
        untouched: set[str],
    ) -> None:
        """Write one submission and commit.

        Args:
            facts: the assignment.
            student: the student's id.
            record: what came of the submission.
            when: the time of submission, in UTC.
            changed: graded cells, as ``NOTEBOOK/GRADE_ID``, whose answer is another than before.
            untouched: answers that are still as they were released.
        """
        submission = self._submission(facts, student, when)
        table = self._api.SubmittedNotebook
        query = self._sql.select(table.notebook_id, table.id)
        held = dict(self._db.execute(query.where(table.assignment_id == submission.id)).all())
        new = [
            {
                "id": self._api.new_uuid(),
                "notebook_id": notebook.identity,
                "assignment_id": submission.id,
            }
            for notebook in facts.notebooks
            if notebook.identity not in held
        ]
        self._insert(table, new)
        held |= {row["notebook_id"]: row["id"] for row in new}
        scores = self._grades(facts, record, held, changed)
        self._comments(facts, held, untouched)
        self._update(
            table,
            [
                {
                    "id": held[notebook.identity],
                    "late_submission_penalty": self._penalty(
                        student, scores.get(notebook.name, 0.0), submission.late
                    ),
                }
                for notebook in facts.notebooks
            ],
        )
        self._db.commit()

    def _submission(
        self, facts: AssignmentFacts, student: str, when: datetime | None
    ) -> SimpleNamespace:
        """The row of the submission, made if need be; and by how many seconds it is late."""
        api, db, select = self._api, self._db, self._sql.select
        if db.scalar(select(api.Student.id).where(api.Student.id == student)) is None:
            self._insert(api.Student, [{"id": student}])
        due = db.scalar(select(api.Assignment.duedate).where(api.Assignment.id == facts.identity))
        table = api.SubmittedAssignment
        row = db.execute(
            select(table.id, table.timestamp, table.extension).where(
                table.assignment_id == facts.identity, table.student_id == student
            )
        ).first()
        extension = row.extension if row else None
        if row is None:
            identity = api.new_uuid()
            new = {"id": identity, "assignment_id": facts.identity, "student_id": student}
            self._insert(table, [new | {"timestamp": when}])
        else:
            identity = row.id
            if when is None:
                when = row.timestamp  # nbgrader too keeps the time that it knows
            else:
                self._update(table, [{"id": identity, "timestamp": when}])
        late = 0.0
        if when is not None and due is not None:
            allowed = due if extension is None else due + extension
            late = max(0.0, (when - allowed).total_seconds())
        return SimpleNamespace(id=identity, late=late)

    def _grades(
        self,
        facts: AssignmentFacts,
        record: Record,
        held: Mapping[str, str],
        changed: set[str],
    ) -> dict[str, float]:
        """Write the automatic scores; return what each notebook is worth now."""
        table, results = self._api.Grade, record.results
        columns = (table.auto_score, table.manual_score, table.extra_credit)
        old = self._rows(table, held, *columns, table.needs_manual_grade)
        new, kept, scores = [], [], {}
        for notebook, name, cell, place in _cells(facts, held, "grades"):
            result = results.get(f"{notebook}/{name}")
            auto = None if result is None else result.score
            row = old.get((place, cell))
            manual = row.manual_score if row else None
            needs = auto is None
            if manual is not None:
                needs = (
                    row.needs_manual_grade
                    or row.auto_score != auto
                    or f"{notebook}/{name}" in changed
                )
            values = {"auto_score": auto, "needs_manual_grade": needs}
            if row:
                kept.append({"id": row.id} | values)
            else:
                new.append({"notebook_id": place, "cell_id": cell} | values)
            score = auto if manual is None else manual
            if score is not None:
                extra = (row.extra_credit or 0.0) if row else 0.0
                scores[notebook] = scores.get(notebook, 0.0) + score + extra
        self._insert(table, new)
        self._update(table, kept)
        return scores

    def _comments(
        self, facts: AssignmentFacts, held: Mapping[str, str], untouched: set[str]
    ) -> None:
        table = self._api.Comment
        old = self._rows(table, held)
        new, kept = [], []
        for notebook, name, cell, place in _cells(facts, held, "comments"):
            text = NO_RESPONSE if f"{notebook}/{name}" in untouched else None
            row = old.get((place, cell))
            if row:
                kept.append({"id": row.id, "auto_comment": text})
            else:
                new.append({"notebook_id": place, "cell_id": cell, "auto_comment": text})
        self._insert(table, new)
        self._update(table, kept)

    def _penalty(self, student: str, score: float, late: float) -> float | None:
        """What nbgrader's plugin takes off a notebook that is late."""
        if late <= 0:
            return None
        penalty = self._late.plugin_inst.late_submission_penalty(student, score, late)
        if penalty is None:
            return None
        return self._late._check_late_penalty(SimpleNamespace(score=score), penalty)

    def _rows(self, table, held: Mapping[str, str], *columns) -> dict[tuple[str, str], object]:
        query = self._sql.select(table.id, table.notebook_id, table.cell_id, *columns)
        rows = self._db.execute(query.where(table.notebook_id.in_(held.values()))).all()
        return {(row.notebook_id, row.cell_id): row for row in rows}

    def _insert(self, table, rows: Sequence[dict]) -> None:
        if rows:
            self._db.execute(self._sql.insert(table.__table__), rows)

    def _update(self, table, rows: Sequence[dict]) -> None:
        """Set the columns of rows that are known by their id."""
        if rows:
            names = [name for name in rows[0] if name != "id"]
            columns = table.__table__.c
            statement = self._sql.update(table.__table__).where(
                columns.id == self._sql.bindparam("row")
            )
            values = {name: self._sql.bindparam(f"new_{name}") for name in names}
            self._db.execute(
                statement.values(values),
                [{"row": row["id"]} | {f"new_{name}": row[name] for name in names} for row in rows],
            )


def _cells(
    facts: AssignmentFacts, held: Mapping[str, str], what: str
) -> Iterator[tuple[str, str, str, str]]:
    """Notebook, grade_id, and the gradebook's ids of the cell and of the submitted notebook."""
    for notebook in facts.notebooks:
        for name, cell in getattr(notebook, what).items():
            yield notebook.name, name, cell, held[notebook.identity]
