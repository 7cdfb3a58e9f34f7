"""Grading: a class whose marks are known, submissions that cannot be graded, and the gates."""

import csv
import re
import subprocess
import sys
from pathlib import Path

import pytest

from grading.answers import reference_answers, type_answers
from grading.check import check
from grading.course import PROJECT, GradingError
from grading.grade import ABSENT, FAILED, GRADED, MANUAL, grade
from grading.marks import read_marks, why_it_failed
from grading.sample_class import write_sample_class
from grading.stock import Stock
from grading.tasks import tasks_of

TINY = "01-tiny"
LIMIT = 2  # seconds a cell; the loop costs as much


def table(course):
    with (course.records / f"grades-{TINY}.csv").open(newline="", encoding="utf-8") as file:
        return {row["student"]: row for row in csv.DictReader(file)}


def submit(course, student, **changes):
    answers = reference_answers(course, TINY) | changes
    target = course.records / "submitted" / student / TINY
    type_answers(course.exercises / TINY, target, answers)
    return target


@pytest.mark.slow
def test_sample_class_gets_the_marks_that_it_deserves(released):
    expected = write_sample_class(released, TINY)
    (released.records / "submitted" / "finn").mkdir()
    rows, path = grade(released, TINY, timeout=LIMIT)
    assert path.name == f"grades-{TINY}.csv"
    tests = [task.name for task in tasks_of(released, TINY) if not task.written]
    got = {row.student: row for row in rows}
    for one in expected:
        row = got[one.student]
        if one.points is None:
            assert (row.status, row.score, row.points) == (FAILED, None, {})
        else:
            assert {name: row.points[name] for name in tests} == one.points
            assert row.score == sum(points or 0 for points in one.points.values())
            assert row.maximum == 8
    assert [one.points and sum(p or 0 for p in one.points.values()) for one in expected] == [
        6,
        2,
        0,
        None,
        3,
    ]
    statuses = {name: row.status for name, row in got.items()}
    assert statuses == {
        "ada": MANUAL,  # the written answer
        "bela": MANUAL,
        "chen": GRADED,  # nothing written: nbgrader gives it 0 itself
        "dora": FAILED,
        "emil": MANUAL,
        "finn": ABSENT,
    }
    assert "the kernel died" in got["dora"].message
    assert got["emil"].message == "test-total timed out"
    lines = table(released)
    assert lines["dora"]["score"] == lines["finn"]["score"] == lines["emil"]["total"] == ""
    assert lines["chen"]["score"] == "0"
    assert lines["ada"]["why"] == ""
    feedback = released.records / "feedback"
    for student in ("ada", "bela", "chen", "emil"):
        assert "double" in (feedback / student / TINY / "numbers.html").read_text(encoding="utf-8")
    assert not (feedback / "dora").exists()

    # A mark that a person gives counts at once, and stays.
    stock = Stock(released)
    with stock.gradebook() as gradebook:
        gradebook.find_grade("why", "words", TINY, "ada").manual_score = 1.5
        gradebook.db.commit()
    marks = read_marks(stock, TINY, "ada")
    assert (marks.total, marks.complete) == (7.5, True)

    # One student again, mended: the other lines stay.
    submit(released, "dora")
    (row,), _ = grade(released, TINY, student="dora", timeout=LIMIT)
    assert (row.student, row.score) == ("dora", 6)
    assert table(released) == lines | {"dora": table(released)["dora"]}
    assert (feedback / "dora" / TINY / "words.html").is_file()


@pytest.mark.slow
def test_submissions_that_stock_nbgrader_marks_unfairly(released):
    warned = "import sys\n\ndef double(n):\n    print('warning', file=sys.stderr)\n    return 2 * n"
    submit(released, "warns", double=warned)
    submit(released, "loops", double="while True:\n    pass")
    submit(released, "broken")
    (released.records / "submitted/broken" / TINY / "words.ipynb").write_text("{", "utf-8")
    submit(released, "half")
    (released.records / "submitted/half" / TINY / "words.ipynb").unlink()
    submit(released, "other")
    for path in (released.records / "submitted/other" / TINY).glob("*.ipynb"):
        path.rename(path.with_name(f"My {path.name}"))
    rows = {row.student: row for row in grade(released, TINY, timeout=LIMIT)[0]}

    assert rows["warns"].points == {"double": None, "total": 3, "reverse": 1, "why": None}
    assert rows["warns"].message == "test-double raised nothing, but printed on stderr"
    assert rows["loops"].points == {"double": None, "total": 3, "reverse": 1, "why": None}
    assert rows["loops"].message == "test-double timed out"
    assert (rows["broken"].status, rows["broken"].score) == (FAILED, None)
    assert "not JSON" in rows["broken"].message
    assert rows["half"].message == "words.ipynb was not handed in"
    assert rows["half"].points["total"] == 3
    assert rows["half"].points["reverse"] is None
    assert rows["other"].status == FAILED
    assert "has the name of a released one" in rows["other"].message


