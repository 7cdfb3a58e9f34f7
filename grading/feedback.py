"""The pages that students get back."""

import shutil
import time
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from grading.autograded import MARKER, folder_of
from grading.stock import ANSI, Stock, quiet

EARLIER = ".earlier"
"""In a student's feedback folder: pages that were replaced. The exchange does not release them."""


@dataclass
class Written:
    """Who has pages now, and who has none although there is something to show; with the log."""

    students: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    log: str = ""


def write_feedback(stock: Stock, assignment: str, students: Iterable[str]) -> Written:
    """Write the pages of some students with nbgrader's converter, in one call.

    Nothing that a student made can act in them. A submission that failed has a page too. Pages that
    are replaced by others are kept in ``.earlier/ASSIGNMENT/DATE`` beside them.

    Args:
        stock: nbgrader, configured for the course.
        assignment: its name.
        students: whose autograded folders to show.
    """
    students = list(students)
    if not students:
        return Written()
    with quiet():
        from nbgrader.utils import capture_log, temp_attrs
        from traitlets.config import Config

        from grading.feedback_converter import FeedbackConverter

        directory = stock.directory
        places = {name: feedback_folder(stock, name, assignment) for name in students}
        kept = {name: _keep(place) for name, place in places.items()}
        config = Config()
        config.HTMLExporter.template_name = "feedback"
        ignored = [*directory.ignore, MARKER]
        with temp_attrs(directory, assignment_id=assignment, ignore=ignored):
            converter = FeedbackConverter(coursedir=directory, parent=stock.api)
            converter.update_config(config)
            converter.students, converter.force = students, True
            answer = capture_log(converter)
    written = Written(log=ANSI.sub("", answer.get("log", "") + answer.get("error", "")))
    for name, place in places.items():
        _drop_if_same(kept[name], place)
        (written.students if any(place.glob("*.html")) else written.missing).append(name)
    return written


def feedback_folder(stock: Stock, student: str, assignment: str) -> Path:
    """Where the pages of one submission are."""
    return folder_of(stock.directory, stock.directory.feedback_directory, student, assignment)


def _keep(place: Path) -> Path | None:
    """Copy the pages that are there; return where to."""
    pages = sorted(place.glob("*.html"))
    if not pages:
        return None
    newest = max(page.stat().st_mtime for page in pages)
    stamp = time.strftime("%Y-%m-%d-%H%M%S", time.localtime(newest))
    folder = place.parent / EARLIER / place.name / stamp
    number = 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{stamp}-{number}")
    folder.mkdir(parents=True)
    for page in pages:
        shutil.copy2(page, folder)
    return folder


def _drop_if_same(kept: Path | None, place: Path) -> None:
    if kept is None:
        return
    old, new = (
        {page.name: page.read_bytes() for page in folder.glob("*.html")} for folder in (kept, place)
    )
    if old == new:
        shutil.rmtree(kept)
