"""The writer: what stands in the gradebook and the autograded folder, and what a crash leaves."""

import datetime
import json
import os
import shutil
import sqlite3
import stat
import subprocess
import sys
import threading
import time

import nbformat
import pytest

from grading import autograded, gradebook
from grading.autograded import MARKER, read_marker
from grading.course import PROJECT, GradingError
from grading.engine import record as r
from grading.engine.record import NotebookRecord, Record, Result
from grading.gradebook import GradebookWriter, patiently
from grading.release import generate
from grading.stock import Stock
from tests.grading.conftest import new_course
from tests.grading.recording import cell, tiny_record

TINY = "01-tiny"
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader's dependencies


@pytest.fixture(scope="module")
def generated_once(tmp_path_factory):
    course = new_course(tmp_path_factory.mktemp("generated") / "root")
    generate(
        Stock(course, {"CourseDirectory": {"release_directory": "build/release"}}), course, TINY
    )
    return course.root


@pytest.fixture
def stock(generated_once, tmp_path):
    from grading.course import Course

    shutil.copytree(generated_once, tmp_path / "root")
    return Stock(Course(tmp_path / "root"))


@pytest.fixture
def writer(stock):
    with GradebookWriter(stock) as opened:
        yield opened


def grades(writer, student="ada"):
    writer.gradebook.db.expire_all()
    submission = writer.gradebook.find_submission(TINY, student)
    found = {
        grade.name: (grade.auto_score, grade.manual_score, grade.needs_manual_grade)
        for notebook in submission.notebooks
        for grade in notebook.grades
    }
    writer.gradebook.db.rollback()
    return found


def comments(writer, student="ada"):
    submission = writer.gradebook.find_submission(TINY, student)
    found = {one.name: one.auto_comment for part in submission.notebooks for one in part.comments}
    writer.gradebook.db.rollback()
    return found


def by_hand(writer, name, notebook, **values):
    grade = writer.gradebook.find_grade(name, notebook, TINY, "ada")
    for key, value in values.items():
        setattr(grade, key, value)
    writer.gradebook.db.commit()


def with_score(score, outcome=r.WRONG):
    record = tiny_record()
    record.notebooks[0].results[0] = Result("test-double", outcome, score, 2.0, "no")
    return record


def test_scores_are_recorded_as_autograde_does(writer):
    writer.record("ada", tiny_record(), "2026-01-02 03:04:05 UTC")
    assert grades(writer) == {
        "test-double": (2.0, None, False),
        "test-total": (3.0, None, False),
        "test-reverse": (1.0, None, False),
        "why": (None, None, True),
    }
    assert comments(writer) == {"double": None, "total": None, "reverse": None, "why": None}
    submission = writer.gradebook.find_submission(TINY, "ada")
    assert submission.timestamp == datetime.datetime(2026, 1, 2, 3, 4, 5)
    assert (submission.score, submission.max_score) == (6.0, 8.0)


def test_a_failure_is_no_zero_and_waits_for_a_person(writer):
    failed = Record(f"{2:064x}", TINY, r.FAILED, "numbers.ipynb: not JSON")
    failed.notebooks = [NotebookRecord(name, failed="not JSON") for name in ("numbers", "words")]
    writer.record("ada", failed)
    assert set(grades(writer).values()) == {(None, None, True)}
    undecided = with_score(None, r.UNDECIDED)
    writer.record("bela", undecided)
    assert grades(writer, "bela")["test-double"] == (None, None, True)
    assert grades(writer, "bela")["test-total"] == (3.0, None, False)


def test_an_answer_as_released_has_no_response(writer):
    record = tiny_record()
    released = writer.facts(TINY).notebooks[1].cells["why"].text
    record.notebooks[1].cells[-1]["source"] = released
    record.notebooks[1].results[-1] = Result("why", r.WRONG, 0.0, 2.0)
    writer.record("ada", record)
    assert comments(writer)["why"] == "No response."
    assert comments(writer)["reverse"] is None
    assert grades(writer)["why"] == (0.0, None, False)


def test_points_and_comments_of_a_person_stay(writer):
    writer.record("ada", tiny_record())
    by_hand(writer, "why", "words", manual_score=1.5, extra_credit=0.5, needs_manual_grade=False)
    comment = writer.gradebook.find_comment("why", "words", TINY, "ada")
    comment.manual_comment = "well said"
    writer.gradebook.db.commit()

    writer.record("ada", with_score(1.0))  # the same written answer
    assert grades(writer)["why"] == (None, 1.5, False)
    grade = writer.gradebook.find_grade("why", "words", TINY, "ada")
    assert (grade.extra_credit, grade.score) == (0.5, 2.0)
    assert writer.gradebook.find_comment("why", "words", TINY, "ada").comment == "well said"
    writer.gradebook.db.rollback()

    another = tiny_record()
    another.notebooks[1].cells[-1]["source"] = "Another reason."
    writer.record("ada", another)
    assert grades(writer)["why"] == (None, 1.5, True)


