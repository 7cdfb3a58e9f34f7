"""Reading back what nbgrader recorded for one submission."""

import re
from dataclasses import dataclass, field
from pathlib import Path

import nbformat
from nbformat import NotebookNode

from grading.source import grade_id, kind
from grading.stock import ANSI, Stock

TIMED_OUT = "CellTimeoutError"


@dataclass
class Marks:
    """Scores by graded cell; None where a person decides. ``reasons`` says why points are lost."""

    scores: dict[str, float | None] = field(default_factory=dict)
    maximum: float = 0.0
    reasons: dict[str, str] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)

    @property
    def total(self) -> float:
        """The points so far."""
        return sum(score for score in self.scores.values() if score is not None)

    @property
    def complete(self) -> bool:
        """Is every cell decided?"""
        return None not in self.scores.values()


def read_marks(stock: Stock, assignment: str, student: str) -> Marks:
    """The marks of an autograded submission.

    What ended without a verdict is not an earned zero. Where the answer or its test timed out, the
    test printed on stderr (which stock nbgrader counts as an error) or the notebook is missing, the
    score is undecided, and the gradebook asks for a person too.
    """
    marks = Marks()
    folder = Path(stock.directory.root) / stock.directory.autograded_directory
    for path in sorted((folder / student / assignment).glob("*.ipynb")):
        _inspect(nbformat.read(path, as_version=4), marks)
    with stock.gradebook() as gradebook:
        submission = gradebook.find_submission(assignment, student)
        marks.maximum = float(submission.max_score)
        for notebook in submission.notebooks:
            missing = not (folder / student / assignment / f"{notebook.name}.ipynb").is_file()
            if missing:
                marks.undecided.append(f"{notebook.name}.ipynb was not handed in")
            for grade in notebook.grades:
                automatic = grade.auto_score if grade.manual_score is None else grade.manual_score
                score = None if automatic is None else float(automatic) + (grade.extra_credit or 0)
                reason = marks.reasons.get(grade.cell.name, "failed")
                no_verdict = not reason.startswith("failed")
                if no_verdict:
                    marks.undecided.append(f"{grade.cell.name} {reason}")
                if (no_verdict or missing) and grade.manual_score is None:
                    grade.needs_manual_grade, score = True, None
                marks.scores[grade.cell.name] = score
        gradebook.db.commit()
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


def why_it_failed(log: str) -> str:
    """In plain words, why nbgrader could not grade a submission."""
    causes = {
        "DeadKernelError": "the kernel died: the code ends or crashes it, or uses up the memory",
        "NotJSONError": "a notebook is not a notebook file (not JSON)",
        "UnicodeDecodeError": "a notebook is not UTF-8 text",
        "UnresponsiveKernelError": "timed out and could not be interrupted",
        "CellTimeoutError": "timed out and could not be interrupted",
        "TimeoutError": "timed out and could not be interrupted",
        "No notebooks were matched": "there is no notebook in the folder",
        "No notebooks found": "no notebook has the name of a released one",
        "Notebook failed to validate": "nbgrader's metadata is damaged; are cells copied?",
        "SchemaTooOldError": "nbgrader's metadata has another version",
        "SchemaTooNewError": "nbgrader's metadata has another version",
    }
    for sign, meaning in causes.items():
        if sign in log:
            return meaning
    errors = re.findall(r"^\s*([\w.]*(?:Error|Exception): .*)$", ANSI.sub("", log), re.MULTILINE)
    return errors[0].strip() if errors else "nbgrader gave no reason; see the log"
