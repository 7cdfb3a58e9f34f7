"""Unsound text notebooks are refused, each with what is wrong."""

import pytest

from grading.course import GradingError
from grading.release import build_source
from grading.source import HIDDEN, SOLUTION, read_text_notebook, regions, signature
from grading.validate import validate

TINY = "01-tiny"


def test_sound_assignment_passes(course):
    validate(course, TINY)


HIDDEN_REVERSE = (
    '### BEGIN HIDDEN TESTS\nassert reverse("palindromes") == "semordnilap"\n### END HIDDEN TESTS'
)

UNSOUND = {
    "duplicate grade_id": ('"grade_id": "why-text"', '"grade_id": "reverse"', "occurs 2 times"),
    "grade_id of another notebook": ('"grade_id": "why"', '"grade_id": "double"', "occurs in"),
    "empty visible part": ("check_reverse(reverse)\n", "# nothing\n", "the visible part"),
    "empty hidden part": (HIDDEN_REVERSE, "", "the hidden part"),
    "only a comment is hidden": (
        'assert reverse("palindromes") == "semordnilap"',
        "# later",
        "the hidden part",
    ),
    "marker with a typing error": ("BEGIN HIDDEN TESTS", "BEGIN HIDDEN TEST", "is none of"),
    "region not closed": ("### END HIDDEN TESTS", "", "is missing"),
    "region closed twice": (
        "### END HIDDEN TESTS",
        "### END HIDDEN TESTS\n### END HIDDEN TESTS",
        "comes where",
    ),
    "solution in a cell that is shown": (
        "from checks import check_reverse",
        "from checks import check_reverse\n### BEGIN SOLUTION\nx = 1\n### END SOLUTION",
        "not marked for it",
    ),
    "no answer": ('return "".join(reversed(word))', "", "no answer between"),
    "no points": ('"points": 1', '"points": 0', "points above 0"),
    "test of another task": ('"test-reverse"', '"test-revers"', "called test-NAME"),
    "no setup cell": ('"grade_id": "setup"', '"grade_id": "imports"', "'setup'"),
    "old schema": (
        '"points": 1, "schema_version": 3',
        '"points": 1, "schema_version": 1',
        "schema_version must be 3",
    ),
    "+++ splits a written answer": (
        "Each letter returns",
        "Each letter\n\n+++\n\nreturns",
        "did a `+++` line split",
    ),
    "metadata that belongs to no cell": (
        "Why is reversing",
        '"grade_id": "lost"\n\nWhy is reversing',
        "look for metadata",
    ),
}


@pytest.mark.parametrize("case", UNSOUND)
def test_unsound_assignment_is_refused(course, edit, case):
    old, new, message = UNSOUND[case]
    edit(course.solutions / TINY / "words.md", old, new)
    with pytest.raises(GradingError, match="is not sound") as caught:
        build_source(course, TINY, course.build / "source" / TINY)
    assert message in str(caught.value)
    assert "words.md" in str(caught.value)
    assert not course.build.exists()


def test_metadata_that_is_not_json_is_refused(course, edit):
    edit(course.solutions / TINY / "words.md", '+++ {"course"', "+++ {course")
    with pytest.raises(GradingError, match="cannot be read as a MyST notebook"):
        validate(course, TINY)


def test_file_without_jupytext_header_is_refused(course, edit):
    edit(course.solutions / TINY / "words.md", "jupytext:", "jupytxt:")
    with pytest.raises(GradingError, match="no jupytext header"):
        validate(course, TINY)


def test_signature_does_not_depend_on_the_run(course):
    path = course.solutions / TINY / "numbers.md"
    first, second = read_text_notebook(path), read_text_notebook(path)
    assert signature(first) == signature(second)
    assert [cell.id for cell in first.cells] == [cell.id for cell in second.cells]
    assert [entry.grade_id for entry in signature(first)] == [
        "setup",
        "double-text",
        "double",
        "test-double",
        "total-text",
        "total",
        "test-total",
    ]


def test_regions_split_the_lines_in_two():
    source = f"a\n    {SOLUTION[0]}\n    b\n    {SOLUTION[1]}\nc"
    assert regions(source, SOLUTION) == ("a\nc", "    b")
    assert regions(source, HIDDEN) == (source, "")
