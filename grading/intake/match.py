"""Which cell of a submission stands for which cell of the instructor's."""

import re
import unicodedata
from collections import defaultdict
from dataclasses import dataclass

from grading.engine.bundle import SourceCell, SourceNotebook
from grading.intake.decode import Cell
from grading.intake.notes import Notes
from grading.intake.stub import released_text

DEFINED = re.compile(r"^(?:async\s+)?(?:def|class)\s+(\w+)|^(\w+)\s*=[^=]", re.MULTILINE)
LISTED = re.compile(r"BEGIN (HIDDEN TESTS|MARK SCHEME)|AUTOTEST")


@dataclass
class Item:
    """A cell of the submission. ``index`` is the place of its counterpart in the source."""

    cell: Cell
    index: int | None = None


def match(cells: list[Cell], notebook: SourceNotebook, notes: Notes) -> list[Item]:
    """Find the instructor's counterpart of each cell that has one."""
    items = _by_grade_id(cells, notebook)
    _by_text(items, notebook, notes)
    _by_definition(items, notebook, notes)
    _by_neighbours(items, notebook, notes)
    items = _unmerged(items, notebook, notes)
    _remark(items, notebook, notes)
    return items


def is_answer(cell: SourceCell) -> bool:
    """Does the student write code here?"""
    return cell.kind == "answer" or (cell.kind == "written" and cell.cell_type == "code")


def is_instructors(cell: SourceCell) -> bool:
    """Does the text always come from the source?"""
    return cell.kind in ("test", "locked", "task")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).strip().casefold()


def _lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.strip().split("\n")]


def _by_grade_id(cells: list[Cell], notebook: SourceNotebook) -> list[Item]:
    known = {
        cell.grade_id: index
        for index, cell in enumerate(notebook.cells)
        if cell.grade_id and cell.kind
    }
    folded = {_folded(name): index for name, index in known.items()}
    if len(folded) < len(known):
        folded = {}
    return [
        Item(cell, known.get(cell.grade_id, folded.get(_folded(cell.grade_id)))) for cell in cells
    ]


def _missing(items: list[Item], notebook: SourceNotebook) -> list[tuple[int, SourceCell]]:
    present = {item.index for item in items}
    return [
        (index, cell)
        for index, cell in enumerate(notebook.cells)
        if cell.kind and index not in present
    ]


def _by_text(items: list[Item], notebook: SourceNotebook, notes: Notes) -> None:
    """Locked and test cells whose metadata is lost."""
    free = defaultdict(list)
    for item in items:
        if item.index is None and item.cell.source.strip():
            free["\n".join(_lines(item.cell.source))].append(item)
    for index, cell in _missing(items, notebook):
        found = free.pop("\n".join(_lines(cell.public)), []) if is_instructors(cell) else []
        for item in found:
            item.index = index
        if found:
            notes.add("recognised", cell.grade_id)


def _by_definition(items: list[Item], notebook: SourceNotebook, notes: Notes) -> None:
    """Answers whose metadata is lost: they define what the released cell defines."""
    for index, cell in _missing(items, notebook):
        wanted = _defined(cell.public) or _defined(cell.source) if is_answer(cell) else set()
        for item in items:
            free = item.index is None and item.cell.cell_type == "code"
            if free and wanted & _defined(item.cell.source):
                item.index = index
                notes.add("recognised", cell.grade_id)


def _defined(source: str) -> set[str]:
    return {name for pair in DEFINED.findall(source) for name in pair if name}


def _by_neighbours(items: list[Item], notebook: SourceNotebook, notes: Notes) -> None:
    """Answers whose metadata is lost: what the student wrote between the same neighbours."""
    given = {"\n".join(_lines(_given(cell))) for cell in notebook.cells}
    for index, cell in _missing(items, notebook):
        if is_instructors(cell):
            continue
        before = [
            at for at, item in enumerate(items) if item.index is not None and item.index < index
        ]
        after = [
            at for at, item in enumerate(items) if item.index is not None and item.index > index
        ]
        for item in items[max(before, default=-1) + 1 : min(after, default=len(items))]:
            same = (item.cell.cell_type == "code") == (cell.cell_type == "code")
            text = "\n".join(_lines(item.cell.source))
            if item.index is None and same and text and text not in given:
                item.index = index
                notes.add("recognised", cell.grade_id)


def _given(cell: SourceCell) -> str:
    return released_text(cell) if cell.kind in ("answer", "written") else cell.public


def _unmerged(items: list[Item], notebook: SourceNotebook, notes: Notes) -> list[Item]:
    """Take an answer that was merged into a cell of the instructor's out of it again."""
    missing = [(index, cell) for index, cell in _missing(items, notebook) if is_answer(cell)]
    parted = []
    for item in items:
        parted.append(item)
        if item.index is None or not is_instructors(notebook.cells[item.index]):
            continue
        rest = _remainder(item.cell.source, notebook.cells[item.index].public)
        for index, cell in missing:
            wanted = _defined(cell.public) or _defined(cell.source)
            if rest and wanted & _defined(rest):
                own = Item(Cell("code", rest, cell.grade_id), index)
                # an answer above its test, but below what it builds on
                parted.insert(len(parted) - (notebook.cells[item.index].kind == "test"), own)
                item.cell.source = notebook.cells[item.index].public
                notes.add("merged", cell.grade_id)
                rest = ""
    return parted


def _remainder(text: str, public: str) -> str:
    """What stands above or below the instructor's lines; nothing where they are not intact."""
    lines, fixed = _lines(text), _lines(public)
    if not public.strip() or len(lines) <= len(fixed):
        return ""
    if lines[: len(fixed)] == fixed:
        return "\n".join(lines[len(fixed) :])
    return "\n".join(lines[: -len(fixed)]) if lines[-len(fixed) :] == fixed else ""


def _remark(items: list[Item], notebook: SourceNotebook, notes: Notes) -> None:
    """Say what was changed in cells that nbgrader knows."""
    copies = defaultdict(int)
    for item in items:
        if item.index is None:
            continue
        source, cell = notebook.cells[item.index], item.cell
        copies[item.index] += 1
        if _settings_changed(cell, source):
            notes.add("settings", source.grade_id)
        if is_instructors(source):
            own = set(_stripped(cell.source)) - set(_stripped(source.source))
            if own and not LISTED.search(source.source.replace("BEGIN HIDDEN TESTS", "")):
                notes.add("typed" if source.cell_type == "code" else "text", source.grade_id)
        elif cell.cell_type != source.cell_type:
            notes.add("retyped", source.grade_id)
    for index, number in copies.items():
        if number > 1 and notebook.cells[index].kind != "locked":
            instructors = is_instructors(notebook.cells[index])
            notes.add("repeated" if instructors else "copied", notebook.cells[index].grade_id)


def _stripped(text: str) -> list[str]:
    return [line.strip() for line in text.split("\n") if line.strip()]


def _settings_changed(cell: Cell, source: SourceCell) -> bool:
    """Are points or flags not the instructor's? Unknown and older settings do not matter."""
    expected = {
        "grade": source.kind in ("test", "written"),
        "solution": source.kind in ("answer", "written"),
        "points": source.points,
        "schema_version": 3,
    }
    if not source.graded:
        del expected["points"]
    told = cell.settings
    version = told.get("schema_version", 3)
    if version in (0, 1, 2):
        expected["schema_version"] = version
    return any(key in told and told[key] != value for key, value in expected.items())
