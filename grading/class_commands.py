"""The commands for a class: collect, grade, report."""

import argparse
import sys
from pathlib import Path

from tqdm import tqdm

from grading.cluster.options import add_scheduler_option, engine_from
from grading.course import Course, GradingError


def add_class_commands(add) -> None:
    """Add the commands; ``add`` takes name, function, summary and detail."""
    sub = add(
        "collect",
        _collect,
        "sort a download of a learning platform into course/submitted/",
        "Takes a folder or an archive (zip, tar) of Moodle, Canvas or Blackboard. An archive that\n"
        "is damaged or wants to write elsewhere costs only itself. The latest attempt counts, the\n"
        "others are kept in course/submitted-older/.",
    )
    sub.add_argument("assignment")
    sub.add_argument("source", type=Path, help="archive or folder")
    sub.add_argument(
        "--pattern",
        metavar="REGEX",
        help="how files are named: named groups student_id, and file_id and timestamp if any",
    )
    sub.add_argument("--force", action="store_true", help="replace newer submissions too")
    sub = add(
        "grade",
        _grade,
        "grade course/submitted/ in a sandbox: gradebook, feedback, CSV, report",
        "A submission runs in a process of its own that has no network and no files, and that\n"
        "never sees the tests. What is graded already, from the same submission, source and\n"
        "software, is not run again: run the command again to go on after an interruption, or\n"
        "after an assignment has changed. Marks given by hand are kept.\n\n"
        "A submission is graded, partly graded, failed or not submitted. A failure has no score,\n"
        "and the message says why. It stops nobody else's.\n\n"
        "The exit status is 1 only if no submission at all could be graded.",
    )
    sub.add_argument("assignment")
    sub.add_argument("--student", metavar="NAME", help="grade only this student")
    sub.add_argument("--again", action="store_true", help="run every submission anew")
    sub.add_argument("--workers", type=_positive, metavar="N", help="default: one a processor")
    sub.add_argument(
        "--timeout", type=float, metavar="S", help="seconds a cell (default: grading.toml, or 30)"
    )
    sub.add_argument("--no-feedback", action="store_true", help="write no pages for students")
    sub.add_argument(
        "--no-sandbox",
        action="store_true",
        help="run submissions without protection: only for code that you trust as your own",
    )
    add_scheduler_option(sub)
    sub = add(
        "report",
        _report,
        "write what happened: the class, the tasks, known mistakes, each submission",
        "HTML and CSV in course/reports/ASSIGNMENT/, from what was recorded; nothing runs again.\n"
        "`grade` writes it too.",
    )
    sub.add_argument("assignment")
    sub = add(
        "history",
        _history,
        "list what was recorded for one student",
        "Every grading of every version that was handed in, with its points.",
    )
    sub.add_argument("assignment")
    sub.add_argument("student")


def _positive(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {number}")
    return number


def _collect(course: Course, options: argparse.Namespace) -> int:
    from grading.intake.collect import collect, collect_text
    from grading.prepare import open_stock, records_folder

    submitted = records_folder(open_stock(course)) / "submitted"
    found = collect(
        options.source,
        submitted,
        options.assignment,
        pattern=options.pattern,
        force=options.force,
    )
    print(collect_text(found))
    return 0 if found.students or not found.problems else 1


def _grade(course: Course, options: argparse.Namespace) -> int:
    from grading.engine.environment import environment_digest
    from grading.grade import FAILED, grade, marks_text
    from grading.prepare import open_stock, records_folder
    from grading.report import report

    if options.no_sandbox:
        print("warning: submissions run without a sandbox, as your own programs", file=sys.stderr)
    engine = engine_from(
        options,
        sandbox=not options.no_sandbox,
        environment=environment_digest(),
        fresh=options.again,
        say=tqdm.write,
    )
    rows, path = grade(
        course,
        options.assignment,
        options.student,
        options.timeout,
        again=options.again,
        workers=options.workers,
        no_sandbox=options.no_sandbox,
        feedback=not options.no_feedback,
        engine=engine,
    )
    print(marks_text(rows))
    print(f"marks: {path}")
    if not options.no_feedback:
        print(f"feedback: {records_folder(open_stock(course)) / 'feedback'}")
    _, page = report(course, options.assignment)
    print(f"report: {page}")
    failed = sum(row.status == FAILED for row in rows)
    if failed:
        print(f"{failed} of {len(rows)} could not be graded and have no score", file=sys.stderr)
    return 1 if failed == len(rows) else 0


def _report(course: Course, options: argparse.Namespace) -> int:
    from grading.report import report

    summary, page = report(course, options.assignment)
    for status, count in summary.statuses.most_common():
        print(f"{count} {status}")
    print(f"report: {page}")
    return 0


def _history(course: Course, options: argparse.Namespace) -> int:
    from grading.grade import history
    from grading.report.summary import earned
    from grading.tables import text_table

    entries = history(course, options.assignment, options.student)
    if not entries:
        raise GradingError(f"nothing is recorded for {options.student} in {options.assignment}")
    rows = []
    for when, record in entries:
        points = earned(record) if record else None
        shown = ["", ""] if points is None else [f"{points[0]:g}", f"{points[1]:g}"]
        rows.append([when, record.status if record else "the record is gone", *shown])
    print(text_table(["when", "status", "points", "decided"], rows))
    return 0
