"""The export: nbgrader's columns and ours, and no zero that nobody earned."""

import csv
import datetime
import os
import shutil
import subprocess
import sys

import pytest

from grading.course import PROJECT, GradingError
from grading.engine import record as r
from grading.engine.record import NotebookRecord, Record
from grading.gradebook import GradebookWriter
from grading.marks_table import marks_text, write_csv, write_lms_csv
from grading.release import generate
from grading.standing import NBGRADERS, OURS, WAITING, Row, read_rows, task_names
from grading.stock import Stock
from tests.grading.conftest import new_course
from tests.grading.recording import tiny_record

TINY = "01-tiny"
pytestmark = pytest.mark.filterwarnings("ignore")  # of nbgrader's dependencies


def failed_record() -> Record:
    record = Record(f"{2:064x}", TINY, r.FAILED, "=cmd|' /C calc'!A0")
    record.notebooks = [NotebookRecord(name, failed="not JSON") for name in ("numbers", "words")]
    return record


@pytest.fixture(scope="module")
def stock(tmp_path_factory):
    """One graded (ada), bela failed, chen handed in nothing, dora waits, emil is late."""
    course = new_course(tmp_path_factory.mktemp("exported") / "root")
    stock = Stock(course, {"CourseDirectory": {"release_directory": "build/release"}})
    generate(stock, course, TINY)
    stock.api.config.LateSubmissionPlugin.penalty_method = "zero"
    with GradebookWriter(stock) as writer:
        gradebook = writer.gradebook
        gradebook.add_student("ada", first_name="Ada", last_name="Love, lace", lms_user_id="77")
        gradebook.add_student("chen")
        gradebook.find_assignment(TINY).duedate = datetime.datetime(2026, 1, 1)
        gradebook.db.commit()
        writer.record("ada", tiny_record(), "2025-12-31 00:00:00 UTC")
        writer.record("bela", failed_record())
        writer.record("emil", tiny_record(), "2026-01-02 00:00:00 UTC")
        gradebook.find_grade("why", "words", TINY, "ada").extra_credit = 0.25
        gradebook.find_grade("why", "words", TINY, "ada").manual_score = 1.5
        gradebook.db.commit()
    (course.records / "submitted" / "dora" / TINY).mkdir(parents=True)
    return stock


@pytest.fixture
def rows(stock):
    with stock.gradebook() as gradebook:
        return {row.student: row for row in read_rows(gradebook, stock.directory, TINY)}


