"""All gates of an assignment in one place."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from grading.bugs import MINIMUM_BUGS
from grading.course import Course
from grading.drift import find_drift
from grading.kill import failures, kill
from grading.leaks import find_leaks
from grading.reference import find_lost_points
from grading.release import generate
from grading.stock import Stock, scratch


def check(
    course: Course,
    assignment: str,
    minimum: int = MINIMUM_BUGS,
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, list[str]]:
    """Run every gate; an empty list means that it is passed.

    Args:
        course: the course; nothing in it is changed.
        assignment: its name.
        minimum: of wrong answers a build task.
        say: hears the name of each gate before it runs.

    Raises:
        GradingError: the assignment cannot even be generated.
    """
    found = {}
    with tempfile.TemporaryDirectory(prefix="grading-") as folder:
        stock = Stock(course, scratch(Path(folder)))
        say("sound")
        edition = generate(stock, course, assignment)
        found["sound"] = []
        released = course.exercises
        if not (released / assignment).is_dir():
            released = edition.parent  # nothing is published yet: look at what would be
        gates = {
            "no drift": lambda: find_drift(course, assignment, edition),
            "no leak": lambda: find_leaks(course, assignment, released),
            "reference gets every point": lambda: find_lost_points(
                course, assignment, stock, edition
            ),
            "wrong answers are caught": lambda: failures(
                assignment, kill(course, assignment, minimum)
            ),
        }
        for name, gate in gates.items():
            say(name)
            found[name] = gate()
    return found
