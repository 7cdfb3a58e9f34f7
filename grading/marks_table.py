"""The marks of a class as a CSV file, an import for a learning management system, and a table."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from grading.results import write_atomically
from grading.standing import NBGRADERS, OURS, Row
from grading.tables import text_table


def write_csv(path: Path, rows: Mapping[str, Sequence[Row]]) -> None:
    """Write nbgrader's columns, ours, and one for each task; ``rows`` are by assignment."""
    tasks = dict.fromkeys(name for some in rows.values() for row in some for name in row.points)
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, [*NBGRADERS, *OURS, *tasks], restval="", extrasaction="ignore")
    writer.writeheader()
    for assignment, some in rows.items():
        for row in some:
            line = row.details | row.points
            line |= {"assignment": assignment, "student_id": row.student, "status": row.status}
            line |= {"score": row.score, "max_score": row.maximum, "message": _tame(row.message)}
            line["needs_manual"] = "yes" if row.needs_manual else ""
            writer.writerow({name: _shown(value) for name, value in line.items()})
    write_atomically(path, text.getvalue().encode("utf-8", "replace"))


def write_lms_csv(path: Path, rows: Sequence[Row]) -> None:
    """Write two columns, id and score, as a learning management system imports them.

    The id is nbgrader's ``lms_user_id`` where the gradebook has one, else the student's. Students
    without a score are left out, since an empty field may count as a zero.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["id", "score"])
    for row in rows:
        if row.score is not None:
            writer.writerow([row.details.get("lms_user_id") or row.student, _shown(row.score)])
    write_atomically(path, text.getvalue().encode("utf-8", "replace"))


def _shown(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _tame(text: str) -> str:
    """A message that a spreadsheet does not take for a formula."""
    return f"'{text}" if text[:1] in ("=", "+", "-", "@", "\t") else text


def marks_text(rows: Sequence[Row]) -> str:
    """The summary for a terminal."""
    return text_table(
        ["student", "status", "score", "of", "message"],
        [
            [
                row.student,
                row.status + (", needs a person" if row.needs_manual else ""),
                _shown(row.score),
                _shown(row.maximum),
                row.message,
            ]
            for row in rows
        ],
        width=76,
    )
