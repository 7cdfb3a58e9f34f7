"""Which file is which notebook, whatever the names are."""

import json

import pytest

from grading.engine.bundle import Bundle, SourceCell, SourceNotebook
from grading.intake import normal_name, read_submission
from tests.grading.intake.example import ANSWERS, HONEST, released, sketch, source_notebook


def _bytes(notebook: dict) -> bytes:
    return json.dumps(notebook).encode()


@pytest.fixture
def data() -> bytes:
    return _bytes(released(ANSWERS))


def test_missing_notebook_is_said(bundle):
    (plan,) = read_submission(bundle, {})
    assert plan.failed == "work.ipynb was not handed in"
    (plan,) = read_submission(bundle, {"notes.txt": b"hello"})
    assert plan.failed == "work.ipynb was not handed in"


@pytest.mark.parametrize(
    "name",
    [
        "solution.ipynb",
        "Work.ipynb",
        "work (1).ipynb",
        "my work final.ipynb",
        "作业一.ipynb",
        "../work.ipynb",
        "/etc/passwd.ipynb",
        "C:\\Users\\me\\work.ipynb",
        "folder/work.ipynb",
        "work.ipynb.txt",
        "work.IPYNB",
        "a\nb\x1b[31m.ipynb",
        "\ud800.ipynb",
        "x" * 5000 + ".ipynb",
    ],
)
def test_renamed_notebook_is_recognised(bundle, data, name):
    (plan,) = read_submission(bundle, {name: data})
    assert sketch(plan) == HONEST
    (note,) = plan.notes
    assert note.startswith("work.ipynb was not handed in; ")
    assert len(note) < 250
    assert note.isprintable()


@pytest.mark.parametrize(
    "name", [".ipynb_checkpoints/work-checkpoint.ipynb", "__MACOSX/._work.ipynb", "._work.ipynb"]
)
def test_leftovers_of_programs_do_not_count(bundle, data, name):
    (plan,) = read_submission(bundle, {name: data})
    assert plan.failed


def test_other_notebook_is_not_graded_in_its_place(bundle):
    other = {"cells": [{"cell_type": "code", "source": "x = 1"}], "nbformat": 4}
    (plan,) = read_submission(bundle, {"scratch.ipynb": _bytes(other)})
    assert plan.failed == "work.ipynb was not handed in"
    assert plan.notes == ["Not part of the assignment, and not graded: scratch.ipynb."]


def test_extra_notebook_is_noted(bundle, data):
    (plan,) = read_submission(bundle, {"work.ipynb": data, "scratch.ipynb": b"{}"})
    assert sketch(plan) == HONEST
    assert plan.notes == ["Not part of the assignment, and not graded: scratch.ipynb."]


def test_right_name_wins_over_a_fuller_copy(bundle, data):
    files = {"work.ipynb": _bytes(released()), "work (1).ipynb": data}
    (plan,) = read_submission(bundle, files)
    assert plan.empty
    assert "work (1).ipynb" in plan.notes[-1]


def test_best_of_several_candidates(bundle, data):
    files = {"a.ipynb": _bytes(released()), "b.ipynb": data, "c.ipynb": b"broken"}
    (plan,) = read_submission(bundle, files)
    assert plan.empty == []
    assert "b.ipynb was graded in its place" in plan.notes[0]
    assert "Also like work.ipynb, and not graded: a.ipynb." in plan.notes


def test_readable_copy_stands_in_for_a_broken_file(bundle, data):
    (plan,) = read_submission(bundle, {"work.ipynb": b"", "work-copy1.ipynb": data})
    assert sketch(plan) == HONEST
    assert "work.ipynb cannot be graded; work-copy1.ipynb was graded" in plan.notes[0]


def test_broken_file_alone_says_why(bundle):
    (plan,) = read_submission(bundle, {"work.ipynb": b""})
    assert "is empty" in plan.failed


def test_swapped_names_are_put_right(bundle, data):
    other = SourceNotebook(
        "other",
        (
            SourceCell("setup", "locked", "code", 0, "import math", "import math"),
            SourceCell("half", "answer", "code", 0, "def half(n): ...", "def half(n): ..."),
            SourceCell("test-half", "test", "code", 1, "half(2)", "half(2)"),
        ),
    )
    both = Bundle("ps", {"other": other, "work": source_notebook()}, {})
    cells = [
        {
            "cell_type": "code",
            "source": cell.source,
            "metadata": {"nbgrader": {"grade_id": cell.grade_id}},
        }
        for cell in other.cells
    ]
    halves = _bytes({"cells": cells, "nbformat": 4})
    first, second = read_submission(both, {"other.ipynb": data, "work.ipynb": halves})
    assert sketch(first) == ["locked setup", "student half", "test test-half"]
    assert sketch(second) == HONEST
    assert first.notes
    assert second.notes


def test_many_files_are_bounded(bundle, data):
    files = {f"{number}.ipynb": b"{}" for number in range(3000)} | {"work.ipynb": data}
    (plan,) = read_submission(bundle, files)
    assert sketch(plan) == HONEST


def test_large_files_together_are_bounded(bundle, data, monkeypatch):
    import grading.intake.files as module

    monkeypatch.setattr(module, "MAX_TOTAL", len(data) + 10)
    (plan,) = read_submission(bundle, {"a.ipynb": data, "work.ipynb": data})
    assert sketch(plan) == HONEST
    assert "a.ipynb" in plan.notes[0]
    (plan,) = read_submission(bundle, {"a.ipynb": b"{" * len(data), "b.ipynb": data})
    assert plan.failed == "work.ipynb was not handed in"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("../My_Homework (1).IPYNB", "my homework.ipynb", True),
        ("C:\\x\\Problem 1.ipynb", "problem_1", True),
        ("problem1-Copy1.ipynb", "problem1.ipynb", True),
        ("problem1.ipynb", "problem2.ipynb", False),
        ("ｗｏｒｋ.ipynb", "work.ipynb", True),
        ("作业 1.ipynb", "作业1.ipynb", False),
        ("copy.ipynb", "work.ipynb", False),
    ],
)
def test_normal_names(one, other, same):
    assert (normal_name(one) == normal_name(other)) == same
