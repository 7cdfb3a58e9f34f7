"""Reading a text notebook of ``solutions/``: its cells, kinds and regions."""

import hashlib
import re
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:  # it takes long to import, and examiners have no use for it
    from nbformat import NotebookNode

from grading.course import GradingError

SOLUTION = ("### BEGIN SOLUTION", "### END SOLUTION")
HIDDEN = ("### BEGIN HIDDEN TESTS", "### END HIDDEN TESTS")
MARK_SCHEME = ("### BEGIN MARK SCHEME", "### END MARK SCHEME")


class Signature(NamedTuple):
    """What must survive a conversion of a cell that nbgrader knows."""

    grade_id: str
    kind: str
    points: float
    digest: str


def read_text_notebook(path: Path) -> "NotebookNode":
    """A text notebook; its cells have ids that are the same in every run.

    Raises:
        GradingError: the file is not a MyST notebook.
    """
    import jupytext  # here, because whoever only grades has no use for it

    text = path.read_text(encoding="utf-8")
    if "jupytext:" not in text.split("\n---", 1)[0] or "kernelspec:" not in text:
        raise GradingError(
            f"{path} has no jupytext header and no kernelspec, so it would not be a notebook; "
            "copy the first lines of another problem of solutions/"
        )
    try:
        notebook = jupytext.reads(text, fmt="md:myst")
    except Exception as error:
        raise GradingError(f"{path} cannot be read as a MyST notebook: {error}") from error
    identify(notebook)
    return notebook


def identify(notebook: "NotebookNode") -> None:
    """Name each cell after its grade_id, or its position: jupytext draws new ids each time."""
    for position, cell in enumerate(notebook.cells):
        cell.id = re.sub(r"[^\w-]", "-", grade_id(cell))[:64] or f"cell-{position:03d}"


def grade_id(cell: "NotebookNode") -> str:
    """The name that nbgrader knows the cell by, or nothing."""
    return cell.metadata.get("nbgrader", {}).get("grade_id", "")


def kind(cell: "NotebookNode") -> str:
    """answer, test, written, locked, or nothing for an ordinary cell."""
    marks = cell.metadata.get("nbgrader", {})
    if marks.get("grade") and marks.get("solution"):
        return "written"
    for name, key in (("answer", "solution"), ("test", "grade"), ("locked", "locked")):
        if marks.get(key):
            return name
    return ""


def points(cell: "NotebookNode") -> float:
    """What the cell is worth."""
    return float(cell.metadata.get("nbgrader", {}).get("points", 0))


def signature(notebook: "NotebookNode") -> list[Signature]:
    """Grade ids, kinds, points and hashes of the cells that nbgrader knows, in order."""
    return [
        Signature(
            grade_id(cell),
            f"{cell.cell_type} {kind(cell)}",
            points(cell),
            hashlib.sha256(cell.source.encode()).hexdigest(),
        )
        for cell in notebook.cells
        if "nbgrader" in cell.metadata
    ]


def cell_named(notebook: "NotebookNode", name: str) -> "NotebookNode":
    """The cell with this grade_id."""
    return next(cell for cell in notebook.cells if grade_id(cell) == name)


def regions(source: str, markers: tuple[str, str]) -> tuple[str, str]:
    """The lines outside and the lines inside the marked regions; the markers in neither.

    As for nbgrader, any line that contains the words of a marker is one.
    """
    outside, inside, within = [], [], False
    for line in source.split("\n"):
        marker = next((one for one in markers if one.removeprefix("### ") in line), None)
        if marker is not None:
            within = marker == markers[0]
        else:
            (inside if within else outside).append(line)
    return "\n".join(outside), "\n".join(inside)


def public_part(cell: "NotebookNode") -> str:
    """What students see of a cell."""
    return regions(regions(regions(cell.source, SOLUTION)[0], HIDDEN)[0], MARK_SCHEME)[0]


def answer_text(cell: "NotebookNode") -> str:
    """The whole answer cell without the marker lines."""
    return "\n".join(line for line in cell.source.split("\n") if line.strip() not in SOLUTION)


def write_notebook(notebook: "NotebookNode", path: Path) -> None:
    """Write an .ipynb whose bytes depend on the cells alone."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(nbformat.writes(notebook) + "\n", encoding="utf-8", newline="\n")