def export(stock, path, *options):
    command = [sys.executable, "-m", "nbgrader", "export", "--to", str(path)]
    command += ["--exporter=grading.exporter.StatusExporter", *options]
    paths = os.pathsep.join([str(PROJECT), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        command,
        cwd=stock.directory.root,
        capture_output=True,
        text=True,
        env=os.environ | {"PYTHONPATH": paths},
    )
    assert done.returncode == 0, done.stderr
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_rows_say_what_is_earned_and_what_is_not_known(rows):
    assert {name: (row.status, row.score, row.needs_manual) for name, row in rows.items()} == {
        "ada": ("graded", 7.75, True),
        "bela": ("failed", None, True),
        "chen": ("not submitted", None, False),
        "dora": (WAITING, None, False),
        "emil": ("graded", 0.0, True),  # the penalty takes all: that is a verdict
    }
    assert {row.maximum for row in rows.values()} == {8.0}
    assert rows["ada"].points == {"double": 2.0, "total": 3.0, "reverse": 1.0, "why": 1.75}
    assert set(rows["bela"].points.values()) == {None}


@pytest.mark.slow
def test_export_by_nbgraders_command(stock, tmp_path):
    lines = export(stock, tmp_path / "marks.csv")
    assert list(lines[0]) == [*NBGRADERS, *OURS, "double", "total", "reverse", "why"]
    ada, bela, chen, dora, emil = lines
    assert (ada["score"], ada["raw_score"], ada["why"]) == ("7.75", "7.75", "1.75")
    assert (ada["last_name"], ada["timestamp"]) == ("Love, lace", "2025-12-31 00:00:00")
    for line in (bela, chen, dora):
        assert line["score"] == line["raw_score"] == line["double"] == ""
    assert (bela["status"], bela["max_score"]) == ("failed", "8")
    assert bela["message"].startswith("'=cmd")  # no formula for a spreadsheet
    assert (emil["raw_score"], emil["late_submission_penalty"], emil["score"]) == ("6", "6", "0")
    options = ("--StatusExporter.lms=True", f"--assignment=['{TINY}']")
    assert export(stock, tmp_path / "lms.csv", *options) == [
        {"id": "77", "score": "7.75"},
        {"id": "emil", "score": "0"},
    ]


def test_exporter_chooses_assignments_and_students(stock, tmp_path):
    from grading.exporter import StatusExporter

    with stock.gradebook() as gradebook:
        exporter = StatusExporter(parent=stock.api)
        exporter.to, exporter.student = str(tmp_path / "one.csv"), ["ada"]
        exporter.export(gradebook)
        exporter.to, exporter.assignment = str(tmp_path / "none.csv"), ["02-other"]
        exporter.export(gradebook)
        exporter.lms = True
        with pytest.raises(GradingError, match="choose one assignment"):
            exporter.export(gradebook)
    assert (tmp_path / "one.csv").read_text().count("\n") == 2
    assert (tmp_path / "none.csv").read_text() == ",".join([*NBGRADERS, *OURS]) + "\n"


def test_points_by_a_person_end_a_failure(stock):
    with GradebookWriter(stock) as writer:
        writer.record("fay", failed_record())
        gradebook = writer.gradebook
        for notebook, name in (
            ("numbers", "test-double"),
            ("numbers", "test-total"),
            ("words", "test-reverse"),
        ):
            gradebook.find_grade(name, notebook, TINY, "fay").manual_score = 1.0
        gradebook.db.commit()
        rows = {row.student: row for row in read_rows(gradebook, stock.directory, TINY)}
        assert (rows["fay"].status, rows["fay"].score) == ("failed", None)
        gradebook.find_grade("why", "words", TINY, "fay").manual_score = 0.5
        gradebook.db.commit()
        rows = {row.student: row for row in read_rows(gradebook, stock.directory, TINY)}
        assert (rows["fay"].status, rows["fay"].score) == ("graded", 3.5)
        gradebook.remove_submission(TINY, "fay")
        gradebook.remove_student("fay")


def test_a_submission_whose_folder_is_gone_is_not_a_zero(stock):
    with GradebookWriter(stock) as writer:
        writer.record("gil", tiny_record())
        shutil.rmtree(writer.folder("gil", TINY))
        rows = {row.student: row for row in read_rows(writer.gradebook, stock.directory, TINY)}
        assert (rows["gil"].status, rows["gil"].score) == ("failed", None)
        writer.gradebook.remove_submission(TINY, "gil")
        writer.gradebook.remove_student("gil")


def test_columns_of_the_same_name_are_told_apart(stock):
    with GradebookWriter(stock) as writer:
        facts = writer.facts(TINY)
        first, second = facts.notebooks
        second.cells["test-total"] = first.cells["test-total"]
        second.cells["score"] = first.cells["test-double"]
        assert list(task_names(facts).values()) == [
            "double",
            "total",
            "reverse",
            "why",
            "test-total",
            "words/score",
        ]
        second.cells["total"] = first.cells["total"]
        assert "numbers/total" in task_names(facts).values()


def test_files_are_whole_and_text_is_readable(tmp_path):
    rows = [
        Row("ćh", "graded", 1.5, 2.0, {"a": 0.1 + 0.2}, "two\nlines, and a comma"),
        Row("zoe", "failed", None, 2.0, {"a": None}, needs_manual=True),
    ]
    write_csv(tmp_path / "x.csv", {"ps1": rows})
    with (tmp_path / "x.csv").open(newline="", encoding="utf-8") as file:
        first, second = csv.DictReader(file)
    assert (first["student_id"], first["a"], first["score"]) == ("ćh", "0.3", "1.5")
    assert first["message"] == "two\nlines, and a comma"
    assert (second["score"], second["a"], second["needs_manual"]) == ("", "", "yes")
    write_lms_csv(tmp_path / "y.csv", rows)
    assert (tmp_path / "y.csv").read_text(encoding="utf-8") == "id,score\nćh,1.5\n"
    assert "failed, needs a person" in marks_text(rows)
