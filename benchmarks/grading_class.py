"""A class to grade: right, wrong and missing answers, mixed by a seed."""

import random
import shutil
from pathlib import Path

from grading.answers import reference_answers, type_answers
from grading.bugs import load_bugs
from grading.course import PROJECT, Course
from grading.release import release
from grading.sample_class import STRONG, WEAK
from grading.tasks import tasks_of

RIGHT, OPEN = 0.6, 0.1
"""How many answers are right, and how many are left open; the others are known wrong ones."""


def new_course(root: Path, assignment: str) -> Course:
    """A course in an empty folder that has this assignment, released."""
    shutil.copytree(PROJECT / "solutions" / assignment, root / "solutions" / assignment)
    shutil.copy(PROJECT / "nbgrader_config.py", root)
    course = Course(root)
    release(course, assignment)
    return course


def write_class(course: Course, assignment: str, count: int, seed: int = 0) -> list[str]:
    """Write submissions; the same seed gives the same class, and a larger one begins alike."""
    right = reference_answers(course, assignment)
    wrong: dict[str, list[str]] = {}
    for bug in load_bugs(course, assignment):
        wrong.setdefault(bug.task, []).append(bug.source)
    tasks = tasks_of(course, assignment)
    students = [f"s{number:04d}" for number in range(count)]
    for student in students:
        draw = random.Random(f"{seed} {student}")
        answers = {}
        for task in tasks:
            luck = draw.random()
            if task.written:
                answers[task.name] = STRONG if luck < RIGHT else WEAK
            elif luck < RIGHT:
                answers[task.name] = right[task.name]
            elif luck > RIGHT + OPEN:
                answers[task.name] = draw.choice(wrong[task.name])
        target = course.records / "submitted" / student / assignment
        type_answers(course.exercises / assignment, target, answers)
    return students
