"""The kill gate goes red when a wrong answer gets through or is not named."""

import sys

import pytest

from grading.bugs import edit as edit_answer
from grading.bugs import function
from grading.course import GradingError
from grading.kill import failures, kill, kills_page, kills_text

TINY = "01-tiny"


def problems(course, minimum=2):
    return failures(TINY, kill(course, TINY, minimum))


def test_sound_assignment_kills_every_wrong_answer(course):
    outcomes = kill(course, TINY, 2)
    assert failures(TINY, outcomes) == []
    assert len(outcomes) == 3 + 6
    assert "checks" not in sys.modules
    assert "says 'squares'" in kills_text(outcomes)
    page = kills_page(outcomes)
    assert (
        "| Twice a number | squares |  | double(3) is 9: this squares the number | fail |" in page
    )
    assert "*silent*: the visible check tries a short word only" in page


def test_surviving_bug_is_named(course, edit):
    edit(
        course.solutions / TINY / "numbers.md",
        "assert total([]) == 0",
        "assert total([]) == 0\n",
    )
    edit(
        course.solutions / TINY / "numbers.md",
        'assert total(drawn) == sum(drawn), "the hidden total test failed"',
        "assert total(drawn) <= sum(drawn)",
    )
    found = problems(course)
    assert len(found) == 6  # two wrong answers, three seeds
    assert found[0].startswith(
        "01-tiny, task total, bug 'drops the last': it survives the hidden tests with COURSE_SEED="
    )
    assert "add a hidden test" in found[0]


def test_visible_check_that_does_not_name_the_bug(course, edit):
    edit(course.solutions / TINY / "checks.py", "this squares the number", "wrong")
    (found,) = problems(course)
    assert "bug 'squares': the visible check does not name it" in found


def test_visible_check_that_does_not_catch_the_bug(course, edit):
    edit(
        course.solutions / TINY / "checks.py",
        'assert got != "abc", "reverse returns the word as it came"\n    assert got == "cba"',
        'assert got in ("cba", "abc")',
    )
    (found,) = problems(course)
    assert "bug 'identity': the visible check does not catch it (it passes)" in found


def test_visible_check_that_fails_by_another_error(course, edit):
    edit(course.solutions / TINY / "checks.py", "got = double(3)", "got = double(3) + 0")
    found = problems(course)
    assert any(
        "bug 'no return': the visible check does not catch it (TypeError" in f for f in found
    )


def test_reference_that_its_own_tests_reject(course, edit):
    edit(course.solutions / TINY / "numbers.md", "number + number\n    return", "3 + 3\n    return")
    found = problems(course)
    assert len(found) == 3
    assert "task double, reference: with COURSE_SEED=" in found[0]
    assert "the hidden tests reject it: AssertionError" in found[0]


def test_hidden_tests_must_hold_for_every_seed(course, edit):
    edit(
        course.solutions / TINY / "words.md",
        'assert reverse("palindromes")',
        'import os\nassert os.environ["COURSE_SEED"] != "2"\nassert reverse("palindromes")',
    )
    (found,) = problems(course)
    assert "with COURSE_SEED=2 the hidden tests reject it" in found


def test_build_task_needs_enough_wrong_answers(course):
    found = problems(course, minimum=3)
    assert len(found) == 2  # `reverse` is not a build task
    assert "bugs.py has 2 wrong answers, a build task needs 3" in found[0]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('Bug("double", "squares"', 'Bug("dubble", "squares"', "which does not exist"),
        ('note="the visible check tries a short word only, on purpose",', "", "says=None"),
        ('"drops the first"', '"drops the last"', "two entries of BUGS of task total"),
        ("from grading.bugs import Bug", "import no_such_module", "cannot be read: ModuleNotFound"),
    ],
)
def test_unsound_bugs_file_is_refused(course, edit, old, new, message):
    edit(course.solutions / TINY / "bugs.py", old, new)
    with pytest.raises(GradingError, match=message):
        kill(course, TINY, 2)


def add_right(course, task, source, kind="Right"):
    path = course.solutions / TINY / "bugs.py"
    text = path.read_text(encoding="utf-8").replace("import Bug", "import Bug, Right")
    text += f"\nRIGHT = [{kind}({task!r}, 'unusual', {source!r})]\n"
    path.write_text(text, encoding="utf-8")


def test_unusual_right_answers_pass(course):
    add_right(course, "double", "double = lambda number: number / 0.5\n")
    outcomes = kill(course, TINY, 2)
    assert failures(TINY, outcomes) == []
    assert len(outcomes) == 3 + 6 + 1
    assert "(right: unusual)" in kills_text(outcomes)
    assert "unusual" not in kills_page(outcomes)


def test_right_answer_that_the_tests_reject(course):
    add_right(course, "double", "def double(number):\n    return number * 3\n")
    found = problems(course)
    assert len(found) == 4  # the visible check, and the hidden tests with three seeds
    assert found[0].startswith("01-tiny, task double, right answer 'unusual': the visible check")
    assert all("rejects it" in problem or "reject it" in problem for problem in found)


def test_unsound_right_answers_are_refused(course):
    add_right(course, "dubble", "pass")
    with pytest.raises(GradingError, match="'unusual' is of task 'dubble', which does not exist"):
        kill(course, TINY, 2)
    add_right(course, "double", "pass", kind="Bug")
    with pytest.raises(GradingError, match="cannot be read: TypeError"):
        kill(course, TINY, 2)
    path = course.solutions / TINY / "bugs.py"
    text = path.read_text(encoding="utf-8").split("\nRIGHT = ")[0]
    path.write_text(f"{text}\nRIGHT = [BUGS[0]]\n", encoding="utf-8")
    with pytest.raises(GradingError, match="which is no Right"):
        kill(course, TINY, 2)


def test_bug_that_does_not_run_is_a_problem(course, edit):
    edit(course.solutions / TINY / "bugs.py", "return number * number", "return number *")
    (found,) = problems(course)
    assert "the cells before the test do not run: SyntaxError" in found


def test_wrong_answers_are_made_of_right_ones():
    right = function("f(x)", "y = 2 * x\nreturn y")
    assert right == "def f(x):\n    y = 2 * x\n    return y\n"
    assert edit_answer(right, ("2 *", "3 *"), ("3 *", "4 *")) == right.replace("2 *", "4 *")
    with pytest.raises(ValueError, match="'5' is not in the answer"):
        edit_answer(right, ("2", "3"), ("5", "6"))