def test_a_point_by_hand_on_a_test_is_looked_at_again_if_its_score_or_answer_changes(writer):
    writer.record("ada", with_score(0.0))
    by_hand(writer, "test-double", "numbers", manual_score=1.0, needs_manual_grade=False)
    writer.record("ada", with_score(0.0))
    assert grades(writer)["test-double"] == (0.0, 1.0, False)
    writer.record("ada", with_score(2.0))
    assert grades(writer)["test-double"] == (2.0, 1.0, True)
    by_hand(writer, "test-double", "numbers", needs_manual_grade=False)
    rewritten = with_score(2.0)
    rewritten.notebooks[0].cells[2]["source"] = "def double(n):\n    return n + n"
    writer.record("ada", rewritten)
    assert grades(writer)["test-double"] == (2.0, 1.0, True)


@pytest.mark.parametrize(
    ("method", "extension", "penalty"), [("none", 0, 0), ("zero", 0, 6), ("zero", 9, 0)]
)
def test_late_penalties_are_those_of_nbgraders_plugin(stock, method, extension, penalty):
    stock.api.config.LateSubmissionPlugin.penalty_method = method
    with GradebookWriter(stock) as writer:
        assignment = writer.gradebook.find_assignment(TINY)
        assignment.duedate = datetime.datetime(2026, 1, 1)
        writer.gradebook.db.commit()
        writer.record("ada", tiny_record(), "2026-01-02 00:00:00 UTC")
        writer.gradebook.grant_extension(TINY, "ada", days=extension)
        writer.record("ada", tiny_record(), "2026-01-02 00:00:00 UTC")
        submission = writer.gradebook.find_submission(TINY, "ada")
        assert submission.late_submission_penalty == penalty
        assert submission.score == 6.0


def test_time_that_says_nothing_is_no_time(writer):
    writer.record("ada", tiny_record(), "soon")
    assert writer.gradebook.find_submission(TINY, "ada").timestamp is None


def test_a_second_record_changes_rows_and_adds_none(writer):
    def rows():
        tables = ("student", "submitted_assignment", "submitted_notebook", "grade", "comment")
        with sqlite3.connect(writer.directory.db_url.removeprefix("sqlite:///")) as database:
            return [database.execute(f"select count(*) from {one}").fetchone()[0] for one in tables]

    writer.record("ada", tiny_record())
    first = rows()
    assert first == [1, 1, 2, 4, 4]
    writer.record("ada", with_score(0.0))
    assert rows() == first


def test_the_autograded_folder_is_one_that_nbgrader_reads(writer, stock):
    writer.record("ada", tiny_record(), "2026-01-02 03:04:05 UTC")
    folder = writer.folder("ada", TINY)
    assert {path.name for path in folder.iterdir()} == {
        "numbers.ipynb",
        "words.ipynb",
        "timestamp.txt",
        MARKER,
    }
    assert stat.S_IMODE((folder / "words.ipynb").stat().st_mode) == 0o444
    for path in folder.glob("*.ipynb"):
        nbformat.validate(nbformat.read(path, as_version=4))
    marks = {
        cell.metadata.nbgrader.grade_id: cell.metadata.nbgrader
        for cell in nbformat.read(folder / "words.ipynb", as_version=4).cells
        if "nbgrader" in cell.metadata
    }
    assert (marks["why"].points, marks["why"].grade, marks["why"].solution) == (2, True, True)
    assert (marks["test-reverse"].grade, marks["test-reverse"].locked) == (True, True)
    assert "points" not in marks["reverse"]
    assert stock.api.get_autograded_students(TINY) == set()  # nothing is in submitted/ with a time
    assert stock.api.get_notebook_submissions(TINY, "words") != []


def test_graded_cells_that_are_not_shown_get_a_place_for_points(writer):
    record = tiny_record()
    record.notebooks[0] = NotebookRecord("numbers", failed="not JSON")
    writer.record("ada", record)
    cells = nbformat.read(writer.folder("ada", TINY) / "numbers.ipynb", as_version=4).cells
    assert [one.metadata.get("nbgrader", {}).get("grade_id") for one in cells] == [
        None,
        "test-double",
        "test-total",
    ]
    assert "not JSON" in cells[0].source
    text = (writer.folder("ada", TINY) / "numbers.ipynb").read_text(encoding="utf-8")
    assert "drawn" not in text  # of the hidden test


def test_a_student_cannot_claim_a_cell_or_its_points(writer):
    record = tiny_record()
    forged = cell("forged", "test-double")
    forged["metadata"] |= {"tags": ["x"], "grading-status": {"record": {}}}
    forged["metadata"]["nbgrader"] |= {"points": 99, "locked": False}
    record.notebooks[0].cells.append(forged)
    writer.record("ada", record)
    cells = nbformat.read(writer.folder("ada", TINY) / "numbers.ipynb", as_version=4).cells
    claimed = [
        one for one in cells if one.metadata.get("nbgrader", {}).get("grade_id") == "test-double"
    ]
    assert [one.metadata.nbgrader.points for one in claimed] == [2]
    assert cells[-1].source == "forged"
    assert cells[-1].metadata == {}


