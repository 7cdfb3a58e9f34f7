"""A bundle made ready: what is the same for every submission is worked out once."""

import importlib.util
import py_compile
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from grading.engine.bundle import Bundle, SourceCell, SourceNotebook
from grading.engine.names import SourceError, ends_with_student_call, examiner_source, student_names
from grading.engine.shell import Prepared, prepare


@dataclass(frozen=True)
class ExaminerCell:
    """One of the instructor's cells as the examiner runs it.

    ``source`` is empty if there is nothing in it for the examiner. ``own_value`` says that the last
    expression is the student's own value, which is no partial credit.
    """

    cell: SourceCell
    source: str
    code: Prepared | None
    own_value: bool
    problem: str


@dataclass(frozen=True)
class Page:
    """One notebook of a lesson: the names that are the student's, and the examiner's cells."""

    names: frozenset[str]
    cells: tuple[ExaminerCell, ...]


class Lesson:
    """What a worker keeps of a bundle.

    Args:
        bundle: the assignment.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self.pages = {name: _page(notebook) for name, notebook in bundle.notebooks.items()}
        self.files = dict(bundle.files) | bytecode(bundle)


def _page(notebook: SourceNotebook) -> Page:
    names = student_names(notebook)
    return Page(names, tuple(_examiner_cell(cell, names) for cell in notebook.cells))


def _examiner_cell(cell: SourceCell, names: frozenset[str]) -> ExaminerCell:
    if cell.cell_type != "code" or cell.kind == "task":
        return ExaminerCell(cell, "", None, False, "")
    try:
        source = cell.source if cell.kind == "test" else examiner_source(cell, names)
        own = cell.kind == "test" and ends_with_student_call(source, names)
    except SourceError as error:
        return ExaminerCell(cell, "", None, False, str(error))
    name = f"{cell.grade_id or 'setup'} of the instructor"
    return ExaminerCell(cell, source, prepare(source, name), own, "")


def bytecode(bundle: Bundle) -> dict[str, bytes]:
    """Compiled forms of the modules that lie beside the notebooks: path to content.

    They say of themselves that their source need not be looked at, so that they hold anywhere.
    """
    made = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, data in bundle.files.items():
            if Path(name).suffix != ".py":
                continue
            source, target = Path(folder, "source.py"), Path(folder, "compiled")
            source.write_bytes(data)
            try:
                py_compile.compile(
                    str(source),
                    str(target),
                    dfile=name,
                    doraise=True,
                    invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH,
                )
            except (py_compile.PyCompileError, ValueError):
                continue  # the import will say what is wrong
            cached = importlib.util.cache_from_source(name)
            if sys.implementation.cache_tag:
                made[Path(cached).as_posix()] = target.read_bytes()
    return made
