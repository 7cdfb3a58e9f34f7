"""Grading: a class whose marks are known, resuming, stopping, odd folders, and the gates."""

import contextlib
import csv
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from grading.answers import reference_answers, type_answers
from grading.check import check
from grading.course import PROJECT, Course, GradingError
from grading.engine.record import Record
from grading.grade import ABSENT, FAILED, GRADED, PARTLY, SKIPPED, WAITING, grade, history
from grading.sample_class import write_sample_class
from grading.stock import Stock
from grading.stopping import GradingStopped
from tests.grading.recording import TrustingEngine

TINY = "01-tiny"
LIMIT = 2  # seconds a cell; the loop costs as much
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader's dependencies


def table(course):
    with (course.records / f"grades-{TINY}.csv").open(newline="", encoding="utf-8") as file:
        return {row["student_id"]: row for row in csv.DictReader(file)}


def submit(course, student, **changes):
    answers = reference_answers(course, TINY) | changes
    target = course.records / "submitted" / student / TINY
    type_answers(course.exercises / TINY, target, answers)
    (target / "own.txt").write_text(student, encoding="utf-8")  # no two are the same
    return target


def run(course, engine=None, **options):
    """Grade without a sandbox; return the rows by student."""
    rows, _ = grade(course, TINY, engine=engine or TrustingEngine(), **options)
    return {row.student: row for row in rows}


def page(course, student, name="numbers"):
    return (course.records / "feedback" / student / TINY / f"{name}.html").read_text("utf-8")


def test_statuses_scores_and_files(released):
    submit(released, "ada")
    submit(released, "bela", double="def double(n):\n    return n * n")
    submit(released, "chen")
    (released.records / "submitted/chen" / TINY / "words.ipynb").unlink()
    submit(released, "dora")
    for path in (released.records / "submitted/dora" / TINY).glob("*.ipynb"):
        path.write_text("{", "utf-8")
    (released.records / "submitted" / "finn").mkdir()
    (released.records / "submitted" / "gil").symlink_to(released.records / "submitted" / "ada")
    rows = run(released)
    assert {name: (row.status, row.score, row.needs_manual) for name, row in rows.items()} == {
        "ada": (GRADED, 6.0, True),
        "bela": (GRADED, 4.0, True),
        "chen": (PARTLY, 5.0, True),
        "dora": (FAILED, None, True),
        "finn": (ABSENT, None, False),
        "gil": (SKIPPED, None, False),
    }
    assert rows["ada"].points == {"double": 2, "total": 3, "reverse": 1, "why": None}
    assert rows["chen"].points == {"double": 2, "total": 3, "reverse": None, "why": None}
    assert rows["chen"].message == "words.ipynb was not handed in"
    assert "not JSON" in rows["dora"].message
    assert "symbolic link" in rows["gil"].message
    lines = table(released)
    assert set(lines) == {"ada", "bela", "chen", "dora", "finn"}
    assert [lines[name]["score"] for name in sorted(lines)] == ["6", "4", "5", "", ""]
    assert [lines[name]["raw_score"] for name in sorted(lines)] == ["6", "4", "5", "", ""]
    assert lines["bela"]["double"] == "0"
    assert lines["bela"]["why"] == lines["finn"]["double"] == ""
    assert lines["ada"]["max_score"] == lines["finn"]["max_score"] == "8"
    assert lines["ada"]["needs_manual"] == "yes"
    for student in ("ada", "bela", "chen", "dora"):
        assert "Status:" in page(released, student)
    assert not (released.records / "feedback" / "finn").exists()


def test_what_is_recorded_is_not_run_again(released):
    for student in ("ada", "bela"):
        submit(released, student)
    first, second = TrustingEngine(), TrustingEngine()
    before = run(released, first)
    assert sorted(first.graded) == ["ada", "bela"]
    gradebook = (released.records / "gradebook.db").read_bytes()
    assert run(released, second) == before
    assert second.graded == []
    assert (released.records / "gradebook.db").read_bytes() == gradebook

    submit(released, "bela", double="def double(n):\n    return 0")  # a changed submission
    submit(released, "chen")  # a new one
    third = TrustingEngine()
    rows = run(released, third)
    assert sorted(third.graded) == ["bela", "chen"]
    assert rows["bela"].score == 4.0

    fourth = TrustingEngine()
    fourth.environment = "another version of torch"
    run(released, fourth)
    assert sorted(fourth.graded) == ["ada", "bela", "chen"]
    fifth = TrustingEngine()
    run(released, fifth, again=True, student="ada")
    assert fifth.graded == ["ada"]


