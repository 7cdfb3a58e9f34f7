"""A sample class: five submissions whose marks are known beforehand."""

import shutil
from dataclasses import dataclass

from grading.answers import in_place_of_the_stub, reference_answers, type_answers
from grading.bugs import load_bugs
from grading.course import Course, GradingError
from grading.tasks import Task, tasks_of

CRASH = in_place_of_the_stub("import os\n\nos._exit(1)")
LOOP = in_place_of_the_stub("while True:\n    pass")
STRONG = """\
The statement follows from what the steps do to the numbers, one after the other. I worked through
a case with two entries by hand, compared both orders, and the sums differ by what I expected."""
WEAK = "I think it is because the numbers get smaller, and then the result is better."


@dataclass(frozen=True)
class Expected:
    """What grading must find: the points of the automatic tests."""

    student: str
    about: str
    points: dict[str, float]


def write_sample_class(course: Course, assignment: str) -> list[Expected]:
    """Write five submissions to ``course/submitted`` and say what they deserve.

    Raises:
        GradingError: the student edition does not exist, or a task has no wrong answer.
    """
    edition = course.exercises / assignment
    if not any(edition.glob("*.ipynb")):
        raise GradingError(f"there is no student edition in {edition}; run `make release` first")
    tasks = tasks_of(course, assignment)
    coded = [task for task in tasks if not task.written]
    wrong = {}
    for bug in load_bugs(course, assignment):
        wrong.setdefault(bug.task, bug.source)
    missing = [task.name for task in coded if task.name not in wrong]
    if missing:
        raise GradingError(f"bugs.py of {assignment} has no wrong answer for {', '.join(missing)}")
    right = reference_answers(course, assignment)
    code = {task.name: right[task.name] for task in coded}
    written = [task.name for task in tasks if task.written]
    strong, weak = dict.fromkeys(written, STRONG), dict.fromkeys(written, WEAK)
    spoiled = {task.name: wrong[task.name] for task in coded[len(coded) // 2 :]}
    untouched = coded[-1].name
    first, middle = coded[0].name, _looped(coded).name
    answers = {
        "ada": (strong | code, "everything right", {}),
        "bela": (
            {k: v for k, v in (weak | code | spoiled).items() if k != untouched},
            f"first half right, second half wrong, {untouched} left open",
            dict.fromkeys(spoiled, 0.0),
        ),
        "chen": (wrong, "everything wrong, nothing written", dict.fromkeys(code, 0.0)),
        "dora": (weak | code | {first: CRASH}, f"{first} ends its process", {first: 0.0}),
        "emil": (strong | code | {middle: LOOP}, f"{middle} never ends", {middle: 0.0}),
    }
    expected = []
    for student, (typed, about, lost) in answers.items():
        target = course.records / "submitted" / student / assignment
        shutil.rmtree(target, ignore_errors=True)
        type_answers(edition, target, typed)
        points = {task.name: task.points for task in coded} | lost
        expected.append(Expected(student, about, points))
    return expected


def _looped(coded: list[Task]) -> Task:
    """The last task of the first notebook: no later one of that notebook can depend on it."""
    return [task for task in coded if task.notebook == coded[0].notebook][-1]
