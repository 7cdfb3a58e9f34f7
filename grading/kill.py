"""The kill gate: wrong answers are caught and named by the visible check, right ones pass."""

import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from nbformat import NotebookNode
from tqdm import tqdm

from grading.bugs import MINIMUM_BUGS, Bug, Right, load_bugs, load_rights
from grading.course import Course, GradingError
from grading.namespace import assignment_folder, environment, run_cell, run_up_to
from grading.source import HIDDEN, cell_named, public_part, read_text_notebook, regions
from grading.stock import load_config
from grading.tables import markdown_table, text_table
from grading.tasks import Task, tasks_of

MORE_SEEDS = (1, 2)
"""The hidden tests must hold for the course's seed and for these."""


@dataclass
class Outcome:
    """What the tests of one task say to one answer."""

    task: Task
    answer: Bug | Right | None  # None is the model answer
    visible: str = ""
    problems: list[str] = field(default_factory=list)

    @property
    def bug(self) -> Bug | None:
        """What must fail; None for an answer that must pass."""
        return self.answer if isinstance(self.answer, Bug) else None


def kill(course: Course, assignment: str, minimum: int = MINIMUM_BUGS) -> list[Outcome]:
    """Run the tests of every task on the reference, each unusual right and each wrong answer.

    Args:
        course: the course.
        assignment: its name.
        minimum: a build task with fewer wrong answers is a problem.

    Raises:
        GradingError: bugs.py cannot be read, or names a task that does not exist.
    """
    load_config(course)  # sets COURSE_SEED
    seeds = [os.environ["COURSE_SEED"], *map(str, MORE_SEEDS)]
    tasks = {task.name: task for task in tasks_of(course, assignment) if not task.written}
    bugs = load_bugs(course, assignment)
    answers = [*load_rights(course, assignment), *bugs]
    for answer in answers:
        if answer.task not in tasks:
            raise GradingError(
                f"bugs.py of {assignment}: {answer.name!r} is of task {answer.task!r}, which does "
                f"not exist; the tasks are: {', '.join(tasks)}"
            )
    notebooks = {path.stem: read_text_notebook(path) for path in course.problems(assignment)}
    counts = Counter(bug.task for bug in bugs)
    outcomes = []
    with assignment_folder(course.solutions / assignment, course.shipped_files(assignment)):
        for task, answer in tqdm(
            [(task, None) for task in tasks.values()] + [(tasks[one.task], one) for one in answers],
            desc=f"kill {assignment}",
            unit="answer",
            leave=False,
        ):
            outcome = Outcome(task, answer)
            _judge(outcome, notebooks[task.notebook], seeds)
            if answer is None and task.kind == "build" and counts[task.name] < minimum:
                outcome.problems.append(
                    f"bugs.py has {counts[task.name]} wrong answers, a build task needs {minimum}"
                )
            outcomes.append(outcome)
    order = list(tasks)
    return sorted(outcomes, key=lambda outcome: order.index(outcome.task.name))


def _judge(outcome: Outcome, notebook: NotebookNode, seeds: Sequence[str]) -> None:
    task, bug = outcome.task, outcome.bug
    test = cell_named(notebook, task.graded_cell).source
    visible, hidden = public_part(cell_named(notebook, task.graded_cell)), regions(test, HIDDEN)[1]
    try:
        error = _raised(notebook, outcome, visible, seeds[0])
        outcome.visible = _first_line(error)
        if bug is None:
            if error:
                outcome.problems.append(f"the visible check rejects it: {_first_line(error)}")
        elif bug.says is not None and not isinstance(error, AssertionError):
            outcome.problems.append(
                f"the visible check does not catch it ({_first_line(error) or 'it passes'}); "
                "make it raise AssertionError, or set says=None with a note"
            )
        elif bug.says is not None and bug.says not in str(error):
            outcome.problems.append(
                f"the visible check does not name it: {bug.says!r} is not in {str(error)!r}"
            )
        for seed in seeds:
            error = _raised(notebook, outcome, hidden, seed)
            if bug is None and error:
                outcome.problems.append(
                    f"with COURSE_SEED={seed} the hidden tests reject it: {_first_line(error)}"
                )
            elif bug is not None and not error:
                outcome.problems.append(
                    f"it survives the hidden tests with COURSE_SEED={seed}; add a hidden test that "
                    "fails on it"
                )
    except _BrokenAnswer as error:
        outcome.problems.append(f"the cells before the test do not run: {error}")


class _BrokenAnswer(Exception):
    pass


def _raised(notebook: NotebookNode, outcome: Outcome, test: str, seed: str) -> Exception | None:
    """What the test raises in a fresh namespace."""
    with environment({"COURSE_SEED": seed}):
        try:
            source = outcome.answer.source if outcome.answer else None
            namespace = run_up_to(notebook, outcome.task.name, source)
        except Exception as error:
            raise _BrokenAnswer(_first_line(error)) from error
        try:
            run_cell(test, outcome.task.graded_cell, namespace)
        except Exception as error:
            return error
    return None


def _first_line(error: Exception | None) -> str:
    return "" if error is None else f"{type(error).__name__}: {error}".split("\n")[0]


def failures(assignment: str, outcomes: Sequence[Outcome]) -> list[str]:
    """One sentence for each problem."""
    return [
        f"{assignment}, task {outcome.task.name}, {_name(outcome)}: {problem}"
        for outcome in outcomes
        for problem in outcome.problems
    ]


def _name(outcome: Outcome) -> str:
    if outcome.answer is None:
        return "reference"
    return f"{'bug' if outcome.bug else 'right answer'} {outcome.answer.name!r}"


def _rows(outcomes: Sequence[Outcome]) -> list[list[str]]:
    rows = []
    for outcome in outcomes:
        bug = outcome.bug
        if bug is None:
            name = f"(right: {outcome.answer.name})" if outcome.answer else "(reference)"
            visible, hidden = "passes", "pass"
        else:
            name, hidden = bug.name, "fail"
            visible = f"says {bug.says!r}" if bug.says else "silent"
        if outcome.problems:
            visible, hidden = "PROBLEM", "PROBLEM"
        rows.append([outcome.task.name, name, bug.errata if bug else "", visible, hidden])
    return rows


def kills_text(outcomes: Sequence[Outcome]) -> str:
    """The kill matrix for a terminal."""
    header = ["task", "answer", "errata", "visible check", "hidden tests"]
    return text_table(header, _rows(outcomes), width=56)


def kills_page(outcomes: Sequence[Outcome]) -> str:
    """The kill matrix as Markdown: what each wrong answer is told."""
    rows = []
    for outcome in outcomes:
        if outcome.bug is None:
            continue
        message = outcome.visible.removeprefix("AssertionError: ").replace("<", "&lt;")
        silent = f"*silent*: {outcome.bug.note}"
        rows.append(
            [
                outcome.task.title,
                outcome.bug.name,
                outcome.bug.errata,
                silent if outcome.bug.says is None else message,
                "survives" if outcome.problems else "fail",
            ]
        )
    return markdown_table(
        ["Task", "Wrong answer", "Errata", "What the visible check says", "Hidden tests"], rows
    )
