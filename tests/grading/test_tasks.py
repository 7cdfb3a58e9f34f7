"""What the student and the book read about the tasks."""

import pytest

from grading.course import GradingError
from grading.source import read_text_notebook
from grading.tasks import fill_placeholders, tasks_of, tasks_page

TINY = "01-tiny"


def test_points_come_from_the_test_cell_or_the_written_question(course):
    points = {task.name: task.points for task in tasks_of(course, TINY)}
    assert points == {"double": 2, "total": 3, "reverse": 1, "why": 2}


def test_placeholder_becomes_the_facts_of_its_task(course):
    notebook = read_text_notebook(course.solutions / TINY / "numbers.md")
    fill_placeholders("numbers", notebook)
    assert notebook.cells[2].source == (
        "## Twice a number\n\n"
        "*Difficulty 1 of 5, importance 3 of 5, about 5 minutes, 2 points.*\n\n"
        "Return twice the number."
    )


@pytest.mark.parametrize(
    ("new", "message"),
    [("{{task:twice}}", "names no task"), ("see {{task:double}}", "must stand alone")],
)
def test_placeholder_that_cannot_be_filled_is_refused(course, edit, new, message):
    path = course.solutions / TINY / "numbers.md"
    edit(path, "{{task:double}}", new)
    with pytest.raises(GradingError, match=message):
        fill_placeholders("numbers", read_text_notebook(path))


@pytest.mark.parametrize(
    ("old", "new"), [('"difficulty": 1, ', ""), ('"difficulty": 1', '"difficulty": 6')]
)
def test_incomplete_facts_are_refused(course, edit, old, new):
    edit(course.solutions / TINY / "numbers.md", old, new)
    with pytest.raises(GradingError, match="difficulty"):
        tasks_of(course, TINY)


def test_table_ends_with_the_totals(course):
    lines = tasks_page(tasks_of(course, TINY)).split("\n")
    assert lines[0].startswith("| Task | Kind |")
    assert lines[2] == "| Twice a number | build | 1 of 5 | 3 of 5 | 5 | 2 |"
    assert lines[-1] == "| **Total** |  |  |  | **23** | **8** |"
