"""nbgrader's GenerateFeedback with our banner, no live student-made HTML, and one query a notebook.

Importing this takes about two seconds, for nbgrader and nbconvert; :mod:`grading.feedback` does so
when it is needed.
"""

import re
from collections.abc import Iterable
from html import escape

from jinja2.filters import do_float, do_round
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import CSSHTMLHeaderPreprocessor
from nbformat import from_dict
from nbgrader import utils
from nbgrader.api import Gradebook
from nbgrader.converters import GenerateFeedback
from nbgrader.converters.base import NbGraderException
from nbgrader.preprocessors import NbGraderPreprocessor
from traitlets import List, Type, default

from grading.banner import TAG, banner
from grading.engine.record import NotebookRecord, Record, Result
from grading.safe_html import Cleaner, inert_output, markdown2html

UNDECIDED = "not decided"
NO_SCORE = "no score"


class StatusGrades(NbGraderPreprocessor):
    """Put points, comments and the banner into a notebook, in the place of nbgrader's GetGrades.

    What nobody has decided yet shows as a word, where GetGrades shows 0.0.
    """

    display_data_priority = List(config=True)  # nbconvert's exporter configures it
    gradebook = None

    def close(self) -> None:
        """Let go of the gradebook, which stays open from one notebook to the next."""
        if self.gradebook:
            self.gradebook.close()
            self.gradebook = None

    def preprocess(self, nb, resources):
        """Fill in one notebook."""
        told = resources["nbgrader"]
        if self.gradebook is None:
            self.gradebook = Gradebook(told["db_url"])
        notebook = self.gradebook.find_submission_notebook(
            told["notebook"], told["assignment"], told["student"]
        )
        grades = {grade.name: grade for grade in notebook.grades}
        comments = {comment.name: comment.comment for comment in notebook.comments}
        points = {name: _points(grade) for name, grade in grades.items()}
        cleaner = Cleaner()
        for cell in nb.cells:
            marks = cell.metadata.get("nbgrader", {})
            name = marks.get("grade_id")
            if (utils.is_grade(cell) or utils.is_task(cell)) and name in grades:
                marks["score"] = UNDECIDED if points[name] is None else points[name]
            if utils.is_solution(cell) or utils.is_task(cell):
                marks["comment"] = comments.get(name)
            if TAG in cell.metadata:
                cell.source = _banner(cell.metadata[TAG], points)
            if cell.cell_type == "code":  # already so in what our writer wrote, not in nbgrader's
                cell.outputs = _inert(cell.outputs, cleaner)
        nb.metadata.pop("widgets", None)
        decided = [value for value in points.values() if value is not None]
        penalty = notebook.late_submission_penalty or 0
        told["score"] = sum(decided) - penalty if decided or not points else NO_SCORE
        told["max_score"] = sum(cell.get("points", 0) for cell in _marks(nb)) or notebook.max_score
        told["late_penalty"] = penalty
        self.gradebook.db.rollback()  # reading must not keep a writer waiting
        return nb, resources


def _marks(nb) -> Iterable[dict]:
    return [cell.metadata.get("nbgrader", {}) for cell in nb.cells]


def _points(grade) -> float | None:
    score = grade.auto_score if grade.manual_score is None else grade.manual_score
    return None if score is None else score + (grade.extra_credit or 0)


def _banner(told: dict, points: dict[str, float | None]) -> str:
    part = {**told["notebook"]}
    results = [Result(**result) for result in part.pop("results")]
    return banner(Record(**told["record"]), NotebookRecord(**part, results=results), points)


def _inert(outputs: list, cleaner: Cleaner) -> list:
    kept = (inert_output(output, cleaner) for output in outputs)
    return [from_dict(output) for output in kept if output]


class FeedbackExporter(HTMLExporter):
    """HTML in which nothing that a student made can act."""

    def from_notebook_node(self, nb, resources=None, **kw):
        """The page; its list of tests names each by the heading above it."""
        text, resources = super().from_notebook_node(nb, resources, **kw)
        for name, title in _titles(nb).items():
            link = f'<a href="#{name}">'
            text = text.replace(f"{link}Test cell</a>", f"{link}{escape(title)}</a>", 1)
        return text, resources

    @default("sanitize_html")
    def _sanitize_html_default(self):
        return True  # for the parts of a template that heed it; nbgrader's own do not

    def default_filters(self):
        """The usual ones, a Markdown filter that cleans, and numbers that may be words."""
        yield from super().default_filters()
        yield "markdown2html", markdown2html
        yield "float", _number
        yield "round", _rounded


def _titles(nb) -> dict[str, str]:
    """The last heading above each graded cell that has one."""
    found, title = {}, ""
    for cell in nb.cells:
        if cell.cell_type == "markdown" and TAG not in cell.metadata:
            headings = re.findall(r"^#{1,6} +(.+?) *#*$", cell.source, re.M)
            title = headings[-1] if headings else title
        if title and utils.is_grade(cell):
            found[cell.metadata.nbgrader.grade_id] = title[:80]
    return found


def _number(value, default=0.0):
    return value if value in (UNDECIDED, NO_SCORE) else do_float(value, default)


def _rounded(value, *arguments):
    return value if isinstance(value, str) else do_round(value, *arguments)


class FeedbackConverter(GenerateFeedback):
    """Feedback for exactly the students that are named, whatever signs are in their names."""

    students = List()
    preprocessors = List([StatusGrades, CSSHTMLHeaderPreprocessor])
    exporter_class = Type(FeedbackExporter)

    def init_notebooks(self) -> None:
        """Find the autograded notebooks without taking a name for a pattern."""
        self.assignments = {}
        for student in self.students:
            folder = self.coursedir.format_path(
                self.coursedir.autograded_directory, student, self.coursedir.assignment_id
            )
            notebooks = [
                f"{folder}/{name}" for name in utils.find_all_notebooks(folder) if "/" not in name
            ]
            if notebooks:
                self.assignments[folder] = notebooks

    def start(self) -> None:
        """Convert, and close what was opened; the failure of one student is no failure of all."""
        try:
            super().start()
        except NbGraderException as error:
            self.log.error(str(error))
        finally:
            for preprocessor in getattr(self.exporter, "_preprocessors", []):
                if isinstance(preprocessor, StatusGrades):
                    preprocessor.close()
