"""Is an answer still as it was released?"""

import hashlib
import re

from grading.engine.bundle import SourceCell

STUBS = re.compile(
    r"""^\W*(?:your\ (?:code|answer)\ here
        |raise\ NotImplementedError(?:\(.*\))?
        |replace\ this\ line\ by\ your\ answer
        |pass|\.\.\.)\W*$""",
    re.VERBOSE | re.IGNORECASE,
)
"""What nbgrader, and this course, put in the place of an answer."""


def released_text(cell: SourceCell) -> str:
    """What students got of an answer cell; where no part of it is marked, nbgrader takes it all."""
    return cell.public if "BEGIN SOLUTION" in cell.source else ""


def looks_empty(cell: SourceCell, text: str, checksum: object = None) -> bool:
    """Does ``text`` add nothing to what students got?

    Args:
        cell: the instructor's cell.
        text: what was handed in.
        checksum: what nbgrader wrote into the released cell, which knows any stub that a course
            has configured; a student who changes it gains nothing.
    """
    if isinstance(checksum, str) and checksum == _checksum(cell, text):
        return True
    own = _told(text)
    return not own or own == _told(released_text(cell))


def _told(text: str) -> list[str]:
    """The lines without blank ones, indentation and stubs."""
    lines = (line.strip() for line in text.split("\n"))
    return [line for line in lines if line and not STUBS.match(line)]


def _checksum(cell: SourceCell, text: str) -> str:
    """The checksum that nbgrader gives a released answer (``nbgrader.utils.compute_checksum``)."""
    written = cell.kind == "written"
    parts = [text, cell.cell_type, str(written), "True", "False", cell.grade_id]
    if written:
        parts.append(str(float(cell.points)))
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()
