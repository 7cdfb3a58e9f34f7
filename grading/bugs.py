"""The named wrong answers of an assignment."""

import importlib.util
from dataclasses import dataclass

from grading.course import Course, GradingError

MINIMUM_BUGS = 10
"""A build task has at least so many wrong answers."""


@dataclass(frozen=True)
class Bug:
    """A wrong answer that the tests must catch.

    Args:
        task: grade_id of the answer cell.
        name: what is wrong, in a few words.
        source: the whole answer cell.
        says: what the visible check's message must contain; None only with a ``note``.
        errata: the entry of the errata that this is, if any.
        note: why the visible check does not name it, or anything else to know.
    """

    task: str
    name: str
    source: str
    says: str | None
    errata: str = ""
    note: str = ""


def load_bugs(course: Course, assignment: str) -> list[Bug]:
    """The wrong answers in ``solutions/ASSIGNMENT/bugs.py``.

    Raises:
        GradingError: there is no such file, it cannot be read, or an entry is not sound.
    """
    path = course.solutions / assignment / "bugs.py"
    if not path.is_file():
        raise GradingError(f"there is no {path}; write BUGS = [Bug(...), ...] there")
    spec = importlib.util.spec_from_file_location(f"bugs_of_{assignment.replace('-', '_')}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
        bugs = list(module.BUGS)
    except Exception as error:
        raise GradingError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    names = [(bug.task, bug.name) for bug in bugs]
    for bug in bugs:
        if bug.says is None and not bug.note:
            raise GradingError(f"{path}: bug {bug.name!r} has says=None; say why in its note")
        if names.count((bug.task, bug.name)) > 1:
            raise GradingError(f"{path}: two bugs of task {bug.task} are called {bug.name!r}")
    return bugs
