"""Reading back what stock nbgrader recorded for a submission, and why points are lost."""

from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.source import grade_id, kind
from grading.stock import Stock

TIMED_OUT = "CellTimeoutError"


@dataclass
class Marks:
    """Scores by graded cell; None where a person decides. ``reasons`` says why points are lost."""

    scores: dict[str, float | None] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)


def read_marks(stock: Stock, assignment: str, student: str) -> Marks:
    """The marks of a submission that stock nbgrader has graded.

    What ended without a verdict is not an earned zero: where the answer or its test timed out, or
    the test printed on stderr (which stock nbgrader counts as an error), the score is None.
    """
    marks = Marks()
    folder = Path(stock.directory.root) / stock.directory.autograded_directory
    for path in sorted((folder / student / assignment).glob("*.ipynb")):
        _inspect(nbformat.read(path, as_version=4), marks)
    with stock.gradebook() as gradebook:
        submission = gradebook.find_submission(assignment, student)
        for notebook in submission.notebooks:
            for grade in notebook.grades:
                reason = marks.reasons.get(grade.cell.name, "failed")
                decided = grade.auto_score is not None and reason.startswith("failed")
                marks.scores[grade.cell.name] = float(grade.auto_score) if decided else None
    return marks


def _inspect(notebook: NotebookNode, marks: Marks) -> None:
    answer_timed_out = False
    for cell in notebook.cells:
        if kind(cell) == "answer":
            answer_timed_out = _timed_out(cell)
        elif kind(cell) == "test":
            errors = _errors(cell)
            if answer_timed_out or _timed_out(cell):
                marks.reasons[grade_id(cell)] = "timed out"
            elif errors:
                marks.reasons[grade_id(cell)] = f"failed: {errors[0]}"
            elif any(output.get("name") == "stderr" for output in cell.outputs):
                marks.reasons[grade_id(cell)] = "raised nothing, but printed on stderr"
            answer_timed_out = False


def _timed_out(cell: NotebookNode) -> bool:
    """Was the cell interrupted? Then nbgrader adds an error of this name."""
    return any(output.get("ename") == TIMED_OUT for output in cell.outputs)


def _errors(cell: NotebookNode) -> list[str]:
    """The errors that a cell ended with, each as name and message."""
    return [
        f"{output.ename}: {output.evalue}".removesuffix(": ").split("\n")[0]
        for output in cell.outputs
        if output.output_type == "error"
    ]
