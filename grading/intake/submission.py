"""From the files of a submission to one plan for each notebook."""

from collections.abc import Mapping

from grading.engine.bundle import Bundle, SourceNotebook
from grading.intake.decode import Cell, Contents
from grading.intake.files import choose_files
from grading.intake.match import Item, is_answer, is_instructors, match
from grading.intake.notes import Notes
from grading.intake.order import Order
from grading.intake.plan import LOCKED, STUDENT, TEST, TEXT, Plan, Step
from grading.intake.stub import looks_empty, released_text

UNEXPECTED = "The notebook could not be read, which is a fault of the grader"


def read_submission(bundle: Bundle, files: Mapping[str, bytes]) -> list[Plan]:
    """One plan for each notebook of the assignment, whatever the bytes are; it never raises.

    Args:
        bundle: the assignment.
        files: the submission: relative path to content.
    """
    try:
        choices = choose_files(bundle, files)
    except Exception as error:  # a batch must not stop; the tests see to it that this is not used
        return [Plan(name, failed=_unexpected(error)) for name in bundle.notebooks]
    plans = []
    for name, choice in choices.items():
        plan = Plan(name, notes=choice.notes)
        try:
            if choice.contents is None:
                plan.failed = f"{name}.ipynb was not handed in"
            else:
                _fill(plan, bundle.notebooks[name], choice.contents)
        except Exception as error:
            plan = Plan(name, failed=_unexpected(error))
        plans.append(plan)
    return plans


def _unexpected(error: Exception) -> str:
    return f"{UNEXPECTED} ({type(error).__name__}). Tell the instructor."


def _fill(plan: Plan, notebook: SourceNotebook, contents: Contents) -> None:
    plan.notes += contents.notes
    if contents.failed:
        plan.failed = f"{plan.notebook}.ipynb: {contents.failed}"
        return
    notes = Notes()
    items = match(contents.cells, notebook, notes)
    order = Order(items, notebook, notes)
    steps = _students_steps(items, notebook) + _instructors_steps(order, notebook)
    steps += _missing_steps(order, notebook, plan, notes)
    plan.steps = [step for _, step in sorted(steps, key=lambda pair: pair[0])]
    plan.empty = _empty(items, notebook)
    plan.notes += notes.sentences()


def _students_steps(items: list[Item], notebook: SourceNotebook) -> list[tuple]:
    bearers = _bearers(items, notebook)
    steps = []
    for place, item in enumerate(items):
        if item.index is None:
            step = _plain(item.cell)
        elif is_instructors(notebook.cells[item.index]):
            continue
        else:
            source = notebook.cells[item.index]
            name = source.grade_id if bearers[item.index] == place else ""
            kind = STUDENT if is_answer(source) else TEXT
            step = Step(
                kind,
                name,
                source.cell_type,
                item.cell.source,
                source.grade_id,
                item.cell.attachments,
            )
        steps.append(((place, 0, 0), step))
    return steps


def _plain(cell: Cell) -> Step:
    kind = STUDENT if cell.cell_type == "code" else TEXT
    return Step(kind, "", cell.cell_type, cell.source, attachments=cell.attachments)


def _bearers(items: list[Item], notebook: SourceNotebook) -> dict[int, int]:
    """Which copy of an answer bears the grade_id: the last that says something."""
    bearers, worth = {}, {}
    for place, item in enumerate(items):
        if item.index is not None:
            told = not _unchanged(item, notebook)
            if told >= worth.get(item.index, False):
                bearers[item.index], worth[item.index] = place, told
    return bearers


def _unchanged(item: Item, notebook: SourceNotebook) -> bool:
    source, settings = notebook.cells[item.index], item.cell.settings
    return looks_empty(source, item.cell.source, settings.get("checksum"))


def _instructors_steps(order: Order, notebook: SourceNotebook) -> list[tuple]:
    steps = []
    for index, cell in enumerate(notebook.cells):
        if is_instructors(cell):
            kind, task = (TEST, order.task(index)) if cell.kind == "test" else (LOCKED, "")
            step = Step(kind, cell.grade_id, cell.cell_type, cell.source, task)
            steps.append((order.key(index), step))
    return steps


def _missing_steps(order: Order, notebook: SourceNotebook, plan: Plan, notes: Notes) -> list[tuple]:
    """Written answers that are not there get their released text: they need a place for marks."""
    steps = []
    for index, cell in enumerate(notebook.cells):
        if not cell.kind or order.copies[index]:
            continue
        if cell.kind == "written":
            kind = STUDENT if is_answer(cell) else TEXT
            step = Step(kind, cell.grade_id, cell.cell_type, released_text(cell), cell.grade_id)
            steps.append((order.key(index), step))
        if cell.cell_type == "code" or not is_instructors(cell):
            notes.add(f"missing {cell.kind}", cell.grade_id)
    return steps


def _empty(items: list[Item], notebook: SourceNotebook) -> list[str]:
    told = {
        item.index for item in items if item.index is not None and not _unchanged(item, notebook)
    }
    return [
        cell.grade_id
        for index, cell in enumerate(notebook.cells)
        if cell.kind in ("answer", "written") and index not in told
    ]