def test_equal_submissions_share_a_record_and_each_has_its_own_history(released):
    for student in ("ada", "bela"):
        (submit(released, student) / "own.txt").unlink()
        engine = TrustingEngine()
        assert run(released, engine)[student].score == 6.0
        assert engine.graded == (["ada"] if student == "ada" else [])
        assert len(history(released, TINY, student)) == 1


def test_a_changed_source_is_generated_and_graded_anew(released, edit, monkeypatch):
    from grading import prepare

    generated = []
    generate = prepare.generate
    monkeypatch.setattr(prepare, "generate", lambda *a: generated.append(a) or generate(*a))
    submit(released, "ada")
    assert run(released)["ada"].score == 6.0
    assert run(released)["ada"].score == 6.0
    assert len(generated) == 1
    edit(released.solutions / TINY / "numbers.md", "817263) == 1634526", "817263) == 1")
    engine = TrustingEngine()
    assert run(released, engine)["ada"].points["double"] == 0.0
    assert len(generated) == 2
    assert engine.graded == ["ada"]


def test_points_by_hand_and_history_survive_a_regrade(released):
    submit(released, "ada")
    run(released)
    stock = Stock(released)
    with stock.gradebook() as gradebook:
        found = gradebook.find_grade("why", "words", TINY, "ada")
        found.manual_score, found.needs_manual_grade = 1.5, False
        gradebook.db.commit()
    rows = run(released)  # nothing is graded anew, and yet the mark counts
    assert (rows["ada"].score, rows["ada"].needs_manual) == (7.5, False)
    submit(released, "ada", double="def double(n):\n    return 0")
    rows = run(released)
    assert (rows["ada"].score, rows["ada"].points["why"]) == (5.5, 1.5)
    assert rows["ada"].needs_manual is False  # the written answer is the same
    records = [record for _, record in history(released, TINY, "ada")]
    assert [record.results["numbers/test-double"].score for record in records] == [2.0, 0.0]
    earlier = released.records / "feedback" / "ada" / ".earlier" / TINY
    assert len(list(earlier.glob("*/numbers.html"))) == 1


def test_one_student_leaves_the_others_as_they_are(released):
    for student in ("ada", "bela"):
        submit(released, student)
    rows = run(released, student="bela")
    assert list(rows) == ["bela"]
    lines = table(released)
    assert (lines["ada"]["status"], lines["ada"]["score"]) == (WAITING, "")
    assert lines["bela"]["score"] == "6"


def test_limits_and_shipped_files_reach_the_engine_and_no_student(released):
    (released.solutions / TINY / "grading.toml").write_text("[limits]\nprocesses = 3\n")
    submit(released, "ada")
    bundles = []

    class Watching(TrustingEngine):
        def grade(self, bundle, submissions):
            bundles.append(bundle)
            return super().grade(bundle, submissions)

    run(released, Watching(), timeout=2)
    (bundle,) = bundles
    limits = bundle.policy.limits
    assert (limits.processes, limits.cell_seconds, limits.call_seconds) == (3, 2, 2)
    assert set(bundle.files) == {"checks.py"}
    assert bundle.environment == {"COURSE_SEED": "20170612", "NBGRADER_EXECUTION": "autograde"}
    assert bundle.notebooks["numbers"].by_id["test-double"].has_hidden_tests


def test_time_and_penalty_follow_timestamp_txt(released):
    folder = submit(released, "ada")
    (folder / "timestamp.txt").write_text("2026-01-02 00:00:00 UTC")
    engine = TrustingEngine()
    run(released, engine)
    assert table(released)["ada"]["timestamp"] == "2026-01-02 00:00:00"
    (folder / "timestamp.txt").write_text("2026-01-03 00:00:00 UTC")
    run(released, engine)
    assert table(released)["ada"]["timestamp"] == "2026-01-03 00:00:00"
    assert engine.graded == ["ada"]  # the work is the same


