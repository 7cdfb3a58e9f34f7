"""The command line: ``python -m grading COMMAND``."""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tqdm import tqdm

from grading.bugs import MINIMUM_BUGS
from grading.class_commands import add_class_commands
from grading.course import PROJECT, Course, GradingError

DESCRIPTION = """\
Release, prove and grade the assignments.

An assignment is a folder of solutions/: text notebooks with model answers and hidden tests, the
visible checks (checks.py) and the named wrong answers (bugs.py)."""

EPILOG = """\
A term, step by step:
  python -m grading check                       prove every assignment
  python -m grading release                     write the student edition to exercises/
  python -m grading sample-class 04-attention   five submissions to try grading with
  python -m grading collect 04-attention FILE   sort a platform's download into course/submitted/
  python -m grading grade 04-attention          grade course/submitted/*/04-attention
  python -m grading report 04-attention         the class, the tasks, known mistakes

`grade`, `report`, `collect` and `history` work in any nbgrader course: --root is its folder.

Exit status: 0 if all is well, 1 if a gate or a step fails, 2 for a wrong command line."""


def parser() -> argparse.ArgumentParser:
    """The commands and their options."""
    formatter = argparse.RawDescriptionHelpFormatter
    top = argparse.ArgumentParser(
        prog="python -m grading",
        description=DESCRIPTION,
        epilog=EPILOG,
        formatter_class=formatter,
    )
    top.add_argument(
        "--root", type=Path, default=PROJECT, help="folder of nbgrader_config.py (%(default)s)"
    )
    commands = top.add_subparsers(dest="command", metavar="COMMAND", required=True)

    def add(name: str, function, summary: str, detail: str = "") -> argparse.ArgumentParser:
        sub = commands.add_parser(
            name, help=summary, description=f"{summary}.\n\n{detail}", formatter_class=formatter
        )
        sub.set_defaults(function=function)
        return sub

    sub = add(
        "release",
        _release,
        "write the student edition to exercises/",
        "Runs the wrong answers, checks each text notebook, generates with nbgrader's converter,\n"
        "refuses to publish anything that leaks, and writes the tables for the book. Writing is\n"
        "deterministic: a second run changes nothing. Answers typed into exercises/ are kept.",
    )
    _many(sub)
    _minimum(sub)
    sub.add_argument("--force", action="store_true", help="overwrite answers in exercises/")
    sub = add(
        "check",
        _check,
        "prove the assignments: drift, leaks, reference solution, wrong answers",
        "Changes nothing. The reference solution is executed and marked by stock nbgrader in a\n"
        "temporary folder.",
    )
    _many(sub)
    _minimum(sub)
    sub = add(
        "kill",
        _kill,
        "run every wrong answer against the tests, and print the kill matrix",
        "The visible check must name each wrong answer, the hidden tests alone must fail on it.",
    )
    _many(sub)
    _minimum(sub)
    sub = add(
        "book-pages",
        _book_pages,
        "write the tables that the book includes",
        "Tasks and kill matrix of each assignment; exercises/ is not touched.",
    )
    _many(sub)
    _minimum(sub)
    sub = add(
        "sample-class",
        _sample_class,
        "write five submissions to course/submitted/",
        "Right, partly right, wrong, one that ends its kernel, one that never ends.",
    )
    sub.add_argument("assignment")
    add_class_commands(add)
    return top


def _many(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("assignments", nargs="*", metavar="ASSIGNMENT", help="default: all")


def _minimum(sub: argparse.ArgumentParser) -> None:
    sub.add_argument(
        "--minimum-bugs",
        type=int,
        default=MINIMUM_BUGS,
        metavar="N",
        help="a build task needs so many wrong answers (%(default)s)",
    )


def _release(course: Course, options: argparse.Namespace) -> int:
    from grading.release import release

    for assignment in tqdm(course.select(options.assignments), desc="release", leave=False):
        _write_pages(course, assignment, options.minimum_bugs)
        changed = release(course, assignment, options.force)
        what = ", ".join(path.name for path in changed) or "nothing new"
        tqdm.write(f"{assignment}: {what}, in {course.exercises / assignment}")
    return 0


def _check(course: Course, options: argparse.Namespace) -> int:
    from grading.check import check
    from grading.tables import text_table

    rows, problems, start = [], [], time.monotonic()
    with tqdm(desc="check", unit="gate", leave=False) as bar:

        def say(gate: str) -> None:
            bar.set_postfix_str(gate)
            bar.update()

        for assignment in course.select(options.assignments):
            try:
                found = check(course, assignment, options.minimum_bugs, say)
            except GradingError as error:
                found = {"sound": [str(error)]}
            for gate, wrong in found.items():
                rows.append([assignment, gate, f"{len(wrong)} problems" if wrong else "ok"])
                problems += wrong
    for problem in problems:
        print(f"FAIL {problem}", file=sys.stderr)
    print(text_table(["assignment", "gate", "result"], rows))
    print(f"{len(problems)} problems, {time.monotonic() - start:.0f} s")
    return 1 if problems else 0


def _kill(course: Course, options: argparse.Namespace) -> int:
    from grading.kill import failures, kill, kills_text

    problems = []
    for assignment in course.select(options.assignments):
        outcomes = kill(course, assignment, options.minimum_bugs)
        print(kills_text(outcomes))
        found = failures(assignment, outcomes)
        for problem in found:
            print(f"FAIL {problem}", file=sys.stderr)
        wrong = sum(outcome.bug is not None for outcome in outcomes)
        print(f"{assignment}: {wrong} wrong answers, {len(found)} problems\n")
        problems += found
    return 1 if problems else 0


def _book_pages(course: Course, options: argparse.Namespace) -> int:
    for assignment in course.select(options.assignments):
        _write_pages(course, assignment, options.minimum_bugs)
        print(f"{assignment}: pages in {course.pages}")
    return 0


def _write_pages(course: Course, assignment: str, minimum: int) -> None:
    from grading.kill import failures, kill, kills_page
    from grading.tasks import tasks_of, tasks_page
    from grading.validate import validate

    validate(course, assignment)
    outcomes = kill(course, assignment, minimum)
    if found := failures(assignment, outcomes):
        raise GradingError(
            f"{assignment}: the tests let wrong answers through:\n  " + "\n  ".join(found)
        )
    course.pages.mkdir(parents=True, exist_ok=True)
    for name, text in (
        ("tasks", tasks_page(tasks_of(course, assignment))),
        ("kills", kills_page(outcomes)),
    ):
        page = course.pages / f"{assignment}-{name}.md"
        page.write_text(text + "\n", encoding="utf-8", newline="\n")


def _sample_class(course: Course, options: argparse.Namespace) -> int:
    from grading.sample_class import write_sample_class

    (assignment,) = course.select([options.assignment])
    for expected in write_sample_class(course, assignment):
        print(f"{expected.student}: {expected.about}")
    print(f"in {course.records / 'submitted'}; next: python -m grading grade {assignment}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit status."""
    options = parser().parse_args(arguments)
    try:
        return options.function(Course(options.root.resolve()), options)
    except GradingError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
