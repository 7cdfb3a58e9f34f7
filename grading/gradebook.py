"""The one writer into nbgrader's gradebook: a submission is one transaction, or nothing."""

import random
import time
from collections.abc import Callable
from pathlib import Path

from grading.autograded import (
    answer_digests,
    autograded_notebook,
    folder_of,
    read_marker,
    restore,
    shown_files,
    write_folder,
    write_marker,
)
from grading.course import GradingError
from grading.engine.record import Record
from grading.facts import AssignmentFacts, read_facts
from grading.rows import Rows
from grading.stock import Stock, quiet

BUSY = ("locked", "busy", "deadlock", "could not serialize")
PATIENCE = 120.0
"""Seconds to wait for another program that holds the gradebook."""


class GradebookWriter:
    """Writes records into the gradebook and the autograded folders.

    It does what ``nbgrader autograde`` does once a notebook has been executed, with a few queries
    for a submission where nbgrader commits once a cell. Any database that nbgrader's URL names
    should do; only SQLite is tested.

    Args:
        stock: nbgrader, configured for the course.
    """

    def __init__(self, stock: Stock) -> None:
        self.directory = stock.directory
        self._facts: dict[str, AssignmentFacts] = {}
        self._pictures: dict[str, dict[str, bytes]] = {}
        with quiet():
            # two seconds, and a module that merely mentions the writer is not to pay them
            from nbgrader import api, utils
            from nbgrader.preprocessors import AssignLatePenalties

            self._utils = utils
            late = AssignLatePenalties(parent=stock.api)
            late.init_plugin()
            self.gradebook = patiently(
                lambda: api.Gradebook(self.directory.db_url, self.directory.course_id)
            )
        self._rows = Rows(self.gradebook, late)

    def __enter__(self) -> "GradebookWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.gradebook.close()

    def facts(self, assignment: str) -> AssignmentFacts:
        """What the gradebook knows of an assignment, read once.

        Raises:
            GradingError: it does not know it.
        """
        if assignment not in self._facts:
            source = self._source(assignment)
            self._facts[assignment] = patiently(
                lambda: read_facts(self.gradebook, assignment, source), self._roll_back
            )
            self._pictures[assignment] = shown_files(source)
        return self._facts[assignment]

    def _source(self, assignment: str) -> Path:
        directory = self.directory
        return Path(directory.format_path(directory.source_directory, ".", assignment))

    def folder(self, student: str, assignment: str) -> Path:
        """The autograded folder of a submission."""
        return folder_of(self.directory, self.directory.autograded_directory, student, assignment)

    def applied(self, student: str, record: Record, timestamp: str = "") -> bool:
        """Are folder and gradebook already those of this record and this time?"""
        folder = self.folder(student, record.assignment)
        restore(folder)
        marker = read_marker(folder)
        return (
            marker.get("digest") == record.digest
            and marker.get("timestamp") == timestamp
            and student in self.facts(record.assignment).students
        )

    def record(self, student: str, record: Record, timestamp: str = "") -> None:
        """Show a record in the autograded folder, and write it into the gradebook.

        Points, comments and extra credit that a person gave are kept. Such a cell needs another
        look only if its automatic score or the answer changed.

        Args:
            student: the student's id; created if the gradebook does not know it.
            record: what came of the submission.
            timestamp: the text of timestamp.txt, or nothing.

        Raises:
            GradingError: the assignment is not in the gradebook, or the gradebook stays locked.
        """
        facts = self.facts(record.assignment)
        folder = self.folder(student, record.assignment)
        restore(folder)
        before = read_marker(folder).get("answers", {})
        after = answer_digests(facts.notebooks, record)
        changed = {name for name, digest in after.items() if before.get(name) != digest}
        mode = 0o664 if self.directory.groupshared else 0o444
        pictures = self._pictures[record.assignment]
        contents = {one.name: autograded_notebook(one, record) for one in facts.notebooks}
        write_folder(folder, contents, timestamp, pictures, mode)
        untouched = self._untouched(facts, contents)
        when = self.submitted_at(timestamp)
        patiently(
            lambda: self._rows.write(facts, student, record, when, changed, untouched),
            self._roll_back,
        )
        facts.students.add(student)
        write_marker(folder, facts.notebooks, record, timestamp)

    def submitted_at(self, timestamp: str):
        """The time in timestamp.txt in UTC, or None if it says none."""
        try:
            return self._utils.parse_utc(timestamp) if timestamp else None
        except (ValueError, OverflowError):
            return None

    def _roll_back(self) -> None:
        self.gradebook.db.rollback()

    def _untouched(self, facts: AssignmentFacts, contents: dict[str, dict]) -> set[str]:
        """Answers that are still as they were released, by nbgrader's checksum."""
        import nbformat

        found = set()
        for notebook in facts.notebooks:
            for cell in contents[notebook.name]["cells"]:
                marks = cell["metadata"].get("nbgrader", {})
                if marks.get("solution") and not marks["task"]:
                    node = nbformat.from_dict(
                        {key: cell[key] for key in ("cell_type", "metadata", "source")}
                    )
                    if self._utils.compute_checksum(node) == marks["checksum"]:
                        found.add(f"{notebook.name}/{marks['grade_id']}")
        return found


def patiently(step: Callable, again: Callable[[], None] = lambda: None):
    """Do a step on the gradebook; wait and repeat while another program holds it.

    Args:
        step: what to do; it is repeated as a whole.
        again: called before each repetition.

    Raises:
        GradingError: the gradebook stays locked.
    """
    from sqlalchemy.exc import DBAPIError

    end, pause = time.monotonic() + PATIENCE, 0.05
    while True:
        try:
            return step()
        except BaseException as error:
            again()
            busy = isinstance(error, DBAPIError) and any(
                word in str(error.orig).lower() for word in BUSY
            )
            if not busy:
                raise
            if time.monotonic() > end:
                raise GradingError(
                    f"another program has held the gradebook for {PATIENCE:.0f} s "
                    f"({error.orig}); end other nbgrader commands and run this one again: "
                    "what is graded is kept"
                ) from error
        time.sleep(pause * random.uniform(0.5, 1.0))
        pause = min(2 * pause, 2.0)
