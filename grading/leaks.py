"""Does anything of a solution or a hidden test stand in the student edition?"""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import nbformat

from grading.course import Course
from grading.source import HIDDEN, SOLUTION, grade_id, public_part, read_text_notebook, regions

# What is shorter is too common to give anything away.
MINIMUM_LINE = 12  # characters of a line
MINIMUM_TEXT = 8  # characters of a text without spaces
MINIMUM_WORDS = 5  # of a text with spaces; a shorter one is the name of a test case
MINIMUM_DIGITS = 3  # significant digits of a number
NUMBER = re.compile(r"(?<![\w.])\d[\d_]*\.?\d*(?:[eE][+-]?\d+)?(?![\w])")


class Secret(NamedTuple):
    """A line or a literal of a region that students must not see."""

    value: str | float
    where: str


class Line(NamedTuple):
    """A line of the student edition."""

    text: str
    where: str


def find_leaks(course: Course, assignment: str, folder: Path) -> list[str]:
    """Everything in ``folder`` that gives away ``assignment``, each as one sentence.

    A line or literal that also stands in the public part of a source notebook is no secret.
    """
    public = [
        Line(_normal(line), path.name)
        for path in course.solutions.glob("*/*.md")
        for cell in read_text_notebook(path).cells
        for line in public_part(cell).split("\n")
    ]
    shown = list(_lines(folder))
    found = _forbidden(course, folder)
    for secret in _secrets(course, assignment):
        place = _where(secret.value, shown)
        if place and not _where(secret.value, public):
            found.append(
                f"{place} gives away {secret.value!r} of {secret.where}; "
                "remove it there, or make it public in the text notebook too"
            )
    return sorted(set(found))


def _normal(line: str) -> str:
    return " ".join(line.split())


def _where(secret: str | float, lines: list[Line]) -> str | None:
    if isinstance(secret, str):
        return next((line.where for line in lines if secret in line.text), None)
    return next((line.where for line in lines if secret in _numbers(line.text)), None)


def _numbers(text: str) -> set[float]:
    return {float(match.replace("_", "")) for match in NUMBER.findall(text)}


def _secrets(course: Course, assignment: str) -> Iterator[Secret]:
    for path in course.problems(assignment):
        for cell in read_text_notebook(path).cells:
            for markers in (SOLUTION, HIDDEN):
                inside = regions(cell.source, markers)[1]
                if not inside.strip():
                    continue
                where = f"{path.name}, cell {grade_id(cell)}, {markers[0].strip('# ').lower()}"
                for line in map(_normal, inside.split("\n")):
                    if _telling(line):
                        yield Secret(line, where)
                if cell.cell_type == "code":
                    for value in _literals(cell.source, markers):
                        yield Secret(value, where)


def _telling(line: str) -> bool:
    words = re.findall(r"[^\W\d_]\w+", line)
    return (
        len(line) >= MINIMUM_LINE
        and len(words) >= 2
        and not line.startswith(("import ", "from ", "except ", "#"))
    )


def _literals(source: str, markers: tuple[str, str]) -> Iterator[str | float]:
    """The telling numbers and texts inside the marked region.

    What an assertion says is no secret: students read it in their feedback.
    """
    lines, inside, within = source.split("\n"), set(), False
    for number, line in enumerate(lines, start=1):
        if line.strip() in markers:
            within = line.strip() == markers[0]
        elif within:
            inside.add(number)
    try:
        tree = ast.parse(source)
    except SyntaxError:  # shown with its traceback when the reference solution runs
        return
    messages = {
        id(part)
        for node in ast.walk(tree)
        if isinstance(node, ast.Assert | ast.JoinedStr)
        for part in ast.walk(node if isinstance(node, ast.JoinedStr) else node.msg or ast.Pass())
    }
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or node.lineno not in inside or id(node) in messages:
            continue
        value = node.value
        if isinstance(value, str):
            for line in map(_normal, value.split("\n")):
                words = len(line.split())
                if words >= MINIMUM_WORDS or (words == 1 and len(line) >= MINIMUM_TEXT):
                    yield line
        elif type(value) in (int, float) and _significant_digits(value) >= MINIMUM_DIGITS:
            yield float(value)


def _significant_digits(value: float) -> int:
    return len(f"{abs(value):.15e}".split("e")[0].replace(".", "").rstrip("0"))


def _lines(folder: Path) -> Iterator[Line]:
    for path in sorted(folder.rglob("*")):
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        name = path.relative_to(folder.parent).as_posix()
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue  # an image or an archive
        if path.suffix == ".ipynb":
            for position, cell in enumerate(nbformat.reads(text, as_version=4).cells):
                where = f"{name}, cell {grade_id(cell) or position}"
                extra = json.dumps([cell.metadata, cell.get("outputs", [])], ensure_ascii=False)
                for line in [*cell.source.split("\n"), *extra.split("\\n")]:
                    yield Line(_normal(line), where)
        else:
            for number, line in enumerate(text.split("\n"), start=1):
                yield Line(_normal(line), f"{name}, line {number}")


def _forbidden(course: Course, folder: Path) -> list[str]:
    found, kept = [], {path.name for path in course.solutions.glob("*/*.md")} | {"bugs.py"}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder.parent).as_posix()
        if path.name in kept or path.suffix == ".db":
            found.append(f"{name} must not be shipped; remove it")
        if path.suffix == ".ipynb" and ".ipynb_checkpoints" not in path.parts:
            for position, cell in enumerate(nbformat.read(path, as_version=4).cells):
                if cell.get("outputs") or cell.get("execution_count"):
                    found.append(f"{name}, cell {grade_id(cell) or position} has outputs")
    return found
