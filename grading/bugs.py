"""The named wrong answers of an assignment, and right ones that are not the model answer."""

import importlib.util
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from textwrap import indent
from types import ModuleType

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


@dataclass(frozen=True)
class Right:
    """A right answer, unlike the model answer, that the tests must not reject.

    Args:
        task: grade_id of the answer cell.
        name: what is unusual about it, in a few words.
        source: the whole answer cell.
    """

    task: str
    name: str
    source: str


def edit(source: str, *changes: tuple[str, str]) -> str:
    """An answer with some places changed, for a ``bugs.py``.

    Raises:
        ValueError: a place is not in the answer; the wrong answer would be a right one.
    """
    for old, new in changes:
        if old not in source:
            raise ValueError(f"{old!r} is not in the answer")
        source = source.replace(old, new)
    return source


def function(signature: str, body: str) -> str:
    """The source of a function, for a ``bugs.py``: ``"f(x)"`` and its lines, not indented."""
    return f"def {signature}:\n{indent(body.strip(), '    ')}\n"


def load_bugs(course: Course, assignment: str) -> list[Bug]:
    """The wrong answers in ``solutions/ASSIGNMENT/bugs.py``.

    Raises:
        GradingError: there is no such file, it cannot be read, or an entry is not sound.
    """
    path, module = _load(course, assignment)
    bugs = _unique(path, getattr(module, "BUGS", None), Bug, "BUGS")
    for bug in bugs:
        if bug.says is None and not bug.note:
            raise GradingError(f"{path}: bug {bug.name!r} has says=None; say why in its note")
    return bugs


def load_rights(course: Course, assignment: str) -> list[Right]:
    """The unusual right answers in ``solutions/ASSIGNMENT/bugs.py``; there need not be any.

    Raises:
        GradingError: there is no such file, it cannot be read, or two have one name.
    """
    path, module = _load(course, assignment)
    return _unique(path, getattr(module, "RIGHT", ()), Right, "RIGHT")


def _load(course: Course, assignment: str) -> tuple[Path, ModuleType]:
    path = course.solutions / assignment / "bugs.py"
    if not path.is_file():
        raise GradingError(f"there is no {path}; write BUGS = [Bug(...), ...] there")
    spec = importlib.util.spec_from_file_location(f"bugs_of_{assignment.replace('-', '_')}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise GradingError(f"{path} cannot be read: {type(error).__name__}: {error}") from error
    return path, module


def _unique(path: Path, answers: Iterable | None, kind: type, name: str) -> list:
    if answers is None:
        raise GradingError(f"{path} cannot be read: it defines no {name}")
    answers = list(answers)
    for answer in answers:
        if not isinstance(answer, kind):
            raise GradingError(f"{path}: {name} holds {answer!r}, which is no {kind.__name__}")
    for (task, called), count in Counter((one.task, one.name) for one in answers).items():
        if count > 1:
            raise GradingError(
                f"{path}: two entries of {name} of task {task} are called {called!r}"
            )
    return answers