def test_applied_knows_folder_time_and_gradebook(writer):
    record = tiny_record()
    assert not writer.applied("ada", record)
    writer.record("ada", record, "2026-01-02 03:04:05 UTC")
    assert writer.applied("ada", record, "2026-01-02 03:04:05 UTC")
    assert not writer.applied("ada", record, "2026-01-03 03:04:05 UTC")
    assert not writer.applied("ada", with_score(0.0), "2026-01-02 03:04:05 UTC")
    assert not writer.applied("bela", record)
    (writer.folder("ada", TINY) / MARKER).write_text("{")
    assert not writer.applied("ada", record, "2026-01-02 03:04:05 UTC")


def test_a_marker_without_its_submission_in_the_gradebook_does_not_count(writer, stock):
    writer.record("ada", tiny_record())
    writer.gradebook.remove_submission(TINY, "ada")
    with GradebookWriter(stock) as second:
        assert not second.applied("ada", tiny_record())


@pytest.mark.parametrize("name", ["..", "a/b", "a\\b", "", "."])
def test_a_name_never_leads_out_of_the_folder(writer, name):
    with pytest.raises(GradingError, match="cannot be the name"):
        writer.record(name, tiny_record())


def test_unknown_assignment_names_the_command(writer):
    with pytest.raises(GradingError, match="nbgrader generate_assignment 02-other"):
        writer.record("ada", tiny_record(assignment="02-other"))


def test_a_crash_leaves_the_old_folder_or_the_new_one(writer, monkeypatch):
    """Stop at each exchange of names; what is left is whole, and the next run repairs it."""
    old, new = with_score(0.0), tiny_record()
    steps = []
    replace = os.replace

    def counted(*names):
        steps.append(names)
        if len(steps) == last:
            raise KeyboardInterrupt
        replace(*names)

    for last in range(1, 20):  # noqa: B007 (read by counted)
        monkeypatch.setattr(autograded.os, "replace", replace)
        writer.record("ada", old)
        steps.clear()
        monkeypatch.setattr(autograded.os, "replace", counted)
        try:
            writer.record("ada", new)
        except KeyboardInterrupt:
            pass
        else:
            break
        monkeypatch.setattr(autograded.os, "replace", replace)
        assert not writer.applied("ada", new)  # it restores the folder, if need be
        folder = writer.folder("ada", TINY)
        texts = [(folder / f"{name}.ipynb").read_text("utf-8") for name in ("numbers", "words")]
        for text in texts:
            json.loads(text)
        assert read_marker(folder)["digest"] == old.digest
        writer.record("ada", new)
        assert writer.applied("ada", new)
        assert grades(writer)["test-double"] == (2.0, None, False)
    assert last == 4  # folder away, folder there, marker: each was tried


def test_nothing_of_a_submission_is_written_if_a_part_fails(writer, monkeypatch):
    writer.record("ada", with_score(0.0))
    monkeypatch.setattr(writer._rows, "_comments", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        writer.record("ada", tiny_record())
    assert grades(writer)["test-double"] == (0.0, None, False)
    assert not writer.applied("ada", tiny_record())


def test_a_gradebook_that_another_program_holds_is_waited_for(writer):
    path = writer.directory.db_url.removeprefix("sqlite:///")
    other = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
    other.execute("begin exclusive")

    def let_go():
        time.sleep(6)  # longer than SQLite itself waits
        other.execute("rollback")

    thread = threading.Thread(target=let_go)
    thread.start()
    writer.record("ada", tiny_record())
    thread.join()
    other.close()
    assert grades(writer)["test-double"] == (2.0, None, False)


def test_patience_ends_with_advice_and_other_errors_are_not_repeated(monkeypatch):
    from sqlalchemy.exc import OperationalError

    monkeypatch.setattr(gradebook, "PATIENCE", 0.2)
    tries = []

    def fail(message):
        tries.append(message)
        raise OperationalError("insert", {}, sqlite3.OperationalError(message))

    with pytest.raises(GradingError, match=r"held the gradebook.*what is graded is kept"):
        patiently(lambda: fail("database is locked"))
    assert len(tries) > 1
    tries.clear()
    with pytest.raises(OperationalError):
        patiently(lambda: fail("no such table: grade"))
    assert len(tries) == 1


def test_a_submission_costs_few_statements_and_one_commit(writer):
    from sqlalchemy import event

    statements, commits = [], []
    engine = writer.gradebook.engine
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    event.listen(engine, "commit", commits.append)
    writer.facts(TINY)
    statements.clear()
    writer.record("ada", tiny_record())
    assert len(statements) <= 14
    assert len(commits) == 1


def test_importing_the_modules_does_not_import_nbgrader():
    modules = (
        "grading.grade, grading.gradebook, grading.feedback, grading.standing, grading.prepare"
    )
    code = f"import sys, {modules}\nprint([m for m in sys.modules if m.startswith('nbgrader')])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=PROJECT, check=True
    )
    assert done.stdout.strip() == "[]"
