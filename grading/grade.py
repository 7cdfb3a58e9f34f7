"""Grading a class: read, run what is new, record each as it comes; run it again to go on."""

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tqdm import tqdm

from grading.course import Course, GradingError
from grading.engine.bundle import Bundle
from grading.engine.environment import environment_digest
from grading.engine.record import ABSENT, FAILED, GRADED, PARTLY, Record, record_key
from grading.feedback import feedback_folder, write_feedback
from grading.gradebook import GradebookWriter
from grading.marks_table import marks_text, write_csv
from grading.prepare import check_known, open_stock, prepare, records_folder
from grading.results import ResultStore
from grading.standing import WAITING, Row, read_rows
from grading.stock import Stock, quiet
from grading.stopping import GradingStopped, Stop, stoppable
from grading.submitted import Submission, find_submissions, read_submission_files

__all__ = ["ABSENT", "FAILED", "GRADED", "PARTLY", "SKIPPED", "WAITING", "Row", "marks_text"]

SKIPPED = "skipped"
"""Status of a folder that cannot be a submission."""


@dataclass
class _Run:
    """One run of the grader over an assignment."""

    stock: Stock
    bundle: Bundle
    store: ResultStore
    writer: GradebookWriter
    folders: dict[str, Path]
    environment: str
    coming: dict[str, tuple[Submission, str]] = field(default_factory=dict)
    """Submissions that the engine has, with their keys."""
    recorded: list[str] = field(default_factory=list)
    problems: dict[str, str] = field(default_factory=dict)
    done: int = 0
    failures: int = 0

    def read(self, student: str) -> tuple[Submission, str]:
        """A submission and its key."""
        ignored = self.stock.directory.ignore
        submission = read_submission_files(student, self.folders[student], ignored)
        return submission, record_key(submission.digest, self.bundle.digest, self.environment)

    def finish(self, submission: Submission, record: Record) -> None:
        """Write a record into folder and gradebook, unless they have it."""
        student = submission.student
        self.done += 1
        self.failures += record.status == FAILED
        if self.writer.applied(student, record, submission.timestamp):
            return
        try:
            self.writer.record(student, record, submission.timestamp)
        except GradingError:
            raise
        except Exception as error:  # one odd record must not cost the others theirs
            self.problems[student] = f"not recorded: {type(error).__name__}: {error}"
        else:
            self.store.note(student, record)
            self.recorded.append(student)

    def recorded_before(self, students: Iterable[str], again: bool) -> list[str]:
        """Apply what the store has; return who is still to be graded."""
        todo = []
        for student in students:
            submission, key = self.read(student)
            record = None if again else self.store.get(key)
            if record is None or record.transient:
                todo.append(student)
            else:
                self.finish(submission, record)
        return todo

    def submissions(self, students: Iterable[str]) -> Iterator[Submission]:
        """Read again, one after the other, so that a class need not fit into memory."""
        for student in students:
            self.coming[student] = self.read(student)
            yield self.coming[student][0]

    def arrived(self, student: str, record: Record) -> None:
        """Keep and apply what the engine says."""
        submission, record.key = self.coming.pop(student)
        _add_notes(record, submission)
        self.store.put(record)
        self.finish(submission, record)