def test_nothing_submitted_names_the_remedy(released):
    with pytest.raises(
        GradingError, match=r"no submission of 01-tiny: put one into .*sample-class"
    ):
        grade(released, TINY)
    submit(released, "ada")
    with pytest.raises(GradingError, match="no submission of 01-tiny by bela"):
        grade(released, TINY, student="bela")
    with pytest.raises(GradingError, match="no assignment '02-tiny'"):
        grade(released, "02-tiny")


def test_sample_class_needs_a_student_edition(course):
    with pytest.raises(GradingError, match="make release"):
        write_sample_class(course, TINY)


@pytest.mark.parametrize(
    ("log", "meaning"),
    [
        ("nbclient.exceptions.DeadKernelError: Kernel died", "the kernel died"),
        ("nbformat.reader.NotJSONError: Notebook does not appear", "not JSON"),
        ("    ValueError: something new\n", "ValueError: something new"),
        ("", "see the log"),
    ],
)
def test_reason_is_given_in_plain_words(log, meaning):
    assert meaning in why_it_failed(log)


@pytest.mark.slow
def test_check_passes_a_sound_assignment_and_names_what_the_reference_loses(released, edit):
    found = check(released, TINY, minimum=2)
    assert not any(found.values())
    assert len(found) == 5
    # A warning: the tests pass, but stock nbgrader takes stderr for an error.
    edit(
        released.solutions / TINY / "words.md",
        'assert reverse("palindromes")',
        'import warnings\nwarnings.warn("slow")\nassert reverse("palindromes")',
    )
    edit(released.solutions / TINY / "numbers.md", "number + number\n    return", "1\n    return")
    found = check(released, TINY, minimum=2)
    lost = found["reference gets every point"]
    assert len(lost) == 2
    assert lost[0].startswith(
        "01-tiny, task double: the reference solution gets 0.0 of 2 points; failed: AssertionError"
    )
    assert "gets None of 1 points; raised nothing, but printed on stderr" in lost[1]
    assert found["no drift"] == []  # neither change is visible to students


@pytest.mark.slow
def test_command_line(released, monkeypatch):
    def run(*arguments):
        command = [sys.executable, "-m", "grading", "--root", str(released.root), *arguments]
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT)
        assert "Traceback" not in done.stderr
        return done

    assert run("--help").stdout.count("\n") > 15
    assert run("kill", "--minimum-bugs", "2").returncode == 0
    red = run("kill")
    assert red.returncode == 1
    assert "FAIL 01-tiny, task double" in red.stderr
    red = run("release")
    assert red.returncode == 1
    assert "error: 01-tiny: the tests let wrong answers through" in red.stderr
    assert run("release", "--minimum-bugs", "2").returncode == 0
    assert (released.pages / f"{TINY}-kills.md").read_text(encoding="utf-8").count("\n") == 8
    assert "**Total**" in (released.pages / f"{TINY}-tasks.md").read_text(encoding="utf-8")
    (released.exercises / TINY / "checks.py").write_text("", encoding="utf-8")
    red = run("check", "--minimum-bugs", "2")
    assert red.returncode == 1
    assert re.search(r"no drift +1 problems", red.stdout)
    assert "checks.py differs; run `make release`" in red.stderr
    assert run("release", "nothing").returncode == 1
    assert "error: no submission" in run("grade", TINY).stderr
    assert run("grad").returncode == 2


def seed_of(root: Path, monkeypatch, value: str | None = None):
    import os

    from grading.course import Course
    from grading.stock import load_config

    monkeypatch.delenv("COURSE_SEED", raising=False)
    if value is not None:
        monkeypatch.setenv("COURSE_SEED", value)
    load_config(Course(root))
    return os.environ["COURSE_SEED"]


def test_seed_is_the_environment_then_the_file_then_the_default(course, monkeypatch):
    assert seed_of(course.root, monkeypatch) == "20170612"
    (course.records / "seed").write_text("41\n", encoding="utf-8")
    assert seed_of(course.root, monkeypatch) == "41"
    assert seed_of(course.root, monkeypatch, "7") == "7"
    (course.records / "seed").write_text("my seed", encoding="utf-8")
    with pytest.raises(ValueError, match="whole number"):
        seed_of(course.root, monkeypatch)
