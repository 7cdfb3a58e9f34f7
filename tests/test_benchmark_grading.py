"""The benchmark of grading: the class is the same each time, and the arithmetic is right."""

import json
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "benchmarks"))

import grading_class
import grading_report
import grading_speed
import grading_steps

sys.path.pop(0)

ROOT = Path(__file__).resolve().parents[1]

RESULTS = {
    "date": "2026-01-01",
    "machine": "a machine",
    "versions": {"nbgrader": "1", "torch": "2"},
    "assignment": "04-attention",
    "submissions": 10,
    "stock": {
        "start": {"cpu": 3.0, "wall": 4.0},
        "autograde": {"cpu": 73.0, "wall": 100.0},
        "feedback": {"cpu": 8.0, "wall": 9.0},
    },
    "ours": {
        "prepare_only": {"cpu": 5.0, "wall": 5.0},
        "engine_only": {"cpu": 7.0, "wall": 6.0},
        "whole": {"cpu": 7.5, "wall": 8.0},
        "pages": {"cpu": 2.0, "wall": 2.0},
    },
    "records": {"cpu_seconds": 1.5, "student_cpu_seconds": 1.0},
    "marks": {"compared": 100, "different": []},
}


def test_ratios_and_phases():
    each = grading_report.per_submission(RESULTS)
    assert each["stock"] == pytest.approx(7.3)
    assert each["stock, without start"] == pytest.approx(7.0)
    assert each["ours"] == pytest.approx(0.75)
    assert each["engine"] == pytest.approx(0.2)
    assert each["recording"] == pytest.approx(0.05)
    assert each["ours, without start"] == pytest.approx(0.25)
    assert each["student"] + each["examiner"] == pytest.approx(0.15)
    assert each["ratio"] == pytest.approx(73 / 7.5)
    assert each["wall ratio"] == pytest.approx(12.5)


def test_page_says_whether_the_bar_is_met():
    assert "CPU seconds: **missed**" in grading_report.speed_page(RESULTS)
    faster = json.loads(json.dumps(RESULTS))
    faster["ours"]["whole"]["cpu"] = 73 / 30
    assert "CPU seconds: met" in grading_report.speed_page(faster)


def test_page_shows_marks_that_differ():
    different = RESULTS | {"marks": {"compared": 3, "different": ["s0001/a/b: stock 1, ours 0"]}}
    page = grading_report.speed_page(different)
    assert "1 differ" in page
    assert "s0001/a/b: stock 1, ours 0" in page


def test_writer_bounds_what_more_cores_can_do():
    assert grading_report.seconds(100, 1.0, 0.1, 1) == 100
    assert grading_report.seconds(100, 1.0, 0.1, 10) == pytest.approx(10)
    assert grading_report.seconds(100, 1.0, 0.1, 1000) == pytest.approx(10)
    assert grading_report.busy(1.0, 0.1) == 10
    assert grading_report.busy(1.0, 0.0) == grading_report.CORES[-1]


def test_plan_is_computed_from_the_results():
    text = grading_report.plan(RESULTS)
    assert "| 20,000 submissions, in hours | 38.9 | 1.39 |" in text
    assert "| 2 | 19.4 h | 33 min | 167.2 h |" in text
    assert "more than about 4 cores" in text


def test_scores_that_differ_or_are_missing_are_found():
    found = grading_speed.compare({"a": 1.0, "b": 2.0, "c": None}, {"a": 1.0, "b": 0.0, "d": 1.0})
    assert found["compared"] == 4
    assert [line.split(":")[0] for line in found["different"]] == ["b", "c", "d"]


def test_all_processes_of_a_command_are_counted(tmp_path):
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass"
    child = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', '''{burn}'''])"
    used = grading_steps.measured([sys.executable, "-c", child], tmp_path)
    assert used["cpu"] >= 0.3
    with pytest.raises(RuntimeError, match="no such luck"):
        grading_steps.measured([sys.executable, "-c", "raise SystemExit('no such luck')"], tmp_path)


@pytest.mark.slow
def test_class_is_the_same_each_time_and_mixed(tmp_path):
    from grading.course import PROJECT, Course

    course, texts = Course(), []
    if not (PROJECT / "exercises" / "04-attention").is_dir():
        pytest.skip("there is no student edition; run `make release`")
    for name in ("a", "b"):

        class Copy(Course):
            records = tmp_path / name

        copy = Copy(course.root)
        grading_class.write_class(copy, "04-attention", 6)
        files = sorted((tmp_path / name).rglob("*.ipynb"))
        texts.append([path.read_bytes() for path in files])
    assert texts[0] == texts[1]
    assert len(texts[0]) == 12
    assert len(set(texts[0])) > 6


def test_pages_are_those_of_the_committed_results():
    results = json.loads(grading_speed.COMMITTED.read_text(encoding="utf-8"))
    docs = ROOT / "docs"
    page, numbers = docs / "grading-speed.md", docs / "grading-plan.md"
    assert page.read_text(encoding="utf-8") == grading_report.speed_page(results)
    assert numbers.read_text(encoding="utf-8") == grading_report.plan(results)
