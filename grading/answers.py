"""Typing answers into the student edition, as a student would."""

from collections.abc import Callable, Mapping
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.course import Course
from grading.source import answer_text, grade_id, kind, read_text_notebook, write_notebook

STUB = ("# YOUR CODE HERE", "raise NotImplementedError")


def reference_answers(course: Course, assignment: str) -> dict[str, str]:
    """The model answer of every task: the whole answer cell, without markers."""
    return {
        grade_id(cell): answer_text(cell)
        for path in course.problems(assignment)
        for cell in read_text_notebook(path).cells
        if kind(cell) in ("answer", "written")
    }


def in_place_of_the_stub(lines: str) -> Callable[[str], str]:
    """An answer that keeps the released cell and replaces the stub by ``lines``."""

    def edit(source: str) -> str:
        edited = []
        for line in source.split("\n"):
            indent = line[: len(line) - len(line.lstrip())]
            if line.strip().startswith(STUB[1]):
                edited += [indent + new for new in lines.split("\n")]
            elif line.strip() != STUB[0]:
                edited.append(line)
        return "\n".join(edited)

    return edit


def type_answers(
    edition: Path, target: Path, answers: Mapping[str, str | Callable[[str], str]]
) -> None:
    """Copy a student edition to ``target`` with answers typed in; the others keep their stub.

    Args:
        edition: a folder of the student edition.
        target: where the copy goes; files of the same name are overwritten.
        answers: from the task to the new cell, or to a function of the released cell.
    """
    for path in sorted(edition.rglob("*")):
        copy = target / path.relative_to(edition)
        if not path.is_file() or "__pycache__" in path.parts:
            continue
        copy.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix != ".ipynb":
            copy.write_bytes(path.read_bytes())
            continue
        notebook = nbformat.read(path, as_version=4)
        for cell in notebook.cells:
            _type(cell, answers)
        write_notebook(notebook, copy)


def _type(cell: NotebookNode, answers: Mapping) -> None:
    answer = answers.get(grade_id(cell))
    if answer is not None and kind(cell) in ("answer", "written"):
        cell.source = answer(cell.source) if callable(answer) else answer
