"""The instructor's report: counts, misconceptions, and pages that hostile text cannot act on."""

import csv
from html.parser import HTMLParser

import pytest

from grading.bugs import Bug
from grading.engine.record import (
    ABSENT,
    FAILED,
    GRADED,
    MANUAL,
    PASSED,
    UNDECIDED,
    WRONG,
    NotebookRecord,
    Record,
    Result,
)
from grading.report import summarise, write_report
from grading.report.pages import page_name

BUGS = [
    Bug("sum", "adds one", "", "one too many", "E1"),
    Bug("sum", "adds one twice", "", "one too many, twice"),
    Bug("sum", "starts at one", "", "one too many", "E2"),
    Bug("mean", "no division", "", "one too many"),
]


def record(student, *results, status=GRADED, **more):
    return Record(student, "01", status, notebooks=[NotebookRecord("nb", list(results))], **more)


def result(task, score, message="", outcome=None, maximum=4.0):
    outcome = outcome or (PASSED if score == maximum else WRONG)
    return Result(f"test-{task}", outcome, score, maximum, message)


@pytest.fixture
def records():
    return {
        "bo": record("bo", result("sum", 0.0, "that is one too many"), result("mean", 4.0)),
        "ada": record("ada", result("sum", 4.0), result("mean", 4.0)),
        "cy": record("cy", result("sum", 0.0, "one too many, twice"), result("mean", 0.0, "no")),
        "di": record("di", result("sum", 0.0, "one too many"), result("mean", 2.0, "2 of 4")),
        "ed": record(
            "ed",
            result("sum", None, "not JSON", UNDECIDED),
            status=FAILED,
            message="not JSON",
            suspicious=["a network connection"],
            changed=["softmax()"],
        ),
        "flo": None,
        "gil": record("gil", result("sum", None, outcome=MANUAL)),
    }


def test_counts(records):
    summary = summarise("01", records, BUGS)
    assert summary.statuses == {GRADED: 5, FAILED: 1, ABSENT: 1}
    total, mean = summary.tasks
    assert (total.name, total.maximum, mean.maximum) == ("nb/test-sum", 4, 4)
    assert total.outcomes == {PASSED: 1, WRONG: 3, UNDECIDED: 1, MANUAL: 1}
    assert total.share == pytest.approx(1 / 4)  # no score is not a zero
    assert mean.share == pytest.approx(10 / 16)
    assert -1 <= total.separation <= 1
    assert summary.histogram == [1, 0, 1, 0, 0, 1, 0, 0, 0, 1]
    assert summary.suspicious == {"ed": ["a network connection"]}


def test_misconceptions_by_the_longest_sentence(records):
    summary = summarise("01", records, BUGS)
    found = [(one.names, one.errata, one.students) for one in summary.misconceptions]
    assert found == [
        (("adds one", "starts at one"), ("E1", "E2"), ["bo", "di"]),
        (("adds one twice",), (), ["cy"]),
    ]
    assert ("mean", "no", 1) in summary.unexplained
    assert ("mean", "2 of 4", 1) in summary.unexplained


def test_separation_tells_a_good_task_from_a_useless_one():
    scores = [(0, 0, 4), (0, 0, 4), (4, 4, 0), (4, 4, 0)]
    class_ = {
        f"s{n}": record(
            f"s{n}", result("a", float(a)), result("b", float(b)), result("c", float(c))
        )
        for n, (a, b, c) in enumerate(scores)
    }
    a, _, c = summarise("01", class_).tasks
    assert a.separation is None or a.separation >= 0
    assert c.separation == pytest.approx(-1)


class Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.tags, self.attributes, self.links = set(), set(), []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.links += [value for name, value in attrs if name == "href"]


def test_pages_and_tables(records, tmp_path):
    nasty = '<script>alert(1)</script><img src=x onerror="alert(2)">'
    records["../../x <b>"] = record("x", result("sum", 0.0, nasty), suspicious=[nasty])
    records["=1+1"] = record("y", result("sum", 4.0))
    index = write_report(summarise("01", records, BUGS), tmp_path / "report")
    pages = list((tmp_path / "report").rglob("*.html"))
    assert len(pages) == len(records) + 1
    assert {path.parent for path in pages} == {index.parent, index.parent / "students"}
    for path in pages:
        seen = Tags()
        seen.feed(path.read_text(encoding="utf-8"))
        assert not seen.tags & {"script", "img", "iframe", "b"}
        assert not any(name.startswith("on") for name in seen.attributes)
    assert sum("softmax()" in path.read_text(encoding="utf-8") for path in pages) == 1
    seen = Tags()
    seen.feed(index.read_text(encoding="utf-8"))
    import urllib.parse

    for link in seen.links:
        assert (index.parent / urllib.parse.unquote(link)).is_file(), link
    with (index.parent / "submissions.csv").open(newline="", encoding="utf-8") as file:
        rows = {row["student"]: row for row in csv.DictReader(file)}
    assert rows["ed"]["points"] == rows["ed"]["nb/test-sum"] == ""  # no score is not a zero
    assert rows["flo"]["status"] == ABSENT
    assert rows["flo"]["points"] == ""
    assert rows["bo"]["nb/test-sum"] == "0.0"
    assert "'=1+1" in rows
    with (index.parent / "misconceptions.csv").open(newline="", encoding="utf-8") as file:
        assert next(csv.DictReader(file))["count"] == "2"


def test_names_become_names_of_files():
    assert page_name("ada") == "ada"
    assert "/" not in page_name("../etc")
    assert page_name("..") == "%2E%2E"
    assert page_name("a.b") != page_name("a%2Eb")


def test_an_empty_class(tmp_path):
    index = write_report(summarise("01", {}), tmp_path)
    assert "0 students" in index.read_text(encoding="utf-8")