def grade(
    course: Course,
    assignment: str,
    student: str | None = None,
    timeout: float | None = None,
    *,
    again: bool = False,
    workers: int | None = None,
    no_sandbox: bool = False,
    feedback: bool = True,
    engine=None,
) -> tuple[list[Row], Path]:
    """Grade the submissions of an assignment, write feedback and the table of marks.

    What is recorded already, from the same submission, source and software, is not run again, so
    that an interrupted run is resumed by running it again.

    Args:
        course: our course, or any folder with nbgrader_config.py and a source folder.
        assignment: its name.
        student: grade this one only.
        timeout: seconds a cell, in the place of what grading.toml says.
        again: run every submission anew. Points that a person gave are kept all the same.
        workers: how many submissions at a time; None for one a processor.
        no_sandbox: run without protection, for submissions that you trust.
        feedback: write the pages of those who are graded in this run, and of those without any.
        engine: what grades, in the place of this machine.

    Returns:
        The rows, and the path of the CSV.

    Raises:
        GradingStopped: by Ctrl-C or SIGTERM; what is graded is kept.
        GradingError: nothing was submitted, there is no such assignment or student, or this
            machine cannot give a sandbox.
    """
    stock = open_stock(course)
    check_known(course, stock, assignment)
    found = find_submissions(stock.directory, assignment)
    chosen = [name for name in found.folders if student in (None, name)]
    if not chosen:
        raise GradingError(_nothing_submitted(stock, assignment, student, found.odd))
    bundle = prepare(course, stock, assignment, timeout)
    if engine is None:
        engine = _local_engine(workers, no_sandbox)
    store = ResultStore(records_folder(stock) / "results")
    with GradebookWriter(stock) as writer:
        run = _Run(stock, bundle, store, writer, found.folders, engine.environment)
        with stoppable() as stop, _bar(assignment, len(chosen)) as bar:
            _grade_all(run, engine, chosen, again, stop, bar)
        if stop.signal:
            raise GradingStopped(
                f"stopped by {stop.name}: {run.done} of {len(chosen)} submissions of {assignment} "
                "are graded and recorded; run the same command again to go on"
            )
        with quiet():
            rows = read_rows(writer.gradebook, stock.directory, assignment)
    path = records_folder(stock) / f"grades-{assignment}.csv"
    write_csv(path, {assignment: rows})
    notes = dict(run.problems)
    if feedback:
        shown = [name for name in chosen if name not in notes]
        notes |= _feedback(stock, assignment, shown, run.recorded)
    for row in rows:
        row.message = "; ".join(filter(None, [row.message, notes.get(row.student, "")]))
    if student is not None:
        return [row for row in rows if row.student in chosen], path
    return rows + [Row(name, SKIPPED, message=why) for name, why in found.odd.items()], path


def history(course: Course, assignment: str, student: str) -> list[tuple[str, Record | None]]:
    """What was recorded for a student, oldest first: when, and the record if it is still there."""
    store = ResultStore(records_folder(open_stock(course)) / "results")
    return [(entry["when"], store.earlier(entry)) for entry in store.history(student, assignment)]


def _local_engine(workers: int | None, no_sandbox: bool):
    from grading.engine.pool import Engine

    return Engine(workers=workers, sandbox=not no_sandbox, environment=environment_digest())


def _bar(assignment: str, total: int) -> tqdm:
    return tqdm(total=total, desc=f"grade {assignment}", unit="submission")


def _grade_all(run: _Run, engine, students: list[str], again: bool, stop: Stop, bar: tqdm) -> None:
    todo = run.recorded_before(students, again)
    bar.update(run.done)
    if not todo:
        return
    with engine:
        for name, record in engine.grade(run.bundle, run.submissions(todo)):
            with stop.hold():
                run.arrived(name, record)
                bar.set_postfix(failed=run.failures)
                bar.update()


def _add_notes(record: Record, submission: Submission) -> None:
    """Say what of a submission was not read; a notebook that was too large is not a missing one."""
    if not submission.notes:
        return
    for notebook in record.notebooks:
        for note in submission.notes:
            if notebook.failed and note.startswith(f"{notebook.name}.ipynb "):
                notebook.failed = note
    failed = [notebook.failed for notebook in record.notebooks if notebook.failed]
    told = dict.fromkeys([*failed, *submission.notes])
    record.message = "; ".join(told)


def _feedback(
    stock: Stock, assignment: str, chosen: Iterable[str], recorded: Iterable[str]
) -> dict[str, str]:
    """Write pages; return what to tell of those who got none."""
    without = [
        name for name in chosen if not any(feedback_folder(stock, name, assignment).glob("*.html"))
    ]
    written = write_feedback(stock, assignment, dict.fromkeys([*recorded, *without]))
    with contextlib.suppress(OSError):
        log = records_folder(stock) / "logs" / f"{assignment}-feedback.log"
        log.parent.mkdir(parents=True, exist_ok=True)
        log.write_text(written.log, encoding="utf-8")
    return dict.fromkeys(written.missing, f"no feedback page, see {log}")


def _nothing_submitted(
    stock: Stock, assignment: str, student: str | None, odd: dict[str, str]
) -> str:
    directory = stock.directory
    place = directory.format_path(directory.submitted_directory, "STUDENT", assignment)
    text = f"no submission of {assignment}" + (f" by {student}" if student else "")
    text += f": put one into {place}/, or try `python -m grading sample-class {assignment}`"
    for name, why in odd.items():
        text += f"\n  not read: {name}, {why}"
    return text
