"""The tasks of an assignment: what they are worth and how hard they are."""

import re
from dataclasses import dataclass

from nbformat import NotebookNode

from grading.course import Course, GradingError
from grading.source import grade_id, kind, points, read_text_notebook
from grading.tables import markdown_table

PLACEHOLDER = re.compile(r"^\{\{task:([\w-]+)\}\}[ \t]*$", re.MULTILINE)
SCALE = 5


@dataclass(frozen=True)
class Task:
    """A thing to do: an answer cell with its test cell, or a written question."""

    name: str
    notebook: str
    title: str
    kind: str
    difficulty: int
    importance: int
    minutes: int
    points: float
    graded_cell: str

    @property
    def written(self) -> bool:
        """A written answer is marked by a person."""
        return self.graded_cell == self.name

    def line(self) -> str:
        """What stands under the heading of the task."""
        return (
            f"*Difficulty {self.difficulty} of {SCALE}, importance {self.importance} of {SCALE}, "
            f"about {self.minutes} minutes, {plural(self.points)}.*"
        )


def plural(number: float) -> str:
    """1 point, 2 points."""
    return f"{number:g} point" + ("" if number == 1 else "s")


def tasks_in(name: str, notebook: NotebookNode) -> list[Task]:
    """The tasks of one notebook, in order.

    Raises:
        GradingError: an answer has no test, or its metadata lacks a field.
    """
    worth = {grade_id(cell): points(cell) for cell in notebook.cells}
    found = []
    for cell in notebook.cells:
        if kind(cell) not in ("answer", "written"):
            continue
        task = grade_id(cell)
        graded = task if kind(cell) == "written" else f"test-{task}"
        if graded not in worth:
            raise GradingError(f"{name}: task {task} has no test cell with grade_id {graded!r}")
        found.append(
            Task(task, name, **_facts(name, cell), points=worth[graded], graded_cell=graded)
        )
    return found


def _facts(notebook: str, cell: NotebookNode) -> dict:
    facts = dict(cell.metadata.get("course", {}))
    if kind(cell) == "written":
        facts = {"title": grade_id(cell), "kind": "explain"} | facts
    wanted = {"title": str, "kind": str, "difficulty": int, "importance": int, "minutes": int}
    wrong = [key for key, type_ in wanted.items() if not isinstance(facts.get(key), type_)]
    wrong += [
        key
        for key in ("difficulty", "importance")
        if key not in wrong and not 1 <= facts[key] <= SCALE
    ]
    if wrong:
        raise GradingError(
            f"{notebook}: the metadata `course` of task {grade_id(cell)} lacks or has a wrong "
            f"{', '.join(wrong)}; it needs title and kind (text), difficulty and importance "
            f"(1 to {SCALE}) and minutes (a whole number)"
        )
    return {key: facts[key] for key in wanted}


def tasks_of(course: Course, assignment: str) -> list[Task]:
    """The tasks of all notebooks of an assignment."""
    return [
        task
        for path in course.problems(assignment)
        for task in tasks_in(path.stem, read_text_notebook(path))
    ]


def fill_placeholders(name: str, notebook: NotebookNode) -> None:
    """Replace each line ``{{task:NAME}}`` by the task's line.

    Raises:
        GradingError: there is no such task.
    """
    lines = {task.name: task.line() for task in tasks_in(name, notebook)}

    def fill(match: re.Match) -> str:
        if match[1] not in lines:
            raise GradingError(
                f"{name}: {match[0].strip()} names no task; the tasks are: {', '.join(lines)}"
            )
        return lines[match[1]]

    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            cell.source = PLACEHOLDER.sub(fill, cell.source)
            if "{{task:" in cell.source:
                raise GradingError(f"{name}: {{{{task:NAME}}}} must stand alone on its line")


def tasks_page(tasks: list[Task]) -> str:
    """The table of tasks, with totals, as Markdown."""
    rows = [
        [
            task.title,
            task.kind,
            f"{task.difficulty} of {SCALE}",
            f"{task.importance} of {SCALE}",
            str(task.minutes),
            f"{task.points:g}",
        ]
        for task in tasks
    ]
    minutes, worth = sum(task.minutes for task in tasks), sum(task.points for task in tasks)
    rows.append(["**Total**", "", "", "", f"**{minutes}**", f"**{worth:g}**"])
    return markdown_table(
        ["Task", "Kind", "Difficulty", "Importance", "Minutes", "Points"], rows, right=(4, 5)
    )
