"""The report of an assignment, from what was recorded when it was graded."""

from pathlib import Path

from grading.bugs import load_bugs
from grading.course import Course, GradingError
from grading.prepare import open_stock, records_folder
from grading.report.pages import write_report
from grading.report.summary import ClassSummary, summarise
from grading.results import ResultStore
from grading.submitted import find_submissions


def report(course: Course, assignment: str) -> tuple[ClassSummary, Path]:
    """Write the report; returns what is in it, and its first page.

    Args:
        course: our course, or any folder with nbgrader_config.py.
        assignment: its name.

    Raises:
        GradingError: nothing of this assignment is graded yet.
    """
    stock = open_stock(course)
    folder = records_folder(stock)
    records = ResultStore(folder / "results").latest(assignment)
    if not records:
        raise GradingError(
            f"nothing of {assignment} is graded yet; run `python -m grading grade {assignment}`"
        )
    others = {path.name for path in (folder / "submitted").glob("*") if path.is_dir()}
    others -= set(find_submissions(stock.directory, assignment).odd)
    known = (course.solutions / assignment / "bugs.py").is_file()
    bugs = load_bugs(course, assignment) if known else []
    summary = summarise(assignment, dict.fromkeys(others) | records, bugs)
    return summary, write_report(summary, folder / "reports" / assignment)