def test_a_notebook_that_is_too_large_is_not_a_missing_one(released):
    folder = submit(released, "ada")
    with open(folder / "words.ipynb", "r+b") as file:
        file.truncate(200 << 20)
    row = run(released)["ada"]
    assert row.status == PARTLY
    assert row.message.startswith("words.ipynb was not read: it has 200 MiB")
    assert "200 MiB" in page(released, "ada", "words")


def test_a_student_named_like_a_pattern_and_one_in_another_script(released):
    for student in ("a[d]*", "b c", "ćh 漢字"):
        submit(released, student)
    rows = run(released)
    assert [row.score for row in rows.values()] == [6.0, 6.0, 6.0]
    assert "Status: graded" in page(released, "a[d]*")


def test_a_failure_of_the_grader_itself_is_tried_again(released):
    submit(released, "ada")

    class Broken(TrustingEngine):
        def grade(self, bundle, submissions):
            for one in submissions:
                yield (
                    one.student,
                    Record("", bundle.assignment, FAILED, "the grader stopped", transient=True),
                )

    row = run(released, Broken())["ada"]
    assert (row.status, row.score, row.message) == (FAILED, None, "the grader stopped")
    assert run(released)["ada"].score == 6.0


def test_a_record_that_cannot_be_written_costs_only_itself(released, monkeypatch):
    from grading.gradebook import GradebookWriter

    write = GradebookWriter.record

    def fail(self, student, *arguments):
        if student == "ada":
            raise ValueError("something odd")
        write(self, student, *arguments)

    for student in ("ada", "bela"):
        submit(released, student)
    monkeypatch.setattr(GradebookWriter, "record", fail)
    rows = run(released)
    assert (rows["ada"].status, rows["bela"].score) == (WAITING, 6.0)
    assert rows["ada"].message == "not recorded: ValueError: something odd"
    monkeypatch.setattr(GradebookWriter, "record", write)
    engine = TrustingEngine()
    assert run(released, engine)["ada"].score == 6.0
    assert engine.graded == []  # its record was kept


def test_a_lost_gradebook_is_filled_again_from_the_records(released):
    submit(released, "ada")
    run(released)
    (released.records / "gradebook.db").unlink()
    engine = TrustingEngine()
    assert run(released, engine)["ada"].score == 6.0
    assert engine.graded == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_between_submissions_and_says_how_to_go_on(released, number):
    students = ["ada", "bela", "chen", "dora"]
    for student in students:
        submit(released, student)

    class Interrupted(TrustingEngine):
        def grade(self, bundle, submissions):
            for count, answer in enumerate(super().grade(bundle, submissions)):
                if count == 2:
                    os.kill(os.getpid(), number)  # while the grader waits
                yield answer

    handler = signal.getsignal(number)
    with pytest.raises(GradingStopped, match=r"2 of 4 submissions.*run the same command again"):
        run(released, Interrupted())
    assert signal.getsignal(number) is handler
    engine = TrustingEngine()
    rows = run(released, engine)
    assert [rows[name].score for name in students] == [6.0] * 4
    assert engine.graded == ["chen", "dora"]


def test_a_signal_while_a_record_is_written_waits(released, monkeypatch):
    from grading.gradebook import GradebookWriter

    write = GradebookWriter.record

    def interrupted(self, student, *arguments):
        os.kill(os.getpid(), signal.SIGTERM)
        write(self, student, *arguments)

    for student in ("ada", "bela"):
        submit(released, student)
    monkeypatch.setattr(GradebookWriter, "record", interrupted)
    with pytest.raises(GradingStopped, match="stopped by SIGTERM: 1 of 2"):
        run(released)
    monkeypatch.setattr(GradebookWriter, "record", write)
    engine = TrustingEngine()
    assert run(released, engine)["ada"].score == 6.0
    assert engine.graded == ["bela"]


SLOW = """
import sys, time
sys.path[:0] = [{project!r}]
from pathlib import Path
from grading.course import Course
from grading.grade import grade
from tests.grading.recording import TrustingEngine

class Slow(TrustingEngine):
    def grade(self, bundle, submissions):
        for answer in super().grade(bundle, submissions):
            print(answer[0], flush=True)
            yield answer
            time.sleep(0.02)

grade(Course(Path({root!r})), "01-tiny", engine=Slow(), feedback=False)
"""


