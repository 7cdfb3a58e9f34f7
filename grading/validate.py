"""Is a text notebook a sound assignment? What a conversion would break silently is named here."""

import ast
import re
from collections import Counter
from pathlib import Path

import jupytext
from nbformat import NotebookNode

from grading.course import Course, GradingError
from grading.source import (
    HIDDEN,
    SOLUTION,
    grade_id,
    kind,
    points,
    public_part,
    read_text_notebook,
    regions,
    signature,
)

MARKER = re.compile(r"\b(BEGIN|END)\b.*\b(SOLUTIONS?|HIDDEN|TESTS?)\b", re.IGNORECASE)
GRADE_ID = re.compile(r"""["']?\bgrade_id\b["']?\s*:\s*["']?([^\s"',}]+)""")


def problems_of(path: Path, notebook: NotebookNode | None = None) -> list[str]:
    """Everything that is wrong with one text notebook, each with what to do."""
    notebook = notebook or read_text_notebook(path)
    found = _lost_in_conversion(path, notebook)
    if not any(grade_id(cell) == "setup" for cell in notebook.cells):
        found.append("there is no cell with grade_id 'setup'; add a locked one with the imports")
    for name, count in Counter(map(grade_id, notebook.cells)).items():
        if name and count > 1:
            found.append(f"the grade_id {name!r} occurs {count} times; give each cell its own")
    for before, cell in zip([None, *notebook.cells], notebook.cells, strict=False):
        found += _markers(cell) + _cell(cell) + _order(before, cell)
    if notebook.cells and kind(notebook.cells[-1]) == "answer":
        found.append(_no_test(notebook.cells[-1]))
    return [f"{path.name}: {problem}" for problem in found]


def _lost_in_conversion(path: Path, notebook: NotebookNode) -> list[str]:
    _, _, text = path.read_text(encoding="utf-8").partition("\n---\n")
    written = GRADE_ID.findall(text)
    read = [grade_id(cell) for cell in notebook.cells if "nbgrader" in cell.metadata]
    if written != read:
        lost = ", ".join((Counter(written) - Counter(read)) or (Counter(read) - Counter(written)))
        return [
            f"the text names the cells {written}, the notebook has {read} ({lost or 'reordered'}); "
            "look for metadata that is not valid YAML or JSON, or a fence inside a cell"
        ]
    again = jupytext.reads(jupytext.writes(notebook, fmt="md:myst"), fmt="md:myst")
    if signature(again) != signature(notebook):
        changed = [
            old.grade_id
            for old, new in zip(signature(notebook), signature(again), strict=False)
            if old != new
        ]
        return [f"cells change when converted and back: {changed}; look for `+++` and ``` in them"]
    return []


def _markers(cell: NotebookNode) -> list[str]:
    name = grade_id(cell) or cell.source.split("\n")[0][:40]
    found, expected = [], None
    for line in cell.source.split("\n"):
        if not MARKER.search(line) or (cell.cell_type == "markdown" and "###" not in line):
            continue
        marker = line.strip()
        pair = next((pair for pair in (SOLUTION, HIDDEN) if marker in pair), None)
        if pair is None:
            found.append(f"{name}: {marker!r} is none of {[*SOLUTION, *HIDDEN]}")
        elif marker != (expected or pair[0]):
            found.append(f"{name}: {marker!r} comes where {expected or pair[0]!r} is due")
        elif kind(cell) not in (("answer", "written") if pair is SOLUTION else ("test",)):
            found.append(f"{name}: {marker!r} stands in a cell that is not marked for it")
        expected = pair[1] if pair and marker == pair[0] else None
    if expected:
        found.append(f"{name}: {expected!r} is missing; did a `+++` line split the cell?")
    return found


def _cell(cell: NotebookNode) -> list[str]:
    name, found = grade_id(cell), []
    if "nbgrader" in cell.metadata and cell.metadata["nbgrader"].get("schema_version") != 3:
        found.append(f"{name}: schema_version must be 3")
    if kind(cell) in ("test", "written") and points(cell) <= 0:
        found.append(f"{name}: a graded cell needs points above 0")
    if kind(cell) in ("answer", "written") and not regions(cell.source, SOLUTION)[1].strip():
        found.append(f"{name}: there is no answer between {SOLUTION[0]!r} and {SOLUTION[1]!r}")
    if kind(cell) == "test":
        for part, text in (
            ("visible", public_part(cell)),
            ("hidden", regions(cell.source, HIDDEN)[1]),
        ):
            if not _has_statements(text):
                found.append(
                    f"{name}: the {part} part of this test cell is empty; everyone would pass it"
                )
    return found


def _has_statements(code: str) -> bool:
    try:
        return bool(ast.parse(code).body)
    except SyntaxError:
        return True  # the run of the reference solution shows it with its traceback


def _order(before: NotebookNode | None, cell: NotebookNode) -> list[str]:
    found = []
    if kind(cell) == "test" and (
        before is None or kind(before) != "answer" or grade_id(cell) != f"test-{grade_id(before)}"
    ):
        found.append(
            f"{grade_id(cell)}: a test cell follows its answer cell and is called test-NAME"
        )
    if before is not None and kind(before) == "answer" and kind(cell) != "test":
        found.append(_no_test(before))
    return found


def _no_test(cell: NotebookNode) -> str:
    return f"{grade_id(cell)}: an answer cell is followed by its test cell test-{grade_id(cell)}"


def validate(course: Course, assignment: str) -> None:
    """Check all notebooks of an assignment.

    Raises:
        GradingError: names every problem.
    """
    found, places = [], {}
    for path in course.problems(assignment):
        notebook = read_text_notebook(path)
        found += problems_of(path, notebook)
        for cell in notebook.cells:
            if kind(cell) in ("answer", "test", "written"):
                places.setdefault(grade_id(cell), set()).add(path.name)
    for name, files in places.items():
        if len(files) > 1:
            found.append(f"the grade_id {name!r} occurs in {', '.join(sorted(files))}; rename one")
    if found:
        raise GradingError(f"{assignment} is not sound:\n  " + "\n  ".join(found))
