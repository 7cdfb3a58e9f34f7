"""The student edition: what is in it, and what a release never does."""

import nbformat
import pytest

from grading.answers import type_answers
from grading.course import GradingError
from grading.engine.bundle import read_bundle
from grading.release import release

TINY = "01-tiny"


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_release_writes_the_same_bytes_again(released):
    first = contents(released.exercises)
    assert set(first) == {
        f"{TINY}/{name}" for name in ("checks.py", "numbers.ipynb", "words.ipynb")
    }
    assert release(released, TINY) == []
    for path in (released.exercises / TINY).iterdir():
        path.unlink()
    assert len(release(released, TINY)) == 3
    assert contents(released.exercises) == first


def test_student_edition_has_stubs_and_visible_checks_only(released):
    notebook = nbformat.read(released.exercises / TINY / "numbers.ipynb", as_version=4)
    nbformat.validate(notebook)
    cells = {cell.id: cell for cell in notebook.cells}
    assert cells["test-double"].source == "check_double(double)"
    assert cells["double"].source == (
        'def double(number):\n    """Twice the number."""\n    # YOUR CODE HERE\n'
        '    raise NotImplementedError("replace this line by your answer")'
    )
    assert set(notebook.metadata) == {"kernelspec"}  # jupytext's would pair it with a text file
    assert not any(cell.get("outputs") or cell.get("execution_count") for cell in notebook.cells)


def test_release_keeps_answers_unless_forced(released):
    folder = released.exercises / TINY
    type_answers(folder, folder, {"double": "def double(n):\n    return 2 * n"})
    mine = (folder / "numbers.ipynb").read_bytes()
    with pytest.raises(GradingError, match=r"not overwritten.*numbers\.ipynb"):
        release(released, TINY)
    assert (folder / "numbers.ipynb").read_bytes() == mine
    assert release(released, TINY, force=True) == [folder / "numbers.ipynb"]


def test_release_keeps_files_that_it_did_not_write_unless_forced(released):
    notes = released.exercises / TINY / "notes.txt"
    notes.write_text("mine", encoding="utf-8")
    with pytest.raises(GradingError, match=r"notes\.txt"):
        release(released, TINY)
    release(released, TINY, force=True)
    assert not notes.exists()


def test_the_limits_of_grading_are_for_the_grader_alone(course):
    policy = course.solutions / TINY / "grading.toml"
    policy.write_text('forbidden = ["sum"]\n', encoding="utf-8")
    release(course, TINY)
    assert set(contents(course.exercises)) == {
        f"{TINY}/{name}" for name in ("checks.py", "numbers.ipynb", "words.ipynb")
    }
    source = course.build / "source" / TINY
    assert read_bundle(source, TINY).policy.forbidden == ("sum",)
    (course.exercises / TINY / "grading.toml").write_text("", encoding="utf-8")
    with pytest.raises(GradingError, match=r"not overwritten.*grading\.toml"):
        release(course, TINY)


def test_release_that_leaks_writes_nothing(course, edit):
    edit(
        course.solutions / TINY / "checks.py",
        "got = double(3)",
        "twice_the_number = number + number",
    )
    with pytest.raises(GradingError, match="is not released, it leaks"):
        release(course, TINY)
    assert not course.exercises.exists()


def test_unknown_assignment_is_refused_with_the_known_ones(course):
    with pytest.raises(GradingError, match="the assignments are: 01-tiny"):
        course.select(["02-tiny"])
