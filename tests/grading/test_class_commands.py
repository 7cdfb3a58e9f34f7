"""The commands for a class, as an instructor types them."""

import csv
import zipfile

import pytest

from grading.answers import reference_answers, type_answers
from grading.cli import main

TINY = "01-tiny"


def run(course, *arguments):
    return main(["--root", str(course.root), *arguments])


@pytest.mark.slow
def test_collect_grade_report_history(released, tmp_path, capsys):
    type_answers(released.exercises / TINY, tmp_path / "ada", reference_answers(released, TINY))
    archive = tmp_path / "download.zip"
    with zipfile.ZipFile(archive, "w") as file:
        for path in sorted((tmp_path / "ada").glob("*.ipynb")):
            name = f"ada_{TINY}_attempt_2026-01-02-03-04-05_{path.name}"
            file.writestr(name, path.read_bytes())
        file.writestr("../../escape.ipynb", b"{}")
    pattern = rf"(?P<student_id>\w+)_{TINY}_attempt_(?P<timestamp>[\d-]+)_(?P<file_id>.+)"
    assert run(released, "collect", TINY, str(archive), "--pattern", pattern) == 0
    assert not list(tmp_path.rglob("escape.ipynb"))
    assert (released.records / "submitted" / "ada" / TINY / "numbers.ipynb").is_file()
    capsys.readouterr()

    assert run(released, "report", TINY) == 1
    assert "nothing of 01-tiny is graded yet" in capsys.readouterr().err

    assert run(released, "grade", TINY, "--workers", "1") == 0
    said = capsys.readouterr().out
    assert "ada" in said
    page = released.records / "reports" / TINY / "index.html"
    assert f"report: {page}" in said
    assert "1 students" in page.read_text(encoding="utf-8")
    with (page.parent / "submissions.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert (row["student"], row["points"]) == ("ada", "6.0")

    assert run(released, "report", TINY) == 0
    assert "1 graded" in capsys.readouterr().out
    assert run(released, "history", TINY, "ada") == 0
    assert "graded" in capsys.readouterr().out
    assert run(released, "history", TINY, "nobody") == 1
    assert "nothing is recorded for nobody" in capsys.readouterr().err


def test_a_known_mistake_stands_in_the_report(released, capsys):
    answers = reference_answers(released, TINY)
    answers["double"] = "def double(number):\n    return number * number\n"
    type_answers(released.exercises / TINY, released.records / "submitted" / "bo" / TINY, answers)
    assert run(released, "grade", TINY, "--workers", "1", "--no-feedback") == 0
    folder = released.records / "reports" / TINY
    with (folder / "misconceptions.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [(row["task"], row["students"]) for row in rows] == [("double", "bo")]


def test_help_and_wrong_options(capsys):
    for command in ("grade", "collect", "report", "history"):
        with pytest.raises(SystemExit, match="0"):
            main([command, "--help"])
        assert f"usage: python -m grading {command}" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="2"):
        main(["grade", TINY, "--workers", "0"])
    assert "at least 1" in capsys.readouterr().err


def test_a_cluster_needs_an_address_that_answers(released, capsys):
    (released.records / "submitted" / "ada" / TINY).mkdir(parents=True)
    options = ("--tls-ca-file", "x.pem", "--scheduler", "tcp://a:1")
    assert run(released, "grade", TINY, *options) == 1
    assert "certificates" in capsys.readouterr().err