@pytest.mark.slow
def test_a_grader_that_is_killed_loses_nothing_and_repeats_little(released, tmp_path):
    students = [f"s{number:02d}" for number in range(16)]
    submit(released, "s00")
    for student in students[1:]:
        target = released.records / "submitted" / student
        shutil.copytree(released.records / "submitted" / "s00", target)
        (target / TINY / "own.txt").write_text(student)
    script = SLOW.format(project=str(PROJECT), root=str(released.root))
    started = []
    for kill_after in (3, 4, 5):
        child = subprocess.Popen(
            [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, cwd=tmp_path
        )
        for line in child.stdout:
            started.append(line.strip())
            kill_after -= 1
            if not kill_after:
                time.sleep(0.005)
                child.kill()
                break
        child.wait()
        child.stdout.close()
    engine = TrustingEngine()
    rows = run(released, engine, feedback=False)
    assert [rows[name].score for name in students] == [6.0] * 16
    # at most the one at work when each of the three was killed is run twice
    repeated = [name for name in students if (started + engine.graded).count(name) > 1]
    assert set(started + engine.graded) == set(students)
    assert len(repeated) <= 3
    lines = table(released)
    assert len(lines) == 16
    with contextlib.closing(sqlite3.connect(released.records / "gradebook.db")) as db:
        assert db.execute("select count(*) from submitted_assignment").fetchone() == (16,)
        assert db.execute("pragma integrity_check").fetchone() == ("ok",)


@pytest.mark.slow
def test_sample_class_gets_the_marks_that_it_deserves(released):
    expected = write_sample_class(released, TINY)
    (released.records / "submitted" / "finn").mkdir()
    rows, path = grade(released, TINY, timeout=LIMIT, workers=1)
    assert path.name == f"grades-{TINY}.csv"
    got = {row.student: row for row in rows}
    # a crash or an endless loop costs the task, and only this one
    assert [one.points for one in expected] == [
        {"double": 2.0, "total": 3.0, "reverse": 1.0},
        {"double": 2.0, "total": 0.0, "reverse": 0.0},
        {"double": 0.0, "total": 0.0, "reverse": 0.0},
        {"double": 0.0, "total": 3.0, "reverse": 1.0},
        {"double": 2.0, "total": 0.0, "reverse": 1.0},
    ]
    deserved = {one.student: one.points for one in expected}
    for student, points in deserved.items():
        row = got[student]
        assert row.status == GRADED, row
        assert {name: row.points[name] for name in points} == points
        assert row.score == sum(points.values())
        assert row.maximum == 8
        assert "Status: graded" in page(released, student)
    assert [got[name].score for name in ("ada", "bela", "chen", "dora", "emil")] == [6, 2, 0, 4, 3]
    assert [got[name].needs_manual for name in ("ada", "chen")] == [True, False]
    assert got["finn"].status == ABSENT
    assert "stopped at a limit" in page(released, "emil")


@pytest.mark.slow
def test_submissions_that_stock_nbgrader_marks_unfairly(released):
    warned = "import sys\n\ndef double(n):\n    print('warning', file=sys.stderr)\n    return 2 * n"
    submit(released, "warns", double=warned)
    submit(released, "loops", double="while True:\n    pass")
    submit(released, "broken")
    (released.records / "submitted/broken" / TINY / "words.ipynb").write_text("{", "utf-8")
    submit(released, "other")
    for path in (released.records / "submitted/other" / TINY).glob("*.ipynb"):
        path.rename(path.with_name(f"My {path.name}"))
    rows = {row.student: row for row in grade(released, TINY, timeout=LIMIT, workers=1)[0]}

    full = {"double": 2, "total": 3, "reverse": 1, "why": None}
    assert rows["warns"].points == full
    assert rows["loops"].points["reverse"] == 1
    assert rows["loops"].points["double"] == 0
    assert rows["broken"].status == PARTLY
    assert (rows["broken"].points["double"], rows["broken"].points["reverse"]) == (2, None)
    assert rows["other"].points == full


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
    with pytest.raises(GradingError, match=r"no nbgrader_config\.py"):
        grade(Course(released.root / "course"), TINY)


def test_sample_class_needs_a_student_edition(course):
    with pytest.raises(GradingError, match="make release"):
        write_sample_class(course, TINY)


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
